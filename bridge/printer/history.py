"""Temperatures of the last half hour; they outlive a connection."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.printer.heat import Heater

_MAX_POINTS = 7200  # a small computer must be able to keep them
_MIN_SPACING = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Point:
    """All heaters at one time.

    Attributes:
        time: seconds on the printer's clock.
        heaters: by name.

    """

    time: float
    heaters: Mapping[str, Heater]


class History:
    """A bounded row of points, at most one a second.

    A window longer than two hours is thinned evenly, so that its memory stays bounded.
    """

    def __init__(self, minutes: float) -> None:
        self._window = minutes * 60
        self._spacing = max(_MIN_SPACING, self._window / _MAX_POINTS)
        self._points: deque[Point] = deque(maxlen=_MAX_POINTS + 1)

    def __len__(self) -> int:
        return len(self._points)

    def add(self, heaters: Mapping[str, Heater], now: float) -> None:
        """Keep a report, unless the one before it is too near."""
        self._forget(now)
        too_near = self._points and now - self._points[-1].time < self._spacing
        if self._window > 0 and not too_near:
            self._points.append(Point(now, dict(heaters)))

    def newest(self, now: float, limit: int | None = None) -> Iterator[Point]:
        """Return the points of the window, the newest first, at most ``limit``."""
        self._forget(now)
        for number, point in enumerate(reversed(self._points)):
            if limit is not None and number >= limit:
                return
            yield point

    def _forget(self, now: float) -> None:
        while self._points and self._points[0].time < now - self._window:
            self._points.popleft()
