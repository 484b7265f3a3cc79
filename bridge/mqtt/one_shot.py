"""A short-lived MQTT client for one task: check, clean up, send or watch something.

The command line, the doctor, the duplicate-bridge check and the demo use it. A printer
that is being served has a :class:`~bridge.mqtt.broker.Broker`, which reconnects.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt import error_text, fallbacks
from bridge.mqtt.client import FAILURE, Client
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError, Hint
from bridge.mqtt.fallbacks import BrokerAddresses, Next
from bridge.mqtt.messages import Filter, Message, Publication, Version
from bridge.timeout import timeout

DISCONNECT_TIMEOUT = 1.0
"""Seconds to wait until DISCONNECT has been written to the socket."""

MAX_IN_FLIGHT = 20
"""Unacknowledged messages at a time; mosquitto's default ``max_inflight_messages``."""

_Result = TypeVar("_Result")


class OneShotClient:
    """A connection for the duration of an ``async with`` block; it never reconnects.

    Args:
        config: how to reach the broker.
        client_id: must be unique at the broker, which disconnects an older connection
            with the same id (MQTT 5.0, 3.1.4); by default a random one.
        version: the MQTT version; ``None``: the configured one, where ``auto`` tries 5
            first and then 3.1.1.
        disconnect_timeout: seconds to wait for DISCONNECT to be written.

    Attributes:
        version: the MQTT version in use once connected.
        messages: the messages received, oldest first; iterating waits for the next one
            and raises :class:`BrokerError` when the connection is lost.

    """

    def __init__(
        self,
        config: Mqtt,
        *,
        client_id: str | None = None,
        version: Version | None = None,
        disconnect_timeout: float = DISCONNECT_TIMEOUT,
    ) -> None:
        self._config = config
        self._id = client_id or unique_id("gcode2mqtt-client")
        self._versions = [version] if version is not None else _versions(config)
        self._disconnect_timeout = disconnect_timeout
        self._client: Client | None = None
        self._waiting: dict[int | None, asyncio.Future[Sequence[int]]] = {}
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self._window = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._gave_up: str | None = None
        self._largest: int | None = None
        self.version = self._versions[0]
        self.messages: AsyncIterator[Message] = _Messages(self)

    async def __aenter__(self) -> Self:
        """Connect; raise :class:`AttemptError` where that fails."""
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self.disconnect()

    async def connect(self) -> None:
        """Connect, with MQTT 3.1.1 where the broker does not support MQTT 5.

        Raises:
            AttemptError: The broker cannot be reached or refuses the connection; the
                message says why and what to do.

        """
        addresses = BrokerAddresses(self._config)
        while True:
            try:
                await self._connect(addresses)
            except AttemptError as error:
                refused = error.hint is Hint.REFUSED
                if addresses.failed(refused=refused) is Next.NOTHING:
                    raise
            else:
                return

    async def _connect(self, addresses: BrokerAddresses) -> None:
        for version in self._versions:
            client = Client(addresses, self, client_id=self._id, version=version)
            try:
                limits = await client.connect()
            except AttemptError as error:
                # Old brokers close the connection instead of refusing the version.
                unsupported = error.hint in {Hint.VERSION, Hint.CLOSED}
                if not unsupported or version is self._versions[-1]:
                    raise
            else:
                self._client, self.version = client, version
                self._config = addresses.config
                allowed = min(limits.receive_maximum, MAX_IN_FLIGHT)
                self._largest = limits.packet_size
                self._window = asyncio.Semaphore(allowed)
                return

    async def subscribe(
        self, topics: Sequence[str], *, replay: bool = True, own: bool = False
    ) -> Sequence[int]:
        """Subscribe at QoS 1 and return the broker's reason code for each topic.

        Args:
            topics: topic filters.
            replay: receive what is retained there (cannot be declined on MQTT 3.1.1).
            own: receive this client's own messages too (likewise).

        Raises:
            AttemptError: The connection is lost, or the broker does not answer; the
                hint is ``CLOSED`` if the broker closed it without another reason than
                a missing right.

        """
        self._check()
        filters = [Filter(topic=topic, replay=replay, own=own) for topic in topics]
        return await self._answer(self._running.subscribe(filters))

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish at QoS 1 and return the broker's reason code (MQTT 3.1.1: always 0).

        Raises:
            AttemptError: The connection is lost, the broker does not answer, or the
                message is larger than it accepts.

        """
        message = Publication(topic=topic, payload=payload, qos=1, retain=retain)
        if self._largest is not None and message.size > self._largest:
            where = error_text.endpoint(self._config)
            raise AttemptError(
                f"{where}: a message of {len(payload)} bytes on {topic} is larger than "
                f"the broker accepts (it announces {self._largest}); increase its limit"
            )
        async with self._window:
            self._check()
            return (await self._answer(self._running.publish(message)))[0]

    async def next_message(self) -> Message:
        """Wait for the next message.

        Raises:
            AttemptError: The connection is lost.

        """
        if not self._received.empty():
            return self._received.get_nowait()
        return await self._unless_lost(self._received.get())

    @property
    def waiting(self) -> int:
        """How many received messages wait to be iterated over."""
        return self._received.qsize()

    def take_received(self) -> list[Message]:
        """Return the messages received so far, which are not iterated over then."""
        return [self._received.get_nowait() for _ in range(self._received.qsize())]

    async def disconnect(self) -> None:
        """Send DISCONNECT and close the connection; safe to call again."""
        client, self._client = self._client, None
        if client is not None and self._gave_up is None:
            await client.disconnect(self._disconnect_timeout)

    def close(self) -> None:
        """Close the connection without DISCONNECT; safe to call again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def on_message(self, message: Message) -> None:
        """Queue a message; called by the connection."""
        self._received.put_nowait(message)

    def on_published(self, number: int, code: int) -> None:
        """Note the broker's answer to a message; called by the connection."""
        self.on_subscribed(number, [code])

    def on_subscribed(self, number: int, codes: Sequence[int]) -> None:
        """Note the broker's answer to a subscription; called by the connection."""
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(codes)

    async def _answer(self, number: int | None) -> Sequence[int]:
        """Wait for the answer to a packet; ``None``: it could not be sent."""
        if number is None:
            where = error_text.endpoint(self._config)
            raise AttemptError(f"{where}: the connection was lost", Hint.CLOSED)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            async with timeout(self._config.connect_timeout):
                return await self._unless_lost(waiting)
        except TimeoutError:
            where = error_text.endpoint(self._config)
            self._gave_up = f"{where} stopped answering; check its log"
            # Nothing else that is sent on this connection would be answered either.
            self._running.give_up(self._gave_up)
            raise AttemptError(self._gave_up) from None
        finally:
            del self._waiting[number]

    async def _unless_lost(self, awaitable: Awaitable[_Result]) -> _Result:
        wanted = asyncio.ensure_future(awaitable)
        loss = asyncio.ensure_future(self._running.ended())
        try:
            await asyncio.wait({wanted, loss}, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                return wanted.result()
            if loss.cancelled():
                where = error_text.endpoint(self._config)
                raise AttemptError(f"{where}: the connection was closed by us")
            lost = loss.result()
            closed = lost.unexplained or lost.no_right
            raise AttemptError(lost.message, Hint.CLOSED if closed else Hint.NONE)
        finally:
            wanted.cancel()
            loss.cancel()
            await asyncio.gather(wanted, loss, return_exceptions=True)

    def _check(self) -> None:
        if self._gave_up is not None:
            raise AttemptError(self._gave_up)

    @property
    def _running(self) -> Client:
        if self._client is None:
            raise RuntimeError("not connected")
        return self._client


class _Messages:
    """Iterates over what a client receives, without an end."""

    def __init__(self, client: OneShotClient) -> None:
        self._client = client

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Message:
        """Wait for the next message."""
        return await self._client.next_message()


async def return_to_first(addresses: BrokerAddresses, client: Client) -> None:
    """Give up a connection to another broker once the first one answers again."""
    spread = random.SystemRandom()
    while (first := addresses.first) is not None:
        pause = fallbacks.FAILBACK_INTERVAL
        await asyncio.sleep(pause * (0.75 + spread.random() / 2))
        with contextlib.suppress(AttemptError):
            async with OneShotClient(first):
                pass
            addresses.return_to_first()
            client.give_up(f"{error_text.endpoint(first)}: it answers again")
            return


@asynccontextmanager
async def subscribed_to(
    config: Mqtt, topics: Sequence[str]
) -> AsyncIterator[OneShotClient]:
    """Be connected and subscribed to some topics, including what is retained there.

    Raises:
        BrokerError: The broker cannot be reached, refuses the connection, or does not
            allow a subscription.

    """
    async with OneShotClient(config) as client:
        codes = await client.subscribe(topics, own=True)
        for topic, code in zip(topics, codes, strict=False):
            if code >= FAILURE:
                raise BrokerError(
                    error_text.no_right(config, topic, write=False, code=code)
                )
        yield client


def _versions(config: Mqtt) -> list[Version]:
    if config.protocol == "auto":
        return [Version.V5, Version.V311]
    return [Version(config.protocol)]
