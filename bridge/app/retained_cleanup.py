"""Clearing the retained topics that nothing publishes any more.

A running bridge clears what former printers left (:func:`settle`, :func:`clear_gone`);
``gcode2mqtt purge`` clears everything (:func:`purge`).
"""

import asyncio
import logging
import os
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
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError, endpoint
from bridge.mqtt.one_shot import OneShotClient
from bridge.printer.knowledge.state import initial
from bridge.state_files import TopicRecord, all_records, default_folder, exclusive
from bridge.topics import Topics

log = logging.getLogger("bridge.app")

CLIENT = "gcode2mqtt-purge"
AT_A_TIME = 10
"""How many printers are checked at the same time for a bridge that serves them."""


@dataclass(slots=True)
class Share:
    """The retained topics of earlier runs that one printer is responsible for.

    Attributes:
        own: topics below its base topic, and its discovery topic. Those that it does
            not publish again are cleared as soon as its heaters are known.
        gone: topics that no configured printer uses any more, by the id of the printer
            that left them.

    """

    own: set[str] = field(default_factory=set)
    gone: dict[str, set[str]] = field(default_factory=dict)

    @property
    def all(self) -> set[str]:
        """All these topics."""
        return self.own.union(*self.gone.values())

    def drop_used(self, used: AbstractSet[str]) -> None:
        """Remove topics from ``gone`` that a configured printer uses."""
        rest = {name: topics - used for name, topics in self.gone.items()}
        self.gone = {name: topics for name, topics in rest.items() if topics}


def owner_of(origin: Path | None, mqtt: Mqtt) -> str:
    """Return the owner of a configuration's state files; without a file it has none.

    The broker is part of it: a configuration that moves to another broker must not
    clear there what it has left at the first one.
    """
    return f"{origin} at {endpoint(mqtt)}" if origin else ""


def settle(config: Config, records: Mapping[str, TopicRecord]) -> dict[str, Share]:
    """Make a configured printer responsible for each remembered topic.

    Args:
        config: the configured printers; each has a record.
        records: of configured and former printers, by their ids; they are saved.

    Returns:
        What each configured printer is responsible for, by its id.

    """
    bases = {printer.id: config.base(printer) for printer in config.printers}
    for name, base in bases.items():
        records[name].add(Topics(base).availability)
    remembered = {name: record.topics for name, record in records.items()}
    shares = divide(remembered, bases, config.home_assistant.prefix)
    for name in sorted(records, key=lambda name: name not in shares):
        # Former printers last: if the process is killed between two files, a topic may
        # be in both, but not in none.
        _set_topics(records[name], shares[name].all if name in shares else set())
    return shares


def divide(
    remembered: Mapping[str, AbstractSet[str]], bases: Mapping[str, str], prefix: str
) -> dict[str, Share]:
    """Return which printer is responsible for each topic of earlier runs.

    Args:
        remembered: topics by the id of the printer that left them.
        bases: the base topic of each configured printer by its id.
        prefix: Home Assistant's discovery prefix.

    """
    shares = {name: Share() for name in bases}
    first = next(iter(bases))
    for name, topics in remembered.items():
        for topic in topics:
            user = _below(topic, bases)
            if user is not None:
                shares[user].own.add(topic)
            elif name in bases and topic.startswith(f"{prefix}/"):
                shares[name].own.add(topic)
            else:
                cleaner = name if name in bases else first
                shares[cleaner].gone.setdefault(name, set()).add(topic)
    used = set[str]().union(*(share.own for share in shares.values()))
    for share in shares.values():
        share.drop_used(used)
    return shares


async def clear_gone(
    gone: Mapping[str, AbstractSet[str]],
    broker: Broker,
    find: Callable[[Topics], Awaitable[str | None]],
) -> None:
    """Clear topics that no configured printer uses any more.

    A printer may have moved to another bridge together with its topics. Those are not
    cleared, only forgotten here. If that cannot be found out, they are kept until the
    next start.

    Args:
        gone: topics by the id of the printer that left them.
        broker: where to clear them; it must be connected.
        find: returns the instance of the bridge that serves some topics, or ``None``.

    """
    for name, topics in gone.items():
        try:
            others = [await find(Topics(base)) for base in sorted(_bases(topics))]
        except AttemptError as error:
            log.info("not clearing the topics of %s yet: %s", name, error.message)
            continue
        other = next(filter(None, others), None)
        if other is None:
            log.info("clearing %d retained topics of %s", len(topics), name)
            broker.clear(topics)
        else:
            log.info(
                "not clearing the topics of %s: another bridge (%s) uses them",
                name,
                other,
            )
            broker.forget(topics)


def _bases(topics: AbstractSet[str]) -> set[str]:
    """Return the base topics, found by their ``availability`` topics."""
    return {
        base
        for topic in topics
        if topic == Topics(base := topic.rpartition("/")[0]).availability
    }


def _set_topics(record: TopicRecord, topics: AbstractSet[str]) -> None:
    for topic in topics - record.topics:
        record.add(topic)
    for topic in record.topics - topics:
        record.discard(topic)
    record.save()


def _below(topic: str, bases: Mapping[str, str]) -> str | None:
    """Return the printer whose base topic this topic is below.

    If base topics contain each other, the longest one counts.
    """
    fitting = [name for name, base in bases.items() if topic.startswith(f"{base}/")]
    return max(fitting, key=lambda name: len(bases[name]), default=None)


class Purge:
    """Clears all remembered topics, and forgets those that the broker has cleared.

    Args:
        records: of configured and former printers.

    Attributes:
        cleared: topics that the broker has cleared.
        refused: topics that we are not allowed to clear.

    """

    def __init__(self, records: Iterable[TopicRecord]) -> None:
        self._records = list(records)
        self._topics = {topic for record in self._records for topic in record.topics}
        self.cleared: list[str] = []
        self.refused: list[str] = []

    async def run(self, config: Mqtt, *, client_id: str) -> None:
        """Connect, clear, and save the records.

        The bridge must not be running: it would publish the topics again.

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
            for record in self._records:
                record.save()
        failures = [result for result in done if result is not None]
        if failures and isinstance(failures[0], AttemptError):
            count = (
                "1 topic is" if len(failures) == 1 else f"{len(failures)} topics are"
            )
            raise BrokerError(
                f"{failures[0]}; {count} not cleared yet: try again"
            ) from failures[0]
        if failures:
            raise failures[0]

    async def _clear(self, client: OneShotClient, topic: str) -> None:
        code = await client.publish(topic, b"", retain=True)
        if code >= FAILURE:
            self.refused.append(topic)
            return
        self.cleared.append(topic)
        for record in self._records:
            record.discard(topic)


async def purge(config: Config, origin: Path | None = None) -> Purge:
    """Clear the remembered topics, and all that the configured printers publish.

    Args:
        config: the configuration.
        origin: the file that it was read from; see :func:`owner_of`.

    Raises:
        BrokerError: The broker cannot be reached, or a bridge is running that would
            publish everything again.

    """
    folder = config.mqtt.state_folder or default_folder(os.environ)
    owner = owner_of(origin, config.mqtt)
    with exclusive(folder, owner) as alone:
        if not alone:
            raise BrokerError(
                "the bridge of this configuration is running and would publish "
                "everything again: stop it first"
            )
        await _refuse_running(config)
        records = all_records(folder, owner)
        for printer in config.printers:
            record = records.setdefault(
                printer.id, TopicRecord(folder, printer.id, owner)
            )
            topics = Topics(config.base(printer))
            for topic in topics.retained(initial(printer.profile).heaters):
                record.add(topic)
            record.add(config_topic(config.home_assistant.prefix, printer.id))
        clearing = Purge(records.values())
        await clearing.run(config.mqtt, client_id=unique_id(CLIENT))
        return clearing


async def _refuse_running(config: Config) -> None:
    turns = asyncio.Semaphore(AT_A_TIME)
    bases = [config.base(printer) for printer in config.printers]
    found = await asyncio.gather(
        *(_running_bridge(config, base, turns) for base in bases)
    )
    for base, other in zip(bases, found, strict=True):
        if other is not None:
            raise BrokerError(
                f"a bridge (instance {other}) is serving {base}/… and would publish "
                "everything again: stop it first"
            )


async def _running_bridge(
    config: Config, base: str, turns: asyncio.Semaphore
) -> str | None:
    """Return the instance of the bridge that serves a base topic, on any machine."""
    name = unique_id(CLIENT)
    async with turns:
        return await duplicate_bridge.find(
            config.mqtt, Topics(base), client_id=name, instance=name
        )
