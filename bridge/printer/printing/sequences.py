"""The lines that the bridge itself sends before and after those of a file."""

from collections.abc import Collection, Iterator
from math import isnan

from bridge.commands.base import Context
from bridge.commands.heaters import target_lines
from bridge.config import Profile
from bridge.gcode.line import format_number
from bridge.gcode.reply_types import PositionReport
from bridge.printer.printing.tracker import AXES, HeadPosition


def switching_off(context: Context) -> tuple[str, ...]:
    """Return the lines after a print that was cancelled or has failed.

    They turn off heaters, fan and motors, unless the operator has a script for it.
    """
    profile = context.profile
    tools = 1 if profile.shared_nozzle else profile.extruders
    heaters = [f"tool{index}" for index in range(tools)]
    heaters += ["bed"] if profile.heated_bed else []
    heaters += ["chamber"] if profile.heated_chamber else []
    off = target_lines(dict.fromkeys(heaters, 0.0), context)
    return (*off, "M107", "M84")


def completed(place: HeadPosition, reported: PositionReport | None) -> HeadPosition:
    """Return a place, completed with what the lines of the file do not say.

    After homing, for example, only the firmware knows the position.
    """
    if reported is None:
        return place
    return HeadPosition(
        x=reported.x if place.x is None else place.x,
        y=reported.y if place.y is None else place.y,
        z=reported.z if place.z is None else place.z,
        e=reported.e if place.e is None else place.e,
        shifts=place.shifts,
        feedrate=place.feedrate,
        relative=place.relative,
        relative_e=place.relative_e,
        tool=place.tool,
        fan=place.fan,
        retracted=place.retracted,
    )


def lost_axes(place: HeadPosition, homed: Collection[str]) -> list[str]:
    """Return the axes whose position before the pause is unknown after homing.

    Homing removes the shifts that a ``G92`` of the file has set, so these must be
    known.
    """
    return [axis for axis in homed if isnan(place.shifts.get(axis, 0.0))]


def returning(
    place: HeadPosition,
    now: PositionReport | None,
    profile: Profile,
    *,
    tool: int,
    homed: Collection[str] = (),
) -> Iterator[str]:
    """Yield the lines that restore the position and the modes after a pause.

    The head travels at the greater of both heights, so that it does not go through the
    part. The extruder's position is set, not moved to, so that filament which a script
    or a person has extruded meanwhile is not retracted.

    Args:
        place: where the print was paused.
        now: where the head is; ``None``: not known.
        profile: the printer's.
        tool: the tool that is selected now.
        homed: axes that were homed since. The shifts of ``G92`` have ended for them.

    """
    if tool != place.tool:
        yield f"T{place.tool}"
    yield "G90"
    ends = {axis: getattr(place, axis) for axis in AXES}
    shifts = {axis: place.shifts.get(axis, 0.0) for axis in homed}
    targets = {
        axis: at + shifts.get(axis, 0.0) for axis, at in ends.items() if at is not None
    }
    yield from _travel(targets, now, profile)
    renamed = [
        f"{axis.upper()}{format_number(ends[axis])}"
        for axis, shift in shifts.items()
        if shift and axis in targets
    ]
    if place.e is not None:
        renamed.append(f"E{format_number(place.e)}")
    if renamed:
        yield f"G92 {' '.join(renamed)}"
    yield from modes(place)


def _travel(
    targets: dict[str, float], now: PositionReport | None, profile: Profile
) -> Iterator[str]:
    z = targets.get("z")
    across = [
        f"{axis.upper()}{format_number(targets[axis])}"
        for axis in ("x", "y")
        if axis in targets
    ]
    speed, slow = format_number(profile.speeds.x), format_number(profile.speeds.z)
    up = z is not None and (now is None or now.z < z)
    if z is not None and up:
        yield f"G1 Z{format_number(z)} F{slow}"
    if across:
        yield f"G1 {' '.join(across)} F{speed}"
    if z is not None and not up:
        yield f"G1 Z{format_number(z)} F{slow}"


def modes(place: HeadPosition) -> Iterator[str]:
    """Yield the lines that restore the modes, the fan and the feedrate of a place."""
    yield "G91" if place.relative else "G90"
    yield "M83" if place.relative_e else "M82"
    if place.fan is not None:
        yield f"M106 S{format_number(place.fan)}" if place.fan else "M107"
    if place.feedrate is not None:
        yield f"G1 F{format_number(place.feedrate)}"
