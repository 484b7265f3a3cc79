"""Temperatures of the last half hour, across connections."""

import math
from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.printer.knowledge.heaters import HeaterState

_MAX_POINTS = 7200  # two hours; bounds the memory on a small computer
_MIN_SPACING = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Point:
    """All heaters at one time.

    Attributes:
        time: seconds on the printer's clock.
        heaters: by name.

    """

    time: float
    heaters: Mapping[str, HeaterState]


_Row = tuple[tuple[str, ...], bytes]
"""Names of heaters, and the packed temperature and target of each.

As objects, the points of a hundred printers would fill the memory of a small computer.
"""


class History:
    """A bounded sequence of points, at most one a second.

    A window longer than two hours is thinned evenly, so that its memory stays bounded.
    """

    def __init__(self, minutes: float) -> None:
        self.keep(minutes)
        self._rows: deque[_Row] = deque(maxlen=_MAX_POINTS + 1)
        self._times: deque[float] = deque(maxlen=_MAX_POINTS + 1)
        self._names: tuple[str, ...] = ()

    def keep(self, minutes: float) -> None:
        """Change the number of minutes that are kept."""
        self._window = minutes * 60
        self._spacing = max(_MIN_SPACING, self._window / _MAX_POINTS)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, heaters: Mapping[str, HeaterState], now: float) -> None:
        """Add a report, unless the previous one is too recent."""
        self._forget(now)
        too_near = self._times and now - self._times[-1] < self._spacing
        if self._window <= 0 or too_near:
            return
        names = tuple(heaters)
        if names != self._names:
            self._names = names
        self._times.append(now)
        self._rows.append((self._names, _packed(heaters)))

    def newest(self, now: float, limit: int | None = None) -> Iterator[Point]:
        """Return the points of the window, the newest first, at most ``limit``."""
        self._forget(now)
        rows = zip(reversed(self._times), reversed(self._rows), strict=True)
        for number, (time, (names, packed)) in enumerate(rows):
            if limit is not None and number >= limit:
                return
            yield Point(time, _heaters(names, packed))

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] < now - self._window:
            self._times.popleft()
            self._rows.popleft()


def _packed(heaters: Mapping[str, HeaterState]) -> bytes:
    pairs = ((heater.actual, heater.target) for heater in heaters.values())
    numbers = (math.nan if value is None else value for pair in pairs for value in pair)
    return array("d", numbers).tobytes()


def _heaters(names: tuple[str, ...], packed: bytes) -> dict[str, HeaterState]:
    numbers = array("d", packed)
    values = [None if math.isnan(number) else number for number in numbers]
    pairs = zip(values[::2], values[1::2], strict=True)
    return {name: HeaterState(*pair) for name, pair in zip(names, pairs, strict=True)}
