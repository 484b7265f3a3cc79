"""A printer that goes away is looked for until it is found, whatever its link is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.config import Serial
from bridge.printer.link.events import Closed, LinkEvent, Opened, Ready
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import pty_server, tcp_server
from tests.support.peers import TcpPeer
from tests.support.ports import held_port
from tests.support.rfc2217 import Rfc2217Server
from tests.support.waiting import until

LONG = 30.0
"""Seconds for a few pauses between two attempts."""


class Watched:
    """A link that runs; somebody polls the printer meanwhile, as in a bridge."""

    def __init__(self, config: Serial) -> None:
        self.events: list[LinkEvent] = []
        self.link = Link(
            config,
            interval=2.0,
            on_event=self.events.append,
            attend=self._attend,
            wire=WireLog(),
        )
        self.task = asyncio.create_task(self.link.run())

    async def _attend(self, session: Session) -> None:
        while True:
            await session.line("M105", ahead=True)
            await asyncio.sleep(0.01)

    async def connected(self, times: int = 1) -> None:
        await until(lambda: self._count(Ready) >= times or self.task.done(), LONG)
        assert not self.task.done()

    async def opened(self, times: int = 1) -> None:
        await until(lambda: self._count(Opened) >= times or self.task.done(), LONG)
        assert not self.task.done()

    async def disconnected(self, times: int = 1) -> None:
        await until(lambda: self._count(Closed) >= times or self.task.done(), LONG)
        assert not self.task.done()

    def _count(self, kind: type[LinkEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


@asynccontextmanager
async def watched(config: Serial) -> AsyncIterator[Watched]:
    running = Watched(config)
    try:
        yield running
    finally:
        running.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running.task


async def test_a_cable_that_is_pulled_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("marlin"), path) as server,
        watched(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        for times in range(1, 5):
            await running.connected(times)
            server.unplug()
            await running.disconnected(times)
            server.plug()
        await running.connected(5)


async def test_a_printer_on_the_network_that_is_silent_at_first() -> None:
    silent = TcpPeer()
    config = Serial(port=silent.url, connect_timeout=3)
    async with watched(config) as running:
        await silent.connection()
        await running.disconnected()
        silent.close()
        port = int(silent.url.rpartition(":")[2])
        async with tcp_server(Firmware("marlin"), "127.0.0.1", port):
            await running.connected()


async def test_a_server_on_the_network_that_hangs_up() -> None:
    async with tcp_server(Firmware("marlin"), "127.0.0.1", 0) as server:
        config = Serial(port=f"socket://127.0.0.1:{server.port}")
        async with watched(config) as running:
            await running.connected()
            server.hang_up()
            await running.connected(2)


async def test_a_server_of_rfc_2217_before_a_printer_that_is_silent() -> None:
    server = await Rfc2217Server().start()
    config = Serial(port=server.url, baudrate=115_200, connect_timeout=0.5)
    async with watched(config) as running:
        for times in range(1, 4):
            await running.opened(times)
            await running.disconnected(times)
    await server.close()


async def test_nobody_listens_at_first() -> None:
    with held_port() as port:
        async with watched(Serial(port=f"socket://127.0.0.1:{port}")) as running:
            await running.disconnected()
            async with tcp_server(Firmware("marlin"), "127.0.0.1", port):
                await running.connected()


async def test_the_command_to_reconnect_is_obeyed_every_time(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("marlin"), path),
        watched(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        for times in range(1, 4):
            await running.connected(times)
            running.link.reconnect()
        await running.connected(4)


async def test_a_cable_that_is_pulled_after_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("marlin"), path) as server,
        watched(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        await running.connected()
        server.clock.reset()
        await running.connected(2)
        server.unplug()
        await running.disconnected()
