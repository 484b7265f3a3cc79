"""A short scenario that shows what the bridge does, and finds out whether it does."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.demo.output import Screen, document_of
from bridge.demo.setup import Stage
from bridge.timeout import timeout

PATIENCE = 20.0
"""Seconds that a step may take."""

# What the bridge asks by itself, now and then.
_BACKGROUND = ("M105", "M114", "M27")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to show.

    Attributes:
        title: what a newcomer should see.
        topic: where the client publishes, below the printer's topic.
        payload: what it publishes; a text is sent as it is.
        status: what the response must say.
        error: the error word that it must have.
        wire: the lines that must go to the printer, in this order, and no others but
            the bridge's own questions.
        until: what must become true of the latest documents by topic.

    """

    title: str
    topic: str
    payload: Mapping[str, object] | str
    status: str = "finished"
    error: str | None = None
    wire: tuple[str, ...] = ()
    until: Callable[[Mapping[str, Mapping[str, object]]], bool] = lambda _latest: True


def _bed_above(celsius: float) -> Callable[[Mapping[str, Mapping[str, object]]], bool]:
    def reached(latest: Mapping[str, Mapping[str, object]]) -> bool:
        bed = latest.get("temperature", {}).get("bed")
        actual = bed.get("actual") if isinstance(bed, dict) else None
        return isinstance(actual, int | float) and actual > celsius

    return reached


def _in_error(latest: Mapping[str, Mapping[str, object]]) -> bool:
    return latest.get("state", {}).get("state") == "error"


STEPS = (
    Step(
        title="Move the head: relative, and back to absolute afterwards",
        topic="head",
        payload={"command": "jog", "x": 10, "y": 5, "z": 0.02},
        wire=("G91", "G0 X10 Y5 Z0.02 F200", "G90"),
    ),
    Step(
        title="Heat the bed, and see the temperature rise",
        topic="bed",
        payload={"command": "target", "target": 40},
        wire=("M140 S40",),
        until=_bed_above(30),
    ),
    Step(
        title="Ask the printer something, and get its own words",
        topic="command",
        payload={"command": "M503"},
        wire=("M503",),
    ),
    Step(
        title="A mistake is explained, and nothing is sent",
        topic="head",
        payload={"command": "jog", "x": "far"},
        status="rejected",
        error="invalid_payload",
    ),
    Step(
        title="Beyond a limit nothing is sent either",
        topic="tool",
        payload={"command": "target", "targets": {"tool0": 900}},
        status="rejected",
        error="out_of_limits",
    ),
    Step(
        title="Even what is no JSON gets its answer",
        topic="head",
        payload="up, please",
        status="rejected",
        error="invalid_json",
    ),
    Step(
        title="Emergency stop: past every queue, without a line number",
        topic="emergency",
        payload="",
        wire=("M112",),
        until=_in_error,
    ),
)


class Performance:
    """Plays steps on a stage."""

    def __init__(
        self, stage: Stage, screen: Screen, *, patience: float = PATIENCE
    ) -> None:
        self._stage = stage
        self._screen = screen
        self._patience = patience
        self._latest: dict[str, Mapping[str, object]] = {}
        self._texts: dict[str, str] = {}
        self._responses: list[Mapping[str, object]] = []

    async def begin(self) -> bool:
        """Wait until the printer is there; tell whether it came."""
        return await self.until(
            lambda: (
                self._texts.get("connection") == "online"
                and self._latest.get("state", {}).get("state") == "operational"
            )
        )

    async def until(self, condition: Callable[[], bool]) -> bool:
        """Show what is published until a condition holds; tell whether it came to."""
        try:
            async with timeout(self._patience):
                while not condition():
                    await self._hear()
        except TimeoutError:
            return False
        return True

    async def go_on(self) -> None:
        """Show what is published until cancelled."""
        while True:
            await self._hear()

    async def play(self, step: Step) -> bool:
        """Do a step; tell whether everything was as it must be."""
        self._screen.title(step.title)
        self._screen.sent.clear()
        self._responses.clear()
        payload = _bytes(step.payload)
        topic = f"{self._stage.base}/{step.topic}"
        self._screen.sent_to_broker(topic, payload)
        await self._stage.client.publish(topic, payload)
        answered = await self.until(lambda: bool(self._responses))
        reached = answered and await self.until(lambda: step.until(self._latest))
        problems = [
            "" if answered else "there was no response",
            "" if reached or not answered else "what should come of it did not come",
            *(self._wrong(step) if answered else ()),
        ]
        for problem in filter(None, problems):
            self._screen.verdict(problem, good=False)
        return not any(problems)

    def _wrong(self, step: Step) -> list[str]:
        response = self._responses[0]
        said = (response.get("status"), response.get("error"))
        sent = [line for line in self._screen.sent if line not in _BACKGROUND]
        wanted = [line for line in step.wire if line not in _BACKGROUND]
        return [
            "" if said == (step.status, step.error) else f"the response says {said}",
            "" if sent == wanted else f"the wire has {sent}, not {wanted}",
        ]

    async def _hear(self) -> None:
        message = await anext(self._stage.client.messages)
        topic = message.topic.removeprefix(f"{self._stage.base}/")
        if document := document_of(message.payload):
            self._latest[topic] = document
        text = message.payload.decode("utf-8", "replace")
        if topic == "response":
            self._responses.append(document)
            self._screen.came_from_broker(message)
        elif topic == "state":
            if (said := str(document.get("text"))) != self._texts.get(topic):
                self._screen.text(f'  MQTT ← {message.topic} {{… "text": "{said}"}}')
            self._texts[topic] = said
        elif topic in {"availability", "connection", "temperature"}:
            if text != self._texts.get(topic):
                self._screen.came_from_broker(message)
            self._texts[topic] = text


def _bytes(payload: Mapping[str, object] | str) -> bytes:
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


async def play_all(stage: Stage, screen: Screen) -> bool:
    """Play the whole scenario; tell whether all of it went as it must."""
    performance = Performance(stage, screen)
    if not await performance.begin():
        screen.verdict("the printer did not come online", good=False)
        return False
    good = [await performance.play(step) for step in STEPS]
    screen.text()
    screen.verdict(
        f"{sum(good)} of {len(good)} steps went as they must", good=all(good)
    )
    return all(good)


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
