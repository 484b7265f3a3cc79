"""Servers that are not brokers, or only some of the time."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_SUBSCRIBE = 8
_ACCEPTING = 5
"""Passes of the event loop in which a connection that was just accepted is handed over.
"""


async def stop_accepting(running: asyncio.Server) -> None:
    """Accept no more connections, and wait until all so far are handed over.

    When a server is closed right after it has accepted a connection, CPython forgets
    the connection's transport without closing it (``Server._attach`` fails; seen in
    3.11 to 3.13), and a test that leaves it open fails.
    """
    for listener in running.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(_ACCEPTING):
        await asyncio.sleep(0)


@asynccontextmanager
async def server(
    talk: Talk, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Run something on a port."""

    tasks: set[asyncio.Task[None]] = set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio reports the cancellation of its own as an error.
        task = asyncio.create_task(answer(reader, writer))
        tasks.add(task)
        task.add_done_callback(lambda _: writer.close())

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)

    running = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls)
    port: int = running.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        await stop_accepting(running)
        running.close()
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            # Whether a cancelled task ends as cancelled depends on Python's version.
            if isinstance(result, Exception):
                raise result
        await asyncio.sleep(0)  # now their connections are closed


def saying(*packets: bytes) -> Talk:
    """Return a server that answers the first packet with these, then waits."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.writelines(packets)
        await writer.drain()
        while await reader.read(4096):
            pass

    return talk


def picky(
    host: str,
    port: int,
    *,
    unwanted: Callable[[bytes], bool],
    answer: bytes = b"",
    waits: asyncio.Event | None = None,
) -> Talk:
    """Return a relay to a broker that accepts only certain CONNECT packets.

    The others get an answer; or they wait for one, which the event tells.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        if unwanted(first):
            writer.write(answer)
            if waits is not None:
                waits.set()
                await reader.read()
            return
        back, on = await asyncio.open_connection(host, port)
        on.write(first)
        try:
            await asyncio.gather(_pass(reader, on), _pass(back, writer))
        finally:
            on.close()

    return talk


def replaying(host: str, port: int) -> Talk:
    """Return a relay to a broker that ignores Retain Handling (MQTT 5.0, 3.8.3.1)."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_connection(host, port)
        passing = asyncio.create_task(_pass(back, writer))
        try:
            async for packet, body in packets(reader):
                subscribes = packet[0] >> 4 == _SUBSCRIBE
                head = packet[: len(packet) - len(body)]
                on.write(head + (_always_replaying(body) if subscribes else body))
        finally:
            passing.cancel()
            on.close()

    return talk


def _always_replaying(body: bytes) -> bytes:
    """Return a SUBSCRIBE whose filters ask for what is retained."""
    changed, at = bytearray(body), 3 + body[2]  # fewer than 128 bytes of properties
    while at < len(body):
        at += 2 + int.from_bytes(body[at : at + 2], "big")
        changed[at] &= 0x0F
        at += 1
    return bytes(changed)


def frugal(host: str, port: int, *, most: int, sizes: list[int]) -> Talk:
    """Return a relay to a broker that disconnects on a SUBSCRIBE with too many topics.

    ``sizes`` gets how many each has; MQTT 5.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_connection(host, port)
        passing = asyncio.create_task(_pass(back, writer))
        try:
            async for packet, body in packets(reader):
                if packet[0] >> 4 == _SUBSCRIBE:
                    sizes.append(_count(body))
                    if sizes[-1] > most:
                        break
                on.write(packet)
        finally:
            on.close()
            await passing

    return talk


async def packets(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    """Yield each packet, with what follows its fixed header."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(2)
            while head[-1] & 0x80:
                head += await reader.readexactly(1)
            length = sum((digit & 0x7F) << 7 * at for at, digit in enumerate(head[1:]))
            body = await reader.readexactly(length)
            yield head + body, body


def _count(subscribe: bytes) -> int:
    """Return the number of topic filters after the packet identifier and properties."""
    at, count = 3, 0
    while at < len(subscribe):
        at += 2 + int.from_bytes(subscribe[at : at + 2], "big") + 1
        count += 1
    return count


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
    writer.close()
