"""What answers on a port, found out by the same handshake as in daily use."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from bridge.config import PrinterConfig, Serial, Telemetry
from bridge.errors import LinkError
from bridge.findings import Finding
from bridge.gcode.reply_types import TemperatureReport
from bridge.printer.link.events import Closed, LinkEvent, Opened, Ready
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port import ports

_REPORT_INTERVAL = 2.0
"""Seconds between two temperature reports, for a printer without a configuration."""


@dataclass(frozen=True, slots=True)
class FoundPrinter:
    """A printer that answered.

    Attributes:
        port: where it is.
        baudrate: bits a second.
        firmware: its own name for its firmware.
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


async def probe(serial: Serial) -> FoundPrinter:
    """Return what answers on a port, for a first configuration.

    Opening the port resets most boards.

    Raises:
        LinkError: Nothing answers, and the message says what to do about it.

    """
    found = FoundPrinter()
    async with _connecting(serial, _REPORT_INTERVAL) as events:
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


async def examine(
    printer: PrinterConfig,
    telemetry: Telemetry,
    taken: Callable[[], Collection[str]] = tuple,
) -> AsyncIterator[Finding]:
    """Yield whether the port opens and which firmware answers.

    Args:
        printer: whose link.
        telemetry: how often it has to report, as in daily use.
        taken: returns the ports of other printers.

    """
    if printer.serial.port == "auto":
        found = ports.candidates(taken())
        if found:
            yield Finding("port", "ok", f"to try: {', '.join(found)}")
    opened = False
    connecting = _connecting(printer.serial, telemetry.interval, taken)
    async with connecting as events:
        while True:
            match await events.get():
                case Opened():
                    opened = True
                case Ready(identity, place):
                    yield Finding("port", "ok", f"{place.port} opened")
                    name = identity.firmware or "a firmware that does not say its name"
                    text = f"{name} answers at {place.baudrate} baud"
                    family = identity.dialect.name
                    yield Finding("firmware", "ok", f"{text} (family {family})")
                    return
                case Closed(reason):
                    yield Finding("firmware" if opened else "port", "wrong", reason)
                    return


@asynccontextmanager
async def _connecting(
    serial: Serial, interval: float, taken: Callable[[], Collection[str]] = tuple
) -> AsyncIterator[asyncio.Queue[LinkEvent]]:
    """Run a link, and yield its events; the port is closed at the end."""
    events: asyncio.Queue[LinkEvent] = asyncio.Queue()
    link = Link(
        serial,
        interval=interval,
        on_event=events.put_nowait,
        attend=_wait,
        wire=WireLog(),
        taken=taken,
    )
    running = asyncio.create_task(link.run())
    try:
        yield events
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _wait(_session: Session) -> None:
    await asyncio.Event().wait()
