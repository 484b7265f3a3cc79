"""The HTTP server that slicers upload to: it listens, and limits what clients take."""

import asyncio
import logging
import ssl

from bridge.upload.connection import READ_SIZE, Handle, HttpConnection

log = logging.getLogger("bridge.upload")

MAX_CLIENTS = 64
"""Connections at a time. Another one takes the place of the one that has been idle for
longest; if none is, it is closed."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the TLS handshake."""


class Server:
    """Serves all printers of the process on one port.

    Args:
        handle: answers a request.

    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], HttpConnection] = {}

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    async def listen(
        self, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> int:
        """Listen, and return the port.

        Args:
            host: the address to bind to.
            port: the TCP port; 0: any.
            tls: encrypts the connections.

        Raises:
            OSError: The address is in use, or is none of this machine's.

        """
        self._server = await asyncio.start_server(
            self._arrived,
            host,
            port,
            limit=READ_SIZE,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT if tls else None,
        )
        name = self._server.sockets[0].getsockname()
        return int(name[1])

    async def close(self) -> None:
        """Stop listening, and disconnect the clients."""
        if self._server is not None:
            self._server.close()
            self._server = None
        clients = [*self._clients]
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    def _arrived(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if len(self._clients) >= MAX_CLIENTS and not self._drop_idle():
            log.warning("more than %d clients at a time; one was rejected", MAX_CLIENTS)
            writer.transport.abort()
            return
        connection = HttpConnection(reader, writer, self._handle)
        task = asyncio.create_task(connection.serve())
        self._clients[task] = connection
        task.add_done_callback(self._left)

    def _drop_idle(self) -> bool:
        """Disconnect the oldest client that asks for nothing; return if there is one.

        Who has been told to send a body has shown a key; who has not may only hold a
        connection.
        """
        for task, connection in self._clients.items():
            if connection.idle:
                del self._clients[task]
                connection.abort()
                task.cancel()
                return True
        return False

    def _left(self, client: asyncio.Task[None]) -> None:
        self._clients.pop(client, None)
        if not client.cancelled() and (error := client.exception()) is not None:
            log.error("an unexpected error while a client was served", exc_info=error)
