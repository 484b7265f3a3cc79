"""Codes that change how the numbers of later lines are understood."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from bridge.errors import RejectedError
from bridge.gcode.line import Line, format_number
from bridge.printer.limits.coordinates import (
    AXES,
    HOME,
    MACHINE,
    OFFSET,
    SET,
    Coordinates,
    Frame,
)

MAX_BABY = 2.0
"""mm by which baby steps (``M290``, ``SET_GCODE_OFFSET Z``) may move an axis in total.
Firmwares execute them whatever the range of the axis, so the range does not limit them
here either."""

MAX_STEPS = 10.0
"""mm of all baby steps since the printer started. Some builds of Marlin add each step
to the probe's offset, so homing does not undo them
(https://marlinfw.org/docs/gcode/M290.html)."""

MAX_MESH = 10.0
"""mm by which codes may shift or bend the bed's mesh in total. The head follows the
mesh whatever the range of z."""

_MESH = "mesh"

Shifting = Callable[[Coordinates, Line, int], Coordinates]
"""Returns the coordinates after a line, for the number of the selected tool."""

# Planes of arcs, and workspaces (https://linuxcnc.org/docs/html/gcode/g-code.html).
_PLANES = {"G17": "xy", "G18": "xz", "G19": "yz"}
_WORKSPACES = ("G54", "G55", "G56", "G57", "G58", "G59", "G59.1", "G59.2", "G59.3")
_ORIGIN, _PRESENT_PLACE = 2, 20
"""``G10 L2`` sets the origin of a workspace; ``G10 L20`` sets it so that the present
position has the given coordinates."""

_SLACK = 1e-6  # mm; rounding errors


def restored(frame: Frame) -> Frame:
    """Return the frame after earlier shifts may have been restored, or ended."""
    if frame.offset != frame.offsets:
        frame = replace(frame, offset=frame.offsets)
    if any(what in {SET, OFFSET} for what, _ in frame.shifts):
        return frame.unsure(SET).unsure(OFFSET)
    return frame


def moves(line: Line) -> bool:
    """Return whether a code of :data:`MOVED_BY` changes the head's coordinates."""
    return line.code == "M428" or bool(_axes_of(line))


def _axes_of(line: Line) -> list[str]:
    return [axis for axis in AXES if axis.upper() in line.values]


def unsure(frame: Frame, line: Line) -> Frame:
    """Return the frame while a line is under way, or after it has failed."""
    kind = MOVED_BY.get(line.code)
    if kind is None:
        return frame
    axes = _axes_of(line)
    if kind == SET:
        return frame.unsure(SET, axes if line.values else AXES)
    if kind in {"T", "W"}:
        kind = _numbered(frame, line, kind)
    return frame.unsure(kind, axes or AXES)


def _numbered(frame: Frame, line: Line, kind: str) -> str:
    """Return which tool's offset, or which workspace, a line sets."""
    if "L" not in line.values:
        kind = "T"
    number = line.values.get("P", line.values.get("T"))
    default = frame.workspace if kind == "W" else 0
    return f"{kind}{int(number or default)}"


def without_workspaces(here: Coordinates, tool: int) -> Coordinates:
    """Return the coordinates if it is not certain that there are any workspaces."""
    shifts = {
        key: None if key[0][0] == "W" and mm != 0 else mm
        for key, mm in here.frame.shifts.items()
    }
    return _still(here, replace(here.frame, shifts=shifts), tool)


def _set_position(here: Coordinates, line: Line, _tool: int) -> Coordinates:
    """Follow ``G92``."""
    given = [letter for letter in line.values if letter in "XYZE"] or "XYZE"
    numbers = {letter.lower(): line.values.get(letter) for letter in given}
    changes = _set_shifts(here, numbers)
    frame = here.frame.shifted(SET, changes) if changes else here.frame
    position = {
        axis: at for axis, at in {**here.position, **numbers}.items() if at is not None
    }
    spans = {axis: span for axis, span in here.spans.items() if axis not in numbers}
    return Coordinates(position, spans, frame)


def _set_shifts(
    here: Coordinates, numbers: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return by how much ``G92`` shifts the axes to which it gives other numbers."""
    changes: dict[str, float | None] = {}
    for axis, value in numbers.items():
        before = here.position.get(axis)
        if axis == "e" or (before is not None and before == value):
            continue
        known = here.frame.shifts.get((SET, axis), 0.0)
        changes[axis] = _difference(_sum(known, before), value)
    return changes


def _plane(here: Coordinates, line: Line, _tool: int) -> Coordinates:
    return here.in_frame(here.frame.in_plane(_PLANES[line.code]))


def _workspace(here: Coordinates, line: Line, tool: int) -> Coordinates:
    number = _WORKSPACES.index(line.code) + 1
    frame = restored(here.frame)  # some firmwares end the shift of G92
    return _still(here, replace(_known(frame, number), workspace=number), tool)


def _known(frame: Frame, number: int) -> Frame:
    """Return the frame; a workspace that was never set has an origin nobody knows."""
    if number == 1 or any(what == f"W{number}" for what, _ in frame.shifts):
        return frame
    return frame.unsure(f"W{number}")


def _offset(here: Coordinates, line: Line, tool: int) -> Coordinates:
    """Follow ``G10``: a workspace, a tool's offset, or a retraction."""
    kind = line.values.get("L")
    number = line.values.get("P")
    axes = _axes_of(line)
    if not axes:
        return here
    if kind not in {_ORIGIN, _PRESENT_PLACE}:  # RepRapFirmware's offset of a tool
        which = tool if number is None else int(number)
        return _still(here, here.frame.unsure(f"T{which}", axes), tool)
    which = int(number or here.frame.workspace)
    values = {axis: line.values.get(axis.upper()) for axis in axes}
    if kind == _PRESENT_PLACE:
        values = _origins(here, values, tool)
    frame = _known(here.frame, which).shifted(f"W{which}", values)
    return _still(here, frame, tool)


def _origins(
    here: Coordinates, values: Mapping[str, float | None], tool: int
) -> dict[str, float | None]:
    """Return the origin of a workspace in which the present place is ``values``."""
    # With another shift in effect firmwares differ in what they count from.
    others = {axis for what, axis in here.frame.shifts if what[0] != "W"}
    return {
        axis: None if axis in others else _difference(here.machine(axis, tool), value)
        for axis, value in values.items()
    }


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _home_offset(here: Coordinates, line: Line, tool: int) -> Coordinates:
    """Follow ``M206`` and ``M428``.

    What the offset was before is stored in the firmware, and the profile's limits hold
    with that; some firmwares add the new one at once, others after homing.
    """
    axes = _axes_of(line)
    if not axes and line.code == "M206":
        return here
    return _still(here, here.frame.unsure(HOME, axes or AXES), tool)


def _tool_offset(here: Coordinates, line: Line, tool: int) -> Coordinates:
    """Follow ``M218``: the nozzle of the tool is that far from the first one's."""
    number = line.values.get("T")
    which = tool if number is None else int(number)
    offsets: dict[str, float | None] = {
        axis: -value
        for axis in AXES
        if (value := line.values.get(axis.upper())) is not None
    }
    return _still(here, here.frame.shifted(f"T{which}", offsets), tool)


def _still(here: Coordinates, frame: Frame, tool: int) -> Coordinates:
    """Return the place of a head that stays while its coordinates change."""
    position = dict(here.position)
    for axis in AXES:
        before, after = here.frame.shift(axis, tool), frame.shift(axis, tool)
        if before is not None and before == after:
            continue
        at = position.pop(axis, None)
        if at is not None and before is not None and after is not None:
            position[axis] = at + before - after
    return Coordinates(position, here.spans, frame)


def _babysteps(here: Coordinates, line: Line, _tool: int) -> Coordinates:
    """Follow ``M290``; each is a step, as Marlin reads it, also with ``R0``."""
    frame = here.frame
    for letter, value in line.values.items():
        axis = "z" if letter == "S" else letter.lower()
        if axis in AXES and value is not None:
            frame = _with_baby(frame, line, axis, value)
    return here.without(AXES).in_frame(frame)


def _mesh(here: Coordinates, line: Line, _tool: int) -> Coordinates:
    """Follow ``G29 P6 C``, which moves the mesh, and ``M421 Q``, which moves a point.

    Both add to what is there (https://marlinfw.org/docs/gcode/G029-ubl.html,
    https://marlinfw.org/docs/gcode/M421.html).
    """
    is_probing = line.code == "G29"
    shifts_all = is_probing and line.values.get("P") == _SHIFT_MESH
    letter = "C" if shifts_all else "Q"
    frame, more = here.frame, 0.0
    if shifts_all or not is_probing:
        more = line.values.get(letter) or 0.0
    if more:
        total = frame.baby.get(_MESH, 0.0) + more
        if abs(total) > MAX_MESH + _SLACK:
            raise RejectedError.invalid(
                f"{line}: the mesh would be moved by {format_number(total)} mm in all, "
                f"more than {format_number(MAX_MESH)} mm",
                error="out_of_limits",
            )
        frame = replace(frame, baby={**frame.baby, _MESH: total})
    return (here.without(AXES) if is_probing else here).in_frame(frame)


_SHIFT_MESH = 6  # ``G29 P6 C``: Marlin's Unified Bed Leveling shifts its mesh


def _with_baby(frame: Frame, line: Line, axis: str, step: float) -> Frame:
    baby = dict(frame.baby)
    for key, most, since in (
        (axis, MAX_BABY, "since it was homed"),
        (axis.upper(), MAX_STEPS, "in all"),
    ):
        baby[key] = baby.get(key, 0.0) + step
        _check_steps(line, axis, baby[key], most, since)
    return replace(frame, baby=baby)


def _check_steps(line: Line, axis: str, total: float, most: float, since: str) -> None:
    if abs(total) > most + _SLACK:
        raise RejectedError.invalid(
            f"{line}: {axis} would be moved by {format_number(total)} mm in small "
            f"steps {since}, more than {format_number(most)} mm",
            error="out_of_limits",
        )


def _gcode_offset(here: Coordinates, line: Line, _tool: int) -> Coordinates:
    """Follow Klipper's ``SET_GCODE_OFFSET``; with ``MOVE`` the coordinates stay."""
    frame, changed = here.frame, []
    for axis in AXES:
        value, more = (line.values.get(axis.upper() + end) for end in ("", "_ADJUST"))
        if value is not None or more is not None:
            changed.append(axis)
            frame = _adjusted(frame, line, axis, value, more or 0.0)
    if line.values.get("MOVE"):
        return here.in_frame(frame)
    return here.without(changed).in_frame(frame)


def _adjusted(
    frame: Frame, line: Line, axis: str, value: float | None, more: float
) -> Frame:
    """Return the frame with an offset of ``value``, or of ``more`` than before."""
    if axis == "z":
        least, most = frame.offset if value is None else (0.0, 0.0)
        step = value or more
        offset = (least + step, most + step)
        for total in offset:
            _check_steps(line, axis, total, MAX_BABY, "in all")
        lowest, highest = frame.offsets
        offsets = (min(lowest, offset[0]), max(highest, offset[1]))
        return replace(frame, offset=offset, offsets=offsets)
    known = frame.shifts.get((OFFSET, axis), 0.0)
    return frame.shifted(OFFSET, {axis: _sum(known, more) if value is None else value})


def _machine_position(here: Coordinates, line: Line, tool: int) -> Coordinates:
    """Follow Smoothieware's ``G92.4``, which says where the axes are.

    Homing finds out where they really are.
    """
    return _still(here, here.frame.unsure(MACHINE, _axes_of(line) or AXES), tool)


def _retraction(here: Coordinates, line: Line, _tool: int) -> Coordinates:
    """Follow what sets the lengths of ``G10`` and ``G11``."""
    return here.in_frame(retracting(here.frame, line))


def retracting(frame: Frame, line: Line, *, surely: bool = True) -> Frame:
    """Return the frame after a line of :data:`RETRACTIONS`.

    ``surely``: it was carried out; otherwise it may have been.
    """
    lengths, extras = RETRACTIONS[line.code]
    given = [abs(mm) for mm in _numbers(line, lengths)]
    more = _numbers(line, extras)
    if given:
        before = 0.0 if surely else frame.retraction or 0.0
        frame = replace(frame, retraction=max(*given, before))
    if not more:
        return frame
    # What M208 does not say stays: W is for tool changes, S for all other retractions.
    if surely and len(more) == len(extras):
        return replace(frame, recovery=(min(more), max(more)))
    least, most = frame.recovery
    return replace(frame, recovery=(min(least, *more), max(most, *more)))


def _numbers(line: Line, letters: tuple[str, ...]) -> list[float]:
    return [line.values[key] or 0.0 for key in letters if key in line.values]


RETRACTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "M207": (("S", "W"), ("R",)),
    "M208": ((), ("S", "W")),
    "SET_RETRACTION": (("RETRACT_LENGTH",), ("UNRETRACT_EXTRA_LENGTH",)),
}
"""Letters for the length of ``G10``, and for what ``G11`` pushes in addition
(https://marlinfw.org/docs/gcode/M207.html, https://marlinfw.org/docs/gcode/M208.html;
``R`` is RepRapFirmware's)."""

MOVED_BY = {
    "G10": "W",
    "G92": SET,
    "M206": HOME,
    "M218": "T",
    "M428": HOME,
    "SET_GCODE_OFFSET": OFFSET,
}
"""Codes that change the coordinates of a head that stays, and what they change."""

MESHES = frozenset({"G29", "M421"})
"""Codes that may move the bed's mesh."""

SPACES = frozenset({*_WORKSPACES, "G10"})
"""Codes of workspaces."""

FOLLOWED: Mapping[str, Shifting] = {
    **dict.fromkeys(_PLANES, _plane),
    **dict.fromkeys(_WORKSPACES, _workspace),
    "G10": _offset,
    "G92": _set_position,
    **dict.fromkeys(("G92.4", "G28.3", "G28.4"), _machine_position),
    **dict.fromkeys(RETRACTIONS, _retraction),
    "M206": _home_offset,
    "M218": _tool_offset,
    **dict.fromkeys(MESHES, _mesh),
    "M290": _babysteps,
    "M428": _home_offset,
    "SET_GCODE_OFFSET": _gcode_offset,
}
"""By code."""
