"""What is larger than the broker takes, and how little is lost over it."""

import pytest

from bridge.config import Mqtt
from bridge.mqtt.in_flight import LARGE, LATEST, Echoes, Suspects, large
from bridge.mqtt.messages import Lane, Publication
from tests.support.bridges import TOPICS, Bridge, bridge
from tests.support.brokers import Spec, mosquitto
from tests.support.mqtt_client import connected
from tests.support.waiting import until

BIG = b"x" * 200_000
PREFIX = "reply/somebody"


def message(payload: bytes, topic: str = "printer/event") -> Publication:
    return Publication(topic=topic, payload=payload, qos=1)


def test_only_the_second_time_in_a_row_is_a_proof() -> None:
    suspects, one, other = Suspects(), message(b"one"), message(b"other")
    assert suspects.judge([one]) == []
    assert suspects.judge([other]) == []
    assert suspects.judge([one, other]) == [other]
    assert suspects.judge([other]) == []
    assert suspects.judge([]) == []
    assert suspects.judge([other]) == []


def test_what_every_broker_takes_is_never_suspected() -> None:
    small, too_much = message(b"x" * 1000), message(b"x" * LARGE)
    assert large([small, too_much]) == [too_much]


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
    assert f"a message on {place} was larger than the broker takes" in caplog.text
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


async def test_an_answer_that_its_sender_may_not_have_goes_to_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many topics a sender thinks of, it is one line and one memory."""
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


def test_what_nobody_has_sent_is_no_echo() -> None:
    assert not Echoes().heard("printer/head", 0)


def test_each_clearing_has_one_echo() -> None:
    echoes = Echoes()
    echoes.expect("printer/head", 0)
    echoes.expect("printer/head", 1)
    echoes.expect("printer/bed", 1)
    heard = [echoes.heard("printer/head", 2) for _ in range(3)]
    assert heard == [True, True, False]
    assert echoes.heard("printer/bed", 2)


def test_a_clearing_without_an_echo_swallows_no_later_question() -> None:
    echoes = Echoes()
    echoes.expect("printer/request/state", 0)
    echoes.expect("printer/request/state", LATEST)
    assert echoes.heard("printer/request/state", LATEST + 1)
    assert not echoes.heard("printer/request/state", LATEST + 2)
