"""A print beside the check of other files: how much its line rate changes.

    checking.py [--lines N] [--rounds N] [--baud B]
    checking.py print LINES PORT BUSY      (in a process of its own)

The bridge prints a file while files of 60,000 lines arrive without a pause, each of
which is written, checked by the worker process and stored. The firmware in C checks
that each move arrives once and in order.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import printing
import stand
import streaming

from bridge.config import PrinterConfig
from bridge.files.check import CheckRules
from bridge.files.inspector import Inspector
from bridge.files.library import Library
from bridge.files.store import FileStore

CHECKED = 60_000
"""Lines of the files that arrive."""


async def blocks(data: bytes) -> AsyncIterator[bytes]:
    """Yield a file as an HTTP server receives it."""
    for at in range(0, len(data), 65_536):
        yield data[at : at + 65_536]


async def keep_arriving(folder: Path, arrived: list[str]) -> None:
    """Store one file after the other."""
    source = folder / "arriving.gcode"
    printing.write_file(source, CHECKED)
    data = source.read_bytes()
    inspector = Inspector()
    store = FileStore(folder / "files", max_upload=2**30, keep_free=0)
    library = Library(store, CheckRules.of(PrinterConfig(), "marlin"), inspector)
    await library.open()
    try:
        while True:
            file = await library.receive("again.gcode", blocks(data))
            arrived.append(file.sha256)
    finally:
        await library.close()
        await inspector.close()


async def print_one(lines: int, port: str, *, busy: bool) -> None:
    """Print a file, and report what it took."""
    arrived: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = printing.write_file(folder / "moves.gcode", lines)
        beside = asyncio.create_task(keep_arriving(folder, arrived)) if busy else None
        took = await printing.printed(port, file, folder, "printer")
        if beside is not None:
            beside.cancel()
            with suppress(asyncio.CancelledError):
                await beside
        printing.flush()
    print(json.dumps([took, len(arrived)]), flush=True)


def measure(lines: int, baud: int, *, busy: bool) -> tuple[float, float, int]:
    """Return lines a second, seconds of starvation, and how many files arrived."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = folder / "port"
        program = streaming.build(folder, "firmware")
        paced = ["--baud", str(baud)] if baud else []
        with streaming.firmware(program, port, paced) as end:
            command = [
                sys.executable,
                str(Path(__file__).resolve()),
                "print",
                str(lines),
                str(port),
            ]
            said = subprocess.check_output([*command, str(int(busy))], text=True)
        printing.check(json.loads(end[0]), lines)
    took, files = json.loads(said.splitlines()[-1])
    return lines / took["seconds"], took["starved"], files


def main() -> None:
    """Read the command line and measure."""
    if sys.argv[1:2] == ["print"]:
        lines, port, busy = sys.argv[2:]
        asyncio.run(print_one(int(lines), port, busy=busy == "1"))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--baud", type=int, default=250_000, help="0: unlimited")
    arguments = parser.parse_args()
    print(stand.noise())
    rates: dict[bool, list[float]] = {False: [], True: []}
    starved, files = 0.0, 0
    for _ in range(arguments.rounds):
        for busy in (False, True):
            rate, empty, more = measure(arguments.lines, arguments.baud, busy=busy)
            rates[busy].append(rate)
            starved, files = max(starved, empty), files + more
            print(f"{busy=} {rate:.0f} lines/s", file=sys.stderr)
    alone, beside = (statistics.median(rates[busy]) for busy in (False, True))
    print("| alone | beside checks | ratio | starved | files checked |")
    print("|---|---|---|---|---|")
    print(
        f"| {alone:.0f} lines/s | {beside:.0f} lines/s | {beside / alone:.3f} "
        f"| {starved:.1f} s | {files} |"
    )


if __name__ == "__main__":
    main()
