"""Shows the progress of a long command."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

BEAT = 1.0
"""Seconds between two dots."""


@asynccontextmanager
async def dots(what: str = "") -> AsyncIterator[Callable[[], None]]:
    """Print a dot on standard error for each second, where that is a terminal.

    Yields a function to call before something else is printed: it ends the row of dots.

    Args:
        what: the text before them.

    """
    row = False

    def show(text: str) -> None:
        nonlocal row
        if text and sys.stderr.isatty():
            print(text, end="", file=sys.stderr, flush=True)
            row = True

    def end() -> None:
        nonlocal row
        if row:
            print(file=sys.stderr, flush=True)
        row = False

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT)
            show(".")

    show(what)
    beating = asyncio.create_task(beat())
    try:
        yield end
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        end()
