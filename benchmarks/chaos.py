"""Half an hour of random faults, with an emergency stop every few seconds."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import stand

from tests.support.chaos import BOUND, Report, chaos


async def measure(seconds: float, seed: int) -> Report:
    """Run, print memory and descriptors, and return what became of the stops."""
    with tempfile.TemporaryDirectory() as folder:
        async with chaos(Path(folder), seed) as around:
            first = await around.run(min(60.0, seconds / 10))
            before = stand.look(around.process.pid)
            print(f"after the first faults:\n{first}", flush=True)
            report = await around.run(seconds)
            after = stand.look(around.process.pid)
    print(report)
    print(f"memory: {before.memory:.1f} MB, then {after.memory:.1f} MB")
    print(f"descriptors: {before.descriptors}, then {after.descriptors}")
    return report


def main() -> int:
    """Return 0 if no stop was lost and everything recovered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311 - a plan of faults, no secret
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    report = asyncio.run(measure(chosen.minutes * 60, chosen.seed))
    good = report.recovered and not report.lost
    return 0 if good and max(report.calm, default=0.0) < BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
