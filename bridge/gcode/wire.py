"""What all phases of one conversation share: its lines, its dialect and its alarms."""

from dataclasses import dataclass

from bridge.gcode import codec
from bridge.gcode.counters import Counters
from bridge.gcode.dialects import Dialect
from bridge.gcode.window import Line, Window

PROBE = "M105"
"""The line that every firmware answers, and whose answer is told from all others."""

RENUMBER = 1000
"""Between two counts, so that no line of the old one fits the new."""

HIGHEST = 10**8
"""No count begins above it: what is longer than nine digits no firmware need take."""

QUIET = 0.3
"""Seconds in which an ``ok`` too many arrives."""


def beyond(number: int) -> int:
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
        self.window.restart(beyond(self.window.next) if first is None else first)

    def transmit(self, now: float, *, numbered: bool) -> bytes:
        """Return the bytes of the next line; it is in flight from now on."""
        line = self.launch(now)
        return codec.encode(line.text, line.number if numbered else None)

    def launch(self, now: float) -> Line:
        """Return the next line; it is in flight from now on."""
        line = self.window.transmit()
        line.sent_at = now
        line.transmissions += 1
        self.counters.lines += 1
        self.confirm_at = None
        return line
