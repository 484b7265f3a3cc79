"""What others publish on the topics on which only this bridge should publish.

A value that is not ours would stay retained, and clients would believe it: the
last will of an earlier connection, a forged state, a second bridge. So it is replaced
with ours after a moment.
"""

import asyncio
import logging
import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import BridgeInTheWayError
from bridge.mqtt.duplicate_bridge import ONLINE, conflict, instance_of
from bridge.mqtt.messages import Filter, Message, Publication, Version
from bridge.mqtt.outbox import Outbox
from bridge.topics import Topics

log = logging.getLogger("bridge.mqtt.session")

START_WINDOW = 10.0
"""Seconds after connecting in which a bridge that has just started yields to another
one. They have detected each other by then."""

MAX_REPEATS = 2
"""How often a bridge republishes its ``info`` because of one other instance."""

MAX_CONFLICTING = 16
"""Other instances that are remembered; they may be forged."""

REPEAT_DELAY = 0.2
"""Seconds until a value that somebody else has overwritten is published again, so that
two clients that contradict each other do not flood the broker."""

REMEMBERED = 32
"""Values per topic that are remembered in order to recognise our own messages. MQTT
3.1.1 has no "no local" subscriptions (MQTT 5.0, 3.8.3.1)."""

OFFLINE = b"offline"
"""The last will; the opposite of :data:`ONLINE`."""


class Reporter(Protocol):
    """Reports what other clients do."""

    def report(self, text: str, /) -> None:
        """Report it; repeats of it are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientIdentity:
    """What is ours at the broker.

    Attributes:
        topics: the printer's topics.
        instance: identifies this process in the retained ``info``; empty: there is no
            check for other bridges.
        discovery: where Home Assistant reads what devices there are, one topic for each
            printer's id; ``None``: it is not announced.

    """

    topics: Topics
    instance: str = ""
    discovery: str | None = None


class OwnTopics:
    """Watches our retained topics on one connection.

    Args:
        identity: which topics are ours.
        version: the MQTT version.
        outbox: has our values.
        conflicts: reports what another bridge does.
        send: sends what was queued in the outbox.
        established: this bridge has once been connected for :data:`START_WINDOW`.

    """

    def __init__(  # noqa: PLR0913 - what it shares with the session
        self,
        identity: ClientIdentity,
        version: Version,
        outbox: Outbox,
        conflicts: Reporter,
        send: Callable[[], None],
        *,
        established: bool,
    ) -> None:
        self._identity = identity
        self._topics = topics = identity.topics
        self._info, self._availability = topics.info, topics.availability
        self._old = version is Version.V311
        self._outbox = outbox
        self._conflicts = conflicts
        self._send = send
        self._established = established
        self._loop = asyncio.get_running_loop()
        self._online_at = math.inf
        self._closed = True
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sent: dict[str, deque[bytes]] = defaultdict(
            lambda: deque(maxlen=REMEMBERED)
        )
        self._conflicting: dict[str, int] = {}
        self._heater = topics.heaters.removesuffix("+")
        own = {topic for topic in topics.retained(()) if not self._too_frequent(topic)}
        self._corrected = own - {self._availability, self._info}
        if identity.discovery is not None:
            self._corrected.add(identity.discovery)
        self.seen = False
        """Our own ``online`` has come back: the broker grants us our rights."""
        self.silent = b""
        """The ``info`` of a bridge that does not answer. A broker that ignores Retain
        Handling (MQTT 5.0, 3.8.3.1) may send it; the first one is not news."""

    @property
    def filters(self) -> list[Filter]:
        """The subscriptions without which the bridge does not work."""
        return [Filter(topic=self._availability, own=True), Filter(topic=self._info)]

    @property
    def optional(self) -> list[Filter]:
        """Those without which forged values stay until ours change."""
        topics = sorted(self._corrected)
        heaters = [] if self._old else [self._topics.heaters]
        return [Filter(topic=topic) for topic in (*topics, *heaters)]

    @property
    def established(self) -> bool:
        """Whether this bridge has once been connected for a while."""
        if self._loop.time() - self._online_at >= START_WINDOW:
            self._established = True
        return self._established

    def online(self) -> None:
        """Note that ``online`` is being published; from now on the values are ours."""
        self._online_at = self._loop.time()
        self._closed = False

    def close(self) -> None:
        """Stop correcting values: we are about to disconnect."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def sent(self, publication: Publication) -> None:
        """Remember our own value, which comes back to us on MQTT 3.1.1."""
        if self._old and publication.retain and self._is_ours(publication.topic):
            self._sent[publication.topic].append(publication.payload)

    def take(self, message: Message) -> bool:
        """Handle a message; return whether its topic is one of ours.

        Raises:
            BridgeInTheWayError: Another bridge serves our topics, and we give way.

        """
        topic = message.topic
        if topic == self._info:
            self._check_info(message)
        elif topic == self._availability:
            self._check_availability(message)
        elif self._is_ours(topic):
            self._check_value(message)
        else:
            return False
        return True

    def _too_frequent(self, topic: str) -> bool:
        """Return whether a value comes back too often, and is replaced soon anyway.

        On MQTT 3.1.1 the broker sends us everything that we publish on these topics.
        """
        topics = self._topics
        return self._old and topic in {topics.temperature, topics.health}

    def _is_ours(self, topic: str) -> bool:
        return (
            topic in self._corrected
            or topic == self._info
            or topic.startswith(self._heater)
        )

    def _is_stored(self, message: Message) -> bool:
        """Return whether it was retained when we subscribed.

        On MQTT 5 we ask for no retained messages, and keep the flag on live ones.
        """
        return message.retain and self._old

    def _check_availability(self, message: Message) -> None:
        """Contradict an ``offline``: it is the last will of an earlier connection."""
        if self._is_stored(message):
            return
        if message.payload == ONLINE:
            self.seen = True
        else:
            self._repeat(message.topic)

    def _check_value(self, message: Message) -> None:
        topic, payload = message.topic, message.payload
        if self._is_stored(message) or self._is_known(topic, payload):
            return
        if topic == self._identity.discovery and not payload:
            return  # Home Assistant does that to forget a device; a person decided it
        self._repeat(topic)

    def _is_known(self, topic: str, payload: bytes) -> bool:
        """Return whether this is our own value, on MQTT 3.1.1."""
        sent = self._sent.get(topic)
        return sent is not None and payload in sent

    def _repeat(self, topic: str) -> None:
        if not self._closed and topic not in self._timers:
            self._timers[topic] = self._loop.call_later(
                REPEAT_DELAY, self._publish_again, topic
            )

    def _publish_again(self, topic: str) -> None:
        del self._timers[topic]
        if topic in self._outbox.retained:
            self._outbox.requeue(topic)
        else:
            cleared = Publication(topic=topic, payload=b"", qos=1, retain=True)
            self._outbox.put(cleared)
        self._send()

    def _check_info(self, message: Message) -> None:
        """Decide which bridge stays when two were started at the same moment.

        Both decide alike: the one with the lower instance stays, and publishes its
        ``info`` again, because the other may have subscribed too late to receive it.
        One that has been connected for a while stays in any case, because anybody who
        may publish can forge an ``info``.
        """
        other, ours = instance_of(message.payload), self._identity.instance
        if self._is_stored(message):
            return
        if self.silent and message.payload == self.silent:
            self.silent = b""
            return
        if other in {None, ours} or not ours:
            self._check_value(message)
            return
        count = self._conflicting.get(other, 0) + 1
        if self.established:
            self._conflicts.report(
                f"a message on {message.topic} comes from another bridge, or is "
                "forged; this bridge continues. Stop the other bridge, or give one of "
                "the two another printers.topic"
            )
        elif other < ours or count >= MAX_REPEATS:
            raise BridgeInTheWayError(conflict(self._topics, other))
        self._answer(other, count)

    def _answer(self, other: str, count: int) -> None:
        """Publish our info again, so that a bridge that has just started learns of us.

        An established bridge does so at once for each of the first messages from an
        instance, and later only after a moment.
        """
        if count <= (MAX_REPEATS if self.established else 1):
            if len(self._conflicting) >= MAX_CONFLICTING:
                self._conflicting.clear()
            self._conflicting[other] = count
            self._outbox.requeue(self._info)
            self._send()
        elif self.established:
            self._repeat(self._info)
