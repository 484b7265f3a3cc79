"""What waits for the broker: the latest of each retained topic, and bounded lanes.

Time is an argument: seconds on a monotonic clock. However long the broker is away or
slow, memory is bounded by the number of retained topics and the sizes of the lanes.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bridge.mqtt.messages import Lane, Publication


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a lane holds.

    Attributes:
        count: messages; beyond it the oldest is dropped.
        size: bytes, likewise; the newest message is always kept.
        age: seconds after which a waiting message is of no use to anybody.

    """

    count: int = 1000
    size: int = 4_194_304
    age: float = 60.0


BOUNDS: Mapping[Lane, Bounds] = {
    Lane.RESPONSE: Bounds(count=20_000, size=6_291_456, age=600.0),
    Lane.EVENT: Bounds(age=60.0),
    Lane.CONSOLE: Bounds(age=5.0),
}
"""Responses stay as long as the ids of commands are remembered."""


class Outbox:
    """Everything that waits for the broker; :meth:`take` gives it out in fair turns."""

    def __init__(self, bounds: Mapping[Lane, Bounds] = BOUNDS) -> None:
        self._bounds = bounds
        self._lanes: dict[Lane, deque[Publication]] = {lane: deque() for lane in bounds}
        self._sizes: Counter[Lane] = Counter()
        self._table: dict[str, Publication] = {}
        self._due: dict[str, None] = {}
        self._turns: deque[Lane] = deque(Lane)
        self.dropped: Counter[Lane] = Counter()

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._due) + sum(map(len, self._lanes.values()))

    @property
    def retained(self) -> frozenset[str]:
        """The retained topics that have a value, or must still be cleared."""
        return frozenset(self._table)

    def put(self, publication: Publication) -> None:
        """Queue a message.

        A retained one takes the place of its topic's former value. One that says the
        same again is left out, unless it expires: then it is a sign of life.
        """
        if not publication.retain:
            self._append(publication)
            return
        topic = publication.topic
        known = self._table.get(topic)
        if known is not None and known.expiry is None and _same(known, publication):
            return
        self._table[topic] = publication
        self._due[topic] = None

    def assert_again(self, topic: str) -> None:
        """Queue a retained topic's value once more, after all others."""
        if topic in self._table:
            self._due.pop(topic, None)
            self._due[topic] = None

    def republish(self, last: str = "") -> None:
        """Queue all retained topics again, one of them after all others."""
        for topic in self._table:
            self._due[topic] = None
        self.assert_again(last)

    def take(self, now: float) -> Publication | None:
        """Return the next message to send; each lane has its turn.

        A retained value with an expiry is given out with the rest of its time. What is
        too old is left out: counted as dropped, or, retained, until there is a new one.
        """
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
        """Learn that the broker has a message; a cleared topic is then forgotten."""
        if publication.retain and not publication.payload:
            known = self._table.get(publication.topic)
            if known is not None and not known.payload:
                del self._table[publication.topic]
                self._due.pop(publication.topic, None)

    def undelivered(self, publication: Publication) -> None:
        """Take back a message that was on its way when the connection broke.

        Retained topics are republished anyway, and QoS 0 promises nothing.
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
        while self._due:
            topic = next(iter(self._due))
            del self._due[topic]
            publication = self._table[topic]
            if publication.expiry is None:
                return publication
            left = publication.expiry - (now - publication.time)
            if left >= 1:
                return replace(publication, expiry=int(left))
        return None


def _same(one: Publication, other: Publication) -> bool:
    return (one.payload, one.qos, one.expiry) == (
        other.payload,
        other.qos,
        other.expiry,
    )
