"""Clearing the retained topics that nothing publishes any more.

A running bridge clears what former printers left (:func:`settle`, :func:`clear_gone`);
``gcode2mqtt purge`` clears everything (:func:`purge`).
"""

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from bridge.config import Config, Mqtt
from bridge.errors import BrokerError
from bridge.home_assistant.discovery import config_topic
from bridge.mqtt import duplicate_bridge
from bridge.mqtt.broker import Broker
from bridge.mqtt.client import FAILURE
from bridge.mqtt.error_text import AttemptError, endpoint
from bridge.mqtt.one_shot import OneShotClient
from bridge.printer.knowledge.state import initial
from bridge.state_files import Memory, all_memories, default_folder, exclusive
from bridge.topics import Topics

log = logging.getLogger("bridge.app")

CLIENT = "gcode2mqtt-purge"
AT_A_TIME = 10
"""Printers that are checked at a time for a bridge that serves them."""


@dataclass(slots=True)
class Share:
    """What one printer has to do with what was left.

    Attributes:
        own: topics that are below its base topic or announce it; those that it does not
            publish again are cleared when its heaters are known.
        gone: topics that none of today's printers uses, by the printer that left them.

    """

    own: set[str] = field(default_factory=set)
    gone: dict[str, set[str]] = field(default_factory=dict)

    @property
    def all(self) -> set[str]:
        """All topics of the share."""
        return self.own.union(*self.gone.values())


def owner_of(origin: Path | None, mqtt: Mqtt) -> str:
    """Return whose memories they are; a configuration without a file has no name.

    A configuration that moves to another broker must not clear there what it left here.
    """
    return f"{origin} at {endpoint(mqtt)}" if origin else ""


def settle(config: Config, memories: Mapping[str, Memory]) -> dict[str, Share]:
    """Give each printer its share of what is remembered, and return the shares.

    Args:
        config: the present printers; each has a memory.
        memories: of present and former printers, by their ids.

    """
    bases = {printer.id: config.base(printer) for printer in config.printers}
    for name, base in bases.items():
        memories[name].add(Topics(base).availability)
    remembered = {name: memory.topics for name, memory in memories.items()}
    shares = divide(remembered, bases, config.home_assistant.prefix)
    for name in sorted(memories, key=lambda name: name not in shares):
        # Heirs first: a power cut between two files must not lose a topic.
        _become(memories[name], shares[name].all if name in shares else set())
    return shares


def divide(
    remembered: Mapping[str, AbstractSet[str]], bases: Mapping[str, str], prefix: str
) -> dict[str, Share]:
    """Return each printer's share of what present and former printers left.

    Args:
        remembered: topics by the id of the printer that left them.
        bases: the base topic of each present printer by its id.
        prefix: what begins the topics that announce a printer to Home Assistant.

    """
    shares = {name: Share() for name in bases}
    first = next(iter(bases))
    for name, topics in remembered.items():
        for topic in topics:
            heir = _below(topic, bases)
            if heir is not None:
                shares[heir].own.add(topic)
            elif name in bases and topic.startswith(f"{prefix}/"):
                shares[name].own.add(topic)
            else:
                heir = name if name in bases else first
                shares[heir].gone.setdefault(name, set()).add(topic)
    used = set[str]().union(*(share.own for share in shares.values()))
    for share in shares.values():
        share.gone = {
            name: rest for name, topics in share.gone.items() if (rest := topics - used)
        }
    return shares


async def clear_gone(
    gone: Mapping[str, AbstractSet[str]],
    broker: Broker,
    find: Callable[[Topics], Awaitable[str | None]],
) -> None:
    """Clear topics that nobody uses any more.

    A printer may have moved to another bridge with its topics: they are that one's now,
    and only forgotten here. What cannot be found out waits for the next start.

    Args:
        gone: topics by the printer that left them.
        broker: where to clear them; it must be connected.
        find: returns the instance of a bridge that lives on some topics.

    """
    for name, topics in gone.items():
        try:
            rivals = [await find(Topics(base)) for base in sorted(_bases(topics))]
        except AttemptError as error:
            log.info("the topics of %s stay for now: %s", name, error.message)
            continue
        other = next(filter(None, rivals), None)
        if other is None:
            log.info("clearing %d retained topics of %s", len(topics), name)
            broker.clear(topics)
        else:
            log.info("the topics of %s belong to the bridge %s now", name, other)
            broker.forget(topics)


def _bases(topics: AbstractSet[str]) -> set[str]:
    return {
        base
        for topic in topics
        if topic == Topics(base := topic.rpartition("/")[0]).availability
    }


def _become(memory: Memory, topics: AbstractSet[str]) -> None:
    for topic in topics - memory.topics:
        memory.add(topic)
    for topic in memory.topics - topics:
        memory.discard(topic)
    memory.save()


def _below(topic: str, bases: Mapping[str, str]) -> str | None:
    """Return the printer with the longest base topic that this topic is below."""
    fitting = [name for name, base in bases.items() if topic.startswith(f"{base}/")]
    return max(fitting, key=lambda name: len(bases[name]), default=None)


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


async def purge(config: Config, origin: Path | None = None) -> Purge:
    """Clear what is remembered, and what the configuration's printers publish.

    Args:
        config: whose printers.
        origin: the file it was read from, which tells its memories from others.

    Raises:
        BrokerError: The broker cannot be reached, or a bridge runs and would publish
            everything again.

    """
    folder = config.mqtt.state_folder or default_folder(os.environ)
    owner = owner_of(origin, config.mqtt)
    with exclusive(folder, owner) as alone:
        if not alone:
            raise BrokerError(
                "the bridge of this configuration runs, and would publish everything "
                "again: stop it first"
            )
        await _refuse_living(config)
        memories = all_memories(folder, owner)
        for printer in config.printers:
            memory = memories.setdefault(printer.id, Memory(folder, printer.id, owner))
            topics = Topics(config.base(printer))
            for topic in topics.retained(initial(printer.profile).heaters):
                memory.add(topic)
            memory.add(config_topic(config.home_assistant.prefix, printer.id))
        clearing = Purge(memories.values())
        await clearing.run(config.mqtt, client_id=CLIENT)
        return clearing


async def _refuse_living(config: Config) -> None:
    turns = asyncio.Semaphore(AT_A_TIME)
    bases = [config.base(printer) for printer in config.printers]
    found = await asyncio.gather(*(_living(config, base, turns) for base in bases))
    for base, other in zip(bases, found, strict=True):
        if other is not None:
            raise BrokerError(
                f"a bridge (instance {other}) serves {base}/…, and would publish "
                "everything again: stop it first"
            )


async def _living(config: Config, base: str, turns: asyncio.Semaphore) -> str | None:
    """Return the instance of a bridge that runs, wherever it may be."""
    name = f"{CLIENT}-{uuid.uuid4().hex[:8]}"
    async with turns:
        return await duplicate_bridge.find(
            config.mqtt, Topics(base), client_id=name, instance=name
        )
