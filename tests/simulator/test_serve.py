"""The simulated firmware behind a real pseudo-terminal and a real TCP port."""

import asyncio
import os
import re
from pathlib import Path
from typing import Self

import pytest

from bridge.errors import LinkError
from bridge.simulator.faults import Channel, Fault, FaultKind, Faults
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import Clock, pty_server, serve_pty, serve_tcp, tcp_server
from tests.support.waiting import DEADLINE, until


class Port:
    """A client of a pseudo-terminal that does not block."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def write(self, data: bytes) -> None:
        os.write(self.descriptor, data)

    def has(self, text: bytes) -> bool:
        try:
            self.heard += os.read(self.descriptor, 65536)
        except BlockingIOError:
            return text in self.heard
        return text in self.heard

    async def hears(self, text: bytes) -> None:
        await until(lambda: self.has(text))


async def test_a_pty_answers(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    shown: list[tuple[str, bytes]] = []
    async with pty_server(Firmware(), path, wire=lambda *what: shown.append(what)):
        assert path.is_symlink()
        with Port(path) as port:
            port.write(b"M115\n")
            await port.hears(b"FIRMWARE_NAME:Marlin")
            assert b"\r\n" not in port.heard, "the port is raw"
    assert not path.is_symlink()
    assert shown[0][0] == "<"
    assert shown[0][1].startswith(b"start\n")
    assert (">", b"M115\n") in shown


async def test_it_speaks_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with pty_server(Firmware(speed=50.0), path):
        with Port(path) as port:
            port.write(b"M113 S0.1\nG28\n")
            await port.hears(b"echo:busy: processing")
            await port.hears(b"X:0.00 Y:0.00 Z:0.00 E:0.00 Count")


async def test_clients_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with pty_server(Firmware(), path):
        for _ in range(5):
            with Port(path) as port:
                port.write(b"M105\n")
                await port.hears(b"ok T:21.00")


async def test_the_cable_is_pulled_and_plugged_in(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with pty_server(Firmware(), path) as server:
        with Port(path) as port:
            port.write(b"G91\n")
            await port.hears(b"ok")
            server.unplug()
            server.unplug()
            assert not path.exists()
            with pytest.raises(OSError, match="Input/output error"):
                port.write(b"M105\n")
            server.clock.press("say", "nobody hears this")
        server.plug()
        server.plug()
        with Port(path) as port:
            port.write(b"M105\n")
            await port.hears(b"ok T:21.00")
            assert b"nobody" not in port.heard
        assert server.clock.firmware.modal["relative"] is True, "it was not reset"


async def test_a_client_that_does_not_read_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with pty_server(Firmware(), path) as server:
        with Port(path) as port:
            for number in range(5000):
                server.clock.press("say", f"{number:04} {'x' * 50}")
            port.write(b"M105\n")
            await until(lambda: server.clock.firmware.executed == ["M105"])
            await port.hears(b"0000 x")
            await port.hears(b"1000 x")
            await until(lambda: not port.has(b"ok T:") and server.waiting == 0)
            assert b"4999" not in port.heard, "what did not fit is lost"
            port.write(b"M114\n")
            await port.hears(b"Count X:0")


async def test_reset_says_the_banner_again(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    async with pty_server(Firmware(), path) as server:
        with Port(path) as port:
            server.clock.reset()
            await port.hears(b"start\n")
            await port.hears(b"echo:SD card ok\n")


async def test_faults_are_on_the_line(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    plan = [
        None,
        Fault(FaultKind.LOSE),
        Fault(FaultKind.CORRUPT, where=0),
        Fault(FaultKind.DELAY, seconds=0.1),
        Fault(FaultKind.RESET),
    ]
    faults = Faults(to_printer=Channel.of(plan))
    async with pty_server(Firmware(), path, faults=faults) as server:
        with Port(path) as port:
            for line in (b"G90\n", b"G91\n", b"M105\n", b"M82\n", b"M83\n"):
                port.write(line)
            executed = server.clock.firmware.executed
            await until(lambda: executed == ["G90", "M82", "M83"])
            await port.hears(b"Unknown command")
            await port.hears(b"start\n")


async def test_what_is_delayed_stays_in_order_when_the_loop_is_late() -> None:
    loop = asyncio.get_running_loop()
    plan = [Fault(FaultKind.DELAY, seconds=0.001)]
    clock = Clock(Firmware(), faults=Faults(to_printer=Channel.of(plan)))
    clock.receive(b"G90\n")
    due = loop.time() + 0.002
    while loop.time() < due:
        pass  # busy with something else
    clock.receive(b"G91\n")
    await until(lambda: clock.firmware.executed == ["G90", "G91"], within=10)
    clock.close()


async def test_what_is_under_way_at_the_end_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    late = Faults(to_printer=Channel.of([Fault(FaultKind.DELAY, seconds=60.0)]))
    firmware = Firmware()
    async with pty_server(firmware, path, faults=late) as server:
        server.clock.receive(b"M105\n")
    assert firmware.executed == []


async def test_a_path_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    path.write_text("precious")
    with pytest.raises(LinkError, match="exists and is no symbolic link"):
        await serve_pty(Firmware(), path)
    assert path.read_text() == "precious"


async def test_an_old_link_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    path.symlink_to("/nowhere")
    async with pty_server(Firmware(), path):
        assert str(path.readlink()).startswith("/dev/pts/")


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none" / "printer"
    with pytest.raises(LinkError, match=r"cannot create .*/none/printer: No such file"):
        await serve_pty(Firmware(), path)


async def test_serving_a_pty_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    task = asyncio.create_task(serve_pty(Firmware(), path))
    await until(path.is_symlink)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not path.is_symlink()


async def test_a_tcp_port_answers_one_client_at_a_time() -> None:
    async with tcp_server(Firmware("klipper"), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"M115\n")
        assert (await reader.readline()).startswith(b"ok FIRMWARE_NAME:Klipper")
        other, second = await asyncio.open_connection("127.0.0.1", server.port)
        assert await _rest(other) == b""
        second.close()
        writer.close()
        await _closed(writer)
        await until(lambda: not server.taken)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"M105\n")
        assert (await reader.readline()).startswith(b"ok B:")
        server.hang_up()
        assert await _rest(reader) == b""
        writer.close()
        await _closed(writer)


async def test_a_tcp_client_that_does_not_read_stops_nobody() -> None:
    async with tcp_server(Firmware(), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await until(lambda: server.taken)
        for _ in range(200):
            server.clock.press("say", "x" * 100_000)
        writer.write(b"M105\n")
        await until(lambda: server.clock.firmware.executed == ["M105"])
        writer.close()
        await _rest(reader)
        await _closed(writer)


async def test_a_tcp_port_that_is_taken_is_named() -> None:
    async with tcp_server(Firmware(), "127.0.0.1", 0) as server:
        taken = str(server.port)
        with pytest.raises(LinkError, match=re.escape(taken)) as refused:
            await serve_tcp(Firmware(), "127.0.0.1", server.port)
        assert str(refused.value).startswith("cannot listen at 127.0.0.1:")
    assert server.port == 0


async def test_serving_tcp_ends_when_it_is_cancelled() -> None:
    async with tcp_server(Firmware(), "127.0.0.1", 0) as server:
        port = server.port
    task = asyncio.create_task(serve_tcp(Firmware(), "127.0.0.1", port))
    reader, writer = await _connected(port)
    writer.write(b"M105\n")
    assert await reader.readline()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    writer.close()
    await _closed(writer)


async def _connected(
    port: int,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.002)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""


async def _closed(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.wait_closed()
    except ConnectionError:
        return


async def test_it_may_end_in_the_middle_of_a_command(tmp_path: Path) -> None:
    firmware = Firmware()
    async with pty_server(firmware, tmp_path / "printer") as server:
        server.clock.receive(b"G28\n")
    assert firmware.next_event(0.0) is not None


async def test_what_comes_after_the_end_is_lost(tmp_path: Path) -> None:
    heard: list[bytes] = []
    async with pty_server(Firmware(), tmp_path / "printer") as server:
        server.clock.send = heard.append
    server.clock.receive(b"M105\n")
    assert heard == []
