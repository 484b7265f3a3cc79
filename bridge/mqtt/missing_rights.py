"""Which topics must be left out, because the broker closes the connection over them.

A broker that refuses a topic says so in SUBACK, or with MQTT 5 in PUBACK. Others have
no other answer than to close the connection: MQTT 3.1.1 has no refusal of a PUBLISH
(3.3.5 leaves the choice between acknowledging it and closing). RabbitMQ even closes the
connection after the refusal. So the topic has to be found: after such a loss the next
connection sends one thing at a time, and what is unanswered when that connection is
closed as well is suspected. The reasons are in
``docs/adr/0052-topics-over-which-a-broker-closes.md``.
"""

from dataclasses import dataclass, field
from enum import IntEnum

ENOUGH = 6
"""The sum of :class:`Evidence` at which a topic is no longer used."""

GIVE_UP = 5
"""Topics without a right after which all are considered forbidden, if the broker has
never accepted one: an account without any rights must not cost dozens of connections.
"""

GIVE_UP_OPTIONAL = 2
"""The same for optional subscriptions, of which there are about thirty."""

MAX_LEFT_OUT = 256
"""Topics that are remembered. Response topics are chosen by other clients, so there
could be any number."""

RETRY_AFTER = 3600.0
"""Seconds after which such a topic is tried again, on the next connection."""

QUICK = 60.0
"""Seconds. A shorter connection may have been closed because of a topic, even if no
acknowledgement is known to be missing; messages at QoS 0 have none."""


class Evidence(IntEnum):
    """What a loss says about the one use that the broker had not answered."""

    NONE = 0
    """Another connection was lost as well: the network failed, or the broker restarts.
    """
    ALONE = 2
    """There was no other connection to compare with."""
    ONLY_THIS = 3
    """Another connection of ours was not closed."""
    SAID = 6
    """The broker gave a missing right as its reason (MQTT 5.0, 3.14.2.1)."""


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a topic: publishing or subscribing.

    Attributes:
        topic: a topic, or a topic filter.
        write: a message is published; otherwise it is subscribed to.
        name: the topic for the log, without what another client chose.
        optional: nobody has to know that it is left out.

    """

    topic: str
    write: bool
    name: str = field(default="", compare=False)
    optional: bool = field(default=False, compare=False)

    @property
    def kind(self) -> tuple[bool, bool]:
        """The uses that are left out together if none of them is allowed."""
        return self.write, self.optional

    def __str__(self) -> str:
        """Return the use in words."""
        verb = "publish on" if self.write else "subscribe to"
        return f"{verb} {self.name or self.topic}"


class MissingRights:
    """Finds the topic for which the broker closes the connection.

    Attributes:
        searching: the next connection has to send one thing at a time.

    """

    def __init__(self) -> None:
        self.searching = False
        self._suspected: dict[Use, int] = {}
        self._left_out: dict[Use, float] = {}
        self._accepted: set[tuple[bool, bool]] = set()
        self._nothing: dict[tuple[bool, bool], float] = {}
        self._refused: dict[Use, None] = {}

    def begin(self, now: float) -> None:
        """Note a new connection; topics that were left out long ago are tried again.

        The rights may have been granted meanwhile.
        """
        for left_out in (self._left_out, self._nothing):
            for old in [one for one, at in left_out.items() if now - at > RETRY_AFTER]:
                del left_out[old]  # type: ignore[arg-type]  # its own key
        self._refused.clear()

    def allows(self, use: Use) -> bool:
        """Return whether to try it."""
        kinds = {use.kind, (use.write, False)}
        return use not in self._left_out and kinds.isdisjoint(self._nothing)

    @property
    def suspected(self) -> tuple[str, ...]:
        """The topics for which the broker may have closed a connection."""
        return tuple(use.topic for use in self._suspected)

    @property
    def leaves_out(self) -> bool:
        """Whether anything is left out."""
        return bool(self._left_out or self._nothing)

    def gave_up(self, use: Use) -> bool:
        """Return whether all uses of its kind are left out."""
        return use.kind in self._nothing

    @property
    def missing(self) -> tuple[str, ...]:
        """The uses that are left out or were refused, for people."""
        uses = (*self._left_out, *self._refused)
        return tuple(sorted({str(use) for use in uses if not use.optional}))

    def answered(self, use: Use, now: float, *, refused: bool = False) -> None:
        """Note the broker's answer, and leave out what it refused during a search.

        It may have closed the connection because of that refusal.
        """
        self._suspected.pop(use, None)
        if not refused:
            self._accepted.add(use.kind)
            self._refused.pop(use, None)
            return
        if len(self._refused) < MAX_LEFT_OUT:
            self._refused[use] = None
        if self.searching:
            self._leave_out(use, now)

    def connection_closed(self, *, closed: bool, lasted: float, waiting: bool) -> None:
        """Note how a connection ended.

        Args:
            closed: without a reason, or for a missing right.
            lasted: how long it was up.
            waiting: something was unanswered.

        """
        self.searching = closed and (waiting or lasted < QUICK)
        if not self.searching:
            self._suspected.clear()

    def suspect(self, use: Use, evidence: Evidence, now: float) -> bool:
        """Note that this alone was unanswered when the connection was closed.

        Returns whether it is left out from now on.
        """
        self._suspected[use] = self._suspected.get(use, 0) + evidence
        if self._suspected[use] < ENOUGH:
            return False
        self._leave_out(use, now)
        return True

    def _leave_out(self, use: Use, now: float) -> None:
        self._suspected.pop(use, None)
        while len(self._left_out) >= MAX_LEFT_OUT:
            del self._left_out[next(iter(self._left_out))]
        self._left_out[use] = now
        alike = sum(one.kind == use.kind for one in self._left_out)
        enough = GIVE_UP_OPTIONAL if use.optional else GIVE_UP
        if alike >= enough and use.kind not in self._accepted:
            self._nothing[use.kind] = now
