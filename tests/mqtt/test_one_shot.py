"""A guest at a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.config import Mqtt
from bridge.demo.broker import LOOPBACK, embedded_broker
from bridge.errors import BrokerError
from bridge.mqtt.one_shot import visit
from tests.support.brokers import Mosquitto
from tests.support.waiting import DEADLINE


def at(broker: Mosquitto, **more: object) -> Mqtt:
    return Mqtt.model_validate({"host": broker.host, "port": broker.port, **more})


async def test_a_visitor_sees_what_is_published(broker: Mosquitto) -> None:
    async with visit(at(broker), ["a/+", "b"]) as visitor:
        visitor.publish("a/x", b"1")
        visitor.publish("c", b"2")
        visitor.publish("b", b"3")
        seen = [await visitor.message(), await visitor.message()]
    assert [(m.topic, m.payload) for m in seen] == [("a/x", b"1"), ("b", b"3")]


async def test_a_broker_that_knows_only_3_1_1_is_met_in_its_language() -> None:
    async with (
        asyncio.timeout(DEADLINE),
        embedded_broker(prefer_mosquitto=False) as address,
    ):
        mqtt = Mqtt(host=LOOPBACK, port=address.old_port, connect_timeout=5)
        async with visit(mqtt, ["a"]) as visitor:
            visitor.publish("a", b"1")
            assert (await visitor.message()).payload == b"1"


async def test_a_lost_connection_is_told(broker: Mosquitto) -> None:
    async with visit(at(broker), ["a"]) as visitor:
        broker.stop()
        with pytest.raises(BrokerError):
            await visitor.message()


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
async def test_a_broker_that_does_not_answer_is_told(protocol: str) -> None:
    mqtt = Mqtt.model_validate({"port": 1, "host": LOOPBACK, "protocol": protocol})
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        async with visit(mqtt, ["a"]):
            pytest.fail("there is no broker")


@asynccontextmanager
async def answering(refusal: bytes) -> AsyncIterator[Mqtt]:
    """Run a broker that lets everybody in, and to nothing. Mosquitto never refuses."""
    connections: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await reader.read(1024)
        writer.write(b"\x20\x03\x00\x00\x00")  # CONNACK of MQTT 5: accepted
        subscribe = await reader.read(1024)
        if refusal:
            writer.write(b"\x90\x04" + subscribe[2:4] + b"\x00" + refusal)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, LOOPBACK, 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield Mqtt(host=LOOPBACK, port=port, protocol="5", connect_timeout=1)
    finally:
        server.close()
        for writer in connections:
            await writer.wait_closed()
        await server.wait_closed()


@pytest.mark.parametrize("refusal", [b"\x87", b""], ids=["refused", "silent"])
async def test_a_visitor_who_may_not_listen_is_told(refusal: bytes) -> None:
    async with answering(refusal) as mqtt:
        with pytest.raises(BrokerError, match="does not let us see secret, more"):
            async with visit(mqtt, ["secret", "more"]):
                pytest.fail("the broker let us in")
