"""The printer's end of a link: a pseudo-terminal, a TCP port or an RFC 2217 server."""

import asyncio
import os
import socket
import struct
import tty
from pathlib import Path
from typing import Protocol

from tests.support.waiting import DEADLINE


class Peer(Protocol):
    """What a test does with the other end of a link."""

    @property
    def url(self) -> str:
        """Where the bridge connects to."""

    async def send(self, data: bytes) -> None:
        """Send data; blocks while the bridge does not read."""

    async def receive(self, count: int) -> bytes:
        """Wait for exactly this many bytes."""

    async def hang_up(self) -> None:
        """Unplug."""


class PtyPeer:
    """A pseudo-terminal, optionally behind a name that survives replugging.

    Its own slave end stays open, so that the bridge closing its one is not an unplug.
    """

    def __init__(self, link: Path | None = None) -> None:
        self.link = link
        self._ends: tuple[int, int] | None = None
        self.plug_in()

    @property
    def url(self) -> str:
        return str(self.link or self.device)

    @property
    def master(self) -> int:
        assert self._ends is not None, "it is unplugged"
        return self._ends[0]

    def plug_in(self) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.device = os.ttyname(slave)
        self._ends = (master, slave)
        if self.link is not None:
            self.link.symlink_to(self.device)

    def unplug(self) -> None:
        if self._ends is None:
            return
        if self.link is not None:
            self.link.unlink()
        for end in self._ends:
            os.close(end)
        self._ends = None

    async def hang_up(self) -> None:
        self.unplug()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            while data:
                try:
                    data = data[os.write(self.master, data) :]
                except BlockingIOError:
                    await _ready(self.master, reading=False)

    async def receive(self, count: int) -> bytes:
        data = b""
        async with asyncio.timeout(DEADLINE):
            while len(data) < count:
                try:
                    data += os.read(self.master, min(512, count - len(data)))
                except BlockingIOError:
                    await _ready(self.master, reading=True)
        return data

    def drain(self) -> bytes:
        """Return everything that has arrived, without waiting."""
        data = b""
        while True:
            try:
                data += os.read(self.master, 65_536)
            except BlockingIOError:
                return data


async def _ready(descriptor: int, *, reading: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    if reading:
        loop.add_reader(descriptor, ready.set)
    else:
        loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        (loop.remove_reader if reading else loop.remove_writer)(descriptor)


class TcpPeer:
    """A serial server that passes bytes through, and accepts one connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connection: socket.socket | None = None

    async def connection(self) -> socket.socket:
        if self._connection is None:
            loop = asyncio.get_running_loop()
            self._connection, _ = await loop.sock_accept(self._listener)
        return self._connection

    async def send(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            await loop.sock_sendall(await self.connection(), data)

    async def receive(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        async with asyncio.timeout(DEADLINE):
            connection = await self.connection()
            while len(data) < count:
                more = await loop.sock_recv(connection, min(512, count - len(data)))
                assert more, f"the bridge hung up after {data!r}"
                data += more
        return data

    async def hang_up(self) -> None:
        (await self.connection()).close()

    async def forget(self) -> None:
        """Close the connection, and wait for the next one."""
        (await self.connection()).close()
        self._connection = None

    async def reset(self) -> None:
        """Reset the connection, like a server that loses power."""
        connection = await self.connection()
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()

    def close(self) -> None:
        self._listener.close()
        if self._connection is not None:
            self._connection.close()
