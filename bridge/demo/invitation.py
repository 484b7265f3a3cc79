"""What to try, for somebody who has never seen it."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bridge.demo.scenario import Performance
from bridge.demo.screen import Screen
from bridge.demo.stage import Stage

_TOPICS = (
    ("availability, connection", "is the bridge there, is the printer there"),
    ("state, temperature", "what it does, and how hot it is"),
    ("head, tool, bed, command", "tell it something"),
    ("response", "what came of it: one for every message"),
    ("emergency", "stop now"),
)

_JOG = '{"command": "jog", "x": 10, "y": 5}'
_BED = '{"command": "target", "target": 60}'
_WHERE = '{"command": "M114"}'


async def invite(stage: Stage, screen: Screen) -> bool:
    """Tell what to try, then show both sides until cancelled."""
    performance = Performance(stage, screen)
    if not await performance.begin():
        screen.verdict("the printer did not come online", good=False)
        return False
    place = f"{stage.mqtt.host}:{stage.mqtt.port}"
    screen.title(f"It runs, on {stage.broker} at {place}. Topics below {stage.base}/:")
    for topics, meaning in _TOPICS:
        screen.text(f"  {topics:<26} {meaning}")
    screen.title("Try this in another terminal:")
    for line in lines_to_try(stage):
        screen.text(f"  {line}")
    screen.title("Both sides, until Ctrl-C:")
    await performance.go_on()
    return True


def lines_to_try(
    stage: Stage, which: Callable[[str], str | None] = shutil.which
) -> list[str]:
    """Return commands for the client that is there: mosquitto's, or our own."""
    host, port, base = stage.mqtt.host, stage.mqtt.port, stage.base
    if which("mosquitto_pub") and which("mosquitto_sub"):
        publish = f"mosquitto_pub -h {host} -p {port} -t {base}"
        return [
            f"mosquitto_sub -h {host} -p {port} -v -t '{base}/#'",
            f"{publish}/head -m '{_JOG}'",
            f"{publish}/bed -m '{_BED}'",
        ]
    us, where = _ourselves(), f"--broker {host}:{port} --topic {base}"
    return [
        f"{us} watch {where}",
        f"{us} send {where} head '{_JOG}'",
        f"{us} send {where} command '{_WHERE}'",
    ]


def _ourselves() -> str:
    """Return how to call this program from here."""
    if shutil.which("gcode2mqtt"):
        return "gcode2mqtt"
    program = Path(sys.argv[0])
    if os.access(program, os.X_OK):
        return str(program)
    return f"{sys.executable} -m bridge"
