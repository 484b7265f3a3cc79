"""Which lines are on their way: numbers, history and what has to be sent again."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.gcode.events import Done, Event, Failed

HISTORY = 64


@dataclass(slots=True, eq=False)
class Line:
    """One line on its way to the firmware.

    Attributes:
        text: the G-code.
        ticket: what its sender was given; ``None``: ours, nobody waits for it.
        report_errors: its sender reports what the firmware objects to in it.
        number: its place in the conversation.
        sent_at: when it was last transmitted, in seconds.
        transmissions: how often it was transmitted.
        output: what the firmware said while it was being carried out.
        errors: what it said against it.

    """

    text: str
    ticket: int | None = None
    report_errors: bool = False
    number: int = -1
    sent_at: float = 0.0
    transmissions: int = 0
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Window:
    """The lines of one conversation, in the order of their numbers.

    Lines before ``cursor`` are acknowledged, those from there up to ``edge`` are in
    flight, those from ``edge`` on wait to be transmitted again.
    """

    def __init__(self, first_number: int) -> None:
        self._lines: deque[Line] = deque()
        self.cursor = self.edge = self.next = first_number

    def restart(self, first_number: int) -> list[Line]:
        """Forget everything and count anew; return what was not acknowledged."""
        open_lines = self.unacknowledged()
        self._lines.clear()
        self.cursor = self.edge = self.next = first_number
        return open_lines

    def unacknowledged(self) -> list[Line]:
        """Return the lines that wait for their ``ok``, oldest first."""
        return [line for line in self._lines if line.number >= self.cursor]

    def in_flight(self) -> Iterator[Line]:
        """Yield the lines that the firmware may be working on, oldest first."""
        for line in self._lines:
            if self.cursor <= line.number < self.edge:
                yield line

    @property
    def head(self) -> Line | None:
        """The oldest line in flight."""
        return next(self.in_flight(), None)

    @property
    def idle(self) -> bool:
        """Nothing is in flight and nothing has to be sent again."""
        return self.cursor == self.next

    def push(self, line: Line) -> None:
        """Give a new line the next number."""
        line.number = self.next
        self.next += 1
        self._lines.append(line)
        while len(self._lines) > HISTORY and self._lines[0].number < self.cursor:
            self._lines.popleft()

    def transmit(self) -> Line:
        """Return the next line to transmit; it is in flight from now on."""
        line = self._lines[self.edge - self._lines[0].number]
        self.edge += 1
        return line

    @property
    def latest(self) -> Line:
        """The line that was transmitted last."""
        return self._lines[self.edge - 1 - self._lines[0].number]

    def acknowledge(self, through: int) -> list[Line]:
        """Take all lines up to this number as done; return those that were not yet."""
        done = [x for x in self._lines if self.cursor <= x.number <= through]
        self.cursor = max(self.cursor, min(through + 1, self.next))
        self.edge = max(self.edge, self.cursor)
        return done

    def covers(self, number: int) -> bool:
        """Tell whether the conversation can go on from this line."""
        oldest = self._lines[0].number if self._lines else self.next
        return oldest <= number <= self.next

    def forget(self, before: int) -> None:
        """Drop history: none of the lines before this number is ever sent again."""
        while self._lines and self._lines[0].number < min(before, self.cursor):
            self._lines.popleft()

    def rewind(self, number: int) -> None:
        """Send this line, and all after it, again."""
        self.cursor = self.edge = number


class Queue:
    """First come, first served; except for those that go ahead."""

    def __init__(self) -> None:
        self._ahead: deque[Line] = deque()
        self._behind: deque[Line] = deque()

    def push(self, line: Line, *, ahead: bool) -> None:
        """Have a line wait."""
        (self._ahead if ahead else self._behind).append(line)

    def pop(self) -> Line | None:
        """Return the next line, if there is one."""
        lines = self._ahead or self._behind
        return lines.popleft() if lines else None

    def withdraw(self, ticket: int) -> bool:
        """Have a line wait no more; tell whether it was here."""
        for lines in (self._ahead, self._behind):
            for line in lines:
                if line.ticket == ticket:
                    lines.remove(line)
                    return True
        return False

    def drain(self) -> list[Line]:
        """Return all lines in their order; none waits any more."""
        lines = [*self._ahead, *self._behind]
        self._ahead.clear()
        self._behind.clear()
        return lines


def finish(line: Line) -> list[Event]:
    """Return the event of a line that was taken, if its sender waits for one."""
    ticket, line.ticket = line.ticket, None
    if ticket is None:
        return []
    return [Done(ticket, tuple(line.output), tuple(line.errors))]


def give_up(line: Line, error: str, message: str) -> list[Event]:
    """Return the event of a line that will not be finished, if its sender waits."""
    ticket, line.ticket = line.ticket, None
    if ticket is None:
        return []
    sent = line.transmissions > 0
    return [Failed(ticket, error, message, sent, tuple(line.output))]
