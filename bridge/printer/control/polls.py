"""What has to be asked of a printer again and again, because it does not tell."""

from dataclasses import dataclass

from bridge.gcode import words
from bridge.gcode.dialects import Dialect
from bridge.printer.knowledge.model import PrinterState

_CARD = 1.0  # a print started at the printer must show within two seconds
_NAME = 30.0
_LIST = 30.0
_POSITION = 2.0
_POSITION_IN_PRINT = 5.0
_READINESS = 10.0
_REPORTED_BY = {"M105": "M155", "M27": "M27", "M114": "M154"}


@dataclass(frozen=True, slots=True)
class Poll:
    """A query to repeat.

    Attributes:
        line: what to send.
        interval: seconds between two of them.

    """

    line: str
    interval: float


def wanted_polls(
    state: PrinterState, *, dialect: Dialect, interval: float
) -> tuple[Poll, ...]:
    """Return the queries that this printer needs now.

    ``interval`` is the time between two temperature reports, in seconds. A printer that
    waits for a person is asked one thing, whose answer tells that the person came. What
    the firmware reports by itself, or does not know, is not asked.
    """
    if state.link != "operational":
        return ()
    if state.waiting:
        return (Poll("M105", interval),)
    polls = [Poll("M105", interval)]
    if state.card is not False:
        polls.append(Poll("M27", _CARD))
    if state.card and not state.listed and not state.job.active:
        polls.append(Poll(_list_files(state, dialect), _LIST))
    if state.job.active and state.job.file is None and state.capabilities:
        polls.append(Poll("M27 C", _NAME))
    if state.job.active:
        polls.append(Poll("M114", _POSITION_IN_PRINT))
    elif state.moved or state.position is None:
        polls.append(Poll("M114", _POSITION))
    if dialect.state_query:
        polls.append(Poll(dialect.state_query, _READINESS))
    return tuple(poll for poll in polls if _needed(state, poll.line))


def _list_files(state: PrinterState, dialect: Dialect) -> str:
    name = "EXTENDED_M20"
    extended = state.capabilities.get(name) or name in dialect.capabilities
    return "M20 L T" if extended else "M20"


def _needed(state: PrinterState, line: str) -> bool:
    code = words.parse(line).code
    reported = _REPORTED_BY.get(line) in state.autoreports
    return code not in state.refused and not reported
