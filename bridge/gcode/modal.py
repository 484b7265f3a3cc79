"""The firmware's modal state, as far as it is known from the lines that were sent.

Modal codes hold until another one of their group follows: ``G90`` until ``G91``, a
feedrate until the next ``F``.
"""

from dataclasses import dataclass, replace

from bridge.gcode import words


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
"""``M106`` without ``S`` is full speed; ``S255`` is the same (Marlin)."""

_MOVES = {"G0", "G1", "G2", "G3", "G5"}
"""Only moves set the feedrate: ``F`` means other things elsewhere (Marlin's
autotemp factor in ``M109``)."""

_FANS = {"M106", "M107"}
_FACTORS = {"M220": "speed_factor", "M221": "flow_factor"}


def track(  # noqa: PLR0911 - one for each group of modal codes
    modal: Modal, line: str, *, g90_sets_extruder: bool = True
) -> Modal:
    """Return the modal state after the firmware has carried out this line.

    ``g90_sets_extruder``: G90 and G91 set the extruder's mode too, as in Marlin; others
    keep it apart.
    """
    said = words.parse(line)
    code, values = said.code, said.values
    if code in _MOVES:
        feedrate = values.get("F")
        return replace(modal, feedrate=feedrate) if feedrate else modal
    if code in {"G90", "G91"}:
        relative = code == "G91"
        relative_e = relative if g90_sets_extruder else modal.relative_e
        return replace(modal, relative=relative, relative_e=relative_e)
    if code in {"M82", "M83"}:
        relative = code == "M83"
        return replace(modal, relative_e=relative, own_relative_e=relative)
    if code in _FANS and not values.get("P"):
        return replace(modal, fan=_fan(code, values.get("S")))
    if code in _FACTORS and (factor := values.get("S")) is not None:
        return replace(modal, **{_FACTORS[code]: factor})  # type: ignore[arg-type]  # all floats
    if code[:1] == "T" and code[1:].isdigit():
        return replace(modal, tool=int(code[1:]))
    return modal


def _fan(code: str, speed: float | None) -> float:
    if code == "M107":
        return 0.0
    full = _FAN_FULL if speed is None else max(0.0, min(speed, _FAN_FULL))
    return round(full * 100 / _FAN_FULL, 1)
