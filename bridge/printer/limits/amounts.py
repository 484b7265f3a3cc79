"""Numbers that are bounded wherever the head is: waits, cycles, factors, lengths."""

from collections.abc import Mapping

from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.line import Line, format_number

MAX_CYCLES = 50.0
"""Cycles of a heater's tuning; one takes up to 20 minutes."""

MAX_FACTOR = 1000.0
"""The speed and flow factors, in percent, as in the commands that set them."""

MAX_PROBE_OFFSET = 10.0
"""mm by which the probe's offset may be changed along z: with a wrong one the next
homing leaves the nozzle inside the bed, as far as the firmware knows above it."""

_SECONDS = {"G4": ("S",), "M400": ("S",)}
_MILLISECONDS = {"G4": ("P",), "M400": ("P",), "M300": ("P",)}
_FILAMENT: Mapping[str, tuple[str, ...]] = {
    "M125": ("L",),
    "M207": ("S",),
    "M217": ("S", "E"),
    "M600": ("E", "L", "U"),
    "M603": ("L", "U"),
    "M701": ("L",),
    "M702": ("U",),
}
"""Letters that are lengths of filament, which is moved now or by a later code
(https://marlinfw.org/docs/gcode/)."""

_FACTORS = {"M220", "M221"}
_MAX_MILLI = 1000.0


def check(line: Line, profile: Profile) -> None:
    """Refuse a line with a number that is too large, whatever came before it.

    Raises:
        RejectedError: ``out_of_limits``.

    """
    code = line.code
    for letter in _SECONDS.get(code, ()):
        _check_wait(line, line.values.get(letter), profile)
    for letter in _MILLISECONDS.get(code, ()):
        milliseconds = line.values.get(letter)
        seconds = None if milliseconds is None else milliseconds / _MAX_MILLI
        _check_wait(line, seconds, profile)
    for letter in _FILAMENT.get(code, ()):
        _check(line, letter, profile.max_extrusion, "mm (profile.max_extrusion)")
    if code in _FACTORS:
        _check_factor(line)
    elif code == "M303":
        _check(line, "C", MAX_CYCLES, "cycles")
        _check(line, "R", MAX_CYCLES, "cycles")
    elif code in {"M851", "G31"}:
        _check(line, "Z", MAX_PROBE_OFFSET, "mm")


def _check(line: Line, letter: str, most: float, unit: str) -> None:
    number = line.values.get(letter)
    if number is not None and abs(number) > most:
        raise _beyond(
            f"{line}: {letter}{format_number(number)} is more than "
            f"{format_number(most)} {unit}"
        )


def _check_wait(line: Line, seconds: float | None, profile: Profile) -> None:
    if seconds is not None and not 0 <= seconds <= profile.max_dwell:
        raise _beyond(
            f"{line}: {format_number(seconds)} s are not between 0 and "
            f"{format_number(profile.max_dwell)} s (profile.max_dwell); meanwhile the "
            "printer may not see a stop"
        )


def _check_factor(line: Line) -> None:
    factor = line.values.get("S")
    if factor is not None and not 0 <= factor <= MAX_FACTOR:
        raise _beyond(
            f"{line}: {format_number(factor)} % is not between 0 and "
            f"{format_number(MAX_FACTOR)} %"
        )
    if line.code == "M220" and "R" in line.values:
        raise RejectedError.invalid(
            f"{line}: the factor that M220 B stored is not known here, so the limits "
            "cannot be checked; give the factor with S"
        )


BOUNDED = frozenset(
    {*_SECONDS, *_MILLISECONDS, *_FILAMENT, *_FACTORS, "M303", "M851", "G31"}
)
"""The codes that have such a number."""


def _beyond(message: str) -> RejectedError:
    return RejectedError.invalid(message, error="out_of_limits")
