"""The rate limit and the queue of incoming messages, by the class of each message.

A message is classified once, when it arrives, by its topic, and on the topic of raw
G-code by whether it is an emergency stop. Its payload is read only if it can be one: a
flood must be refused for less work than it took to send it.
"""

import asyncio
from collections import Counter
from enum import StrEnum

from bridge.commands import stops_at_once
from bridge.commands.emergency import EmergencyStop
from bridge.commands.job import Cancel
from bridge.commands.raw import RawCommand
from bridge.errors import RejectedError

QUEUE_LIMIT = 1000
"""Messages of one class that may wait to be read; the next ones are rejected (429)."""


class MessageClass(StrEnum):
    """What a message is for, as far as its place in the queue is concerned."""

    EMERGENCY = "emergency"
    """It is an emergency stop: it passes the rate limit and the queue."""
    JOB = "job"
    """It concerns a print, such as cancelling it: it has no rate limit."""
    COMMAND = "command"
    REQUEST = "request"
    """It asks for something and changes nothing."""


def classify(rest: str, payload: bytes, max_bytes: int) -> MessageClass:
    """Return a message's class.

    Args:
        rest: its topic without the base.
        payload: its bytes. A text that merely contains the letters of a stop, such as
            one for the display, is a command like any other.
        max_bytes: larger payloads are not read.

    """
    if rest == EmergencyStop.topic:
        return MessageClass.EMERGENCY
    if rest == RawCommand.topic and stops_at_once(payload, max_bytes):
        return MessageClass.EMERGENCY
    if rest.startswith("request/"):
        return MessageClass.REQUEST
    return MessageClass.JOB if rest == Cancel.topic else MessageClass.COMMAND


class RateLimiter:
    """A token bucket for each topic: a rate, and bursts of twice that.

    Args:
        rate: tokens a second.

    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = max(1.0, 2 * rate)
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, topic: str, now: float) -> bool:
        """Take a token; return whether there was one.

        Args:
            topic: whose bucket. Only topics that exist may be named: there is a bucket
                for each, so that the memory stays bounded.
            now: seconds on a clock that does not go back.

        """
        tokens, since = self._buckets.get(topic, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        allowed = tokens >= 1
        self._buckets[topic] = (tokens - 1 if allowed else tokens, now)
        return allowed

    def spend(self, topic: str, tokens: int) -> None:
        """Take further tokens for what was allowed; the bucket may owe them."""
        left, since = self._buckets[topic]
        self._buckets[topic] = (left - tokens, since)


class MessageQueue:
    """A bounded queue that lets one message in at each turn of the event loop.

    If all that has been received were parsed at once, the socket would not be read
    meanwhile, and an emergency stop behind a flood would not be seen. A message that
    finds the queue empty does not wait.

    Args:
        limit: how many of one class may wait.

    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = asyncio.Lock()
        self._waiting: Counter[MessageClass] = Counter()
        self._closed = False

    async def wait(self, kind: MessageClass) -> None:
        """Wait for the turn of a message, in the order of arrival.

        Args:
            kind: its class; other classes do not count against its limit.

        Raises:
            RejectedError: Too many wait already, or the queue was closed meanwhile.

        """
        if self._waiting[kind] >= self._limit:
            raise RejectedError(
                f"{self._limit} messages to this printer wait to be read already",
                error="queue_full",
                code=429,
            )
        self._waiting[kind] += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting[kind] -= 1
        if self._closed:
            self._lock.release()
            raise shutting_down()
        asyncio.get_running_loop().call_soon(self._lock.release)

    def close(self) -> None:
        """Reject what waits and what comes, which takes no time."""
        self._closed = True


class Admission:
    """Decides when messages to one printer are read, so that no class blocks another.

    A job keeps its place among the commands, so that what prepares a print is carried
    out before it, but it is not rejected because of their number. Requests need no such
    order and have a queue of their own.

    Args:
        rate: lines a second on each command topic; a message that lists no lines counts
            as one.
        topics: the command topics that exist, without the base.

    """

    def __init__(self, rate: float, topics: frozenset[str]) -> None:
        self._rate = rate
        self._topics = topics
        self._limiter = RateLimiter(rate)
        self._commands = MessageQueue(QUEUE_LIMIT)
        self._requests = MessageQueue(QUEUE_LIMIT)

    def allow(self, rate: float) -> None:
        """Allow so many lines a second from now on."""
        if rate != self._rate:
            self._rate = rate
            self._limiter = RateLimiter(rate)

    def check_rate(self, kind: MessageClass, rest: str, now: float) -> None:
        """Count a message as one line, unless its class has no rate limit.

        A message is counted before it is parsed, so that a flood costs little; the rest
        of its lines with :meth:`count_lines`. A command may have more lines than are
        allowed at the moment: it then delays the following ones.

        Args:
            kind: its class.
            rest: its topic without the base.
            now: seconds on a clock that does not go back.

        Raises:
            RejectedError: Too many came on this topic.

        """
        if kind is not MessageClass.COMMAND:
            return
        # Topics that do not exist share a bucket, so that the memory stays bounded.
        bucket = rest if rest in self._topics else ""
        if not self._limiter.allows(bucket, now):
            raise RejectedError(
                f"more than {self._rate:g} lines a second on {rest}; see limits.rate",
                error="rate_limited",
                code=429,
            )

    def count_lines(self, kind: MessageClass, rest: str, lines: int) -> None:
        """Count the lines of a command that was parsed, and is not an emergency stop.

        Args:
            kind: the class of its message.
            rest: its topic without the base, which exists.
            lines: how many it has.

        """
        if kind is MessageClass.COMMAND:
            self._limiter.spend(rest, lines - 1)

    async def wait(self, kind: MessageClass) -> None:
        """Wait for the turn of a message; an emergency stop does not wait.

        Raises:
            RejectedError: Too many of its class wait, or the bridge is shutting down.

        """
        if kind is MessageClass.REQUEST:
            await self._requests.wait(kind)
        elif kind is not MessageClass.EMERGENCY:
            await self._commands.wait(kind)

    def close(self) -> None:
        """Reject what waits and what comes."""
        self._commands.close()
        self._requests.close()


def shutting_down() -> RejectedError:
    """Return the error for a message that arrives after the printer was released."""
    return RejectedError("the bridge is shutting down", error="shutting_down", code=503)
