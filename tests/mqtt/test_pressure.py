"""A slow, silent or dead broker costs bounded memory and no processor time."""

import asyncio
import selectors
import tracemalloc
from collections import Counter

import pytest

from bridge.config import Mqtt
from bridge.mqtt.client import MAX_READS
from bridge.mqtt.messages import Lane
from bridge.mqtt.outbox import BOUNDS, WINDOW
from tests.support.bridges import TOPICS, Bridge, bridge
from tests.support.brokers import Mosquitto, mosquitto
from tests.support.mqtt_client import connected
from tests.support.proxy import proxied
from tests.support.waiting import DEADLINE, until

MEGABYTE = 1_048_576


def config(port: int, protocol: str = "5") -> Mqtt:
    return Mqtt.model_validate(
        {"host": "127.0.0.1", "port": port, "protocol": protocol}
    )


def flood(printer: Bridge, count: int) -> None:
    """Publish what a busy printer does in days."""
    for number in range(count):
        payload = b"%d " % number + b"x" * 1000
        printer.broker.publish(TOPICS.temperature, payload, qos=0, retain=True)
        printer.broker.publish(TOPICS.state, payload, qos=1, retain=True)
        printer.broker.publish(TOPICS.event, payload, qos=1)
        printer.broker.publish(TOPICS.console, payload, lane=Lane.CONSOLE)
        printer.broker.publish(TOPICS.response, payload, qos=1, lane=Lane.RESPONSE)


def most_that_waits() -> int:
    return sum(bounds.count for bounds in BOUNDS.values()) + WINDOW + 10


async def memory_of_a_flood(printer: Bridge) -> int:
    """Return the bytes that 40 MB of messages leave behind."""
    tracemalloc.start()
    try:
        for _ in range(80):
            flood(printer, 100)
            await asyncio.sleep(0)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_broker_that_takes_nothing_more(
    broker: Mosquitto, protocol: str
) -> None:
    with connected(broker.port, "printer/#") as watcher:
        async with (
            proxied(broker.host, broker.port) as proxy,
            # The flood may take a busy machine longer than the usual keepalive.
            bridge(
                config(proxy.port, protocol).model_copy(update={"keepalive": 3600})
            ) as printer,
        ):
            await printer.online()
            proxy.stalled = True
            used = await memory_of_a_flood(printer)
            assert printer.broker.waiting <= most_that_waits()
            assert used < 16 * MEGABYTE
            dropped = printer.broker.dropped
            assert dropped[Lane.RESPONSE] > 0
            assert dropped[Lane.EVENT] > 0
            proxy.stalled = False
            await until(lambda: printer.broker.waiting == 0)
            assert printer.broker.statistics.connects == 1
            last = b"99 " + b"x" * 1000
            await watcher.hears(TOPICS.temperature, last)
            await watcher.hears(TOPICS.state, last)
            await watcher.hears(TOPICS.response, last)
            await watcher.hears(TOPICS.event, last)
    assert len(watcher.payloads(TOPICS.temperature)) < WINDOW * 10


async def test_a_broker_that_is_not_there() -> None:
    with mosquitto(start=False) as broker:
        async with bridge(config(broker.port)) as printer:
            used = await memory_of_a_flood(printer)
            assert printer.broker.waiting <= most_that_waits()
            assert used < 16 * MEGABYTE


async def test_a_black_hole_is_noticed_and_left(broker: Mosquitto) -> None:
    async with proxied(broker.host, broker.port) as proxy:
        # Shorter than the configuration allows, for the test's sake.
        mqtt = config(proxy.port).model_copy(update={"keepalive": 1})
        async with bridge(mqtt) as printer:
            await printer.online()
            proxy.swallowing = True
            flood(printer, 10)
            await until(lambda: not printer.broker.connected)
            proxy.swallowing = False
            proxy.reset()
            await printer.online(connects=2)
            with connected(broker.port, "printer/#") as late:
                await late.hears(TOPICS.state, b"9 " + b"x" * 1000)


async def test_ten_thousand_commands_in_a_burst_all_arrive_in_order(
    broker: Mosquitto,
) -> None:
    async with bridge(config(broker.port)) as printer:
        await printer.online()
        with connected(broker.port) as sender:
            for number in range(10_000):
                sender.send("printer/command", b"%d" % number)
            await until(lambda: len(printer.heard) == 10_000)
    payloads = [message.payload for message in printer.heard]
    assert payloads == [b"%d" % number for number in range(10_000)]


class CountingSelector(selectors.DefaultSelector):
    """Knows how often the event loop went round."""

    rounds = 0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        self.rounds += 1
        return super().select(timeout)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_dead_broker_does_not_make_the_loop_spin(end: str) -> None:
    selector = CountingSelector()

    async def rounds_without_a_broker() -> int:
        with mosquitto() as broker:
            async with bridge(config(broker.port)) as printer:
                await printer.online()
                getattr(broker, end)()
                await until(lambda: not printer.broker.connected)
                before = selector.rounds
                await asyncio.sleep(0.5)
                return selector.rounds - before

    def loop() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(selector)

    with asyncio.Runner(loop_factory=loop) as runner:
        rounds = runner.run(rounds_without_a_broker())
    # A few per attempt to connect; a loop that spins makes tens of thousands.
    assert rounds < 300


def test_an_idle_connection_lets_the_loop_sleep(broker: Mosquitto) -> None:
    selector = CountingSelector()

    async def rounds_of_an_idle_connection() -> int:
        async with bridge(config(broker.port)) as printer:
            await printer.online()
            before = selector.rounds
            await asyncio.sleep(0.5)
            return selector.rounds - before

    def loop() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(selector)

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(rounds_of_an_idle_connection()) < 20


async def test_a_flood_is_read_in_portions(broker: Mosquitto) -> None:
    """So the event loop gets to other things, such as a stop on another connection."""
    turns: list[int] = []
    async with bridge(config(broker.port), on_message=lambda _: turns.append(turn)) as (
        printer
    ):
        turn = 0
        await printer.online()
        with connected(broker.port) as sender:
            # Many responses in flight: paho then reads as many packets in one call.
            for number in range(2000):
                sender.send("printer/head", b"%d" % number)
                printer.broker.publish(TOPICS.response, b"r", qos=1)
            async with asyncio.timeout(DEADLINE):
                while len(turns) < 2000:
                    turn += 1
                    await asyncio.sleep(0)
    assert max(Counter(turns).values()) <= 3 * MAX_READS
