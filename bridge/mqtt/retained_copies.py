"""Retained copies of commands that were carried out, on MQTT 3.1.1.

A message that a subscriber receives at once has no RETAIN flag there, also if its
sender has set the flag and the broker retains it (MQTT 3.1.1, 3.3.1.3). Only a repeated
subscription shows that: the broker then sends what it retains, with the flag (3.8.4).
So the subscription is repeated a moment after each command, and what comes is cleared.
The reasons are in ``docs/adr/0061-what-a-broker-does-not-say.md``.
"""

import asyncio
from collections.abc import Callable, Iterable

SEARCH_DELAY = 1.0
"""Seconds from a command to the search. The search also covers what follows within that
time, so a subscription is repeated at most once per second."""


class RetainedCopies:
    """Searches for them on one connection.

    Args:
        filters: the subscriptions to command topics.
        subscribe: repeats one; returns the packet identifier, or ``None`` if there is
            no connection.

    Attributes:
        wanted: there is anything to search; not on MQTT 5.

    """

    def __init__(
        self, filters: Iterable[str], subscribe: Callable[[str], int | None]
    ) -> None:
        self._filters = frozenset(filters)
        self.wanted = bool(self._filters)
        self._subscribe = subscribe
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._searched: set[str] = set()
        self._unanswered: set[int] = set()

    def received(self, topic: str) -> None:
        """Note the topic of a command that was passed on, and search in a moment."""
        wanted = self._subscription(topic)
        if wanted is not None and wanted not in self._timers:
            self._timers[wanted] = asyncio.get_running_loop().call_later(
                SEARCH_DELAY, self._search, wanted
            )

    def found(self, topic: str) -> str | None:
        """Return the subscription of a retained message that is a copy, or ``None``."""
        wanted = self._subscription(topic)
        return wanted if wanted in self._searched else None

    def is_answer(self, number: int) -> bool:
        """Return whether a SUBACK answers a search."""
        if number not in self._unanswered:
            return False
        self._unanswered.discard(number)
        return True

    def close(self) -> None:
        """Search no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _search(self, wanted: str) -> None:
        del self._timers[wanted]
        self._searched.add(wanted)
        number = self._subscribe(wanted)
        if number is not None:
            self._unanswered.add(number)

    def _subscription(self, topic: str) -> str | None:
        for wanted in (topic, f"{topic.rpartition('/')[0]}/+"):
            if wanted in self._filters:
                return wanted
        return None
