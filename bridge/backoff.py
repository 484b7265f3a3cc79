"""Delays: growing ones between attempts, and offsets that spread periodic work."""

from zlib import crc32


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
