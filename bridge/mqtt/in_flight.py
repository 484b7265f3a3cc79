"""Messages that may be larger than the broker takes; pure.

Few brokers announce their limit, and many close the connection over it without a word.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from bridge.mqtt.messages import Publication

LARGE = 65_536
"""Bytes that every broker takes, and more than most messages have."""


class Suspects:
    """Large messages that were on their way when the broker closed the connection."""

    def __init__(self) -> None:
        self._once: Sequence[Publication] = ()

    def judge(self, lost: Iterable[Publication]) -> Sequence[Publication]:
        """Return the messages to which it has happened twice in a row.

        Args:
            lost: the large ones that were on their way this time.

        """
        now = tuple(lost)
        twice = [one for one in now if one in self._once]
        self._once = [one for one in now if one not in twice]
        return twice


def large(publications: Iterable[Publication]) -> Sequence[Publication]:
    """Return those that a broker may not take."""
    return [one for one in publications if one.size > LARGE]


LATEST = 10.0
"""Seconds after which what comes is no echo, but somebody's message."""


class Echoes:
    """Tells the echo of a command topic's clearing from an empty command.

    Each clearing has one echo, also one that is sent twice because the connection came
    up meanwhile. Times are seconds on a steady clock.
    """

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = defaultdict(deque)

    def expect(self, topic: str, now: float) -> None:
        """Take note that an empty message goes out to a topic that we hear."""
        self._sent[topic].append(now)

    def heard(self, topic: str, now: float) -> bool:
        """Return whether an empty message on a topic is an echo; once for each."""
        sent = self._sent.get(topic, deque())
        while sent and now - sent[0] > LATEST:
            sent.popleft()
        if not sent:
            self._sent.pop(topic, None)
            return False
        sent.popleft()
        return True
