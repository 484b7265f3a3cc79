"""A bridge that is started while the printer is at work, and answers nothing."""

import os
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.errors import FailedError, RejectedError
from bridge.printer.published import safety_flags
from tests.support.live import Live, live
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.waiting import DEADLINE, until

TIMEOUT = 5.0
"""Seconds that a printer may leave unanswered. It says every second that it works,
which may come late on a busy machine; ``G4 S8`` takes longer than this."""


def tell(printer: SimulatedPrinter, line: str, until_said: bytes) -> None:
    """Send a line as an earlier run of the bridge did, see it at work, and go away."""
    port = os.open(printer.link, os.O_RDWR | os.O_NOCTTY)
    os.write(port, f"M113 S1\n{line}\n".encode())
    said = b""
    while until_said not in said:
        assert select.select([port], [], [], DEADLINE)[0], said
        said += os.read(port, 4096)
    os.close(port)


@asynccontextmanager
async def at_work(
    folder: Path, url: str, line: str, until_said: bytes = b"busy"
) -> AsyncIterator[tuple[SimulatedPrinter, Live]]:
    """Run a printer, and then a bridge that finds it at work."""
    with simulated(f"simulator://{url}", folder / "printer") as printer:
        tell(printer, line, until_said)
        serial = {"connect_timeout": TIMEOUT}
        async with live(str(printer.link), connected=False, serial=serial) as bridge:
            yield printer, bridge


async def shows(bridge: Live, status: str) -> None:
    await until(lambda: safety_flags.status(bridge.printer.state) == status)


def connected_once(bridge: Live) -> bool:
    """Return whether the port was never given up: to open it again may reset it."""
    return bridge.printer.link.connects == 1 and "disconnected" not in (
        bridge.event_names
    )


@pytest.mark.parametrize("button", ["resume", "answer"])
async def test_a_filament_change_goes_on_by_a_command(
    tmp_path: Path, button: str
) -> None:
    async with at_work(tmp_path, "marlin?speed=20", "M600") as (printer, bridge):
        await shows(bridge, "Connecting; waits for a person")
        state = bridge.printer.state
        assert safety_flags.attention(state) == "prompt"
        assert safety_flags.can(state).resume
        assert not safety_flags.can(state).move
        with pytest.raises(RejectedError, match="not operational"):
            await bridge.does("head", command="home", axes=["x"])
        run = await bridge.does("job", command=button)
        assert run.gcode == ["M108"]
        assert "has not said yet" in run.warnings[0]
        await bridge.operational()
        assert connected_once(bridge)
        assert safety_flags.attention(bridge.printer.state) == "none"
        assert not bridge.printer.state.asks
        assert "M108" in printer.wire.sent()


async def test_a_filament_change_goes_on_at_the_printer(tmp_path: Path) -> None:
    async with at_work(tmp_path, "marlin?speed=20", "M600") as (printer, bridge):
        await shows(bridge, "Connecting; waits for a person")
        printer.press("press")
        await bridge.operational()
        await shows(bridge, "Ready")
        assert connected_once(bridge)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("marlin?speed=30", "M109 S200"),
        ("marlin?speed=2", "G28"),
        ("marlin?speed=1", "G4 S8"),
        ("prusa?speed=30", "M190 S60"),
    ],
)
async def test_work_is_waited_for(tmp_path: Path, url: str, line: str) -> None:
    async with at_work(tmp_path, url, line) as (_, bridge):
        await until(lambda: bridge.printer.state.link == "connecting")
        await bridge.operational()
        assert connected_once(bridge)
        assert not bridge.printer.state.occupied


async def test_klipper_at_work_answers_when_it_is_done(tmp_path: Path) -> None:
    async with at_work(tmp_path, "klipper?speed=20", "M109 S200", b"T0:") as (
        _,
        bridge,
    ):
        await bridge.operational()
        assert bridge.printer.state.heaters["tool0"].actual is not None


async def test_a_stop_reaches_a_printer_at_work(tmp_path: Path) -> None:
    async with at_work(tmp_path, "marlin?speed=1", "M109 S200") as (printer, bridge):
        await shows(bridge, "Connecting; the printer is busy")
        with pytest.raises(FailedError, match="was sent, and is sent again"):
            bridge.printer.stop()
        await until(lambda: printer.firmware.machine.stopped)
        assert bridge.printer.state.link == "error"
