"""``gcode2mqtt demo``."""

import argparse
import contextlib

from bridge import logs
from bridge.cli.signals import run_until_signal
from bridge.config import Log
from bridge.demo.output import LEFT_OUT, Screen
from bridge.demo.scenario import invite, play_all
from bridge.demo.setup import Stage, present
from bridge.timeout import timeout


def demo(chosen: argparse.Namespace) -> int:
    """Run the demo; return 0, or 1 where the scenario did not go as it must.

    Raises:
        BridgeError: Something could not be started.

    """
    logs.configure(Log(level="error"))
    screen = Screen()
    verdicts: list[bool] = []

    async def play(stage: Stage) -> bool:
        return await (play_all if chosen.script else invite)(stage, screen)

    screen.title("A broker, a simulated printer and the bridge start")
    screen.text(LEFT_OUT)

    async def show() -> None:
        with contextlib.suppress(TimeoutError):
            async with timeout(chosen.seconds):
                verdicts.append(await present(play, screen.wire, chosen.broker))

    run_until_signal(show())
    return 0 if all(verdicts) else 1
