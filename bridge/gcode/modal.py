"""The firmware's modal state, as far as it is known from the lines that were sent.

Modal codes hold until another one of their group follows: ``G90`` until ``G91``, a
feedrate until the next ``F``.
"""

from dataclasses import dataclass, replace
from typing import Any

from bridge.gcode import words
from bridge.gcode.words import Words


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

_FACTORS = {"M220": "speed_factor", "M221": "flow_factor"}


def track(modal: Modal, line: str, *, g90_sets_extruder: bool = True) -> Modal:
    """Return the modal state after the firmware has carried out this line.

    ``g90_sets_extruder``: G90 and G91 set the extruder's mode too, as in Marlin; others
    keep it apart.
    """
    said = words.parse(line)
    if said.code[:1] == "T" and said.code[1:].isdigit():
        return replace(modal, tool=int(said.code[1:]))
    changes = _changes(modal, said, g90_sets_extruder=g90_sets_extruder)
    return replace(modal, **changes) if changes else modal


def _changes(modal: Modal, said: Words, *, g90_sets_extruder: bool) -> dict[str, Any]:
    code, values = said.code, said.values
    factor = values.get("S")
    changes: dict[str, Any] = {}
    if code in _MOVES and values.get("F"):
        changes = {"feedrate": values["F"]}
    elif code in {"G90", "G91"}:
        relative = code == "G91"
        relative_e = relative if g90_sets_extruder else modal.relative_e
        changes = {"relative": relative, "relative_e": relative_e}
    elif code in {"M82", "M83"}:
        changes = dict.fromkeys(("relative_e", "own_relative_e"), code == "M83")
    elif code in {"M106", "M107"} and not values.get("P"):
        changes = {"fan": _fan(code, factor)}
    elif code in _FACTORS and factor is not None:
        changes = {_FACTORS[code]: factor}
    return changes


def _fan(code: str, speed: float | None) -> float:
    if code == "M107":
        return 0.0
    full = _FAN_FULL if speed is None else max(0.0, min(speed, _FAN_FULL))
    return round(full * 100 / _FAN_FULL, 1)
