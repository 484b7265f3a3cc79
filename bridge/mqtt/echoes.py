"""Our own messages that come back: MQTT 3.1.1 gives them to whoever listens there."""

from collections import defaultdict, deque

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
