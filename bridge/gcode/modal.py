"""The firmware's modal state, as far as it can be told from what was sent."""

from dataclasses import dataclass, replace

from bridge.gcode import words

Axis = str  # one of x, y, z


@dataclass(frozen=True, slots=True)
class Modal:
    """What a line leaves behind for the next one. ``None``: nobody has said so yet.

    Attributes:
        relative: G91 is active (axes); the firmware's default is absolute.
        relative_e: M83 is active (extruder); the firmware's default is absolute.
        feedrate: the last F, in mm/min.
        tool: the selected tool, counted from 0.
        fan: part cooling, 0 to 100 %.
        speed_factor: M220, in %.
        flow_factor: M221, in %.

    """

    relative: bool = False
    relative_e: bool = False
    feedrate: float | None = None
    tool: int = 0
    fan: float | None = None
    speed_factor: float | None = None
    flow_factor: float | None = None


_FAN_FULL = 255
_MOVES = {"G0", "G1", "G2", "G3", "G5"}


def track(modal: Modal, line: str, *, e_follows_axes: bool = True) -> Modal:
    """Return the modal state after the firmware took this line.

    ``e_follows_axes``: G90 and G91 set the extruder's mode too, as in Marlin and
    RepRapFirmware; Klipper and Repetier keep it apart.
    """
    said = words.parse(line)
    values = said.values
    if said.code in _MOVES:
        feedrate = values.get("F")
        return replace(modal, feedrate=feedrate) if feedrate else modal
    if said.code.startswith("T") and said.code[1:].isdigit():
        return replace(modal, tool=int(said.code[1:]))
    match said.code:
        case "G90" | "G91":
            relative = said.code == "G91"
            relative_e = relative if e_follows_axes else modal.relative_e
            return replace(modal, relative=relative, relative_e=relative_e)
        case "M82" | "M83":
            return replace(modal, relative_e=said.code == "M83")
        case "M106" if not values.get("P"):
            speed = values.get("S")
            fan = 100.0 if speed is None else min(100.0, speed * 100 / _FAN_FULL)
            return replace(modal, fan=round(fan, 1))
        case "M107" if not values.get("P"):
            return replace(modal, fan=0.0)
        case "M220" if (factor := values.get("S")) is not None:
            return replace(modal, speed_factor=factor)
        case "M221" if (factor := values.get("S")) is not None:
            return replace(modal, flow_factor=factor)
    return modal
