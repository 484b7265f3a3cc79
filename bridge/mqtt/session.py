"""One connection that stands: what is heard on it, and what is on its way."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt import error_text
from bridge.mqtt.client import FAILURE, Client
from bridge.mqtt.duplicate_bridge import instance_of, rival
from bridge.mqtt.error_text import Loss
from bridge.mqtt.in_flight import Echoes, Suspects, large
from bridge.mqtt.memory import Memory
from bridge.mqtt.messages import (
    Filter,
    Grants,
    Lane,
    Message,
    Publication,
    Version,
)
from bridge.mqtt.outbox import Outbox
from bridge.mqtt.topics import Topics
from bridge.pauses import Repeats
from bridge.timeout import timeout

log = logging.getLogger("bridge.mqtt.desk")
"""Named in ``log.levels``, hence not after this module."""


WINDOW = 20
"""Messages handed to the client library and not yet settled. The rest waits in the
outbox, where the latest value of a retained topic replaces the one before."""

WINDOW_BYTES = 1_048_576
"""The same in bytes; one larger message may go alone."""

ASSERT_PAUSE = 0.2
"""Seconds before ``online`` is said again, so that two who disagree cannot spin."""

FAREWELL = 0.5
"""Seconds for each step of taking leave: the last messages, ``offline``, DISCONNECT."""

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Who we are on the broker, and what we do there.

    Attributes:
        client_id: our name; must be unique at the broker.
        topics: the printer's topics.
        instance: names this process in the retained ``info``, unlike any other; empty:
            other bridges are not looked for.
        subscriptions: what to hear.
        optional: what to hear where we may; nobody is warned where we may not.
        memory: remembers retained topics across restarts.

    """

    client_id: str
    topics: Topics
    instance: str = ""
    subscriptions: Sequence[str] = ()
    optional: Sequence[str] = ()
    memory: Memory | None = None


@dataclass(slots=True)
class Statistics:
    """What went over all connections of one broker.

    Attributes:
        connects: connections on which we said ``online``.
        received: messages from the broker.
        sent: messages that the broker has taken.
        refused: messages that it has not taken, for want of a right or for their size.
        protocol: the MQTT version of the latest connection.
        connected_since: when we said it on the present one, with a zone; ``None``:
            there is none.

    """

    connects: int = 0
    received: int = 0
    sent: int = 0
    refused: int = 0
    protocol: str | None = None
    connected_since: datetime | None = None

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return max(self.connects - 1, 0)


@dataclass(slots=True, kw_only=True)
class Desk:
    """What the sessions of one broker share.

    Attributes:
        config: how to be on the broker.
        presence: who we are there.
        on_message: gets what is heard.
        on_connected: called on each connection, after the retained topics were queued.
        outbox: what waits.
        statistics: what has been counted.
        suspects: what may be too large for the broker.
        warnings: what has been said about each topic.

    """

    config: Mqtt
    presence: Presence
    on_message: Callable[[Message], None]
    on_connected: Callable[[], None] | None = None
    outbox: Outbox = field(default_factory=Outbox)
    statistics: Statistics = field(default_factory=Statistics)
    suspects: Suspects = field(default_factory=Suspects)
    warnings: dict[str, Repeats] = field(default_factory=dict)

    @property
    def topics(self) -> Topics:
        """The printer's topics."""
        return self.presence.topics

    def place(self, publication: Publication) -> str:
        """Return where a message goes, in words that do not depend on its sender."""
        topic = publication.topic
        if publication.lane is not Lane.RESPONSE or topic == self.topics.response:
            return topic
        prefixes = (
            f"{self.topics.base}/",
            *filter(None, self.config.response_prefixes),
        )
        return next((f"{start}…" for start in prefixes if topic.startswith(start)), "…")

    def warn(self, subject: str, text: str) -> None:
        """Log a warning about a topic, unless it was said lately.

        Nothing of what a sender may choose belongs into the subject or the text.
        """
        said = self.warnings.setdefault(subject, Repeats())
        line = said.note(text, time.monotonic())
        if line is not None:
            log.warning("%s", line)


class Session:
    """Listens on a connection and keeps a bounded number of messages on their way."""

    def __init__(self, desk: Desk, version: Version) -> None:
        self._desk = desk
        self._version = version
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._grants = Grants()
        self._filters: Sequence[Filter] = ()
        self._on_way: dict[int, Publication] = {}
        self._bytes = 0
        self._settled = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._echoes = Echoes()
        self._closing = False
        self._rivals: set[str] = set()

    async def serve(self, client: Client, grants: Grants) -> Loss:
        """Subscribe, say that we are there, and go on until the connection ends.

        Raises:
            BrokerError: Another bridge serves our topics.
            Exception: What ``on_message`` raised.

        """
        self._client = client
        self._grants = grants
        topics = self._desk.topics
        self._filters = [
            Filter(topic=topics.availability, own=True),
            Filter(topic=topics.info),
            *(Filter(topic=topic) for topic in self._desk.presence.subscriptions),
            *(Filter(topic=topic) for topic in self._desk.presence.optional),
        ]
        patience = self._desk.config.connect_timeout
        self._timer = self._loop.call_later(patience, self._unanswered)
        client.subscribe(self._filters)
        return self._explained(await client.ended())

    async def farewell(self) -> None:
        """Say ``offline`` after all that still waits, and leave.

        Without an answer in time we go without taking leave: then the will says it.
        """
        self._closing = True
        client = self._client
        if client is None:
            return
        await self._drain()
        self._desk.outbox.put(self._availability(OFFLINE))
        if await self._drain():
            await client.disconnect(patience=FAREWELL)

    def end(self) -> None:
        """Give back what was on its way."""
        self._stop_timer()
        self._client = None
        self._desk.statistics.connected_since = None
        for publication in reversed(self._on_way.values()):
            self._desk.outbox.undelivered(publication)
        self._on_way.clear()
        self._bytes = 0

    def pump(self) -> None:
        """Send what waits, as far as the window lets us."""
        if self._client is None:
            return
        while self._room():
            publication = self._desk.outbox.take(self._loop.time())
            if publication is None or not self._send(self._client, publication):
                break
        if not self._on_way and not len(self._desk.outbox):
            self._settled.set()

    @property
    def unsettled(self) -> int:
        """How many messages are on their way."""
        return len(self._on_way)

    def may_clear(self, topic: str) -> bool:
        """Tell whether it is safe to clear a command topic.

        On MQTT 3.1.1 the clearing message comes back like a command and must be told
        from one. An emergency must not be missed: there a person has to do it.
        """
        if self._version is Version.V5:
            return True
        if topic == self._desk.topics.emergency:
            self._desk.warn(
                f"clear {topic}",
                f"a message is retained on {topic} and is not cleared, as MQTT 3.1.1 "
                "could not tell that from an emergency; stop the bridge, then clear "
                f"it: mosquitto_pub -r -n -t {topic}",
            )
            return False
        return True

    def received(self, message: Message) -> None:
        """Take a message; those about our own availability are for us."""
        topics = self._desk.topics
        if message.topic == topics.availability:
            self._hear_availability(message)
        elif message.topic == topics.info:
            self._hear_info(message)
        elif message.payload or not self._echoes.heard(
            message.topic, self._loop.time()
        ):
            self._desk.statistics.received += 1
            self._desk.on_message(message)

    def published(self, number: int, code: int) -> None:
        """Settle a message, and send the next."""
        publication = self._on_way.pop(number, None)
        if publication is not None:
            self._bytes -= publication.size
            settle(self._desk, publication, code)
        self.pump()

    def subscribed(self, _number: int, codes: Sequence[int]) -> None:
        """Warn about what we may not hear, and say that we are there."""
        self._stop_timer()
        refused = [
            (wanted.topic, code)
            for wanted, code in zip(self._filters, codes, strict=False)
            if code >= FAILURE and wanted.topic not in self._desk.presence.optional
        ]
        for topic, code in refused:
            text = error_text.no_right(self._desk.config, topic, write=False, code=code)
            self._desk.warn(f"read {topic}", text)
        self._go_online()

    async def _drain(self) -> bool:
        """Wait until everything has reached the broker; tell whether it did."""
        self._settled.clear()
        self.pump()
        try:
            async with timeout(FAREWELL):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    def _go_online(self) -> None:
        """Publish the whole table, ``online`` last: then what it promises is there."""
        outbox, statistics = self._desk.outbox, self._desk.statistics
        statistics.connects += 1
        statistics.protocol = self._version.value
        statistics.connected_since = datetime.now(UTC)
        outbox.put(self._availability(ONLINE))
        outbox.republish(last=self._desk.topics.availability)
        self.pump()
        if self._desk.on_connected is not None:
            self._desk.on_connected()

    def _availability(self, payload: bytes) -> Publication:
        topic = self._desk.topics.availability
        return Publication(topic=topic, payload=payload, qos=1, retain=True)

    def _hear_availability(self, message: Message) -> None:
        """Contradict ``offline``: it is the last will of an earlier connection."""
        if self._replayed(message) or self._closing or self._timer is not None:
            return
        if message.payload == OFFLINE:
            self._timer = self._loop.call_later(ASSERT_PAUSE, self._assert_online)

    def _assert_online(self) -> None:
        self._timer = None
        if not self._closing:
            self._desk.outbox.assert_again(self._desk.topics.availability)
            self.pump()

    def _hear_info(self, message: Message) -> None:
        """Settle who stays when another bridge came at the same moment.

        Both decide alike: the lower instance stays, and says its ``info`` again so that
        the other, which may have come later, hears of it.
        """
        other, ours = instance_of(message.payload), self._desk.presence.instance
        if self._replayed(message) or other in (None, ours) or not ours:
            return
        if str(other) < ours:
            raise BrokerError(rival(self._desk.topics, str(other)))
        if str(other) not in self._rivals:
            self._rivals.add(str(other))
            self._desk.outbox.assert_again(self._desk.topics.info)
            self.pump()

    def _replayed(self, message: Message) -> bool:
        return message.retain and self._version is Version.V311

    def _room(self) -> bool:
        window = min(WINDOW, self._grants.in_flight)
        return len(self._on_way) < window and self._bytes < WINDOW_BYTES

    def _send(self, client: Client, publication: Publication) -> bool:
        """Hand a message over; tell whether to go on with the next."""
        grants = self._grants
        if grants.packet is not None and publication.size > grants.packet:
            why = f"it announces {grants.packet} bytes"
            shorten(self._desk, publication, why)
            return True
        number = client.publish(publication)
        if number is None:
            self._desk.outbox.undelivered(publication)
            self._desk.outbox.assert_again(publication.topic)
            return False
        self._on_way[number] = publication
        self._bytes += publication.size
        if self._comes_back(publication):
            self._echoes.expect(publication.topic, self._loop.time())
        return True

    def _comes_back(self, publication: Publication) -> bool:
        clears = publication.retain and not publication.payload
        topic = publication.topic
        return (
            clears
            and self._version is Version.V311
            and self._desk.topics.is_command(topic)
        )

    def _explained(self, loss: Loss) -> Loss:
        """Suspect a large message that was on its way when the broker left us."""
        suspects = large(self._on_way.values()) if loss.unexplained else ()
        for publication in self._desk.suspects.judge(suspects):
            numbers = [n for n, one in self._on_way.items() if one == publication]
            for number in numbers:
                del self._on_way[number]
            shorten(self._desk, publication, "it closed the connection twice")
        if not suspects:
            return loss
        first = suspects[0]
        text = (
            f"{loss.message}; {len(first.payload)} bytes were on their way to "
            f"{self._desk.place(first)}, which may be more than the broker takes"
        )
        return replace(loss, message=text, unexplained=False)

    def _unanswered(self) -> None:
        self._timer = None
        if self._client is not None:
            where = error_text.endpoint(self._desk.config)
            self._client.give_up(f"{where} did not answer our subscriptions")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def settle(desk: Desk, publication: Publication, code: int) -> None:
    """Take in the broker's answer to a message."""
    if code >= FAILURE:
        _refused(desk, publication, code)
        return
    desk.statistics.sent += 1
    desk.outbox.delivered(publication)
    memory = desk.presence.memory
    if memory is not None and publication.retain and not publication.payload:
        memory.discard(publication.topic)


def shorten(desk: Desk, publication: Publication, why: str) -> None:
    """Send less instead of what is too large; nothing outdated stays retained."""
    place = desk.place(publication)
    desk.statistics.refused += 1
    desk.warn(
        f"size {place}",
        f"a message on {place} was larger than the broker takes ({why}) and is "
        "left out; raise the broker's limit",
    )
    if publication.retain or publication.short:
        short = publication.short
        desk.outbox.put(replace(publication, payload=short, short=b""))


def _refused(desk: Desk, publication: Publication, code: int) -> None:
    """Warn; an answer that its sender may not have goes where all can see it."""
    place = desk.place(publication)
    desk.statistics.refused += 1
    text = error_text.no_right(desk.config, place, write=True, code=code)
    desk.warn(f"write {place}", text)
    common = desk.topics.response
    if publication.lane is Lane.RESPONSE and publication.topic != common:
        desk.outbox.put(replace(publication, topic=common))
