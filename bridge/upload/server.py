"""The HTTP server: accepts clients, and serves the requests on their connections.

h11 reads and writes the messages (HTTP/1.0 and 1.1, chunks, pipelining, limits of the
head). Here are the sockets and the times: who says nothing is disconnected, and a body
is read only as fast as it is stored.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import h11

from bridge.timeout import timeout
from bridge.upload.messages import Head, HttpError, HttpResponse, error_answer

log = logging.getLogger("bridge.upload")

HEAD_TIMEOUT = 10.0
"""Seconds for a whole head, from the connection or the end of the last answer on.
Slicers send it at once; their own connect timeout is as long."""

BODY_TIMEOUT = 60.0
"""Seconds of silence in a body: a slicer that is suspended, or out of the WLAN."""

ANSWER_TIMEOUT = 20.0
"""Seconds for a client to take an answer."""

LINGER_TIMEOUT, LINGER_BYTES = 5.0, 4 * 1024 * 1024
"""How long, and how much of, a body that nobody wants is read before the connection is
closed. A connection that is closed with unread bytes is reset, and then the client
loses the answer that says why (RFC 9112, 9.6)."""

MAX_HEAD = 16 * 1024
"""Bytes of the longest head."""

READ_SIZE = 64 * 1024
"""Bytes that are read at once. Small enough for a printer's line not to wait: they
take a tenth of a millisecond."""


class Cut(Exception):  # noqa: N818 - it is no error of ours
    """The client went away, or stayed silent for too long, in the middle of a request.

    There is nobody to answer.
    """


class Body:
    """The body of a request. Who never reads it has the connection closed.

    Args:
        receive: returns the next event of the request.
        proceed: asks a client that waits for it to send the body.

    """

    def __init__(
        self,
        receive: Callable[[], Awaitable[h11.Event | None]],
        proceed: Callable[[], Awaitable[None]],
    ) -> None:
        self._receive = receive
        self._proceed = proceed

    async def pieces(self, limit: int) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive.

        Args:
            limit: more than so many bytes are refused.

        Raises:
            HttpError: There are more (413), or they are not valid HTTP.
            Cut: The client is gone.

        """
        await self._proceed()
        received = 0
        while isinstance(event := await self._receive(), h11.Data):
            received += len(event.data)
            if received > limit:
                raise HttpError(413, f"the request has more than {limit} bytes")
            yield bytes(event.data)

    async def read(self, limit: int) -> bytes:
        """Return all bytes; raises as :meth:`pieces` does."""
        return b"".join([piece async for piece in self.pieces(limit)])


Handle = Callable[[Head, Body], Awaitable[HttpResponse]]


class HttpConnection:
    """Serves one client.

    Args:
        reader: what it sends.
        writer: what it gets.
        handle: answers a request.

    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handle: Handle,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self.idle = True
        """No request of it is being handled."""

    async def serve(self) -> None:
        """Answer requests until one of the two sides closes the connection."""
        try:
            while await self._serve_request():
                self._http.start_next_cycle()
            self._writer.close()
            async with timeout(ANSWER_TIMEOUT):
                await self._writer.wait_closed()
        except (Cut, OSError, TimeoutError):
            pass  # there is nobody to answer
        finally:
            self.abort()

    def abort(self) -> None:
        """Disconnect the client at once."""
        self._writer.transport.abort()

    async def _serve_request(self) -> bool:
        """Answer one request; return whether another one may follow."""
        head: Head | None = None
        try:
            head = await self._head()
            if head is None:
                return False
            self.idle = False
            answer = await self._handle(head, Body(self._event, self._proceed))
        except HttpError as error:
            answer = error_answer(error.status, error.text, head)
        await self._send(answer, head)
        self.idle = True
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            return True
        await self._linger()
        return False

    async def _head(self) -> Head | None:
        """Return the next request; ``None``: the client has closed the connection."""
        try:
            async with timeout(HEAD_TIMEOUT):
                event = await self._next()
        except TimeoutError:
            raise Cut from None
        if not isinstance(event, h11.Request):
            return None
        head = _head(event)
        if "content-length" not in head.headers and not head.header(
            "transfer-encoding"
        ):
            self._http.next_event()  # the end of a request without a body
        return head

    async def _event(self) -> h11.Event | None:
        """Return the next event of a body."""
        try:
            async with timeout(BODY_TIMEOUT):
                event = await self._next()
        except TimeoutError:
            raise Cut from None
        if isinstance(event, h11.ConnectionClosed):
            raise Cut
        return event

    async def _next(self) -> h11.Event | None:
        """Return the next event; ``None``: there is none before an answer is sent."""
        try:
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Event):
                    return event
                if event is h11.PAUSED:
                    return None
                data = await self._read()
                if not data and self._http.their_state is h11.SEND_BODY:
                    raise Cut
                self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            raise HttpError(status, f"this is not valid HTTP: {error}") from None

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_SIZE)
        except OSError:
            raise Cut from None

    async def _proceed(self) -> None:
        """Ask for the body, if the client waits for that (``Expect``)."""
        if self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[]))
            await self._drain()

    async def _send(self, answer: HttpResponse, head: Head | None) -> None:
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            raise Cut
        complete = self._http.their_state is h11.DONE
        headers = {
            "Server": "gcode2mqtt",
            "X-Content-Type-Options": "nosniff",
            **answer.headers,
        }
        if answer.body:
            headers["Content-Type"] = answer.kind
        if answer.status != 204:  # noqa: PLR2004 - No Content, RFC 9110, 8.6
            headers["Content-Length"] = str(len(answer.body))
        if not complete:
            headers["Connection"] = "close"
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._write(h11.Response(status_code=answer.status, headers=fields))
        if answer.body and (head is None or head.method != "HEAD"):
            self._write(h11.Data(data=answer.body))
        self._write(h11.EndOfMessage())
        await self._drain()

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _drain(self) -> None:
        try:
            async with timeout(ANSWER_TIMEOUT):
                await self._writer.drain()
        except TimeoutError:
            raise Cut from None

    async def _linger(self) -> None:
        """Read a little more, so that the client gets the answer."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        left = LINGER_BYTES
        with suppress(TimeoutError):
            async with timeout(LINGER_TIMEOUT):
                while left > 0 and (data := await self._reader.read(READ_SIZE)):
                    left -= len(data)


def _head(request: h11.Request) -> Head:
    """Return a request as we know it.

    Raises:
        HttpError: Its body could be understood in two ways (400), its head is too large
            (431), or it is of another version (505).

    """
    if request.http_version not in {b"1.0", b"1.1"}:
        raise HttpError(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    # h11 only limits heads that are not complete yet.
    if sum(len(name) + len(value) for name, value in request.headers) > MAX_HEAD:
        raise HttpError(431, "the head of the request is too large")
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        if name in headers:
            repeated.add(name)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    if "transfer-encoding" in headers and "content-length" in headers:
        raise HttpError(400, "the request has both Content-Length and chunks")
    return Head(
        method=request.method.decode("ascii"),
        target=request.target.decode("ascii"),
        headers=headers,
        repeated=frozenset(repeated),
    )


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
