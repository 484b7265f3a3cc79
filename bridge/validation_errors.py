"""What is wrong with data that a model refused, in a sentence that says what to do."""

import json
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.errors import quoted
from bridge.schema_words import PATTERNS

Key = tuple[str | int, ...]
"""The way to a value, such as ``("printers", 0, "serial", "port")``."""

_SHOWN = 60  # characters of a value
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{0,20})?")
# A plus sign, a decimal comma, and a unit.
_NUMBER_WITH_MORE = re.compile(
    r"\+?(-?\d{1,20})(?:[.,](\d{1,20}))?(?: ?([^\d\s.,]{1,6}))?"
)
_UNITS = {"°c", "c", "°", "%", "mm", "s", "sec", "mm/min"}
"""Those that our numbers have; of another unit, a number would mean something else."""
_SWITCHES = {
    **dict.fromkeys(("true", "on", "yes", "1"), "true"),
    **dict.fromkeys(("false", "off", "no", "0"), "false"),
}
_STEPS = re.compile(r"/|__|\.")
_SINGLE_QUOTED = re.compile(r"'([^']*)'")

_CLOSE = 0.72
"""Similarity of two words, from 0 to 1, from which one is suggested for the other."""
_LONGEST = 300
"""Characters of a word that is compared with others. That takes the product of their
lengths, and a client can send words of 64 KiB."""

SHARED = "shared"
"""The type of an error between two parts of the configuration, such as two printers at
one port; its message is a whole sentence."""

_EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "a text in quotation marks",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
_BOUND = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_SIZE = {
    "string_too_short": ("at least", "min_length", "character"),
    "string_too_long": ("at most", "max_length", "character"),
    "too_short": ("at least", "min_length", "entry"),
    "too_long": ("at most", "max_length", "entry"),
}
_PLURAL = {"character": "characters", "entry": "entries"}


def first_problem(error: ValidationError, known: Sequence[str]) -> str:
    """Return the first thing that is wrong, with its place.

    Args:
        error: what pydantic found.
        known: the fields that the data may have.

    """
    details = error.errors(include_url=False)
    first = details[0]
    place = written(first["loc"])
    if first["type"] == "extra_forbidden":
        return f'unknown field "{place}"{nearest(place, known)}'
    value = first["input"]
    is_empty = isinstance(value, str) and value.lower() in NO_VALUE
    hint = f"; {no_value(str(value))}" if is_empty else _written_otherwise(first)
    # A union reports one error for each of its members, at the same place.
    kinds = {item["type"] for item in details if item["loc"][:1] == first["loc"][:1]}
    if kinds == {"int_type", "float_type"}:
        return f"{written(first['loc'][:1])}: {sentence(first, 'a number')}{hint}"
    return (f"{place}: {sentence(first)}" if place else sentence(first)) + hint


NO_VALUE = ("unknown", "unavailable", "undefined", "none", "nan")
"""What a template renders whose entity has no value, in Home Assistant and Node-RED."""

NOT_RENDERED = (
    "this is a template that was not rendered; send its result: Home Assistant renders "
    "templates in automations and scripts, but not in the actions of a dashboard"
)
"""What is wrong with a payload that still has the braces of a template."""


def no_value(text: str) -> str:
    """Return what it means that a value is ``unknown``, ``None`` and the like."""
    return (
        f"a template renders {text} if its entity or variable has no value at the "
        "moment: test for that first, in Home Assistant with has_value or is_number"
    )


def _written_otherwise(error: ErrorDetails) -> str:
    """Return how to write a number, true, false or a list that was sent as a text."""
    value, kind = error["input"], error["type"]
    text = str(value).strip()
    if kind == "bool_type" and text.lower() in _SWITCHES:
        word = f"; write {_SWITCHES[text.lower()]}"
        return f"{word} without quotation marks" if isinstance(value, str) else word
    if not isinstance(value, str):
        return ""
    if "{{" in text or "{%" in text:
        return f"; {NOT_RENDERED}"
    if error["loc"] == ("commands",) and kind == "tuple_type":
        return f"; write [{shown(value)}]" if 0 < len(value) <= _SHOWN else ""
    if not text and kind in {"float_type", "int_type", "bool_type"}:
        return "; a template that renders nothing gives an empty text"
    return number_otherwise(text) if kind in {"float_type", "int_type"} else ""


_UNITS_MEANT = "°C, mm, mm/min, seconds, percent, bytes"
"""The units of all numbers in payloads and in the configuration."""


def number_otherwise(text: str, marks: str = " without quotation marks") -> str:
    """Return how to write a number that has a unit or a decimal comma, or nothing.

    Args:
        text: what was given for a number.
        marks: what is said of its quotation marks.

    """
    if _NUMBER.fullmatch(text):
        return "; remove the quotation marks"
    if found := _NUMBER_WITH_MORE.fullmatch(text):
        number = f"{found[1]}.{found[2]}" if found[2] else found[1]
        if found[3] is None or found[3].lower() in _UNITS:
            return f"; write {number}{marks}"
        return f"; write only the number, without its unit ({_UNITS_MEANT})"
    return ""


def sentence(error: ErrorDetails, wanted: str = "", given: str | None = None) -> str:
    """Return what is wrong at one place, to follow the place's name.

    Args:
        error: one error of pydantic.
        wanted: which values are accepted; by default what the error says.
        given: how the value is shown that was given instead; ``""``: not at all.

    """
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing" + (f"; it must be {wanted}" if wanted else "")
    if kind == "value_error":
        return str(context["error"])
    if kind == "json_invalid":
        return f"is not JSON: {context['error']}"
    if kind == SHARED:
        return error["msg"]
    words = wanted or _wanted(error)
    if kind in _SIZE and not wanted:
        return words
    found = shown(error["input"]) if given is None else given
    return f"must be {words}" + (f", not {found}" if found else "")


def _wanted(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUND:
        word, key = _BOUND[kind]
        return f"{word} {context[key]:.12g}"
    if kind in _SIZE:
        word, key, unit = _SIZE[kind]
        count = context[key]
        return f"must have {word} {count} {unit if count == 1 else _PLURAL[unit]}"
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return PATTERNS.get(pattern, f"a text that matches {pattern}")
    # pydantic writes texts in single quotes; all our messages have double ones.
    expected = str(context.get("expected", error["msg"]))
    return _EXPECTED.get(kind) or _SINGLE_QUOTED.sub(r'"\1"', expected)


def written(key: Iterable[str | int]) -> str:
    """Return a key as people write it, such as ``printers[0].serial.port``."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in key]
    # With "[key]" pydantic says that the key itself is wrong, not its value.
    return "".join(step for step in steps if step != ".[key]").removeprefix(".")


def shown(value: object) -> str:
    """Return a value as a message shows it, short and on one line."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = quoted(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def likeliest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a misspelt one probably stands for.

    Only the part that differs counts: ``request/job`` is not close to ``request/bed``
    because they begin with the same eight letters. A very long word stands for none.
    """
    if len(word) > _LONGEST:
        return None
    rated = [(_closeness(word, other), other) for other in known]
    best = max(rated, default=(0.0, ""), key=lambda pair: pair[0])
    return best[1] if best[0] >= _CLOSE else None


def _closeness(word: str, other: str) -> float:
    steps, others = _STEPS.split(word), _STEPS.split(other)
    while len(steps) > 1 and len(others) > 1 and steps[0] == others[0]:
        del steps[0], others[0]
    word, other = "/".join(steps).lower(), "/".join(others).lower()
    matcher = SequenceMatcher(None, word, other)
    # These bounds take far less time than the ratio itself.
    if matcher.real_quick_ratio() < _CLOSE or matcher.quick_ratio() < _CLOSE:
        return 0.0
    if sorted(word) == sorted(other):  # two letters swapped, as in "bde"
        return 1.0
    return matcher.ratio()


def nearest(word: str, known: Iterable[str], meant: str | None = None) -> str:
    """Return what is known instead of a word, the likeliest first, for a message.

    ``meant``: the likeliest, where that is not a question of the spelling.
    """
    names = sorted(known)
    close = meant or likeliest(word, names)
    guess = f'; did you mean "{close}"?' if close else ""
    return f"{guess} (known: {', '.join(names)})"
