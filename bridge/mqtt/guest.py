"""A connection that tries things out and tells what the broker answers."""

import asyncio
from collections.abc import Sequence

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt.client import Client
from bridge.mqtt.messages import Filter, Message, Publication, Version
from bridge.mqtt.once import connect_once

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
