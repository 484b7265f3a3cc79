"""What every link has in common, on real pseudo-terminals and sockets."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from bridge.errors import LinkError
from bridge.printer.port.read_buffer import ReadBuffer
from bridge.printer.port.transport import Transport, open_transport
from tests.support.peers import Peer, PtyPeer, TcpPeer
from tests.support.rfc2217 import Rfc2217Server
from tests.support.waiting import DEADLINE, until


@pytest.fixture(params=["pty", "socket", "rfc2217"])
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    if request.param == "pty":
        pty = PtyPeer()
        yield pty
        pty.unplug()
    elif request.param == "socket":
        tcp = TcpPeer()
        yield tcp
        tcp.close()
    else:
        server = await Rfc2217Server().start()
        yield server
        await server.close()


@pytest.fixture
async def link(peer: Peer) -> AsyncIterator[Transport]:
    transport = await open_transport(peer.url, 115_200)
    yield transport
    transport.close()


async def read(transport: Transport, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(DEADLINE):
        while len(data) < count:
            more = await transport.read()
            assert more, f"the link ended after {len(data)} bytes"
            data += more
    return data


def test_every_byte_value_is_in_the_noise() -> None:
    assert set(noise(10_000)) == set(range(256))


def noise(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


async def test_bytes_go_both_ways(peer: Peer, link: Transport) -> None:
    link.write(b"N1 M105*38\n")
    assert await peer.receive(11) == b"N1 M105*38\n"
    await peer.send(b"ok T:19.37 /0.00\n")
    assert await read(link, 17) == b"ok T:19.37 /0.00\n"


async def test_noise_comes_through_as_it_is(peer: Peer, link: Transport) -> None:
    data = noise(10_000)
    sending = asyncio.create_task(peer.send(data))
    assert await read(link, len(data)) == data
    link.write(data)
    assert await peer.receive(len(data)) == data
    await sending


async def test_much_at_once_goes_both_ways(peer: Peer, link: Transport) -> None:
    size = 100_000 if peer.url.startswith("rfc2217") else 1_000_000
    down, up = noise(size), noise(size + 1)
    link.write(down)
    async with asyncio.timeout(DEADLINE):
        sending = asyncio.create_task(peer.send(up))
        reading = asyncio.create_task(read(link, len(up)))
        assert await peer.receive(len(down)) == down
        assert await reading == up
        await sending
    assert link.pending == 0


async def test_half_a_line_and_then_the_end(peer: Peer, link: Transport) -> None:
    await peer.send(b"ok\nT:19")
    assert await read(link, 7) == b"ok\nT:19"
    await peer.hang_up()
    async with asyncio.timeout(DEADLINE):
        assert [await link.read() for _ in range(3)] == [b"", b"", b""]


async def test_a_write_after_the_end_is_harmless(peer: Peer, link: Transport) -> None:
    await peer.send(b"x")
    await read(link, 1)
    await peer.hang_up()
    async with asyncio.timeout(DEADLINE):
        assert await link.read() == b""
    link.write(b"M105\n")
    link.write_now(b"M112\n")
    assert link.pending == 0


async def test_closing_ends_a_waiting_read(peer: Peer, link: Transport) -> None:
    await peer.send(b"x")
    await read(link, 1)
    reading = asyncio.create_task(link.read())
    await asyncio.sleep(0)
    link.close()
    async with asyncio.timeout(DEADLINE):
        assert await reading == b""
        assert await link.read() == b""


@pytest.mark.usefixtures("peer")
async def test_closing_twice_and_writing_after_it(link: Transport) -> None:
    link.close()
    link.close()
    link.write(b"M105\n")
    link.write_now(b"M112\n")
    assert link.pending == 0
    assert await link.read() == b""


async def test_a_cancelled_read_loses_nothing(peer: Peer, link: Transport) -> None:
    reading = asyncio.create_task(link.read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await peer.send(b"ok\n")
    assert await read(link, 3) == b"ok\n"


async def test_only_one_task_may_read(link: Transport) -> None:
    reading = asyncio.create_task(link.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one task"):
        await link.read()
    reading.cancel()


async def test_an_urgent_line_comes_on_a_line_of_its_own(
    peer: Peer, link: Transport
) -> None:
    link.write(b"N5 G1 X1")
    assert await peer.receive(8) == b"N5 G1 X1"
    link.write_now(b"M112\n")
    assert await peer.receive(6) == b"\nM112\n"
    link.write_now(b"M108\n")
    link.write(b"M115\n")
    assert await peer.receive(10) == b"M108\nM115\n"


@pytest.mark.parametrize("kind", [PtyPeer, TcpPeer])
async def test_what_nobody_reads_stays_with_the_printer(
    kind: type[PtyPeer] | type[TcpPeer],
) -> None:
    peer = kind()
    link = await open_transport(peer.url, 115_200)
    data = noise(4 * ReadBuffer.LIMIT)
    said = 0

    async def talk() -> None:
        nonlocal said
        for start in range(0, len(data), 1000):
            await peer.send(data[start : start + 1000])
            said = start

    talking = asyncio.create_task(talk())
    await until(lambda: said >= ReadBuffer.LIMIT)
    first = await link.read()
    assert len(first) < 2 * ReadBuffer.LIMIT
    assert first + await read(link, len(data) - len(first)) == data
    await talking
    link.close()
    await peer.hang_up()
    if isinstance(peer, TcpPeer):
        peer.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://printer", 'begins with "ftp"'),
        ("socket://printer", "write socket://host:port"),
        ("socket://:23", "write socket://host:port"),
        ("socket://printer:99999", "write socket://host:port"),
        ("socket://[::1:23", "write socket://host:port"),
        ("rfc2217://printer", "write rfc2217://host:port"),
    ],
)
async def test_a_url_that_leads_nowhere(url: str, words: str) -> None:
    with pytest.raises(LinkError, match=r"serial\.port") as caught:
        await open_transport(url, 115_200)
    assert words in str(caught.value)
