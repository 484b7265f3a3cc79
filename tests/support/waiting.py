"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Callable

DEADLINE = 60.0
"""Seconds until what was waited for counts as never coming.

For a machine that is busy with other things too; where all goes well it costs nothing.
"""


async def until(condition: Callable[[], bool], within: float = DEADLINE) -> None:
    """Return once the condition holds; fail after ``within`` seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for knows no Event
            await asyncio.sleep(0.002)
