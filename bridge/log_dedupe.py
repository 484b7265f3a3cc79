"""Keeps a failure that repeats from filling the log."""

KINDS = 16
"""Different failures that are remembered; beyond it the oldest is forgotten."""


class LogDedupe:
    """Lets a message through at once, and repeats of it only from time to time.

    Times are seconds on a clock that does not go back.

    Args:
        every: seconds between two times that the same message is let through.

    """

    def __init__(self, every: float = 600.0) -> None:
        self._every = every
        self._logged: dict[str, tuple[float, int]] = {}

    def filter(self, text: str, now: float) -> str | None:
        """Return what to log for this failure; ``None``: it was logged recently.

        The text ends with how often it was left out since the last time.
        """
        logged, count = self._logged.get(text, (now - self._every, 0))
        if now - logged < self._every:
            self._logged[text] = (logged, count + 1)
            return None
        self._logged[text] = (now, 0)
        while len(self._logged) > KINDS:
            del self._logged[next(iter(self._logged))]
        return f"{text} ({count + 1} more times)" if count else text

    def overdue(self, now: float) -> list[str]:
        """Return what repeated and then stopped, with how often, and forget it."""
        stopped = {
            text: count
            for text, (logged, count) in self._logged.items()
            if count and now - logged >= self._every
        }
        for text in stopped:
            del self._logged[text]
        return [f"{text} ({count} more times)" for text, count in stopped.items()]

    def forget(self) -> None:
        """Let the next failure through at once, whatever it is."""
        self._logged.clear()
