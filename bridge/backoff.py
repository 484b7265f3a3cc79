"""Delays: growing ones between attempts, and offsets that spread periodic work."""

from math import floor
from zlib import crc32

_EARLY = 0.05
"""Share of a period before a moment that counts as the moment itself."""


class Backoff:
    """Exponential back-off with jitter, so that many clients do not retry at once.

    Args:
        first: the first delay, in seconds, before jitter.
        longest: the longest delay, likewise.

    """

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next_delay(self, chance: float) -> float:
        """Return the seconds to wait; the next delay is twice as long.

        Args:
            chance: a random number from 0 to 1; it takes away half the delay at most.

        """
        delay = self._next * (0.5 + chance / 2)
        self._next = min(self._next * 2, self._longest)
        return delay

    def reset(self) -> None:
        """Start with the first delay again, because an attempt succeeded."""
        self._next = self._first


def offset(name: str, period: float) -> float:
    """Return a fixed offset within each period for a name, in seconds.

    A hundred printers that do something in each period then do not do it at the same
    moment. CRC-32 spreads similar names evenly; :func:`hash` differs in each process.
    """
    return period * (crc32(name.encode()) / 2**32)


def next_turn(now: float, period: float, name: str) -> float:
    """Return the next of the moments that belong to a name, one in each period.

    What is looked at regularly for one printer is looked at in the same moment, so that
    the process wakes up once for all of it; other printers have other moments.
    """
    shift = offset(name, period)
    # Timers may fire a little early, and that moment must not come again.
    return shift + period * (floor((now - shift) / period + _EARLY) + 1)
