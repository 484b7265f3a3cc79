"""One message at a time, so that the event loop reads on while many wait."""

import asyncio
from collections import Counter

from bridge.errors import RejectedError


class Turnstile:
    """Lets one message in each turn of the event loop, in the order of arrival.

    What is already received then waits here and not in the socket, where a stop behind
    it could not be seen. Who comes alone does not wait.

    Args:
        most: how many of one kind may wait.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = asyncio.Lock()
        self._waiting: Counter[str] = Counter()
        self._closed = False

    async def through(self, kind: str) -> None:
        """Wait for a turn.

        Args:
            kind: messages of other kinds do not count against the bound.

        Raises:
            RejectedError: Too many wait already, or it was closed meanwhile.

        """
        if self._waiting[kind] >= self._most:
            raise RejectedError(
                f"{self._most} messages to this printer wait to be read already",
                error="queue_full",
                code=429,
            )
        self._waiting[kind] += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting[kind] -= 1
        if self._closed:
            self._lock.release()
            raise shutting_down()
        asyncio.get_running_loop().call_soon(self._lock.release)

    def close(self) -> None:
        """Let nobody in any more: what waits is refused, which takes no time."""
        self._closed = True


def shutting_down() -> RejectedError:
    """Return the error of what comes when the printer was let go already."""
    return RejectedError("the bridge is shutting down", error="shutting_down", code=503)
