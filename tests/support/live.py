"""The bridge's printer in the test's own event loop, without a broker."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.commands import Command, parse
from bridge.commands.scripts import Scripts
from bridge.config import Limits, PrinterConfig, Profile, Serial, Telemetry
from bridge.printer.control.command_queue import Run
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.print_record import PrinterRecord
from bridge.printer.link.wire_log import Direction, WireLogEntry
from bridge.printer.printer import Listeners, Printer
from tests.support.printers import POLLS, unframed
from tests.support.waiting import until

OWN = POLLS | {"M110", "M876", "M21", "M20"}
"""Codes that the bridge sends on its own initiative."""


def command_of(topic: str, **payload: object) -> Command:
    """Return the command of a message."""
    return parse(topic, json.dumps(payload).encode()).command


@dataclass
class Live:
    """A running printer, and what it did."""

    printer: Printer
    task: asyncio.Task[None]
    entries: list[WireLogEntry] = field(default_factory=list)
    events: list[StateEvent] = field(default_factory=list)

    @property
    def sent(self) -> list[str]:
        """The lines of commands, as sent."""
        lines = [
            unframed(entry.data)
            for entry in self.entries
            if entry.direction is Direction.SENT and entry.data.strip()
        ]
        return [line for line in lines if line.split()[0] not in OWN]

    @property
    def event_names(self) -> list[str]:
        """What happened."""
        return [event.name for event in self.events]

    async def does(self, topic: str, **payload: object) -> Run:
        """Execute a command."""
        run = Run()
        await self.printer.execute(command_of(topic, **payload), run)
        return run

    def begins(
        self, topic: str, run: Run | None = None, **payload: object
    ) -> "asyncio.Task[None]":
        """Start executing a command."""
        command = command_of(topic, **payload)
        run = run if run is not None else Run()
        return asyncio.create_task(self.printer.execute(command, run))

    async def operational(self) -> None:
        """Wait until the printer is operational."""
        await until(lambda: self.printer.state.link == "operational")

    async def has_sent(self, line: str) -> None:
        """Wait until a line has been sent."""
        await until(lambda: line in self.sent)

    async def end(self) -> None:
        """Disconnect from the printer."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def live(  # noqa: PLR0913 - what a test may want to be different
    port: str,
    *,
    scripts: Mapping[str, str] | None = None,
    queue: int = 256,
    connected: bool = True,
    settings: Mapping[str, Any] | None = None,
    serial: Mapping[str, Any] | None = None,
    heat_file: Path | None = None,
    print_file: Path | None = None,
    kept: PrinterRecord | None = None,
    broker: Callable[[], bool] = lambda: True,
    telemetry: Telemetry | None = None,
    **profile: object,
) -> AsyncIterator[Live]:
    """Run a printer; the block starts when it is operational, or at once.

    ``settings`` are the printer's, beside those of its line and its profile; ``serial``
    those of its line, beside its port and baud rate.
    """
    entries: list[WireLogEntry] = []
    events: list[StateEvent] = []
    config = PrinterConfig(
        serial=Serial(port=port, baudrate=115_200, **dict(serial or {})),
        profile=Profile.model_validate(profile),
        **dict(settings or {}),
    )
    printer = Printer(
        config,
        Listeners(lambda: None, events.append, entries.append),
        telemetry=telemetry or Telemetry(),
        limits=Limits(queue=queue),
        scripts=Scripts(scripts or {}),
        heat_file=heat_file,
        print_file=print_file,
        kept=kept,
        broker=broker,
    )
    running = Live(printer, asyncio.create_task(printer.run()), entries, events)
    try:
        if connected:
            await running.operational()
        yield running
    finally:
        await running.end()
