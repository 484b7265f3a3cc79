"""Serial servers that pass bytes through, and those that do not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from bridge.errors import LinkError
from bridge.printer.port.transport import Transport, open_transport
from tests.support.peers import TcpPeer
from tests.support.ports import held_port
from tests.support.waiting import DEADLINE


@pytest.fixture
def server() -> Iterator[TcpPeer]:
    peer = TcpPeer()
    yield peer
    peer.close()


@pytest.fixture
async def link(server: TcpPeer) -> AsyncIterator[Transport]:
    transport = await open_transport(server.url, 115_200)
    yield transport
    transport.close()


async def refusal(url: str, within: float = DEADLINE) -> str:
    with pytest.raises(LinkError) as caught:
        await open_transport(url, 115_200, within=within)
    return str(caught.value)


async def test_nobody_listens() -> None:
    with held_port() as port:
        url = f"socket://127.0.0.1:{port}"
        assert await refusal(url) == (
            f"{url} refuses the connection: is the serial server running on "
            "127.0.0.1, and is this its port?"
        )


async def test_a_name_that_cannot_be_one() -> None:
    message = await refusal("socket://printer..local:23")
    assert message.startswith('the name "printer..local" in serial.port is unknown')


async def test_a_server_that_never_answers() -> None:
    with ExitStack() as stack:
        port = busy_server(stack)
        url = f"socket://127.0.0.1:{port}"
        assert await refusal(url, within=0.2) == (
            f"{url} does not answer: is 127.0.0.1 switched on and in this network?"
        )


def busy_server(stack: ExitStack) -> int:
    """Return the port of a server whose queue is full: the kernel drops new callers."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        caller = stack.enter_context(socket.socket())
        caller.settimeout(0)
        caller.connect_ex(listener.getsockname())
    return int(listener.getsockname()[1])


async def test_a_cancelled_attempt_keeps_nothing_open() -> None:
    with ExitStack() as stack:
        url = f"socket://127.0.0.1:{busy_server(stack)}"
        opening = asyncio.create_task(open_transport(url, 115_200))
        await asyncio.wait([opening], timeout=0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening


async def test_a_server_that_breaks_off(server: TcpPeer, link: Transport) -> None:
    await server.send(b"start\n")
    async with asyncio.timeout(DEADLINE):
        assert await link.read() == b"start\n"
        await server.reset()
        assert await link.read() == b""
    link.write(b"M105\n")


async def test_an_emergency_waits_at_the_head_of_a_server_that_never_reads(
    server: TcpPeer, link: Transport
) -> None:
    line = b"N1 G1 X1 F6000*125\n"
    link.write(line * 500_000)
    while True:  # until the kernel takes no more
        before_turns = link.pending
        for _ in range(100):
            await asyncio.sleep(0)
        if link.pending == before_turns:
            break
    assert link.pending > 0
    link.write_now(b"M112\n")
    assert link.pending <= len(b"\nM112\n")
    link.write(b"M105\n")
    data = b""
    async with asyncio.timeout(DEADLINE):
        while not data.endswith(b"M105\n"):
            data += await server.receive(1)
    *before, emergency, after = data.split(b"\n")[:-1]
    assert (emergency, after) == (b"M112", b"M105")
    assert set(before[:-1]) == {line.strip()}
    assert line.startswith(before[-1])
