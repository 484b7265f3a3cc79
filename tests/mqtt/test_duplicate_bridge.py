"""Two bridges on one topic: the second refuses to start, the first is not disturbed."""

import asyncio
import json
from dataclasses import replace

import pytest

from bridge.config import Mqtt
from bridge.mqtt import own_topics
from bridge.mqtt.duplicate_bridge import instance_of
from bridge.topics import Topics
from tests.support.bridges import TOPICS, bridge, presence
from tests.support.brokers import Mosquitto
from tests.support.mqtt_client import connected
from tests.support.servers import picky, replaying, server
from tests.support.waiting import until

REFUSED_ID = b"\x20\x03\x00\x85\x00"


def config(port: int, protocol: str = "5") -> Mqtt:
    return Mqtt.model_validate(
        {"host": "127.0.0.1", "port": port, "protocol": protocol}
    )


def info(instance: str) -> bytes:
    return json.dumps({"instance": instance}).encode()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("client_id", ["gcode2mqtt-printer", "another"])
async def test_the_second_waits_for_the_first_and_does_not_disturb_it(
    broker: Mosquitto, protocol: str, client_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    mqtt = config(broker.port, protocol)
    second = replace(presence("two"), client_id=client_id)
    with connected(broker.port, TOPICS.availability) as watcher:
        async with bridge(mqtt) as first:
            await first.online()
            async with bridge(mqtt, second) as waiting:
                text = "another bridge (instance one) serves printer/…"
                await until(lambda: text in caplog.text)
                assert first.broker.statistics.connects == 1
                await watcher.hears(TOPICS.availability)
                assert watcher.payloads(TOPICS.availability) == [b"online"]
                assert not waiting.broker.connected
                await first.end()
                await waiting.online()


async def test_another_printer_is_no_duplicate(broker: Mosquitto) -> None:
    mqtt = config(broker.port)
    other = presence("two", Topics("printers/other"))
    async with bridge(mqtt) as first, bridge(mqtt, other) as second:
        await first.online()
        await second.online()


async def test_what_a_crashed_bridge_left_retained_prevents_no_start(
    broker: Mosquitto,
) -> None:
    with connected(broker.port) as past:
        await past.publish(TOPICS.availability, b"online", retain=True)
        await past.publish(TOPICS.info, info("crashed"), retain=True)
    async with bridge(config(broker.port)) as printer:
        await printer.online()


@pytest.mark.parametrize("crashed", ["a", "z"])
@pytest.mark.parametrize("left", [b"online", b"offline"])
async def test_a_broker_that_ignores_retain_handling_shows_no_second_bridge(
    broker: Mosquitto, crashed: str, left: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It sends what the predecessor left as if it came from somebody who lives."""
    with connected(broker.port) as past:
        for _ in range(3):
            await past.publish(TOPICS.availability, left, retain=True)
            await past.publish(TOPICS.info, info(crashed), retain=True)
            way = replaying(broker.host, broker.port)
            async with (
                server(way) as port,
                bridge(config(port), presence("m")) as printer,
            ):
                await printer.online()
                assert printer.broker.statistics.connects == 1
                assert printer.broker.conflict is None
            await past.publish(TOPICS.info, b"", retain=True)
    assert "another bridge" not in caplog.text


async def test_who_lives_is_noticed_in_spite_of_that(broker: Mosquitto) -> None:
    """It does not answer in time; but it publishes its info when it hears ours."""
    with connected(broker.port, TOPICS.info) as slow:
        await slow.publish(TOPICS.availability, b"online", retain=True)
        await slow.publish(TOPICS.info, info("a"), retain=True)
        async with (
            server(replaying(broker.host, broker.port)) as port,
            bridge(config(port), presence("m")) as printer,
        ):
            await slow.hears(TOPICS.info, info("m"))
            await slow.publish(TOPICS.info, info("a"), retain=True)
            await until(lambda: printer.broker.conflict is not None)


async def test_after_a_lost_connection_our_own_retained_messages_are_no_duplicate(
    broker: Mosquitto,
) -> None:
    with connected(broker.port) as past:
        await past.publish(TOPICS.availability, b"online", retain=True)
        await past.publish(TOPICS.info, info("one"), retain=True)
        async with bridge(config(broker.port)) as printer:
            await printer.online()
            assert not printer.heard


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_of_two_started_at_the_same_moment_the_lower_instance_stays(
    broker: Mosquitto, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridge(config(broker.port, protocol), presence("m")) as printer:
        await printer.online()
        with connected(broker.port, "printer/#") as other:
            await until(lambda: len(other.payloads(TOPICS.info)) == 1)
            await other.publish(TOPICS.info, info("z"), retain=True)
            await until(lambda: other.payloads(TOPICS.info)[-1] == info("m"))
            await other.publish(TOPICS.info, info("a"), retain=True)
            text = "another bridge (instance a) serves printer/…"
            await until(lambda: text in caplog.text)
            assert not printer.task.done()
            await other.publish("printer/done")
            await other.hears("printer/done")
            assert other.payloads(TOPICS.availability) == [b"online"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_forged_info_does_not_disconnect_an_established_bridge(
    broker: Mosquitto,
    protocol: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_topics, "START_WINDOW", 0.0)
    async with bridge(config(broker.port, protocol), presence("m")) as printer:
        await printer.online()
        with connected(broker.port, "printer/#") as other:
            for _ in range(3):
                await other.publish(TOPICS.info, info("a"), retain=True)
            await other.publish("printer/head", b"{}")
            await until(lambda: bool(printer.heard))
            assert printer.broker.statistics.connects == 1
            assert printer.broker.connected
    assert "is forged; this bridge continues" in caplog.text


async def test_a_broker_that_accepts_only_one_client_id_is_used_nevertheless(
    broker: Mosquitto,
) -> None:
    strict = picky(
        broker.host,
        broker.port,
        unwanted=lambda connect: b"-look" in connect,
        answer=REFUSED_ID,
    )
    async with server(strict) as port, bridge(config(port)) as printer:
        await printer.online()


async def test_without_an_instance_there_is_no_check(broker: Mosquitto) -> None:
    async with bridge(config(broker.port), presence("")) as printer:
        await printer.online()
        with connected(broker.port) as other:
            await other.publish(TOPICS.info, info("a"))
            await other.publish("printer/head", b"{}")
        await until(lambda: bool(printer.heard))
        assert "-look" not in broker.log()
        await asyncio.sleep(0)
        assert printer.broker.connected


@pytest.mark.parametrize(
    ("payload", "instance"),
    [
        (b'{"instance": "abc", "version": 1}', "abc"),
        (b'{"version": 1}', None),
        (b'{"instance": 5}', None),
        (b"[]", None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"instance": "%s"}' % (b"x" * 101), None),
        (b'{"instance": "abc", "more": "%s"}' % (b"x" * 600_000), None),
    ],
)
def test_an_instance_is_read_from_whatever_is_retained(
    payload: bytes, instance: str | None
) -> None:
    assert instance_of(payload) == instance
