"""Messages in flight, those too large for the broker, and echoes of our own."""

import pytest

from bridge.config import Mqtt
from bridge.mqtt.messages import Lane, Publication
from bridge.mqtt.outbox import (
    ECHO_TIMEOUT,
    LARGE,
    WINDOW,
    WINDOW_BYTES,
    InFlight,
    OversizeDetector,
    OwnEchoes,
)
from tests.support.bridges import TOPICS, Bridge, bridge
from tests.support.brokers import Spec, mosquitto
from tests.support.mqtt_client import connected
from tests.support.waiting import until

BIG = b"x" * 200_000
PREFIX = "reply/somebody"


def message(payload: bytes, topic: str = "printer/event") -> Publication:
    return Publication(topic=topic, payload=payload, qos=1)


def test_a_message_is_too_large_the_second_time_in_a_row() -> None:
    detector, one, other = OversizeDetector(), message(b"one"), message(b"other")
    assert detector.connection_closed([one]) == []
    assert detector.connection_closed([other]) == []
    assert detector.connection_closed([one, other]) == [other]
    assert detector.connection_closed([other]) == []
    assert detector.connection_closed([]) == []
    assert detector.connection_closed([other]) == []


def test_only_what_a_broker_may_refuse_for_its_size_is_suspected() -> None:
    in_flight = InFlight()
    small, large = message(b"x" * 1000), message(b"x" * LARGE)
    in_flight.add(1, small)
    in_flight.add(2, large)
    assert in_flight.large == [large]


def test_an_acknowledged_message_is_not_in_flight_any_more() -> None:
    in_flight, one, other = InFlight(), message(b"one"), message(b"other")
    in_flight.add(1, one)
    in_flight.add(2, other)
    assert in_flight.acknowledged(1) == one
    assert in_flight.acknowledged(1) is None
    assert in_flight.take_all() == [other]
    assert len(in_flight) == 0


@pytest.mark.parametrize(
    ("receive_maximum", "room"), [(1, 1), (5, 5), (65_535, WINDOW)]
)
def test_the_broker_and_we_limit_how_many_are_in_flight(
    receive_maximum: int, room: int
) -> None:
    in_flight = InFlight(receive_maximum)
    for number in range(room):
        assert in_flight.has_room
        in_flight.add(number, message(b"x"))
    assert not in_flight.has_room
    in_flight.acknowledged(0)
    assert in_flight.has_room


def test_bytes_are_limited_too_but_one_message_may_be_larger() -> None:
    in_flight = InFlight()
    large = message(b"x" * WINDOW_BYTES)
    assert in_flight.has_room
    in_flight.add(1, large)
    assert not in_flight.has_room
    in_flight.discard(message(b"another"))
    assert not in_flight.has_room
    in_flight.discard(large)
    assert in_flight.has_room
    in_flight.add(2, large)
    assert in_flight.take_all() == [large]
    assert in_flight.has_room


def answer(printer: Bridge, topic: str = TOPICS.response) -> None:
    printer.broker.publish(topic, BIG, qos=1, lane=Lane.RESPONSE, short=b"short")


@pytest.mark.parametrize("topic", [TOPICS.response, PREFIX])
@pytest.mark.parametrize(
    ("protocol", "limit"),
    [
        ("5", "max_packet_size 100000"),  # which it announces
        ("5", "message_size_limit 100000"),  # for which it has no valid reason code
        ("3.1.1", "max_packet_size 100000"),  # for which it just closes
    ],
)
async def test_an_answer_is_shortened_and_the_bridge_goes_on(
    caplog: pytest.LogCaptureFixture, protocol: str, limit: str, topic: str
) -> None:
    with (
        mosquitto(Spec(options=f"allow_anonymous true\n{limit}")) as broker,
        connected(broker.port, topic) as watcher,
    ):
        mqtt = Mqtt.model_validate(
            {"host": broker.host, "port": broker.port, "protocol": protocol}
        )
        async with bridge(mqtt) as printer:
            await printer.online()
            answer(printer, topic)
            await watcher.hears(topic, b"short")
            await printer.online()
            assert printer.broker.statistics.refused == 1
    assert watcher.payloads(topic) == [b"short"]
    place = "reply/…" if topic == PREFIX else topic
    assert f"a message on {place} was larger than the broker accepts" in caplog.text
    assert PREFIX not in caplog.text


async def test_a_retained_topic_is_cleared_rather_than_outdated() -> None:
    options = "allow_anonymous true\nmax_packet_size 100000"
    with (
        mosquitto(Spec(options=options)) as broker,
        connected(broker.port, TOPICS.sd_files) as watcher,
    ):
        async with bridge(Mqtt(host=broker.host, port=broker.port)) as printer:
            await printer.online()
            for payload in (b"[]", BIG):
                printer.broker.publish(TOPICS.sd_files, payload, qos=1, retain=True)
                await printer.online()
        await until(lambda: watcher.payloads(TOPICS.sd_files) == [b"[]", b""])


async def test_a_response_that_its_sender_may_not_receive_is_published_for_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many response topics a sender uses, there is one line in the log."""
    acl = b"topic readwrite printer/#\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with (
        mosquitto(Spec(options=options, files={"acl": acl})) as broker,
        connected(broker.port, TOPICS.response) as watcher,
    ):
        async with bridge(Mqtt(host=broker.host, port=broker.port)) as printer:
            await printer.online()
            for number in range(30):
                printer.broker.publish(
                    f"reply/{number}", b"%d" % number, qos=1, lane=Lane.RESPONSE
                )
            await watcher.hears(TOPICS.response, b"29")
    heard = watcher.payloads(TOPICS.response)
    assert heard == [b"%d" % number for number in range(30)]
    [line] = [record.getMessage() for record in caplog.records]
    assert "publish on reply/… (not authorised): give it the right" in line


def test_a_message_that_we_did_not_send_is_no_echo() -> None:
    assert not OwnEchoes().is_echo("printer/head", 0)


def test_each_clearing_has_one_echo() -> None:
    echoes = OwnEchoes()
    echoes.expect("printer/head", 0)
    echoes.expect("printer/head", 1)
    echoes.expect("printer/bed", 1)
    heard = [echoes.is_echo("printer/head", 2) for _ in range(3)]
    assert heard == [True, True, False]
    assert echoes.is_echo("printer/bed", 2)


def test_a_clearing_without_an_echo_hides_no_later_request() -> None:
    echoes = OwnEchoes()
    echoes.expect("printer/request/state", 0)
    echoes.expect("printer/request/state", ECHO_TIMEOUT)
    assert echoes.is_echo("printer/request/state", ECHO_TIMEOUT + 1)
    assert not echoes.is_echo("printer/request/state", ECHO_TIMEOUT + 2)
