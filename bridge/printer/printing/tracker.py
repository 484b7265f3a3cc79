"""The effects of the lines of a file so far: modes, position, layers, filament.

The bridge knows this for a print that it sends itself; a print from the card does not
report it. A pause restores it, a checkpoint saves it, and ``job/state`` shows it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import hypot

from bridge.gcode.codes import Moves, Sets
from bridge.gcode.dialects import Dialect
from bridge.gcode.heating import targets
from bridge.gcode.line import MOVES, Line

AXES = ("x", "y", "z")

SAME_HEIGHT = 0.005
"""Two heights that differ by less than this, in mm, are the same layer; slicers round
to 0.001 mm."""

_LAYER = re.compile(
    r";\s*(?:(?P<cura>LAYER):\s*-?\d+"
    r"|(?P<prusa>LAYER_CHANGE)\b"
    r"|(?P<bambu>CHANGE_LAYER)\b"
    r"|(?P<simplify>layer) \d+,"
    r"|(?P<kiss>BEGIN_LAYER_OBJECT) z=(?P<z>\d{1,6}(?:\.\d+)?)(?!\d))",
    re.ASCII | re.IGNORECASE,
)
"""How slicers mark a layer: Cura and ideaMaker, PrusaSlicer and its forks, Bambu
Studio, Simplify3D, KISSlicer (once for each object). A file has one kind; some have a
second one for the same layers."""

_ELAPSED = re.compile(r";TIME_ELAPSED:(?P<seconds>\d{1,8}(?:\.\d+)?)(?!\d)", re.ASCII)
"""Cura's time at the end of a layer, in seconds."""

SETTINGS: Mapping[str, str] = {
    **dict.fromkeys(("G17", "G18", "G19"), ""),
    **dict.fromkeys(("M201", "M203"), "T"),
    **dict.fromkeys(("M204", "M205", "M566", "M593", "M420"), ""),
    **dict.fromkeys(("M207", "M208", "M220"), ""),
    "M218": "T",
    "M221": "TD",
    "M900": "T",
    "M572": "D",
    "M106": "P",
    "M107": "P",
    "SET_PRESSURE_ADVANCE": "EXTRUDER",
    **dict.fromkeys(("SET_VELOCITY_LIMIT", "SET_RETRACTION"), ""),
    "SET_INPUT_SHAPER": "",
    "BED_MESH_PROFILE": "",
}
"""Codes that set something until the firmware is reset, and move and heat nothing; with
the names of what chooses the thing that is set: a tool, an extruder or a fan. What is
no mode of the head, and is the same for all moves: accelerations, jerk, speed and flow
factors, pressure advance, retraction by the firmware, offsets of tools, further fans,
the plane of arcs, and whether the measured bed is levelled out."""

_OF_TOOL = {"M221": " T{}", "M900": " T{}", "SET_PRESSURE_ADVANCE": " EXTRUDER={}"}
"""Those that apply to the selected tool if they do not name one, and how to name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPosition:
    """Where the head is after a line, and in which modes; ``None``: not known.

    Attributes:
        x: in mm, in the coordinates of the file; as ``y`` and ``z``.
        y: likewise.
        z: likewise.
        e: the extruder's position in mm.
        shifts: machine less file coordinates by axis in mm, as ``G92`` has set them;
            without those that are 0. NaN: not known.
        feedrate: the last F, in mm/min.
        relative: G91 holds for the axes.
        relative_e: M83 holds for the extruder.
        tool: the selected tool.
        fan: the part cooling fan, 0 to 255.
        retracted: mm of filament that were pulled back and not pushed again.

    """

    x: float | None = None
    y: float | None = None
    z: float | None = None
    e: float | None = None
    shifts: Mapping[str, float] = field(default_factory=dict)
    feedrate: float | None = None
    relative: bool = False
    relative_e: bool = False
    tool: int = 0
    fan: float | None = None
    retracted: float = 0.0


class Tracker:
    """Follows the lines of one file; :meth:`apply` is called for each, in order.

    A move takes about 2 µs. Nothing is kept of the lines themselves.

    Args:
        dialect: how the firmware understands modes.
        place: where the head is before the first line, and in which modes.

    Attributes:
        layer: the number of the present layer, counted from 1; 0 before the first.
        layer_z: the height at which it was extruded last in mm; ``None``: never.
        elapsed: seconds of the print, as comments of the file say; ``None``: none does.
        targets: °C by heater, as the lines have set them.
        box: the least and the greatest X and Y of extruding moves: ``[x, X, y, Y]``;
            ``None`` before the first.

    """

    def __init__(self, dialect: Dialect, place: HeadPosition = HeadPosition()) -> None:
        self._dialect = dialect
        self.x, self.y, self.z, self.e = place.x, place.y, place.z, place.e
        self.shifts = dict(place.shifts)
        self.feedrate = place.feedrate
        self.relative, self.relative_e = place.relative, place.relative_e
        self.tool, self.fan = place.tool, place.fan
        self.targets: dict[str, float] = {}
        self.layer = 0
        self.layer_z: float | None = None
        self.elapsed: float | None = None
        self.box: list[float] | None = None
        self._settings: dict[tuple[str, ...], tuple[Line, int]] = {}
        self._several_tools = False
        self._marker = ""  # the kind of comment that marks layers in this file
        self._marked_z = 0.0
        self._top = float("-inf")  # the greatest height of a layer
        self._fed = 0.0  # mm of filament, less what was pulled back
        self._used = 0.0  # the most that this ever was

    @property
    def marked(self) -> bool:
        """Whether comments mark the layers of this file."""
        return self._marker != ""

    @property
    def filament(self) -> float:
        """Filament that was used, in mm; what was pulled back and pushed again once."""
        return self._used

    def forget_filament(self, used: float) -> None:
        """Limit the filament to this, because moves since then were left out."""
        retracted = self._used - self._fed
        self._used, self._fed = used, used - retracted

    @property
    def place(self) -> HeadPosition:
        """The position and the modes of the head."""
        return HeadPosition(
            x=self.x,
            y=self.y,
            z=self.z,
            e=self.e,
            shifts={axis: by for axis, by in self.shifts.items() if by},
            feedrate=self.feedrate,
            relative=self.relative,
            relative_e=self.relative_e,
            tool=self.tool,
            fan=self.fan,
            retracted=self._used - self._fed,
        )

    def factor(self, code: str) -> float | None:
        """Return the percentage that ``M220`` or ``M221`` last set, if any."""
        found = [
            line.values.get("S")
            for line, _ in self._settings.values()
            if line.code == code
        ]
        return found[-1] if found else None

    @property
    def settings(self) -> tuple[str, ...]:
        """The lines that restore all :data:`SETTINGS` in effect.

        Of lines with the same letters, only the last one is kept, and the order is that
        of the file. So the last line that set a value is among them, and no later one
        changes it, whatever the letters mean to the firmware.
        """
        return tuple(self._for_tool(line, to) for line, to in self._settings.values())

    def _for_tool(self, line: Line, tool: int) -> str:
        """Return a setting, with its tool if the file has several and it names none."""
        named = _OF_TOOL.get(line.code, "")
        if not self._several_tools or not named or _selectors(line):
            return line.text
        klipper = line.code == "SET_PRESSURE_ADVANCE"
        name = f"extruder{tool or ''}" if klipper else str(tool)
        return line.text + named.format(name)

    def comment(self, text: str) -> bool:
        """Process a comment; return whether a layer begins with it."""
        if found := _ELAPSED.match(text):
            self.elapsed = float(found["seconds"])
            return False
        marked = _LAYER.match(text)
        if marked is None:
            return False
        kind = next(name for name in _KINDS if marked[name])
        if self._marker not in {"", kind}:
            return False
        if kind == "kiss":
            z = float(marked["z"])
            if self._marker and z <= self._marked_z:
                return False
            self._marked_z = z
        # Lines before the first mark, such as a priming line, do not count as a layer.
        self.layer = self.layer + 1 if self._marker else 1
        self._marker = kind
        self.layer_z = None
        return True

    def apply(self, line: Line) -> None:
        """Process a line."""
        if line.code in MOVES:
            before = self.x, self.y
            self._move(line.values)
            if line.code in _ARCS:
                self._bulge(*before, line.values)
        else:
            self._other(line)

    def begins_layer(self, line: Line) -> bool:
        """Return whether a layer begins with a line, in a file without such comments.

        It begins with the first line that extrudes at a greater height than all before.
        """
        if self._marker or line.code not in MOVES:
            return False
        values = line.values
        z = self._after(self.z, values.get("Z"))
        return (
            z is not None
            and z > self._top + SAME_HEIGHT
            and self._pushes(values)
            and ("X" in values or "Y" in values)
        )

    def _after(self, at: float | None, value: float | None) -> float | None:
        """Return where an axis is after a move with this value."""
        if value is None:
            return at
        if not self.relative:
            return value
        return None if at is None else at + value

    def _pushes(self, values: Mapping[str, float | None]) -> bool:
        value = values.get("E")
        if value is None:
            return False
        return value > (0.0 if self.relative_e else self.e or 0.0)

    def _move(self, values: Mapping[str, float | None]) -> None:
        if feedrate := values.get("F"):
            self.feedrate = feedrate
        self.x = self._after(self.x, values.get("X"))
        self.y = self._after(self.y, values.get("Y"))
        self.z = self._after(self.z, values.get("Z"))
        value = values.get("E")
        if value is None:
            return
        before = self.e or 0.0
        length = value if self.relative_e else value - before
        self.e = before + length
        self._fed += length
        self._used = max(self._used, self._fed)
        if length > 0 and ("X" in values or "Y" in values):
            self._extruded()

    def _extruded(self) -> None:
        x, y, z = self.x, self.y, self.z
        if z is not None and z != self.layer_z:
            self.layer_z = z
            if z > self._top + SAME_HEIGHT:
                self._top = z
                self.layer += 0 if self._marker else 1
        if x is None or y is None:
            return
        box = self.box
        if box is None:
            self.box = [x, x, y, y]
            return
        box[0], box[1] = min(box[0], x), max(box[1], x)
        box[2], box[3] = min(box[2], y), max(box[3], y)

    def _bulge(
        self, x: float | None, y: float | None, values: Mapping[str, float | None]
    ) -> None:
        """Note how far an arc may reach: as far as the whole circle."""
        if x is None or y is None or not values.get("E"):
            return
        i, j, radius = (values.get(letter) or 0.0 for letter in "IJR")
        # R gives only the distance of the centre: the arc is within twice of it.
        reach = 2 * abs(radius) if radius else hypot(i, j)
        x, y = x + i, y + j
        box = self.box = self.box or [x, x, y, y]
        box[0], box[1] = min(box[0], x - reach), max(box[1], x + reach)
        box[2], box[3] = min(box[2], y - reach), max(box[3], y + reach)

    def _other(self, line: Line) -> None:
        """Process a line that is not a move."""
        row = line.row
        if line.code in SETTINGS:
            self._setting(line)
        if row.sets is not Sets.NOTHING:
            self._mode(line)
        if row.target:
            self._heat(line)
        match row.moves:
            case Moves.HOME:
                self._home([a for a in AXES if a.upper() in line.values] or [*AXES])
            case Moves.SETS if line.code == "G92":
                self._set(line.values)
            case Moves.ANYWHERE | Moves.SETS if line.values or not _retracts(line):
                self.x = self.y = self.z = None

    def _setting(self, line: Line) -> None:
        """Keep a line that sets something, in place of one with the same letters."""
        if line.row.reads:
            return
        if line.code == "BED_MESH_PROFILE" and "LOAD=" not in line.text:
            return
        if line.code in {"M106", "M107"} and not line.values.get("P"):
            return  # the part cooling fan is a mode of the head
        chosen = _selectors(line)
        whose = "" if chosen or line.code not in _OF_TOOL else str(self.tool)
        names = sorted(name for name, _ in line.parameters)
        key = (line.code, whose, *chosen, *names)
        self._settings.pop(key, None)
        self._settings[key] = line, self.tool

    def _mode(self, line: Line) -> None:
        match line.row.sets:
            case Sets.RELATIVE | Sets.ABSOLUTE as mode:
                self.relative = mode is Sets.RELATIVE
                both = self._dialect.g90_sets_extruder
                self.relative_e = self.relative if both else self.relative_e
            case Sets.RELATIVE_E:
                self.relative_e = True
            case Sets.ABSOLUTE_E:
                self.relative_e = False
            case Sets.TOOL if line.code[1:].isdigit():
                self.tool = int(line.code[1:])
                self._several_tools |= self.tool > 0
            case Sets.FAN if not line.values.get("P"):
                speed = line.values.get("S")
                self.fan = _FULL if speed is None else max(0.0, min(speed, _FULL))
            case Sets.FAN_OFF if not line.values.get("P"):
                self.fan = 0.0

    def _heat(self, line: Line) -> None:
        for target in targets(line):
            name = target.heater
            if name == "tool":
                name = f"tool{self.tool if target.tool is None else target.tool}"
            if name != "any":
                self.targets[name] = target.celsius

    def _home(self, axes: list[str]) -> None:
        """Note that axes were homed; only the printer knows their position now."""
        for axis in axes:
            setattr(self, axis, None)
            if self._dialect.homing_ends_shifts:
                self.shifts.pop(axis, None)

    def _set(self, values: Mapping[str, float | None]) -> None:
        """Note a ``G92``: the position has other coordinates from now on."""
        named = [letter for letter in "XYZE" if letter in values] or [*"XYZE"]
        for letter in named:
            axis, value = letter.lower(), values.get(letter) or 0.0
            if axis != "e":
                before = getattr(self, axis)
                moved = _UNKNOWN if before is None else before - value
                self.shifts[axis] = self.shifts.get(axis, 0.0) + moved
            setattr(self, axis, value)


def _selectors(line: Line) -> list[str]:
    """Return what a setting names: a tool, an extruder or a fan."""
    wanted = SETTINGS[line.code]
    chooses = {wanted} if line.code == "SET_PRESSURE_ADVANCE" else set(wanted)
    return [f"{name}={value}" for name, value in line.parameters if name in chooses]


def _retracts(line: Line) -> bool:
    """Return whether a line does nothing but retract; with letters, G10 does more."""
    return line.code in {"G10", "G11"}


_ARCS = frozenset({"G2", "G3"})
_KINDS = ("cura", "prusa", "bambu", "simplify", "kiss")
_UNKNOWN = float("nan")
_FULL = 255.0
"""``M106`` without ``S`` is full speed."""
