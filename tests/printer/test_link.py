"""Finding a printer, keeping it, and finding it again; on real pseudo-terminals."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config import Serial
from bridge.errors import FailedError
from bridge.gcode.events import Restarted
from bridge.gcode.reply_types import Readiness
from bridge.printer.link.events import Closed, LinkEvent, Opened, PortAddress, Ready
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import pty_server
from tests.support.peers import Peer, PtyPeer, TcpPeer
from tests.support.waiting import DEADLINE, until

TRIAL = 1.0


@dataclass(slots=True)
class Running:
    """A link that runs, and what it told."""

    link: Link
    events: list[LinkEvent]
    attended: list[Session] = field(default_factory=list)

    @property
    def opened(self) -> list[PortAddress]:
        return [event.place for event in self.events if isinstance(event, Opened)]

    @property
    def ready(self) -> list[Ready]:
        return [event for event in self.events if isinstance(event, Ready)]

    @property
    def closed(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Closed)]

    async def connected(self, times: int = 1) -> Ready:
        await until(lambda: len(self.ready) >= times, 30)
        return self.ready[-1]


@asynccontextmanager
async def linked(
    config: Serial,
    *,
    candidates: Callable[[], list[str]] = list,
    found: PortAddress | None = None,
) -> AsyncIterator[Running]:
    events: list[LinkEvent] = []
    attended: list[Session] = []

    async def attend(session: Session) -> None:
        attended.append(session)
        await asyncio.Event().wait()

    link = Link(
        config,
        interval=2.0,
        on_event=events.append,
        attend=attend,
        wire=WireLog(),
        candidates=lambda _taken: candidates(),
        found=found,
        trial=TRIAL,
    )
    task = asyncio.create_task(link.run())
    try:
        yield Running(link, events, attended)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_printer_is_found_among_ports_and_tried_first_next_time(
    tmp_path: Path,
) -> None:
    dead, other, path = PtyPeer(), PtyPeer(), tmp_path / "printer"
    ports = [dead.url, other.url, str(path)]
    config = Serial(port="auto", baudrate="auto")
    async with (
        pty_server(Firmware("marlin"), path) as server,
        linked(config, candidates=lambda: ports) as running,
    ):
        ready = await running.connected()
        assert ready.place == PortAddress(str(path), 115_200)
        assert [place.port for place in running.opened] == ports
        assert ready.identity.firmware.startswith("Marlin")
        server.unplug()
        await until(lambda: bool(running.closed))
        server.plug()
        await running.connected(2)
        assert running.opened[3] == ready.place
    dead.unplug()
    other.unplug()


async def test_what_was_found_in_an_earlier_life_is_tried_first(tmp_path: Path) -> None:
    other, path = PtyPeer(), tmp_path / "printer"
    found = PortAddress(str(path), 250_000)
    config = Serial(port="auto", baudrate="auto")
    async with (
        pty_server(Firmware("klipper"), path),
        linked(config, candidates=lambda: [other.url], found=found) as running,
    ):
        ready = await running.connected()
        assert ready.place == found
        assert running.opened == [found]
    other.unplug()


async def test_a_printer_that_was_plugged_in_elsewhere_is_found_there(
    tmp_path: Path,
) -> None:
    gone, path = tmp_path / "gone", tmp_path / "printer"
    config = Serial(port="auto", baudrate=115_200)
    found = PortAddress(str(gone), 115_200)
    async with (
        pty_server(Firmware("marlin"), path),
        linked(config, candidates=lambda: [str(path)], found=found) as running,
    ):
        ready = await running.connected()
        assert ready.place.port == str(path)


async def test_a_device_that_only_makes_noise_is_called_that() -> None:
    noisy = PtyPeer()
    config = Serial(port=noisy.url, baudrate=115_200, connect_timeout=0.5)
    async with linked(config) as running:
        await until(lambda: bool(running.opened))
        await noisy.send(b"\xfe\x81\n" * 300)
        await until(lambda: bool(running.closed))
    assert running.closed[0] == (f"only noise comes from {noisy.url}: wrong baud rate?")
    noisy.unplug()


async def test_no_port_at_all_is_said_in_a_sentence() -> None:
    async with linked(Serial(port="auto")) as running:
        await until(lambda: bool(running.closed))
    assert running.closed[0].startswith("no serial port was found")


async def test_a_late_m115_is_waited_for() -> None:
    """What a slow board says at last still tells what it is."""
    peer = PtyPeer()
    config = Serial(port=peer.url, baudrate=115_200, ok_timeout=0.3)
    async with linked(config) as running:
        await answer(peer, b"M110", b"ok\n")
        await answer(peer, b"M105", b"ok T:20.0 /0.0\n")
        await answer(peer, b"M115", b"")
        await answer(peer, b"M105", b"FIRMWARE_NAME:Repetier_0.92.9\nok\nok T:20 /0\n")
        for line in (b"M105", b"M114", b"M27", b"M21"):
            await answer(peer, line, b"ok\n")
        ready = await running.connected()
        assert ready.identity.dialect.name == "repetier"
    peer.unplug()


async def test_a_name_that_noise_has_eaten_is_asked_for_again() -> None:
    peer = PtyPeer()
    async with linked(Serial(port=peer.url, baudrate=115_200)) as running:
        await answer(peer, b"M110", b"ok\n")
        await answer(peer, b"M105", b"ok T:20.0 /0.0\n")
        await answer(peer, b"M115", b"\xfeI#MWARE_NA\xfe:Klip\nok\n")
        await answer(peer, b"M115", b"ok FIRMWARE_NAME:Klipper FIRMWARE_VERSION:1\n")
        for line in (b"STATUS", b"M105", b"M114", b"M27", b"M21"):
            await answer(peer, line, b"ok\n")
        ready = await running.connected()
        assert ready.identity.dialect.name == "klipper"
    peer.unplug()


async def test_a_missing_m115_makes_no_assumption(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("unknown"), path),
        linked(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        ready = await running.connected()
        assert (ready.identity.dialect.name, ready.identity.firmware) == ("unknown", "")


async def test_the_configured_dialect_wins(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    config = Serial(
        port=str(path), firmware="prusa", ok_timeout=7, long_codes=("my_macro",)
    )
    async with pty_server(Firmware("marlin"), path), linked(config) as running:
        dialect = (await running.connected()).identity.dialect
        assert (dialect.name, dialect.ok_timeout) == ("prusa", 7)
        assert dialect.timeout_for("MY_MACRO X=1") == dialect.long_timeout


async def test_after_a_reset_everything_is_set_up_anew(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    firmware = Firmware("marlin")
    async with (
        pty_server(firmware, path) as server,
        linked(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        await running.connected()
        server.clock.reset()
        await running.connected(2)
        assert any(isinstance(event, Restarted) for event in running.events)
        assert firmware.executed.count("M155 S2") == 2
        assert len(running.attended) == 2
        assert not running.closed


async def test_a_silent_shutdown_is_found_out_by_asking(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("klipper"), path) as server,
        linked(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        dialect = (await running.connected()).identity.dialect
        session = running.attended[0]
        server.clock.send = lambda _: None  # nobody hears it go
        server.clock.press("shutdown", "Lost communication with MCU 'mcu'")
        server.clock.send = server._write  # noqa: SLF001 - the cable is back
        done = await session.line("M105")
        assert not done.errors, "it goes on as if nothing had happened"
        done = await session.line(dialect.state_query)
        assert "Lost communication with MCU 'mcu'" in done.errors[0]
        assert Readiness("not_ready") in running.events


async def test_it_connects_again_at_once_when_told_to(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("marlin"), path),
        linked(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        await running.connected()
        session = running.attended[0]
        waiting = asyncio.create_task(session.line("G4 P50"))
        await asyncio.sleep(0)
        running.link.reconnect()
        with contextlib.suppress(FailedError):
            await waiting
        await running.connected(2)
        assert running.link.connects == 2


async def test_each_replug_is_followed_by_a_connection(tmp_path: Path) -> None:
    """Whatever runs beside the session when it fails."""
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("marlin"), path) as server,
        linked(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        await running.connected()
        for _ in range(3):
            running.events.clear()
            server.unplug()
            await until(lambda: bool(running.closed))
            server.plug()
            running.link.reconnect()  # without waiting for its back-off
            await running.connected()
        assert running.link.late(asyncio.get_running_loop().time()) == 0


async def test_a_printer_that_is_silent_at_first_is_asked_again() -> None:
    with contextlib.closing(TcpPeer()) as server:
        config = Serial(port=server.url, connect_timeout=1.0)
        async with linked(config) as running:
            await until(lambda: bool(running.closed))
            await server.forget()
            running.link.reconnect()
            await answer(server, b"M110", b"ok\n")
            await answer(server, b"M105", b"ok T:20.0 /0.0\n")
            await until(lambda: len(running.opened) == 2)
            assert running.closed == ["the printer does not answer; wrong baud rate?"]


async def test_a_link_that_ends_unasked_is_late_from_then_on(tmp_path: Path) -> None:
    link = Link(
        Serial(port=str(tmp_path / "none")),
        interval=2.0,
        on_event=lambda _event: None,
        attend=lambda _session: asyncio.sleep(0),
        wire=WireLog(),
    )
    now = asyncio.get_running_loop().time
    task = asyncio.create_task(link.run())
    await asyncio.sleep(0)
    assert link.late(now()) == 0
    task.cancel()
    await asyncio.wait([task])
    assert link.late(now() + 60) >= 60
    link.leave()
    assert link.late(now() + 60) >= 60


async def test_a_session_that_nobody_attends_any_more_is_late(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with (
        pty_server(Firmware("marlin"), path) as server,
        linked(Serial(port=str(path), baudrate=115_200)) as running,
    ):
        await running.connected()
        now = asyncio.get_running_loop().time()
        assert running.link.late(now) == 0
        (task,) = [
            task
            for task in asyncio.all_tasks()
            if "Link._set_up" in getattr(task.get_coro(), "__qualname__", "")
        ]
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: running.link.late(now + 600) > 500)
        running.events.clear()
        server.unplug()
        await until(lambda: bool(running.closed))
        server.plug()
        running.link.reconnect()
        await running.connected()
        assert running.link.late(asyncio.get_running_loop().time()) == 0


async def answer(peer: Peer, line: bytes, text: bytes) -> None:
    """Wait for a line of the host, and say something to it."""
    heard = b""
    async with asyncio.timeout(DEADLINE):
        while not heard.endswith(b"\n") or line not in heard:
            heard += await peer.receive(1)
    await peer.send(text)
