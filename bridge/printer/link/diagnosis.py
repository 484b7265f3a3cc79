"""Whether a printer can be reached, found out by greeting it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection

from bridge.config import Printer, Telemetry
from bridge.findings import Finding
from bridge.printer.link.events import Closed, LinkEvent, Opened, Ready
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port import ports


async def examine(
    printer: Printer,
    telemetry: Telemetry,
    taken: Callable[[], Collection[str]] = tuple,
) -> AsyncIterator[Finding]:
    """Yield what became of opening the port and of greeting the firmware.

    Args:
        printer: whose line.
        telemetry: how often it is asked to report, as the daemon does.
        taken: returns the ports of other printers.

    """
    if printer.serial.port == "auto":
        found = ports.candidates(taken())
        if found:
            yield Finding("port", "ok", f"to try: {', '.join(found)}")
    events: asyncio.Queue[LinkEvent] = asyncio.Queue()
    link = Link(
        printer.serial,
        interval=telemetry.interval,
        on_event=events.put_nowait,
        attend=_wait,
        wire=WireLog(),
        taken=taken,
    )
    running = asyncio.create_task(link.run())
    try:
        async for finding in _verdicts(events):
            yield finding
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _verdicts(events: asyncio.Queue[LinkEvent]) -> AsyncIterator[Finding]:
    opened = None
    while True:
        match await events.get():
            case Opened(place):
                opened = place
            case Ready(identity, place):
                yield Finding("port", "ok", f"{place.port} opened")
                name = identity.firmware or "a firmware that does not say its name"
                text = f"{name} answers at {place.baudrate} baud"
                family = identity.dialect.name
                yield Finding("firmware", "ok", f"{text} (family {family})")
                return
            case Closed(reason):
                yield Finding("port" if opened is None else "firmware", "wrong", reason)
                return


async def _wait(_session: Session) -> None:
    await asyncio.Event().wait()
