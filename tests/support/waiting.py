"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Callable

DEADLINE = 60.0
"""Seconds after which the condition counts as failed.

Long, because the machine may be busy; it costs nothing when all goes well.
"""


async def until(condition: Callable[[], bool], within: float = DEADLINE) -> None:
    """Return once the condition holds; fail after ``within`` seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for knows no Event
            await asyncio.sleep(0.002)
