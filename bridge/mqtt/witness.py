"""A second, silent connection that tells whether the broker dropped us alone.

Few brokers say that another client took over our client id: Mosquitto 2.0.11 just
closes the connection, and MQTT 3.1.1 has no word for it. When that happens while a
connection with another id stays in order, it was not the network, nor the broker's end.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from bridge.config import Mqtt
from bridge.mqtt.client import Client
from bridge.mqtt.messages import Filter, Message, Version
from bridge.mqtt.reasons import AttemptError

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
