"""Connecting a single time: which version the broker takes is found out on the way."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt.client import Client, Listener
from bridge.mqtt.error_text import AttemptError, Hint
from bridge.mqtt.messages import Filter, Message, Publication, Version

_Result = TypeVar("_Result")


async def in_one_version(
    config: Mqtt, attempt: Callable[[Version], Awaitable[_Result]]
) -> _Result:
    """Return what an attempt returns, with 3.1.1 where the broker does not take 5.

    A broker that closes the connection without a word may mean the version, too.

    Raises:
        AttemptError: It did not work; the message says why and what to do.

    """
    if config.protocol != "auto":
        return await attempt(Version(config.protocol))
    try:
        return await attempt(Version.V5)
    except AttemptError as error:
        if error.hint not in {Hint.VERSION, Hint.CLOSED}:
            raise
    return await attempt(Version.V311)


async def connect_once(
    config: Mqtt, listener: Listener, client_id: str
) -> tuple[Client, Version]:
    """Return a connection, and the version that the broker takes.

    Raises:
        AttemptError: It did not work; the message says why and what to do.

    """

    async def connect(version: Version) -> tuple[Client, Version]:
        client = Client(config, listener, client_id=client_id, version=version)
        await client.connect()
        return client, version

    return await in_one_version(config, connect)


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


REPLAY = 0.5
"""Seconds after a subscription in which retained messages come."""


class Guest:
    """Asks one thing at a time.

    Attributes:
        retained: what is retained on the topics that were subscribed to for that.
        version: the MQTT version in use.

    """

    def __init__(self, config: Mqtt, client_id: str) -> None:
        self._config = config
        self._id = client_id
        self._client: Client | None = None
        self._answers: asyncio.Queue[Sequence[int]] = asyncio.Queue()
        self.retained: dict[str, bytes] = {}
        self.version = Version.V5

    async def arrive(self) -> None:
        """Connect, with an older version where the broker does not take the newest.

        Raises:
            AttemptError: It did not work; the message says why and what to do.

        """
        self._client, self.version = await connect_once(self._config, self, self._id)

    async def subscribe(self, topics: Sequence[str], *, replay: bool) -> Sequence[int]:
        """Return the broker's code for each topic; wait for what is retained there.

        Raises:
            BrokerError: The broker does not answer.

        """
        filters = [Filter(topic=topic, replay=replay) for topic in topics]
        self._connection.subscribe(filters)
        codes = await self._answer()
        if replay:
            await asyncio.sleep(REPLAY)
        return codes

    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Return the broker's code for a message.

        Raises:
            BrokerError: The broker does not answer.

        """
        message = Publication(topic=topic, payload=payload, qos=1, retain=retain)
        self._connection.publish(message)
        return (await self._answer())[0]

    async def leave(self) -> None:
        """Take leave; safe to call again."""
        client, self._client = self._client, None
        if client is not None:
            await client.disconnect(patience=1)

    def received(self, message: Message) -> None:
        """Note what is retained."""
        if message.retain and message.payload:
            self.retained[message.topic] = message.payload

    def published(self, _number: int, code: int) -> None:
        """Take the broker's answer to a message."""
        self._answers.put_nowait([code])

    def subscribed(self, _number: int, codes: Sequence[int]) -> None:
        """Take the broker's answer to a subscription."""
        self._answers.put_nowait(codes)

    async def _answer(self) -> Sequence[int]:
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                return await self._answers.get()
        except TimeoutError:
            raise BrokerError(
                "the broker stopped answering; look into its log"
            ) from None

    @property
    def _connection(self) -> Client:
        if self._client is None:
            raise RuntimeError("not connected")
        return self._client


PATIENCE = 2.0
"""Seconds that the broker has to answer the witness."""


class Witness:
    """A connection that does nothing but stand.

    Args:
        config: how to be on the broker.
        client_id: a name of its own.
        version: the MQTT version.
        topic: a topic that we may subscribe to.

    """

    def __init__(
        self, config: Mqtt, *, client_id: str, version: Version, topic: str
    ) -> None:
        self._topic = topic
        self._answered = asyncio.Event()
        self._client = Client(config, self, client_id=client_id, version=version)
        self._there = False

    async def come(self) -> None:
        """Connect; where that fails there is no witness."""
        with contextlib.suppress(AttemptError):
            await self._client.connect()
            self._there = True

    async def confirms(self) -> bool:
        """Tell whether the broker still talks to this connection."""
        self._answered.clear()
        wanted = [Filter(topic=self._topic)]
        if not self._there or self._client.subscribe(wanted) is None:
            return False
        waits = [
            asyncio.ensure_future(self._answered.wait()),
            asyncio.ensure_future(self._client.ended()),
        ]
        await asyncio.wait(waits, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._answered.is_set()

    def leave(self) -> None:
        """Drop the connection; safe to call again."""
        self._there = False
        self._client.close()

    def received(self, _message: Message) -> None:
        """Need not know."""

    def published(self, _number: int, _code: int) -> None:
        """Need not know."""

    def subscribed(self, _number: int, _codes: Sequence[int]) -> None:
        """Know that the broker still talks to us."""
        self._answered.set()
