"""What docs/brokers.md says of brokers other than Mosquitto, tried with real ones.

Run with ``scripts/test tests/mqtt/test_other_brokers.py -m other_brokers``; a broker
that is not installed is skipped.
"""

from collections.abc import Iterator

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from bridge.app.doctor import examine
from bridge.config import Config, Mqtt, PrinterConfig
from bridge.findings import Finding
from bridge.mqtt import fallbacks
from tests.support.bridges import TOPICS, bridge
from tests.support.mqtt_client import Account, connected
from tests.support.other_brokers import (
    BROKERS,
    kill,
    nats_cluster,
    other_broker,
    rabbitmq_cluster,
)
from tests.support.waiting import until

pytestmark = pytest.mark.other_brokers

# RabbitMQ has this account, and the others take any; ejabberd takes nobody without one.
GUEST = {"username": "guest", "password": "guest"}
OLD = Account(version=MQTTProtocolVersion.MQTTv311, **GUEST)
ELECTION = 200.0
"""Seconds that a cluster may take to agree on its leaders, three times a node."""
FORBIDDEN = ("publish printer/state", "subscribe printer/head")


@pytest.fixture(scope="module", params=BROKERS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with other_broker(request.param) as found:
        if found is None:
            pytest.skip(f"{request.param} is not installed")
        yield found


def config(port: int) -> Mqtt:
    return Mqtt.model_validate(
        {"host": "127.0.0.1", "port": port, "will_delay": 0, **GUEST}
    )


async def test_states_commands_and_retained_messages(port: int) -> None:
    async with bridge(config(port)) as printer:
        await printer.online()
        printer.broker.publish(TOPICS.state, b'{"n": 1}', qos=1, retain=True)
        await printer.online()
        # RabbitMQ delivers retained messages to exact filters only.
        with connected(
            port, TOPICS.state, TOPICS.availability, TOPICS.event, account=OLD
        ) as late:
            assert (await late.hears(TOPICS.state)).payload == b'{"n": 1}'
            assert (await late.hears(TOPICS.availability)).payload == b"online"
            for number in range(100):
                await late.publish("printer/head", b"%d" % number)
            await until(lambda: len(printer.heard) >= 100)
            printer.broker.publish(TOPICS.event, b"last", qos=1)
            await late.hears(TOPICS.event, b"last")
            assert printer.broker.statistics.connects == 1
            await printer.end()
            printer.failed = True
            await late.hears(TOPICS.availability, b"offline")
    commands = [one.payload for one in printer.heard if one.topic == "printer/head"]
    assert commands == [b"%d" % number for number in range(100)]


async def test_a_command_with_the_retain_flag_is_cleared(port: int) -> None:
    mqtt = config(port).model_copy(update={"protocol": "3.1.1"})
    async with bridge(mqtt) as printer:
        await printer.online()
        with connected(port, "printer/head", account=OLD) as home:
            await home.publish("printer/head", b"{}", retain=True)
            await home.hears("printer/head", b"{}")
            await home.hears("printer/head", b"")
        with connected(port, "printer/head", "end", account=OLD) as late:
            await late.publish("end", b"x")
            await late.hears("end")
            assert late.payloads("printer/head") == []
    assert [one.payload for one in printer.heard if one.topic == "printer/head"] == [
        b"{}"
    ]


async def test_the_doctor_changes_nothing(port: int) -> None:
    kept = {TOPICS.availability: b"offline", TOPICS.state: b'{"n": 1}'}
    with connected(port, *kept, account=OLD) as other:
        for topic, payload in kept.items():
            await other.publish(topic, payload, retain=True)
            await other.hears(topic, payload)
        findings = await diagnosed(port)
        assert [one.text for one in findings if one.verdict == "wrong"] == []
        assert b"" not in [one.payload for one in other.heard]
        with connected(port, *kept, account=OLD) as late:
            for topic, payload in kept.items():
                await late.hears(topic, payload)


@pytest.mark.parametrize("name", ["aedes", "ejabberd", "RabbitMQ"])
async def test_the_doctor_names_what_is_forbidden(name: str) -> None:
    with other_broker(name, "subscribe printer/head") as found:
        if found is None:
            pytest.skip(f"{name} is not installed")
        findings = await diagnosed(found)
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    assert [finding.check for finding in wrong] == ["subscribe"]
    assert "printer/head" in wrong[0].text
    assert "the right to read that topic" in wrong[0].text


async def diagnosed(port: int) -> list[Finding]:
    settings = Config(mqtt=config(port), printers=(PrinterConfig(),))
    return [finding async for finding in examine(settings, printers=False)]


@pytest.mark.parametrize("name", ["aedes", "ejabberd", "RabbitMQ"])
async def test_a_topic_that_is_forbidden_is_left_out(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    missing = ("publish on printer/state", "subscribe to printer/head")
    with other_broker(name, *FORBIDDEN) as found:
        if found is None:
            pytest.skip(f"{name} is not installed")
        async with bridge(config(found)) as printer:
            await until(lambda: printer.broker.missing_rights == missing)
            await printer.online()
            with connected(found, account=OLD) as home:
                await home.publish("printer/bed", b"{}")
                await until(lambda: bool(printer.heard))
    if name == "ejabberd":  # it refuses, and does not close the connection
        assert 'does not let "guest" publish on printer/state' in caplog.text
        assert printer.broker.statistics.connects == 1
        return
    for topic in ("publishes on printer/state", "subscribes to printer/head"):
        assert f'"guest" {topic}, so that is left out' in caplog.text


async def test_a_cluster_of_three_loses_the_node_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NATS elects a leader first, so nobody connects for a while."""
    monkeypatch.setattr(fallbacks, "FAILBACK_INTERVAL", 3600.0)
    with nats_cluster() as nodes:
        if nodes is None:
            pytest.skip("NATS is not installed")
        first, *further = nodes
        update = {
            "hosts": tuple(f"127.0.0.1:{port}" for port in further),
            "protocol": "3.1.1",
            "connect_timeout": 60.0,
        }
        async with bridge(config(first).model_copy(update=update)) as printer:
            await until(lambda: printer.broker.connected, ELECTION)
            await until(lambda: printer.broker.waiting == 0, ELECTION)
            used = int(printer.broker.endpoint.rpartition(":")[2])
            connects = printer.broker.statistics.connects
            nodes[used].kill()
            await until(lambda: printer.broker.statistics.connects > connects, ELECTION)
            await until(lambda: printer.broker.waiting == 0, ELECTION)
            alive = int(printer.broker.endpoint.rpartition(":")[2])
            assert alive != used
            assert printer.broker.failovers >= 1
            with connected(alive, TOPICS.availability, account=OLD) as home:
                await home.hears(TOPICS.availability, b"online")
                await home.publish("printer/head", b"{}")
                await until(lambda: bool(printer.heard))


async def test_a_cluster_of_rabbitmq_has_retained_messages_of_each_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Messages pass between the nodes; what is retained stays where it came in."""
    monkeypatch.setattr(fallbacks, "FAILBACK_INTERVAL", 3600.0)
    with rabbitmq_cluster() as nodes:
        if nodes is None:
            pytest.skip("RabbitMQ is not installed")
        first, second, third = nodes
        update = {
            "hosts": tuple(f"127.0.0.1:{port}" for port in (second, third)),
            "protocol": "3.1.1",
        }
        mqtt = config(first).model_copy(update=update)
        async with bridge(mqtt) as printer:
            await printer.online()
            with (
                connected(first, *EXACT, account=OLD) as here,
                connected(second, *EXACT, account=OLD) as there,
            ):
                assert (await here.hears(TOPICS.state)).payload == b"{}"
                printer.broker.publish(TOPICS.state, b'{"n": 1}', qos=1, retain=True)
                await there.hears(TOPICS.state, b'{"n": 1}')
                await there.publish("printer/head", b"1")
                await until(lambda: bool(printer.heard))
                # A subscriber that comes later sees it at this node only.
                await nothing_is_retained(second)
                findings = await diagnosed(second)
                # It was answered from the other node; there is no printer in this test.
                assert [one.text for one in findings if one.verdict == "wrong"] == [
                    "printer/connection is offline: the bridge has no printer"
                ]
                assert b"" not in [one.payload for one in here.heard + there.heard]
            kill(nodes[first])
            await printer.online(connects=2)
            assert printer.broker.failovers >= 1
            with connected(second, *EXACT, account=OLD) as late:
                await late.hears(TOPICS.state, b'{"n": 1}')
                await late.hears(TOPICS.availability, b"online")
                await late.publish("printer/head", b"2")
                await until(lambda: len(printer.heard) == 2)


EXACT = (TOPICS.state, TOPICS.availability)


async def nothing_is_retained(port: int) -> None:
    with connected(port, *EXACT, "end", account=OLD) as late:
        await late.publish("end", b"x")
        await late.hears("end")
        assert {message.topic for message in late.heard} == {"end"}
