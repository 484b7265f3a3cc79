"""Scripts that run by themselves, against the simulated printer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from bridge.commands import parse
from bridge.commands.scripts import Scripts
from bridge.config import Limits, PrinterConfig, Serial, Telemetry
from bridge.printer.control.command_queue import Run
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.link.wire_log import Direction, WireLogEntry
from bridge.printer.printer import Listeners
from bridge.printer.printer import Printer as LivePrinter
from tests.support.waiting import until


@dataclass
class Watched:
    """A printer and all that was sent to it."""

    printer: LivePrinter
    sent: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def has_sent(self, text: str) -> bool:
        return any(text in line for line in self.sent)


@contextlib.asynccontextmanager
async def running(**scripts: str) -> AsyncIterator[Watched]:
    watched: Watched

    def wired(entry: WireLogEntry) -> None:
        if entry.direction is Direction.SENT:
            watched.sent.append(entry.data.decode())

    def happened(event: StateEvent) -> None:
        watched.events.append(event.name)

    config = PrinterConfig(serial=Serial(port="simulator://marlin?speed=100"))
    printer = LivePrinter(
        config,
        Listeners(lambda: None, happened, wired),
        telemetry=Telemetry(),
        limits=Limits(),
        scripts=Scripts(scripts),
    )
    watched = Watched(printer)
    task = asyncio.create_task(printer.run())
    try:
        await until(lambda: printer.state.link == "operational")
        yield watched
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_script_runs_when_the_printer_was_connected() -> None:
    async with running(afterPrinterConnected="M117 hello") as watched:
        await until(lambda: watched.has_sent("M117 hello"))


async def test_a_script_runs_before_the_printer_is_let_go() -> None:
    async with running(beforePrinterDisconnected="M117 bye") as watched:
        assert not watched.has_sent("M117 bye")
    assert watched.has_sent("M117 bye")


async def test_a_script_can_read_what_happened() -> None:
    script = "M117 {{ event.firmware[:6] }}"
    async with running(afterPrinterConnected=script) as watched:
        await until(lambda: watched.has_sent("M117 Marlin"))


async def test_a_script_that_fails_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(afterPrinterConnected="M117 {{ nothing }}") as watched:
        await until(lambda: "afterPrinterConnected" in caplog.text)
        assert watched.printer.state.link == "operational"


async def test_a_script_is_held_against_the_limits_as_everything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(afterPrinterConnected="M104 S900") as watched:
        await until(lambda: "275" in caplog.text)
        assert not watched.has_sent("M104")


async def test_the_tool_change_is_wrapped_by_its_scripts() -> None:
    scripts = {
        "beforeToolChange": "M117 from {{ tool.old }}",
        "afterToolChange": "M117 to {{ tool.new }}",
    }
    async with running(**scripts) as watched:
        run = Run()
        request = parse("tool", b'{"command": "select", "tool": "tool0"}')
        await watched.printer.execute(request.command, run)
        assert run.gcode == ["M117 from 0", "T0", "M117 to 0"]
