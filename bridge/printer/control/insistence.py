"""An emergency stop is repeated while the printer goes on: noise may have eaten it."""

PAUSE = 1.0
"""Seconds in which a stopped printer falls silent."""

TIMES = 10
"""A firmware that reads no further while it heats has room for these."""


class Insistence:
    """Tells when a stop has to be repeated; times are seconds on a steady clock."""

    def __init__(self) -> None:
        self._left = 0
        self._due = 0.0
        self._hopes = False

    def begin(self, now: float) -> None:
        """Take note that a stop was sent."""
        self._left, self._due, self._hopes = TIMES, now + PAUSE, True

    def again(self, now: float) -> bool:
        """Return whether to repeat it, for a printer that has just reported again."""
        if not self._left or now < self._due:
            return False
        self._left -= 1
        self._due = now + PAUSE
        return True

    def in_vain(self, now: float) -> bool:
        """Return whether all were without effect, for one that reports; say it once."""
        if self._left or not self._hopes or now < self._due:
            return False
        self._hopes = False
        return True
