"""Finding out what is on a serial port, for a first configuration."""

import asyncio
from dataclasses import dataclass, replace

from bridge.config import Serial
from bridge.errors import LinkError
from bridge.gcode.reply_types import TemperatureReport
from bridge.printer.link.events import Closed, LinkEvent, Ready
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog


@dataclass(frozen=True, slots=True)
class Found:
    """A printer that answered.

    Attributes:
        port: where it is.
        baudrate: bits a second.
        firmware: what it says it is.
        heaters: what it reports temperatures of: ``T``, ``T0`` …, ``B``, ``C``.

    """

    port: str = ""
    baudrate: int = 0
    firmware: str = ""
    heaters: frozenset[str] = frozenset()

    @property
    def extruders(self) -> int:
        """How many tools it has."""
        tools = {
            name for name in self.heaters if name[:1] == "T" and name[1:].isdigit()
        }
        return max(1, len(tools))


async def probe(serial: Serial) -> Found:
    """Return what answers on a port; opening it resets most boards.

    Raises:
        LinkError: Nothing answers, and the message says what to do about it.

    """
    events: asyncio.Queue[LinkEvent] = asyncio.Queue()
    link = Link(
        serial,
        interval=2.0,
        on_event=events.put_nowait,
        attend=_wait,
        wire=WireLog(),
    )
    running = asyncio.create_task(link.run())
    try:
        return await _answer(events)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _answer(events: asyncio.Queue[LinkEvent]) -> Found:
    found = Found()
    while True:
        match await events.get():
            case TemperatureReport(readings):
                found = replace(found, heaters=found.heaters | readings.keys())
            case Ready(identity, place):
                return replace(
                    found,
                    port=place.port,
                    baudrate=place.baudrate,
                    firmware=identity.firmware,
                )
            case Closed(reason):
                raise LinkError(reason)


async def _wait(_session: Session) -> None:
    await asyncio.Event().wait()
