"""A short-lived client at a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.config import Mqtt
from bridge.demo.broker import LOOPBACK, embedded_broker
from bridge.errors import BrokerError
from bridge.mqtt.client import FAILURE
from bridge.mqtt.error_text import AttemptError
from bridge.mqtt.messages import Version
from bridge.mqtt.one_shot import OneShotClient, subscribed_to
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.servers import server
from tests.support.sockets import sockets
from tests.support.waiting import DEADLINE, until


def at(broker: Mosquitto, **more: object) -> Mqtt:
    return Mqtt.model_validate({"host": broker.host, "port": broker.port, **more})


async def test_it_receives_what_is_published(broker: Mosquitto) -> None:
    async with subscribed_to(at(broker), ["a/+", "b"]) as client:
        for topic, payload in (("a/x", b"1"), ("c", b"2"), ("b", b"3")):
            assert await client.publish(topic, payload) < FAILURE
        seen = [await anext(client.messages), await anext(client.messages)]
    assert [(m.topic, m.payload) for m in seen] == [("a/x", b"1"), ("b", b"3")]


async def test_messages_can_be_iterated_and_taken(broker: Mosquitto) -> None:
    async with subscribed_to(at(broker), ["a"]) as client:
        for payload in (b"1", b"2", b"3"):
            await client.publish("a", payload)
        async for message in client.messages:
            assert message.payload == b"1"
            break
        await until(lambda: client.waiting == 2)
        assert [m.payload for m in client.take_received()] == [b"2", b"3"]
        assert client.take_received() == []


async def test_more_messages_than_may_be_in_flight_are_all_acknowledged(
    broker: Mosquitto,
) -> None:
    async with OneShotClient(at(broker)) as client:
        publishing = (client.publish(f"a/{number}", b"x") for number in range(100))
        codes = await asyncio.gather(*publishing)
    assert len(codes) == 100
    assert all(code < FAILURE for code in codes)


@pytest.mark.parametrize("replay", [True, False])
async def test_retained_messages_are_received_if_wanted(
    broker: Mosquitto, *, replay: bool
) -> None:
    async with OneShotClient(at(broker)) as client:
        await client.publish("a", b"retained", retain=True)
        await client.subscribe(["a"], replay=replay, own=True)
        await client.publish("a", b"live")
        seen = [await anext(client.messages)]
        if seen[0].payload != b"live":
            seen.append(await anext(client.messages))
    wanted = [b"retained", b"live"] if replay else [b"live"]
    assert [message.payload for message in seen] == wanted


async def test_a_broker_that_knows_only_3_1_1_is_met_in_its_language() -> None:
    async with (
        asyncio.timeout(DEADLINE),
        embedded_broker(prefer_mosquitto=False) as address,
    ):
        mqtt = Mqtt(host=LOOPBACK, port=address.old_port, connect_timeout=5)
        async with subscribed_to(mqtt, ["a"]) as client:
            assert client.version is Version.V311
            await client.publish("a", b"1")
            assert (await anext(client.messages)).payload == b"1"


async def test_a_lost_connection_is_reported(broker: Mosquitto) -> None:
    async with subscribed_to(at(broker), ["a"]) as client:
        broker.stop()
        with pytest.raises(BrokerError):
            await anext(client.messages)
        with pytest.raises(BrokerError):
            await client.publish("a", b"1")
        with pytest.raises(BrokerError):
            await client.subscribe(["b"])


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
async def test_a_broker_that_cannot_be_reached_is_named(protocol: str) -> None:
    mqtt = Mqtt.model_validate({"port": 1, "host": LOOPBACK, "protocol": protocol})
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        async with subscribed_to(mqtt, ["a"]):
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


async def test_a_refused_subscription_is_an_error() -> None:
    async with answering(b"\x87") as mqtt:
        with pytest.raises(BrokerError, match="subscribe to secret"):
            async with subscribed_to(mqtt, ["secret", "more"]):
                pytest.fail("the broker let us in")


async def test_a_broker_that_stops_answering_is_not_asked_again() -> None:
    async with answering(b"") as mqtt, OneShotClient(mqtt) as client:
        with pytest.raises(BrokerError, match="stopped answering"):
            await client.subscribe(["a"])
        begun = asyncio.get_running_loop().time()
        with pytest.raises(BrokerError, match="stopped answering"):
            await client.publish("a", b"1")
        assert asyncio.get_running_loop().time() - begun < mqtt.connect_timeout


async def test_it_can_be_closed_and_left_more_than_once(broker: Mosquitto) -> None:
    client = OneShotClient(at(broker))
    client.close()
    await client.connect()
    client.close()
    await client.disconnect()
    with pytest.raises(RuntimeError):
        await client.publish("a", b"1")


async def test_disconnecting_can_be_cancelled_and_leaves_no_socket_open() -> None:
    """A broker that does not read any more: DISCONNECT cannot be written."""
    done = asyncio.Event()

    async def accept_and_stop(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1024)
        writer.write(b"\x20\x03\x00\x00\x00")
        await done.wait()

    async with server(accept_and_stop) as port:
        before = sockets()
        client = OneShotClient(
            Mqtt(host=LOOPBACK, port=port, protocol="5"), disconnect_timeout=DEADLINE
        )
        await client.connect()
        publishing = asyncio.create_task(client.publish("a", b"x" * 50_000_000))
        await asyncio.sleep(0)
        disconnecting = asyncio.create_task(client.disconnect())
        await asyncio.sleep(0)
        assert len(sockets() - before) == 2, "ours and the broker's"
        disconnecting.cancel()
        await asyncio.wait([disconnecting])
        assert len(sockets() - before) == 1, "the broker's"
        publishing.cancel()
        await asyncio.wait([publishing])
        done.set()


async def test_closing_ends_what_waits_with_an_error(broker: Mosquitto) -> None:
    client = OneShotClient(at(broker))
    await client.connect()
    waiting = asyncio.ensure_future(anext(client.messages))
    await asyncio.sleep(0)
    client.close()
    with pytest.raises(BrokerError, match="closed by us"):
        await waiting


async def test_a_message_larger_than_the_broker_accepts_is_not_sent() -> None:
    options = "allow_anonymous true\nmax_packet_size 2000"
    with mosquitto(Spec(options=options)) as broker:
        async with OneShotClient(Mqtt(host=broker.host, port=broker.port)) as client:
            with pytest.raises(AttemptError, match=r"accepts \(it announces 2000\)"):
                await client.publish("a", b"x" * 3000)
            assert await client.publish("a", b"small") < FAILURE
