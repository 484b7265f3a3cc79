"""Several brokers, and several addresses of one: real ones, killed in turns."""

import asyncio
import socket
from functools import partial
from typing import Any

import pytest

from bridge.config import Mqtt
from bridge.mqtt import fallbacks
from bridge.mqtt.one_shot import OneShotClient
from tests.support.bridges import Bridge, bridge, presence
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.mqtt_client import connected
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


def joined_to(other: Mosquitto) -> Spec:
    """Return a broker that is bridged to another one: they share all topics."""
    return Spec(
        options="allow_anonymous true\n"
        "connection other\n"
        f"address {other.host}:{other.port}\n"
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
    with mosquitto() as first, mosquitto(joined_to(first)) as second:
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


async def test_two_bridges_at_two_nodes_notice_each_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each node has client ids of its own, so only the instance tells them apart."""
    with mosquitto() as first, mosquitto(joined_to(first)) as second:
        await are_joined(first, second)
        async with bridge(config(first), presence("one")) as printer:
            await printer.online()
            async with bridge(config(second), presence("two")) as other:
                text = "another bridge (instance one) serves printer/…"
                await until(lambda: text in caplog.text)
                assert not other.broker.connected
                assert printer.broker.connected
                await printer.end()
                await other.online()
                assert other.broker.endpoint == f"{second.host}:{second.port}"


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
