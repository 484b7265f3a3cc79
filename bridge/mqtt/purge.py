"""Clearing everything that a bridge has left at the broker."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt.client import FAILURE, Client
from bridge.mqtt.error_text import AttemptError
from bridge.mqtt.memory import Memory
from bridge.mqtt.messages import Message, Publication
from bridge.mqtt.one_shot import connect_once

WINDOW = 20
"""Messages on their way at a time."""


class Purge:
    """Clears the topics that memories hold, and takes what is cleared out of them.

    Args:
        memories: of present and former printers.

    Attributes:
        cleared: topics that the broker has cleared.
        refused: topics that it does not let us clear.

    """

    def __init__(self, memories: Iterable[Memory]) -> None:
        self._memories = list(memories)
        self._waiting = deque(
            sorted({topic for memory in self._memories for topic in memory.topics})
        )
        self._on_way: dict[int | None, str] = {}
        self._answered = asyncio.Event()
        self.cleared: list[str] = []
        self.refused: list[str] = []

    async def run(self, config: Mqtt, *, client_id: str) -> None:
        """Connect, clear, and save the memories.

        The bridge must not run: it would publish again what it has in hand.

        Raises:
            BrokerError: The broker cannot be reached, or stopped answering.

        """
        try:
            client, _ = await connect_once(config, self, client_id)
        except AttemptError as error:
            raise BrokerError(error.message) from error
        try:
            while self._waiting or self._on_way:
                self._fill(client)
                self._answered.clear()
                async with asyncio.timeout(config.connect_timeout):
                    await self._answered.wait()
            await client.disconnect(patience=1)
        except TimeoutError as error:
            left = len(self._waiting) + len(self._on_way)
            raise BrokerError(
                f"the broker stopped answering; {left} topics are not cleared yet: "
                "try again"
            ) from error
        finally:
            client.close()
            for memory in self._memories:
                memory.save()

    def _fill(self, client: Client) -> None:
        while self._waiting and len(self._on_way) < WINDOW:
            topic = self._waiting.popleft()
            clearing = Publication(topic=topic, payload=b"", qos=1, retain=True)
            self._on_way[client.publish(clearing)] = topic

    def received(self, _message: Message) -> None:
        """Nothing is subscribed to."""

    def subscribed(self, _number: int, _codes: Sequence[int]) -> None:
        """Nothing is subscribed to."""

    def published(self, number: int, code: int) -> None:
        """Note what has become of a topic."""
        topic = self._on_way.pop(number)
        if code >= FAILURE:
            self.refused.append(topic)
        else:
            self.cleared.append(topic)
            for memory in self._memories:
                memory.discard(topic)
        self._answered.set()
