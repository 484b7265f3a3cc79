"""A million moves over a line with noise: each arrives once, and memory stays flat.

The firmware in C damages lines in both directions, one bit each. It checks the order of
the moves by their E, and says at the end how many came.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import stand
from streaming import build, firmware
from streaming_hosts import move

from bridge.gcode.dialects import MARLIN
from bridge.gcode.events import Connected, PrinterEvent
from bridge.gcode.protocol import Protocol
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port.transport import open_transport

OK_TIMEOUT = 1.0
"""Seconds until a line without an answer is followed by a probe. The default of Marlin,
ten, would make an hour and a half: 500 of a million ``ok`` are damaged. A link is given
up after four such times in a row without a valid answer (``Dialect.max_probes``), so a
tenth of a second is too little: on two cores with a load average of 10 the firmware was
not scheduled for 0.4 s once in 900,000 lines."""

PARTS = 10
"""How often memory is printed."""


def memory() -> float:
    """Return the resident memory of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmRSS")).split()[1]) / 1024


def watched(lines: int) -> Iterator[tuple[str, int]]:
    """Yield the moves, and print the memory a few times."""
    for number in range(lines):
        if number % (lines // PARTS) == 0:
            print(f"{number:9} lines: {memory():.1f} MB", flush=True)
        yield move(number), number


async def stream(port: Path, lines: int, ok_timeout: float) -> None:
    """Stream all moves, and check that each is acknowledged in its turn."""
    connected = asyncio.Event()

    def on_event(event: PrinterEvent) -> None:
        if isinstance(event, Connected):
            connected.set()

    transport = await open_transport(str(port), 115_200)
    protocol = Protocol(replace(MARLIN, ok_timeout=ok_timeout))
    session = Session(transport, protocol, on_event=on_event, wire=WireLog())
    running = asyncio.create_task(session.run())
    await connected.wait()
    acknowledged: list[int] = [0]

    def on_done(offset: int) -> None:
        if offset != acknowledged[0]:
            sys.exit(f"{offset} was acknowledged instead of {acknowledged[0]}")
        acknowledged[0] += 1

    begun, used = time.perf_counter(), time.process_time()
    await session.start_stream(
        watched(lines),
        on_sent=lambda *_: None,
        on_done=lambda done: on_done(done.offset),
    ).finished()
    took, used = time.perf_counter() - begun, time.process_time() - used
    counters = protocol.counters
    print(
        f"{acknowledged[0]:9} lines: {memory():.1f} MB; {lines / took:.0f} lines a "
        f"second, {1e6 * used / lines:.0f} ms of processor time for 1000; "
        f"{counters.resends} requests to send again, {counters.timeouts} timeouts"
    )
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--noise", type=int, default=1000, help="of a million lines")
    parser.add_argument("--ok-timeout", type=float, default=OK_TIMEOUT)
    chosen = parser.parse_args()
    if "PYTHONPYCACHEPREFIX" not in os.environ:  # as for a process of its own
        os.execve(  # noqa: S606 - ourselves
            sys.executable, [sys.executable, *sys.argv], stand.environment()
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port, options = folder / "port", ["--noise", str(chosen.noise)]
        with firmware(build(folder, "firmware"), port, options) as said:
            asyncio.run(stream(port, chosen.lines, chosen.ok_timeout))
    found = json.loads(said[0])
    print(f"the firmware: {found}; {stand.noise()}")
    if found["moves"] != chosen.lines or found["disordered"]:
        sys.exit("not each move has arrived exactly once and in order")


if __name__ == "__main__":
    main()
