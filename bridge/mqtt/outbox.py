"""Messages that wait to be sent, and those that the broker has yet to acknowledge.

The latest value of each retained topic waits, and so do queues of other messages.
However long the broker is unreachable or slow, memory is limited by the number of
retained topics and the limits of the queues. Times are seconds on a monotonic clock.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.mqtt.messages import Lane, Publication

WINDOW = 20
"""Unacknowledged messages at a time. The others wait in the outbox, where a new value
of a retained topic replaces the older one. It is Mosquitto's default of
``max_inflight_messages`` (mosquitto.conf(5))."""

WINDOW_BYTES = 1_048_576
"""The same in bytes; a larger message is sent on its own."""

LARGE = 65_536
"""Bytes. Smaller messages are accepted by every broker, and most messages are smaller.
"""

ECHO_TIMEOUT = 10.0
"""Seconds after which an empty message is not an echo of ours but somebody's command.
"""


class InFlight:
    """The window of messages in flight, by their packet identifiers.

    Args:
        receive_maximum: how many the broker allows (MQTT 5.0, 3.2.2.3.3).

    """

    def __init__(self, receive_maximum: int = WINDOW) -> None:
        self._limit = min(WINDOW, receive_maximum)
        self._messages: dict[int, Publication] = {}
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many messages are in flight."""
        return len(self._messages)

    @property
    def has_room(self) -> bool:
        """Whether one more message may be sent."""
        return len(self._messages) < self._limit and self._bytes < WINDOW_BYTES

    @property
    def large(self) -> Sequence[Publication]:
        """Those that may be too large for a broker."""
        return [one for one in self._messages.values() if one.size > LARGE]

    def add(self, number: int, publication: Publication) -> None:
        """Add a message that has been sent."""
        self._messages[number] = publication
        self._bytes += publication.size

    def acknowledged(self, number: int) -> Publication | None:
        """Remove and return an acknowledged message; ``None``: it is not known."""
        publication = self._messages.pop(number, None)
        if publication is not None:
            self._bytes -= publication.size
        return publication

    def discard(self, publication: Publication) -> None:
        """Remove a message, so that it is not sent again."""
        for number in [n for n, one in self._messages.items() if one == publication]:
            self.acknowledged(number)

    def take_all(self) -> Sequence[Publication]:
        """Remove and return all messages, oldest first."""
        messages = [*self._messages.values()]
        self._messages.clear()
        self._bytes = 0
        return messages


class OversizeDetector:
    """Finds the messages that are too large for the broker.

    MQTT 3.1.1 has no way to announce a limit, and many brokers close the connection
    over it without a reason. A message that was in flight both times when that happened
    twice in a row is taken for the cause.
    """

    def __init__(self) -> None:
        self._suspected: Sequence[Publication] = ()

    def connection_closed(self, large: Iterable[Publication]) -> Sequence[Publication]:
        """Return the messages that were in flight twice in a row.

        Args:
            large: the large messages in flight when the broker closed the connection;
                none if it gave a reason.

        """
        now = tuple(large)
        twice = [one for one in now if one in self._suspected]
        self._suspected = [one for one in now if one not in twice]
        return twice


class OwnEchoes:
    """Distinguishes our own clearing of a command topic from an empty command.

    A subscriber gets its own messages too on MQTT 3.1.1, which has no "No Local" option
    (MQTT 5.0, 3.8.3.1). Each clearing comes back once, also one that was sent twice
    because the connection was lost meanwhile. Times are seconds on a monotonic clock.
    """

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = defaultdict(deque)

    def expect(self, topic: str, now: float) -> None:
        """Note that an empty message was sent to a topic that we are subscribed to."""
        self._sent[topic].append(now)

    def is_echo(self, topic: str, now: float) -> bool:
        """Return whether an empty message is an echo; each is recognised once."""
        sent = self._sent.get(topic, deque())
        while sent and now - sent[0] > ECHO_TIMEOUT:
            sent.popleft()
        if not sent:
            self._sent.pop(topic, None)
            return False
        sent.popleft()
        return True


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a lane.

    Attributes:
        count: messages; when there are more, the oldest is dropped.
        size: bytes, likewise; the newest message is always kept.
        age: seconds after which a waiting message is dropped.

    """

    count: int = 1000
    size: int = 4_194_304
    age: float = 60.0


BOUNDS: Mapping[Lane, Bounds] = {
    Lane.RESPONSE: Bounds(count=20_000, size=6_291_456, age=600.0),
    Lane.EVENT: Bounds(age=60.0),
    Lane.CONSOLE: Bounds(age=5.0),
}
"""How much of each kind of message may wait for the broker, and for how many seconds.
Responses wait for as long as the ids of commands are remembered."""


class Outbox:
    """Messages waiting to be sent; :meth:`take` serves the lanes in turn."""

    def __init__(self, bounds: Mapping[Lane, Bounds] = BOUNDS) -> None:
        self._bounds = bounds
        self._lanes: dict[Lane, deque[Publication]] = {lane: deque() for lane in bounds}
        self._sizes: Counter[Lane] = Counter()
        self._values: dict[str, Publication] = {}
        self._queued: dict[str, None] = {}
        self._turns: deque[Lane] = deque(Lane)
        self.dropped: Counter[Lane] = Counter()

    def __len__(self) -> int:
        """Return how many messages are waiting."""
        return len(self._queued) + sum(map(len, self._lanes.values()))

    @property
    def retained(self) -> frozenset[str]:
        """The retained topics that have a value or still have to be cleared."""
        return frozenset(self._values)

    def put(self, publication: Publication) -> None:
        """Queue a message.

        A retained message replaces the former value of its topic. An unchanged value
        is not queued, unless it has an expiry: then it is a heartbeat.
        """
        if not publication.retain:
            self._append(publication)
            return
        topic = publication.topic
        former = self._values.get(topic)
        if former is not None and former.expiry is None and _same(former, publication):
            return
        self._values[topic] = publication
        self._queued[topic] = None

    def requeue(self, topic: str) -> None:
        """Queue the value of a retained topic again, after all others."""
        if topic in self._values:
            self._queued.pop(topic, None)
            self._queued[topic] = None

    def republish(self, last: str = "", first: Iterable[str] = ()) -> None:
        """Queue all retained topics again, some before and one after all others."""
        early = {topic: None for topic in first if topic in self._values}
        self._queued = {**early, **self._queued, **dict.fromkeys(self._values)}
        self.requeue(last)

    def take(self, now: float) -> Publication | None:
        """Return the next message to send, from each lane in turn.

        A retained value with an expiry is returned with what remains of it. Messages
        that are too old are dropped and counted; an expired retained value is not sent
        until there is a new one.
        """
        if not self._queued and not any(self._lanes.values()):
            return None
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate(-1)
            found = (
                self._take_retained(now)
                if lane is Lane.RETAINED
                else self._take_from(lane, now)
            )
            if found is not None:
                return found
        return None

    def delivered(self, publication: Publication) -> None:
        """Note that a message was acknowledged; a cleared topic is forgotten then."""
        if publication.retain and not publication.payload:
            value = self._values.get(publication.topic)
            if value is not None and not value.payload:
                del self._values[publication.topic]
                self._queued.pop(publication.topic, None)

    def undelivered(self, publication: Publication) -> None:
        """Put back a message that was in flight when the connection was lost.

        Retained topics are republished anyway, and QoS 0 makes no promise.
        """
        if publication.retain:
            return
        if publication.qos == 0:
            self.dropped[publication.lane] += 1
            return
        self._lanes[publication.lane].appendleft(publication)
        self._sizes[publication.lane] += publication.size
        self._trim(publication.lane)

    def _append(self, publication: Publication) -> None:
        self._lanes[publication.lane].append(publication)
        self._sizes[publication.lane] += publication.size
        self._trim(publication.lane)

    def _trim(self, lane: Lane) -> None:
        queue, bounds = self._lanes[lane], self._bounds[lane]
        while len(queue) > bounds.count or (
            self._sizes[lane] > bounds.size and len(queue) > 1
        ):
            self._sizes[lane] -= queue.popleft().size
            self.dropped[lane] += 1

    def _take_from(self, lane: Lane, now: float) -> Publication | None:
        queue = self._lanes[lane]
        while queue:
            publication = queue.popleft()
            self._sizes[lane] -= publication.size
            if now - publication.time <= self._bounds[lane].age:
                return publication
            self.dropped[lane] += 1
        return None

    def _take_retained(self, now: float) -> Publication | None:
        while self._queued:
            topic = next(iter(self._queued))
            del self._queued[topic]
            publication = self._values[topic]
            if publication.expiry is None:
                return publication
            waited = now - publication.time
            if waited < 1:
                return publication
            left = publication.expiry - waited
            if left >= 1:
                return replace(publication, expiry=int(left))
        return None


def _same(one: Publication, other: Publication) -> bool:
    return (one.payload, one.qos, one.expiry) == (
        other.payload,
        other.qos,
        other.expiry,
    )
