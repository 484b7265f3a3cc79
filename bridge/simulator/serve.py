"""Runs a firmware in real time, at the end of a line with faults."""

import asyncio
import contextlib
import os
import tty
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from bridge.errors import LinkError
from bridge.simulator.faults import Channel, Delivery, Faults
from bridge.simulator.firmware import Firmware

Wire = Callable[[str, bytes], None]
"""Called with what is on the wire: ``">"`` and what the host sends, or ``"<"`` and what
the printer says, both as the other side receives it."""


Arrive = Callable[[Delivery], None]


def _nowhere(_data: bytes) -> None:
    pass


class Clock:
    """Runs a firmware in real time.

    Attributes:
        firmware: the firmware.
        send: takes what the printer says; set it when somebody listens.

    """

    def __init__(
        self,
        firmware: Firmware,
        *,
        faults: Faults | None = None,
        wire: Wire | None = None,
    ) -> None:
        """Switch the firmware on; must be called within the event loop."""
        self.firmware = firmware
        self.send: Callable[[bytes], None] = _nowhere
        self._faults = faults
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: dict[Arrive, deque[Delivery]] = {}
        self._alarms: dict[Arrive, asyncio.TimerHandle] = {}
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Press the reset button."""
        self._say(self.firmware.reset(self._loop.time()))

    def press(self, action: str, *arguments: str | float) -> None:
        """Do something at the printer, as :meth:`Firmware.panel` describes.

        Raises:
            ValueError: There is no such action, heater or file.

        """
        now = self._loop.time()
        self._say(self.firmware.panel(action, *arguments, now=now))

    def receive(self, data: bytes) -> None:
        """Take what the host sends."""
        channel = self._faults.to_printer if self._faults else None
        self._carry(channel, data, self._arrive)

    def close(self) -> None:
        """Switch it off; what is under way is lost."""
        self._closed = True
        for alarm in self._alarms.values():
            alarm.cancel()
        for waiting in self._under_way.values():
            waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _carry(self, channel: Channel | None, data: bytes, arrive: Arrive) -> None:
        now = self._loop.time()
        if channel is None:
            arrive(Delivery(now, data))
            return
        self._under_way.setdefault(arrive, deque()).extend(channel.carry(data, now))
        self._deliver(arrive)

    def _deliver(self, arrive: Arrive) -> None:
        """Hand over what is due, in order, however late the loop is."""
        if alarm := self._alarms.pop(arrive, None):
            alarm.cancel()
        waiting = self._under_way[arrive]
        while waiting and waiting[0].at <= self._loop.time():
            arrive(waiting.popleft())
        if waiting and not self._closed:
            when = waiting[0].at
            self._alarms[arrive] = self._loop.call_at(when, self._deliver, arrive)

    def _arrive(self, delivery: Delivery) -> None:
        if delivery.reset:
            self.reset()
        self._show(">", delivery.data)
        now = self._loop.time()
        self._say(self.firmware.receive_data(delivery.data, now))

    def _say(self, data: bytes) -> None:
        if self._closed:
            return
        if data:
            channel = self._faults.to_host if self._faults else None
            self._carry(channel, data, self._reach_host)
        if self._timer is not None:
            self._timer.cancel()
        due = self.firmware.next_event(self._loop.time())
        self._timer = None if due is None else self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._say(self.firmware.handle_time(self._loop.time()))

    def _reach_host(self, delivery: Delivery) -> None:
        self._show("<", delivery.data)
        self.send(delivery.data)

    def _show(self, direction: str, data: bytes) -> None:
        if self._wire is not None and data:
            self._wire(direction, data)


BACKLOG = 65_536  # bytes that wait for a reader; what follows is lost, as on a UART
CHUNK = 65_536


class PtyServer:
    """A pseudo-terminal with a name of its own.

    Its own end of the slave stays open, so clients may come and go. A client that does
    not read makes neither the event loop nor the firmware wait.
    """

    def __init__(self, clock: Clock, path: Path) -> None:
        self.clock = clock
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._master: int | None = None
        self._slave: int | None = None
        self._backlog = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes that have not been read yet."""
        return len(self._backlog)

    def plug(self) -> None:
        """Make the port appear.

        Raises:
            LinkError: There is something else at its path.

        """
        if self._master is not None:
            return
        if self.path.exists() and not self.path.is_symlink():
            raise LinkError(
                f"{self.path} exists and is no symbolic link: choose another path"
            )
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._master, self._slave = master, slave
        self._backlog.clear()
        try:
            self._link(os.ttyname(slave))
        except OSError as error:
            self._close()
            raise LinkError(f"cannot create {self.path}: {error.strerror}") from error
        self._loop.add_reader(master, self._read, master)
        self.clock.send = self._write

    def _link(self, target: str) -> None:
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(self.path)

    def unplug(self) -> None:
        """Make the port disappear, as when the cable is pulled; safe to call twice."""
        if self._master is None:
            return
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        ends = (self._master, self._slave)
        for descriptor in [end for end in ends if end is not None]:
            os.close(descriptor)
        self._master = self._slave = None
        self._backlog.clear()

    def _read(self, master: int) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(master, CHUNK)
        self.clock.receive(data)

    def _write(self, data: bytes) -> None:
        if self._master is None:
            return
        waited = bool(self._backlog)
        self._backlog += data[: BACKLOG - len(self._backlog)]
        if not waited:
            self._flush(self._master)

    def _flush(self, master: int) -> None:
        written = 0
        with contextlib.suppress(BlockingIOError):
            written = os.write(master, self._backlog)
        del self._backlog[:written]
        if self._backlog:
            self._loop.add_writer(master, self._flush, master)
        else:
            self._loop.remove_writer(master)


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
        """The port on which it listens."""
        if self._server is None:
            return 0
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def taken(self) -> bool:
        """Whether there is a client."""
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


@asynccontextmanager
async def pty_server(
    firmware: Firmware,
    path: str | Path,
    *,
    faults: Faults | None = None,
    wire: Wire | None = None,
) -> AsyncIterator[PtyServer]:
    """Run a firmware behind a pseudo-terminal for as long as the block lasts.

    Args:
        firmware: the printer; it is reset first.
        path: where a symbolic link to the port appears.
        faults: what goes wrong on the line.
        wire: called with what is on the wire.

    Raises:
        LinkError: The path is taken or cannot be created.

    """
    clock = Clock(firmware, faults=faults, wire=wire)
    server = PtyServer(clock, Path(path))
    try:
        server.plug()
        yield server
    finally:
        server.unplug()
        clock.close()


@asynccontextmanager
async def tcp_server(
    firmware: Firmware,
    host: str,
    port: int,
    *,
    faults: Faults | None = None,
    wire: Wire | None = None,
) -> AsyncIterator[TcpServer]:
    """Run a firmware behind a TCP port for as long as the block lasts.

    Args:
        firmware: the printer; it is reset first.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        faults: what goes wrong on the line.
        wire: called with what is on the wire.

    Raises:
        LinkError: The port cannot be opened.

    """
    clock = Clock(firmware, faults=faults, wire=wire)
    server = TcpServer(clock)
    try:
        await server.listen(host, port)
        yield server
    finally:
        await server.close()
        clock.close()


async def serve_pty(
    firmware: Firmware, path: str | Path, *, wire: Wire | None = None
) -> None:
    """Run a firmware behind a pseudo-terminal until this is cancelled.

    Raises:
        LinkError: The path is taken or cannot be created.

    """
    async with pty_server(firmware, path, wire=wire):
        await asyncio.Event().wait()


async def serve_tcp(
    firmware: Firmware, host: str, port: int, *, wire: Wire | None = None
) -> None:
    """Run a firmware behind a TCP port until this is cancelled.

    Raises:
        LinkError: The port cannot be opened.

    """
    async with tcp_server(firmware, host, port, wire=wire):
        await asyncio.Event().wait()
