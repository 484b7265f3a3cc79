"""What one connection teaches the next."""

from typing import Literal

from bridge.mqtt.messages import Version
from bridge.mqtt.reasons import Hint, Loss

CLOSINGS = 2
"""Closed connections after which an older version is tried."""

FIGHT = 60.0
"""Seconds: a client id that is taken over again within them is contested."""

TAKEOVERS = 2
"""Takeovers in a row after which the bridge gives way."""


class Versions:
    """Version 5, and 3.1.1 for brokers that do not take it.

    Some say so; others close the connection, or never answer, as a broker does that is
    not up yet. After two of those each version has its turn until one is accepted, and
    that one stays.
    """

    def __init__(self, protocol: Literal["auto", "5", "3.1.1"]) -> None:
        self._fixed = protocol != "auto"
        self._current = Version.V311 if protocol == "3.1.1" else Version.V5
        self._settled = self._fixed
        self._closings = 0

    @property
    def current(self) -> Version:
        """The version to try."""
        return self._current

    def failed(self, hint: Hint) -> None:
        """Learn how an attempt failed."""
        if self._fixed or (self._settled and hint is not Hint.VERSION):
            return
        if hint is Hint.VERSION:
            self._change()
        elif hint is Hint.CLOSED:
            self._closings += 1
            if self._current is Version.V311 or self._closings >= CLOSINGS:
                self._change()

    def accepted(self) -> bool:
        """Learn that a connection stands; tell whether it is news that 5 does not."""
        news = not self._settled and self._current is Version.V311
        self._settled = True
        return news

    def _change(self) -> None:
        self._closings = 0
        self._settled = False
        self._current = Version.V311 if self._current is Version.V5 else Version.V5


class Takeovers:
    """Tells when to give way to another client that uses our client id."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def suspicious(self) -> bool:
        """The latest connection may have been taken over; a witness is wanted."""
        return self._count > 0

    def contested(self, loss: Loss, *, witnessed: bool, lasted: float) -> bool:
        """Learn how a connection ended; tell whether to stop instead of fighting.

        A single loss without a reason is only a suspicion. The second in a row is
        certain when the broker says so, or when a witness was spared.

        Args:
            loss: how it ended.
            witnessed: another connection of ours stayed in order.
            lasted: seconds that it stood.

        """
        certain = loss.taken_over or (loss.unexplained and witnessed)
        if lasted >= FIGHT or not certain:
            self._count = 0
        self._count += loss.taken_over or loss.unexplained
        return certain and self._count >= TAKEOVERS
