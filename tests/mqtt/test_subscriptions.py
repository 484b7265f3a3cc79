"""Subscriptions to many topics, in packets that every broker accepts."""

from bridge.config import Mqtt
from bridge.mqtt.client import MAX_FILTERS, PendingSubscriptions, portions
from tests.support.bridges import TOPICS, bridge
from tests.support.brokers import Mosquitto
from tests.support.mqtt_client import connected
from tests.support.servers import frugal, server
from tests.support.waiting import until


def test_no_packet_has_too_many() -> None:
    assert portions("a" * 2 * MAX_FILTERS + "b") == [
        "a" * MAX_FILTERS,
        "a" * MAX_FILTERS,
        "b",
    ]
    assert portions("ab") == ["ab"]


def test_there_is_one_answer_to_all_packets() -> None:
    pending = PendingSubscriptions()
    assert pending.add([1, 2, 4]) == 4
    assert pending.add([5]) == 5
    assert pending.answered(2, [1, 0x87]) is None
    assert pending.answered(5, [0]) == (5, [0])
    assert pending.answered(1, [1]) is None
    assert pending.answered(4, [0x80]) == (4, [1, 1, 0x87, 0x80])
    assert pending.answered(4, [0x80]) is None, "it was answered already"


def test_what_could_not_be_sent_is_not_awaited() -> None:
    pending = PendingSubscriptions()
    assert pending.add([1, None]) is None
    assert pending.answered(1, [0]) is None


async def test_a_broker_that_accepts_few_at_a_time_is_sufficient(
    broker: Mosquitto,
) -> None:
    """It closes the connection over a packet with more."""
    sizes: list[int] = []
    way = frugal(broker.host, broker.port, most=MAX_FILTERS, sizes=sizes)
    topics = [TOPICS.commands[0], TOPICS.near_misses[-1].replace("+", "x")]
    async with (
        server(way) as port,
        bridge(Mqtt(host="127.0.0.1", port=port, protocol="5")) as printer,
    ):
        await printer.online()
        with connected(broker.port, host=broker.host) as client:
            for topic in topics:
                await client.publish(topic, b"{}")
        await until(lambda: [one.topic for one in printer.heard] == topics)
        assert printer.broker.statistics.connects == 1
    assert sum(sizes) > MAX_FILTERS
