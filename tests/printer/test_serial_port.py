"""Serial ports, on real pseudo-terminals: locks, rights, unplugging, emergencies."""

import asyncio
import os
import sys
import termios
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from bridge.errors import LinkError
from bridge.printer.port.transport import Transport, open_transport
from bridge.threads import in_thread, is_stuck
from tests.support.leaks import descriptors
from tests.support.peers import PtyPeer
from tests.support.waiting import DEADLINE, until

NOBODY = 65_534

HOLD = """
import sys, serial
with serial.Serial(sys.argv[1], exclusive=True):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[PtyPeer]:
    peer = PtyPeer(tmp_path / "printer")
    yield peer
    peer.unplug()


@pytest.fixture
async def link(printer: PtyPeer) -> AsyncIterator[Transport]:
    transport = await open_transport(printer.url, 250_000)
    yield transport
    transport.close()


async def refusal(port: str) -> str:
    with pytest.raises(LinkError) as caught:
        await open_transport(port, 115_200)
    return str(caught.value)


async def read_line(transport: Transport) -> bytes:
    line = b""
    async with asyncio.timeout(DEADLINE):
        while not line.endswith(b"\n"):
            more = await transport.read()
            assert more, f"the link ended after {line!r}"
            line += more
    return line


async def test_a_missing_port(tmp_path: Path) -> None:
    message = await refusal(str(tmp_path / "ttyUSB0"))
    assert message.startswith(f"there is no serial port {tmp_path}/ttyUSB0: is the")
    assert "`gcode2mqtt ports`" in message


@pytest.mark.parametrize("port", ["/tmp/no-printer", "/home/nobody/printer"])  # noqa: S108
async def test_a_port_that_a_service_cannot_see(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert "klipper.conf" not in await refusal(port)
    monkeypatch.setenv("INVOCATION_ID", "0" * 32)
    assert "deploy/systemd/klipper.conf allows it" in await refusal(port)


async def test_a_name_whose_device_is_unplugged(printer: PtyPeer) -> None:
    assert printer.link is not None
    printer.unplug()
    printer.link.symlink_to("/dev/pts/none")
    assert "is the printer plugged in" in await refusal(printer.url)
    printer.link.unlink()


@pytest.mark.parametrize("what", ["file", "folder", "/dev/null"])
async def test_something_else_than_a_port(what: str, tmp_path: Path) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "file":
        path.touch()
    assert "is not a serial port" in await refusal(str(path))


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, as permissions do not bite root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def forbid(port: str) -> None:
    Path(port).chmod(0o000)


async def test_a_port_without_permission(printer: PtyPeer) -> None:
    forbid(printer.device)
    with unprivileged():
        message = await refusal(printer.device)
    assert message.startswith(f"no permission to open {printer.device}: ")
    assert "udev rule" in message


async def test_a_port_that_another_program_holds(printer: PtyPeer) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLD,
        printer.url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    async with asyncio.timeout(DEADLINE):
        assert await holder.stdout.readline() == b"held\n"
        message = await refusal(printer.url)
        await holder.communicate(b"")
    assert f"{printer.url} is in use by " in message
    assert f"(process {holder.pid})" in message


async def test_a_port_that_we_hold_ourselves(printer: PtyPeer, link: Transport) -> None:
    assert "this bridge itself" in await refusal(printer.url)
    link.close()
    (await open_transport(printer.url, 115_200)).close()


async def test_the_lock_outlives_the_opening(printer: PtyPeer, link: Transport) -> None:
    await printer.send(b"start\n")
    assert await read_line(link) == b"start\n"
    assert "is in use" in await refusal(printer.url)


async def test_a_port_that_takes_too_long_to_open(
    printer: PtyPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a driver that waits for a device which does not respond."""
    responds = threading.Event()
    opens = serial.Serial.open

    def waits(port: serial.Serial) -> None:
        responds.wait(DEADLINE)
        opens(port)

    monkeypatch.setattr(serial.Serial, "open", waits)
    with pytest.raises(LinkError, match="is stuck while being opened: unplug"):
        await open_transport(printer.url, 115_200, within=0.01)
    responds.set()
    await until(lambda: not is_stuck(f"open {printer.url}"))
    (await open_transport(printer.url, 115_200)).close()


async def test_a_port_that_still_hangs_costs_no_second_thread() -> None:
    free = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await in_thread(free.wait, lambda _: None, name="open /dev/ttyUSB7")
    assert "is stuck while being opened" in await refusal("/dev/ttyUSB7")
    free.set()


async def test_cancelled_openings_keep_nothing_open(printer: PtyPeer) -> None:
    before = descriptors()
    for turns in range(60):
        opening = asyncio.create_task(open_transport(printer.url, 115_200))
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        opening.cancel()
        try:
            (await opening).close()
        except asyncio.CancelledError:
            await until(lambda: not is_stuck(f"open {printer.url}"))
    assert descriptors() == before


async def test_dtr_is_raised_and_falls_on_closing_by_default(printer: PtyPeer) -> None:
    assert await hangs_up_on_close(printer, dtr=True)


async def test_dtr_left_alone_stays_when_the_port_is_closed(printer: PtyPeer) -> None:
    assert not await hangs_up_on_close(printer, dtr=False)


async def hangs_up_on_close(printer: PtyPeer, *, dtr: bool) -> bool:
    attributes = termios.tcgetattr(printer.master)
    attributes[2] |= termios.HUPCL
    termios.tcsetattr(printer.master, termios.TCSANOW, attributes)
    (await open_transport(printer.url, 115_200, dtr=dtr)).close()
    return bool(termios.tcgetattr(printer.master)[2] & termios.HUPCL)


async def test_fifty_replugs(printer: PtyPeer) -> None:
    before = descriptors()
    for turn in range(50):
        link = await open_transport(printer.url, 115_200)
        link.write(b"N1 M105*38\n")
        assert await printer.receive(11) == b"N1 M105*38\n"
        await printer.send(b"ok T:2" if turn % 2 else b"ok\n")
        printer.unplug()
        async with asyncio.timeout(DEADLINE):
            while await link.read():
                pass
        if turn % 3:  # the descriptor is free even where nobody closes the link
            link.close()
        assert len(descriptors()) == len(before) - 2
        printer.plug_in()


async def test_unplugged_while_much_waits_to_be_written(
    printer: PtyPeer, link: Transport
) -> None:
    link.write(b"G1 X1\n" * 50_000)
    assert link.pending > 0
    printer.unplug()
    async with asyncio.timeout(DEADLINE):
        assert await link.read() == b""
    assert link.pending == 0


async def fill(link: Transport) -> None:
    """Write lines until the port takes no more, as its reader never reads."""
    line = b"N1 G1 X1 F6000*125\n"
    async with asyncio.timeout(DEADLINE):
        for _ in range(1000):
            link.write(line * 100)
            await asyncio.sleep(0)
            if link.pending > 10 * len(line):
                return
    raise AssertionError("the port takes everything")


async def test_an_emergency_passes_a_port_that_is_full(
    printer: PtyPeer, link: Transport
) -> None:
    await fill(link)
    link.write_now(b"M112\n")
    assert link.pending < 10
    link.write(b"M105\n")
    data = b""
    async with asyncio.timeout(DEADLINE):
        while not data.endswith(b"M105\n"):
            data += await printer.receive(1)
    *before, emergency, after = data.decode().splitlines()
    assert (emergency, after) == ("M112", "M105")
    assert all("N1 G1 X1 F6000*125".startswith(line) for line in before)


async def test_of_two_emergencies_none_is_lost(
    printer: PtyPeer, link: Transport
) -> None:
    await fill(link)
    link.write_now(b"M112\n")
    link.write_now(b"M108\n")
    link.write(b"M105\n")
    data = b""
    async with asyncio.timeout(DEADLINE):
        while not data.endswith(b"M105\n"):
            data += await printer.receive(1)
    assert data.endswith(b"\nM112\nM108\nM105\n")


async def test_closing_a_port_that_is_full(printer: PtyPeer, link: Transport) -> None:
    await fill(link)
    link.close()
    assert link.pending == 0
    (await open_transport(printer.url, 115_200)).close()


async def test_nothing_is_flushed_from_an_idle_port(
    printer: PtyPeer, link: Transport
) -> None:
    link.write(b"N5 G28*17\n")
    link.write_now(b"M112\n")
    assert await printer.receive(15) == b"N5 G28*17\nM112\n"
