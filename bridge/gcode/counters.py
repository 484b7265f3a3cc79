"""Counts and round trips of one serial line, from which its health can be seen."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histogram of round trips, in seconds; a last one has none."""


@dataclass(slots=True)
class Counters:
    """Counts since the bridge started.

    Attributes:
        lines: transmitted, repeated ones included.
        resends: requests of the firmware to send a line again.
        timeouts: lines that were not answered within their timeout.
        restarts: resets of the firmware.
        round_trips: seconds between each of the last lines and its ``ok``; lines that
            were repeated are left out, since it is not known which one was answered.
        answered_at: when the last of these ``ok`` arrived, in seconds.
        round_trip_total: the sum of all round trips, in seconds.
        round_trip_buckets: how many round trips fell into each of :data:`BUCKETS`.

    """

    lines: int = 0
    resends: int = 0
    timeouts: int = 0
    restarts: int = 0
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=256))
    answered_at: float = 0.0
    round_trip_total: float = 0.0
    round_trip_buckets: list[int] = field(
        default_factory=lambda: [0] * (len(BUCKETS) + 1)
    )

    def record_round_trip(self, seconds: float, now: float) -> None:
        """Count a line that had its ``ok`` so many seconds after it was sent."""
        self.round_trips.append(seconds)
        self.answered_at = now
        self.round_trip_total += seconds
        self.round_trip_buckets[bisect_left(BUCKETS, seconds)] += 1
