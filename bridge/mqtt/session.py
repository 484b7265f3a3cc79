"""One established connection: what is received on it, and what is in flight.

:class:`SharedState` holds what outlives a connection; the sessions of a broker use it
one after the other.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bridge.config import Mqtt
from bridge.log_dedupe import LogDedupe
from bridge.mqtt import error_text
from bridge.mqtt.client import FAILURE, Client
from bridge.mqtt.duplicate_bridge import ONLINE
from bridge.mqtt.error_text import Loss
from bridge.mqtt.messages import (
    BrokerLimits,
    Filter,
    Lane,
    Message,
    Publication,
    Version,
)
from bridge.mqtt.missing_rights import MissingRights, Use
from bridge.mqtt.outbox import InFlight, Outbox, OversizeDetector, OwnEchoes
from bridge.mqtt.own_topics import OFFLINE, ClientIdentity, OwnTopics
from bridge.mqtt.retained_copies import RetainedCopies
from bridge.mqtt.takeover import Conflicts
from bridge.state_files import TopicRecord
from bridge.timeout import timeout
from bridge.topics import Topics

log = logging.getLogger("bridge.mqtt.session")
"""Not named after this module: users set its level by this name in ``log.levels``."""

MAX_PROVEN = 1000
"""Topics that are remembered as allowed while the bridge looks for a forbidden one."""

DISCONNECT_TIMEOUT = 0.5
"""Seconds for each step of ending: the last messages, ``offline``, DISCONNECT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Who we are at the broker, and which topics we use there.

    Attributes:
        client_id: our client id; must be unique at the broker.
        topics: the printer's topics.
        instance: identifies this process in the retained ``info``; empty: there is no
            check for other bridges.
        subscriptions: topic filters to subscribe to.
        optional: further ones, without a warning where the broker refuses them.
        record: remembers retained topics across restarts.
        discovery: where Home Assistant reads what devices there are; ``None``: it is
            not announced.
        turn: names the moments of regular work; see :func:`next_turn`.

    """

    client_id: str
    topics: Topics
    instance: str = ""
    subscriptions: Sequence[str] = ()
    optional: Sequence[str] = ()
    record: TopicRecord | None = None
    discovery: str | None = None
    turn: str = ""


@dataclass(slots=True)
class Statistics:
    """Counts over all connections to the broker.

    Attributes:
        connects: connections on which ``online`` was published.
        received: messages received.
        sent: messages acknowledged by the broker.
        refused: messages that it refused, for a missing right or for their size.
        protocol: the MQTT version of the latest connection.
        connected_since: when ``online`` was published on the present connection, with
            a time zone; ``None``: there is none.

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
class SharedState:
    """What the sessions of one broker share, and what outlives each of them.

    Attributes:
        config: how to reach the broker.
        presence: who we are there.
        on_message: is called with each message received.
        on_connected: is called on each connection, after the retained topics have been
            queued.
        outbox: messages that wait to be sent.
        statistics: counts.
        oversize: finds messages that are too large for the broker.
        warnings: which warnings have been logged, by their subject.
        conflicts: what other clients do to this bridge.
        established: this bridge has once been connected for a while.
        rights: what the broker does not let us do.

    """

    config: Mqtt
    presence: Presence
    on_message: Callable[[Message], None]
    on_connected: Callable[[], None] | None = None
    outbox: Outbox = field(default_factory=Outbox)
    statistics: Statistics = field(default_factory=Statistics)
    oversize: OversizeDetector = field(default_factory=OversizeDetector)
    warnings: dict[str, LogDedupe] = field(default_factory=dict)
    conflicts: Conflicts = field(default_factory=Conflicts)
    established: bool = False
    rights: MissingRights = field(default_factory=MissingRights)

    @property
    def topics(self) -> Topics:
        """The printer's topics."""
        return self.presence.topics

    def topic_for_log(self, publication: Publication) -> str:
        """Return a message's topic without the part that a command's sender chose."""
        topic = publication.topic
        if publication.lane is not Lane.RESPONSE or topic == self.topics.response:
            return topic
        prefixes = (
            f"{self.topics.base}/",
            *filter(None, self.config.response_prefixes),
        )
        return next((f"{start}…" for start in prefixes if topic.startswith(start)), "…")

    def warn(self, subject: str, text: str) -> None:
        """Log a warning about a topic, unless it was logged recently.

        Neither subject nor text may contain what a sender can choose: it could fill the
        memory and the log.
        """
        line = self.warnings.setdefault(subject, LogDedupe()).filter(
            text, time.monotonic()
        )
        if line is not None:
            log.warning("%s", line)

    def acknowledged(self, publication: Publication, code: int) -> None:
        """Handle the broker's acknowledgement of a message, with its reason code."""
        if code >= FAILURE:
            self._refused(publication, code)
            return
        self.statistics.sent += 1
        self.outbox.delivered(publication)
        record = self.presence.record
        if record is not None and publication.retain and not publication.payload:
            record.discard(publication.topic)

    def too_large(self, publication: Publication, why: str) -> None:
        """Send the short version of a message that is too large for the broker.

        If there is none, a retained topic is cleared, so that it does not keep an
        outdated value.
        """
        topic = self.topic_for_log(publication)
        self.statistics.refused += 1
        self.warn(
            f"size {topic}",
            f"a message on {topic} was larger than the broker accepts ({why}) and was "
            "not sent; increase the broker's limit",
        )
        if publication.retain or publication.short:
            short = replace(publication, payload=publication.short, short=b"")
            self.outbox.put(short)

    def leave_out(self, publication: Publication) -> None:
        """Leave out a message for which the broker closes the connection."""
        self.statistics.refused += 1
        self.outbox.delivered(publication)
        self._use_common_topic(publication)

    def use_of(self, publication: Publication) -> Use:
        """Return the right that publishing a message needs."""
        name = self.topic_for_log(publication)
        return Use(publication.topic, write=True, name=name)

    def _refused(self, publication: Publication, code: int) -> None:
        """Warn; if a response was refused, publish it on the common topic."""
        topic = self.topic_for_log(publication)
        self.statistics.refused += 1
        text = error_text.no_right(self.config, topic, write=True, code=code)
        self.warn(f"write {topic}", text)
        self._use_common_topic(publication)

    def _use_common_topic(self, publication: Publication) -> None:
        common = self.topics.response
        if publication.lane is Lane.RESPONSE and publication.topic != common:
            self.outbox.put(replace(publication, topic=common))


class BrokerSession:
    """Receives on one connection, and keeps a bounded number of messages in flight."""

    def __init__(self, shared: SharedState, version: Version) -> None:
        self._shared = shared
        self.version = version
        self._availability_topic = shared.topics.availability
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._limits = BrokerLimits()
        self._unsubscribed: deque[Sequence[Filter]] = deque()
        self._asked: Sequence[Filter] = ()
        self._optional: set[str] = set()
        self._in_flight = InFlight()
        self._stepwise = shared.rights.searching
        self._alone: tuple[int, Use] | None = None
        self._proven: set[Use] = set()
        self.waiting = False
        """Whether the broker had not answered everything when the connection ended."""
        self.unanswered: Use | None = None
        """The only use that it had not answered, for which a right may be missing."""
        self._all_sent = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._echoes = OwnEchoes()
        presence = shared.presence
        self._copies = RetainedCopies(self._searched_topics(), self._subscribe_again)
        identity = ClientIdentity(
            topics=presence.topics,
            instance=presence.instance,
            discovery=presence.discovery,
        )
        self._own = OwnTopics(
            identity,
            version,
            shared.outbox,
            shared.conflicts,
            self.send_waiting,
            established=shared.established,
        )

    async def serve(self, client: Client, limits: BrokerLimits) -> Loss:
        """Subscribe, publish ``online``, and continue until the connection ends.

        Raises:
            BridgeInTheWayError: Another bridge serves our topics.
            Exception: What ``on_message`` raised.

        """
        self._client = client
        self._limits = limits
        self._in_flight = InFlight(limits.receive_maximum)
        presence = self._shared.presence
        # Some brokers (NATS) count each subscription at QoS 1 as a separate consumer.
        optional = [Filter(topic=topic, qos=0) for topic in presence.optional]
        optional += self._own.optional
        self._optional = {wanted.topic for wanted in optional}
        filters = [
            *self._own.filters,
            *map(self._command_filter, presence.subscriptions),
            *optional,
        ]
        rights = self._shared.rights
        rights.begin(time.monotonic())
        allowed = [one for one in filters if rights.allows(self._reading(one))]
        steps = [[one] for one in allowed] if self._stepwise else [allowed]
        self._unsubscribed.extend(steps)
        self._subscribe_next()
        return self._explained(await client.ended())

    def _subscribe_next(self) -> None:
        """Subscribe to all topics, or only to the next one while searching.

        After the last of them, ``online`` is published.
        """
        self._stop_timer()
        self._asked = self._unsubscribed.popleft() if self._unsubscribed else ()
        if not self._asked:
            self._go_online()
        elif self._client is not None:
            seconds = self._shared.config.connect_timeout
            self._timer = self._loop.call_later(seconds, self._suback_timed_out)
            self._client.subscribe(self._asked)

    def _reading(self, wanted: Filter) -> Use:
        optional = wanted.topic in self._optional
        return Use(wanted.topic, write=False, optional=optional)

    def _command_filter(self, topic: str) -> Filter:
        """Return the subscription to a command topic.

        Messages that were retained there before are also delivered, so that they are
        refused and cleared. Retained stops are not, because a stop that was meant for
        another time must not stop the machine.
        """
        return Filter(
            topic=topic, replay=topic != self._shared.presence.topics.emergency
        )

    async def disconnect(self) -> None:
        """Publish ``offline`` after everything that still waits, and disconnect.

        If the broker does not acknowledge that in time, DISCONNECT is left out, and the
        broker publishes our last will, which says the same.
        """
        self._own.close()
        client = self._client
        if client is None:
            return
        await self._flush()
        self._shared.outbox.put(self._availability(OFFLINE))
        if await self._flush():
            await client.disconnect(DISCONNECT_TIMEOUT)

    def end(self) -> None:
        """Return the messages that were in flight to the outbox."""
        self._stop_timer()
        self._copies.close()
        self.waiting = bool(self._asked or self._in_flight)
        if self._stepwise and self._asked:
            self.unanswered = self._reading(self._asked[0])
        elif self._alone is not None:
            self.unanswered = self._alone[1]
        self._shared.established = self._own.established
        self._own.close()
        self._client = None
        self._shared.statistics.connected_since = None
        for publication in reversed(self._in_flight.take_all()):
            self._shared.outbox.undelivered(publication)

    def ignore_info(self, payload: bytes) -> None:
        """Ignore the retained ``info`` of a bridge that did not answer, once."""
        self._own.silent = payload

    def send_waiting(self) -> None:
        """Send waiting messages, as far as the window allows."""
        if self._client is None:
            return
        while self._in_flight.has_room and self._alone is None:
            publication = self._shared.outbox.take(self._loop.time())
            if publication is None or not self._send(self._client, publication):
                break
        if not self._in_flight and not self._shared.outbox:
            self._all_sent.set()

    @property
    def sees_itself(self) -> bool:
        """Whether our own ``online`` was delivered to us."""
        return self._own.seen

    @property
    def in_flight(self) -> int:
        """How many messages are in flight."""
        return len(self._in_flight)

    def on_message(self, message: Message) -> None:
        """Process a message; those on our own topics are not passed on."""
        if self._own.take(message):
            return
        topic = message.topic
        if message.retain and (named := self._copies.found(topic)) is not None:
            self._clear_copy(topic, named)
        elif message.payload or not self._echoes.is_echo(topic, self._loop.time()):
            self._shared.statistics.received += 1
            self._shared.on_message(message)
            if self._copies.wanted and message.payload and not message.retain:
                self._copies.received(topic)

    def _searched_topics(self) -> Sequence[str]:
        """Return the subscriptions in which to search for retained copies.

        Stops are not among them, because their own connection searches for them.
        """
        config, presence = self._shared.config, self._shared.presence
        if self.version is Version.V5 or not config.clear_retained_commands:
            return ()
        stop = presence.topics.emergency
        return [topic for topic in presence.subscriptions if topic != stop]

    def _subscribe_again(self, topic: str) -> int | None:
        if self._client is None:
            return None
        return self._client.subscribe([self._command_filter(topic)])

    def _clear_copy(self, topic: str, named: str) -> None:
        self._shared.warn(
            f"retained {named}",
            f"a command on {named} was sent with the RETAIN flag, which MQTT 3.1.1 "
            "does not show at once: it was carried out, and what the broker retained "
            "is cleared; send commands without the flag",
        )
        self._shared.outbox.put(
            Publication(topic=topic, payload=b"", qos=1, retain=True)
        )
        self.send_waiting()

    def on_published(self, number: int, code: int) -> None:
        """Handle an acknowledgement, and send the next message."""
        publication = self._in_flight.acknowledged(number)
        if publication is not None:
            self._note_right(number, publication, code)
            self._shared.acknowledged(publication, code)
        self.send_waiting()

    def _note_right(self, number: int, publication: Publication, code: int) -> None:
        alone = self._alone is not None and self._alone[0] == number
        if alone:
            self._alone = None
        if alone or (publication.qos and code >= FAILURE):
            use = self._shared.use_of(publication)
            now = time.monotonic()
            self._shared.rights.answered(use, now, refused=code >= FAILURE)
            if len(self._proven) < MAX_PROVEN:
                self._proven.add(use)

    def on_subscribed(self, number: int, codes: Sequence[int]) -> None:
        """Warn about refused subscriptions, and continue."""
        if self._copies.is_answer(number):
            return
        for wanted, code in zip(self._asked, codes, strict=False):
            topic, refused = wanted.topic, code >= FAILURE
            use, now = self._reading(wanted), time.monotonic()
            self._shared.rights.answered(use, now, refused=refused)
            if refused and not use.optional:
                text = error_text.no_right(
                    self._shared.config, topic, write=False, code=code
                )
                self._shared.warn(f"read {topic}", text)
        self._subscribe_next()

    async def _flush(self) -> bool:
        """Wait until everything has been acknowledged; return whether it was."""
        self._all_sent.clear()
        self.send_waiting()
        try:
            async with timeout(DISCONNECT_TIMEOUT):
                await self._all_sent.wait()
        except TimeoutError:
            return False
        return True

    def _go_online(self) -> None:
        """Publish all retained topics, and ``online`` after them."""
        outbox, statistics = self._shared.outbox, self._shared.statistics
        statistics.connects += 1
        statistics.protocol = self.version.value
        statistics.connected_since = datetime.now(UTC)
        self._own.online()
        outbox.put(self._availability(ONLINE))
        suspected = self._shared.rights.suspected
        outbox.republish(last=self._availability_topic, first=suspected)
        self.send_waiting()
        if self._shared.on_connected is not None:
            self._shared.on_connected()

    def _availability(self, payload: bytes) -> Publication:
        topic = self._availability_topic
        return Publication(topic=topic, payload=payload, qos=1, retain=True)

    def _send(self, client: Client, publication: Publication) -> bool:
        """Send a message; return whether to continue with the next."""
        limit = self._limits.packet_size
        if limit is not None and publication.size > limit:
            self._shared.too_large(publication, f"it announces {limit} bytes")
            return True
        rights, alone = self._shared.rights, None
        if self._stepwise or rights.leaves_out:
            use = self._shared.use_of(publication)
            if not rights.allows(use):
                self._shared.leave_out(publication)
                return True
            if self._stepwise and use not in self._proven:
                # Nothing else may be unanswered, and at QoS 0 there is no answer.
                alone, publication = use, replace(publication, qos=1)
        number = client.publish(publication)
        if number is None:
            self._shared.outbox.undelivered(publication)
            self._shared.outbox.requeue(publication.topic)
            return False
        if alone is not None:
            self._alone = number, alone
        self._in_flight.add(number, publication)
        self._own.sent(publication)
        if self._comes_back(publication):
            self._echoes.expect(publication.topic, self._loop.time())
        return True

    def _comes_back(self, publication: Publication) -> bool:
        """Return whether a message is our own clearing, which must not be executed.

        An emergency stop must never be mistaken for one, so a clearing on its topic is
        executed: it only stops the machine once more.
        """
        if publication.topic == self._shared.topics.emergency:
            return False
        clears = publication.retain and not publication.payload
        return (
            clears
            and self.version is Version.V311
            and self._shared.topics.is_command(publication.topic)
        )

    def _explained(self, loss: Loss) -> Loss:
        """Suspect a large message that was in flight when the connection was closed."""
        large = self._in_flight.large if loss.unexplained else ()
        for publication in self._shared.oversize.connection_closed(large):
            self._in_flight.discard(publication)
            self._shared.too_large(publication, "it closed the connection twice")
        if not large:
            return loss
        first = large[0]
        text = (
            f"{loss.message}; a message of {len(first.payload)} bytes on "
            f"{self._shared.topic_for_log(first)} was being sent, which may be more "
            "than the broker accepts"
        )
        return replace(loss, message=text, unexplained=False)

    def _suback_timed_out(self) -> None:
        self._timer = None
        if self._client is not None:
            where = error_text.endpoint(self._shared.config)
            self._client.give_up(f"{where} did not answer our subscriptions")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
