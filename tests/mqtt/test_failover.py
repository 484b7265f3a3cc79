"""Several brokers, and several addresses of one: real ones, killed in turns."""

import asyncio
import socket
from typing import Any

import pytest

from bridge.config import Mqtt
from bridge.mqtt import broker_addresses
from bridge.mqtt.one_shot import OneShotClient
from tests.support.bridges import bridge
from tests.support.brokers import Mosquitto, mosquitto
from tests.support.mqtt_client import connected
from tests.support.servers import saying, server
from tests.support.waiting import until


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
    monkeypatch.setattr(broker_addresses, "FAILBACK_INTERVAL", 3600.0)
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
    monkeypatch.setattr(broker_addresses, "FAILBACK_INTERVAL", 0.2)
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
