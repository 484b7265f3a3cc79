"""Messages that have been sent and not yet acknowledged by the broker."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from bridge.mqtt.messages import Publication

WINDOW = 20
"""Messages in flight at a time. The others wait in the outbox, where the latest value
of a retained topic replaces the one before."""

WINDOW_BYTES = 1_048_576
"""The same in bytes; a single larger message is sent on its own."""

LARGE = 65_536
"""Bytes that every broker accepts, and more than most messages have."""

ECHO_TIMEOUT = 10.0
"""Seconds after which an empty message is no echo of ours, but somebody's command."""


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
        """Those that a broker may not accept for their size."""
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
    twice in a row is held to be the cause.
    """

    def __init__(self) -> None:
        self._suspected: Sequence[Publication] = ()

    def connection_closed(self, large: Iterable[Publication]) -> Sequence[Publication]:
        """Return the messages that were in flight twice in a row.

        Args:
            large: the large messages in flight when the broker closed the connection;
                none where it gave a reason.

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
