"""Numbers that are bounded wherever the head is: waits, cycles, factors, lengths."""

from collections.abc import Mapping

from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.codes import Argument
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
    "G26": ("P",),
    "M125": ("L",),
    "M207": ("S", "R", "W"),
    "M208": ("S", "W"),
    "M217": ("S", "E", "B"),
    "M600": ("E", "L", "U"),
    "M603": ("L", "U"),
    "M701": ("L",),
    "M702": ("U",),
    "SET_RETRACTION": ("RETRACT_LENGTH", "UNRETRACT_EXTRA_LENGTH"),
}
"""Letters that are lengths of filament, which is moved now or by a later code
(https://marlinfw.org/docs/gcode/)."""

MAX_RAISE = 10.0
"""mm by which the head is raised at each retraction (``M207 Z``), and by which a point
of the bed's mesh may differ (``M421``): neither is counted in the range of z."""

_FIXED: Mapping[str, tuple[tuple[str, float, str], ...]] = {
    "G31": (("Z", MAX_PROBE_OFFSET, "mm"),),
    "M207": (("Z", MAX_RAISE, "mm"),),
    "M303": (("C", MAX_CYCLES, "cycles"), ("R", MAX_CYCLES, "cycles")),
    "M421": (("Z", MAX_RAISE, "mm"), ("Q", MAX_RAISE, "mm")),
    "M851": (("Z", MAX_PROBE_OFFSET, "mm"),),
}

MIN_DIAMETER = 1.2
"""mm of filament after ``M200``. There is none as thin, and below 1.13 mm a unit of E
would be more than a millimetre of filament."""

_FACTORS = {"M220", "M221"}
_MAX_MILLI = 1000.0
_SECONDS_PER_MINUTE = 60.0


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
    for letter, most, unit in _FIXED.get(code, ()):
        _check(line, letter, most, unit)
    if code in _FACTORS:
        _check_factor(line)
    elif code == "M200":
        _check_diameter(line)
    elif line.row.argument is Argument.NAMES:
        _check_decimal(line)
        _check_offset(line, profile)


def _check_decimal(line: Line) -> None:
    """Refuse notations that Klipper reads as numbers, and the bridge does not.

    Python's ``float`` reads ``1e2``, ``1_0`` and ``inf``.
    """
    for key, value in line.parameters:
        if key not in line.values:
            raise RejectedError.invalid(
                f"{line}: {key} must be a decimal number, not {value!r}"
            )


def _check_diameter(line: Line) -> None:
    numbers = dict(line.parameters).get("D", "")
    for number in numbers.split(":"):
        if number and not (float(number) == 0 or float(number) >= MIN_DIAMETER):
            raise _beyond(
                f"{line}: {number} mm is no filament's diameter; the least is "
                f"{format_number(MIN_DIAMETER)} mm"
            )


def _check_offset(line: Line, profile: Profile) -> None:
    if line.code != "SET_GCODE_OFFSET":
        return
    for key, value in line.values.items():
        if key[0] == "E" and value:
            raise _beyond(
                f"{line}: {key} would move filament that no limit counts; use G1 E"
            )
    speed = (line.values.get("MOVE_SPEED") or 0.0) * _SECONDS_PER_MINUTE
    if speed > profile.max_speed:
        raise _beyond(
            f"{line}: {format_number(speed)} mm/min is faster than "
            f"{format_number(profile.max_speed)} mm/min (profile.max_speed)"
        )


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
    {
        *_SECONDS,
        *_MILLISECONDS,
        *_FILAMENT,
        *_FIXED,
        *_FACTORS,
        *("M200", "SET_GCODE_OFFSET"),
    }
)
"""The codes that have such a number."""


def _beyond(message: str) -> RejectedError:
    return RejectedError.invalid(message, error="out_of_limits")
