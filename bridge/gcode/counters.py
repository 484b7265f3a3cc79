"""What went over one line, for the health of it."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the classes of round trips, in seconds; one more has no bound."""


@dataclass(slots=True)
class Counters:
    """Counts since the bridge started.

    Attributes:
        lines: transmitted, repeated ones included.
        resends: requests to repeat a line.
        timeouts: silences that were longer than a line's patience.
        restarts: resets of the firmware.
        round_trips: seconds from each of the last lines to its ``ok``.
        answered_at: when the last of these came, in seconds.
        waited: the sum of all round trips, in seconds.
        classes: how many round trips fell into each class.

    """

    lines: int = 0
    resends: int = 0
    timeouts: int = 0
    restarts: int = 0
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=256))
    answered_at: float = 0.0
    waited: float = 0.0
    classes: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def answered(self, seconds: float, now: float) -> None:
        """Count a line that had its ``ok`` so many seconds after it was sent."""
        self.round_trips.append(seconds)
        self.answered_at = now
        self.waited += seconds
        self.classes[bisect_left(BUCKETS, seconds)] += 1
