"""A session on a simulated printer behind a real pseudo-terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import LinkError
from bridge.gcode.dialects import Dialect
from bridge.gcode.events import Connected, PrinterEvent
from bridge.gcode.protocol import Protocol
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port.transport import open_transport
from tests.support.waiting import until


@dataclass(slots=True)
class Talk:
    """A running session, and its events."""

    session: Session
    events: list[PrinterEvent] = field(default_factory=list)
    wire: WireLog = field(default_factory=WireLog)


@asynccontextmanager
async def talk_to(url: str | Path, dialect: Dialect) -> AsyncIterator[Talk]:
    """Open a port, complete the handshake, and close it at the end."""
    transport = await open_transport(str(url), 115_200)
    events: list[PrinterEvent] = []
    wire = WireLog()
    session = Session(transport, Protocol(dialect), on_event=events.append, wire=wire)
    running = asyncio.create_task(session.run())
    try:
        await until(lambda: Connected() in events)
        yield Talk(session, events, wire)
    finally:
        session.close()
        with suppress(LinkError):
            await running
