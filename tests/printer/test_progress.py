"""How late a session is: what tells one that hangs from a printer that is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.config import Serial
from bridge.errors import LinkError
from bridge.gcode.dialects import UNKNOWN
from bridge.gcode.protocol import Protocol
from bridge.printer.link.events import Closed, LinkEvent
from bridge.printer.link.link import OPENING, Link
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from tests.support.waiting import until


class Deaf:
    """A port whose driver does not let go of it: reading never ends."""

    pending = 0

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def read(self) -> bytes:
        await self.over.wait()
        return b""

    async def deliver(self, _callback: Callable[[bytes], None]) -> None:
        await self.over.wait()

    def write(self, data: bytes) -> None:
        """Take it and do nothing."""

    def write_now(self, data: bytes) -> None:
        """Take it and do nothing."""

    def close(self) -> None:
        """Stay open."""


@asynccontextmanager
async def session(port: Deaf) -> AsyncIterator[Session]:
    running = Session(
        port, Protocol(UNKNOWN), on_event=lambda _: None, wire=WireLog(lambda _: None)
    )
    task = asyncio.create_task(running.run())
    await asyncio.sleep(0)
    try:
        yield running
    finally:
        port.over.set()
        with contextlib.suppress(LinkError):
            await task
        assert running.late(now() + 1000) == 0


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_an_alarm_that_does_not_go_off_is_late() -> None:
    async with session(Deaf()) as running:
        due = running.protocol.next_timeout()
        assert due is not None
        assert running.late(now()) == 0
        assert running.late(due + 5) == 5


async def test_a_port_that_is_not_let_go_is_late() -> None:
    async with session(Deaf()) as running:
        before = now()
        running.close()
        assert running.late(now()) < 1
        assert 59 < running.late(before + 60) <= 60


async def test_a_printer_that_is_not_there_is_not_late(tmp_path: Path) -> None:
    heard: list[LinkEvent] = []

    async def attend(_session: Session) -> None:
        """Do nothing."""

    link = Link(
        Serial(port=str(tmp_path / "none"), baudrate=115200),
        interval=2.0,
        on_event=heard.append,
        attend=attend,
        wire=WireLog(lambda _: None),
    )
    task = asyncio.create_task(link.run())
    await until(lambda: any(isinstance(event, Closed) for event in heard))
    assert link.late(now() + 1000) == 0
    link.reconnect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert link.late(now() + OPENING - 1) == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
