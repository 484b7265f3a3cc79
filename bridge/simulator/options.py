"""A simulated printer as one line of text: ``simulator://marlin?extruders=2&bed=0``."""

from typing import cast
from urllib.parse import parse_qsl, urlsplit

from bridge.simulator.machine import Options

SCHEME = "simulator"
DEFAULT = "marlin"
_NUMBERS = {"extruders": int, "room": int, "speed": float, "boot": float}
_FLAGS = (
    "bed",
    "chamber",
    "card",
    "emergency_parser",
    "advanced_ok",
    "park",
    "filament_change",
    "resend_ok",
    "ready",
)
_WORDS = {"1": True, "true": True, "yes": True, "on": True}
_WORDS |= {"0": False, "false": False, "no": False, "off": False}


def parse(url: str) -> tuple[str, Options]:
    """Return the personality and the options that a URL names.

    Raises:
        ValueError: It is no such URL, or an option is unknown or has a wrong value.

    """
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        raise ValueError(f"a simulated printer's address begins with {SCHEME}://")
    name = parts.netloc or parts.path.strip("/") or DEFAULT
    settings: dict[str, float | bool] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        _set(settings, key, value)
    return name, cast("Options", settings)


def _set(settings: dict[str, float | bool], key: str, value: str) -> None:
    if key in _FLAGS:
        if value.lower() not in _WORDS:
            raise ValueError(f"option {key} must be 1 or 0, not {value!r}")
        settings[key] = _WORDS[value.lower()]
    elif key in _NUMBERS:
        try:
            settings[key] = _NUMBERS[key](value)
        except ValueError:
            raise ValueError(f"option {key} must be a number, not {value!r}") from None
    else:
        known = ", ".join((*_NUMBERS, *_FLAGS))
        raise ValueError(f"no option {key!r}; there are: {known}")
