"""Simulated printers that others can connect to: behind a pty or a TCP port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.simulator.faults import Faults
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve_clock import Clock, Wire
from bridge.simulator.serve_pty import PtyServer
from bridge.simulator.serve_tcp import TcpServer

__all__ = [
    "Clock",
    "PtyServer",
    "TcpServer",
    "Wire",
    "pty_server",
    "serve_pty",
    "serve_tcp",
    "tcp_server",
]


@asynccontextmanager
async def pty_server(
    firmware: Firmware,
    path: str | Path,
    *,
    faults: Faults | None = None,
    wire: Wire | None = None,
) -> AsyncIterator[PtyServer]:
    """Run a firmware behind a pseudo-terminal for as long as the block lasts.

    Args:
        firmware: the printer; it is reset first.
        path: where a symbolic link to the port appears.
        faults: what goes wrong on the line.
        wire: is shown what goes over it.

    Raises:
        LinkError: The path is taken or cannot be created.

    """
    clock = Clock(firmware, faults=faults, wire=wire)
    server = PtyServer(clock, Path(path))
    try:
        server.plug()
        yield server
    finally:
        server.unplug()
        clock.close()


@asynccontextmanager
async def tcp_server(
    firmware: Firmware,
    host: str,
    port: int,
    *,
    faults: Faults | None = None,
    wire: Wire | None = None,
) -> AsyncIterator[TcpServer]:
    """Run a firmware behind a TCP port for as long as the block lasts.

    Args:
        firmware: the printer; it is reset first.
        host: the address to listen at.
        port: the port; 0 takes a free one.
        faults: what goes wrong on the line.
        wire: is shown what goes over it.

    Raises:
        LinkError: The port cannot be opened.

    """
    clock = Clock(firmware, faults=faults, wire=wire)
    server = TcpServer(clock)
    try:
        await server.listen(host, port)
        yield server
    finally:
        await server.close()
        clock.close()


async def serve_pty(
    firmware: Firmware, path: str | Path, *, wire: Wire | None = None
) -> None:
    """Run a firmware behind a pseudo-terminal until this is cancelled.

    Raises:
        LinkError: The path is taken or cannot be created.

    """
    async with pty_server(firmware, path, wire=wire):
        await asyncio.Event().wait()


async def serve_tcp(
    firmware: Firmware, host: str, port: int, *, wire: Wire | None = None
) -> None:
    """Run a firmware behind a TCP port until this is cancelled.

    Raises:
        LinkError: The port cannot be opened.

    """
    async with tcp_server(firmware, host, port, wire=wire):
        await asyncio.Event().wait()
