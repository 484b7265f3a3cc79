"""Kills the bridge at random moments of a print, and looks at what is left.

    kills.py [--times N] [--seed N]

Each time: the firmware in C has got every line once and in order, the checkpoint can be
read, and it claims no line that was not sent. Run it in the root of the repository.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import printing
import stand
import streaming

from bridge.printer.printing.checkpoint import Kept
from bridge.state_files import load

LINES = 60_000
PROGRAM = [sys.executable, "-m", "tests.support.print_process"]


def kill_once(firmware: Path, folder: Path, after: float) -> int:
    """Kill a bridge this many seconds after its print began; return the moves."""
    port, state = folder / "port", folder / "state"
    printing.write_file(folder / "moves.gcode", LINES)
    with streaming.firmware(firmware, port, ["--quiet"]) as said:
        command = [*PROGRAM, str(port), str(folder / "moves.gcode"), str(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as bridge:
            assert bridge.stdout is not None  # noqa: S101 - it is piped
            if bridge.stdout.readline() != b"printing\n":
                sys.exit("the bridge ended before it was killed")
            time.sleep(after)
            bridge.kill()
        time.sleep(0.05)  # until what is in the terminal has arrived
    counted = json.loads(said[0])
    if counted["disordered"]:
        sys.exit(f"after {after:.3f} s: {counted}")
    kept = state / "one.print.json"
    if kept.exists():
        point = load(kept, Kept).checkpoint
        marks = 2 * (counted["moves"] // printing.LAYER + 1)
        if point is not None and point.line > counted["moves"] + marks:
            sys.exit(f"after {after:.3f} s: {counted}, and the checkpoint {point}")
    if [file for file in state.glob("*") if "damaged" in file.name]:
        sys.exit(f"after {after:.3f} s: a damaged file")
    return int(counted["moves"])


def main() -> None:
    """Read the command line and kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311 - no secret
    moves = []
    with tempfile.TemporaryDirectory() as name:
        firmware = streaming.build(Path(name), "firmware")
        for _ in range(arguments.times):
            with tempfile.TemporaryDirectory() as folder:
                after = chance.uniform(0, 2)
                moves.append(kill_once(firmware, Path(folder), after))
    print(stand.noise())
    print(
        f"killed {len(moves)} times, after {min(moves)} to {max(moves)} moves: each "
        "line once and in order, no half file, no line claimed that was not sent"
    )


if __name__ == "__main__":
    main()
