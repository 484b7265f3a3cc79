"""What a running bridge publishes is what the table of topics says, and all of it."""

import json
from collections.abc import Mapping
from typing import Any

from bridge.app.documentation import MODELS, schema_of
from bridge.topics import HEATER, PUBLISHED, RECEIVED, RESPONSE, Topic, Topics
from tests.support.brokers import Mosquitto
from tests.support.json_schema import fits
from tests.support.mqtt_client import Heard, connected
from tests.support.printers import SimulatedPrinter
from tests.support.stages import Stage
from tests.support.waiting import until

PRINTER = "simulator://marlin?extruders=2&chamber=1&speed=1000"
SETTINGS = {"profile": {"extruders": 2, "heated_chamber": True}}
SECTIONS = {"mqtt": {"console": True}, "telemetry": {"interval": 1}}


def row_of(topics: Topics, topic: str) -> Topic:
    """Return the row of the table that a topic belongs to."""
    rest = topics.split(topic)
    assert rest is not None, topic
    if rest.startswith(f"{HEATER.stem}/"):
        return HEATER
    (row,) = [row for row in PUBLISHED if row.suffix == rest]
    return row


def content(row: Topic, heard: Heard) -> object:
    plain = row not in MODELS and row is not RESPONSE
    return heard.payload.decode() if plain else json.loads(heard.payload)


async def everything_happens(bridge: Stage[SimulatedPrinter]) -> None:
    """Have the bridge publish on each of its topics, and a print with an error."""
    await bridge.operational()
    await bridge.client.publish(bridge.topic("request/ping"))
    await bridge.client.publish(bridge.topic("head"), b"{}")
    await bridge.call("request/info")
    await bridge.call("sd", {"command": "refresh"})
    await until(lambda: bool(bridge.latest("sd/files")))
    name = bridge.latest("sd/files")[0]["path"]
    bridge.printer.press("start", name)
    await until(lambda: "print_started" in bridge.event_names())
    bridge.printer.press("maxtemp", "tool0")
    await until(lambda: bridge.latest("error")["error"] != "")
    await until(lambda: bool(bridge.client.payloads(bridge.topic("response"))))
    await until(lambda: bool(bridge.client.payloads(bridge.topic("health"))))


async def test_every_command_topic_of_the_table_is_answered(
    bridge: Stage[SimulatedPrinter],
) -> None:
    for row in RECEIVED:
        topic = row.suffix.replace("{question}", "ping")
        if topic == "emergency":
            continue  # its own tests stop the machine
        answer = await bridge.call(topic, b"no JSON")
        assert answer["topic"] == topic
        assert answer["status"] == "rejected"


async def test_every_message_is_in_the_table_and_fits_its_schema(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto
) -> None:
    topics = Topics(bridge.base)
    await everything_happens(bridge)
    ours = [
        heard
        for heard in bridge.client.heard
        if heard.topic.startswith(f"{bridge.base}/")
        and not topics.is_command(heard.topic)
    ]
    seen: set[Topic] = set()
    for heard in ours:
        row = row_of(topics, heard.topic)
        seen.add(row)
        assert heard.qos == row.qos, heard
        assert fits(content(row, heard), schema_of(row), strict=True), heard
    assert seen == set(PUBLISHED)
    assert {heard.topic for heard in ours} >= {
        topics.heater(name) for name in ("tool0", "tool1", "bed", "chamber")
    }
    with connected(broker.port, f"{bridge.base}/#", host=broker.host) as late:
        await late.hears(topics.availability)
        await until(lambda: len(kept(late.heard)) == len(retained(topics)))
        for topic, heard in kept(late.heard).items():
            row = row_of(topics, topic)
            assert row.retained, topic
            assert heard.qos == row.qos, topic
            assert fits(content(row, heard), schema_of(row), strict=True), heard
        assert set(kept(late.heard)) == retained(topics)


def kept(heard: list[Heard]) -> Mapping[str, Heard]:
    return {one.topic: one for one in heard if one.retain}


def retained(topics: Topics) -> set[str]:
    """Return what stays at the broker: without a picture, as none is published."""
    return {*topics.retained(["tool0", "tool1", "bed", "chamber"])} - {topics.thumbnail}


async def test_info_lists_the_topics_of_the_table(
    bridge: Stage[SimulatedPrinter],
) -> None:
    listed: dict[str, Any] = bridge.latest("info")["topics"]
    assert listed == Topics(bridge.base).table()
    assert listed["sd_files"] == f"{bridge.base}/sd/files"
    for row in (*PUBLISHED, *RECEIVED):
        assert listed[row.name] == f"{bridge.base}/{row.stem}"
