"""What waited in the socket while the event loop stood still is known by its age."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from bridge.config import Mqtt
from bridge.mqtt.client import MAX_KEEPALIVES, STANDSTILL
from bridge.timeout import boottime
from tests.support.bridges import TOPICS, Bridge, bridge
from tests.support.brokers import Mosquitto
from tests.support.mqtt_client import connected
from tests.support.proxy import Proxy, proxied
from tests.support.waiting import until

HEAD = f"{TOPICS.base}/head"
KEEPALIVE = 10


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what advances the boot clock alone, as a suspended machine does."""
    slept = [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += seconds

    monkeypatch.setattr("bridge.mqtt.client.boottime", lambda: boottime() + slept[0])
    return sleep


async def heard_after(
    broker: Mosquitto, asleep: Callable[[], None], payloads: int = 1
) -> Bridge:
    """Send to a bridge that does not run meanwhile, and return it after that."""
    config = Mqtt(host=broker.host, port=broker.port, keepalive=KEEPALIVE)
    async with bridge(config) as running:
        await running.online()
        with connected(broker.port) as client:
            for number in range(payloads):
                client.send(HEAD, str(number).encode())
            block(0.5)  # until the broker has passed them on
            asleep()
            await until(lambda: len(running.heard) >= payloads)
            if running.heard[0].stale:
                await running.online(2)
                client.send(HEAD, b"fresh")
                await until(lambda: running.heard[-1].payload == b"fresh")
        return running


async def test_a_message_that_did_not_wait(broker: Mosquitto) -> None:
    running = await heard_after(broker, lambda: None)
    assert [(x.waited, x.stale) for x in running.heard] == [(0.0, False)]


async def test_a_short_standstill_counts_against_the_lifetime(
    broker: Mosquitto, sleeps: Callable[[float], None]
) -> None:
    running = await heard_after(broker, lambda: sleeps(STANDSTILL + 2))
    (message,) = running.heard
    assert STANDSTILL + 2 <= message.waited < STANDSTILL + 10
    assert not message.stale
    assert running.broker.statistics.connects == 1


async def test_what_waited_for_longer_is_stale_and_the_connection_is_made_again(
    broker: Mosquitto, sleeps: Callable[[float], None]
) -> None:
    """All of it, also if it is more than is read at once."""
    gap = MAX_KEEPALIVES * KEEPALIVE + 1
    running = await heard_after(broker, lambda: sleeps(gap), payloads=100)
    *before, after = running.heard
    assert len(before) == 100
    assert all(x.stale and x.waited >= gap for x in before)
    assert (after.waited, after.stale) == (0.0, False)
    assert running.broker.statistics.connects == 2


@contextmanager
def proxied_elsewhere(broker: Mosquitto) -> Iterator[tuple[int, Callable[[], object]]]:
    """Run a proxy that continues while our event loop stands still.

    Gives its port, and what resets its connections.
    """
    loop = asyncio.new_event_loop()
    begun, ends = threading.Event(), asyncio.Event()
    found: list[Proxy] = []

    async def run() -> None:
        async with proxied(broker.host, broker.port) as proxy:
            found.append(proxy)
            begun.set()
            await ends.wait()

    def run_in_thread() -> None:
        with loop_of_thread:
            loop_of_thread.run(run())

    loop_of_thread = asyncio.Runner(loop_factory=lambda: loop)
    thread = threading.Thread(target=run_in_thread)
    thread.start()
    assert begun.wait(10)
    try:
        yield found[0].port, partial(loop.call_soon_threadsafe, found[0].reset)
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()


def block(seconds: float) -> None:
    """Block the event loop on purpose, while others continue."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass


@pytest.mark.parametrize("qos", [0, 1])
async def test_what_waited_is_stale_where_a_write_finds_the_connection_broken(
    broker: Mosquitto, sleeps: Callable[[float], None], qos: int
) -> None:
    """The broker has ended the connection meanwhile, and we write before we read."""
    with proxied_elsewhere(broker) as (port, reset):
        config = Mqtt(host="127.0.0.1", port=port, keepalive=KEEPALIVE)
        async with bridge(config) as running:
            await running.online()
            with connected(broker.port) as client:
                client.send(HEAD, b"0")
                block(0.5)
                reset()
                block(0.5)
                sleeps(MAX_KEEPALIVES * KEEPALIVE + 1)
                running.broker.publish(f"{TOPICS.base}/temperature", b"1", qos=qos)
                await running.online(2)
            assert all(x.stale for x in running.heard)
            assert len(running.heard) == 1 or qos


async def test_a_long_standstill_without_messages_ends_the_connection_too(
    broker: Mosquitto, sleeps: Callable[[float], None]
) -> None:
    config = Mqtt(host=broker.host, port=broker.port, keepalive=KEEPALIVE)
    async with bridge(config) as running:
        await running.online()
        sleeps(3600)
        await running.online(2)


async def test_a_loop_that_is_only_busy_does_not_stand_still(broker: Mosquitto) -> None:
    config = Mqtt(host=broker.host, port=broker.port, keepalive=KEEPALIVE)
    async with bridge(config) as running:
        await running.online()
        ends = time.monotonic() + STANDSTILL
        with connected(broker.port) as client:
            while time.monotonic() < ends:
                client.send(HEAD, b"more")
                await asyncio.sleep(0)
            await until(lambda: bool(running.heard))
        assert {x.waited for x in running.heard} == {0.0}
