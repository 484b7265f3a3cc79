"""A validation error as one sentence that names the place and what to do."""

from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.config_file import schema
from bridge.config_file.document import Document, Key, Value
from bridge.errors import ConfigError

_LONGEST_VALUE = 40


def config_error(error: ValidationError, document: Document) -> ConfigError:
    """Return what is wrong first, and how much more there is, as one line."""
    problems: dict[Key, str] = {}
    # An unknown key is often the reason why another one is missing.
    for details in sorted(error.errors(include_url=False), key=_is_known):
        key = _key(details)
        # A list whose items are wrong is also called too short: not what to mend.
        if not any(known[: len(key)] == key for known in problems):
            problems[key] = _sentence(details, key)
    first, text = next(iter(problems.items()))
    more = len(problems) - 1
    tail = f" (and {more} more)" if more else ""
    return ConfigError(f"{document.place(first)}: {text}{tail}")


def written(key: Key) -> str:
    """Return a key as people write it, such as ``printers[0].serial.port``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in key)
    return text.removeprefix(".")


def _is_known(details: ErrorDetails) -> bool:
    return details["type"] != "extra_forbidden"


def _key(details: ErrorDetails) -> Key:
    if details["type"] == "shared":
        index, what = details["ctx"]["index"], details["ctx"]["what"]
        return ("printers", index, *what.split("."))
    key: Key = details["loc"]
    if details["type"] == "extra_forbidden":
        return key
    # After the key pydantic tells which alternative of a union it tried.
    while schema.at(key) is None:
        key = key[:-1]
    return key


def _sentence(details: ErrorDetails, key: Key) -> str:
    name = written(key) or "the configuration"
    if details["type"] == "shared":
        return details["msg"]
    if details["type"] == "extra_forbidden":
        return f"{name} is not a known key; {_meant(key)}"
    wanted = schema.at(key) or {}
    if details["type"] == "missing":
        return f"{name} is missing; it must be {schema.wanted(wanted)}"
    if details["type"] == "value_error":
        return f"{name} {details['ctx']['error']}"
    found = "" if schema.is_secret(wanted) else f", not {_shown(details['input'])}"
    return f"{name} must be {schema.wanted(wanted)}{found}"


def _meant(key: Key) -> str:
    name = str(key[-1])
    known = schema.keys(schema.at(key[:-1]) or {})
    if close := get_close_matches(name, known, n=1):
        return f"did you mean {written((*key[:-1], close[0]))}?"
    for setting, _ in schema.leaves(schema.root()):
        if name in setting:
            place = written(setting[: setting.index(name) + 1])
            return f"did you mean {place}?"
    return f"known here are {', '.join(known)}"


def _shown(value: Value) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if len(value) > _LONGEST_VALUE:
        value = value[:_LONGEST_VALUE] + "…"
    return repr(value)
