"""Every command in every state, for every kind of printer: the whole bridge answers."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest

from bridge.app.station import Station
from bridge.commands.documentation import examples
from bridge.commands.registry import COMMANDS
from bridge.config import Config
from bridge.gcode.reply_types import FileEntry
from bridge.printer.knowledge.model import Link, PrinterState
from bridge.printer.knowledge.print_table import Active, PrintJob, PrintResult
from tests.support.apps import running
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.matrix import KEYS, MATRIX, STATES, refusal
from tests.support.mqtt_client import TestClient, connected
from tests.support.waiting import until

FILE = "CUBE~1.GCO"
LINKS: Mapping[str, Link] = {word: word for word in get_args(Link)}
PHASES: Mapping[str, Active] = {word: word for word in get_args(Active)}
Answers = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    # Without it every answer takes 50 ms, as nobody waits for anything else.
    options = "allow_anonymous true\nset_tcp_nodelay true"
    with mosquitto(Spec(options=options)) as server:
        yield server


MISSING = {("queue", name) for name in ("add", "remove", "move")}
"""Commands whose examples name a file, or a print, that is not there."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A bridge with a simulated printer, and a client.

    Attributes:
        station: the printer's; its state can be set.
        client: hears the responses.

    """

    station: Station
    client: TestClient

    async def answers(
        self, state: PrinterState, payloads: Mapping[tuple[str, str], dict[str, Any]]
    ) -> Answers:
        """Ask all of these at once, while the printer is in a state."""
        answers: dict[tuple[str, str], Mapping[str, Any]] = {}
        for key, payload in payloads.items():
            self.station.printer.observer.set_state(state)
            heard = len(self.client.heard)
            self.client.send(f"printer/{key[0]}", json.dumps(payload).encode())
            await until(partial(self._more, heard))
            answers[key] = json.loads(self.client.heard[-1].payload)
        return answers

    def _more(self, heard: int) -> bool:
        return len(self.client.heard) > heard


@asynccontextmanager
async def bench(
    broker: Mosquitto, folder: Path, *, bed: bool, chamber: bool, rate: float = 10_000
) -> AsyncIterator[Bench]:
    """Run a bridge whose printer has these heaters and two tools."""
    config = Config.model_validate(
        {
            "mqtt": {
                "host": broker.host,
                "port": broker.port,
                "state_folder": str(folder),
            },
            "limits": {"rate": rate},
            "home_assistant": {"scripts": ["preheat"]},
            "printers": [
                {
                    "serial": {"port": "simulator://marlin?extruders=2"},
                    "profile": {
                        "extruders": 2,
                        "heated_bed": bed,
                        "heated_chamber": chamber,
                        "light": {"kind": "case"},
                    },
                    "presets": {"PLA": {"tool": 215}},
                    "scripts": {"preheat": "M117 {{ parameters.bed or 0 }}"},
                }
            ],
        }
    )
    with connected(broker.port, "printer/response", host=broker.host) as client:
        async with running(config) as app:
            await app.online()
            yield Bench(app.stations[0], client)


def in_state(known: PrinterState, word: str) -> PrinterState:
    """Return the state with another word for what the printer does."""
    last = PrintResult(outcome="done", file=FILE, elapsed=9, time=0)
    job = PrintJob(phase="idle", file="A.GCO", size=100, result=last)
    known = replace(known, files=(FileEntry(FILE),), listed=True)
    if word in LINKS:
        return replace(known, link=LINKS[word], job=job, card=True)
    return replace(known, job=replace(job, phase=PHASES[word]), card=True)


def payloads(**more: object) -> dict[tuple[str, str], dict[str, Any]]:
    """Return an example of every command."""
    return {(kind.topic, kind.name): {**examples(kind)[0], **more} for kind in COMMANDS}


def test_every_state_and_every_command_is_in_the_matrix() -> None:
    assert {*get_args(Link), *get_args(Active)} == set(STATES)
    assert set(KEYS) == set(MATRIX)


@pytest.mark.parametrize("bed", [True, False], ids=["bed", "no bed"])
@pytest.mark.parametrize("chamber", [True, False], ids=["chamber", "no chamber"])
async def test_every_command_in_every_state(
    broker: Mosquitto, tmp_path: Path, *, bed: bool, chamber: bool
) -> None:
    async with bench(broker, tmp_path, bed=bed, chamber=chamber) as at:
        known = at.station.printer.state
        for word, kind in STATES.items():
            answers = await at.answers(in_state(known, word), payloads(dry_run=True))
            assert set(answers) == set(KEYS)
            for key, answer in answers.items():
                error = refusal(key, kind, bed=bed, chamber=chamber)
                told = (answer["status"], answer["code"], answer.get("error", ""))
                expected = ("rejected", 409, error) if error else ("finished", 200, "")
                if key in MISSING:
                    expected = ("rejected", 404, "not_found")
                assert told == expected, (key, word, answer)
                assert answer.get("message") or not error
                assert not (error and answer["gcode"])


async def test_a_wrong_payload_matters_more_than_the_state(
    broker: Mosquitto, tmp_path: Path
) -> None:
    wrong = {
        key: payload
        for key, payload in payloads(nonsense=1).items()
        if key[0] != "emergency"  # there any payload will do
    }
    async with bench(broker, tmp_path, bed=False, chamber=False) as at:
        known = at.station.printer.state
        for word in ("offline", "printing", "operational"):
            for key, answer in (await at.answers(in_state(known, word), wrong)).items():
                told = (answer["status"], answer["code"], answer["error"])
                assert told == ("rejected", 400, "invalid_payload"), (key, answer)
                assert "nonsense" in answer["message"]


async def test_that_it_is_away_matters_more_than_what_it_has_not(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """The order is the reference's: 409 for its state, then 409 for its heaters."""
    hot: dict[tuple[str, str], dict[str, Any]] = {
        ("bed", "target"): {"command": "target", "target": 60},
        ("chamber", "target"): {"command": "target", "target": 60},
        ("command", "command"): {"command": "M140 S60"},
    }
    async with bench(broker, tmp_path, bed=False, chamber=False) as at:
        known = at.station.printer.state
        away = await at.answers(in_state(known, "offline"), hot)
        here = await at.answers(in_state(known, "operational"), hot)
    assert {answer["error"] for answer in away.values()} == {"not_operational"}
    assert [answer["error"] for answer in here.values()] == [
        "no_heated_bed",
        "no_heated_chamber",
        "no_heated_bed",
    ]


async def test_refusals_are_told_to_everybody_as_events(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with bench(broker, tmp_path, bed=True, chamber=False) as at:
        with connected(broker.port, "printer/event", host=broker.host) as client:
            await at.answers(
                at.station.printer.state,
                {
                    ("chamber", "offset"): {
                        "id": "c",
                        "command": "offset",
                        "offset": 1,
                    },
                    ("head", "jog"): {"command": "jog", "x": "far"},
                    ("request/ping", "ping"): {},
                },
            )
            await until(lambda: len(client.heard) == 2)
    first, second = (json.loads(heard.payload) for heard in client.heard)
    assert first["message"]
    assert {key: first[key] for key in first if key not in {"time", "message"}} == {
        "event": "command_rejected",
        "seq": first["seq"],
        "id": "c",
        "topic": "chamber",
        "command": "offset",
        "code": 409,
        "error": "no_heated_chamber",
    }
    assert (second["topic"], second["error"]) == ("head", "invalid_payload")
    assert second["seq"] == first["seq"] + 1
    assert "id" not in second
    assert not any(heard.retain for heard in client.heard)


async def test_a_flood_of_refusals_leaves_room_for_other_events(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with bench(broker, tmp_path, bed=True, chamber=False, rate=2.0) as at:
        with connected(
            broker.port, "printer/event", "printer/response", host=broker.host
        ) as client:
            for _ in range(30):
                client.send("printer/bed", b"no JSON")
            await until(lambda: len(client.payloads("printer/response")) == 30)
            at.station.publisher.event("last")
            await until(
                lambda: (
                    json.loads(client.payloads("printer/event")[-1])["event"] == "last"
                )
            )
    told = [json.loads(payload) for payload in client.payloads("printer/event")]
    assert (
        1
        <= len([event for event in told if event["event"] == "command_rejected"])
        <= 20
    )
    numbers = [event["seq"] for event in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
