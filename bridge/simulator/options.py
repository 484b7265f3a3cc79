"""A simulated printer as one line of text: ``simulator://marlin?extruders=2&bed=0``."""

import math
from typing import TypedDict, cast
from urllib.parse import parse_qsl, urlsplit

from bridge.errors import quoted
from bridge.simulator.card import CardFile

MAX_TOOLS = 8

SCHEME = "simulator"
DEFAULT = "marlin"
_NUMBERS = {
    "extruders": int,
    "room": int,
    "speed": float,
    "boot": float,
    "swing": float,
}
_FLAGS = (
    "bed",
    "chamber",
    "card",
    "emergency_parser",
    "advanced_ok",
    "park",
    "filament_change",
    "outputs",
    "resend_ok",
    "ready",
    "config_error",
    "kalico",
    "resume_dialog",
)
_WORDS = {"1": True, "true": True, "yes": True, "on": True}
_WORDS |= {"0": False, "false": False, "no": False, "off": False}


class Options(TypedDict, total=False):
    """How the simulated machine is built.

    Keys:
        extruders: 1 to 8.
        bed: it has a heated bed.
        chamber: it has a heated chamber.
        card: a card is in the slot.
        files: what is on it.
        speed: how much faster than in reality it moves and heats.
        swing: °C by which a hotend's readings swing around the target that it holds.
        emergency_parser: it sees M108, M112, M410 and M876 while a command runs.
        advanced_ok: ``ok`` carries ``N``, ``P`` and ``B``.
        park: M25 parks the head and waits for a person (Marlin only).
        filament_change: it knows M600 (Marlin only).
        outputs: it has a light and babysteps: M42, M150, M290, M355 (Marlin only).
        resend_ok: an ``ok`` that acknowledges nothing follows a resend request.
        boot: seconds after a reset in which it neither receives nor sends.
        room: bytes in the receive buffer.
        ready: Klipper only: it has reached its microcontroller.
        config_error: Klipper only: its configuration is wrong, even after a restart.
        kalico: Klipper only: it calls itself Kalico.
        resume_dialog: M24 shows a dialog that can only be dismissed (Marlin only).
    """

    extruders: int
    bed: bool
    chamber: bool
    card: bool
    files: tuple[CardFile, ...]
    speed: float
    swing: float
    emergency_parser: bool
    advanced_ok: bool
    park: bool
    filament_change: bool
    outputs: bool
    resend_ok: bool
    boot: float
    room: int
    ready: bool
    config_error: bool
    kalico: bool
    resume_dialog: bool


def check(options: Options) -> None:
    """Make sure that such a machine can be built.

    Raises:
        ValueError: An option has an invalid value.

    """
    if not 1 <= options.get("extruders", 1) <= MAX_TOOLS:
        raise ValueError(f"extruders must be 1 to {MAX_TOOLS}")
    if not 0 < options.get("speed", 1.0) < math.inf:
        raise ValueError("speed must be above 0")
    if not 0 <= options.get("swing", 0.0) < math.inf:
        raise ValueError("swing must be 0 or more")
    if not 0 <= options.get("boot", 0.0) < math.inf:
        raise ValueError("boot must be 0 or more")
    if options.get("room", 1) < 1:
        raise ValueError("room must be 1 or more")


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
            raise ValueError(f"option {key} must be 1 or 0, not {quoted(value)}")
        settings[key] = _WORDS[value.lower()]
    elif key in _NUMBERS:
        try:
            settings[key] = _NUMBERS[key](value)
        except ValueError:
            raise ValueError(
                f"option {key} must be a number, not {quoted(value)}"
            ) from None
    else:
        known = ", ".join((*_NUMBERS, *_FLAGS))
        raise ValueError(f"there is no option {quoted(key)} (known: {known})")
