"""Several printers in one process: what one of them suffers, the others do not."""

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon, daemon, wait_for
from tests.support.mqtt_client import TestClient, connected
from tests.support.printers import (
    ScriptedPrinter,
    SimulatedPrinter,
    scripted,
    simulated,
)
from tests.support.waiting import until

PROMPTLY = 20.0
"""Seconds for an answer on a busy machine; homing may take some minutes."""

NUMBERS = itertools.count()


@dataclass
class House:
    """One bridge with three printers.

    Attributes:
        client: hears everything.
        daemon: the bridge.
        calm: a printer to whom nothing happens.
        other: another one.
        sick: the one that something happens to.

    """

    client: TestClient
    daemon: Daemon
    calm: SimulatedPrinter
    other: SimulatedPrinter
    sick: ScriptedPrinter

    async def call(self, name: str, rest: str, payload: dict[str, object]) -> object:
        """Send a command to a printer and return its answer's status."""
        number = f"call-{next(NUMBERS)}"
        raw = json.dumps({**payload, "id": number}).encode()
        await self.client.publish(f"many/{name}/{rest}", raw)

        def answers() -> list[object]:
            heard = self.client.payloads(f"many/{name}/response")
            documents = [json.loads(one) for one in heard]
            return [x["status"] for x in documents if x.get("id") == number]

        await until(lambda: bool(answers()), PROMPTLY)
        (status,) = answers()
        return status

    async def others_are_well(self) -> None:
        """Move, heat and ask the two that nothing happens to."""
        for name, printer in (("calm", self.calm), ("other", self.other)):
            jog = {"command": "jog", "x": 1}
            assert await self.call(name, "head", jog) == "finished"
            target = {"command": "target", "target": 50}
            assert await self.call(name, "bed", target) == "finished"
            assert await self.call(name, "request/ping", {}) == "finished"
            assert "M140 S50" in printer.wire.sent()

    def state(self, name: str) -> str:
        """Return the latest word for a printer's state."""
        document = json.loads(self.client.payloads(f"many/{name}/state")[-1])
        return str(document["state"])


@contextmanager
def house_of(broker: Mosquitto, folder: Path) -> Iterator[House]:
    with ExitStack() as stack:
        url = "simulator://marlin?speed=1000"
        calm = stack.enter_context(simulated(url, folder / "calm"))
        other = stack.enter_context(simulated(url, folder / "other"))
        sick = stack.enter_context(scripted(folder / "sick"))
        client = stack.enter_context(connected(broker.port, "many/#", host=broker.host))
        printers = [
            {
                "id": name,
                "topic": f"many/{name}",
                "serial": {"port": str(folder / name), "baudrate": 115_200},
            }
            for name in ("calm", "other", "sick")
        ]
        mqtt = {"host": broker.host, "port": broker.port}
        process = stack.enter_context(
            daemon(folder, {"mqtt": mqtt, "printers": printers})
        )
        for name in ("calm", "other", "sick"):
            topic = f"many/{name}/connection"
            wait_for(partial(_online, client, topic), topic)
        yield House(client, process, calm, other, sick)


def _online(client: TestClient, topic: str) -> bool:
    return client.payloads(topic)[-1:] == [b"online"]


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[House]:
    with house_of(broker, tmp_path) as running:
        yield running


async def test_one_that_hangs(house: House) -> None:
    house.sick.held.add("G28")
    home = json.dumps({"command": "home", "axes": []}).encode()
    await house.client.publish("many/sick/head", home)
    await until(lambda: any("G28" in line for line in house.sick.wire.sent()))
    await house.others_are_well()
    assert not house.client.payloads("many/sick/response")
    house.sick.release()
    await house.client.hears("many/sick/response")


async def test_one_that_floods(house: House) -> None:
    house.sick.flood(b"echo:" + b"x" * 200 + b"\n")
    await until(lambda: house.sick.flooded > 1_000_000)
    before = house.sick.flooded
    await house.others_are_well()
    await until(lambda: house.sick.flooded > before)
    house.sick.flood(b"")


async def test_one_that_is_unplugged(house: House) -> None:
    house.other.unplug()
    await until(lambda: house.state("other") == "offline")
    jog = {"command": "jog", "x": 1}
    assert await house.call("calm", "head", jog) == "finished"
    assert await house.call("sick", "command", {"command": "M117 hi"}) == "finished"
    assert await house.call("other", "head", jog) == "rejected"
    house.other.plug()
    await until(lambda: house.state("other") == "operational", 30)
    await house.others_are_well()


async def test_one_that_stopped_for_good(house: House) -> None:
    await house.client.publish("many/other/emergency")
    await until(lambda: "M112" in house.other.wire.sent())
    await until(lambda: house.state("other") == "error")
    assert await house.call("calm", "head", {"command": "jog", "x": 1}) == "finished"
    assert "M112" not in house.calm.wire.sent()
    assert "M112" not in house.sick.wire.sent()


async def test_a_flood_of_commands_for_one(house: House) -> None:
    house.sick.held.add("M400")
    line = json.dumps({"command": "M400"}).encode()
    for _ in range(2000):
        house.client.send("many/sick/command", line)
    await house.others_are_well()
    await house.client.publish("many/sick/emergency")
    await until(lambda: "M112" in house.sick.wire.sent(), 30)
    await until(lambda: len(house.client.payloads("many/sick/response")) == 2001, 30)
    heard = map(json.loads, house.client.payloads("many/sick/response"))
    outcomes = {answer.get("error", answer["status"]) for answer in heard}
    assert outcomes >= {"rate_limited", "emergency_stopped", "finished"}
    assert outcomes <= {"rate_limited", "queue_full", "emergency_stopped", "finished"}
    assert house.sick.wire.sent().count("M400") == 1
