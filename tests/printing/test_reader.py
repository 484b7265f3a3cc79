"""A file is read ahead: nobody waits for the disk, and a slow one stops nobody."""

import asyncio
import os
from pathlib import Path

from bridge.printer.printing.print_file import AHEAD, BLOCK, FileReader, PrintFile
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import pty_server
from tests.support.live import live
from tests.support.waiting import until


async def all_of(reader: FileReader, ready: asyncio.Event) -> bytes:
    found = b""
    while True:
        block = reader.take()
        if block is None:
            await asyncio.wait_for(ready.wait(), 30)
            ready.clear()
        elif block:
            found += block
        else:
            return found


def announcing(ready: asyncio.Event) -> "asyncio.Handle | object":
    loop = asyncio.get_running_loop()
    return lambda: loop.call_soon_threadsafe(ready.set)


async def test_a_file_comes_in_blocks_from_where_it_is_wanted(tmp_path: Path) -> None:
    data = os.urandom(5 * BLOCK + 7)
    path = tmp_path / "file"
    path.write_bytes(data)
    for start in (0, 1234):
        ready = asyncio.Event()
        reader = FileReader(path, start=start, on_ready=announcing(ready))  # type: ignore[arg-type] # a function
        assert await all_of(reader, ready) == data[start:]
        assert reader.take() == b""
        assert reader.error is None
        reader.close()


async def test_what_cannot_be_read_has_its_reason(tmp_path: Path) -> None:
    ready = asyncio.Event()
    reader = FileReader(tmp_path / "gone", on_ready=announcing(ready))  # type: ignore[arg-type] # a function
    assert await all_of(reader, ready) == b""
    assert isinstance(reader.error, FileNotFoundError)
    reader.close()


async def test_it_reads_no_more_than_it_should_and_ends_when_it_is_closed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * BLOCK * (AHEAD + 9))
    reader = FileReader(path, on_ready=lambda: None)
    await until(lambda: len(reader._blocks) == AHEAD)  # noqa: SLF001 - its bound
    reader.close()
    assert reader.take() is None
    await until(lambda: not reader._thread.is_alive())  # noqa: SLF001 - its end


def move(number: int) -> str:
    return f"G1 X{number % 2 * 10 + 50} F6000\n"


async def test_a_disk_that_stalls_stops_nothing_that_was_read_ahead(
    tmp_path: Path,
) -> None:
    """The planner of the simulated printer holds 16 moves of 0.05 s each."""
    pipe, link = tmp_path / "pipe", tmp_path / "tty"
    os.mkfifo(pipe)
    firmware = Firmware("marlin", speed=2.0)
    clock = asyncio.get_running_loop().time
    begin, rest = ("".join(map(move, part)) for part in (range(36), range(36, 60)))
    file = PrintFile(job="j", path=pipe, name="p", size=len(begin + rest))
    async with pty_server(firmware, link), live(str(link)) as it:
        motion = firmware.machine.motion  # since the reset when the port was opened
        it.printer.printing.start(file)
        disk = await asyncio.to_thread(pipe.open, "wb", 0)
        disk.write(begin.encode())
        # What was read keeps the printer busy for 1.8 s while the disk stalls.
        await until(lambda: len(it.sent) >= 30, 20)
        assert (it.printer.state.job.starved, motion.stalls) == (0.0, 0)
        # Now it runs empty, by the fault of the disk.
        await until(lambda: len(it.sent) >= 36 and motion.ends_at(0) + 0.2 < clock())
        await until(lambda: it.printer.state.job.starved > 0.2, 20)
        disk.write(rest.encode())
        disk.close()
        await until(lambda: not it.printer.printing.active, 20)
        result = it.printer.state.job.result
        assert result is not None
        assert result.outcome == "done"
        assert motion.stalls >= 1
        assert motion.stood > 0.2
