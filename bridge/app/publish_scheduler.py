"""Defers the publishing of documents, so that commands need not wait for it."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context


class PublishScheduler:
    """Runs one callback at each turn of the event loop, in the order of arrival.

    If a hundred printers report at the same moment, their documents would otherwise be
    built in one turn, and a command waits for a turn at each of its steps.

    Args:
        poll: looks for an emergency stop; is called before each callback.

    """

    def __init__(self, poll: Callable[[], None] | None = None) -> None:
        self._poll = poll
        self._waiting: deque[tuple[Callable[[], None], Context]] = deque()

    def schedule(self, callback: Callable[[], None]) -> None:
        """Have something done soon, in the present context: logs name the printer."""
        self._waiting.append((callback, copy_context()))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._run_next)

    def _run_next(self) -> None:
        callback, context = self._waiting.popleft()
        # Before the callback, which may raise: the others must not wait forever.
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run_next)
        if self._poll is not None:
            self._poll()
        context.run(callback)
