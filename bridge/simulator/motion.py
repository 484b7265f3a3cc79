"""Where the machine is, where it goes, and the modal state that decides it."""

import math
from collections import deque
from dataclasses import dataclass, field

AXES = "XYZ"
SIZE = 200.0  # mm, each axis
STEPS = {"X": 80, "Y": 80, "Z": 400}
HOMING_SPEED = 50.0  # mm/s
HOMING_PAUSE = 2.0  # each axis: bumping the switch twice
DEFAULT_FEEDRATE = 1500.0  # mm/min


def _origin() -> dict[str, float]:
    return {"X": 0.0, "Y": 0.0, "Z": 0.0}


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """A planned move: from where to where, and when."""

    begin: float
    end: float
    source: dict[str, float]
    target: dict[str, float]


@dataclass(slots=True)
class Motion:
    """The planner and its modes.

    Attributes:
        position: the planned axes in mm (in machine coordinates).
        offset: what G92 added between machine and program coordinates.
        extruder: the planned filament position in mm.
        relative: G91 applies to X, Y and Z.
        relative_e: M83 applies to E.
        feedrate: the last F in mm/min.
        speed_factor: M220 in percent.
        flow_factor: M221 in percent.
        homed: the axes whose positions are known.
        moves: what is planned and not finished.
        speed: how much faster than in reality it moves.
        stalls: how often it stood still between two moves, because the planner had run
            empty. A print shows that as blobs.
        stood: for how many seconds altogether.

    """

    speed: float = 1.0
    position: dict[str, float] = field(default_factory=_origin)
    offset: dict[str, float] = field(default_factory=_origin)
    extruder: float = 0.0
    relative: bool = False
    relative_e: bool = False
    feedrate: float = DEFAULT_FEEDRATE
    speed_factor: float = 100.0
    flow_factor: float = 100.0
    homed: set[str] = field(default_factory=set)
    moves: deque[PlannedMove] = field(default_factory=deque)
    stalls: int = 0
    stood: float = 0.0
    _ended: float | None = None  # the last planned move

    def coordinate(self, axis: str) -> float:
        """Return the planned position of an axis as the program sees it."""
        return self.position[axis] - self.offset[axis]

    def wanted(self, words: dict[str, float]) -> dict[str, float]:
        """Return the machine coordinates that a move's words ask for."""
        target = dict(self.position)
        for axis in AXES:
            if axis in words:
                base = self.position if self.relative else self.offset
                target[axis] = base[axis] + words[axis]
        return target

    def clamp(self, target: dict[str, float]) -> dict[str, float]:
        """Return the target within the software endstops of the homed axes."""
        return {
            axis: min(max(value, 0.0), SIZE) if axis in self.homed else value
            for axis, value in target.items()
        }

    def extrude(self, amount: float) -> float:
        """Plan the filament's part of a move; return its length in mm."""
        before = self.extruder
        self.extruder = before + amount if self.relative_e else amount
        return self.extruder - before

    def plan(
        self, target: dict[str, float], filament: float, now: float, stretch: float = 1
    ) -> None:
        """Queue a move; ``stretch`` is how much longer the path is than the chord."""
        path = math.dist(self.position.values(), target.values()) * stretch
        length = max(path, abs(filament))
        if length and math.isfinite(length):
            rate = self.feedrate / 60 * self.speed_factor / 100 * self.speed
            begin = max(now, self.ends_at(now))
            end = begin + length / rate
            if self._ended is not None and begin > self._ended:
                self.stalls += 1
                self.stood += begin - self._ended
            self._ended = end
            self.moves.append(PlannedMove(begin, end, dict(self.position), target))
        self.position = target

    def settle(self, now: float) -> None:
        """Forget the moves that are done."""
        while self.moves and self.moves[0].end <= now:
            self.moves.popleft()

    def ends_at(self, now: float) -> float:
        """Return when the last planned move is done."""
        return self.moves[-1].end if self.moves else now

    def actual(self, now: float) -> dict[str, float]:
        """Return where the head really is (in machine coordinates)."""
        for move in self.moves:
            if move.end > now:
                part = max(0.0, (now - move.begin) / (move.end - move.begin))
                return {
                    axis: start + (move.target[axis] - start) * part
                    for axis, start in move.source.items()
                }
        return self.position

    def stop(self, now: float) -> None:
        """Stop at once, where the head is."""
        self.position = dict(self.actual(now))
        self.moves.clear()

    def homing_time(self, axes: str) -> float:
        """Return how long it takes to home these axes, in seconds."""
        travel = sum(abs(self.position[axis]) / HOMING_SPEED for axis in axes)
        return (travel + HOMING_PAUSE * len(axes)) / self.speed

    def home(self, axes: str) -> None:
        """Put these axes to their origin."""
        self.position = {
            axis: 0.0 if axis in axes else value
            for axis, value in self.position.items()
        }
        for axis in axes:
            self.offset[axis] = 0.0
        self.homed.update(axes)
