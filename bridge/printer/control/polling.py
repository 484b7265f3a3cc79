"""Which queries a printer has to be sent at intervals, and when each is due."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from bridge.gcode.dialects import Dialect
from bridge.gcode.line import code_of
from bridge.printer.knowledge.age import MaxAges
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.print_table import RUNS

_CARD = 1.0
"""Seconds between two ``M27``. A print that is started at the printer's panel must be
visible within two seconds."""

# Seconds between two queries of the selected file's name (``M27 C``) and of the card's
# list (``M20``), which takes long on a full card.
_FILE_NAME = 30.0
_FILE_LIST = 30.0

_POSITION = 2.0
"""Seconds between two ``M114`` until one reports where a move has ended."""

_POSITION_IN_PRINT = 5.0
"""The same during a print. It is longer, because the answer may have to wait for
planned moves (Q-46)."""

_READINESS = 10.0
"""Seconds between two queries of Klipper's state, because it may shut down without
saying so on the serial line."""

_STANDS = 5.0
"""Seconds without a rising byte count after which a firmware that reports it by itself
is queried as well. Only an answer shows that a print stands: a report may come in the
middle of a line, and a pause is announced only once, perhaps while nobody listens."""

MISSING = 2.0
"""Intervals without an automatic report after which the value is queried."""

STALE = 3.0
"""Intervals without a reading after which a value is no longer known."""

_REPORTED_BY = {"M105": "M155", "M27": "M27", "M114": "M154"}
"""For each query, the code that makes Marlin send the same report automatically
(``M155 S2``, ``M27 S2``, ``M154 S2``; https://marlinfw.org/meta/gcode/)."""


@dataclass(frozen=True, slots=True)
class Poll:
    """A query to repeat.

    Attributes:
        line: what to send.
        interval: seconds between two of them.

    """

    line: str
    interval: float


class PollSchedule:
    """Decides which queries are due; times are seconds on a monotonic clock.

    Args:
        interval: seconds between two temperature reports.

    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._due_at: dict[str, float] = {}

    def due(self, state: PrinterState, dialect: Dialect, now: float) -> Iterator[str]:
        """Yield the lines to send now; each counts as sent when it is yielded."""
        wanted = wanted_polls(state, dialect=dialect, interval=self.interval, now=now)
        for poll in wanted:
            if self._due_at.get(poll.line, now) <= now:
                self._due_at[poll.line] = now + poll.interval
                yield poll.line

    def next_due(self, state: PrinterState, dialect: Dialect, now: float) -> float:
        """Return when to call :meth:`due` again if the state stays; may be infinite."""
        wanted = wanted_polls(state, dialect=dialect, interval=self.interval, now=now)
        times = [self._due_at.get(poll.line, now) for poll in wanted]
        return min(times, default=inf)


def max_ages(state: PrinterState, interval: float) -> MaxAges:
    """Return after how many seconds without a reading each value is forgotten.

    ``interval`` is the time between two temperature reports, in seconds. A firmware
    that reports how far it prints does so in the same interval.
    """
    interval = max(interval, 1.0)
    position = _POSITION_IN_PRINT if state.job.active else _POSITION
    return MaxAges(
        temperature=STALE * interval,
        position=STALE * position,
        counter=STALE * max(_CARD, interval),
    )


def wanted_polls(
    state: PrinterState, *, dialect: Dialect, interval: float, now: float
) -> tuple[Poll, ...]:
    """Return the queries that this printer needs in its present state.

    ``interval`` is the time between two temperature reports, in seconds. A printer that
    waits for a person is sent a single query, whose answer shows that the person has
    come. What the firmware reports by itself or does not know is not queried, unless
    the reports have stopped or cannot be read.
    """
    if state.link != "operational":
        return ()
    if state.waiting:
        return (Poll("M105", interval),)
    polls = [Poll("M105", interval), *_card_polls(state, dialect)]
    if state.job.active:
        polls.append(Poll("M114", _POSITION_IN_PRINT))
    elif state.moved or state.position is None:
        polls.append(Poll("M114", _POSITION))
    if dialect.state_query:
        polls.append(Poll(dialect.state_query, _READINESS))
    late = now - MISSING * max(interval, 1.0)
    asks = may_stand(state, now)
    return tuple(
        poll
        for poll in polls
        if _needed(state, poll.line, late) or (asks and poll.line == "M27")
    )


def may_stand(state: PrinterState, now: float) -> bool:
    """Return whether a print that is reported automatically may have been paused."""
    job = state.job
    runs = job.phase in RUNS and job.origin == "card" and not job.heating
    return runs and "M27" in state.autoreports and now - job.risen_at >= _STANDS


def _card_polls(state: PrinterState, dialect: Dialect) -> Iterator[Poll]:
    if state.card is not False:
        yield Poll("M27", _CARD)
    if state.card and not state.listed and not state.job.active:
        yield Poll(_list_files(state, dialect), _FILE_LIST)
    if state.job.active and state.job.file is None and state.capabilities:
        yield Poll("M27 C", _FILE_NAME)


def _list_files(state: PrinterState, dialect: Dialect) -> str:
    name = "EXTENDED_M20"
    extended = state.capabilities.get(name) or name in dialect.capabilities
    return "M20 L T" if extended else "M20"


def _needed(state: PrinterState, line: str, late: float) -> bool:
    code = code_of(line)
    report = _REPORTED_BY.get(line, "")
    reported = report in state.autoreports and state.reported_at.get(report, 0) >= late
    return code not in state.refused and not reported
