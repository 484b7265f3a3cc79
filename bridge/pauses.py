"""How long to wait before trying again, and how often to say that it failed."""

from zlib import crc32

KINDS = 16
"""Different failures that are told apart; of more, the first is forgotten."""


class Pauses:
    """Growing pauses between attempts, spread so that many do not come at once."""

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def take(self, chance: float) -> float:
        """Return the next pause, in seconds: half to all of twice the last one.

        Args:
            chance: a random number from 0 to 1.

        """
        pause = self._next * (0.5 + chance / 2)
        self._next = min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Begin with the shortest pause again."""
        self._next = self._first


def offset(name: str, period: float) -> float:
    """Return when in each period it is somebody's turn, in seconds; the same each time.

    Many who do something in every period then do not do it in the same moment.
    """
    return period * (crc32(name.encode()) / 2**32)


class Repeats:
    """Says a thing at once, and then only now and again, with how often it came.

    Args:
        every: seconds between two times that the same is said.

    """

    def __init__(self, every: float = 600.0) -> None:
        self._every = every
        self._said: dict[str, tuple[float, int]] = {}

    def note(self, text: str, now: float) -> str | None:
        """Return what to log for this failure, or ``None`` when it was said lately."""
        said, count = self._said.get(text, (now - self._every, 0))
        if now - said < self._every:
            self._said[text] = (said, count + 1)
            return None
        self._said[text] = (now, 0)
        while len(self._said) > KINDS:
            del self._said[next(iter(self._said))]
        return f"{text} ({count + 1} more times)" if count else text

    def overdue(self, now: float) -> list[str]:
        """Return what came again and then stopped, with how often, and forget it."""
        gone = {
            text: count
            for text, (said, count) in self._said.items()
            if count and now - said >= self._every
        }
        for text in gone:
            del self._said[text]
        return [f"{text} ({count} more times)" for text, count in gone.items()]

    def forget(self) -> None:
        """Say the next failure at once, whatever it is."""
        self._said.clear()
