"""Bytes that were received from a printer and not read yet."""

import asyncio


class ReadBuffer:
    """Bytes from a link, until the one task that reads takes them."""

    LIMIT = 262_144
    """Bytes from which on the link should not be read any further."""

    __slots__ = ("_data", "_ended", "_waiter")

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Whether more is unread than should be."""
        return len(self._data) >= self.LIMIT

    def put(self, data: bytes) -> None:
        """Add bytes; after the end they are dropped."""
        if not self._ended:
            self._data += data
            self._wake()

    def end(self) -> None:
        """Mark the end of the link; what was received can still be read."""
        self._ended = True
        self._wake()

    def close(self) -> None:
        """Mark the end, and drop what is unread."""
        self._data.clear()
        self.end()

    async def get(self) -> bytes:
        """Wait for bytes and return all there are; none at all after the end.

        Other tasks run in between even if bytes are there already: reading and
        processing in turns must not keep the event loop from an emergency stop.

        Raises:
            RuntimeError: Another task is reading already.

        """
        if self._waiter is not None:
            raise RuntimeError("only one task may read a link")
        if not self._data and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        else:
            await asyncio.sleep(0)
        data = bytes(self._data)
        self._data.clear()
        return data

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
