"""What the demo does: a short scenario with checks, or an interactive session."""

import http
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.demo import slicer
from bridge.demo.broker import LOOPBACK
from bridge.demo.output import DemoOutput, document_of
from bridge.demo.setup import DemoSetup
from bridge.timeout import timeout

STEP_TIMEOUT = 20.0
"""Timeout of a step in seconds."""

# Lines that the bridge sends by itself to poll the printer.
_BACKGROUND = ("M105", "M114", "M27")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the scenario.

    Attributes:
        title: the heading that explains it.
        topic: the topic to publish on, below the printer's topic; ``upload``: a slicer
            uploads a file and has it printed.
        payload: the payload; a text is sent unchanged.
        status: the expected status of the response.
        error: the expected error code of the response.
        wire: the lines that must be sent to the printer, in this order; no others are
            allowed, except for the bridge's polling. ``None``: any may be.
        until: a condition on the latest documents by topic that must become true.

    """

    title: str
    topic: str
    payload: Mapping[str, object] | str = ""
    status: str = "finished"
    error: str | None = None
    wire: tuple[str, ...] | None = ()
    until: Callable[[Mapping[str, Mapping[str, object]]], bool] = lambda _latest: True


UPLOAD = "upload"
"""The topic of the step in which a slicer uploads a file."""


def _bed_above(celsius: float) -> Callable[[Mapping[str, Mapping[str, object]]], bool]:
    def reached(latest: Mapping[str, Mapping[str, object]]) -> bool:
        bed = latest.get("temperature", {}).get("bed")
        actual = bed.get("actual") if isinstance(bed, dict) else None
        return isinstance(actual, int | float) and actual > celsius

    return reached


def _in_error(latest: Mapping[str, Mapping[str, object]]) -> bool:
    return latest.get("state", {}).get("state") == "error"


def _job(
    state: str, layer: int = 0
) -> Callable[[Mapping[str, Mapping[str, object]]], bool]:
    def reached(latest: Mapping[str, Mapping[str, object]]) -> bool:
        job = latest.get("job/state", {})
        at = job.get("layer")
        return job.get("state") == state and (at if isinstance(at, int) else 0) >= layer

    return reached


def _printed(latest: Mapping[str, Mapping[str, object]]) -> bool:
    result = latest.get("job/result", {})
    return (result.get("outcome"), result.get("file")) == ("done", slicer.NAME)


STEPS = (
    Step(
        title="Move the head: relative, and back to absolute afterwards",
        topic="head",
        payload={"command": "jog", "x": 10, "y": 5, "z": 0.02},
        wire=("G91", "G0 X10 Y5 Z0.02 F200", "G90"),
    ),
    Step(
        title="Heat the bed and watch the temperature rise",
        topic="bed",
        payload={"command": "target", "target": 40},
        wire=("M140 S40",),
        until=_bed_above(30),
    ),
    Step(
        title="Send a G-code and get the printer's reply",
        topic="command",
        payload={"command": "M503"},
        wire=("M503",),
    ),
    Step(
        title='A slicer uploads a file and has it printed ("Upload and Print")',
        topic=UPLOAD,
        wire=None,
        until=_job("printing", layer=1),
    ),
    Step(
        title="Pause the print: the moves are finished first",
        topic="job",
        payload={"command": "pause"},
        wire=None,
        until=_job("paused"),
    ),
    Step(
        title="Resume it, and watch its layers until it is done",
        topic="job",
        payload={"command": "resume"},
        wire=None,
        until=_printed,
    ),
    Step(
        title="An invalid command is rejected with an explanation",
        topic="head",
        payload={"command": "jog", "x": "far"},
        status="rejected",
        error="invalid_payload",
    ),
    Step(
        title="A command beyond the printer's limits is rejected",
        topic="tool",
        payload={"command": "target", "targets": {"tool0": 900}},
        status="rejected",
        error="out_of_limits",
    ),
    Step(
        title="Even a payload that is not JSON gets a response",
        topic="head",
        payload="up, please",
        status="rejected",
        error="invalid_json",
    ),
    Step(
        title="Emergency stop: before everything that is queued",
        topic="emergency",
        payload="",
        wire=("M112",),
        until=_in_error,
    ),
)


class ScenarioRunner:
    """Runs the steps of a scenario and shows the messages."""

    def __init__(
        self,
        setup: DemoSetup,
        output: DemoOutput,
        *,
        step_timeout: float = STEP_TIMEOUT,
    ) -> None:
        self._setup = setup
        self._output = output
        self._step_timeout = step_timeout
        self._latest: dict[str, Mapping[str, object]] = {}
        self._texts: dict[str, str] = {}
        self._responses: list[Mapping[str, object]] = []

    async def wait_until_online(self) -> bool:
        """Wait until the printer is operational; return whether it was in time."""
        return await self.wait_for(
            lambda: (
                self._texts.get("connection") == "online"
                and self._latest.get("state", {}).get("state") == "operational"
            )
        )

    async def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Show messages until a condition holds; return whether it did in time."""
        try:
            async with timeout(self._step_timeout):
                while not condition():
                    await self._show_next()
        except TimeoutError:
            return False
        return True

    async def show_messages(self) -> None:
        """Show messages until cancelled."""
        while True:
            await self._show_next()

    async def run_step(self, step: Step) -> bool:
        """Run a step; return whether everything was as expected."""
        self._output.title(step.title)
        self._output.sent.clear()
        self._responses.clear()
        if step.topic == UPLOAD:
            answered = await self._upload()
        else:
            payload = _bytes(step.payload)
            topic = f"{self._setup.base}/{step.topic}"
            self._output.published(topic, payload)
            await self._setup.client.publish(topic, payload)
            answered = await self.wait_for(lambda: bool(self._responses))
        reached = answered and await self.wait_for(lambda: step.until(self._latest))
        problems = [
            "" if answered else "there was no response",
            "" if reached or not answered else "the expected state was not reached",
            *(self._wrong(step) if self._responses else ()),
        ]
        for problem in filter(None, problems):
            self._output.result(problem, good=False)
        return not any(problems)

    async def _upload(self) -> bool:
        """Do what a slicer does; return whether the bridge has accepted the file."""
        client = slicer.Slicer(self._setup.upload, "/demo", self._setup.key)
        url = f"http://{LOOPBACK}:{self._setup.upload}/demo"
        try:
            tested = await client.test()
            self._output.text(f"  HTTP → GET {url}/api/version: {tested}")
            reply = await client.upload_and_print(slicer.NAME, slicer.sliced())
        except (OSError, ValueError, IndexError) as error:
            self._output.text(f"  HTTP ← {error}")
            return False
        self._output.text(f"  HTTP → POST {url}/api/files/local: {reply}")
        return reply.status == http.HTTPStatus.CREATED

    def _wrong(self, step: Step) -> list[str]:
        response = self._responses[0]
        said = (response.get("status"), response.get("error"))
        sent = [line for line in self._output.sent if line not in _BACKGROUND]
        # The stop arrives on two connections, and is then sent twice.
        if step.wire and sent == [*step.wire] * 2 and step.topic == "emergency":
            sent = [*step.wire]
        wanted = [line for line in step.wire or () if line not in _BACKGROUND]
        as_wanted = step.wire is None or sent == wanted
        return [
            "" if said == (step.status, step.error) else f"the response says {said}",
            "" if as_wanted else f"sent {sent} to the printer, not {wanted}",
        ]

    async def _show_next(self) -> None:
        message = await anext(self._setup.client.messages)
        topic = message.topic.removeprefix(f"{self._setup.base}/")
        if document := document_of(message.payload):
            self._latest[topic] = document
        text = message.payload.decode("utf-8", "replace")
        if topic == "response":
            self._responses.append(document)
            self._output.received(message)
        elif topic == "state":
            if (said := str(document.get("text"))) != self._texts.get(topic):
                self._output.text(f'  MQTT ← {message.topic} {{… "text": "{said}"}}')
            self._texts[topic] = said
        elif topic == "job/state" and (shown := _progress(document)):
            if shown != self._texts.get(topic):
                self._output.text(f"  MQTT ← {message.topic} {shown}")
            self._texts[topic] = shown
        elif topic in {"availability", "connection", "temperature"}:
            if text != self._texts.get(topic):
                self._output.received(message)
            self._texts[topic] = text


def _progress(document: Mapping[str, object]) -> str:
    """Return what is shown of a print; "" without one."""
    if document.get("state") in {None, "idle"}:
        return ""
    names = ("state", "file", "layer", "layers", "reason")
    shown = {name: document[name] for name in names if document.get(name)}
    return "{… " + json.dumps(shown)[1:]


def _bytes(payload: Mapping[str, object] | str) -> bytes:
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


async def run_scenario(setup: DemoSetup, output: DemoOutput) -> bool:
    """Play the whole scenario; return whether every step succeeded."""
    runner = ScenarioRunner(setup, output)
    if not await runner.wait_until_online():
        output.result("the printer did not come online", good=False)
        return False
    good = [await runner.run_step(step) for step in STEPS]
    output.text()
    output.result(f"{sum(good)} of {len(good)} steps succeeded", good=all(good))
    return all(good)


_TOPICS = (
    ("availability, connection", "whether the bridge and the printer are online"),
    ("state, temperature", "the printer's state and temperatures"),
    ("head, tool, bed, command", "commands"),
    ("response", "one response for every command"),
    ("emergency", "emergency stop"),
)

_JOG = '{"command": "jog", "x": 10, "y": 5}'
_BED = '{"command": "target", "target": 60}'
_WHERE = '{"command": "M114"}'


async def run_interactively(setup: DemoSetup, output: DemoOutput) -> bool:
    """Show commands to try, then messages and serial lines until cancelled."""
    runner = ScenarioRunner(setup, output)
    if not await runner.wait_until_online():
        output.result("the printer did not come online", good=False)
        return False
    place = f"{setup.mqtt.host}:{setup.mqtt.port}"
    output.title(f"Running on {setup.broker} at {place}. Topics below {setup.base}/:")
    for topics, meaning in _TOPICS:
        output.text(f"  {topics:<26} {meaning}")
    output.title("Try this in another terminal:")
    for line in lines_to_try(setup):
        output.text(f"  {line}")
    output.title("Upload from a slicer (printer host or physical printer):")
    output.text("  type     OctoPrint")
    output.text(f"  URL      http://{LOOPBACK}:{setup.upload}/demo")
    output.text(f"  API key  {setup.key}")
    output.title("MQTT messages and serial lines, until Ctrl-C:")
    await runner.show_messages()
    return True


def lines_to_try(
    setup: DemoSetup, which: Callable[[str], str | None] = shutil.which
) -> list[str]:
    """Return commands for the client that is installed: mosquitto's, or our own."""
    host, port, base = setup.mqtt.host, setup.mqtt.port, setup.base
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
    """Return the command that starts this program from here."""
    if shutil.which("gcode2mqtt"):
        return "gcode2mqtt"
    program = Path(sys.argv[0])
    if os.access(program, os.X_OK):
        return str(program)
    return f"{sys.executable} -m bridge"
