"""The states of an exchange of lines and acknowledgements, and how they change.

Theory of operation
===================

One line is in flight at a time (docs/adr/0011). ``ok`` acknowledges it; ``Resend: n``
acknowledges what precedes n, and n and all after it are sent again. Acknowledged lines
are kept for a while, because a surplus ``ok`` makes a line look acknowledged that was
lost; the firmware then asks for it (docs/adr/0014).

Where that is configured, moves share the firmware's buffer (docs/adr/0031). It must
have said twice how many commands that holds, and then it says ``ok N12 P15 B3``: each
``ok`` names its line, so one that is late or belongs to a request acknowledges nothing
by mistake. Any other line is sent when nothing is in flight, and alone. What the
firmware has thrown away behind a damaged line is sent again one by one; new lines join
again when all of that is acknowledged.

After a silence nobody can know whether the line or its ``ok`` was lost. Sending the
line again would not help: a firmware that has it drops it without a word. So a new
line follows, a *probe*. Either the firmware answers it, which shows that the line
before it arrived, or it asks for the line that is missing. An idle line is probed as
well, until it is certain that the last ``ok`` was not a surplus one.

Two independent state machines hold all this. :class:`ExchangeState` says what is known
of the lines that were sent; :data:`TRANSITIONS` has all its changes, of which these
matter most::

              SENT               PROBE_QUEUED              SENT
    IDLE ───────────► IN_FLIGHT ─────────────► PROBE_DUE ───────► PROBING
     │                 ▲     ▲                  ▲  │  ▲              │ │
     │                 │     └──── ANSWERED ────┼──┼──┼──────────────┘ │
     │            SENT │                        │  │  └─ PROBE_QUEUED ─┘
     │               READY ◄────── ANSWERED ────┼──┘
     └───────────────────── PROBE_QUEUED ───────┘

    from every state: ALL_ACKNOWLEDGED ──► IDLE,  SOME_UNSENT ──► READY

:class:`SendPause` says why nothing is sent although something could be::

    a query had its ok before its output ──► OUTPUT       dialect.output_wait
    a line was asked for again ────────────► RESEND_OK    dialect.resend_wait
    an urgent line was sent ───────────────► SURPLUS_OK   SURPLUS_OK_TIME

A pause lasts that long after the last reply that belongs to it, and ``RESEND_OK`` until
the ``ok`` of the request. It holds lines back; replies are processed as always.

Each deadline belongs to a state:

* An answer is due while a line is in flight. When it does not come, a probe is queued;
  after ``dialect.max_probes`` in a row the link is given up.
* A probe is due in ``IDLE`` while the last lines are in doubt, and in any state after a
  text that may have been a damaged ``start``.
* A pause ends.
"""

from collections.abc import Mapping
from enum import Enum, auto


class ExchangeState(Enum):
    """What is known of the lines that were sent."""

    __hash__ = object.__hash__  # Enum's is a function in Python, called for each line

    IDLE = auto()
    """Every line is acknowledged; the next one from the queue may be sent."""
    READY = auto()
    """The oldest unsent line is sent next; most often it is sent again."""
    IN_FLIGHT = auto()
    """A line was sent, and its acknowledgement is awaited."""
    PROBE_DUE = auto()
    """A line goes out next to find out what became of the lines before it."""
    PROBING = auto()
    """That line was sent, and nothing was acknowledged since."""


class Change(Enum):
    """What happens to the lines."""

    __hash__ = object.__hash__  # likewise

    SENT = auto()
    """A line was transmitted."""
    PROBE_QUEUED = auto()
    """The firmware has to be asked what it received."""
    ANSWERED = auto()
    """Something was acknowledged; other lines are in flight."""
    SOME_UNSENT = auto()
    """Nothing is in flight any more, but lines have to be sent, mostly again."""
    ALL_ACKNOWLEDGED = auto()
    """Nothing is in flight any more, and nothing has to be sent again."""


TRANSITIONS: Mapping[ExchangeState, Mapping[Change, ExchangeState]] = {
    ExchangeState.IDLE: {
        Change.SENT: ExchangeState.IN_FLIGHT,
        Change.PROBE_QUEUED: ExchangeState.PROBE_DUE,
        Change.SOME_UNSENT: ExchangeState.READY,  # an acknowledged line is asked for
        Change.ALL_ACKNOWLEDGED: ExchangeState.IDLE,  # the next new line is asked for
    },
    ExchangeState.READY: {
        Change.SENT: ExchangeState.IN_FLIGHT,
        Change.PROBE_QUEUED: ExchangeState.PROBE_DUE,
        Change.ANSWERED: ExchangeState.READY,
        Change.SOME_UNSENT: ExchangeState.READY,
        Change.ALL_ACKNOWLEDGED: ExchangeState.IDLE,
    },
    ExchangeState.IN_FLIGHT: {
        Change.SENT: ExchangeState.IN_FLIGHT,  # a move, where there is room for it
        Change.PROBE_QUEUED: ExchangeState.PROBE_DUE,
        Change.ANSWERED: ExchangeState.IN_FLIGHT,
        Change.SOME_UNSENT: ExchangeState.READY,
        Change.ALL_ACKNOWLEDGED: ExchangeState.IDLE,
    },
    ExchangeState.PROBE_DUE: {
        Change.SENT: ExchangeState.PROBING,
        Change.PROBE_QUEUED: ExchangeState.PROBE_DUE,
        Change.ANSWERED: ExchangeState.READY,  # the probe has a number and must be sent
        Change.SOME_UNSENT: ExchangeState.READY,
        Change.ALL_ACKNOWLEDGED: ExchangeState.IDLE,
    },
    ExchangeState.PROBING: {
        Change.PROBE_QUEUED: ExchangeState.PROBE_DUE,
        Change.ANSWERED: ExchangeState.IN_FLIGHT,
        Change.SOME_UNSENT: ExchangeState.READY,
        Change.ALL_ACKNOWLEDGED: ExchangeState.IDLE,
    },
}
"""The state that each change leads to. What is missing cannot happen: nothing is sent
while the answer to a probe is awaited, and nothing is acknowledged without leaving
something."""


class SendPause(Enum):
    """Why nothing is sent at the moment."""

    NO_PAUSE = auto()
    OUTPUT = auto()
    """A query has its ``ok``, and its output follows (Q-13)."""
    RESEND_OK = auto()
    """A request to send again is followed by an ``ok`` that acknowledges nothing."""
    SURPLUS_OK = auto()
    """An urgent line was sent, whose ``ok`` acknowledges no line of the window."""
