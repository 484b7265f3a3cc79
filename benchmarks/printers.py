"""Simulated printers behind pseudo-terminals that heat up and cool down repeatedly."""

import argparse
import asyncio
import random
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from bridge.simulator.faults import FaultRates, Faults
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import PtyServer, pty_server

HOT, WARM = 210.0, 60.0
RATES = FaultRates(lose=0.002, corrupt=0.005, split=0.01, duplicate=0.002, delay=0.005)
TURN = 20.0
"""Seconds after which hot printers cool down and others heat up."""


async def serve(folder: Path, count: int, *, faulty: bool, seed: int) -> None:
    """Run printers until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    chance = random.Random(seed)  # noqa: S311 - a plan of faults, no secret
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        lives = []
        for number in range(count):
            faults = Faults.random(RATES, seed + number) if faulty else None
            server = await stack.enter_async_context(
                pty_server(
                    Firmware("marlin"), folder / f"printer{number}", faults=faults
                )
            )
            lives.append(tasks.create_task(live(server, number * TURN / count)))
            if faulty:
                lives.append(tasks.create_task(suffer(server, chance)))
        await over.wait()
        for life in lives:
            life.cancel()


async def live(server: PtyServer, shift: float) -> None:
    """Heat up and cool down alternately."""
    await asyncio.sleep(shift)
    while True:
        for target in (HOT, WARM):
            server.clock.press("target", "tool0", target)
            server.clock.press("target", "bed", target / 3)
            await asyncio.sleep(TURN)


async def suffer(server: PtyServer, chance: random.Random) -> None:
    """Reset and unplug now and then."""
    while True:
        await asyncio.sleep(chance.uniform(10, 30))
        if chance.choice([True, False]):
            server.clock.reset()
            continue
        server.unplug()
        await asyncio.sleep(chance.uniform(0.5, 5))
        server.plug()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    asyncio.run(
        serve(chosen.folder, chosen.count, faulty=chosen.faults, seed=chosen.seed)
    )


if __name__ == "__main__":
    main()
