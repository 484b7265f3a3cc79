"""Serial servers that set their port up, and those that do not."""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator

import pytest

from bridge.errors import LinkError
from bridge.printer.port.read_buffer import ReadBuffer
from bridge.printer.port.transport import open_transport
from bridge.threads import is_stuck
from tests.support.rfc2217 import DTR_ON, SET_BAUDRATE, SET_CONTROL, Rfc2217Server
from tests.support.waiting import DEADLINE, until


@pytest.fixture
async def server() -> AsyncIterator[Rfc2217Server]:
    server = await Rfc2217Server().start()
    yield server
    await server.close()


async def refusal(url: str, within: float = DEADLINE) -> str:
    with pytest.raises(LinkError) as caught:
        await open_transport(url, 250_000, within=within)
    return str(caught.value)


async def test_the_server_is_told_the_baud_rate(server: Rfc2217Server) -> None:
    (await open_transport(server.url, 250_000)).close()
    assert (SET_BAUDRATE, struct.pack("!I", 250_000)) in server.requests


@pytest.mark.parametrize("dtr", [True, False])
async def test_dtr_is_raised_only_when_asked(
    server: Rfc2217Server,
    dtr: bool,  # noqa: FBT001 - an example
) -> None:
    (await open_transport(server.url, 115_200, dtr=dtr)).close()
    assert ((SET_CONTROL, DTR_ON) in server.requests) is dtr


async def test_nobody_listens(server: Rfc2217Server) -> None:
    await server.close()
    assert "refuses the connection" in await refusal(server.url)


async def test_a_name_that_cannot_be_one() -> None:
    message = await refusal("rfc2217://printer..local:23")
    assert message.startswith('the name "printer..local" in serial.port is unknown')


async def test_an_option_that_there_is_not(server: Rfc2217Server) -> None:
    assert "by RFC 2217" in await refusal(f"{server.url}?speed=1")


async def test_a_server_that_does_not_speak_it(server: Rfc2217Server) -> None:
    server.speaks = False
    url = f"{server.url}?timeout=0.2"
    assert await refusal(url) == (
        f"{url} does not offer a port with 250000 baud by RFC 2217: check "
        "serial.baudrate, or use socket:// for a server that passes bytes as they are"
    )


async def test_a_server_that_takes_too_long(server: Rfc2217Server) -> None:
    server.speaks = False
    url = f"{server.url}?timeout=1"
    assert "does not answer" in await refusal(url, within=0.1)
    assert "does not answer" in await refusal(url)  # at once, and no thread more
    name = f"open {url}"
    assert sum(thread.name.startswith(name) for thread in threading.enumerate()) == 1
    await until(lambda: not is_stuck(name))


async def test_an_attempt_that_succeeds_too_late_is_closed(
    server: Rfc2217Server,
) -> None:
    opening = asyncio.create_task(open_transport(server.url, 115_200))
    await until(lambda: bool(server.requests))
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await until(lambda: not server.connected)


async def test_a_server_that_breaks_off(server: Rfc2217Server) -> None:
    link = await open_transport(server.url, 115_200)
    await server.reset()
    async with asyncio.timeout(DEADLINE):
        assert await link.read() == b""
    link.write(b"M105\n")
    assert link.pending == 0


async def test_a_printer_that_talks_to_nobody_is_given_up(
    server: Rfc2217Server,
) -> None:
    link = await open_transport(server.url, 115_200)
    sending = asyncio.create_task(server.send(bytes(2 * ReadBuffer.LIMIT)))
    await until(lambda: not server.connected)
    async with asyncio.timeout(DEADLINE):
        assert ReadBuffer.LIMIT <= len(await link.read()) < 2 * ReadBuffer.LIMIT
        assert await link.read() == b""
        await asyncio.wait([sending])
