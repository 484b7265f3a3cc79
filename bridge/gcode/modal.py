"""The firmware's modal state, as far as it is known from the lines that were sent.

Modal codes hold until another one of their group follows: ``G90`` until ``G91``, a
feedrate until the next ``F``.
"""

from dataclasses import dataclass, replace

from bridge.gcode.codes import Sets
from bridge.gcode.line import Line, read


@dataclass(frozen=True, slots=True)
class Modal:
    """What the lines so far have set. ``None``: no line has set it yet.

    Attributes:
        relative: G91 is active (axes); the firmware's default is absolute.
        relative_e: M83 is active (extruder); the firmware's default is absolute.
        own_relative_e: M83 was sent after any M82; kept beside ``relative_e`` because
            some firmwares, such as Marlin before version 2, keep it over a G90.
        feedrate: the last F, in mm/min.
        tool: the selected tool, counted from 0.
        fan: part cooling, 0 to 100 %.
        speed_factor: M220, in %.
        flow_factor: M221, in %.

    """

    relative: bool = False
    relative_e: bool = False
    own_relative_e: bool = False
    feedrate: float | None = None
    tool: int = 0
    fan: float | None = None
    speed_factor: float | None = None
    flow_factor: float | None = None


_FAN_FULL = 255
"""``M106`` without ``S`` means full speed, as ``S255`` does
(https://marlinfw.org/docs/gcode/M106.html)."""


def track(modal: Modal, line: str | Line, *, g90_sets_extruder: bool = True) -> Modal:
    """Return the modal state after the firmware has carried out this line.

    ``g90_sets_extruder``: G90 and G91 set the extruder's mode too, as in Marlin; others
    keep it apart. Only moves set the feedrate: ``F`` means other things elsewhere, such
    as Marlin's autotemp factor in ``M109``.
    """
    said = line if isinstance(line, Line) else read(line)
    row = said.row
    if row.is_move:
        feedrate = said.values.get("F")
        changes = feedrate and feedrate != modal.feedrate
        return replace(modal, feedrate=feedrate) if changes else modal
    match row.sets:
        case Sets.NOTHING:
            return modal
        case Sets.TOOL:
            return replace(modal, tool=int(said.code[1:]))
        case Sets.RELATIVE | Sets.ABSOLUTE as mode:
            relative = mode is Sets.RELATIVE
            relative_e = relative if g90_sets_extruder else modal.relative_e
            return _with_modes(modal, (relative, relative_e, modal.own_relative_e))
        case Sets.RELATIVE_E | Sets.ABSOLUTE_E as mode:
            own = mode is Sets.RELATIVE_E
            return _with_modes(modal, (modal.relative, own, own))
        case factor_or_fan:
            return _with_number(modal, factor_or_fan, said)


def _with_modes(modal: Modal, modes: tuple[bool, bool, bool]) -> Modal:
    if modes == (modal.relative, modal.relative_e, modal.own_relative_e):
        return modal
    # As dataclasses.replace() does, in half the time: each jog needs it several times.
    return Modal(
        *modes,
        modal.feedrate,
        modal.tool,
        modal.fan,
        modal.speed_factor,
        modal.flow_factor,
    )


def _with_number(modal: Modal, sets: Sets, said: Line) -> Modal:
    number = said.values.get("S")
    if sets is Sets.SPEED:
        return modal if number is None else replace(modal, speed_factor=number)
    if sets is Sets.FLOW:
        return modal if number is None else replace(modal, flow_factor=number)
    if said.values.get("P"):
        return modal  # another fan than that for part cooling
    return replace(modal, fan=0.0 if sets is Sets.FAN_OFF else _percent(number))


def _percent(speed: float | None) -> float:
    full = _FAN_FULL if speed is None else max(0.0, min(speed, _FAN_FULL))
    return round(full * 100 / _FAN_FULL, 1)
