"""Downloads a file from an ``https`` server that the configuration allows."""

import asyncio
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import h11

from bridge.errors import FailedError, RejectedError
from bridge.threads import in_thread
from bridge.timeout import timeout

CONNECT_TIMEOUT = 10.0
"""Seconds for the connection and the TLS handshake, for each address of the server."""

SILENCE_TIMEOUT = 30.0
"""Seconds of silence after which a download fails."""

LONGEST = 3600.0
"""Seconds for a whole download."""

MAX_REDIRECTS = 5
"""Redirects that are followed, if they stay on the same server."""

_HTTPS = 443
_READ_SIZE = 64 * 1024  # bytes that are read from the socket at once
_BLOCK = 256 * 1024  # bytes that are written to the disk at once
_REDIRECTS = {301, 302, 303, 307, 308}  # RFC 9110, 15.4, those with a Location to GET
_SAFE = "/:?&=%@!$'()*+,;~-._"  # not percent-encoded again (RFC 3986, 2.2 and 2.3)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file is.

    Attributes:
        host: the server's name or address, in lower case.
        port: its TCP port.
        target: the path and the query, encoded.

    """

    host: str
    port: int
    target: str

    @property
    def server(self) -> str:
        """The value of the header ``Host``."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _HTTPS else f"{name}:{self.port}"

    @property
    def filename(self) -> str:
        """The last part of the path, decoded; it may be empty."""
        return unquote(self.target.partition("?")[0].rpartition("/")[2])


def source(url: str, allowed: Collection[str]) -> Source:
    """Return where a URL leads.

    Args:
        url: an ``https`` URL without a user name.
        allowed: servers, as ``HOST`` for port 443 or ``HOST:PORT``.

    Raises:
        RejectedError: It is none (400), or its server is not allowed (403).

    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port or _HTTPS
    except ValueError:
        raise RejectedError.invalid("url: this is not a URL") from None
    if parts.scheme != "https" or not host or parts.username is not None:
        raise RejectedError.invalid(
            "url: must begin with https:// and the name of a server, without a user"
        )
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_SAFE)}"
    found = Source(host, port, target)
    if found.server not in {name.lower() for name in allowed}:
        raise RejectedError.forbidden(
            f"url: {found.server} is not in files.fetch_hosts, so nothing is fetched "
            "from it",
            "forbidden",
        )
    return found


class Download:
    """Fetches one file.

    Args:
        place: where it is.
        sha256: what its content must have, in lower case.
        limit: bytes of the largest file.
        ca_file: the certificate authority of the server; ``None``: those of the system.

    """

    def __init__(
        self, place: Source, *, sha256: str, limit: int, ca_file: Path | None = None
    ) -> None:
        self._place = place
        self._sha256 = sha256
        self._limit = limit
        self._ca_file = ca_file

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the content as it arrives.

        The last piece is only yielded if the content is what it should be; so whoever
        stores it must not do so before the end.

        Raises:
            RejectedError: There is no such file, it is too large, or another one.
            FailedError: The server cannot be reached, or fails.

        """
        try:
            load = partial(_context, self._ca_file)
            context = await in_thread(load, _forget, name="upload-fetch")
            async for piece in self._follow(context):
                yield piece
        except TimeoutError:
            raise FailedError.timeout(f"{self._place.server} sends nothing") from None
        except OSError as error:
            text = f"{self._place.server}: {_reason(error)}"
            raise FailedError.disconnected(text) from None
        except h11.ProtocolError as error:
            text = f"{self._place.server} does not speak HTTP: {error}"
            raise FailedError.disconnected(text) from None

    async def _follow(self, context: ssl.SSLContext) -> AsyncIterator[bytes]:
        place = self._place
        deadline = asyncio.get_running_loop().time() + LONGEST
        for _ in range(MAX_REDIRECTS + 1):
            exchange = _Exchange(place, self._limit, deadline)
            try:
                await exchange.connect(context)
                location = await exchange.ask()
                if location is None:
                    async for piece in _verified(exchange.body(), self._sha256):
                        yield piece
                    return
                place = _redirected(place, location)
            finally:
                exchange.close()
        raise _refused(f"{place.server} redirects too often")


class _Exchange:
    """One request and its answer.

    Args:
        place: what is asked for.
        limit: bytes of the largest content.
        deadline: the event loop's time at which it is given up, in seconds.

    """

    def __init__(self, place: Source, limit: int, deadline: float) -> None:
        self._place = place
        self._limit = limit
        self._deadline = deadline
        self._http = h11.Connection(h11.CLIENT)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self, context: ssl.SSLContext) -> None:
        """Connect to the first address of the server that answers."""
        host, port = self._place.host, self._place.port
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        problem: OSError = OSError("it has no address")
        for found in await in_thread(look_up, _forget, name="upload-fetch"):
            try:
                async with timeout(CONNECT_TIMEOUT):
                    self._reader, self._writer = await asyncio.open_connection(
                        str(found[4][0]),
                        port,
                        limit=_READ_SIZE,
                        ssl=context,
                        server_hostname=host,
                    )
            except TimeoutError:
                problem = OSError("it does not answer")
            except OSError as error:
                problem = error
            else:
                return
        raise problem

    async def ask(self) -> str | None:
        """Send the request; return where the answer redirects to.

        ``None``: the file follows.
        """
        headers = {
            "Host": self._place.server,
            "User-Agent": "gcode2mqtt",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        request = h11.Request(
            method="GET", target=self._place.target, headers=[*headers.items()]
        )
        assert self._writer is not None  # noqa: S101 - it is connected
        sent = (self._http.send(request) or b"") + (
            self._http.send(h11.EndOfMessage()) or b""
        )
        self._writer.write(sent)
        event = await self._next()
        while isinstance(event, h11.InformationalResponse):
            event = await self._next()
        if not isinstance(event, h11.Response):
            raise OSError("it closed the connection")
        return self._checked(event)

    def _checked(self, response: h11.Response) -> str | None:
        given = {
            name.decode(): value.decode("latin-1") for name, value in response.headers
        }
        status = response.status_code
        if status in _REDIRECTS and "location" in given:
            return given["location"]
        if status != 200:  # noqa: PLR2004 - OK
            raise _refused(f"{self._place.server} answers {status} for this URL")
        if given.get("content-encoding", "identity") != "identity":
            raise _refused(f"{self._place.server} sends it compressed")
        if int(given.get("content-length", "0")) > self._limit:
            raise _too_large(self._limit)
        return None

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the content."""
        received = 0
        while isinstance(event := await self._next(), h11.Data):
            received += len(event.data)
            if received > self._limit:
                raise _too_large(self._limit)
            yield bytes(event.data)

    async def _next(self) -> h11.Event:
        assert self._reader is not None  # noqa: S101 - it is connected
        while not isinstance(event := self._http.next_event(), h11.Event):
            # Not around the whole download: a timeout must not end what its caller does
            # between two pieces.
            left = self._deadline - asyncio.get_running_loop().time()
            async with timeout(min(SILENCE_TIMEOUT, left)):
                self._http.receive_data(await self._reader.read(_READ_SIZE))
        return event

    def close(self) -> None:
        """Disconnect."""
        if self._writer is not None:
            self._writer.transport.abort()


async def _verified(pieces: AsyncIterator[bytes], sha256: str) -> AsyncIterator[bytes]:
    """Pass on what arrives, and raise an error at the end if it is something else."""
    digest = hashlib.sha256()
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        if len(waiting) >= _BLOCK:
            block = bytes(waiting)
            waiting.clear()
            await in_thread(partial(digest.update, block), _forget, name="upload-fetch")
            yield block
    digest.update(waiting)
    if digest.hexdigest() != sha256:
        raise _refused(f"the file has another SHA-256: {digest.hexdigest()}")
    yield bytes(waiting)


def _redirected(place: Source, location: str) -> Source:
    """Return where a redirect leads; only on the same server.

    Raises:
        RejectedError: It leads elsewhere.

    """
    url = urljoin(f"https://{place.server}{place.target}", location)
    try:
        return source(url, [place.server])
    except RejectedError:
        raise _refused(
            f"{place.server} redirects to another server; name that one in the URL and "
            "in files.fetch_hosts"
        ) from None


def _refused(why: str) -> RejectedError:
    return RejectedError(f"url: {why}", error="fetch_failed", code=400)


def _too_large(limit: int) -> RejectedError:
    text = f"url: the file is larger than {limit // 2**20} MiB (files.max_upload)"
    return RejectedError(text, error="too_large", code=413)


def _reason(error: OSError) -> str:
    """Return why a connection failed; asyncio's own texts repeat the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError | socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _forget(_result: object) -> None:
    """Discard a result that arrives too late; it holds nothing to close."""
