"""Reads a JSON object from bytes of the network, which may be anything."""

import json
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from bridge.errors import RejectedError
from bridge.validation_errors import shown

_DEEPEST = 20
_LONGEST_INTEGER = 20
_LONGEST_KEY = 100

_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_UNSPEAKABLE = {"Cc", "Cs", "Zl", "Zp"}

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands for an invalid number until the name of its field is known."""

    text: str
    problem: str


def read(payload: bytes, max_bytes: int) -> Json:
    """Return the JSON object in a payload.

    It has no duplicate keys and is not deeply nested; its values are not checked yet.

    Raises:
        RejectedError: It is not such an object; ``invalid_json`` if it is not JSON.

    """
    if len(payload) > max_bytes:
        raise RejectedError.invalid(
            f"the payload has {len(payload)} bytes, more than mqtt.max_payload allows "
            f"({max_bytes})"
        )
    document = _document(payload)
    if not isinstance(document, dict):
        raise RejectedError.invalid(
            f'the payload must be a JSON object such as {{"command": …}}, '
            f"not {_shown(document)}"
        )
    return document


def check(value: object, place: str = "") -> None:
    """Reject invalid numbers, and texts that could break a line or confuse a log.

    Raises:
        RejectedError: A number is not finite, or a text or a key has a control
            character, a line break or a lone surrogate; the message names the field.

    """
    if isinstance(value, dict):
        for key, item in value.items():
            _check_key(key, place)
            check(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, str) or not printable(item):
                check(item, f"{place}[{index}]")
    elif isinstance(value, _Unusable):
        _invalid(f"{place}: {value.problem}")
    elif isinstance(value, str) and not printable(value):
        raise RejectedError.invalid(
            f"{place}: must not contain line breaks or control characters; send "
            "several lines of G-code as the list `commands`"
            if place == "command"
            else f"{place}: must not contain line breaks or control characters"
        )


def _check_key(key: str, place: str) -> None:
    if len(key) > _LONGEST_KEY or not printable(key):
        raise RejectedError.invalid(
            f"{place or 'the payload'}: has a field whose name is longer than "
            f"{_LONGEST_KEY} characters or not printable"
        )


def printable(text: str) -> bool:
    """Return whether a text has no control character, line break or lone surrogate."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(mark) in _UNSPEAKABLE for mark in text)


def _shown(value: object) -> str:
    return value.text if isinstance(value, _Unusable) else shown(value)


def _document(payload: bytes) -> object:
    if not payload.strip():
        _invalid("the payload is empty; it must be a JSON object")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        _invalid(f"the payload is not UTF-8 (byte {error.start})")
    _check_depth(text)
    try:
        document: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _invalid(
            f"the payload is not JSON: {error.msg}, line {error.lineno} column "
            f"{error.colno}"
        )
    return document


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= _DEEPEST:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[0] in "[{":
            depth += 1
        elif match[0] in "]}":
            depth -= 1
        if depth > _DEEPEST:
            _invalid(f"the payload is nested more than {_DEEPEST} levels deep")


def _invalid(message: str) -> NoReturn:
    raise RejectedError.invalid(message, error="invalid_json")


def _object(pairs: list[tuple[str, object]]) -> Json:
    document: Json = {}
    for key, value in pairs:
        if key in document:
            _invalid(f"the payload has the key {shown(key)} twice")
        document[key] = value
    return document


def _float(text: str) -> float | _Unusable:
    value = float(text)
    return value if math.isfinite(value) else _too_large(text)


def _int(text: str) -> int | _Unusable:
    return int(text) if len(text) <= _LONGEST_INTEGER else _too_large(text)


def _too_large(text: str) -> _Unusable:
    shown = text if len(text) <= _LONGEST_INTEGER else f"{text[:_LONGEST_INTEGER]}…"
    return _Unusable(shown, f"is a number that is too large: {shown}")


def _constant(text: str) -> _Unusable:
    return _Unusable(text, f"must be a JSON number, not {text}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_float,
    parse_int=_int,
    parse_constant=_constant,
)
