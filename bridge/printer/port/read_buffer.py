"""Bytes that were received from a printer and not read yet."""

import asyncio
from collections.abc import Callable

CHUNK = 1024
"""Bytes that are processed before other tasks run, because an emergency stop must not
wait behind a flood. At 115,200 baud they take 0.09 s to arrive."""


class ReadBuffer:
    """Bytes from a link, until the one task that reads takes them.

    Or until a callback does, which saves a turn of the event loop for each line.
    """

    LIMIT = 262_144
    """Bytes from which on the link should not be read any further."""

    __slots__ = ("_callback", "_data", "_delivering", "_ended", "_waiter")

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._callback: Callable[[bytes], None] | None = None
        self._delivering = False

    @property
    def full(self) -> bool:
        """Whether more is unread than should be."""
        return len(self._data) >= self.LIMIT

    def put(self, data: bytes) -> None:
        """Add bytes; after the end they are dropped."""
        if self._ended:
            return
        if self._callback is not None and not self._data and len(data) <= CHUNK:
            self._callback(data)
            return
        self._data += data
        if self._callback is not None:
            self._deliver_soon()
        else:
            self._wake()

    async def deliver(self, callback: Callable[[bytes], None]) -> None:
        """Pass on all bytes as they arrive; return after the end.

        What is there already comes in parts, one in each turn of the event loop. The
        callback must not block, nor put bytes.
        """
        self._callback = callback
        if self._data:
            self._deliver_soon()
        try:
            while self._data or not self._ended:
                await self._changed()
        finally:
            self._callback = None

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
        if not self._data and not self._ended:
            await self._changed()
        else:
            await asyncio.sleep(0)
        data = bytes(self._data)
        self._data.clear()
        return data

    async def _changed(self) -> None:
        """Wait until there are bytes to read, or the end."""
        if self._waiter is not None:
            raise RuntimeError("only one task may read a link")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _deliver_soon(self) -> None:
        if not self._delivering:
            self._delivering = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        """Pass on some bytes; the others, or the end, come in the next turns."""
        self._delivering = False
        if self._callback is None or not self._data:
            return
        chunk = bytes(self._data[:CHUNK])
        del self._data[:CHUNK]
        if self._data:
            self._deliver_soon()
        else:
            self._wake()
        self._callback(chunk)
