"""One message at a time, so that the event loop reads on while many wait."""

import asyncio


class Turnstile:
    """Lets one message in each turn of the event loop, in the order of arrival.

    What is already received then waits here and not in the socket, where a stop behind
    it could not be seen. Who comes alone does not wait.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.waiting = 0
        """How many stand in line."""

    async def through(self) -> None:
        """Wait for a turn."""
        self.waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self.waiting -= 1
        asyncio.get_running_loop().call_soon(self._lock.release)
