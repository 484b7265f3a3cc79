"""Printing a file: the bridge against a host in C, four printers at once, and memory.

    printing.py [--lines N] [--baud B] [--rounds N]
    printing.py print LINES PORT...        (in a process of its own)

The host in C sends the same lines and does nothing else. The bridge reads them from a
file, parses each, follows the modes and the layers, and keeps a checkpoint. The
firmware in C checks that each move arrives once and in order. Four printers at once run
in one process of the bridge, against four hosts in C.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import stand
import streaming

from bridge.cli.run import event_loop
from bridge.config import Limits, PrinterConfig, Serial, Telemetry
from bridge.printer.printer import Listeners, Printer
from bridge.printer.printing.print_file import PrintFile
from bridge.state_files import flush

LAYER = 300
"""Moves between two comments that mark a layer."""


def write_file(path: Path, lines: int) -> PrintFile:
    """Write a file of this many moves, with comments as slicers write them."""
    with path.open("w") as file:
        for i in range(lines):
            if not i % LAYER:
                file.write(f";LAYER_CHANGE\n;Z:{i // LAYER * 0.2:.3f}\n")
            x, y = f"{i % 200}.{i % 997:03}", f"{i % 180}.{i % 10}"
            file.write(f"G1 X{x} Y{y} E{i // 1000}.{i % 1000:03}\n")
    size = path.stat().st_size
    return PrintFile(job="bench", path=path, name=path.name, size=size)


async def printed(port: str, file: PrintFile, folder: Path, name: str) -> object:
    """Print a file on one printer; return what it took."""
    here, sent, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def on_change() -> None:
        if printer.state.link == "operational":
            here.set()
        if printer.state.job.phase == "finishing":
            sent.set()

    printer = Printer(
        PrinterConfig(id=name, serial=Serial(port=port, baudrate=115_200)),
        Listeners(on_change, lambda _event: None, lambda _entry: None),
        telemetry=Telemetry(),
        limits=Limits(),
        print_file=folder / f"{name}.print.json",
    )
    running = asyncio.create_task(printer.run())
    await here.wait()
    await asyncio.sleep(1.5)
    printer.printing.on_ended = lambda _: over.set()
    begun, used = time.perf_counter(), time.process_time()
    printer.printing.start(file)
    await sent.wait()
    seconds, processor = time.perf_counter() - begun, time.process_time() - used
    starved = printer.state.job.starved
    await over.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return {
        "seconds": seconds,
        "processor": processor,
        "starved": starved,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def print_all(lines: int, ports: list[str]) -> None:
    """Print one file on several printers at once, and report what it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write_file(folder / "moves.gcode", lines)
        took = await asyncio.gather(
            *(printed(port, file, folder, f"p{i}") for i, port in enumerate(ports))
        )
        flush()
    print(json.dumps(took), flush=True)


def run(command: list[str]) -> subprocess.Popen[str]:
    """Start a host."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> object:
    """Return what a host says at the end."""
    out, _ = process.communicate(timeout=1200)
    if process.returncode:
        sys.exit(f"a host failed: {process.returncode}")
    return json.loads(out.splitlines()[-1])


def measure(arguments: argparse.Namespace, printers: int) -> None:
    """Measure this many printers at once, and print a row."""
    lines = arguments.lines
    baud = ["--baud", str(arguments.baud)] if arguments.baud else []
    ratios, spent, starved, memory = [], [], 0.0, 0.0
    ours = [sys.executable, __file__, "print", str(lines)]
    for _ in range(arguments.rounds):
        speeds: dict[str, list[float]] = {}
        for who in ("C", "bridge"):
            with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
                folder = Path(name)
                firmware = streaming.build(folder, "firmware")
                host = streaming.build(folder, "host")
                ports = [folder / f"port{i}" for i in range(printers)]
                ends = [
                    stack.enter_context(streaming.firmware(firmware, port, baud))
                    for port in ports
                ]
                if who == "C":
                    hosts = [run([str(host), str(p), str(lines), "1"]) for p in ports]
                    took = [said(process) for process in hosts]
                else:
                    took = said(run([*ours, *map(str, ports)]))
            for end in ends:
                check(json.loads(end[0]), lines)
            speeds[who] = [lines / one["seconds"] for one in took]
        ratios += [
            ours / theirs
            for ours, theirs in zip(speeds["bridge"], speeds["C"], strict=True)
        ]
        spent.append(1e6 * took[0]["processor"] / lines / printers)
        starved = max(starved, *(one["starved"] for one in took), 0.0)
        memory = max(memory, took[0]["memory"])
        print(f"{speeds}", file=sys.stderr)
    print(
        f"| {printers} | {arguments.baud or 'unlimited'} | {lines} "
        f"| {statistics.median(ratios):.3f} | {statistics.median(spent):.1f} ms "
        f"| {starved:.1f} s | {memory:.0f} MB |",
        flush=True,
    )


def check(counted: dict[str, int], lines: int) -> None:
    """End the program if the moves did not arrive once and in order."""
    if counted["moves"] != lines or counted["disordered"]:
        sys.exit(f"of {lines} lines arrived {counted}")


def main() -> None:
    """Read the command line and measure."""
    if sys.argv[1:2] == ["print"]:
        with asyncio.Runner(loop_factory=event_loop(stand.EVENT_LOOP)) as runner:
            runner.run(print_all(int(sys.argv[2]), sys.argv[3:]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--baud", type=int, default=250_000, help="0: unlimited")
    parser.add_argument("--printers", type=int, nargs="*", default=[1, 4])
    arguments = parser.parse_args()
    print(stand.noise())
    print(
        "| printers | baud | lines | ratio to C | for 1000 lines | starved | memory |"
    )
    print("|---|---|---|---|---|---|---|")
    for printers in arguments.printers:
        measure(arguments, printers)


if __name__ == "__main__":
    main()
