"""What the printer says to a line comes back with it, whatever the firmware's order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from bridge.commands import parse
from bridge.config import Limits, PrinterConfig, Profile, Serial, Telemetry
from bridge.errors import FailedError
from bridge.printer.control.command_queue import Run
from bridge.printer.printer import Listeners
from bridge.printer.printer import Printer as LivePrinter
from tests.support.waiting import until


@contextlib.asynccontextmanager
async def running(personality: str, *, card: bool = True) -> AsyncIterator[LivePrinter]:
    serial = Serial(port=f"simulator://{personality}?speed=100&card={int(card)}")
    printer = LivePrinter(
        PrinterConfig(serial=serial, profile=Profile()),
        Listeners(lambda: None, lambda _event: None, lambda _entry: None),
        telemetry=Telemetry(interval=1),
        limits=Limits(),
    )
    task = asyncio.create_task(printer.run())
    try:
        await until(lambda: printer.state.link == "operational")
        yield printer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def output(printer: LivePrinter, line: str) -> list[str]:
    """Send a line of G-code; return what is said to it."""
    run = Run()
    request = parse("command", b'{"command": "%b"}' % line.encode())
    await printer.execute(request.command, run)
    assert run.gcode == [line]
    return run.output


@pytest.mark.parametrize(
    "personality", ["marlin", "klipper", "repetier", "prusa", "reprapfirmware"]
)
async def test_the_output_is_complete_and_nothing_else(personality: str) -> None:
    async with running(personality) as printer:
        assert printer.observer.dialect.name == personality
        for _ in range(3):
            place = await output(printer, "M114")
            assert len(place) == 1
            assert place[0].startswith("X:")
            files = await output(printer, "M20")
            assert files[0] == "Begin file list"
            assert files[-1] == "End file list"
            assert len(files) == 2 + len(printer.state.files) > 3
            heat = await output(printer, "M105")
            assert len(heat) == 1
            assert "21.0" in heat[0]


@pytest.mark.parametrize("personality", ["marlin", "repetier"])
async def test_the_settings(personality: str) -> None:
    async with running(personality) as printer:
        settings = await output(printer, "M503")
        assert len(settings) == len(set(settings)) > 10


async def test_a_refusal_is_told_once() -> None:
    async with running("marlin", card=False) as printer:
        run = Run()
        with pytest.raises(FailedError) as caught:
            await printer.execute(parse("sd", b'{"command": "init"}').command, run)
        assert (caught.value.error, caught.value.code) == ("firmware_error", 500)
        assert caught.value.message == "No SD card"
        assert run.output == ["echo:No SD card"]
