"""The bridge's side of MQTT, without a printer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bridge.backoff import Backoff
from bridge.config import Mqtt
from bridge.mqtt.broker import Broker
from bridge.mqtt.messages import Lane, Message
from bridge.mqtt.session import Presence
from bridge.topics import Topics
from tests.support.waiting import DEADLINE, until

TOPICS = Topics("printer")


@dataclass(slots=True)
class Bridge:
    """A running broker connection, and what it received."""

    broker: Broker
    task: asyncio.Task[None]
    heard: list[Message] = field(default_factory=list)
    failed: bool = False

    async def online(self, connects: int = 1) -> None:
        """Wait for this many connections in total, the last of them up and idle."""

        def ready() -> bool:
            if self.task.done():
                self.task.result()
            broker = self.broker
            return (
                broker.connected
                and broker.statistics.connects >= connects
                and broker.waiting == 0
            )

        await until(ready)

    async def fails(self) -> BaseException:
        """Wait until it ends by itself, and return the reason."""
        await asyncio.wait([self.task], timeout=DEADLINE)
        assert self.task.done(), "it goes on"
        self.failed = True
        error = self.task.exception()
        assert error is not None
        return error

    async def end(self) -> None:
        """Cancel it and wait until it has disconnected."""
        if self.failed:
            return
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


def presence(instance: str = "one", topics: Topics = TOPICS) -> Presence:
    """Return the identity of the tests' bridges."""
    return Presence(
        client_id=f"gcode2mqtt-{topics.base.replace('/', '-')}",
        topics=topics,
        instance=instance,
        subscriptions=topics.commands,
        optional=topics.near_misses,
    )


@asynccontextmanager
async def bridge(
    config: Mqtt,
    who: Presence | None = None,
    *,
    on_message: Callable[[Message], None] | None = None,
    on_conflict: Callable[[str], None] | None = None,
    pauses: Backoff | None = None,
) -> AsyncIterator[Bridge]:
    """Run a connection with short pauses, and ``info`` and ``state`` published."""
    who = who if who is not None else presence()
    heard: list[Message] = []

    def take(message: Message) -> None:
        heard.append(message)
        if message.topic == who.topics.question:
            # What every living bridge does, and what others know it by.
            broker.publish(
                who.topics.response, message.payload, qos=1, lane=Lane.RESPONSE
            )
        if on_message is not None:
            on_message(message)

    pauses = pauses or Backoff(first=0.05, longest=0.2)
    broker = Broker(config, who, take, pauses=pauses, on_conflict=on_conflict)
    info = f'{{"instance": "{who.instance}"}}'.encode()
    broker.publish(who.topics.info, info, qos=1, retain=True)
    broker.publish(who.topics.state, b"{}", qos=1, retain=True)
    running = Bridge(broker, asyncio.create_task(broker.run()), heard)
    try:
        yield running
    finally:
        await running.end()
