"""What others publish on our own retained topics is corrected."""

import asyncio
from dataclasses import replace

import pytest

from bridge.config import Mqtt
from bridge.mqtt.duplicate_bridge import announced_topics
from bridge.mqtt.session import Presence
from bridge.topics import Topics
from tests.support.bridges import TOPICS, Bridge, bridge, presence
from tests.support.brokers import Mosquitto
from tests.support.mqtt_client import TestClient, connected
from tests.support.waiting import until

DISCOVERY = "homeassistant/device/printer/config"
FORGED = b'{"forged": true}'


def config(port: int, protocol: str) -> Mqtt:
    return Mqtt.model_validate(
        {"host": "127.0.0.1", "port": port, "protocol": protocol}
    )


def announced(who: Presence | None = None) -> Presence:
    return replace(who or presence(), discovery=DISCOVERY)


def discovery(topics: Topics = TOPICS) -> bytes:
    text = f'{{"availability": [{{"topic": "{topics.availability}"}}]}}'
    return text.encode()


async def last(client: TestClient, topic: str, payload: bytes) -> None:
    await until(lambda: client.payloads(topic)[-1:] == [payload])


def publish(running: Bridge, topic: str, payload: bytes) -> None:
    running.broker.publish(topic, payload, qos=1, retain=True)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("forged", [FORGED, b"", b"\xff", b"offline"])
@pytest.mark.parametrize(
    "topic",
    [
        TOPICS.state,
        TOPICS.connection,
        TOPICS.error,
        TOPICS.job_state,
        TOPICS.sd_files,
    ],
)
async def test_a_forged_value_is_replaced_with_ours(
    broker: Mosquitto, protocol: str, topic: str, forged: bytes
) -> None:
    async with bridge(config(broker.port, protocol)) as printer:
        publish(printer, topic, b"ours")
        await printer.online()
        with connected(broker.port, topic) as other:
            await other.publish(topic, forged, retain=True)
            await last(other, topic, b"ours")
        with connected(broker.port, topic) as late:
            await late.hears(topic, b"ours")
        assert printer.broker.statistics.connects == 1


@pytest.mark.parametrize("topic", [TOPICS.health, TOPICS.temperature])
async def test_a_forged_value_that_is_replaced_soon_anyway_is_too_on_mqtt_5(
    broker: Mosquitto, topic: str
) -> None:
    async with bridge(config(broker.port, "5")) as printer:
        publish(printer, topic, b"ours")
        await printer.online()
        with connected(broker.port, topic) as other:
            await other.publish(topic, FORGED, retain=True)
            await last(other, topic, b"ours")


async def test_a_heater_that_does_not_exist_is_cleared(broker: Mosquitto) -> None:
    topic = TOPICS.heater("tool7")
    async with bridge(config(broker.port, "5")) as printer:
        await printer.online()
        with connected(broker.port, topic) as other:
            await other.publish(topic, FORGED, retain=True)
            await last(other, topic, b"")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_forged_discovery_message_is_replaced_with_ours(
    broker: Mosquitto, protocol: str
) -> None:
    async with bridge(config(broker.port, protocol), announced()) as printer:
        publish(printer, DISCOVERY, discovery())
        await printer.online()
        with connected(broker.port, DISCOVERY) as other:
            await other.publish(DISCOVERY, FORGED, retain=True)
            await last(other, DISCOVERY, discovery())


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_device_that_somebody_removes_stays_removed(
    broker: Mosquitto, protocol: str
) -> None:
    async with bridge(config(broker.port, protocol), announced()) as printer:
        publish(printer, DISCOVERY, discovery())
        await printer.online()
        with connected(broker.port, DISCOVERY, TOPICS.state) as other:
            await other.publish(DISCOVERY, b"", retain=True)
            await other.publish(TOPICS.state, FORGED, retain=True)
            await last(other, TOPICS.state, b"{}")
            assert other.payloads(DISCOVERY)[-1] == b""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_our_own_values_are_not_taken_for_forged_ones(
    broker: Mosquitto, protocol: str
) -> None:
    async with bridge(config(broker.port, protocol)) as printer:
        await printer.online()
        with connected(broker.port, TOPICS.state, "printer/end") as watcher:
            for number in range(20):
                publish(printer, TOPICS.state, b"%d" % number)
                await printer.online()
            await last(watcher, TOPICS.state, b"19")
            await asyncio.sleep(0.5)  # longer than a correction waits
            own = [one.payload for one in watcher.heard if not one.retain]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_forged_info_of_our_own_instance_is_replaced(
    broker: Mosquitto, protocol: str
) -> None:
    ours = b'{"instance": "one"}'
    async with bridge(config(broker.port, protocol)) as printer:
        await printer.online()
        with connected(broker.port, TOPICS.info) as other:
            forged = b'{"instance": "one", "version": "0"}'
            for payload in (forged, b"no json", b""):
                await other.publish(TOPICS.info, payload, retain=True)
                await last(other, TOPICS.info, ours)


async def test_a_flood_of_forged_values_gets_a_few_answers(broker: Mosquitto) -> None:
    async with bridge(config(broker.port, "5")) as printer:
        await printer.online()
        sent = printer.broker.statistics.sent
        with connected(broker.port, TOPICS.state) as other:
            for _ in range(500):
                await other.publish(TOPICS.state, FORGED, retain=True)
            await last(other, TOPICS.state, b"{}")
        assert printer.broker.statistics.sent - sent < 100


# One printer id on two base topics


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_two_bridges_with_one_printer_id_are_not_one_device(
    broker: Mosquitto, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if their client ids differ: the buttons would operate either printer."""
    mqtt = config(broker.port, protocol)
    elsewhere = replace(presence("two", Topics("workshop")), client_id="another")
    async with bridge(mqtt, announced()) as first:
        publish(first, DISCOVERY, discovery())
        await first.online()
        async with bridge(mqtt, announced(elsewhere)) as second:
            await until(lambda: "another printers.id" in caplog.text)
            assert not second.broker.connected
            assert not second.broker.clear_to_serve.is_set()
            conflict = second.broker.conflict
            assert conflict is not None
            assert "(instance one) serves printer/…" in conflict
            assert first.broker.statistics.connects == 1
            await first.end()
            await second.online()
            await until(second.broker.clear_to_serve.is_set)


async def test_an_earlier_device_on_another_topic_allows_a_start(
    broker: Mosquitto,
) -> None:
    former = Topics("former")
    with connected(broker.port) as past:
        await past.publish(DISCOVERY, discovery(former), retain=True)
        await past.publish(former.availability, b"online", retain=True)
        async with bridge(config(broker.port, "5"), announced()) as printer:
            await printer.online()
        await past.publish(former.availability, b"", retain=True)


async def test_a_bridge_that_announces_no_device_shares_none(
    broker: Mosquitto,
) -> None:
    mqtt = config(broker.port, "5")
    async with bridge(mqtt, announced()) as first:
        publish(first, DISCOVERY, discovery())
        await first.online()
        other = presence("two", Topics("workshop"))
        async with bridge(mqtt, other) as second:
            await second.online()


@pytest.mark.parametrize(
    ("payload", "base"),
    [
        (discovery(), "printer"),
        (discovery(Topics("printers/one")), "printers/one"),
        (b'{"availability": [{"topic": "a/b/status"}]}', None),
        (b'{"availability": [{"topic": "availability"}]}', None),
        (b'{"availability": [{"topic": "a/+/availability"}]}', None),
        (b'{"availability": [{"topic": 5}]}', None),
        (b'{"availability": []}', None),
        (b'{"availability": "x"}', None),
        (b"[]", None),
        (b"", None),
        (b"[" * 100_000, None),
        (discovery() + b" " * 600_000, None),
    ],
)
def test_the_topics_of_a_device_are_read_from_whatever_is_retained(
    payload: bytes, base: str | None
) -> None:
    found = announced_topics(payload)
    assert (found.base if found else None) == base
