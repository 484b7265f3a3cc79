"""Retained topics are remembered across restarts, and cleared when unused."""

import asyncio
from dataclasses import replace
from pathlib import Path

from bridge.config import Mqtt
from bridge.state_files import TopicRecord
from tests.support.bridges import TOPICS, bridge, presence
from tests.support.brokers import Mosquitto
from tests.support.mqtt_client import connected
from tests.support.waiting import until


def config(port: int) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=port)


async def test_what_an_earlier_run_left_is_cleared(
    broker: Mosquitto, tmp_path: Path
) -> None:
    earlier = replace(presence(), record=TopicRecord(tmp_path, "printer"))
    async with bridge(config(broker.port), earlier) as printer:
        await printer.online()
        printer.broker.publish(TOPICS.heater("tool1"), b"{}", retain=True)
        await printer.online()
        assert TOPICS.heater("tool1") in TopicRecord(tmp_path, "printer").topics
    later = replace(presence(), record=TopicRecord(tmp_path, "printer"))
    async with bridge(config(broker.port), later) as printer:
        await printer.online()
        printer.broker.clear_leftovers()
        await printer.online()
        with connected(broker.port, "printer/#") as late:
            await late.hears(TOPICS.availability, b"online")
            await until(lambda: late.payloads(TOPICS.state) == [b"{}"])
            assert not late.payloads(TOPICS.heater("tool1"))
    assert TopicRecord(tmp_path, "printer").topics == {TOPICS.state, TOPICS.info}


async def test_a_removed_topic_is_cleared_even_after_a_break(
    tmp_path: Path, broker: Mosquitto
) -> None:
    record = TopicRecord(tmp_path, "printer")
    with connected(broker.port, TOPICS.heater("bed")) as watcher:
        who = replace(presence(), record=record)
        async with bridge(config(broker.port), who) as printer:
            printer.broker.publish(TOPICS.heater("bed"), b"{}", qos=1, retain=True)
            await watcher.hears(TOPICS.heater("bed"), b"{}")
            printer.broker.publish(TOPICS.heater("bed"), b"", qos=1, retain=True)
            await watcher.hears(TOPICS.heater("bed"), b"")
            await until(lambda: TOPICS.heater("bed") not in record.topics)


async def test_the_memory_is_saved_when_the_bridge_ends(
    broker: Mosquitto, tmp_path: Path
) -> None:
    who = replace(presence(), record=TopicRecord(tmp_path, "printer"))
    async with bridge(config(broker.port), who):
        await asyncio.sleep(0)
    assert TopicRecord(tmp_path, "printer").topics == {TOPICS.state, TOPICS.info}
