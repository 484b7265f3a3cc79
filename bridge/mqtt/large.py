"""Messages that may be larger than the broker takes; pure.

Few brokers announce their limit, and many close the connection over it without a word.
"""

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
