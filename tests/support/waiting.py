"""Waiting for a condition, with a deadline."""

import asyncio
import time
from collections.abc import Callable

DEADLINE = 60.0
"""Seconds after which the condition counts as failed.

Long, because the machine may be busy; it costs nothing when all goes well.
"""

_SHORTEST, _LONGEST = 0.002, 0.025
"""Seconds between two looks; the pause grows with each."""

_SHARE = 0.1
"""The share of the processor for looking: what is waited for needs the rest."""


async def until(condition: Callable[[], bool], within: float = DEADLINE) -> None:
    """Return once the condition holds; fail after ``within`` seconds."""
    async with asyncio.timeout(within):
        pauses = Pauses()
        while not pauses.look(condition):  # noqa: ASYNC110 - it knows no Event
            await asyncio.sleep(pauses.next())


class Pauses:
    """How long to wait between two looks at a condition.

    What happens soon is noticed soon. What takes long is looked at less often, and so
    is what costs much to look at: other tests need the processor, and so does the
    printer that runs in a thread of this process.
    """

    def __init__(self) -> None:
        self._pause = _SHORTEST
        self._cost = 0.0

    def look(self, condition: Callable[[], object]) -> bool:
        """Return whether the condition holds."""
        began = time.thread_time()
        holds = bool(condition())
        self._cost = time.thread_time() - began
        return holds

    def next(self) -> float:
        """Return the seconds until the next look."""
        pause = max(self._pause, self._cost / _SHARE)
        self._pause = min(self._pause * 1.25, _LONGEST)
        return pause
