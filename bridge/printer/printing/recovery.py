"""How to continue an interrupted print: from where, and whether that is safe.

The printer has lost its position, and up to 64 moves may be missing that it had
acknowledged. So the print continues from the beginning of a layer, and the file is
followed again up to there. The height cannot be found by homing, because the part is in
the way: the nozzle stands where it stopped, and that has to be known.
"""

import copy
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from bridge.commands.base import Context
from bridge.commands.heaters import target_lines
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.dialects import Dialect
from bridge.gcode.line import Line, format_number
from bridge.printer.printing.checkpoint import Checkpoint
from bridge.printer.printing.feed import Feed
from bridge.printer.printing.objects import Objects
from bridge.printer.printing.sequences import modes
from bridge.printer.printing.tracker import SAME_HEIGHT, HeadPosition, Tracker

MARGIN = 64
"""Lines before the last acknowledged one that may not have been executed: as many as
fit into the planner and the buffers of a firmware (Marlin: 16 to 64 moves)."""

LIFT = 5.0
"""mm that the nozzle is raised before anything else moves."""

CLEARANCE = 10.0
"""mm between the part and the place where the nozzle is purged."""

PURGE = 10.0
"""mm of filament that are extruded there."""


@dataclass(frozen=True, slots=True)
class LayerStart:
    """The beginning of a layer.

    Attributes:
        number: of the layer.
        line: how many lines of the file precede it.
        byte: how many bytes.
        tracker: has followed the lines up to there.
        objects: likewise.

    """

    number: int
    line: int
    byte: int
    tracker: Tracker
    objects: Objects


class Scan:
    """Follows a file up to where its print was interrupted.

    Args:
        point: where that was.
        dialect: the firmware's.
        layer: the layer from which to continue; ``None``: the last one that is safe.

    Attributes:
        layer: the same.
        start: the layer to begin with; ``None``: none was found yet.
        over: all was read that is needed.
        z: the height at which that layer is extruded in mm; ``None``: not found yet.
        heights: the heights of the head after the last lines.
        box: what the part takes up, as :class:`Tracker` has it.

    """

    def __init__(
        self, point: Checkpoint, dialect: Dialect, layer: int | None = None
    ) -> None:
        self._point, self.layer = point, layer
        self._tracker = Tracker(dialect)
        objects = Objects()
        self._feed = Feed(self._tracker, objects, dialect, clean=_as_it_is)
        for name in point.excluded:
            objects.exclude(name)
        self._source: Iterator[object] | None = None
        self.start: LayerStart | None = None
        self.over = False
        self.z: float | None = None
        self.heights: deque[float | None] = deque(maxlen=MARGIN)

    @property
    def box(self) -> list[float] | None:
        """The least and the greatest X and Y of extruding moves."""
        return self._tracker.box

    def follow(self, more: Callable[[], bytes | None], lines: int) -> bool:
        """Follow some lines; return whether there are more to follow now.

        Args:
            more: returns the next bytes, as for :meth:`Feed.source`.
            lines: how many at most.

        """
        feed = self._feed
        for _ in range(lines):
            if feed.line >= self._point.line:
                self.over = True
                return False
            if self._source is None:
                feed.asked_at_layer = True
                self._source = feed.source(more)
            for item in self._source:
                if item is None:
                    return False
                feed.done()
                self.heights.append(self._tracker.z)
                if self.z is None:
                    self.z = self._tracker.layer_z
                break
            else:
                self._source = None
                self._stopped()
                if self.over:
                    return False
        return True

    def _stopped(self) -> None:
        stop = self._feed.stop
        if stop is None or stop.because in {"end", "error"}:
            self.over = True
        elif stop.because == "layer":
            line, byte = self._feed.layer_began
            tracker = self._tracker
            number = tracker.layer if tracker.marked else tracker.layer + 1
            if self._is_wanted(number, line):
                self.start = LayerStart(
                    number,
                    line,
                    byte,
                    copy.deepcopy(tracker),
                    copy.deepcopy(self._feed.objects),
                )
                self.z = None

    def _is_wanted(self, number: int, line: int) -> bool:
        if self.layer is not None:
            return number == self.layer
        return line <= self._point.line - MARGIN


def _as_it_is(line: Line, _where: str) -> Line:
    return line


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a print continues.

    Attributes:
        start: the layer to begin with.
        lines: what is sent before its lines.
        height: where the nozzle has to stand, in mm above the bed.

    """

    start: LayerStart
    lines: tuple[str, ...]
    height: float


def plan(
    point: Checkpoint,
    scan: Scan,
    context: Context,
    *,
    z: float | None = None,
    displaced: bool = False,
) -> Recovery:
    """Return how a print continues.

    Args:
        point: where it was interrupted.
        scan: has followed the file up to there.
        context: the printer.
        z: the nozzle's height above the bed in mm, if a person has measured it.
        displaced: the head was moved since.

    Raises:
        RejectedError: ``not_recoverable`` (409); the message says why.

    """
    start = _start_of(scan)
    if point.family != context.dialect.name:
        _refuse("the printer has another firmware now")
    place = start.tracker.place
    if None in {place.x, place.y, place.z, place.feedrate} or place.shifts:
        _refuse("the file does not say where the layer begins")
    at = _height(scan, z, displaced=displaced)
    lines = (
        *_heating(point, start, context),
        *_raising(at, place, context),
        "G28 X Y",
        *_settings(point, start.tracker),
        *_purging(scan, place, context.profile),
        *_approaching(scan, place, context.profile),
    )
    return Recovery(start, lines, at)


def _start_of(scan: Scan) -> LayerStart:
    start = scan.start
    if start is None and scan.layer is not None:
        _refuse(f"layer {scan.layer} is none of those that had begun")
    if start is None or start.number <= 1:
        _refuse(
            "the print was interrupted in its first layer; print it again from the "
            "beginning"
        )
    return start


def _refuse(why: str) -> NoReturn:
    raise RejectedError.conflict(f"job recover: {why}", "not_recoverable")


def _height(scan: Scan, measured: float | None, *, displaced: bool) -> float:
    """Return the height at which the nozzle is."""
    if measured is not None:
        return measured
    if displaced:
        _refuse(
            "the head was moved since the print was interrupted, so the height of the "
            "nozzle is not known; measure it, and give it as z"
        )
    heights = {height for height in scan.heights if height is not None}
    if not heights or max(heights) - min(heights) > SAME_HEIGHT:
        _refuse(
            "the nozzle was moving up or down when the print was interrupted, so its "
            "height is not known; measure it, and give it as z"
        )
    return max(heights)


def _heating(point: Checkpoint, start: LayerStart, context: Context) -> tuple[str, ...]:
    """Return the lines that heat: the bed first, so that the part stays on it."""
    targets = {name: t for name, t in point.targets.items() if t > 0}
    if not any(name.startswith("tool") for name in targets):
        targets = {name: t for name, t in start.tracker.targets.items() if t > 0}
    if not any(name.startswith("tool") for name in targets):
        _refuse("the temperature of the nozzle is not known")
    return target_lines(targets, context, wait=True)


def _raising(at: float, place: HeadPosition, context: Context) -> Iterator[str]:
    """Yield the lines that take the nozzle off the part, from where it stands."""
    volume = context.profile.volume.z
    highest = max(at, place.z or 0.0) + LIFT
    if volume is not None and highest > volume[1]:
        _refuse("there is no room to raise the nozzle above the part")
    # Klipper treats G92 as a shift, and refuses the move if it has lost its position.
    if context.dialect.name != "klipper":
        yield f"G92 Z{format_number(at)}"
    yield "G90"
    yield f"G1 Z{format_number(highest)} F{format_number(context.profile.speeds.z)}"


def _settings(point: Checkpoint, tracker: Tracker) -> Iterator[str]:
    """Yield the lines that restore what a reset of the firmware has undone."""
    yield from tracker.settings
    for code, percent in (("M220", point.speed_factor), ("M221", point.flow_factor)):
        if percent is not None:
            yield f"{code} S{format_number(percent)}"


def _purging(scan: Scan, place: HeadPosition, profile: Profile) -> Iterator[str]:
    """Yield the lines that purge the nozzle at the place where it was homed."""
    box, volume = scan.box, profile.volume
    left = 0.0 if volume.x is None else volume.x[0]
    front = 0.0 if volume.y is None else volume.y[0]
    if box is None or (box[0] - left < CLEARANCE and box[2] - front < CLEARANCE):
        _refuse("the part is in the way where the nozzle would be purged")
    speed = format_number(min(profile.speeds.e, 200.0))
    if profile.extruders > 1:
        yield f"T{place.tool}"
    yield "M83"
    yield f"G1 E{format_number(PURGE)} F{speed}"
    if place.retracted > 0:
        yield f"G1 E-{format_number(place.retracted)} F1800"


def _approaching(scan: Scan, place: HeadPosition, profile: Profile) -> Iterator[str]:
    """Yield the lines that lead to the beginning of the layer, not below its height.

    A part of the layer may already be printed.
    """
    across, down = format_number(profile.speeds.x), format_number(profile.speeds.z)
    x, y, z = place.x or 0.0, place.y or 0.0, place.z or 0.0
    if not place.relative:
        z = max(z, scan.z or z)
    yield f"G1 X{format_number(x)} Y{format_number(y)} F{across}"
    yield f"G1 Z{format_number(z)} F{down}"
    yield f"G92 E{format_number(place.e or 0.0)}"
    yield from modes(place)
