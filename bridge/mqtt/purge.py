"""Clearing everything that a bridge has left at the broker."""

import asyncio
from collections.abc import Iterable

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt.client import FAILURE
from bridge.mqtt.error_text import AttemptError
from bridge.mqtt.memory import Memory
from bridge.mqtt.one_shot import OneShotClient


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
        self._topics = {topic for memory in self._memories for topic in memory.topics}
        self.cleared: list[str] = []
        self.refused: list[str] = []

    async def run(self, config: Mqtt, *, client_id: str) -> None:
        """Connect, clear, and save the memories.

        The bridge must not run: it would publish again what it has in hand.

        Raises:
            BrokerError: The broker cannot be reached, or stopped answering.

        """
        try:
            async with OneShotClient(config, client_id=client_id) as client:
                clearing = (
                    self._clear(client, topic) for topic in sorted(self._topics)
                )
                done = await asyncio.gather(*clearing, return_exceptions=True)
        finally:
            for memory in self._memories:
                memory.save()
        failures = [result for result in done if result is not None]
        if failures and isinstance(failures[0], AttemptError):
            raise BrokerError(
                f"{failures[0]}; {len(failures)} topics are not cleared yet: try again"
            ) from failures[0]
        if failures:
            raise failures[0]

    async def _clear(self, client: OneShotClient, topic: str) -> None:
        code = await client.publish(topic, b"", retain=True)
        if code >= FAILURE:
            self.refused.append(topic)
            return
        self.cleared.append(topic)
        for memory in self._memories:
            memory.discard(topic)
