"""The host side of the G-code conversation: no I/O, no clock, no tasks.

Give it bytes and the time, take events and bytes:

    events = protocol.receive_data(data, now)
    transport.write(protocol.data_to_send(now))
    loop.call_at(protocol.next_timeout(), ...)  # then protocol.handle_timeout(now)

One line is in flight at a time. ``ok`` finishes it; ``Resend: n`` finishes what came
before n and has n sent again. After a silence nobody can know whether the line or its
``ok`` was lost, so a numbered probe follows: the firmware either answers it or asks for
the lost line. Acknowledged lines are kept for a while, because an ``ok`` too many makes
a line look done that was not; an idle line is probed once for the same reason.

A conversation counts from a number of its own, never from 1: a firmware that asks for
line 1 has been reset, and nothing may be sent to it again.
"""

from collections import deque
from itertools import count

from bridge.gcode import codec, output, replies
from bridge.gcode.counters import Counters
from bridge.gcode.dialects import Dialect
from bridge.gcode.events import Connected, Event, LinkFailed, Restarted
from bridge.gcode.fates import finish, give_up
from bridge.gcode.receiver import Receiver
from bridge.gcode.replies import Reply
from bridge.gcode.resends import Resends, Verdict
from bridge.gcode.window import Line, Window

PROBE = "M105"
GREETING_INTERVAL = 2.0  # the first lines after an open or a reset are often eaten
QUIET = 0.3  # long enough for an "ok" too many to arrive
RENUMBER = 1000  # between two counts, so that no line of the old one fits the new
MAX_FRUITLESS = 2


class Protocol:
    """One conversation with one firmware, from open to close."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        first_number: int = RENUMBER,
        connect_timeout: float = 30.0,
        confirm_after: float = 1.0,
        counters: Counters | None = None,
    ) -> None:
        self.dialect = dialect
        """May be replaced when the firmware has said what it is."""
        self.counters = counters or Counters()
        self._connect_timeout = connect_timeout
        self._confirm_after = confirm_after
        self._receiver = Receiver()
        self._window = Window(first_number)
        self._queue: deque[Line] = deque()
        self._ahead: deque[Line] = deque()
        self._tickets = count(1)
        self._urgent = b""
        self._halted = False
        self._fruitless = 0
        self._clear()

    def _clear(self) -> None:
        self._connected = False
        self._greeting_until: float | None = None
        self._doubts = 2  # a plain "ok" to a probe removes one, a clear answer both
        self._deadline: float | None = None  # of what is in flight
        self._hold_until: float | None = None  # nothing is transmitted before
        self._confirm_at: float | None = None
        self._settling: Line | None = None  # has its "ok", but not its output
        self._resend_oks = 0  # yet to come; they acknowledge nothing
        self._resends = Resends()
        self._silences = 0
        self._answered = True  # something was acknowledged since the last probe
        self._probe_due = False

    @property
    def connected(self) -> bool:
        """The firmware has answered, and was not halted since."""
        return self._connected

    @property
    def halted(self) -> bool:
        """Nothing is sent until the firmware was reset."""
        return self._halted

    @property
    def noise(self) -> int:
        """How much was received that no firmware would say."""
        return self._receiver.noise

    @property
    def next_number(self) -> int:
        """The number of the next new line; a later conversation begins above it."""
        return self._window.next

    def send(self, text: str, *, ahead: bool = False) -> int:
        """Queue a line; its ticket comes back in :class:`Done` or :class:`Failed`.

        ``ahead``: before all lines that wait, for queries that keep the state fresh.

        Raises:
            ValueError: The line cannot be sent at all; see :func:`codec.encode`.

        """
        codec.encode(text, 10**8)  # refuse now, not when its turn comes
        ticket = next(self._tickets)
        (self._ahead if ahead else self._queue).append(Line(text, ticket))
        return ticket

    def send_now(self, text: str) -> None:
        """Send a line at once: bare, past the queue, not waiting for its ``ok``."""
        self._urgent += codec.encode(text)

    def urgent_data(self, now: float) -> bytes:
        """Return, and forget, the bytes that go past all that is not yet written."""
        data, self._urgent = self._urgent, b""
        if data and self._connected:
            self._hold_until = now + QUIET  # their "ok"s acknowledge no line of ours
        return data

    def data_to_send(self, now: float) -> bytes:
        """Return, and forget, the bytes to send to the firmware."""
        if self._halted or self._hold_until is not None:
            return b""
        if self._greeting_until is None:
            self._greet(now)
        window = self._window
        if self._connected and window.idle and (self._ahead or self._queue):
            window.push((self._ahead or self._queue).popleft())
        if self._probe_due or window.cursor == window.edge < window.next:
            self._probe_due = False
            return self._transmit(now)
        return b""

    def next_timeout(self) -> float | None:
        """Return when to call :meth:`handle_timeout`, if ever."""
        times = (self._deadline, self._hold_until, self._confirm_at)
        return min((time for time in times if time is not None), default=None)

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the firmware; return what they mean."""
        events: list[Event] = []
        for text in self._receiver.feed(data):
            found = replies.parse(text, self.dialect)
            oks = [reply for reply in found if isinstance(reply, replies.Ok)]
            rest = text[2:].strip() if oks else text
            for reply in found:  # what shares a line with an "ok" comes before it
                if not isinstance(reply, replies.Ok):
                    events += self._said(reply, rest, now)
            for ok in oks:
                events += self._ok(ok, now)
        return events

    def handle_timeout(self, now: float) -> list[Event]:
        """Act on time that passed."""
        events: list[Event] = []
        if self._hold_until is not None and now >= self._hold_until:
            events += self._release()
        if self._confirm_at is not None and now >= self._confirm_at:
            self._confirm_at = None
            self._answered = False
            self._ahead.append(Line(PROBE))
        if self._deadline is not None and now >= self._deadline:
            events += self._silence(now)
        return events

    def halt(self, error: str, message: str) -> list[Event]:
        """Give up all that waits; send nothing but urgent lines until a reset."""
        events = self._abandon(error, message)
        self._window.restart(self._window.next + RENUMBER)
        self._clear()
        self._halted = True
        return events

    def restart(self, message: str = "the printer was reset") -> list[Event]:
        """Begin anew with a firmware that was reset: nothing is sent again."""
        events = self._abandon("disconnected", message)
        fruitless = self._fruitless >= MAX_FRUITLESS  # it cannot count from our number
        self._fruitless += 1
        self.counters.restarts += 1
        self._window.restart(0 if fruitless else self._window.next + RENUMBER)
        self._clear()
        self._halted = False
        return [*events, Restarted()]

    def _greet(self, now: float) -> None:
        self._greeting_until = now + self._connect_timeout
        self._window.push(Line(f"M110 N{self._window.next}"))

    def _transmit(self, now: float) -> bytes:
        line = self._window.transmit()
        line.sent_at = now
        line.transmissions += 1
        self.counters.lines += 1
        self._confirm_at = None
        if not self._connected:
            self._deadline = now + GREETING_INTERVAL
            return codec.encode(line.text, line.number)
        self._deadline = now + self.dialect.patience(line.text)
        return codec.encode(line.text, line.number if self.dialect.numbered else None)

    def _said(self, reply: Reply, text: str, now: float) -> list[Event]:
        match reply:
            case replies.Resend(number):
                return self._resend(number, now)
            case replies.TransferError():
                self._resends.complained(reply)
                return []
            case replies.Started():
                return self._started()
            case replies.Wait():
                self._waits(now)
                return []
        if line := self._settling or self._window.head:
            output.collect(line, reply, text)
        if self._settling:
            self._hold_until = now + self.dialect.output_wait
        self._sign_of_life(reply, now)
        return [reply]

    def _started(self) -> list[Event]:
        if self._connected or self._halted:
            return self.restart()
        if self._greeting_until is not None:  # it cannot have heard our greeting
            self._greet_again()
        return []

    def _waits(self, now: float) -> None:
        head = self._window.head
        if head and self.dialect.wait_is_ok and self._answered and self._deadline:
            self._deadline = now  # idle with a line in flight: something was lost

    def _sign_of_life(self, reply: Reply, now: float) -> None:
        head = self._window.head
        if head is None or self._deadline is None or not self._connected:
            return
        patience = self.dialect.patience(head.text)
        if isinstance(reply, replies.Busy):
            patience = self.dialect.ok_timeout
        elif self.dialect.busy:
            return
        elif patience == self.dialect.ok_timeout and isinstance(
            reply, replies.Temperatures
        ):
            return  # a report every few seconds would hide a lost "ok" for ever
        self._deadline = now + patience
        self._silences = 0

    def _ok(self, ok: replies.Ok, now: float) -> list[Event]:
        if self._resend_oks:
            self._resend_oks -= 1
            return [] if self._resend_oks else self._release()
        if self._resends.owed and self._connected:
            return self._requested(None, now)  # the request itself was lost
        head = self._window.head
        if head is None:
            if self._hold_until is not None and self._settling is None:
                self._hold_until = now + QUIET
            return []
        if not self._connected:
            return self._greeted(head, ok, now)
        through = self._answers(ok, head)
        return [] if through is None else self._acknowledge(through, ok, now)

    def _greeted(self, head: Line, ok: replies.Ok, now: float) -> list[Event]:
        """Believe in a greeting's ``ok`` only when a probe is answered as well."""
        self._window.acknowledge(head.number)
        self._deadline = None
        if not self._is_probe(head):
            self._hold_until = now + QUIET  # every greeting we repeated has its "ok"
            return []
        self._doubts -= 2 if self._is_sure(ok) else 1
        if self._doubts > 0:
            self._window.push(Line(PROBE))
            return []
        self._connected = True
        return [Connected()]

    def _greet_again(self) -> None:
        """Repeat the greeting; a probe instead would be dropped if it was known."""
        self._deadline = None
        head = self._window.head
        if head is None or self._is_probe(head):
            self._window.restart(self._window.next + RENUMBER)
            self._window.push(Line(f"M110 N{self._window.next}"))
        else:
            self._window.rewind(head.number)

    def _is_sure(self, ok: replies.Ok) -> bool:
        """Tell an ``ok`` that can only be the answer to its line from a plain one."""
        return ok.temperature or ok.number is not None or not self.dialect.numbered

    def _answers(self, ok: replies.Ok, head: Line) -> int | None:
        """Return up to which line an ``ok`` acknowledges; ``None``: it is stale."""
        if ok.number is not None and self.dialect.numbered:
            return ok.number if head.number <= ok.number < self._window.edge else None
        if ok.temperature:
            queries = (x for x in self._window.in_flight() if x.text.startswith(PROBE))
            return next((line.number for line in queries), None)
        return head.number

    def _acknowledge(self, through: int, ok: replies.Ok, now: float) -> list[Event]:
        *skipped, last = self._window.acknowledge(through)
        self._silences = self._fruitless = 0
        self._resends.answered()
        self._answered = True
        if last.transmissions == 1:
            self.counters.round_trips.append(now - last.sent_at)
            self.counters.answered_at = now
        events: list[Event] = [e for line in skipped for e in self._skip(line)]
        head = self._window.head
        self._deadline = now + self.dialect.patience(head.text) if head else None
        if not self._is_sure(ok) and last.ticket is not None and self._window.idle:
            self._confirm_at = now + self._confirm_after
        if self.dialect.ok_before_output and output.is_query(last.text):
            self._settling = last
            self._hold_until = now + self.dialect.output_wait
            return events
        return [*events, *finish(last)]

    def _skip(self, line: Line) -> list[Event]:
        """Finish a line whose ``ok`` never came although a later one was answered."""
        if self.dialect.numbered:
            return finish(line)  # numbers are taken in order: it was carried out
        message = f"the printer did not acknowledge {line.text!r}; it may have done it"
        return give_up(line, "timeout", message)

    def _abandon(self, error: str, message: str) -> list[Event]:
        events: list[Event] = finish(self._settling) if self._settling else []
        waiting = [*self._window.unacknowledged(), *self._ahead, *self._queue]
        self._ahead.clear()
        self._queue.clear()
        for line in waiting:
            events += give_up(line, error, message)
        return events

    def _resend(self, number: int, now: float) -> list[Event]:
        self.counters.resends += 1
        if self.dialect.resend_ok:
            self._resend_oks += 1
            self._hold_until = now + self.dialect.resend_wait
        if not self._connected:
            self._greet_again()
            return []
        return self._requested(number, now)

    def _requested(self, number: int | None, now: float) -> list[Event]:
        match self._resends.judge(number, self._window):
            case Verdict.RESET:
                return self.restart()
            case Verdict.IGNORE:
                if self._window.head:
                    self._deadline = now + QUIET
                return []
            case str(reason):
                return [LinkFailed(reason)]
            case int(first):
                return self._rewind(first)

    def _rewind(self, first: int) -> list[Event]:
        """Send all from this line on again; what came before it was taken."""
        self._silences = 0
        self._answered = True
        self._deadline = None
        done = self._window.acknowledge(first - 1)
        self._window.rewind(first)
        for line in self._window.unacknowledged():
            line.output.clear()
            line.errors.clear()
        return [event for line in done for event in finish(line)]

    def _release(self) -> list[Event]:
        self._hold_until = None
        self._resend_oks = 0
        line, self._settling = self._settling, None
        if line is not None:
            return finish(line)
        if not self._connected and self._window.idle and not self._halted:
            self._window.push(Line(PROBE))
        return []

    def _silence(self, now: float) -> list[Event]:
        window = self._window
        self._deadline = None
        self.counters.timeouts += 1
        if not self._connected:
            if self._greeting_until is not None and now >= self._greeting_until:
                return [LinkFailed("the printer does not answer; wrong baud rate?")]
            self._greet_again()
            return []
        self._silences += 1
        if self._silences > self.dialect.max_probes:
            return [LinkFailed("the printer does not answer any more")]
        if self._answered and all(self._is_probe(x) for x in window.in_flight()):
            window.acknowledge(window.edge - 1)
            self._confirm_at = now + self._confirm_after
            return []
        if window.edge == window.next:
            window.push(Line(PROBE))
        self._answered = False
        self._probe_due = True
        return []

    @staticmethod
    def _is_probe(line: Line) -> bool:
        return line.ticket is None and line.text == PROBE
