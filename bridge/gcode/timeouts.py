"""What all phases of one conversation share: its lines, its dialect and its alarms."""

from dataclasses import dataclass

from bridge.gcode import framing, words
from bridge.gcode.counters import Counters
from bridge.gcode.dialects import Dialect
from bridge.gcode.reply_types import (
    Action,
    Busy,
    FileOpened,
    FileSelected,
    NotPrinting,
    Position,
    PrintDone,
    PrintProgress,
    Reply,
    Temperatures,
)
from bridge.gcode.window import Line, Window

PROBE = "M105"
"""The line that every firmware answers, and whose answer is told from all others."""

RENUMBER = 1000
"""Between two counts, so that no line of the old one fits the new."""

HIGHEST = 10**8
"""No count begins above it: what is longer than nine digits no firmware need take."""

QUIET = 0.3
"""Seconds in which an ``ok`` too many arrives."""


def next_first_number(number: int) -> int:
    """Return where a new count begins, so that no line of one before it fits."""
    first = number + RENUMBER
    return first if first < HIGHEST else RENUMBER


def probe() -> Line:
    """Return a line of our own that only finds out how things are."""
    return Line(PROBE)


def is_probe(line: Line) -> bool:
    """Tell whether nobody waits for this line, and it does nothing but ask."""
    return line.ticket is None and line.text == PROBE


@dataclass(slots=True)
class Wire:
    """The lines on their way, and when to look after them.

    Attributes:
        dialect: how the firmware speaks.
        window: the lines that have a number.
        counters: what goes over the line.
        answer_by: when what is in flight has been silent for too long.
        hold_until: nothing is transmitted before.
        confirm_at: when the firmware is asked whether it got everything.

    """

    dialect: Dialect
    window: Window
    counters: Counters
    answer_by: float | None = None
    hold_until: float | None = None
    confirm_at: float | None = None

    def next_timeout(self) -> float | None:
        """Return the earliest of the alarms."""
        times = (self.answer_by, self.hold_until, self.confirm_at)
        return min((time for time in times if time is not None), default=None)

    def calm(self) -> None:
        """Forget all alarms."""
        self.answer_by = self.hold_until = self.confirm_at = None

    def renumber(self, first: int | None = None) -> None:
        """Begin a new count, by default one that no line on its way fits."""
        self.window.restart(
            next_first_number(self.window.next) if first is None else first
        )

    def transmit(self, now: float, *, numbered: bool) -> bytes:
        """Return the bytes of the next line; it is in flight from now on."""
        line = self.launch(now)
        return framing.encode(line.text, line.number if numbered else None)

    def launch(self, now: float) -> Line:
        """Return the next line; it is in flight from now on."""
        line = self.window.transmit()
        line.sent_at = now
        line.transmissions += 1
        self.counters.lines += 1
        self.confirm_at = None
        return line


_UNASKED = (Temperatures, PrintProgress, NotPrinting, Position, Action)
"""What firmwares report by themselves, again and again."""

_STARTS = {"M24", "M32"}
_EARLY = 1.0  # seconds in which no long line is done, but some have their "ok"


def renewed(reply: Reply, line: str, dialect: Dialect) -> float | None:
    """Return for how many seconds a reply renews the patience with a line.

    ``None``: not at all. A report every few seconds would hide a lost ``ok`` for ever
    (Q-14), so for a short line it is no sign of life; for a long one it is, where the
    firmware has no ``busy:`` to tell that it works. Any other word belongs to the line,
    but where ``busy:`` is said a short line needs none.

    Whose heating a report tells of does not matter: while a command of the card or of
    the display waits for a heater, no line is taken.
    """
    patience = dialect.timeout_for(line)
    is_short = patience == dialect.ok_timeout
    if isinstance(reply, Busy) or (
        _tells_of_heating(reply, dialect) and (is_short or dialect.sends_busy)
    ):
        return dialect.ok_timeout
    if dialect.sends_busy and (is_short or isinstance(reply, _UNASKED)):
        return None
    if is_short and isinstance(reply, _UNASKED):
        return None
    return patience


def _tells_of_heating(reply: Reply, dialect: Dialect) -> bool:
    return isinstance(reply, Temperatures) and (
        reply.waiting or dialect.reports_while_heating
    )


def still_prints(reply: Reply, *, was: bool) -> bool:
    """Return whether the card may be printed from, after a reply.

    A print may home before anybody could ask how far it is: a file that is opened may
    be one that is started at the display.
    """
    if isinstance(reply, NotPrinting | PrintDone):
        return False
    return was or isinstance(reply, PrintProgress | FileOpened | FileSelected)


def starts_print(line: str, dialect: Dialect) -> bool:
    """Tell whether the card is printed from once a line is taken."""
    return words.parse(line).code in {*_STARTS, *dialect.resume}


def free_by(
    line: str, dialect: Dialect, *, sent_at: float, before: float, now: float
) -> float:
    """Return until when a line that has its ``ok`` may still be worked on.

    Where the ``ok`` comes first, it says so only of long lines that had it at once, or
    as soon as the one before them was done; behind others a lost line would be found
    late. A dwell ends by itself (Q-26), and is over where the ``ok`` took as long.

    Args:
        line: what was taken.
        dialect: the firmware's.
        sent_at: when it was sent.
        before: until when the line before it may have been worked on.
        now: when its ``ok`` came.

    """
    patience = dialect.timeout_for(line)
    if patience <= dialect.ok_timeout:
        return now
    behind = sent_at < before
    if words.parse(line).code == "G4":
        early = now < sent_at + patience - dialect.ok_timeout
        return now + patience if early or behind else now
    first = now < sent_at + _EARLY or behind
    return now + patience if dialect.ok_before_output and first else now
