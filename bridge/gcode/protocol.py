"""The host side of the G-code conversation: no I/O, no clock, no tasks.

Give it bytes and the time, and it returns events and bytes::

    events = protocol.receive_data(data, now)
    transport.write(protocol.data_to_send(now))
    loop.call_at(protocol.next_timeout(), ...)  # then protocol.handle_timeout(now)

What it guarantees:

* Each line ends in exactly one :class:`Done` or :class:`Failed`.
* A line is carried out at most once, and lines in the order in which they were sent.
  What failed, or was cut off by a reset, is never sent again.
* On a firmware that checks the sequence of its lines, what is done was carried out,
  whatever the link loses, damages or repeats; ``docs/adr`` names the faults that no
  host can notice, and when the last line is in doubt.

A conversation begins with a :class:`~bridge.gcode.handshake.Handshake`, continues with
an :class:`~bridge.gcode.exchange.Exchange`, and after a reset of the firmware starts
over. It numbers its lines from a number of its own, never from 1: a firmware that asks
for line 1 has been reset, and nothing may be sent to it again.
"""

from collections.abc import Iterator
from itertools import count

from bridge.gcode import framing, line_output
from bridge.gcode import reply_types as replies
from bridge.gcode.counters import Counters
from bridge.gcode.dialects import Dialect
from bridge.gcode.events import Connected, Event, Restarted
from bridge.gcode.exchange import Exchange
from bridge.gcode.framing import LineReceiver
from bridge.gcode.handshake import Handshake
from bridge.gcode.reply_parser import (
    hints_at_start,
    parse_numbered_ok,
    parse_reply,
)
from bridge.gcode.reply_types import Reply
from bridge.gcode.window import (
    NUMBER_GAP,
    Queue,
    QueuedLine,
    SourceItem,
    Stream,
    Transmitter,
    Window,
)

_Acknowledgement = replies.Ok | replies.Resend | replies.TransferError | replies.Wait
_ACKNOWLEDGEMENTS = (
    replies.Ok,
    replies.Resend,
    replies.TransferError,
    replies.Wait,
)
"""Replies about the link itself; whoever listens to events does not get them."""

_RESTARTED = Restarted()


class Protocol:
    """One conversation with one firmware, from open to close."""

    def __init__(  # noqa: PLR0913 - times and numbers that only a link knows
        self,
        dialect: Dialect,
        *,
        first_number: int = NUMBER_GAP,
        connect_timeout: float = 30.0,
        confirm_after: float = 1.0,
        lines_in_flight: int = 1,
        counters: Counters | None = None,
    ) -> None:
        """Prepare a conversation; times are in seconds.

        Args:
            dialect: how the firmware speaks, as far as that is known.
            first_number: of the first line; above all numbers of earlier conversations.
            connect_timeout: how long the firmware may leave the handshake unanswered.
            confirm_after: how long the line is idle until a probe confirms that
                everything arrived.
            lines_in_flight: how many moves may be in flight together, where the
                firmware tells its room or its link loses nothing.
            counters: continue to be incremented; new ones by default.

        """
        self._transmitter = Transmitter(
            dialect, Window(first_number), counters or Counters()
        )
        self._connect_timeout = connect_timeout
        self._confirm_after = confirm_after
        self._lines_in_flight = lines_in_flight
        self._receiver = LineReceiver()
        self._queue = Queue()
        self._tickets = count(1)
        self._urgent = b""
        self._halted = False
        self._start_over()

    def _start_over(self) -> None:
        self._connected = False
        self._handshake = Handshake(self._transmitter, self._connect_timeout)
        self._exchange = Exchange(
            self._transmitter, self._confirm_after, self._lines_in_flight
        )

    @property
    def dialect(self) -> Dialect:
        """How the firmware speaks; set it when the firmware has said what it is."""
        return self._transmitter.dialect

    @dialect.setter
    def dialect(self, dialect: Dialect) -> None:
        self._transmitter.dialect = dialect

    @property
    def counters(self) -> Counters:
        """What was sent, and how it went."""
        return self._transmitter.counters

    @property
    def connected(self) -> bool:
        """Whether the handshake is complete, and the firmware was not halted since."""
        return self._connected

    @property
    def halted(self) -> bool:
        """Whether nothing is sent until the firmware is reset."""
        return self._halted

    @property
    def noise(self) -> int:
        """How much was received that no firmware sends, in bytes and lines."""
        return self._receiver.noise

    @property
    def next_number(self) -> int:
        """The number of the next new line; a later conversation begins above it."""
        return self._transmitter.window.next

    def send(
        self, text: str, *, ahead: bool = False, report_errors: bool = True
    ) -> int:
        """Queue a line; its ticket comes back in :class:`Done` or :class:`Failed`.

        Args:
            text: the G-code, without a line number.
            ahead: send it before all lines that wait, as a query that keeps the state
                up to date.
            report_errors: whoever sends it reports what the firmware objects to in it.

        Raises:
            ValueError: The line cannot be sent at all; see :func:`framing.check`.

        """
        framing.check(text)  # refuse now, not when its turn comes
        ticket = next(self._tickets)
        self._queue.push(QueuedLine(text, ticket, report_errors), ahead=ahead)
        return ticket

    def stream(self, source: Iterator[SourceItem], *, behind: bool = False) -> Stream:
        """Add a source of lines, each pulled when it can be sent.

        No queue holds them, and nothing has to be done for each: this is for long
        commands and prints. Lines from :meth:`send` go between two of them. Each line
        ends in one :class:`Done` or :class:`Failed` with the stream's ticket.

        A line may be as long as the firmware reads it: files for Klipper have outlines
        of objects in single lines of hundreds of bytes.

        Args:
            source: yields the lines; see :class:`Stream`.
            behind: its lines are sent while no other stream has any, as a print's;
                otherwise, this stream goes before those that were added before.

        """
        longest = self._transmitter.dialect.longest_line
        stream = Stream(next(self._tickets), source, longest)
        self._queue.add(stream, behind=behind)
        return stream

    def withdraw(self, ticket: int) -> bool:
        """Take back a line, unless it was sent: then its event comes as always."""
        return self._queue.withdraw(ticket)

    def send_now(self, text: str) -> None:
        """Send a line at once: unnumbered, past the queue, not waiting for its ``ok``.

        Raises:
            ValueError: The line cannot be sent at all.

        """
        self._urgent += framing.encode(text)

    def urgent_data(self, now: float) -> bytes:
        """Return, once, the bytes to write before all that is not yet written."""
        data, self._urgent = self._urgent, b""
        if data and self._connected:
            self._exchange.note_urgent_line(now)
        elif data:
            self._handshake.note_urgent_line()
        return data

    def data_to_send(self, now: float) -> bytes:
        """Return, once, the bytes to send to the firmware."""
        if self._halted:
            return b""
        if not self._connected:
            return self._handshake.data_to_send(now)
        return self._exchange.data_to_send(self._queue, now)

    def next_timeout(self) -> float | None:
        """Return when to call :meth:`handle_timeout`, if ever."""
        return self._phase.next_timeout()

    def handle_timeout(self, now: float) -> list[Event]:
        """Act on the time that passed."""
        return self._phase.handle_timeout(now)

    @property
    def _phase(self) -> Handshake | Exchange:
        return self._exchange if self._connected else self._handshake

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Process bytes from the firmware; return what they mean."""
        events: list[Event] = []
        for text in self._receiver.feed(data):
            if not self._connected:
                events += self._process_line(text, now)
            elif text == "ok":  # as most lines in a print, or as the following
                events += self._acknowledged(self._exchange.process_plain_ok(now))
            elif ok := parse_numbered_ok(text):
                events += self._acknowledged(
                    self._exchange.process_numbered_ok(ok, now)
                )
            else:
                events += self._process_line(text, now)
        return events

    def halt(self, error: str, message: str) -> list[Event]:
        """Fail all that waits; send nothing but urgent lines until a reset."""
        events = self._fail_all(error, message)
        self._transmitter.renumber()
        self._start_over()
        self._halted = True
        return events

    def restart(self, message: str = "the printer was reset") -> list[Event]:
        """Start over with a firmware that was reset: nothing is sent again."""
        events = self._fail_all("disconnected", message)
        self.counters.restarts += 1
        self._transmitter.renumber()
        self._start_over()
        self._halted = False
        return [*events, Restarted()]

    def replay_sent(
        self, number: int | None, text: str, now: float
    ) -> tuple[int | None, list[Event]]:
        """Count a line as sent that a log says was sent.

        What the log says next can then be processed with :meth:`receive_data`.

        Args:
            number: its line number; ``None``: it was sent without one.
            text: the G-code.
            now: the log's time in seconds.

        Returns:
            Its ticket, and the events of earlier lines. There is no ticket where the
            line repeats one, or was sent past the queue.

        """
        window = self._transmitter.window
        if number is None and self._connected and self.dialect.numbered:
            return None, []
        events = self._exchange.end_pause()
        if window.has_unsent and number == window.edge:
            self._exchange.note_logged_repeat(now)
            return None, events
        if number not in {None, window.next}:
            events += self._fail_all(
                "disconnected", "the log continues with another line number"
            )
            self._exchange.restart_numbering(number or 0)
        self._connected = True
        line = QueuedLine(text, next(self._tickets), report_errors=True)
        self._exchange.note_logged_line(line, now)
        return line.ticket, events

    def _fail_all(self, error: str, message: str) -> list[Event]:
        events = self._exchange.finish_output()
        waiting = self._queue.drain(error, message)
        for line in [*self._transmitter.window.unacknowledged(), *waiting]:
            events += line.fail(error, message)
        return events

    def _process_line(self, text: str, now: float) -> list[Event]:
        exchange = self._exchange
        found = parse_reply(text, self.dialect)
        found = line_output.mark_damaged(found, exchange.addressee)
        found = line_output.mark_unsolicited(found, exchange.addressee)
        rest = text
        if any(isinstance(reply, replies.Ok) for reply in found):
            rest = text[2:].strip()
        # What shares a line with an "ok" belongs to the line that it acknowledges.
        found.sort(key=lambda reply: isinstance(reply, replies.Ok))
        if self._connected:
            about_line = [
                reply
                for reply in found
                if not isinstance(reply, (*_ACKNOWLEDGEMENTS, replies.Started))
            ]
            if about_line:
                exchange.process_replies(about_line, rest, now)
            if hints_at_start(text):
                exchange.suspect_reset(now)
        return [event for reply in found for event in self._process_reply(reply, now)]

    def _process_reply(self, reply: Reply, now: float) -> list[Event]:
        if isinstance(reply, replies.Started):
            return self._process_boot(now)
        if not isinstance(reply, _ACKNOWLEDGEMENTS):
            if not self._connected:
                self._handshake.process_text(reply, now)
            return [reply]
        if self._connected:
            return self._process_acknowledgement(reply, now)
        if self._halted:  # it answers what was sent past everything
            return [reply] if isinstance(reply, replies.Ok) else []
        return self._process_in_handshake(reply, now)

    def _process_boot(self, now: float) -> list[Event]:
        if self._connected or self._halted:
            return self.restart()
        self._handshake.process_boot(now)
        return []

    def _process_in_handshake(self, reply: _Acknowledgement, now: float) -> list[Event]:
        match reply:
            case replies.Ok():
                events = self._handshake.process_ok(reply, now)
                self._connected = Connected() in events
                return events
            case replies.Resend(number):
                self._handshake.process_resend(number, now)
        return []

    def _process_acknowledgement(
        self, reply: _Acknowledgement, now: float
    ) -> list[Event]:
        exchange = self._exchange
        events: list[Event] = []
        match reply:
            case replies.Ok():
                events = exchange.process_ok(reply, now)
            case replies.Resend(number):
                self.counters.resends += 1
                events = exchange.process_resend(number, now)
            case replies.TransferError():
                exchange.process_transfer_error(reply)
            case _:
                exchange.process_wait(now)
        return self._acknowledged(events)

    def _acknowledged(self, events: list[Event]) -> list[Event]:
        """Return the events of an acknowledgement; it may show that of a reset."""
        return self.restart() if _RESTARTED in events else events
