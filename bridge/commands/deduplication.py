"""Executes each command once, and responds once to what arrives twice.

Commands with the same ``id`` get the same response.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from bridge.commands.envelope import Response
from bridge.errors import RejectedError

_Waiter = TypeVar("_Waiter")

_MOST_WAITERS = 100  # repetitions of a running command that wait for its response


class Verdict(Enum):
    """What to do with a command whose ``id`` has no response yet."""

    EXECUTE = "execute"
    WAIT = "wait"


class Receipts(Generic[_Waiter]):
    """The responses of the last ten minutes, and who waits for pending ones.

    A waiter is whatever the caller needs to respond to a repeated command, such as its
    response topic. Times are in seconds of a monotonic clock.

    Args:
        window: how long a response is kept, in seconds.
        capacity: how many responses are kept; above this the oldest is dropped early.
        size: how many characters are kept in total, likewise; the newest response is
            always kept.

    """

    def __init__(
        self,
        *,
        window: float = 600.0,
        capacity: int = 4096,
        size: int = 8_000_000,
    ) -> None:
        self._window = window
        self._capacity = capacity
        self._largest = size
        self._size = 0
        self._running: dict[str, list[_Waiter]] = {}
        # As text, responses take a fifth of the memory of models.
        self._finished: dict[str, tuple[float, str]] = {}

    def admit(self, id_: str, waiter: _Waiter, now: float) -> Response | Verdict:
        """Return an earlier command's response, or what to do with this one.

        After ``EXECUTE`` the caller must call :meth:`finish`, which returns the waiters
        that got ``WAIT`` meanwhile.

        Raises:
            RejectedError: A hundred repeats of this ``id`` are waiting already.

        """
        self._forget(now)
        if id_ in self._finished:
            return Response.model_validate_json(self._finished[id_][1])
        waiters = self._running.get(id_)
        if waiters is None:
            self._running[id_] = []
            return Verdict.EXECUTE
        if len(waiters) >= _MOST_WAITERS:
            raise RejectedError(
                f"id: the command with this id is still running, and {_MOST_WAITERS} "
                "repeats of it are waiting already",
                error="queue_full",
                code=429,
            )
        waiters.append(waiter)
        return Verdict.WAIT

    def finish(self, id_: str, response: Response, now: float) -> tuple[_Waiter, ...]:
        """Store the response of an admitted command and return its waiters."""
        waiters = self._running.pop(id_, [])
        text = response.model_dump_json()
        self._finished[id_] = (now, text)
        self._size += len(text)
        self._forget(now)
        return tuple(waiters)

    def interrupted(self) -> None:
        """Forget the commands that were being executed: nobody finishes them.

        Those that are finished stay known, whoever executes the next ones.
        """
        self._running.clear()

    def _forget(self, now: float) -> None:
        while self._finished:
            oldest = next(iter(self._finished))
            said, text = self._finished[oldest]
            if now - said < self._window and not self._too_much:
                return
            del self._finished[oldest]
            self._size -= len(text)

    @property
    def _too_much(self) -> bool:
        kept = len(self._finished)
        return kept > self._capacity or (self._size > self._largest and kept > 1)


@dataclass(slots=True)
class _Delivered:
    """Equal messages: how many came on each connection, and how many were answered."""

    last: float
    answered: int = 0
    counts: Counter[str] = field(default_factory=Counter)


class Deliveries:
    """Tells the copies of a message that arrives on two connections from new messages.

    Nothing in MQTT identifies a message from end to end, so equal messages are counted:
    the n-th on one connection is a copy of the n-th on the other one. Times are seconds
    on a monotonic clock.

    Args:
        window: seconds after the last of equal messages until their count starts over.
        capacity: how many different messages are remembered.

    """

    def __init__(self, *, window: float = 10.0, capacity: int = 256) -> None:
        self._window = window
        self._capacity = capacity
        self._known: dict[Hashable, _Delivered] = {}

    def is_first(self, key: Hashable, connection: str, now: float) -> bool:
        """Count a message; return whether it is the first of its copies.

        Args:
            key: what equal messages have in common.
            connection: where it came from.
            now: when.

        """
        known = self._entry(key, now)
        known.counts[connection] += 1
        if known.counts[connection] <= known.answered:
            return False
        known.answered += 1
        return True

    def expect(self, key: Hashable, now: float) -> None:
        """Count the next message with this key as a copy: it is our own."""
        self._entry(key, now).answered += 1

    def _entry(self, key: Hashable, now: float) -> _Delivered:
        known = self._known.pop(key, None)
        if known is None or now - known.last > self._window:
            known = _Delivered(now)
        known.last = now
        self._known[key] = known  # in the order of their last messages
        while len(self._known) > self._capacity:
            del self._known[next(iter(self._known))]
        return known
