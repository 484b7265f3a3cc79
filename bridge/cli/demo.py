"""``gcode2mqtt demo``."""

import argparse
import contextlib

from bridge import logs
from bridge.cli.signals import run_until_signal
from bridge.config import Log
from bridge.demo.output import LEFT_OUT, DemoOutput
from bridge.demo.scenario import run_interactively, run_scenario
from bridge.demo.setup import DemoSetup, run_demo
from bridge.timeout import timeout


def demo(chosen: argparse.Namespace) -> int:
    """Run the demo; return 0, or 1 if a step of the scenario failed.

    Raises:
        BridgeError: Something could not be started.

    """
    logs.configure(Log(level="error"))
    output = DemoOutput()
    results: list[bool] = []

    async def session(setup: DemoSetup) -> bool:
        run = run_scenario if chosen.script else run_interactively
        return await run(setup, output)

    output.title("Starting a broker, a simulated printer and the bridge")
    output.text(LEFT_OUT)

    async def show() -> None:
        with contextlib.suppress(TimeoutError):
            async with timeout(chosen.seconds):
                results.append(await run_demo(session, output.wire, chosen.broker))

    run_until_signal(show())
    return 0 if all(results) else 1
