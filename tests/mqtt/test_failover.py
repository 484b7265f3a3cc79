"""Several brokers, and several addresses of one: real ones, killed in turns."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from bridge.config import Mqtt
from bridge.mqtt import fallbacks
from bridge.mqtt.duplicate_bridge import find
from bridge.mqtt.one_shot import OneShotClient
from bridge.topics import Topics
from tests.support.bridges import TOPICS, Bridge, bridge, presence
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.mqtt_client import connected
from tests.support.proxy import proxied
from tests.support.servers import saying, server
from tests.support.waiting import DEADLINE, until


def config(*brokers: Mosquitto, **more: object) -> Mqtt:
    first, *further = brokers
    return Mqtt.model_validate(
        {
            "host": first.host,
            "port": first.port,
            "hosts": [f"{broker.host}:{broker.port}" for broker in further],
            "connect_timeout": 1.0,
            **more,
        }
    )


async def test_brokers_that_are_killed_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fallbacks, "FAILBACK_INTERVAL", 3600.0)
    with mosquitto() as first, mosquitto() as second:
        async with bridge(config(first, second)) as printer:
            await printer.online()
            assert printer.broker.endpoint == f"{first.host}:{first.port}"
            for number, (dead, alive) in enumerate(
                [(first, second), (second, first), (first, second)], 2
            ):
                dead.kill()
                await printer.online(number)
                assert printer.broker.endpoint == f"{alive.host}:{alive.port}"
                assert printer.broker.failovers == number - 1
                with connected(alive.port, "printer/#", host=alive.host) as late:
                    await late.hears("printer/availability", b"online")
                dead.start()


async def test_the_first_broker_is_used_again_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fallbacks, "FAILBACK_INTERVAL", 0.2)
    with mosquitto(start=False) as first, mosquitto() as second:
        async with bridge(config(first, second)) as printer:
            await printer.online()
            assert printer.broker.endpoint == f"{second.host}:{second.port}"
            first.start()
            await until(lambda: printer.broker.endpoint == f"{first.host}:{first.port}")
            await printer.online(2)
            with connected(second.port, "printer/#", host=second.host) as late:
                await late.hears("printer/availability", b"offline")
    assert f"{first.port}: it answers again" in caplog.text


async def test_a_one_shot_client_tries_all_of_them() -> None:
    with mosquitto(start=False) as first, mosquitto() as second:
        async with OneShotClient(config(first, second)) as client:
            assert await client.publish("x", b"y") == 0x10  # no subscriber


def joined_to(host: str, port: int) -> Spec:
    """Return a broker that is bridged to another one: they share all topics."""
    return Spec(
        options="allow_anonymous true\n"
        "connection other\n"
        f"address {host}:{port}\n"
        "topic # both 1\n"
        "bridge_protocol_version mqttv50\n"
        "restart_timeout 1\n"
        "notifications false"
    )


def has_heard(printer: Bridge, payload: bytes) -> bool:
    return payload in [message.payload for message in printer.heard]


async def are_joined(first: Mosquitto, second: Mosquitto) -> None:
    """Wait until what is published at one broker arrives at the other."""
    for here, there in ((first, second), (second, first)):
        with connected(there.port, "joined", host=there.host) as far:
            async with asyncio.timeout(DEADLINE):
                while not far.heard:
                    with connected(here.port, host=here.host) as near:
                        await near.publish("joined", b"x")


async def test_bridged_brokers_that_are_killed_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client at either node reaches the printer at the other, and sees its states."""
    monkeypatch.setattr(fallbacks, "FAILBACK_INTERVAL", 3600.0)
    with mosquitto() as first, mosquitto(joined_to(first.host, first.port)) as second:
        await are_joined(first, second)
        async with bridge(config(first, second)) as printer:
            await printer.online()
            turns = [(first, second), (second, first)]
            for number, (dead, alive) in enumerate(turns, 2):
                dead.kill()
                await printer.online(number)
                assert printer.broker.endpoint == f"{alive.host}:{alive.port}"
                dead.start()
                await are_joined(first, second)
                for node in (dead, alive):
                    command = b"%d at %d" % (number, node.port)
                    with connected(
                        node.port, "printer/availability", host=node.host
                    ) as home:
                        await home.hears("printer/availability", b"online")
                        await home.publish("printer/head", command)
                        await until(partial(has_heard, printer, command))
            assert printer.broker.conflict is None
        heard = [one.payload for one in printer.heard if one.topic == "printer/head"]
        assert len(heard) == len(set(heard)) == 4


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Mosquitto, Mosquitto]]:
    """Return two brokers that share all topics; each has client ids of its own."""
    with mosquitto() as first, mosquitto(joined_to(first.host, first.port)) as second:
        yield first, second


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("client_id", ["gcode2mqtt-printer", "another"])
async def test_two_bridges_at_two_nodes_notice_each_other(
    nodes: tuple[Mosquitto, Mosquitto],
    protocol: str,
    client_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only the instance tells them apart, whether or not they have one client id."""
    first, second = nodes
    await are_joined(first, second)
    who = replace(presence("two"), client_id=client_id)
    async with bridge(config(first, protocol=protocol), presence("one")) as printer:
        await printer.online()
        with connected(second.port, TOPICS.availability, host=second.host) as there:
            await there.hears(TOPICS.availability, b"online")
        async with bridge(config(second, protocol=protocol), who) as other:
            text = "another bridge (instance one) serves printer/…"
            await until(lambda: text in caplog.text)
            assert not other.broker.connected
            assert printer.broker.statistics.connects == 1
            await printer.end()
            await other.online()
            assert other.broker.endpoint == f"{second.host}:{second.port}"


async def test_leftovers_of_a_crashed_bridge_at_both_nodes_allow_a_start(
    nodes: tuple[Mosquitto, Mosquitto],
) -> None:
    first, second = nodes
    await are_joined(first, second)
    with connected(first.port, host=first.host) as past:
        await past.publish(TOPICS.availability, b"online", retain=True)
        await past.publish(TOPICS.info, b'{"instance": "crashed"}', retain=True)
    with connected(second.port, TOPICS.info, host=second.host) as there:
        await there.hears(TOPICS.info)
    async with bridge(config(second)) as printer:
        await printer.online()
        assert printer.broker.conflict is None


async def test_two_printers_at_two_nodes_are_no_duplicates(
    nodes: tuple[Mosquitto, Mosquitto],
) -> None:
    first, second = nodes
    await are_joined(first, second)
    who = presence("two", Topics("printers/other"))
    async with bridge(config(first)) as one, bridge(config(second), who) as other:
        await one.online()
        await other.online()
        for port, host in ((first.port, first.host), (second.port, second.host)):
            with connected(port, host=host) as home:
                await home.publish("printer/head", b"%d" % port)
                await home.publish("printers/other/head", b"%d" % port)
        await until(lambda: len(one.heard) == len(other.heard) == 2)


async def test_a_bridge_at_another_node_is_found_by_who_asks(
    nodes: tuple[Mosquitto, Mosquitto],
) -> None:
    """As `purge` asks; its own instance is nobody else."""
    first, second = nodes
    await are_joined(first, second)
    async with bridge(config(first), presence("one")) as printer:
        await printer.online()
        with connected(second.port, TOPICS.availability, host=second.host) as there:
            await there.hears(TOPICS.availability, b"online")
        for instance, found in (("two", "one"), ("one", None)):
            asked = find(config(second), TOPICS, client_id="x", instance=instance)
            assert await asked == found
        assert printer.broker.statistics.connects == 1


async def test_two_bridges_meet_when_their_brokers_are_joined(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each serves its node, until the connection between the nodes is there."""
    with mosquitto() as first:
        async with proxied(first.host, first.port) as between:
            between.swallowing = True
            with mosquitto(joined_to("127.0.0.1", between.port)) as second:
                async with (
                    bridge(config(second), presence("one")) as one,
                    bridge(config(first), presence("two")) as two,
                ):
                    await one.online()
                    await two.online()
                    between.swallowing = False
                    between.reset()
                    await until(lambda: "another bridge (instance " in caplog.text)
                    await until(
                        lambda: one.broker.connected is not two.broker.connected
                    )


def resolving_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Let every name have an address for each of these ports on this machine."""

    def found(*_arguments: object, **_named: object) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*kind, ("127.0.0.1", port)) for port in ports]

    monkeypatch.setattr(socket, "getaddrinfo", found)


async def test_an_address_that_never_answers_does_not_hide_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mosquitto() as good, socket.socket() as full:
        full.bind(("127.0.0.1", 0))  # not listening: refused at once
        async with server(saying()) as silent:
            resolving_to(monkeypatch, silent, full.getsockname()[1], good.port)
            mqtt = Mqtt(host="broker.example", connect_timeout=0.5)
            async with bridge(mqtt) as printer:
                await printer.online()
            async with asyncio.timeout(20), OneShotClient(mqtt) as client:
                assert await client.publish("x", b"y") == 0x10


@pytest.mark.parametrize("code", [0x9C, 0x9D])
async def test_the_server_that_a_broker_refers_to_is_named_and_not_used(
    code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Any broker could have our password sent to any host with it."""
    with mosquitto() as other:
        name = f"{other.host}:{other.port}".encode()
        text = b"\x1c" + len(name).to_bytes(2, "big") + name
        properties = bytes([len(text)]) + text
        refusal = bytes([0x20, 2 + len(properties), 0, code]) + properties
        accepted = b"\x20\x03\x00\x00\x00"
        farewell = bytes([0xE0, 1 + len(properties), code]) + properties
        for packets in ((refusal,), (accepted, farewell)):
            caplog.clear()
            async with server(saying(*packets)) as port:
                mqtt = Mqtt(host="127.0.0.1", port=port, protocol="5")
                async with bridge(mqtt):
                    await until(lambda: name.decode() in caplog.text)
            assert "set mqtt.host to " in caplog.text
        assert "gcode2mqtt" not in other.log()
