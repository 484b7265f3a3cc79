"""The simulated printer as a link, in real time."""

import asyncio

import pytest

from bridge.errors import LinkError
from bridge.printer.port.read_buffer import ReadBuffer
from bridge.printer.port.simulated import SimulatedTransport
from bridge.printer.port.transport import Transport, open_transport
from bridge.simulator.firmware import Firmware
from tests.support.waiting import DEADLINE


async def read_until(transport: Transport, end: bytes) -> bytes:
    data = b""
    async with asyncio.timeout(DEADLINE):
        while end not in data:
            more = await transport.read()
            assert more, f"the link ended after {data!r}"
            data += more
    return data


async def test_a_conversation() -> None:
    link = await open_transport("simulator://marlin", 115_200)
    assert b"start\n" in await read_until(link, b"echo:SD card ok\n")
    link.write(b"N1 M105*38\n")
    assert b" /0.00" in await read_until(link, b"ok T:")
    link.write_now(b"M112\n")
    assert link.pending == 0
    await read_until(link, b"kill() called!")
    link.close()


async def test_it_speaks_by_itself_when_its_time_has_come() -> None:
    link = await open_transport("simulator://marlin?speed=10", 115_200)
    await read_until(link, b"start\n")
    link.write(b"M155 S1\n")
    await read_until(link, b"ok\n")
    reports = b""
    while reports.count(b" T:") < 2:
        reports += await read_until(link, b" T:")
    link.close()


async def test_closing_it() -> None:
    link = await open_transport("simulator://klipper", 115_200)
    reading = asyncio.create_task(link.read())
    await asyncio.sleep(0)
    link.close()
    link.close()
    link.write(b"M115\n")
    link.write_now(b"M112\n")
    assert await reading == b""
    assert await link.read() == b""


async def test_what_nobody_reads_is_lost_not_kept() -> None:
    link = SimulatedTransport(Firmware())
    for _ in range(ReadBuffer.LIMIT // 10_000):
        link.write(b"M115\n" * 50)
    assert len(await link.read()) < 2 * ReadBuffer.LIMIT
    link.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("simulator://enterprise", 'there is no firmware "enterprise"'),
        ("simulator://marlin?warp=9", 'there is no option "warp"'),
    ],
)
async def test_no_such_printer(url: str, words: str) -> None:
    with pytest.raises(LinkError) as caught:
        await open_transport(url, 115_200)
    assert str(caught.value).startswith(f'serial.port "{url}": {words}')
