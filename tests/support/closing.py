"""A broker that closes the connection over a topic, as aedes and RabbitMQ do.

It is a relay in front of a real one, for both MQTT versions: it reads each packet of
the client, and closes the connection instead of passing on what is forbidden.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.support.brokers import Mosquitto
from tests.support.servers import packets, server

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


@dataclass(slots=True)
class Closing:
    """What it does, which takes effect at once, and what it has seen.

    Attributes:
        forbidden: what the connection is closed over, as ``publish printer/state``,
            ``subscribe printer/head`` or ``will printer/availability``; ``publish *``
            is all of a kind.
        says: it names the missing right before it closes, where MQTT can.
        refuses: it answers a SUBSCRIBE with refusals before it closes.
        cut: over this, all connections are reset, as by the network.
        port: where it listens.
        seen: how often each was tried.
        ids: the client id of each connection.

    """

    forbidden: set[str] = field(default_factory=set)
    says: bool = False
    refuses: bool = False
    cut: str = ""
    port: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    cuts: int = 0
    ids: list[str] = field(default_factory=list)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def tries(self, kind: str) -> int:
        """Return how often something of a kind was tried."""
        return sum(n for action, n in self.seen.items() if action.startswith(kind))

    def closes_over(self, action: str) -> bool:
        """Note what a client does; return whether its connection is closed."""
        self.seen[action] += 1
        if action == self.cut:
            self.cuts += 1
            for writer in self.writers:
                writer.transport.abort()
        return bool({action, f"{action.partition(' ')[0]} *"} & self.forbidden)


@asynccontextmanager
async def closing(broker: Mosquitto, *forbidden: str) -> AsyncIterator[Closing]:
    """Run one in front of a broker."""
    state = Closing(set(forbidden))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_connection(broker.host, broker.port)
        state.writers.add(writer)
        passing = asyncio.create_task(_pass(back, writer))
        try:
            await _take(state, reader, writer, on)
        finally:
            passing.cancel()
            state.writers.discard(writer)
            on.transport.abort()  # so the broker publishes the last will
            writer.close()

    async with server(talk) as state.port:
        yield state


async def _take(
    state: Closing,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    on: asyncio.StreamWriter,
) -> None:
    five = False
    async for packet, body in packets(reader):
        kind = packet[0] >> 4
        if kind == CONNECT:
            five = body[6] == 5
            client_id, actions = _connect(body)
            state.ids.append(client_id)
        elif kind == PUBLISH:
            actions = [f"publish {_string(body, 0)[0]}"]
        elif kind == SUBSCRIBE:
            actions = [f"subscribe {topic}" for topic in _filters(body, five=five)]
        else:
            actions = []
        if sum(map(state.closes_over, actions)):
            if state.refuses and kind == SUBSCRIBE:
                writer.write(_suback(body, len(actions), five=five))
            if state.says:
                writer.write(_reason(kind, five=five))
            return
        on.write(packet)


def _reason(kind: int, *, five: bool) -> bytes:
    """Return CONNACK or DISCONNECT with "not authorised"; 3.1.1 has only the former."""
    if kind == CONNECT:
        return b"\x20\x03\x00\x87\x00" if five else b"\x20\x02\x00\x05"
    return b"\xe0\x02\x87\x00" if five else b""


def _suback(body: bytes, count: int, *, five: bool) -> bytes:
    """Return a SUBACK that refuses all filters of a SUBSCRIBE (MQTT 5.0, 3.9)."""
    codes = body[:2] + (b"\0" + b"\x87" * count if five else b"\x80" * count)
    return bytes([0x90, len(codes)]) + codes


def _string(data: bytes, at: int) -> tuple[str, int]:
    """Return a string and where the next field is (MQTT 5.0, 1.5.4)."""
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    return data[at + 2 : end].decode(), end


def _after_properties(data: bytes, at: int) -> int:
    """Return what follows properties, of which there are fewer than 128 bytes."""
    return at + 1 + data[at]


def _connect(body: bytes) -> tuple[str, list[str]]:
    """Return client id and last will of a CONNECT (MQTT 5.0, 3.1)."""
    five, flags = body[6] == 5, body[7]
    at = _after_properties(body, 10) if five else 10
    client_id, at = _string(body, at)
    if not flags & 0x04:
        return client_id, []
    at = _after_properties(body, at) if five else at
    return client_id, [f"will {_string(body, at)[0]}"]


def _filters(body: bytes, *, five: bool) -> list[str]:
    """Return the topic filters of a SUBSCRIBE (MQTT 5.0, 3.8)."""
    at, found = _after_properties(body, 2) if five else 2, []
    while at < len(body):
        topic, at = _string(body, at)
        found.append(topic)
        at += 1
    return found


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
    writer.close()
