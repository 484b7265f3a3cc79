"""Whose turn it is: one command at a time, in the order of arrival, none for ever.

Few may go before all that waits; they have a limit of their own, so that no flood of
others keeps them out.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
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
        # Whoever is in no hurry waits here first, so that only one of them at a time
        # can be before the others at the lock.
        self._gate = asyncio.Lock()
        self._epoch = 0
        self._error: Callable[[], CommandError] | None = None
        self._lines = {False: 0, True: 0}

    @property
    def waiting(self) -> int:
        """Lines that wait or are being carried out."""
        return sum(self._lines.values())

    @asynccontextmanager
    async def turn(
        self, lines: int, *, first: bool = False, arrived: Interrupted | None = None
    ) -> AsyncIterator[Interrupted]:
        """Wait for a turn of so many lines; see :data:`Interrupted` before each.

        Args:
            lines: how many.
            first: go before all that waits; what has its turn is not disturbed.
            arrived: of the moment from which on :meth:`interrupt` counts; else now.

        Raises:
            RejectedError: The queue is full; nothing waits.
            CommandError: What :meth:`interrupt` was given, if it was called meanwhile.

        """
        before = self._lines[first]
        if before + lines > self._limit:
            raise RejectedError(
                f"{before} lines wait already; limits.queue allows {self._limit}",
                error="queue_full",
                code=429,
            )
        interrupted = arrived or self.arrived()
        self._lines[first] += lines
        try:
            async with nullcontext() if first else self._gate, self._lock:
                if error := interrupted():
                    raise error
                yield interrupted
        finally:
            self._lines[first] -= lines

    def arrived(self) -> Interrupted:
        """Mark this moment, for one who asks for a turn a little later."""
        return partial(self._since, self._epoch)

    def interrupt(self, error: Callable[[], CommandError]) -> None:
        """Have everything end with this error: what waits, and what has its turn."""
        self._epoch += 1
        self._error = error

    def _since(self, epoch: int) -> CommandError | None:
        return None if epoch == self._epoch or self._error is None else self._error()
