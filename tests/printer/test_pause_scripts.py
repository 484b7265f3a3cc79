"""Scripts around a pause are told where the head stood when it began."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from bridge.commands import parse
from bridge.commands.scripts import Scripts
from bridge.config import Limits, PrinterConfig, Serial, Telemetry
from bridge.printer.control.command_queue import Run
from bridge.printer.link.wire_log import Direction, WireLogEntry
from bridge.printer.printer import Listeners
from bridge.printer.printer import Printer as LivePrinter
from tests.support.waiting import until

TOLD = "{{ 'nowhere' if pause_position.x is none else pause_position.x }}"


@dataclass
class Printing:
    """A printer, and what was sent to it."""

    printer: LivePrinter
    sent: list[str] = field(default_factory=list)

    async def does(self, *lines: str) -> None:
        """Send G-code."""
        payload = json.dumps({"commands": lines}).encode()
        await self.printer.execute(parse("command", payload).command, Run())

    def texts(self) -> list[str]:
        """Return the texts of all M117."""
        said = [line.partition("M117 ")[2] for line in self.sent if "M117" in line]
        return [text.partition("*")[0].strip() for text in said]


@contextlib.asynccontextmanager
async def running(**scripts: str) -> AsyncIterator[Printing]:
    at: Printing

    def wired(entry: WireLogEntry) -> None:
        if entry.direction is Direction.SENT:
            at.sent.append(entry.data.decode())

    printer = LivePrinter(
        PrinterConfig(serial=Serial(port="simulator://marlin?speed=20")),
        Listeners(lambda: None, lambda _event: None, wired),
        telemetry=Telemetry(),
        limits=Limits(),
        scripts=Scripts(scripts),
    )
    at = Printing(printer)
    task = asyncio.create_task(printer.run())
    try:
        await until(lambda: printer.state.link == "operational")
        yield at
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_place_of_the_pause_is_kept_until_it_goes_on() -> None:
    scripts = {
        "afterPrintPaused": f"M117 paused {TOLD}",
        "beforePrintResumed": f"M117 resumed {TOLD}",
    }
    async with running(**scripts) as at:
        await at.does("M23 ARATHE~1.GCO", "M24")
        await until(lambda: at.printer.state.phase == "printing")
        await at.does("M25")
        await until(lambda: len(at.texts()) == 1)
        stood = at.printer.state.position
        assert stood is not None
        await at.does("G91", "G0 X7", "G90", "M400", "M114")
        assert at.printer.state.position != stood
        await at.does("M24")
        await until(lambda: len(at.texts()) == 2)
    assert at.texts() == [f"paused {stood.x:g}", f"resumed {stood.x:g}"]


async def test_a_place_that_nobody_could_ask_for_is_not_known() -> None:
    script = "M117 {{ 'nowhere' if cancel_position.x is none else 'somewhere' }}"
    async with running(afterPrintCancelled=script) as at:
        await at.does("M23 ARATHE~1.GCO", "M24")
        await until(lambda: at.printer.state.phase == "printing")
        await at.does("M524")
        await until(lambda: at.texts() == ["nowhere"])


async def test_without_scripts_nobody_is_asked_where_it_stands() -> None:
    async with running(afterPrintDone="M117 done") as at:
        await at.does("M23 ARATHE~1.GCO", "M24")
        await until(lambda: at.printer.state.phase == "printing")
        await at.does("M25")
        await until(lambda: at.printer.state.phase == "paused")
        await at.does("M117 still here")
        assert not any("M400" in line for line in at.sent)
