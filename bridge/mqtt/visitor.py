"""A guest at the broker: it sees what is published and publishes what it likes.

For the command line and the demo; a bridge has a `Broker`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt.client import Client
from bridge.mqtt.messages import Filter, Message, Publication
from bridge.mqtt.once import connect_once
from bridge.mqtt.reasons import AttemptError

FAREWELL = 1.0
"""Seconds that the last message has to reach the broker."""

_FAILURE = 0x80  # reason codes from here on are failures (MQTT 5.0, 2.4)


class Visitor:
    """A connection with what arrives on it."""

    def __init__(self) -> None:
        self._client: Client | None = None
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self._granted = asyncio.get_running_loop().create_future()

    def received(self, message: Message) -> None:
        """Take a message."""
        self._arrived.put_nowait(message)

    def published(self, number: int, code: int) -> None:
        """Learn the broker's answer to a message."""

    def subscribed(self, _number: int, codes: Sequence[int]) -> None:
        """Learn the broker's answer to the subscription."""
        if not self._granted.done():
            self._granted.set_result(all(code < _FAILURE for code in codes))

    async def arrive(self, config: Mqtt, topics: Sequence[str]) -> None:
        """Connect and subscribe, also to what is retained.

        Raises:
            BrokerError: The broker cannot be reached or does not let us in.

        """
        try:
            name = f"gcode2mqtt-visitor-{uuid.uuid4().hex[:8]}"
            self._client, _ = await connect_once(config, self, name)
        except AttemptError as error:
            raise BrokerError(error.message) from error
        filters = [Filter(topic=topic, replay=True, own=True) for topic in topics]
        self._connection.subscribe(filters)
        try:
            async with asyncio.timeout(config.connect_timeout):
                granted = await self._granted
        except TimeoutError:
            granted = False
        if not granted:
            raise BrokerError(f"the broker does not let us see {', '.join(topics)}")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message at QoS 1."""
        message = Publication(topic=topic, payload=payload, qos=1, retain=retain)
        self._connection.publish(message)

    async def message(self) -> Message:
        """Wait for the next message.

        Raises:
            BrokerError: The connection is lost.

        """
        loss = asyncio.ensure_future(self._connection.ended())
        arrival = asyncio.ensure_future(self._arrived.get())
        try:
            await asyncio.wait({arrival, loss}, return_when=asyncio.FIRST_COMPLETED)
            if arrival.done():
                return arrival.result()
            raise BrokerError(loss.result().message)
        finally:
            arrival.cancel()
            loss.cancel()
            await asyncio.gather(arrival, loss, return_exceptions=True)

    async def leave(self) -> None:
        """Say goodbye, in a bounded time."""
        if self._client is not None:
            await self._client.disconnect(FAREWELL)

    @property
    def _connection(self) -> Client:
        if self._client is None:
            raise RuntimeError("not connected")
        return self._client


@asynccontextmanager
async def visit(config: Mqtt, topics: Sequence[str]) -> AsyncIterator[Visitor]:
    """Be at the broker for a while, subscribed to some topics.

    Raises:
        BrokerError: The broker cannot be reached or does not let us in.

    """
    visitor = Visitor()
    try:
        await visitor.arrive(config, topics)
        yield visitor
    finally:
        await visitor.leave()
