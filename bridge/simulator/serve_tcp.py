"""A firmware behind a TCP port, as a serial device server offers it."""

import asyncio
import contextlib
from typing import cast

from bridge.errors import LinkError
from bridge.simulator.serve_clock import Clock

BACKLOG = 65_536  # bytes that wait for a reader; what follows is lost, as on a UART


class _Client(asyncio.Protocol):
    def __init__(self, server: "TcpServer") -> None:
        self._server = server
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self._server.welcomes(self):
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._server.clock.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._server.leave(self)


class TcpServer:
    """A listening port with room for one client; a second one is turned away."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._server: asyncio.Server | None = None
        self._client: _Client | None = None

    @property
    def port(self) -> int:
        """The port that it listens at."""
        if self._server is None:
            return 0
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def taken(self) -> bool:
        """There is a client."""
        return self._client is not None

    async def listen(self, host: str, port: int) -> None:
        """Open the port; 0 takes a free one.

        Raises:
            LinkError: It cannot be opened.

        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Client(self), host, port)
        except OSError as error:
            raise LinkError(
                f"cannot listen at {host}:{port}: {error.strerror or error}"
            ) from error
        self.clock.send = self._write

    async def close(self) -> None:
        """Close the port and hang up."""
        self.hang_up()
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(asyncio.CancelledError):
                await self._server.wait_closed()
            self._server = None

    def hang_up(self) -> None:
        """Break the client's connection."""
        if self._client is not None and self._client.transport is not None:
            self._client.transport.abort()

    def welcomes(self, client: _Client) -> bool:
        """Take a client, unless there is another one."""
        if self._client is None:
            self._client = client
        return self._client is client

    def leave(self, client: _Client) -> None:
        """Make room for the next client."""
        if client is self._client:
            self._client = None

    def _write(self, data: bytes) -> None:
        transport = self._client.transport if self._client else None
        if transport is not None and transport.get_write_buffer_size() < BACKLOG:
            transport.write(data)
