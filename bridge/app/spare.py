"""What can wait a moment, so that commands need not."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context


class Spare:
    """Does one thing in each turn of the event loop, in the order of arrival.

    A hundred printers that report in the same moment would else make one turn of their
    documents, and a command waits for a turn at each of its steps.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], None], Context]] = deque()

    def later(self, do: Callable[[], None]) -> None:
        """Have something done soon, in the present context: logs name the printer."""
        self._waiting.append((do, copy_context()))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        do, context = self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
        context.run(do)
