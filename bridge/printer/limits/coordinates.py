"""Machine coordinates: how the numbers of later lines map to places on the machine.

The limits of the profile are in machine coordinates, those that a homed machine has.
The numbers of moves, and of position reports, are in logical coordinates: the
machine's, less all shifts. ``G92``, workspaces (``G54`` to ``G59.3``, ``G10 L2``,
``G10 L20``), home offsets (``M206``), tool offsets (``M218``) and Klipper's
``SET_GCODE_OFFSET`` shift them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

AXES = ("x", "y", "z")

UNKNOWN = "position_unknown"
"""The error of a move that cannot be checked until the position is known."""

Key = tuple[str, str]
"""What shifts the coordinates, and along which axis."""

SET, OFFSET, HOME, MACHINE = "G92", "SET_GCODE_OFFSET", "M206", "G92.4"
"""What shifts the coordinates, apart from tools (``T1``) and workspaces (``W2``)."""

_ZERO_AT_FIRST = {SET, OFFSET, HOME, MACHINE}


@dataclass(frozen=True, slots=True)
class Frame:
    """How the numbers of later lines are understood, apart from the modal state.

    Attributes:
        shifts: what is added to a logical coordinate, in mm; ``None`` where it is not
            known. What is missing adds nothing.
        workspace: the number of the selected workspace; 1 is ``G54``.
        plane: the axes of the plane of arcs; empty: not known.
        planes: the planes that were selected since the printer started.
        relative_known: whether axes are relative is known.
        relative_e_known: whether the extruder is relative is known.
        baby: mm by which ``M290`` moved an axis since it was homed (``z``) and since
            the printer started (``Z``), and by which codes that add to the bed's mesh
            moved that (``mesh``).
        offset: mm of Klipper's ``SET_GCODE_OFFSET Z``, at least and at most; homing
            does not end it.
        offsets: the least and the greatest offset since the printer started, one of
            which may be restored.
        retraction: mm that ``G10`` takes back; ``None``: what the printer has stored.
        recovery: mm that ``G11`` pushes more than that, at least and at most.
        factors: the highest speed and flow factors so far, in percent.
        doubtful: which of ``feedrate``, ``speed`` and ``flow`` may be an earlier one.

    """

    shifts: Mapping[Key, float | None] = field(default_factory=dict)
    workspace: int = 1
    plane: str = "xy"
    planes: tuple[str, ...] = ("xy",)
    relative_known: bool = True
    relative_e_known: bool = True
    baby: Mapping[str, float] = field(default_factory=dict)
    offset: tuple[float, float] = (0.0, 0.0)
    offsets: tuple[float, float] = (0.0, 0.0)
    retraction: float | None = None
    recovery: tuple[float, float] = (0.0, 0.0)
    factors: tuple[float, float] = (0.0, 0.0)
    doubtful: frozenset[str] = frozenset()

    def shift(self, axis: str, tool: int) -> float | None:
        """Return machine minus logical coordinate of an axis; ``None``: not known."""
        if not self.shifts:
            return 0.0
        active = (SET, OFFSET, HOME, MACHINE, f"T{tool}", f"W{self.workspace}")
        total = 0.0
        for what in active:
            part = self.shifts.get((what, axis), 0.0)
            if part is None:
                return None
            total += part
        return total

    def shifted(self, what: str, by: Mapping[str, float | None]) -> "Frame":
        """Return the frame with other shifts by axis of one kind."""
        shifts = dict(self.shifts)
        for axis, amount in by.items():
            if amount == 0 and what in _ZERO_AT_FIRST:
                shifts.pop((what, axis), None)
            else:
                shifts[what, axis] = amount
        return replace(self, shifts=shifts)

    def homed(self, axes: Iterable[str], *, clears: bool) -> "Frame":
        """Return the frame after homing: it ends the shifts of G92, or may not."""
        after = 0.0 if clears else None
        found = dict.fromkeys(
            [axis for axis in axes if (SET, axis) in self.shifts], after
        )
        set_by_hand = [axis for axis in axes if (MACHINE, axis) in self.shifts]
        baby = {axis: mm for axis, mm in self.baby.items() if axis not in axes}
        if not found and not set_by_hand and len(baby) == len(self.baby):
            return self
        frame = self.shifted(SET, found).shifted(
            MACHINE, dict.fromkeys(set_by_hand, 0.0)
        )
        return replace(frame, baby=baby)

    def unsure(self, what: str, axes: Iterable[str] = AXES) -> "Frame":
        """Return the frame in which the shift of something is no longer known."""
        return self.shifted(what, dict.fromkeys(axes))

    def in_plane(self, plane: str) -> "Frame":
        """Return the frame with another plane of arcs."""
        planes = tuple(dict.fromkeys((*self.planes, plane)))
        return replace(self, plane=plane, planes=planes)

    def plane_unsure(self) -> "Frame":
        """Return the frame in which an earlier plane may be selected again."""
        return replace(self, plane="") if len(self.planes) > 1 else self

    def reconnected(self) -> "Frame":
        """Return the frame after the link was lost: a reset may have ended shifts."""
        shifts: dict[Key, float | None] = dict.fromkeys(self.shifts)
        return Frame(
            shifts=shifts,
            plane=self.plane_unsure().plane,
            planes=self.planes,
            baby=self.baby,
            offset=self.offset,
            offsets=self.offsets,
            retraction=self.retraction,
            recovery=self.recovery,
            factors=self.factors,
            doubtful=self.doubtful,
        )


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where the head is, and in which coordinates.

    Attributes:
        position: logical mm by axis (``x``, ``y``, ``z``, ``e``); an axis that is not
            known is missing.
        spans: for an axis that was homed and not reported since: how far it is from
            there, and the least and the greatest distance that it had, in mm.
        frame: how the numbers of later lines are understood.

    """

    position: Mapping[str, float] = field(default_factory=dict)
    spans: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    frame: Frame = field(default_factory=Frame)

    def machine(self, axis: str, tool: int) -> float | None:
        """Return where an axis is on the machine, in mm; ``None``: not known."""
        at, shift = self.position.get(axis), self.frame.shift(axis, tool)
        return None if at is None or shift is None else at + shift

    def at(self, position: Mapping[str, float]) -> "Coordinates":
        """Return the coordinates after a move to this place."""
        spans = self.spans
        if spans and not spans.keys().isdisjoint(position):
            spans = {axis: far for axis, far in spans.items() if axis not in position}
        return Coordinates(position, spans, self.frame)

    def reported(self, position: Mapping[str, float]) -> "Coordinates":
        """Return the coordinates after a report of the position."""
        return Coordinates(position, {}, self.frame)

    def without(self, axes: Iterable[str]) -> "Coordinates":
        """Return the coordinates after these axes moved to an unknown position."""
        gone = set(axes)
        position = {axis: at for axis, at in self.position.items() if axis not in gone}
        spans = {axis: span for axis, span in self.spans.items() if axis not in gone}
        return Coordinates(position, spans, self.frame)

    def in_frame(self, frame: Frame) -> "Coordinates":
        """Return the same place in another frame."""
        return self if frame is self.frame else replace(self, frame=frame)
