"""Subscriptions to many topics, in packets that every broker accepts."""

import pytest

from bridge.config import Mqtt
from bridge.mqtt import retained_copies
from bridge.mqtt.client import MAX_FILTERS, PendingSubscriptions, portions
from tests.support.bridges import TOPICS, bridge
from tests.support.brokers import Mosquitto
from tests.support.closing import closing
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


# Retained copies of commands, which only a repeated subscription shows on MQTT 3.1.1

COMMAND = b'{"n": 1}'


@pytest.mark.parametrize(
    ("sent", "more", "searches"),
    [
        (("printer/head", COMMAND), {}, 1),
        (("printer/request/state", COMMAND), {}, 1),
        (("printer/request/state", b""), {}, 0),  # an empty message is not retained
        (("printer/emergency", COMMAND), {}, 0),  # its own connection searches
        (("printer/head/jog", COMMAND), {}, 0),  # no command, so somebody's state
        (("printer/head", COMMAND), {"protocol": "5"}, 0),  # shows the flag
        (("printer/head", COMMAND), {"clear_retained_commands": False}, 0),
    ],
)
async def test_a_subscription_is_repeated_after_commands_only(
    broker: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
    sent: tuple[str, bytes],
    more: dict[str, object],
    searches: int,
) -> None:
    monkeypatch.setattr(retained_copies, "SEARCH_DELAY", 0.0)
    async with closing(broker) as way:
        settings = {"host": "127.0.0.1", "port": way.port, "protocol": "3.1.1"}
        async with bridge(Mqtt.model_validate({**settings, **more})) as printer:
            await printer.online()
            before = way.tries("subscribe")
            with connected(broker.port, host=broker.host) as client:
                for _ in range(3):
                    await client.publish(*sent)
                await until(lambda: len(printer.heard) == 3)
                if searches:
                    await until(lambda: way.tries("subscribe") > before)
                # A later command and its response come after a search that began.
                printer.broker.publish(TOPICS.event, b"end", qos=1)
                await printer.online()
    assert (way.tries("subscribe") > before) is bool(searches)
    assert way.tries("subscribe") - before <= 3 * searches
    assert len(printer.heard) == 3


async def test_a_copy_is_cleared_once_and_is_no_command(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retained_copies, "SEARCH_DELAY", 0.0)
    mqtt = Mqtt(host=broker.host, port=broker.port, protocol="3.1.1")
    async with bridge(mqtt) as printer:
        await printer.online()
        with connected(broker.port, "printer/#", host=broker.host) as client:
            for topic in ("printer/head", "printer/request/state", "printer/head"):
                await client.publish(topic, COMMAND, retain=True)
                await client.hears(topic, b"")
                client.heard.clear()
            await client.publish("printer/bed", COMMAND)
            await until(lambda: printer.heard[-1].topic == "printer/bed")
        assert [one.payload for one in printer.heard] == [COMMAND] * 4
        with connected(broker.port, "printer/+", host=broker.host) as late:
            await late.hears(TOPICS.availability, b"online")
            assert late.payloads("printer/head") == []
    assert caplog.text.count("a command on printer/head was sent with the RETAIN") == 1
    assert "a command on printer/request/+ was sent with the RETAIN" in caplog.text
