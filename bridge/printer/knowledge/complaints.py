"""Which errors of the printer that belong to no command are told, and which are not."""

import re

EVERY = 600.0
"""Seconds between two times that the same is told."""
MOST = 20
"""How many different ones are told in that time; noise has any number of them."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


class Complaints:
    """Remembers what was told lately; what differs in numbers only is the same."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._left_out = 0

    def note(self, text: str, now: float) -> int | None:
        """Return how many were left out since the last one; ``None``: this one too."""
        same = _NUMBER.sub("#", text)
        self._told = {
            key: told for key, told in self._told.items() if now - told < EVERY
        }
        if same in self._told or len(self._told) >= MOST:
            self._left_out += 1
            return None
        self._told[same] = now
        left_out, self._left_out = self._left_out, 0
        return left_out
