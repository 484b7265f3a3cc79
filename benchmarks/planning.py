"""Processor time for planning a command, compared with another version.

``--against`` names a checked-out tree, such as one made with ``git worktree add``. Both
are measured alternately, each time in a process of its own.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent

LINES = 1000
SCRIPT = (
    "M104 S{n}",
    "M140 S{n}",
    "G90",
    "M82",
    "G92 E0",
    "G1 X{n} Y10.{round} F5000",
    "G1 E0.{n} F200",
    "M117 Layer {n} of {round}",
    "M106 S{n}",
    "M900 K0.0{n}",
)


def moves(number: int) -> list[str]:
    """Return a command's lines as a slicer writes them."""
    lines = [
        f"G1 X{n % 200}.{number} Y{n % 190} E{n % 50} F{1000 + n}" for n in range(LINES)
    ]
    return ["G92 E0", *lines[1:]]


def script(number: int) -> list[str]:
    """Return a command's lines as people write them."""
    return [
        line.format(n=n, round=number)
        for n in range(LINES // len(SCRIPT))
        for line in SCRIPT
    ]


COMMANDS: Mapping[str, tuple[str, Callable[[int], object]]] = {
    "jog": ("head", lambda number: {"command": "jog", "x": number / 8, "y": -1}),
    "target": ("bed", lambda number: {"command": "target", "target": 20 + number % 90}),
    "one line": ("command", lambda number: {"command": f"G1 X{number} Y20 F3000"}),
    "1,000 moves": ("command", lambda number: {"commands": moves(number)}),
    "1,000 lines of a script": ("command", lambda number: {"commands": script(number)}),
}
"""By name: a topic, and the payload of the n-th command; each has other numbers."""


def measure(rounds: int) -> dict[str, float]:
    """Return the median processor time of planning each command, in µs."""
    # Only now is it known whose modules they are.
    from bridge.commands import parse  # noqa: PLC0415
    from bridge.config import (  # noqa: PLC0415
        Limits,
        PrinterConfig,
        Telemetry,
    )
    from bridge.gcode.dialects import MARLIN  # noqa: PLC0415
    from bridge.printer.knowledge import state as knowledge  # noqa: PLC0415
    from bridge.printer.printer import Listeners, Printer  # noqa: PLC0415

    async def planned() -> dict[str, float]:
        printer = Printer(
            PrinterConfig(),
            Listeners(lambda: None, lambda _: None, lambda _: None),
            telemetry=Telemetry(),
            limits=Limits(),
        )
        observer = printer.observer
        observer.dialect = MARLIN
        known = knowledge.connecting(observer.state)
        observer.state = knowledge.connected(known, dialect=MARLIN)
        medians = {}
        for name, (topic, payload) in COMMANDS.items():
            times = []
            for number in range(rounds):
                text = json.dumps(payload(number)).encode()
                command = parse(topic, text).command
                begun = time.process_time()
                printer.plan(command)
                times.append(time.process_time() - begun)
            medians[name] = 1e6 * statistics.median(times)
        return medians

    return asyncio.run(planned())


def measured(tree: Path, rounds: int) -> dict[str, float]:
    """Return the same of another tree."""
    command = (sys.executable, __file__, "--tree", str(tree), "--rounds", str(rounds))
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(said.stdout)
    return result


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="a tree to compare with")
    parser.add_argument("--rounds", type=int, default=20, help="plans of each command")
    parser.add_argument("--turns", type=int, default=5, help="processes of each tree")
    parser.add_argument("--tree", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.tree:
        sys.path.insert(0, str(chosen.tree))
        print(json.dumps(measure(chosen.rounds)))
        return
    trees = [ROOT, *([chosen.against.absolute()] if chosen.against else [])]
    results: dict[Path, list[dict[str, float]]] = {tree: [] for tree in trees}
    for _ in range(chosen.turns):
        for tree in trees:
            results[tree].append(measured(tree, chosen.rounds))
    for name in COMMANDS:
        times = [
            statistics.median(one[name] for one in results[tree]) for tree in trees
        ]
        text = " compared with ".join(f"{value:.0f} µs" for value in times)
        share = f": {times[0] / times[1]:.2f} of it" if chosen.against else ""
        print(f"{name}: {text}{share}")


if __name__ == "__main__":
    main()
