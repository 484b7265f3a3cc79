"""Whose turn it is: one command at a time, in the order of arrival, none for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from bridge.errors import CommandError, RejectedError

Interrupted = Callable[[], CommandError | None]
"""Tells why a turn is over before its end: the next line would meet another firmware
than the last one did. ``None``: it goes on."""


class Turns:
    """A bounded queue of commands before one printer; its size is counted in lines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = asyncio.Lock()
        self._epoch = 0
        self._error: Callable[[], CommandError] | None = None
        self.waiting = 0
        """Lines that wait or are being carried out."""

    @asynccontextmanager
    async def turn(self, lines: int) -> AsyncIterator[Interrupted]:
        """Wait for a turn of so many lines; see :data:`Interrupted` before each.

        Raises:
            RejectedError: The queue is full; nothing waits.
            CommandError: What :meth:`interrupt` was given, if it was called meanwhile.

        """
        if self.waiting + lines > self._limit:
            raise RejectedError(
                f"{self.waiting} lines wait already; limits.queue allows {self._limit}",
                error="queue_full",
                code=429,
            )
        interrupted = partial(self._since, self._epoch)
        self.waiting += lines
        try:
            async with self._lock:
                if error := interrupted():
                    raise error
                yield interrupted
        finally:
            self.waiting -= lines

    def interrupt(self, error: Callable[[], CommandError]) -> None:
        """Have everything end with this error: what waits, and what has its turn."""
        self._epoch += 1
        self._error = error

    def _since(self, epoch: int) -> CommandError | None:
        return None if epoch == self._epoch or self._error is None else self._error()
