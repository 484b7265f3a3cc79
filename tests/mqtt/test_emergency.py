"""The connection for emergency stops, with a real broker."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bridge.backoff import Backoff
from bridge.config import Mqtt
from bridge.mqtt import emergency, fallbacks
from bridge.mqtt.emergency import EmergencyConnection
from bridge.mqtt.messages import Message
from tests.support.brokers import Mosquitto, Spec, mosquitto, password_line
from tests.support.closing import closing
from tests.support.mqtt_client import Account, connected
from tests.support.waiting import DEADLINE, until

ONE, OTHER = "printers/one/emergency", "printers/other/emergency"
PREFIX = "gcode2mqtt-emergency"


@dataclass(slots=True)
class Handler:
    """A printer that counts its stops."""

    stops: list[Message] = field(default_factory=list)
    retained: list[Message] = field(default_factory=list)
    error: Exception | None = None

    def on_stop(self, message: Message) -> None:
        self.stops.append(message)
        if self.error is not None:
            raise self.error

    def on_retained_stop(self, message: Message) -> None:
        self.retained.append(message)


def config(port: int, protocol: str = "5", **more: object) -> Mqtt:
    return Mqtt.model_validate(
        {"host": "127.0.0.1", "port": port, "protocol": protocol, **more}
    )


@asynccontextmanager
async def listening(
    mqtt: Mqtt, handler: Handler, *topics: str
) -> AsyncIterator[EmergencyConnection]:
    connection = EmergencyConnection(mqtt, PREFIX, pauses=Backoff(0.05, 0.2))
    connection.listen(dict.fromkeys(topics or [ONE], handler))
    task = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_stop_arrives(
    broker: Mosquitto, handler: Handler, protocol: str, qos: int
) -> None:
    async with listening(config(broker.port, protocol), handler) as own:
        await until(lambda: own.receives(ONE))
        with connected(broker.port) as sender:
            await sender.publish(ONE, b"now", qos=qos)
            await until(lambda: bool(handler.stops))
    assert [(one.topic, one.payload) for one in handler.stops] == [(ONE, b"now")]


async def test_no_other_topic_is_subscribed_to(
    broker: Mosquitto, handler: Handler
) -> None:
    async with listening(config(broker.port), handler) as own:
        await until(lambda: own.receives(ONE))
        subscribed = [
            line for line in broker.log().splitlines() if f" {PREFIX}-" in line
        ]
    assert [line for line in subscribed if "/" in line.rpartition(" ")[2]] == [
        line for line in subscribed if line.endswith(ONE)
    ]


async def test_a_printer_that_comes_later(broker: Mosquitto, handler: Handler) -> None:
    late = Handler()
    async with listening(config(broker.port), handler) as own:
        await until(lambda: own.receives(ONE))
        own.listen({ONE: handler, OTHER: late})
        await until(lambda: own.receives(OTHER))
        own.listen({OTHER: late})
        with connected(broker.port) as sender:
            await sender.publish(ONE)
            await sender.publish(OTHER)
            await until(lambda: bool(late.stops))
    assert not handler.stops


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_it_connects_again(
    broker: Mosquitto, handler: Handler, protocol: str
) -> None:
    async with listening(config(broker.port, protocol), handler) as own:
        for _ in range(2):
            await until(lambda: own.receives(ONE))
            broker.kill()
            await until(lambda: not own.receives(ONE))
            broker.start()
        await until(lambda: own.receives(ONE))
        with connected(broker.port) as sender:
            await sender.publish(ONE)
            await until(lambda: bool(handler.stops))


async def test_it_waits_for_a_broker(handler: Handler) -> None:
    with mosquitto(start=False) as broker:
        async with listening(config(broker.port), handler) as own:
            await asyncio.sleep(0)
            assert not own.receives(ONE)
            broker.start()
            await until(lambda: own.receives(ONE))


async def test_nobody_can_take_it_over_twice(
    broker: Mosquitto, handler: Handler
) -> None:
    """Its client id is a new one each time."""
    async with listening(config(broker.port), handler) as own:
        await until(lambda: own.receives(ONE))
        name = client_ids(broker)[-1]
        with connected(broker.port, account=Account(client_id=name)) as sender:
            await until(lambda: not own.receives(ONE))
            await until(lambda: own.receives(ONE))
            await sender.publish(ONE)
            await until(lambda: bool(handler.stops))
        assert client_ids(broker)[-1] != name


def client_ids(broker: Mosquitto) -> list[str]:
    words = (line.split(" as ") for line in broker.log().splitlines())
    names = (found[1].split()[0] for found in words if len(found) == 2)
    return [name for name in names if name.startswith(PREFIX)]


async def test_a_handler_that_fails_costs_no_connection(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = Handler(error=ZeroDivisionError("broken")), Handler()
    async with listening(config(broker.port), broken) as own:
        own.listen({ONE: broken, OTHER: other})
        await until(lambda: own.receives(ONE) and own.receives(OTHER))
        with connected(broker.port) as sender:
            await sender.publish(ONE)
            await sender.publish(OTHER)
            await until(lambda: bool(other.stops))
    assert "an emergency stop on printers/one/emergency failed" in caplog.text


async def test_a_live_retained_stop_has_its_flag_on_mqtt_5(
    broker: Mosquitto, handler: Handler
) -> None:
    async with listening(config(broker.port), handler) as own:
        await until(lambda: own.receives(ONE))
        with connected(broker.port) as sender:
            await sender.publish(ONE, b"now", retain=True)
            await until(lambda: bool(handler.stops))
    assert handler.stops[0].retain


async def test_a_live_retained_stop_is_found_on_mqtt_3(
    broker: Mosquitto, handler: Handler
) -> None:
    async with listening(config(broker.port, "3.1.1"), handler) as own:
        await until(lambda: own.receives(ONE))
        with connected(broker.port) as sender:
            await sender.publish(ONE, b"now", retain=True)
            await until(lambda: bool(handler.retained))
    assert [(one.payload, one.retain) for one in handler.stops] == [(b"now", False)]
    assert [(one.payload, one.retain) for one in handler.retained] == [(b"now", True)]


async def test_a_live_stop_that_is_not_retained_is_received_once_on_mqtt_3(
    broker: Mosquitto, handler: Handler
) -> None:
    async with listening(config(broker.port, "3.1.1"), handler) as own:
        await until(lambda: own.receives(ONE))
        before = broker.log().count(f"\t{ONE}")
        with connected(broker.port) as sender:
            await sender.publish(ONE, b"now")
            await until(lambda: broker.log().count(f"\t{ONE}") > before)
            await sender.publish(ONE, b"last")
            await until(lambda: len(handler.stops) == 2)
    assert [one.payload for one in handler.stops] == [b"now", b"last"]
    assert handler.retained == []


@pytest.fixture
def one_for_each_account() -> Iterator[Mosquitto]:
    """A broker that disconnects an account's connection for its next one."""
    options = (
        "allow_anonymous false\npassword_file {folder}/passwords\n"
        "use_username_as_clientid true"
    )
    files = {"passwords": password_line("bridge", "bridge!").encode()}
    with mosquitto(Spec(options=options, files=files)) as broker:
        yield broker


async def test_a_broker_that_allows_one_connection_is_left_alone_after_a_while(
    one_for_each_account: Mosquitto,
    handler: Handler,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = one_for_each_account
    mqtt = config(broker.port, username="bridge", password="bridge!")  # noqa: S106 - made up
    account = Account(username="bridge", password="bridge!")  # noqa: S106 - made up
    async with listening(mqtt, handler) as own:
        for _ in range(emergency.MAX_SHORT):
            await until(lambda: own.receives(ONE))
            with connected(broker.port, account=account):
                await until(lambda: not own.receives(ONE))
        await until(lambda: "one connection for each account" in caplog.text)
        with connected(broker.port, account=account) as printer:
            await printer.publish("still/there")
        assert not own.receives(ONE)


async def test_a_broker_that_refuses_it_is_named_once(
    handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    options = "allow_anonymous false\npassword_file {folder}/passwords"
    files = {"passwords": password_line("bridge", "bridge!").encode()}
    with mosquitto(Spec(options=options, files=files)) as broker:
        async with closing(broker) as way, listening(config(way.port), handler) as own:
            for attempt in range(1, 4):
                await until(lambda: len(way.ids) >= attempt)  # noqa: B023 - at once
                for _ in range(10):
                    await asyncio.sleep(0.02)
                # It is the printer's connection that tries a wrong password again.
                assert len(way.ids) == attempt
                own.account_accepted()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("no separate connection for emergency stops: ")


async def test_it_is_read_before_the_event_loop_gets_to_it(
    broker: Mosquitto, handler: Handler
) -> None:
    async with listening(config(broker.port), handler) as own:
        own.poll()
        await until(lambda: own.receives(ONE))
        own.poll()
        with connected(broker.port) as sender:
            sender.send(ONE, b"")
            ends = time.monotonic() + DEADLINE
            while not handler.stops:
                assert time.monotonic() < ends
                own.poll()


async def test_it_returns_to_the_first_broker_with_the_printers(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallbacks, "FAILBACK_INTERVAL", 0.2)
    with mosquitto(start=False) as first, mosquitto() as second:
        mqtt = config(first.port, hosts=[f"{second.host}:{second.port}"])
        async with listening(mqtt, handler) as own:
            await until(lambda: own.receives(ONE))
            with connected(second.port) as sender:
                await sender.publish(ONE, b"second")
                await until(lambda: bool(handler.stops))
            first.start()
            await until(lambda: f" as {PREFIX}" in first.log() and own.receives(ONE))
            with connected(first.port) as sender:
                async with asyncio.timeout(DEADLINE):
                    while handler.stops[-1].payload != b"first":
                        await sender.publish(ONE, b"first")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_topic_over_which_the_broker_closes_is_left_out(
    broker: Mosquitto,
    handler: Handler,
    protocol: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    forbidden = f"subscribe {ONE}"
    async with closing(broker, forbidden) as way:
        mqtt = config(way.port, protocol)
        async with listening(mqtt, handler, ONE, OTHER) as own:
            await until(lambda: f"subscribes to {ONE}, so that is left" in caplog.text)
            await until(lambda: own.receives(OTHER))
            assert not own.receives(ONE)
            with connected(broker.port) as sender:
                await sender.publish(OTHER, b"now")
                await until(lambda: bool(handler.stops))
            assert way.seen[forbidden] == 4  # with all others, then alone
