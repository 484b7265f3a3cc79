"""A small HTTP server for ``/metrics``, ``/healthz`` and ``/doctor``."""

import asyncio
import json
import logging
from dataclasses import dataclass

from bridge.app.doctor import examine
from bridge.app.supervisor import Supervisor
from bridge.config import Config, Metrics
from bridge.findings import Finding, Verdict, page
from bridge.timeout import timeout

log = logging.getLogger("bridge.metrics")

REQUEST_TIMEOUT = 5.0
"""Seconds that a client has to send its request."""

REPORT_TIMEOUT = 60.0
"""Seconds that the doctor has; an unreachable broker takes most of them."""

MAX_REQUEST = 8192
"""Bytes of the longest request that is read."""

MAX_CLIENTS = 16
"""Clients at a time. Another one takes the place of the oldest: who wants to know how
the bridge is sends the request at once, and who does not only holds a connection."""

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Page:
    status: str
    kind: str
    body: bytes


class Endpoint:
    """Serves the pages, if the configuration has a port for them.

    Args:
        supervisor: the printers.
        report_to: addresses of the clients that get ``/doctor``; for everybody else
            there is no such page, because it makes the bridge connect to the broker.

    """

    def __init__(
        self, supervisor: Supervisor, report_to: frozenset[str] = frozenset()
    ) -> None:
        self._supervisor = supervisor
        self._report_to = report_to
        self._examining = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._settings = Metrics()
        self._config: Config | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def apply(self, config: Config) -> None:
        """Listen where the settings say; warn if the port is in use."""
        self._config = config
        settings = config.metrics
        if settings == self._settings and (self._server or settings.port is None):
            return
        await self.close()
        self._settings = settings
        if settings.port is None:
            return
        try:
            self._server = await asyncio.start_server(
                self._arrived, settings.host, settings.port, limit=MAX_REQUEST
            )
        except OSError as error:
            log.warning(
                "no metrics at %s:%d (%s); the printers are not affected. Choose "
                "another metrics.port or metrics.host, and reload",
                settings.host,
                settings.port,
                error.strerror or error,
            )
        else:
            log.info("metrics at http://%s:%d/metrics", settings.host, settings.port)

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
        while len(self._clients) >= MAX_CLIENTS:
            oldest = next(iter(self._clients))
            self._clients.pop(oldest).transport.abort()
            oldest.cancel()
        task = asyncio.create_task(self._serve(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._left)

    def _left(self, client: asyncio.Task[None]) -> None:
        self._clients.pop(client, None)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with timeout(REQUEST_TIMEOUT):
                request = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = request.partition(b" ")
            target = rest.partition(b" ")[0]
            if self._wants_report(method, target, writer):
                async with timeout(REPORT_TIMEOUT):
                    found = await self._report()
            else:
                found = self._page(method, target)
            async with timeout(REQUEST_TIMEOUT):
                writer.write(_rendered(found, head_only=method == b"HEAD"))
                await writer.drain()
        except (
            TimeoutError,
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ):
            pass  # a client that does not speak HTTP, or has gone, gets no response
        finally:
            writer.close()

    def _wants_report(
        self, method: bytes, target: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        peer = writer.get_extra_info("peername")
        return (
            method == b"GET"
            and target.partition(b"?")[0] == b"/doctor"
            and peer is not None
            and peer[0] in self._report_to
        )

    async def _report(self) -> _Page:
        assert self._config is not None, "it listens"  # noqa: S101 - see apply
        # One at a time: each makes connections to the broker.
        async with self._examining:
            examined = examine(self._config, printers=False)
            findings = [finding async for finding in examined]
        for station in self._supervisor.stations:
            state = station.printer.state
            good = state.link == "operational"
            why = f": {state.problem.error}" if state.problem is not None else ""
            verdict: Verdict = "ok" if good else "wrong"
            findings.append(
                Finding("printer", verdict, f"{state.phase}{why}", station.name)
            )
        return _Page("200 OK", "text/html; charset=utf-8", page(findings).encode())

    def _page(self, method: bytes, target: bytes) -> _Page:
        if method not in {b"GET", b"HEAD"}:
            return _Page("405 Method Not Allowed", _TEXT, b"only GET and HEAD\n")
        match target.partition(b"?")[0]:
            case b"/metrics":
                return self._metrics()
            case b"/healthz":
                return self._health()
        return _Page("404 Not Found", _TEXT, b"there are /metrics and /healthz\n")

    def _metrics(self) -> _Page:
        # Importing it takes 6 MB, which only those pay who read the metrics.
        from bridge.app.metrics import KIND, render  # noqa: PLC0415

        return _Page("200 OK", KIND, render(self._supervisor))

    def _health(self) -> _Page:
        """Return 200 while every printer is served, whatever is connected."""
        stations = self._supervisor.stations
        problem = self._supervisor.problem(asyncio.get_running_loop().time())
        document = {
            "status": problem or "ok",
            "printers": {
                station.name: {
                    "state": station.printer.state.phase,
                    "broker": station.broker.connected,
                }
                for station in stations
            },
        }
        status = "503 Service Unavailable" if problem else "200 OK"
        return _Page(status, "application/json", json.dumps(document).encode() + b"\n")


def _rendered(page: _Page, *, head_only: bool) -> bytes:
    head = (
        f"HTTP/1.1 {page.status}\r\n"
        f"Content-Type: {page.kind}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else page.body)
