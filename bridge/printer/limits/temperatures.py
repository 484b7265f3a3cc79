"""Heater targets in lines of G-code, wherever they come from, and their limits."""

from bridge.commands.values import no_such_tool
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode import heating
from bridge.gcode.codes import Sets
from bridge.gcode.dialects import REPRAPFIRMWARE, Dialect
from bridge.gcode.line import Line, format_number

_ABSOLUTE_ZERO = -273.15
"""°C at which RepRapFirmware turns a heater off. Others, such as Teacup, keep targets
in integers without a sign, in which -1 is the highest number."""


def check(line: Line, profile: Profile, dialect: Dialect) -> None:
    """Refuse a line that heats beyond a limit, or a heater that is not there.

    Raises:
        RejectedError: ``out_of_limits``, ``no_such_tool``, ``no_heated_bed`` or
            ``no_heated_chamber``; ``invalid_payload``: it names a temperature that only
            the firmware knows.

    """
    row = line.row
    if row.sets is Sets.TOOL:
        _check_tool(line, _number_of(line.code), profile)
    elif row.tool and not (line.code == "G10" and "L" in line.values):
        # With L, the P of G10 is the number of a workspace.
        _check_tool(line, line.values.get(row.tool), profile)
    if row.heats:
        _check_targets(line, profile, dialect)


def _check_targets(line: Line, profile: Profile, dialect: Dialect) -> None:
    row = line.row
    for target in heating.targets(line):
        if target.tool is not None:
            _check_tool(line, target.tool, profile)
        _check_lowest(line, target.celsius, dialect)
        _check_target(line, target.heater, target.celsius, profile)
    _check_given(line, profile)
    if row.preset and row.preset in line.values:
        raise RejectedError.invalid(
            f"{line}: the temperature of the preset after {row.preset} is not known "
            "here, so the limits cannot be checked; give the temperature itself"
        )


def _check_given(line: Line, profile: Profile) -> None:
    """Refuse a line without the temperature that it heats to.

    Firmwares take one of their own then (Marlin's ``M303`` 150 °C, ``G26`` 205 °C and
    60 °C, its autotemp, ``F``, the maximum of its configuration), or that of another
    line, as Teacup does.
    """
    row, given = line.row, line.values.keys()
    if row.bare and not given:
        return
    groups = [group for group in row.must.split(",") if group]
    groups += [letter for first, letter in row.pairs if first in given]
    heaters = dict(row.heats)
    for group in groups:
        if heaters.get(group) == "bed" and not profile.heated_bed:
            continue
        if given.isdisjoint(group):
            raise RejectedError.invalid(
                f"{line}: must have {' or '.join(group)}, because some versions of the "
                "firmware would take a temperature of their own, or that of another "
                "line"
            )


def _number_of(code: str) -> float | None:
    number = code[1:]
    return float(number) if number.isdigit() else None


def _check_tool(line: Line, number: float | None, profile: Profile) -> None:
    if number is None:
        return
    if number != int(number) or not 0 <= number < profile.extruders:
        raise no_such_tool(f"{line}: ", int(number), profile.extruders)


def _check_lowest(line: Line, target: float, dialect: Dialect) -> None:
    lowest = _ABSOLUTE_ZERO if dialect is REPRAPFIRMWARE else 0.0
    if target < lowest:
        raise RejectedError.invalid(
            f"{line}: {format_number(target)} °C is below "
            f"{format_number(lowest)} °C; some firmwares would read a very high "
            "temperature",
            error="out_of_limits",
        )


def _check_target(line: Line, heater: str, target: float, profile: Profile) -> None:
    if heater == "any":
        # Whichever it is: the limit of the one that may be heated least.
        heater = min(_heaters(profile), key=lambda name: _highest(name, profile))
    highest = _highest(heater, profile)
    if target > highest:
        raise RejectedError.invalid(
            f"{line}: {format_number(target)} °C is beyond the {heater}'s limit of "
            f"{format_number(highest)} °C (profile.max_temperature.{heater})",
            error="out_of_limits",
        )
    if target > 0:
        check_heater(heater, profile)


def _heaters(profile: Profile) -> list[str]:
    bed = ["bed"] if profile.heated_bed else []
    return ["tool", *bed, *(["chamber"] if profile.heated_chamber else [])]


def _highest(heater: str, profile: Profile) -> float:
    highest: float = getattr(profile.max_temperature, heater)
    return highest


def check_heater(heater: str, profile: Profile) -> None:
    """Refuse the bed or the chamber where the profile has none.

    Raises:
        RejectedError: ``no_heated_bed`` or ``no_heated_chamber``.

    """
    if heater == "bed" and not profile.heated_bed:
        raise RejectedError.conflict(
            "this printer has no heated bed (profile.heated_bed)", "no_heated_bed"
        )
    if heater == "chamber" and not profile.heated_chamber:
        raise RejectedError.conflict(
            "this printer has no heated chamber (profile.heated_chamber)",
            "no_heated_chamber",
        )
