"""The HTTP server: accepts clients, and serves the requests on their connections.

h11 reads and writes the messages (HTTP/1.0 and 1.1, chunks, pipelining, limits of the
head). Here are the sockets and the times: who says nothing is disconnected, and a body
is read only as fast as it is stored.
"""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import cast

import h11

from bridge.timeout import timeout
from bridge.upload.messages import Head, HttpError, HttpResponse, error_answer

log = logging.getLogger("bridge.upload")

HEAD_TIMEOUT = 10.0
"""Seconds for the whole head of a request, counted from the connection or the end of
the last response. Slicers send it at once; their own connect timeout is also 10 s."""

BODY_TIMEOUT = 60.0
"""Seconds of silence within a body, for example because the computer with the slicer
was suspended or left the WLAN."""

ANSWER_TIMEOUT = 20.0
"""Seconds for a client to receive a response."""

LINGER_TIMEOUT, LINGER_BYTES = 5.0, 4 * 1024 * 1024
"""How long, and how much of, a refused body is read before the connection is closed. A
connection that is closed with unread bytes is reset, and the client then loses the
response that says why (RFC 9112, 9.6)."""

MAX_HEAD = 16 * 1024
"""Bytes of the head of a request."""

READ_SIZE = 256 * 1024
"""Bytes that are read at once, which is the most that asyncio reads from a socket. Most
of the cost of a read does not depend on its size; copying this much takes less than
half a millisecond."""

EVENTS_AT_ONCE = 8
"""Requests and chunks that are handled before the event loop runs other callbacks. A
client can send many together, and a request takes about 0.2 ms."""

BODY_GRACE, BODY_RATE = 60.0, 4 * 1024
"""How long a body may take: so many seconds, plus one for each so many bytes. The
slowest WLAN is ten times as fast; a slower client would occupy one of the few uploads
for hours."""


class Cut(Exception):  # noqa: N818 - it is not an error of ours
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
        self.admitted = False
        """The sender has shown a valid key, and may occupy the connection."""

    async def pieces(self, limit: int) -> AsyncIterator[bytes | bytearray]:
        """Yield the bytes as they arrive; the next ones are not read before.

        Args:
            limit: more than so many bytes are refused.

        Raises:
            HttpError: There are more (413), they come too slowly (408), or they are not
                valid HTTP.
            Cut: The client is gone.

        """
        await self._proceed()
        received, waited = 0, 0.0
        while True:
            asked = time.monotonic()
            event = await self._receive()
            if not isinstance(event, h11.Data):
                return
            # Only the client's time counts, not that of the disk.
            waited += time.monotonic() - asked
            received += len(event.data)
            if received > limit:
                raise HttpError(413, f"the request has more than {limit} bytes")
            if waited > BODY_GRACE + received / BODY_RATE:
                raise HttpError(408, "the upload was too slow, and was given up")
            yield event.data

    async def read(self, limit: int) -> bytes:
        """Return all bytes; raises as :meth:`pieces` does."""
        return b"".join([piece async for piece in self.pieces(limit)])


Handle = Callable[[Head, Body], Awaitable[HttpResponse]]


class ClientSocket(asyncio.Protocol):
    """The connection to a client, from which is read only when somebody asks.

    asyncio's streams read ahead: while an upload rests, they would be woken up by each
    packet and copy it twice.

    Args:
        on_connected: called when the client is connected, with this.

    """

    def __init__(self, on_connected: Callable[["ClientSocket"], None]) -> None:
        self._on_connected = on_connected
        self._data = b""
        self._ended = False
        self._error: Exception | None = None
        self._read_wait: asyncio.Future[None] | None = None
        self._write_wait: asyncio.Future[None] | None = None
        self._write_paused = False
        self._handshakes = False
        self._lost = asyncio.Event()
        self.transport: asyncio.Transport

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait until data are wanted."""
        # That of another event loop, such as uvloop's, need not inherit from it.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()
        self._on_connected(self)

    def data_received(self, data: bytes) -> None:
        """Keep what was read, and stop reading."""
        if not self._handshakes:
            self.transport.pause_reading()
        self._data += data
        _wake(self._read_wait)

    def eof_received(self) -> bool:
        """Note that the client sends no more; it may still wait for its response."""
        self._ended = True
        _wake(self._read_wait)
        # TLS cannot be closed on one side only.
        return self.transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection."""
        self._ended, self._error = True, exc
        self._lost.set()
        _wake(self._read_wait)
        _wake(self._write_wait)

    def pause_writing(self) -> None:
        """Note that the client accepts no data at the moment."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Note that the client accepts data again."""
        self._write_paused = False
        _wake(self._write_wait)

    # What a connection calls

    async def start_tls(self, tls: ssl.SSLContext) -> None:
        """Start TLS, before anything was read.

        Raises:
            OSError: The client does not want to, or takes too long.

        """
        loop = asyncio.get_running_loop()
        # A request may arrive with the end of the handshake, before its transport.
        self._handshakes = True
        transport = await loop.start_tls(
            self.transport,
            self,
            tls,
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
        )
        self._handshakes = False
        if transport is None:
            raise ConnectionAbortedError("the client went away")
        self.transport = transport
        transport.pause_reading()

    async def read(self) -> bytes:
        """Return the next bytes; none at all: the client sends no more.

        Raises:
            OSError: The connection was lost.

        """
        if not self._data and not self._ended:
            self._read_wait = asyncio.get_running_loop().create_future()
            self.transport.resume_reading()
            try:
                await self._read_wait
            finally:
                self._read_wait = None
        data, self._data = self._data, b""
        if not data and self._error is not None:
            raise self._error
        return data

    async def drain(self) -> None:
        """Wait until most of what was written is on its way.

        Raises:
            OSError: The connection was lost.

        """
        while self._write_paused and not self._lost.is_set():
            self._write_wait = asyncio.get_running_loop().create_future()
            try:
                await self._write_wait
            finally:
                self._write_wait = None
        if self._lost.is_set():
            raise self._error or ConnectionResetError("the client went away")

    async def close(self) -> None:
        """Close the connection when all was sent."""
        self.transport.close()
        await self._lost.wait()

    def expect_much(self) -> None:
        """Let the system keep a whole piece of a body until it is read.

        By default it keeps 64 KiB, and the client would wait during each rest.
        """
        connected = self.transport.get_extra_info("socket")
        with suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * READ_SIZE)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class HttpConnection:
    """Serves one client.

    Args:
        client: the connection to it.
        handle: answers a request.
        tls: encrypts the connection.

    """

    def __init__(
        self, client: ClientSocket, handle: Handle, tls: ssl.SSLContext | None = None
    ) -> None:
        self._client = client
        self._handle = handle
        self._tls = tls
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._body: Body | None = None
        self._events = 0

    @property
    def idle(self) -> bool:
        """Whether no request of somebody with a key is being handled."""
        return self._body is None or not self._body.admitted

    async def serve(self) -> None:
        """Answer requests until one of the two sides closes the connection."""
        try:
            if self._tls is not None:
                await self._client.start_tls(self._tls)
            while await self._serve_request():
                self._http.start_next_cycle()
            async with timeout(ANSWER_TIMEOUT):
                await self._client.close()
        except (Cut, OSError, TimeoutError):
            pass  # nobody waits for a response
        finally:
            self.abort()

    def abort(self) -> None:
        """Disconnect the client at once."""
        self._client.transport.abort()

    async def _serve_request(self) -> bool:
        """Answer one request; return whether another one may follow."""
        head: Head | None = None
        try:
            head = await self._head()
            if head is None:
                return False
            self._body = Body(self._event, self._proceed)
            answer = await self._handle(head, self._body)
        except HttpError as error:
            answer = error_answer(error.status, error.text, head)
        await self._send(answer, head)
        self._body = None
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
        # What has been read may hold thousands of requests, or of tiny chunks.
        self._events += 1
        if self._events % EVENTS_AT_ONCE == 0:
            await asyncio.sleep(0)
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
            return await self._client.read()
        except OSError:
            raise Cut from None

    async def _proceed(self) -> None:
        """Ask for the body, if the client waits for that (``Expect``)."""
        self._client.expect_much()
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
        self._client.transport.write(self._http.send(event) or b"")

    async def _drain(self) -> None:
        try:
            async with timeout(ANSWER_TIMEOUT):
                await self._client.drain()
        except TimeoutError:
            raise Cut from None

    async def _linger(self) -> None:
        """Read a little more, so that the client receives the response."""
        if self._client.transport.can_write_eof():
            self._client.transport.write_eof()
        left = LINGER_BYTES
        with suppress(TimeoutError):
            async with timeout(LINGER_TIMEOUT):
                while left > 0 and (data := await self._client.read()):
                    left -= len(data)


def _head(request: h11.Request) -> Head:
    """Return a request as we know it.

    Raises:
        HttpError: Its body could be understood in two ways (400), its head is too large
            (431), or it is of another version (505).

    """
    if request.http_version not in {b"1.0", b"1.1"}:
        raise HttpError(505, "only HTTP/1.1 and HTTP/1.0 are supported")
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
"""Connections at a time. A new one replaces the one that has been idle for longest; if
none is idle, the new one is closed."""

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the TLS handshake."""


class Server:
    """Serves all printers of the process on one port.

    Args:
        handle: answers a request.

    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._tls: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], HttpConnection] = {}

    @property
    def clients(self) -> int:
        """The number of connected clients."""
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
        self._tls = tls
        loop = asyncio.get_running_loop()
        # A client that has only begun a handshake counts as well.
        self._server = await loop.create_server(
            partial(ClientSocket, self._arrived), host, port
        )
        name = self._server.sockets[0].getsockname()
        return int(name[1])

    def leave(self) -> None:
        """Stop listening, and abort all requests."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for client in self._clients:
            if not client.cancelling():  # it may still be removing its file
                client.cancel()

    async def close(self) -> None:
        """Stop listening, and disconnect the clients."""
        clients = [*self._clients]
        self.leave()
        await asyncio.gather(*clients, return_exceptions=True)

    def _arrived(self, client: ClientSocket) -> None:
        if len(self._clients) >= MAX_CLIENTS and not self._drop_idle():
            log.warning("more than %d clients at a time; one was rejected", MAX_CLIENTS)
            client.transport.abort()
            return
        connection = HttpConnection(client, self._handle, self._tls)
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
