"""A TCP proxy between the bridge and the broker that can inject network faults."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.servers import stop_accepting


class Proxy:
    """Forwards bytes; what a test sets takes effect immediately.

    Attributes:
        port: where it listens.
        connections: how many it has taken.
        swallowing: bytes vanish in both directions, connections stay.
        thawed: until it is set, bytes of both directions are held, to continue later.
        stalled: nothing more is taken from the client, whose buffers then fill.
        cut_after: bytes from the server after which all connections are reset.

    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.port = 0
        self.connections = 0
        self.swallowing = False
        self.cut_after: int | None = None

    @property
    def stalled(self) -> bool:
        return not self._flowing.is_set()

    @stalled.setter
    def stalled(self, stalled: bool) -> None:
        if stalled:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def listen(self, path: Path | None = None) -> None:
        """Start listening, on a Unix socket if a path is given."""
        if path is not None:
            self._server = await asyncio.start_unix_server(self._take, path)
            return
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def reset(self) -> None:
        """Reset all connections, like a machine that loses power."""
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            if connection.family == socket.AF_INET:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def close(self) -> None:
        """Stop listening and drop everything."""
        if self._server is not None:
            await stop_accepting(self._server)
            self._server.close()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for error in results:
            # Whether a cancelled task ends as cancelled depends on Python's version.
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise error
        for writer in self._writers:  # of those that were cancelled before they began
            writer.transport.abort()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio reports the cancellation of its own as an error.
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Drop a task that has ended well; `close` raises what ended another."""
        if task.cancelled() or task.exception() is None:
            self._tasks.discard(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        other: asyncio.StreamWriter | None = None
        try:
            back, other = await asyncio.open_connection(*self._target)
            self._writers.add(other)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_up(reader, other))
                both.create_task(self._pass_down(back, writer))
        except* (OSError, EOFError):
            pass
        finally:
            for end in filter(None, (writer, other)):
                self._writers.discard(end)
                end.transport.abort()

    async def _pass_up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await self._flowing.wait()
            data = await reader.read(4096)
            await self._pass(data, writer)

    async def _pass_down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        passed = 0
        while True:
            data = await reader.read(4096)
            passed += len(data)
            if self.cut_after is not None and passed >= self.cut_after:
                await self._pass(data[: len(data) // 2], writer)
                self.reset()
            await self._pass(data, writer)

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if not data:
            raise EOFError
        await self.thawed.wait()
        if not self.swallowing:
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxied(
    host: str, port: int, path: Path | None = None
) -> AsyncIterator[Proxy]:
    """Run a proxy in front of a server."""
    proxy = Proxy(host, port)
    await proxy.listen(path)
    try:
        yield proxy
    finally:
        await proxy.close()
