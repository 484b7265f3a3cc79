"""Heater targets in lines of G-code, wherever they come from, and their limits."""

from collections.abc import Mapping

from bridge.commands.values import no_such_tool
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.codes import Sets
from bridge.gcode.line import Line, format_number
from bridge.gcode.line import targets as targets_of

_ABSOLUTE_ZERO = -273.15
_PARTS = ("tool", "bed", "chamber")


def check(line: Line, profile: Profile) -> None:
    """Refuse a line that heats beyond a limit, or a heater that is not there.

    Raises:
        RejectedError: ``out_of_limits``, ``no_such_tool``, ``no_heated_bed`` or
            ``no_heated_chamber``.

    """
    row = line.row
    if row.tool or row.sets is Sets.TOOL:
        _check_tool(line, profile)
    if not row.heats:
        return
    for target in targets_of(line):
        _check_target(line, target.heater, target.celsius, profile)
    if row.preset and row.preset in line.values:
        raise RejectedError.invalid(
            f"{line}: the temperature of the preset after {row.preset} is not known "
            "here, so the limits cannot be checked; give the temperature itself"
        )


def _check_tool(line: Line, profile: Profile) -> None:
    named = line.values.get(line.row.tool)
    if line.row.sets is Sets.TOOL:
        named = float(line.code[1:])
    if named is not None and not (
        0 <= named < profile.extruders and named == int(named)
    ):
        raise no_such_tool(f"{line}: ", int(named), profile.extruders)


def _check_target(line: Line, heater: str, target: float, profile: Profile) -> None:
    # Where it cannot be told which heater it is, it may be the one that bears least.
    parts = _PARTS if heater == "any" else (heater,)
    limits = {part: getattr(profile.max_temperature, part) for part in parts}
    part = min(_existing(limits, profile), key=limits.__getitem__)
    if not _ABSOLUTE_ZERO <= target <= limits[part]:
        raise RejectedError.invalid(
            f"{line}: {format_number(target)} °C is beyond the {part}'s limit of "
            f"{format_number(limits[part])} °C (profile.max_temperature.{part})",
            error="out_of_limits",
        )
    if target > 0:
        check_heater(part, profile)


def _existing(limits: Mapping[str, float], profile: Profile) -> list[str]:
    """Return the heaters that the printer has; if there is only one, that one."""
    missing = set()
    if not profile.heated_bed:
        missing.add("bed")
    if not profile.heated_chamber:
        missing.add("chamber")
    return [part for part in limits if part not in missing] or list(limits)


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
