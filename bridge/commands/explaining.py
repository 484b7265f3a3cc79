"""What is wrong with a payload, in one sentence that a person can act on."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.commands.json_payload import described

_EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "an object",
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


def explained(error: ValidationError, known: Sequence[str]) -> str:
    """Return the first thing that is wrong.

    Args:
        error: what pydantic found.
        known: the fields that the payload may have.

    """
    details = error.errors(include_url=False)
    first = details[0]
    place = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        return f'unknown field "{place}"{nearest(place, known)}'
    # A union complains once for each of its members, at the same place.
    kinds = {item["type"] for item in details if item["loc"][:1] == first["loc"][:1]}
    if kinds == {"int_type", "float_type"}:
        return f"{_place(first['loc'][:1])}: must be a number, not " + described(
            first["input"]
        )
    sentence = _sentence(first)
    return f"{place}: {sentence}" if place else sentence


def nearest(word: str, known: Iterable[str], meant: str | None = None) -> str:
    """Return what is known instead of a word, the likeliest first, for a message.

    ``meant``: the likeliest, where that is no question of the spelling.
    """
    names = sorted(known)
    close = [meant] if meant else get_close_matches(word, names, n=1)
    guess = f'; did you mean "{close[0]}"?' if close else ""
    return f"{guess} (known: {', '.join(names)})"


def _place(loc: Iterable[int | str]) -> str:
    place = ""
    for part in loc:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part != "[key]":
            place += f".{part}" if place else part
    return place


def _sentence(error: ErrorDetails) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}, not {described(given)}"
    if kind in _BOUND:
        word, key = _BOUND[kind]
        return f"must be {word} {context[key]:.12g}, not {described(given)}"
    if kind in _SIZE:
        word, key, unit = _SIZE[kind]
        count = context[key]
        return f"must have {word} {count} {unit if count == 1 else _PLURAL[unit]}"
    if kind == "literal_error":
        return f"must be {context['expected']}, not {described(given)}"
    return str(context.get("error", error["msg"]))
