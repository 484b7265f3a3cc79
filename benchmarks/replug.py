"""Pull a printer's cable again and again, and count how often it is found again.

Runs on every Python that the bridge supports, with its dependencies and nothing else.
The printer is simulated behind a pseudo-terminal; between two replugs it is used, so
that the conversation breaks in different states.
"""

import argparse
import asyncio
import contextlib
import logging
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bridge.commands import parse
from bridge.config import Limits, PrinterConfig, Serial, Telemetry
from bridge.errors import CommandError
from bridge.printer.control.command_queue import Run
from bridge.printer.printer import Listeners, Printer
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import PtyServer, pty_server

LOST = 60.0
"""Seconds after which a printer counts as not found again."""


async def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LOST
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True


async def _jog(printer: Printer) -> None:
    with contextlib.suppress(CommandError):
        command = parse("head", b'{"command": "jog", "x": 1}').command
        await printer.execute(command, Run())


async def _replug(printer: Printer, server: PtyServer, chance: random.Random) -> bool:
    jog = asyncio.create_task(_jog(printer))
    await asyncio.sleep(chance.uniform(0, 0.3))
    server.unplug()
    if not await _until(lambda: printer.state.link != "operational"):
        return False
    await asyncio.sleep(chance.uniform(0, 0.3))
    server.plug()
    found = await _until(lambda: printer.state.link == "operational")
    await jog
    return found


async def replug(times: int, seed: int) -> int:
    """Return how often the printer was connected again."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder, "printer")
        printer = Printer(
            PrinterConfig(id="replug", serial=Serial(port=str(port), baudrate=115_200)),
            Listeners(lambda: None, lambda _event: None, lambda _entry: None),
            telemetry=Telemetry(),
            limits=Limits(),
        )
        async with pty_server(Firmware("marlin"), port) as server:
            serving = asyncio.create_task(printer.run())
            found = 0
            if await _until(lambda: printer.state.link == "operational"):
                for _ in range(times):
                    if not await _replug(printer, server, chance):
                        break
                    found += 1
            serving.cancel()
            await asyncio.wait({serving})
    return found


def main() -> int:
    """Read the command line, pull the cable and print the count."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--times", type=int, default=200)
    reader.add_argument("--seed", type=int, default=1)
    chosen = reader.parse_args()
    logging.disable(logging.CRITICAL)
    begun = time.monotonic()
    found = asyncio.run(replug(chosen.times, chosen.seed))
    took = time.monotonic() - begun
    python = platform.python_version()
    print(f"Python {python}: {found} of {chosen.times} replugs, {took:.0f} s")
    return 0 if found == chosen.times else 1


if __name__ == "__main__":
    sys.exit(main())
