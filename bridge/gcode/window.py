"""The lines of a conversation: numbers, history, queue, and how each line ends."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.gcode import framing
from bridge.gcode.counters import Counters
from bridge.gcode.dialects import Dialect
from bridge.gcode.events import Done, Event, Failed
from bridge.gcode.line import MOVES, code_of

HISTORY = 128
"""Acknowledged lines that are kept in case the firmware requests one of them.

A surplus ``ok`` makes a line look acknowledged that is still on its way; the request
for it then arrives a few lines later. Firmwares request what fits into their receive
buffer; eight lines back were seen
(https://github.com/OctoPrint/OctoPrint/issues/3847). OctoPrint keeps 50 lines and
PrusaLink 100.
"""

PROBE = "M105"
"""The line that is sent only to find out what the firmware has received.

Every firmware answers it at once, it changes nothing, and its answer (``ok T:…``)
differs from the ``ok`` of any other line.
"""

NUMBER_GAP = 1000
"""Numbers that are skipped when the numbering restarts.

More than :data:`HISTORY`, so that no request for a line of the old numbering matches
one of the new. It is also the first number that is used after the handshake, in which a
firmware may insist on 1. No other line has that number, so a request for line 1 means
that the firmware was reset (docs/adr/0014).
"""

HIGHEST_FIRST_NUMBER = 10**8
"""No numbering starts above this. Firmwares store the number in 32 bits, and
:mod:`bridge.gcode.reply_parser` reads nine digits of it, so there is room for 900
million lines."""


FRAME = len("N123456 *255\n")
"""Bytes that the number, the checksum and the line end add to a line of a long print.
"""


def next_first_number(number: int) -> int:
    """Return where to start numbering, so that no line up to this one matches."""
    first = number + NUMBER_GAP
    return first if first < HIGHEST_FIRST_NUMBER else NUMBER_GAP


@dataclass(slots=True, eq=False)
class QueuedLine:
    """One line that waits, is on its way, or was acknowledged.

    Attributes:
        text: the G-code.
        ticket: what its sender was given; ``None``: it is one of our own, or its sender
            has been informed how it ended.
        report_errors: its sender reports what the firmware objects to in it.
        offset: where it is in its source, as :class:`Stream` has it; -1: nowhere.
        number: its line number; -1 while it waits.
        code: ``G28``, as :func:`code_of` returns it.
        plain: it is a move that is answered soon, and with nothing but an ``ok``; known
            once it was transmitted, as the following.
        timeout: how long it may stay unanswered, in seconds.
        sent_at: when it was last transmitted, in seconds.
        transmissions: how often it was transmitted.
        output: what the firmware said while it carried the line out.
        errors: those of these texts that are complaints about the line.

    """

    text: str
    ticket: int | None = None
    report_errors: bool = False
    offset: int = -1
    number: int = -1
    code: str = ""
    plain: bool = False
    timeout: float = 0.0
    sent_at: float = 0.0
    transmissions: int = 0
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.code = code_of(self.text)

    @property
    def is_probe(self) -> bool:
        """Whether this line only asks, and no sender waits for it."""
        return self.ticket is None and self.text == PROBE

    @property
    def shareable(self) -> bool:
        """Whether it may be in flight together with others (docs/adr/0031).

        Nothing has to be attributed to one of several moves, and none needs a long
        timeout. Every other line is in flight alone.
        """
        return self.code in MOVES

    def fits(self, room: int) -> bool:
        """Return whether it may join others where so many bytes are free."""
        return self.code in MOVES and len(self.text) + FRAME <= room

    def finish(self) -> list[Event]:
        """Return the event of an acknowledged line, if its sender still waits."""
        ticket, self.ticket = self.ticket, None
        if ticket is None:
            return []
        return [Done(ticket, tuple(self.output), tuple(self.errors), self.offset)]

    def fail(self, error: str, message: str) -> list[Event]:
        """Return the event of a line that will not be finished, if its sender waits."""
        ticket, self.ticket = self.ticket, None
        if ticket is None:
            return []
        sent = self.transmissions > 0
        return [Failed(ticket, error, message, sent, tuple(self.output))]


SourceItem = str | tuple[str, int] | None
"""A line, a line and its offset, or ``None``: there is no line at the moment.

The offset is any number that says where the line is in the source, such as its first
byte in a file. It comes back with the events of the line.
"""


@dataclass(slots=True, eq=False)
class Stream:
    """Lines that are pulled from an iterator, each when it can be sent.

    Attributes:
        ticket: of the stream; the events of its lines have it.
        source: yields the lines; after a ``None``, :meth:`resume` has to be called when
            there is a line again.
        longest: bytes that its lines must stay below; see ``Dialect.longest_line``.
        pulled: the lines that got a number since somebody looked last.
        open: how many of them have no event yet.
        over: no more lines will be pulled.
        refused: why the last line from the source cannot be sent, or the exception that
            the source has raised.
        failure: the error and the message where it was ended by a halt or a restart.

    """

    ticket: int
    source: Iterator[SourceItem]
    longest: int = framing.MAX_COMMAND
    pulled: list[QueuedLine] = field(default_factory=list)
    open: int = 0
    over: bool = False
    refused: Exception | None = None
    failure: tuple[str, str] | None = None
    _next: QueuedLine | None = None
    _paused: bool = False
    _starved: float = 0.0
    _starved_since: float | None = None

    def peek(self) -> QueuedLine | None:
        """Return the next line, if there is one now; :meth:`pop` removes it."""
        if self._paused:
            return None
        if self._next is not None or self.over:
            return self._next
        try:
            item = next(self.source)
            if item is None:
                return None
            text, offset = (item, -1) if isinstance(item, str) else item
            framing.check(text, longest=self.longest)
        except StopIteration:
            self.over = True
            return None
        except Exception as error:  # noqa: BLE001 - a broken source ends its stream only
            self.refused = error
            self.over = True
            return None
        self._next = QueuedLine(text, self.ticket, report_errors=True, offset=offset)
        return self._next

    def pop(self, line: QueuedLine) -> None:
        """Count the line that :meth:`peek` returned as sent."""
        self._next = None
        self.pulled.append(line)
        self.open += 1

    def pause(self, now: float) -> None:
        """Pull no more lines until :meth:`resume`; those that were sent continue."""
        self._paused = True
        self._end_starvation(now)

    def resume(self, now: float) -> None:
        """Pull lines again: after a pause, or because the source has some again."""
        self._paused = False
        self._end_starvation(now)

    def end(self) -> None:
        """Pull no more lines; those that were sent still get their events."""
        self.over = True
        self._next = None

    def starve(self, now: float) -> None:
        """Note that the firmware has nothing to do, because the source has no line."""
        if not self._paused and self._starved_since is None:
            self._starved_since = now

    def starved(self, now: float) -> float:
        """Return for how many seconds it has starved the firmware so far."""
        since = now if self._starved_since is None else self._starved_since
        return self._starved + max(0.0, now - since)

    def _end_starvation(self, now: float) -> None:
        self._starved = self.starved(now)
        self._starved_since = None


class Queue:
    """Lines that wait for a number: first come, first served, in three classes.

    Lines that go ahead of all others, single lines, and those of streams. The stream
    that was added last goes first, and one that was added behind the others last, so
    that a long command cuts in on a print.
    """

    def __init__(self) -> None:
        self._ahead: deque[QueuedLine] = deque()
        self._behind: deque[QueuedLine] = deque()
        self._streams: list[Stream] = []

    def push(self, line: QueuedLine, *, ahead: bool) -> None:
        """Add a line, either to those that go ahead of all others or to the rest."""
        (self._ahead if ahead else self._behind).append(line)

    def add(self, stream: Stream, *, behind: bool = False) -> None:
        """Add a stream, ahead of the other streams or behind them."""
        self._streams.insert(0 if behind else len(self._streams), stream)

    def pop(self, now: float, *, shareable: int | None = None) -> QueuedLine | None:
        """Remove and return the next line, if there is one.

        Args:
            now: the time in seconds.
            shareable: only if it may be in flight together with others, and has at most
                so many bytes.

        """
        lines = self._ahead or self._behind
        if lines:
            if shareable is not None and not lines[0].fits(shareable):
                return None
            return lines.popleft()
        while self._streams:
            stream = self._streams[-1]
            line = stream.peek()
            if line is not None:
                if shareable is not None and not line.fits(shareable):
                    return None
                stream.pop(line)
                return line
            if not stream.over:
                if shareable is None:  # nothing is in flight
                    stream.starve(now)
                return None
            self._streams.pop()
        return None

    def withdraw(self, ticket: int) -> bool:
        """Remove a line; return whether it was still waiting."""
        for lines in (self._ahead, self._behind):
            for line in lines:
                if line.ticket == ticket:
                    lines.remove(line)
                    return True
        return False

    def drain(self, error: str, message: str) -> list[QueuedLine]:
        """Remove and return all lines in their order, and end all streams."""
        lines = [*self._ahead, *self._behind]
        self._ahead.clear()
        self._behind.clear()
        for stream in self._streams:
            stream.failure = (error, message)
            stream.end()
        self._streams.clear()
        return lines


class Window:
    """The numbered lines, as three consecutive ranges of numbers.

    ::

        oldest kept … | cursor … | edge … | next
          acknowledged  in flight   unsent  the number of the next new line

    Lines in flight have been transmitted and are not acknowledged. Unsent lines are
    probes that were just added, or lines that have to be transmitted again.
    """

    def __init__(self, first_number: int) -> None:
        self._lines: dict[int, QueuedLine] = {}  # by number; numbers have no gaps
        self.cursor = self.edge = self.next = first_number

    @property
    def _oldest(self) -> int:
        """The lowest number that is kept; the next one, if none is."""
        return self.next - len(self._lines)

    def restart(self, first_number: int) -> None:
        """Forget every line and number the next one like this."""
        self._lines.clear()
        self.cursor = self.edge = self.next = first_number

    def unacknowledged(self) -> list[QueuedLine]:
        """Return the lines in flight and those unsent, oldest first."""
        return [self._lines[number] for number in range(self.cursor, self.next)]

    def in_flight(self) -> list[QueuedLine]:
        """Return the lines that the firmware may be working on, oldest first."""
        return [self._lines[number] for number in range(self.cursor, self.edge)]

    @property
    def head(self) -> QueuedLine | None:
        """The oldest line in flight."""
        return self._lines[self.cursor] if self.cursor < self.edge else None

    @property
    def latest(self) -> QueuedLine:
        """The line that was transmitted last."""
        return self._lines[self.edge - 1]

    @property
    def has_unsent(self) -> bool:
        """Whether a line waits to be transmitted, for the first time or again."""
        return self.edge < self.next

    @property
    def idle(self) -> bool:
        """Whether every line is acknowledged."""
        return self.cursor == self.next

    def push(self, line: QueuedLine) -> None:
        """Give a new line the next number; it is unsent."""
        line.number = self.next
        self._lines[self.next] = line
        self.next += 1
        if len(self._lines) > HISTORY:
            for number in range(self._oldest, min(self.cursor, self.next - HISTORY)):
                del self._lines[number]

    def transmit(self, now: float) -> QueuedLine:
        """Return the oldest unsent line; it is in flight from now on."""
        line = self._lines[self.edge]
        line.sent_at = now
        line.transmissions += 1
        self.edge += 1
        return line

    @property
    def only_line(self) -> QueuedLine | None:
        """The line in flight, if it is the only one that is not acknowledged."""
        is_only = self.cursor == self.edge - 1 == self.next - 1
        return self._lines[self.cursor] if is_only else None

    def acknowledge_head(self) -> None:
        """Acknowledge the oldest line in flight."""
        self.cursor += 1

    def acknowledge(self, through: int) -> list[QueuedLine]:
        """Acknowledge all lines up to this number; return those that were not yet."""
        end = max(self.cursor, min(through + 1, self.next))
        lines = [self._lines[number] for number in range(self.cursor, end)]
        self.cursor = end
        self.edge = max(self.edge, end)
        return lines

    def covers(self, number: int) -> bool:
        """Return whether the conversation can continue from this number."""
        return self._oldest <= number <= self.next

    def text(self, number: int) -> str:
        """Return the text of a line; "" if it is not kept."""
        line = self._lines.get(number)
        return "" if line is None else line.text

    def forget(self, before: int) -> None:
        """Drop acknowledged lines below this number: they are never sent again."""
        for number in range(self._oldest, min(before, self.cursor)):
            del self._lines[number]

    def rewind(self, number: int) -> None:
        """Make this line, and all after it, unsent."""
        self.cursor = self.edge = number

    @property
    def only_moves(self) -> bool:
        """Whether every line in flight may be there together with others."""
        return all(line.shareable for line in self.in_flight())

    @property
    def buffered(self) -> int:
        """The bytes in flight that the firmware may not have begun to work on.

        It has taken the oldest line out of its receive buffer, or will at once.
        """
        behind = self.in_flight()[1:]
        return sum(len(line.text) + FRAME for line in behind)


@dataclass(slots=True)
class Transmitter:
    """What all phases of one conversation share.

    Attributes:
        dialect: how the firmware speaks, as far as that is known yet.
        window: the lines that have a number.
        counters: counts what is transmitted.

    """

    dialect: Dialect
    window: Window
    counters: Counters

    def renumber(self, first: int | None = None) -> None:
        """Start a new numbering, by default one that no earlier line matches."""
        window = self.window
        window.restart(next_first_number(window.next) if first is None else first)

    def transmit(self, now: float, *, numbered: bool) -> bytes:
        """Return the bytes of the oldest unsent line; it is in flight from now on."""
        line, dialect = self.window.transmit(now), self.dialect
        if line.code in MOVES and line.code not in dialect.long_codes:
            line.timeout = dialect.ok_timeout  # as timeout_for() returns it
            line.plain = not dialect.refuses_late
        else:
            line.timeout = dialect.timeout_for(line.text)
        self.counters.lines += 1
        return framing.frame(line.text, line.number if numbered else None)
