"""Brokers with limits, and servers that answer CONNECT and then go wrong."""

import asyncio
import socket

import pytest

from bridge.config import Mqtt
from bridge.mqtt.connect import SocketWatcher
from bridge.mqtt.messages import Lane
from tests.support.bridges import TOPICS, bridge, presence
from tests.support.brokers import Spec, mosquitto
from tests.support.mqtt_client import connected
from tests.support.servers import saying, server
from tests.support.waiting import until

ACCEPTED = b"\x20\x03\x00\x00\x00"
ACCEPTED_3 = b"\x20\x02\x00\x00"


def config(port: int, protocol: str = "5") -> Mqtt:
    return Mqtt.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "protocol": protocol,
            "connect_timeout": 0.5,
        }
    )


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("retain_available false", "the broker cannot retain messages"),
        ("max_qos 0", "the broker does not support QoS 1"),
    ],
)
async def test_a_broker_without_what_a_will_needs(
    caplog: pytest.LogCaptureFixture, option: str, line: str
) -> None:
    options = f"allow_anonymous true\n{option}"
    with mosquitto(Spec(options=options)) as broker:
        async with bridge(config(broker.port)) as printer:
            await until(lambda: bool(caplog.records))
            assert not printer.broker.connected
    assert line in caplog.text
    assert "which a last will needs" in caplog.text


@pytest.mark.parametrize(
    ("packets", "words"),
    [
        (
            [b"\x20\x0e\x00\x9c\x0b\x1c\x00\x08b.lan:18"],
            "asks us to use another server, b.lan:18; set mqtt.host to it, or add it",
        ),
        ([b"\x20\x03\x00\x9d\x00"], "the broker has moved; set mqtt.host to its new"),
        (
            [ACCEPTED, b"\xe0\x0a\x9d\x08\x1c\x00\x05b.lan"],
            "the broker has moved, b.lan; set mqtt.host to its new address",
        ),
    ],
)
async def test_another_server_is_named_and_not_followed(
    caplog: pytest.LogCaptureFixture, packets: list[bytes], words: str
) -> None:
    async with (
        server(saying(*packets)) as port,
        bridge(config(port), presence("")) as printer,
    ):
        await until(lambda: words in caplog.text)
        assert printer.broker.endpoint == f"127.0.0.1:{port}"


async def test_a_broker_that_takes_one_message_at_a_time_gets_all() -> None:
    options = "allow_anonymous true\nmax_inflight_messages 1"
    with (
        mosquitto(Spec(options=options)) as broker,
        connected(broker.port, TOPICS.response) as watcher,
    ):
        async with bridge(config(broker.port)) as printer:
            await printer.online()
            for number in range(100):
                payload = b"%d" % number
                printer.broker.publish(
                    TOPICS.response, payload, qos=1, lane=Lane.RESPONSE
                )
            await watcher.hears(TOPICS.response, b"99")
            assert printer.broker.statistics.connects == 1
    assert watcher.payloads(TOPICS.response) == [b"%d" % n for n in range(100)]


async def test_a_broker_that_never_answers_the_subscription_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with server(saying(ACCEPTED)) as port, bridge(config(port)):
        await until(lambda: bool(caplog.records))
    assert "did not answer our subscriptions" in caplog.text


async def test_a_broker_that_closes_at_once_is_suspected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def accept_and_close(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(4096)
        writer.write(ACCEPTED)
        await reader.read(4096)

    async with server(accept_and_close) as port, bridge(config(port), presence("")):
        await until(lambda: bool(caplog.records))
    assert "closed the connection right after accepting it" in caplog.text
    assert 'another client uses our id "gcode2mqtt-printer"' in caplog.text


@pytest.mark.parametrize(
    "packet",
    [
        b"\xf0\x00",
        b"\x30\x02\xff\xff",
        b"\x30\xff\xff\xff\xff\xff",
        b"\x40\x01\x00",
        b"\x40\x03\x00\x01\xff",
        b"\x90\x01\x00",
        b"\x90\x04\x00\x01\x00\x03",
        b"\xe0\x01\xff",
        b"\x20\x03\x00\xff\x00",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
@pytest.mark.parametrize("accepted", [ACCEPTED, b""])
async def test_nonsense_ends_the_connection_and_not_the_bridge(
    caplog: pytest.LogCaptureFixture, accepted: bytes, packet: bytes
) -> None:
    async with (
        server(saying(accepted, packet)) as port,
        bridge(config(port), presence("")) as printer,
    ):
        await until(lambda: bool(caplog.records))
        assert not printer.task.done()
    assert all(record.exc_info is None for record in caplog.records)


async def test_the_reason_that_the_broker_gives_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    leaving = saying(ACCEPTED, b"\xe0\x01\x8b")
    async with server(leaving) as port, bridge(config(port), presence("")):
        await until(lambda: bool(caplog.records))
    assert "the broker is shutting down" in caplog.text


async def test_a_takeover_that_the_broker_reports_twice_does_not_end_the_bridge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    telling = saying(ACCEPTED, b"\xe0\x01\x8e")
    async with (
        server(telling) as port,
        bridge(config(port), presence("")) as printer,
    ):
        await until(lambda: "twice in a row" in caplog.text)
        assert not printer.task.done()
    assert 'client id "gcode2mqtt-printer" twice in a row' in caplog.text


async def test_a_topic_that_is_not_utf_8_is_ignored() -> None:
    bad = b"\x30\x06\x00\x03\xff\xfe\xfdx"
    good = b"\x30\x0f\x00\x0cprinter/head!"
    async with (
        server(saying(ACCEPTED_3, bad, good)) as port,
        bridge(config(port, "3.1.1"), presence("")) as printer,
    ):
        await until(lambda: bool(printer.heard))
    assert [message.topic for message in printer.heard] == ["printer/head"]


async def test_acknowledgements_go_out_at_once() -> None:
    """Mosquitto's Nagle and our delayed acknowledgement would cost 40 ms."""
    option = (socket.IPPROTO_TCP, socket.TCP_QUICKACK)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        with ours, listener.accept()[0]:
            watch = SocketWatcher(ours, lambda: None, lambda: None)
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            ours.setsockopt(*option, 0)
            assert not ours.getsockopt(*option)
            watch.acknowledge_at_once()
            assert ours.getsockopt(*option)
            watch.close()
            watch.close()
            watch.want_write(wanted=True)
            watch.acknowledge_at_once()
