"""A timeout around a block of code, and the clock for what must not become too old.

The timeout works on every Python from 3.11 on.

``asyncio.timeout`` of CPython before 3.11.3 raises CancelledError instead of
TimeoutError in a task that has been asked to cancel before and still runs (gh-102780).
A TaskGroup leaves its parent in that state if one of its tasks fails while others still
run, and so does every clean-up that waits after a cancellation. Debian 12 ships 3.11.2.
"""

import asyncio
import time
from types import TracebackType
from typing import Self

# Only Linux has it; elsewhere the time in which the machine sleeps does not count.
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Return the seconds since the machine was started, also those in which it slept.

    The event loop's clock, CLOCK_MONOTONIC, stands still while the machine is suspended
    (clock_gettime(2)). Unlike the time of day, this one is never set.
    """
    return time.clock_gettime(_BOOTTIME)


class Timeout:
    """Raises :class:`TimeoutError` if its block takes too long.

    Whether the end of a block is a timeout or a cancellation depends on the requests to
    cancel that arrived while it ran. Earlier requests do not count.

    Args:
        when: the event loop's time at which the block is given up, in seconds;
            ``None``: never.

    """

    def __init__(self, when: float | None) -> None:
        self._when = when
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._before = 0
        self._expired = False

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self._expired

    def reschedule(self, when: float | None) -> None:
        """Move the end; this has no effect once the time is over.

        Args:
            when: the event loop's time in seconds; ``None``: never.

        """
        self._when = when
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when is not None and not self._expired:
            self._timer = self._loop.call_at(when, self._expire)

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("a timeout needs a task")
        self._before = self._task.cancelling()
        self.reschedule(self._when)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._expired or self._task is None:
            return
        left = self._task.uncancel()
        if left <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._timer = None
        self._expired = True
        if self._task is not None:
            self._task.cancel()


def timeout(seconds: float | None) -> Timeout:
    """Return a timeout that ends its block after some seconds; ``None``: never."""
    if seconds is None:
        return Timeout(None)
    return Timeout(asyncio.get_running_loop().time() + seconds)


def timeout_at(when: float | None) -> Timeout:
    """Return a timeout that ends its block at a time of the event loop."""
    return Timeout(when)
