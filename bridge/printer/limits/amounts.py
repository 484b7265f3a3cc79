"""Numbers that are bounded wherever the head is: waits, cycles, factors, lengths."""

from collections.abc import Mapping

from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.codes import Argument, Sets
from bridge.gcode.line import Line, format_number
from bridge.validation_errors import shown

MAX_CYCLES = 50.0
"""Cycles of a heater's tuning; one takes up to 20 minutes."""

MAX_FACTOR = 1000.0
"""Limit of the speed and flow factors in percent, as in the commands that set them."""

MAX_PROBE_OFFSET = 10.0
"""mm of a probe's offset along z. With a wrong offset, the firmware believes that the
nozzle is above the bed after homing, while it is pressed into the bed."""

MAX_PROBE_DISTANCE = 100.0
"""mm from the nozzle to the probe along x and y. The head moves that much further to
place the probe over a point."""

# Letters that are times, which are limited because the printer accepts nothing else
# meanwhile (https://marlinfw.org/meta/gcode/). T of M190 is how long the bed cools.
_SECONDS = {**dict.fromkeys(("G4", "M0", "M1", "M400"), ("S",)), "M190": ("T",)}
_MILLISECONDS = {
    **dict.fromkeys(("G4", "M0", "M1", "M300", "M400"), ("P",)),
    "M240": ("D", "P"),
}
_FILAMENT: Mapping[str, tuple[str, ...]] = {
    "G26": ("P", "O"),
    "M125": ("L",),
    "M207": ("S", "R", "W"),
    "M208": ("S", "W"),
    "M217": ("S", "E", "B"),
    "M240": ("R",),
    "M600": ("E", "L", "U"),
    "M603": ("L", "U"),
    "M701": ("L",),
    "M702": ("U",),
    "SET_RETRACTION": ("RETRACT_LENGTH", "UNRETRACT_EXTRA_LENGTH"),
}
"""Letters that are lengths of filament, which this or a later code moves
(https://marlinfw.org/meta/gcode/, https://www.klipper3d.org/G-Codes.html)."""

MAX_RAISE = 10.0
"""mm by which the head is raised at each retraction (``M207 Z``), and by which a point
of the bed's mesh may differ (``M421``). Neither is included in the range of z."""

MAX_BACKLASH = 2.0
"""mm of backlash, which is moved in addition whenever the direction changes."""

MAX_PATTERN = 50.0
"""mm of moves around a place that is configured in the firmware, for cleaning the
nozzle and raising the head."""

MAX_STROKES = 100.0
"""Strokes and triangles of a cleaning pattern."""

MAX_TEST = 5.0
"""mm of one step of ``TESTZ``; Klipper limits the sum of the steps by ``position_min``
(https://www.klipper3d.org/G-Codes.html#manual_probe)."""

MAX_ADVANCE = 2.0
"""Seconds of pressure advance. It moves as much additional filament as is extruded in
that time; long Bowden tubes need up to 1."""

MAX_COEFFICIENT = 0.1
"""mm per °C by which the trigger height of the probe may change; real coefficients are
a few micrometres."""

MAX_MICROSTEPS = 1000.0
"""Microsteps of the z axis by which Prusa's firmware corrects the trigger height of its
probe at a temperature; 400 are one millimetre."""

MAX_OLD_ADVANCE = 200.0
"""``K`` of ``M900`` in versions with other units (linear advance 1.0), in which 30 to
100 are common; versions that use seconds have a limit of 10 of their own
(https://marlinfw.org/docs/features/lin_advance.html)."""

_SECONDS_PER_MINUTE = 60.0

# For each code, the letters with a fixed limit, the limit and its unit. Sources:
# https://marlinfw.org/meta/gcode/ (G12, G29, G34, G425, M207, M217, M240, M42x, M851),
# https://docs.duet3d.com/User_manual/Reference/Gcodes (G30 H, G31, M558, M572),
# Prusa's documentation (M861, M871) and https://www.klipper3d.org/G-Codes.html.
_FIXED: Mapping[str, tuple[tuple[str, float, str], ...]] = {
    "G12": (("R", MAX_PATTERN, "mm"), ("S", MAX_STROKES, ""), ("T", MAX_STROKES, "")),
    "G28": (("R", MAX_PATTERN, "mm"),),
    "G29": (("Z", MAX_RAISE, "mm"), ("C", MAX_RAISE, "mm")),
    "G30": (("H", MAX_RAISE, "mm"),),
    "G31": (
        *(("X", MAX_PROBE_DISTANCE, "mm"), ("Y", MAX_PROBE_DISTANCE, "mm")),
        ("Z", MAX_PROBE_OFFSET, "mm"),
        *(("C", MAX_COEFFICIENT, "mm/°C"), ("T", MAX_COEFFICIENT, "mm/°C")),
    ),
    "G34": (("Z", MAX_PATTERN, "mm"),),
    "M207": (("Z", MAX_RAISE, "mm"),),
    "G134": (("Z", MAX_PROBE_OFFSET, "mm"),),
    "G425": (("U", MAX_PATTERN, "mm"),),
    "M217": (("Z", MAX_PATTERN, "mm"),),
    "M240": (("Z", MAX_PATTERN, "mm"),),
    "M303": (("C", MAX_CYCLES, "cycles"), ("R", MAX_CYCLES, "cycles")),
    "M421": (("Z", MAX_RAISE, "mm"), ("Q", MAX_RAISE, "mm")),
    "M423": (("Z", MAX_RAISE, "mm"),),
    "M425": (
        *(("X", MAX_BACKLASH, "mm"), ("Y", MAX_BACKLASH, "mm")),
        *(("Z", MAX_BACKLASH, "mm"), ("F", 1.0, "")),
    ),
    "M572": (("S", MAX_ADVANCE, "s"),),
    "M558": (("H", MAX_PATTERN, "mm"),),
    "M851": (
        *(("X", MAX_PROBE_DISTANCE, "mm"), ("Y", MAX_PROBE_DISTANCE, "mm")),
        ("Z", MAX_PROBE_OFFSET, "mm"),
    ),
    "M861": (("S", MAX_MICROSTEPS, "microsteps"),),
    "M871": (("V", 1000 * MAX_PROBE_OFFSET, "µm"),),
    "M900": (("K", MAX_OLD_ADVANCE, ""),),
    "SET_PRESSURE_ADVANCE": (("ADVANCE", MAX_ADVANCE, "s"),),
    "TESTZ": (("Z", MAX_TEST, "mm"),),
}
_SPEEDS: Mapping[str, tuple[tuple[str, float], ...]] = {
    **dict.fromkeys(
        ("G30", "G42", "G61", "G161", "G162", "M125", "M402", "T"), (("F", 1.0),)
    ),
    **{f"G38{sub}": (("F", 1.0),) for sub in ("", ".2", ".3", ".4", ".5")},
    **dict.fromkeys(("M207", "M208", "M558"), (("F", 1.0), ("Q", 1.0), ("T", 1.0))),
    "G29": (("S", 1.0),),
    "M217": (("P", 1.0), ("R", 1.0), ("U", 1.0)),
    "M240": (("F", 1.0), ("S", 1.0)),
    "MANUAL_STEPPER": (("SPEED", _SECONDS_PER_MINUTE),),
    "SET_RETRACTION": (
        ("RETRACT_SPEED", _SECONDS_PER_MINUTE),
        ("UNRETRACT_SPEED", _SECONDS_PER_MINUTE),
    ),
    **dict.fromkeys(
        ("RESTORE_GCODE_STATE", "SET_GCODE_OFFSET"),
        (("MOVE_SPEED", _SECONDS_PER_MINUTE),),
    ),
    **dict.fromkeys(
        (
            *("PROBE", "PROBE_ACCURACY", "PROBE_CALIBRATE", "BED_MESH_CALIBRATE"),
            *("QUAD_GANTRY_LEVEL", "Z_TILT_ADJUST", "SCREWS_TILT_CALCULATE"),
            *("BED_TILT_CALIBRATE", "DELTA_CALIBRATE", "MANUAL_PROBE"),
            *("Z_ENDSTOP_CALIBRATE", "AXIS_TWIST_COMPENSATION_CALIBRATE"),
        ),
        tuple(
            (name, _SECONDS_PER_MINUTE)
            for name in ("SPEED", "PROBE_SPEED", "LIFT_SPEED")
        ),
    ),
}
"""Letters that are speeds of moves whose destination is not in the line, and the factor
that converts them to mm/min. ``T`` stands for all tools."""

_PLACES = dict.fromkeys(("M217", "M422", "M557"), "XY")
"""Letters that are places to which a later code moves."""

_AWAITED = {
    "TEMPERATURE_WAIT": (("MINIMUM", "tool"),),
    "M192": (("R", "bed"), ("S", "bed")),
    "M860": (("S", "bed"),),
}
"""Temperatures that a code waits for, and the heater that must be able to reach them. A
probe does not become warmer than the bed below it."""

_NOT_NEGATIVE = {"M130", "M131", "M132", "M133", "M301", "M304"}
"""Codes that set the factors of a PID controller. With a negative factor, a controller
heats more the hotter it is."""

_DECIMAL_ONLY = {
    *("SET_GCODE_OFFSET", "RESTORE_GCODE_STATE", "SET_RETRACTION"),
    *("SET_PRESSURE_ADVANCE", "MANUAL_STEPPER", "TEMPERATURE_WAIT", "TESTZ"),
}
"""Extended commands whose values are numbers, apart from a few names."""

# The bit of M111 with the value 8 is the dry run of Marlin and Repetier, in which later
# lines are not fully executed (https://marlinfw.org/docs/gcode/M111.html).
_DEBUG, _DRY_RUN = "M111", 8
_STEPS = {"+", "-", "++", "--"}
"""What ``TESTZ`` takes instead of a number (https://www.klipper3d.org/G-Codes.html)."""

MIN_DIAMETER = 1.2
"""mm of filament diameter in ``M200``. No filament is thinner, and below 1.13 mm one
unit of E (1 mm³) would be more than a millimetre of filament."""

_FACTORS = {"M220", "M221"}
_MAX_MILLI = 1000.0  # G4 P counts milliseconds, others seconds


def key_of(line: Line) -> str:
    """Return the key of a line's limits in this module; that of every tool is T."""
    return "T" if line.row.sets is Sets.TOOL else line.code


def check(line: Line, profile: Profile) -> None:
    """Refuse a line with a number that is too large, whatever came before it.

    Raises:
        RejectedError: ``out_of_limits``.

    """
    code = key_of(line)
    _check_waits(line, profile)
    _check_letters(line, code, profile)
    if code in _NOT_NEGATIVE:
        _check_signs(line)
    elif code in _FACTORS:
        _check_factor(line)
    elif code == "M200":
        _check_diameter(line)
    elif code == _DEBUG:
        _check_debug(line)
    elif line.row.argument is Argument.NAMES:
        _check_decimal(line)
        _check_offset(line)


def _check_letters(line: Line, code: str, profile: Profile) -> None:
    for letter in _FILAMENT.get(code, ()):
        _check(line, letter, profile.max_extrusion, "mm (profile.max_extrusion)")
    for letter, most, unit in _FIXED.get(code, ()):
        _check(line, letter, most, unit)
    for letter, unit_of_speed in _SPEEDS.get(code, ()):
        _check_speed(line, profile, letter, unit_of_speed)
    for letter, heater in _AWAITED.get(code, ()):
        highest = getattr(profile.max_temperature, heater)
        _check(line, letter, highest, "°C, so it would never end")
    for letter in _PLACES.get(code, ""):
        _check_place(line, letter, profile)


def _numbers(line: Line, letter: str) -> tuple[float, ...]:
    """Return a letter's numbers: a list has several of them (``F600:180``)."""
    value = line.values.get(letter)
    if value is None:
        return ()
    text = dict(line.parameters).get(letter, "") if ":" in line.text else ""
    if ":" in text:
        return tuple(float(number) for number in text.split(":"))
    return (value,)


def _check_waits(line: Line, profile: Profile) -> None:
    for letter in _SECONDS.get(line.code, ()):
        for seconds in _numbers(line, letter):
            _check_wait(line, seconds, profile)
    for letter in _MILLISECONDS.get(line.code, ()):
        for milliseconds in _numbers(line, letter):
            _check_wait(line, milliseconds / _MAX_MILLI, profile)


def _check_signs(line: Line) -> None:
    for letter in line.values:
        for number in _numbers(line, letter):
            if number < 0:
                raise _beyond(
                    f"{line}: {letter}{format_number(number)} must not be negative: "
                    "the heater would heat more, the hotter it is"
                )


def _check_debug(line: Line) -> None:
    if int(line.values.get("S") or 0) & _DRY_RUN:
        raise _beyond(
            f"{line}: in a dry run the printer would not carry out later lines, not "
            "even those that turn heaters off"
        )


def _check_place(line: Line, letter: str, profile: Profile) -> None:
    reach = getattr(profile.volume, letter.lower())
    for at in _numbers(line, letter) if reach is not None else ():
        if not reach[0] <= at <= reach[1]:
            raise _beyond(
                f"{line}: {letter}{format_number(at)} is outside "
                f"{format_number(reach[0])} to {format_number(reach[1])} mm "
                f"(profile.volume.{letter.lower()})"
            )


def _check_speed(line: Line, profile: Profile, letter: str, unit: float) -> None:
    speed = max(_numbers(line, letter), default=0.0) * unit
    if speed > profile.max_speed:
        raise _beyond(
            f"{line}: {format_number(speed)} mm/min is faster than "
            f"{format_number(profile.max_speed)} mm/min (profile.max_speed)"
        )


def _check_decimal(line: Line) -> None:
    """Refuse notations that Klipper reads as numbers, and the bridge does not.

    Python's ``float`` reads ``1e2``, ``1_0`` and ``inf``.
    """
    names = {"NAME", "EXTRUDER", "STEPPER", "SENSOR"}
    steps = _STEPS if line.code == "TESTZ" else ()
    bounded = {name for name, _ in _SPEEDS.get(line.code, ())}
    for key, value in line.parameters:
        if key not in bounded and line.code not in _DECIMAL_ONLY:
            continue
        if key not in line.values and key not in names and value not in steps:
            raise RejectedError.invalid(
                f"{line}: {key} must be a decimal number, not {shown(value)}"
            )


def _check_diameter(line: Line) -> None:
    numbers = dict(line.parameters).get("D", "")
    for number in numbers.split(":"):
        if number and not (float(number) == 0 or float(number) >= MIN_DIAMETER):
            raise _beyond(
                f"{line}: {number} mm is not a filament diameter; it must be at least "
                f"{format_number(MIN_DIAMETER)} mm"
            )


def _check_offset(line: Line) -> None:
    if line.code != "SET_GCODE_OFFSET":
        return
    for key, value in line.values.items():
        if key[0] == "E" and value:
            raise _beyond(
                f"{line}: {key} would move filament that no limit counts; use G1 E"
            )


def _check(line: Line, letter: str, most: float, unit: str) -> None:
    for number in _numbers(line, letter):
        if abs(number) > most:
            raise _beyond(
                f"{line}: {letter}{format_number(number)} is more than "
                f"{format_number(most)} {unit}"
            )


def _check_wait(line: Line, seconds: float, profile: Profile) -> None:
    if not 0 <= seconds <= profile.max_dwell:
        raise _beyond(
            f"{line}: {format_number(seconds)} s are not between 0 and "
            f"{format_number(profile.max_dwell)} s (profile.max_dwell); meanwhile, an "
            "emergency stop may not work"
        )


def _check_factor(line: Line) -> None:
    for factor in _numbers(line, "S"):
        if not 0 <= factor <= MAX_FACTOR:
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
        *_SPEEDS,
        *_PLACES,
        *_AWAITED,
        *_NOT_NEGATIVE,
        *("M200", _DEBUG),
    }
)
"""The codes that have such a number; see :func:`key_of`."""


def _beyond(message: str) -> RejectedError:
    return RejectedError.invalid(message, error="out_of_limits")
