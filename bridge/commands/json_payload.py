"""Reads a JSON object from bytes of the network, which may be anything."""

import codecs
import json
import math
import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from typing import NoReturn

from bridge.errors import RejectedError
from bridge.validation_errors import NO_VALUE, NOT_RENDERED, no_value, shown

# Commands need three levels. Python's decoder is recursive, and would raise a
# RecursionError after a few thousand levels.
_DEEPEST = 20
_LONGEST_INTEGER = 20  # digits; converting long numbers takes quadratic time
_LONGEST_KEY = 100  # characters
_SHOWN = 80  # characters of a payload

# Texts as a whole, and single brackets outside of them. Possessive, so that the time is
# linear.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
# Unicode categories of what a log or a terminal must not get: control characters,
# surrogates, line and paragraph separators (https://www.unicode.org/reports/tr44/).
_UNSPEAKABLE = {"Cc", "Cs", "Zl", "Zp"}

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands for an invalid number until the name of its field is known."""

    text: str
    problem: str


def read(
    payload: bytes,
    max_bytes: int,
    wanted: str = "a JSON object",
    commands: Container[str] = (),
) -> Json:
    """Return the JSON object in a payload.

    It has no duplicate keys and is not deeply nested; its values are not checked yet.

    Args:
        payload: what was received.
        max_bytes: its greatest length.
        wanted: what it must be, with an example, for a message.
        commands: the names of commands that may be meant by a single word.

    Raises:
        RejectedError: It is not such an object; ``invalid_json`` if it is not JSON.

    """
    if len(payload) > max_bytes:
        raise RejectedError.invalid(
            f"the payload has {len(payload)} bytes, more than mqtt.max_payload allows "
            f"({max_bytes})"
        )
    text = _text(payload)
    if not text.strip():
        _invalid(f"the payload is empty; it must be {wanted}")
    _check_depth(text)
    try:
        document: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _invalid(_explained(text.strip(), error, wanted, commands))
    if not isinstance(document, dict):
        raise _no_object(document, wanted)
    return document


def _no_object(document: object, wanted: str) -> RejectedError:
    if isinstance(document, str) and document.lstrip().startswith("{"):
        return RejectedError.invalid(
            "the payload is JSON that was encoded twice; send it without the outer "
            "quotation marks"
        )
    return RejectedError.invalid(
        f"the payload must be {wanted}, not {_shown(document)}"
    )


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
        if not _all_printable(value):
            for index, item in enumerate(value):
                check(item, f"{place}[{index}]")
    elif isinstance(value, _Unusable):
        _invalid(f"{place}: {value.problem}")
    elif isinstance(value, str) and not printable(value):
        raise RejectedError.invalid(
            f"{place}: must not contain line breaks or control characters; send "
            'several lines of G-code as a list: "commands": ["G28", "G1 X10"]'
            if place.startswith("command")
            else f"{place}: must not contain line breaks or control characters"
        )


def _check_key(key: str, place: str) -> None:
    if len(key) > _LONGEST_KEY or not printable(key):
        raise RejectedError.invalid(
            f"{place or 'the payload'}: has a field whose name is longer than "
            f"{_LONGEST_KEY} characters or not printable"
        )


def _all_printable(items: list[object]) -> bool:
    """Return whether a list has only printable texts, as most long lists do."""
    try:
        return printable("".join(items))  # type: ignore[arg-type] # the except clause
    except TypeError:
        return False


def printable(text: str) -> bool:
    """Return whether a text has no control character, line break or lone surrogate."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(mark) in _UNSPEAKABLE for mark in text)


def _shown(value: object) -> str:
    return value.text if isinstance(value, _Unusable) else shown(value)


def _text(payload: bytes) -> str:
    """Return a payload as text, without what editors and C programs add to one."""
    if payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _invalid("the payload is UTF-16; send it as UTF-8")
    if payload[1:2] == b"\0" and payload[:1] in b'{[" ':
        _invalid("the payload is UTF-16; send it as UTF-8")
    try:
        # A byte order mark at the beginning, and the NUL that ends a text in C.
        return payload.decode("utf-8-sig").removesuffix("\0")
    except UnicodeDecodeError as error:
        _invalid(f"the payload is not UTF-8 (byte {error.start}); send it as UTF-8")


_TO_JSON = "a template writes JSON with the filter to_json"
_COMMAND = 'a command is written as {{"command": "{0}"}}'
_LOOKS_LIKE = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        # The first pattern that is found in the payload says what it looks like.
        (
            r"\[object Object\]",
            "JavaScript turned an object into text; use JSON.stringify",
        ),
        (
            r"^(PRESS|ON|OFF)$",
            (
                "Home Assistant sends {0} unless payload_{option} is set; set it to "
                "{wanted}"
            ),
        ),
        (r"^[^{\"]*(?:\{\{|\{%)", NOT_RENDERED),
        (r"^([a-z_]{2,40})$", _COMMAND),
        (
            r"^[GMTgmt]\d{1,4}[^;\n{]{0,80}[;\n]",
            (
                'several lines of G-code are written as {{"commands": ["G28", '
                '"G1 X10"]}} on the topic "command"'
            ),
        ),
        (
            r'^((?:[GMTgmt]\d{1,4}(?:\.\d)?|[A-Z]+(?:_[A-Z0-9]+)+)(?: [^"\\]*)?)$',
            'G-code is written as {{"command": "{0}"}} on the topic "command"',
        ),
        (r"\{\{|\{%", NOT_RENDERED),
        (
            r"[\u201c\u201d\u201e]",
            'JSON needs straight quotation marks: "',
        ),
        (r"^\s*(?://|#|/\*)", "JSON has no comments"),
        (
            r"[:\[,]\s*(?:\+\d|-?\.\d|0[xX])",
            "a number is written as 5, -5 or 0.5, with a digit before the point",
        ),
        (
            r"(?<![\w'\"])(?:True|False|None)(?![\w'\"])",
            f"True, False and None are Python's words, not JSON's; {_TO_JSON}",
        ),
        (r"^[{\[]\s*'", f"JSON needs double quotation marks; {_TO_JSON}"),
        (r"^\{\s*[A-Za-z_]\w*\s*:", "names need double quotation marks"),
        (r",\s*[}\]]\s*$", "remove the comma before the closing bracket"),
    )
)
_DECODER_WORDS = {
    "Extra data": "something follows the closing bracket",
    "Expecting ':' delimiter": "a colon is missing",
    "Expecting ',' delimiter": "a comma is missing",
    "Expecting value": "a value is missing, or a text lacks quotation marks",
    "Expecting property name enclosed in double quotes": (
        "a name in double quotation marks is missing"
    ),
    "Unterminated string starting at": "a quotation mark is never closed",
    "Invalid control character at": "a text must not contain a line break or a tab",
    "Invalid \\escape": "in a text, write two backslashes for one",
}
"""Plain words for the messages of the standard library's decoder."""
_BARE_NO_VALUE = re.compile(rf":\s*({'|'.join(NO_VALUE)})\s*[,}}]")


def _explained(
    text: str, error: json.JSONDecodeError, wanted: str, commands: Container[str]
) -> str:
    """Return why a text is not JSON, what it looks like, and what to write instead."""
    given = text if text.isprintable() else json.dumps(text)
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    return f"the payload is not JSON: {given} ({_hint(text, error, wanted, commands)})"


def _hint(
    text: str, error: json.JSONDecodeError, wanted: str, commands: Container[str]
) -> str:
    if text.lower() in NO_VALUE:
        return no_value(text)
    if found := _BARE_NO_VALUE.search(text):
        return no_value(found[1])
    for pattern, words in _LOOKS_LIKE:
        if words is _COMMAND and text not in commands:
            continue
        if found := pattern.search(text):
            option = text.lower()  # payload_on, for ON
            return words.format(*found.groups(), wanted=wanted, option=option)
    if error.pos == 0:
        return f"it must be {wanted}"
    where = f"line {error.lineno} column {error.colno}"
    if error.pos >= len(text):
        return f"it ends too early: a bracket or quotation mark is not closed, {where}"
    words = _DECODER_WORDS.get(error.msg, f"{error.msg[:1].lower()}{error.msg[1:]}")
    return f"{words}, {where}"


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
            _invalid(f"the payload has the field {shown(key)} twice; keep one")
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
