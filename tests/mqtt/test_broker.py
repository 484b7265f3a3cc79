"""A printer on a real broker: there, away, back."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from bridge.config import Mqtt
from bridge.mqtt.messages import Lane
from bridge.mqtt.session import Presence
from bridge.topics import Topics
from tests.support.bridges import TOPICS, bridge, presence
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.mqtt_client import Account, connected
from tests.support.proxy import proxied
from tests.support.waiting import until

Protocol = Literal["5", "3.1.1"]


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    version: Protocol = request.param
    return version


@pytest.fixture
def persistent() -> Iterator[Mosquitto]:
    with mosquitto(Spec(persistent=True)) as running:
        yield running


def config(port: int, protocol: Protocol = "5") -> Mqtt:
    return Mqtt(
        host="127.0.0.1", port=port, protocol=protocol, keepalive=5, connect_timeout=5
    )


async def test_what_is_retained_is_there_before_online_is_said(
    broker: Mosquitto, protocol: Protocol
) -> None:
    with connected(broker.port, "printer/#") as watcher:
        async with bridge(config(broker.port, protocol)) as printer:
            await printer.online()
            await watcher.hears(TOPICS.availability, b"online")
            order = [heard.topic for heard in watcher.heard]
    assert order.index(TOPICS.availability) > order.index(TOPICS.state)
    assert order.index(TOPICS.availability) > order.index(TOPICS.info)


async def test_a_late_subscriber_finds_everything_retained(
    broker: Mosquitto, protocol: Protocol
) -> None:
    async with bridge(config(broker.port, protocol)) as printer:
        await printer.online()
        with connected(broker.port, "printer/#") as late:
            await late.hears(TOPICS.availability, b"online")
            await late.hears(TOPICS.state, b"{}")
            assert all(heard.retain for heard in late.heard)


async def test_it_disconnects_with_offline_and_without_its_will(
    broker: Mosquitto, protocol: Protocol
) -> None:
    with connected(broker.port, TOPICS.availability) as watcher:
        async with bridge(config(broker.port, protocol)) as printer:
            await printer.online()
        await watcher.hears(TOPICS.availability, b"offline")
    assert watcher.payloads(TOPICS.availability) == [b"online", b"offline"]
    assert "Received DISCONNECT from gcode2mqtt-printer" in broker.log()


async def test_what_waits_is_sent_before_it_disconnects(broker: Mosquitto) -> None:
    with connected(broker.port, "printer/#") as watcher:
        async with bridge(config(broker.port)) as printer:
            await printer.online()
            for number in range(50):
                printer.broker.publish(
                    TOPICS.response, b"%d" % number, qos=1, lane=Lane.RESPONSE
                )
        await watcher.hears(TOPICS.availability, b"offline")
        assert watcher.payloads(TOPICS.response) == [b"%d" % n for n in range(50)]


async def test_a_command_arrives_with_all_that_mqtt_5_knows(broker: Mosquitto) -> None:
    async with bridge(config(broker.port)) as printer:
        await printer.online()
        with connected(broker.port) as sender:
            await sender.publish(
                "printer/head",
                b"{}",
                ResponseTopic="reply/me",
                CorrelationData=b"17",
                MessageExpiryInterval=60,
            )
        await until(lambda: len(printer.heard) == 1)
    [message] = printer.heard
    assert (message.topic, message.payload, message.qos) == ("printer/head", b"{}", 1)
    assert (message.response_topic, message.correlation) == ("reply/me", b"17")
    assert message.expiry == pytest.approx(60, abs=1)
    assert not message.retain
    assert not message.duplicate


async def test_an_answer_carries_correlation_and_expiry(broker: Mosquitto) -> None:
    with connected(broker.port, "reply/#") as watcher:
        async with bridge(config(broker.port)) as printer:
            await printer.online()
            printer.broker.publish(
                "reply/me", b"{}", qos=1, expiry=30, correlation=b"17"
            )
            heard = await watcher.hears("reply/me")
    assert heard.correlation == b"17"
    assert heard.expiry == pytest.approx(30, abs=1)


@pytest.mark.parametrize("level", ["head", "emergency", "request/state"])
async def test_a_retained_command_from_before_is_distinguished(
    broker: Mosquitto, protocol: Protocol, level: str
) -> None:
    topic = f"printer/{level}"
    with connected(broker.port) as sender:
        await sender.publish(topic, b"{}", retain=True)
    async with bridge(config(broker.port, protocol)) as printer:
        await printer.online()
        with connected(broker.port) as sender:
            await sender.publish("printer/bed", b"last")
        await until(lambda: any(m.payload == b"last" for m in printer.heard))
    before = [message.retain for message in printer.heard if message.topic == topic]
    # So that it is refused and cleared; on MQTT 5 a stop of the past is left alone.
    is_left = protocol == "5" and level == "emergency"
    assert before == ([] if is_left else [True])


async def test_a_live_retained_command_is_distinguished_on_mqtt_5(
    broker: Mosquitto,
) -> None:
    async with bridge(config(broker.port)) as printer:
        await printer.online()
        with connected(broker.port) as sender:
            await sender.publish("printer/head", b"{}", retain=True)
        await until(lambda: bool(printer.heard))
    assert printer.heard[0].retain


async def test_clearing_a_retained_command_is_not_heard_as_a_command(
    broker: Mosquitto, protocol: Protocol
) -> None:
    with connected(broker.port) as sender:
        await sender.publish("printer/head", b"{}", retain=True)
        async with bridge(config(broker.port, protocol)) as printer:
            await printer.online()
            printer.broker.clear_command("printer/head")
            await printer.online()
            await sender.publish("printer/head", b"")
            await sender.publish("printer/bed", b"last")
            await until(lambda: any(m.payload == b"last" for m in printer.heard))
        live = [m.topic for m in printer.heard if not m.retain]
        assert live == ["printer/head", "printer/bed"]
    with connected(broker.port, "printer/head") as late:
        await late.publish("printer/head", b"after")
        await late.hears("printer/head", b"after")
        assert late.payloads("printer/head") == [b"after"]


async def test_clearing_a_retained_stop_stops_again_on_mqtt_3(
    broker: Mosquitto,
) -> None:
    """It cannot be told from one, and a stop too many does no harm."""
    with connected(broker.port) as sender:
        await sender.publish(TOPICS.emergency, b"now", retain=True)
    async with bridge(config(broker.port, "3.1.1")) as printer:
        await printer.online()
        printer.broker.clear_command(TOPICS.emergency)
        await until(lambda: len(printer.heard) == 2)
    stops = [(m.topic, m.payload, m.retain) for m in printer.heard]
    assert stops == [(TOPICS.emergency, b"now", True), (TOPICS.emergency, b"", False)]


async def test_a_clearing_that_is_sent_twice_is_heard_as_no_command(
    broker: Mosquitto,
) -> None:
    """As when the connection is up only after a retained command came."""
    async with bridge(config(broker.port, "3.1.1")) as printer:
        await printer.online()
        sent = printer.broker.statistics.sent
        for _ in range(2):
            printer.broker.clear_command("printer/head")
            printer.broker.republish()
        with connected(broker.port, "printer/#") as sender:
            await until(lambda: printer.broker.waiting == 0)
            assert printer.broker.statistics.sent > sent + 1
            await sender.publish("printer/head", b"")
            await until(lambda: bool(printer.heard))
            await sender.publish("printer/bed", b"last")
            await until(lambda: any(m.payload == b"last" for m in printer.heard))
        heard = [(m.topic, m.payload) for m in printer.heard]
    assert heard == [("printer/head", b""), ("printer/bed", b"last")]


async def test_the_broker_may_come_later(protocol: Protocol) -> None:
    with mosquitto(start=False) as broker:
        async with bridge(config(broker.port, protocol)) as printer:
            printer.broker.publish(TOPICS.event, b"{}", qos=1)
            await asyncio.sleep(0)
            assert not printer.broker.connected
            broker.start()
            await printer.online()
            with connected(broker.port, "printer/#") as late:
                await late.hears(TOPICS.state)


async def test_a_broker_that_lost_its_retained_messages_gets_them_again(
    broker: Mosquitto, protocol: Protocol
) -> None:
    async with bridge(config(broker.port, protocol)) as printer:
        await printer.online()
        broker.kill()
        await until(lambda: not printer.broker.connected)
        printer.broker.publish(TOPICS.state, b'{"new": 1}', qos=1, retain=True)
        broker.start()
        await printer.online(connects=2)
        with connected(broker.port, "printer/#") as late:
            await late.hears(TOPICS.availability, b"online")
            await late.hears(TOPICS.state, b'{"new": 1}')
            await late.hears(TOPICS.info)


async def test_a_broker_that_forgets_nothing_keeps_no_commands_for_us(
    persistent: Mosquitto, protocol: Protocol
) -> None:
    async with bridge(config(persistent.port, protocol)) as printer:
        await printer.online()
        persistent.stop()
        await until(lambda: not printer.broker.connected)
        persistent.start()
        await printer.online(connects=2)
        with connected(persistent.port, "printer/#") as late:
            await late.hears(TOPICS.availability, b"online")
        with connected(persistent.port) as sender:
            await sender.publish("printer/head", b"{}")
        await until(lambda: bool(printer.heard))
    async with bridge(config(persistent.port, protocol)) as again:
        with connected(persistent.port) as sender:
            await sender.publish("printer/head", b"while away")
        await again.online()
        with connected(persistent.port) as sender:
            await sender.publish("printer/bed", b"last")
        await until(lambda: any(m.payload == b"last" for m in again.heard))
        assert [m.topic for m in again.heard if not m.retain][-1] == "printer/bed"


async def test_a_dead_bridge_is_called_offline(broker: Mosquitto) -> None:
    async with proxied(broker.host, broker.port) as proxy:
        mqtt = config(proxy.port).model_copy(update={"will_delay": 0})
        async with bridge(mqtt) as printer:
            await printer.online()
            with connected(broker.port, TOPICS.availability) as watcher:
                await watcher.hears(TOPICS.availability, b"online")
                proxy.reset()
                await watcher.hears(TOPICS.availability, b"offline")
                await printer.online(connects=2)
                await until(
                    lambda: watcher.payloads(TOPICS.availability)[-1] == b"online"
                )


async def test_the_will_of_an_earlier_connection_is_contradicted(
    broker: Mosquitto, protocol: Protocol
) -> None:
    async with bridge(config(broker.port, protocol)) as printer:
        await printer.online()
        with connected(broker.port, TOPICS.availability) as other:
            await other.publish(TOPICS.availability, b"offline", retain=True)
            await until(lambda: other.payloads(TOPICS.availability)[-1] == b"online")


async def test_a_connection_cut_within_a_packet_is_made_again(
    broker: Mosquitto, protocol: Protocol
) -> None:
    async with (
        proxied(broker.host, broker.port) as proxy,
        bridge(config(proxy.port, protocol)) as printer,
    ):
        await printer.online()
        proxy.cut_after = 1
        with connected(broker.port) as sender:
            await sender.publish("printer/head", b"x" * 5000)
        await until(lambda: not printer.broker.connected)
        proxy.cut_after = None
        await printer.online(connects=2)
        with connected(broker.port) as sender:
            await sender.publish("printer/bed", b"whole")
        await until(lambda: any(m.payload == b"whole" for m in printer.heard))
    assert not any(m.payload.startswith(b"x") for m in printer.heard)


async def test_a_response_under_way_when_the_connection_breaks_is_sent_again(
    broker: Mosquitto, protocol: Protocol
) -> None:
    with connected(broker.port, TOPICS.response) as watcher:
        async with (
            proxied(broker.host, broker.port) as proxy,
            bridge(config(proxy.port, protocol)) as printer,
        ):
            await printer.online()
            proxy.swallowing = True
            for number in range(30):
                printer.broker.publish(
                    TOPICS.response, b"%d" % number, qos=1, lane=Lane.RESPONSE
                )
            proxy.reset()
            await until(lambda: not printer.broker.connected)
            proxy.swallowing = False
            await printer.online(connects=2)
            await watcher.hears(TOPICS.response, b"29")
    assert watcher.payloads(TOPICS.response) == [b"%d" % n for n in range(30)]


async def test_large_messages_pass_both_ways(
    broker: Mosquitto, protocol: Protocol
) -> None:
    large = b"y" * 1_900_000  # newer versions of Mosquitto accept 2,000,000 bytes
    with connected(broker.port, TOPICS.response) as client:
        async with bridge(config(broker.port, protocol)) as printer:
            await printer.online()
            await client.publish("printer/command", large)
            await until(lambda: bool(printer.heard))
            printer.broker.publish(TOPICS.response, large, qos=1)
            await client.hears(TOPICS.response)
    assert printer.heard[0].payload == large
    assert client.payloads(TOPICS.response) == [large]


async def test_a_packet_beyond_the_announced_size_does_not_come(
    broker: Mosquitto,
) -> None:
    small = config(broker.port).model_copy(update={"max_packet": 65_536})
    async with bridge(small) as printer:
        await printer.online()
        with connected(broker.port) as sender:
            await sender.publish("printer/command", b"z" * 200_000)
            await sender.publish("printer/bed", b"last")
        await until(lambda: bool(printer.heard))
    assert [message.payload for message in printer.heard] == [b"last"]


async def test_a_message_too_large_for_the_broker_keeps_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = "allow_anonymous true\nmax_packet_size 2000"
    with (
        mosquitto(Spec(options=options)) as broker,
        connected(broker.port, "printer/#") as watcher,
    ):
        async with bridge(config(broker.port)) as printer:
            await printer.online()
            printer.broker.publish(TOPICS.event, b"e" * 3000, qos=1)
            printer.broker.publish(TOPICS.event, b"small", qos=1)
            await watcher.hears(TOPICS.event, b"small")
            assert printer.broker.statistics.connects == 1
            assert printer.broker.statistics.refused == 1
    assert (
        "printer/event was larger than the broker accepts (it announces 2000"
        in caplog.text
    )


async def test_a_client_id_taken_over_twice_does_not_end_the_bridge(
    broker: Mosquitto, protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    other = Account(client_id="gcode2mqtt-printer")
    async with bridge(config(broker.port, protocol)) as printer:
        await printer.online()
        with connected(broker.port, account=other):
            await until(lambda: not printer.broker.connected)
        await printer.online(connects=2)
        with connected(broker.port, account=other):
            await until(lambda: "twice in a row" in caplog.text)
        await printer.online(connects=3)
        assert not printer.task.done()
    assert 'client id "gcode2mqtt-printer" twice in a row' in caplog.text


async def test_after_takeovers_another_client_id_is_used(
    broker: Mosquitto, protocol: Protocol
) -> None:
    """So whoever knows the usual one cannot keep the bridge away from the broker."""
    other = Account(client_id="gcode2mqtt-printer")
    conflicts: list[str] = []
    async with bridge(config(broker.port, protocol), on_conflict=conflicts.append) as (
        printer
    ):
        for connects in (1, 2):
            await printer.online(connects=connects)
            with connected(broker.port, account=other):
                await until(lambda: not printer.broker.connected)
        await printer.online(connects=3)
        with connected(broker.port, account=other) as rival:
            await rival.publish("printer/head", b"{}")
            await until(lambda: bool(printer.heard))
            assert printer.broker.statistics.connects == 3
        assert [text.partition(" twice")[0] for text in conflicts] == [
            'another client took over our client id "gcode2mqtt-printer"'
        ]
        assert printer.broker.conflict == conflicts[0]


async def test_a_client_id_without_rights_is_given_up(protocol: Protocol) -> None:
    """An access list may give rights to a client id."""
    allowed = "gcode2mqtt-printer"
    acl = b"pattern readwrite %c/#\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    topics = Topics(allowed)
    who = Presence(
        client_id=allowed, topics=topics, instance="", subscriptions=topics.commands
    )
    with mosquitto(Spec(options=options, files={"acl": acl})) as broker:
        async with bridge(config(broker.port, protocol), who) as printer:
            for connects in (1, 2):
                await printer.online(connects=connects)
                with connected(broker.port, account=Account(client_id=allowed)):
                    await until(lambda: not printer.broker.connected)
            pattern = f" as {allowed}"
            await until(lambda: f"{pattern}-" in broker.log())
            usual = broker.log().count(f"{pattern} ")
            await until(lambda: broker.log().count(f"{pattern} ") > usual)
            await printer.online(connects=4)


async def test_a_broker_that_restarts_twice_is_no_takeover(
    broker: Mosquitto, protocol: Protocol
) -> None:
    async with bridge(config(broker.port, protocol)) as printer:
        for connects in (2, 3, 4):
            await printer.online(connects=connects - 1)
            broker.kill()
            await until(lambda: not printer.broker.connected)
            broker.start()
        await printer.online(connects=4)


async def test_an_error_in_a_message_handler_publishes_offline(
    broker: Mosquitto,
) -> None:
    def fail(_message: object) -> None:
        raise ZeroDivisionError

    with connected(broker.port, TOPICS.availability) as client:
        async with bridge(config(broker.port), on_message=fail) as printer:
            await printer.online()
            await client.publish("printer/head", b"{}")
            assert isinstance(await printer.fails(), ZeroDivisionError)
            await client.hears(TOPICS.availability, b"offline")


async def test_the_statistics_tell_what_went_over_the_wire(broker: Mosquitto) -> None:
    async with bridge(config(broker.port, "3.1.1")) as printer:
        await printer.online()
        with connected(broker.port) as sender:
            await sender.publish("printer/head", b"{}")
        await until(lambda: bool(printer.heard))
        statistics = replace(printer.broker.statistics)
    assert (statistics.connects, statistics.reconnects) == (1, 0)
    assert (statistics.received, statistics.protocol) == (1, "3.1.1")
    assert statistics.sent >= 2
    assert statistics.connected_since is not None
    assert printer.broker.statistics.connected_since is None


async def test_home_assistants_birth_gets_everything_again(broker: Mosquitto) -> None:
    async with bridge(config(broker.port), presence()) as printer:
        await printer.online()
        with connected(broker.port, "printer/#") as watcher:
            await until(lambda: len(watcher.heard) == 3)
            watcher.heard.clear()
            printer.broker.publish(TOPICS.state, b"{}", qos=1, retain=True)
            printer.broker.republish()
            await until(lambda: len(watcher.heard) == 3)
            topics = [heard.topic for heard in watcher.heard]
    assert topics == [
        TOPICS.info,
        TOPICS.state,
        TOPICS.availability,
    ]
