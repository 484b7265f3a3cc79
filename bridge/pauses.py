"""How long to wait before trying again, and how often to say that it failed."""

from dataclasses import dataclass


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


@dataclass(slots=True)
class Repeats:
    """Says a thing at once, and then only now and again, with how often it came.

    Attributes:
        every: seconds between two times that the same is said.

    """

    every: float = 600.0
    _text: str = ""
    _said: float = 0.0
    _count: int = 0

    def note(self, text: str, now: float) -> str | None:
        """Return what to log for this failure, or ``None`` when it was said lately."""
        if text != self._text:
            self._text, self._said, self._count = text, now, 0
            return text
        self._count += 1
        if now - self._said < self.every:
            return None
        self._said, count = now, self._count
        self._count = 0
        return f"{text} ({count} more times)"

    def forget(self) -> None:
        """Say the next failure at once, whatever it is."""
        self._text = ""
