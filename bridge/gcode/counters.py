"""What went over one line, for the health of it."""

from collections import deque
from dataclasses import dataclass, field


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

    """

    lines: int = 0
    resends: int = 0
    timeouts: int = 0
    restarts: int = 0
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=256))
    answered_at: float = 0.0
