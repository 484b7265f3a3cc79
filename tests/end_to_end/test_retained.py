"""What a subscriber finds that comes later: true and complete."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from bridge import __version__
from bridge.printer.published import about, documents
from bridge.topics import Topics
from tests.support.brokers import Mosquitto
from tests.support.mqtt_client import TestClient, connected
from tests.support.printers import SimulatedPrinter
from tests.support.stages import Json, Stage

PRINTER = "simulator://marlin?extruders=2&chamber=1&speed=1000"
SETTINGS = {
    "name": "The large one",
    "profile": {"extruders": 2, "heated_chamber": True, "volume": {"x": [0, 220]}},
}


@pytest_asyncio.fixture
async def later(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto
) -> AsyncIterator[TestClient]:
    await bridge.operational()
    await bridge.fence()
    with connected(broker.port, "retained/#", host=broker.host) as client:
        await client.hears("retained/availability")
        yield client


async def found(client: TestClient, rest: str) -> Any:  # noqa: ANN401 - any JSON
    topic = f"retained/{rest}"
    await client.hears(topic)
    # The first: a new value can have come right behind it.
    heard = next(one for one in client.heard if one.topic == topic)
    assert heard.retain
    return json.loads(heard.payload)


def complete(model: type[BaseModel], document: Json) -> bool:
    """Tell whether a document is one of the model's, without a field too many."""
    read = model.model_validate(_with_moments(document))
    return bool(read.model_dump(mode="json") == document)


def _with_moments(document: Json) -> Json:
    """Return a document with its times as Unix time, also those of `position`."""
    moments: Json = {
        key: datetime.fromisoformat(document[key]).timestamp()
        for key in ("time", "started_at", "measured_at")
        if isinstance(document.get(key), str) and document[key]
    }
    if isinstance(document.get("position"), dict):
        moments |= {"position": _with_moments(document["position"])}
    return {**document, **moments}


async def test_availability_and_connection(later: TestClient) -> None:
    for topic in ("availability", "connection"):
        heard = await later.hears(f"retained/{topic}")
        assert (heard.payload, heard.retain, heard.qos) == (b"online", True, 1)


async def test_the_state(bridge: Stage[SimulatedPrinter], later: TestClient) -> None:
    state = await found(later, "state")
    assert complete(documents.State, state)
    assert (state["state"], state["text"]) == ("operational", "Operational")
    assert state["flags"]["ready"]
    assert not state["flags"]["closedOrError"]
    assert state["sd"] == {"ready": True}
    assert state["position"].pop("time")
    assert state["position"] == bridge.printer.firmware.position
    assert (state["tool"], state["error"]) == (0, "")


async def test_the_temperatures(
    bridge: Stage[SimulatedPrinter], later: TestClient
) -> None:
    temperature = await found(later, "temperature")
    assert complete(documents.Temperatures, temperature)
    heaters = bridge.printer.firmware.machine.heaters
    assert set(temperature) == {*heaters, "time", "measured_at"}
    assert {"tool0", "tool1", "bed", "chamber"} == set(heaters)
    for name in heaters:
        entry = temperature[name]
        assert (entry["target"], entry["offset"]) == (0.0, 0.0)
        assert 15 <= entry["actual"] <= 30
        alone = await found(later, f"temperature/{name}")
        assert complete(documents.TimedHeater, alone)
        assert alone["target"] == 0.0
    heard = await later.hears("retained/temperature")
    assert heard.expiry is not None
    assert 0 < heard.expiry <= 180  # a dead bridge leaves no living temperatures


async def test_the_info(later: TestClient) -> None:
    info = await found(later, "info")
    assert complete(about.Info, info)
    assert info["version"] == __version__
    assert info["instance"]
    assert info["firmware"]["family"] == "marlin"
    assert info["machine"]["name"] == "The large one"
    assert info["machine"]["extruders"] == 2
    assert info["machine"]["port"].endswith("/printer")
    assert info["capabilities"]["AUTOREPORT_TEMP"] is True
    assert info["limits"]["max_temperature"] == {
        "tool": 275.0,
        "bed": 120.0,
        "chamber": 70.0,
    }
    assert info["limits"]["volume"]["x"] == [0.0, 220.0]
    assert set(info["heaters"]) == {"tool0", "tool1", "bed", "chamber"}
    assert info["topics"] == Topics("retained").table()


async def test_the_rest(later: TestClient) -> None:
    files = await found(later, "sd/files")
    assert [file["path"] for file in files][:1] == ["SMALL.GCO"]
    assert complete(documents.Job, await found(later, "job/state"))
    assert await found(later, "error") == documents.Error().model_dump(mode="json")
    assert complete(about.Health, await found(later, "health"))


async def test_events_and_responses_are_not_kept(
    bridge: Stage[SimulatedPrinter], later: TestClient
) -> None:
    assert bridge.event_names()  # there were some
    await later.hears("retained/info")
    await bridge.fence()
    topics = {heard.topic for heard in later.heard if heard.retain}
    assert topics.isdisjoint({"retained/event", "retained/response"})


async def test_a_target_shows_at_once(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto
) -> None:
    answer = await bridge.call("bed", {"command": "target", "target": 60})
    assert answer["status"] == "finished"
    await bridge.fence()
    with connected(broker.port, "retained/#", host=broker.host) as client:
        assert (await found(client, "temperature"))["bed"]["target"] == 60.0
        assert (await found(client, "temperature/bed"))["target"] == 60.0


@pytest.mark.parametrize("offset", [5, 0])
async def test_an_offset_shows_and_is_applied(
    bridge: Stage[SimulatedPrinter], offset: float
) -> None:
    await bridge.call("bed", {"command": "offset", "offset": offset})
    answer = await bridge.call("bed", {"command": "target", "target": 70})
    assert answer["gcode"] == [f"M140 S{70 + offset}"]
    await bridge.fence()
    bed = bridge.latest("temperature")["bed"]
    assert (bed["target"], bed["offset"]) == (70.0 + offset, offset)
