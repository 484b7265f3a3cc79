"""The host side of the G-code conversation: no I/O, no clock, no tasks.

Give it bytes and the time, take events and bytes:

    events = protocol.receive_data(data, now)
    transport.write(protocol.data_to_send(now))
    loop.call_at(protocol.next_timeout(), ...)  # then protocol.handle_timeout(now)

What it promises:

* Each line ends in one :class:`Done` or :class:`Failed`.
* A line is carried out at most once, and lines in the order in which they were sent.
  What failed, or was cut off by a reset, is never sent again.
* On a firmware that counts its lines, what is done was carried out, whatever the link
  loses, damages or repeats; ``docs/adr`` says which faults no host can notice, and when
  the last line is in doubt.

It begins with a :class:`~bridge.gcode.handshake.Handshake`, goes on with an
:class:`~bridge.gcode.exchange.Exchange`, and after a reset of the firmware starts over.
A conversation counts from a number of its own, never from 1: a firmware that asks for
line 1 has been reset, and nothing may be sent to it again.
"""

from itertools import count

from bridge.gcode import framing, line_output
from bridge.gcode import reply_types as replies
from bridge.gcode.counters import Counters
from bridge.gcode.dialects import Dialect
from bridge.gcode.events import Connected, Event, Restarted
from bridge.gcode.exchange import Exchange
from bridge.gcode.framing import LineReceiver
from bridge.gcode.handshake import Handshake
from bridge.gcode.reply_parser import hints_at_start, parse_reply
from bridge.gcode.reply_types import Reply
from bridge.gcode.timeouts import RENUMBER, Wire
from bridge.gcode.window import Line, Queue, Window, give_up

__all__ = ["RENUMBER", "Protocol"]

_LONGEST_NUMBER = 10**8

_OfTheLink = replies.Ok | replies.Resend | replies.TransferError | replies.Wait
_OF_THE_LINK = (replies.Ok, replies.Resend, replies.TransferError, replies.Wait)
_NO_OUTPUT = (*_OF_THE_LINK, replies.Started)


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
        """Prepare a conversation; times are in seconds.

        Args:
            dialect: how the firmware speaks, as far as that is known.
            first_number: of the first line; above all numbers of earlier conversations.
            connect_timeout: how long the firmware may leave the greeting unanswered.
            confirm_after: how long the line is idle until it is made sure that
                everything arrived.
            counters: are counted on.

        """
        self._wire = Wire(dialect, Window(first_number), counters or Counters())
        self._connect_timeout = connect_timeout
        self._confirm_after = confirm_after
        self._receiver = LineReceiver()
        self._queue = Queue()
        self._tickets = count(1)
        self._urgent = b""
        self._halted = False
        self._begin()

    def _begin(self) -> None:
        self._wire.calm()
        self._connected = False
        self._handshake = Handshake(self._wire, self._connect_timeout)
        self._exchange = Exchange(self._wire, self._confirm_after)

    @property
    def dialect(self) -> Dialect:
        """How the firmware speaks; set it when the firmware has said what it is."""
        return self._wire.dialect

    @dialect.setter
    def dialect(self, dialect: Dialect) -> None:
        self._wire.dialect = dialect

    @property
    def counters(self) -> Counters:
        """What went over the line."""
        return self._wire.counters

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
        return self._wire.window.next

    def send(
        self, text: str, *, ahead: bool = False, report_errors: bool = True
    ) -> int:
        """Queue a line; its ticket comes back in :class:`Done` or :class:`Failed`.

        ``ahead``: before all lines that wait, for queries that keep the state fresh.
        ``report_errors``: its sender reports what the firmware objects to in it.

        Raises:
            ValueError: The line cannot be sent at all; see :func:`framing.encode`.

        """
        framing.encode(text, _LONGEST_NUMBER)  # refuse now, not when its turn comes
        ticket = next(self._tickets)
        self._queue.push(Line(text, ticket, report_errors), ahead=ahead)
        return ticket

    def withdraw(self, ticket: int) -> bool:
        """Forget a line, unless it was sent: then its ticket comes back as always."""
        return self._queue.withdraw(ticket)

    def send_now(self, text: str) -> None:
        """Send a line at once: bare, past the queue, not waiting for its ``ok``.

        Raises:
            ValueError: The line cannot be sent at all.

        """
        self._urgent += framing.encode(text)

    def urgent_data(self, now: float) -> bytes:
        """Return, and forget, the bytes that go past all that is not yet written."""
        data, self._urgent = self._urgent, b""
        if data and self._connected:
            self._exchange.urged(now)
        return data

    def data_to_send(self, now: float) -> bytes:
        """Return, and forget, the bytes to send to the firmware."""
        if self._halted or self._wire.hold_until is not None:
            return b""
        if not self._connected:
            return self._handshake.data_to_send(now)
        return self._exchange.data_to_send(self._queue, now)

    def next_timeout(self) -> float | None:
        """Return when to call :meth:`handle_timeout`, if ever."""
        return self._wire.next_timeout()

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the firmware; return what they mean."""
        return [
            event
            for text in self._receiver.feed(data)
            for event in self._hear(text, now)
        ]

    def handle_timeout(self, now: float) -> list[Event]:
        """Act on time that passed."""
        wire = self._wire
        phase = self._exchange if self._connected else self._handshake
        events: list[Event] = []
        if wire.hold_until is not None and now >= wire.hold_until:
            events += phase.release()
        if wire.confirm_at is not None and now >= wire.confirm_at:
            self._exchange.confirm()
        if wire.answer_by is not None and now >= wire.answer_by:
            self.counters.timeouts += 1
            events += phase.silence(now)
        return events

    def halt(self, error: str, message: str) -> list[Event]:
        """Give up all that waits; send nothing but urgent lines until a reset."""
        events = self._abandon(error, message)
        self._wire.renumber()
        self._begin()
        self._halted = True
        return events

    def restart(self, message: str = "the printer was reset") -> list[Event]:
        """Begin anew with a firmware that was reset: nothing is sent again."""
        events = self._abandon("disconnected", message)
        self.counters.restarts += 1
        self._wire.renumber()
        self._begin()
        self._halted = False
        return [*events, Restarted()]

    def replay_sent(
        self, number: int | None, text: str, now: float
    ) -> tuple[int | None, list[Event]]:
        """Take a line for ours that a log says was sent.

        What a log says next can then be taken as :meth:`receive_data` does.

        Returns:
            Its ticket, and what it ends. There is no ticket where it repeats a line, or
            goes past them.

        """
        window = self._wire.window
        if number is None and self._connected and self.dialect.numbered:
            return None, []
        events = self._exchange.release()
        if number == window.edge < window.next:
            self._wire.launch(now)
            return None, events
        if number not in {None, window.next}:
            events += self._abandon("disconnected", "the log goes on elsewhere")
            window.restart(number or 0)
        self._connected = True
        line = Line(text, next(self._tickets), report_errors=True)
        window.push(line)
        self._wire.launch(now)
        return line.ticket, events

    def _abandon(self, error: str, message: str) -> list[Event]:
        events = self._exchange.abandon()
        for line in [*self._wire.window.unacknowledged(), *self._queue.drain()]:
            events += give_up(line, error, message)
        return events

    def _hear(self, text: str, now: float) -> list[Event]:
        found = parse_reply(text, self.dialect)
        found = line_output.marked(found, self._exchange.speaks_to)
        rest = text
        if any(isinstance(reply, replies.Ok) for reply in found):
            rest = text[2:].strip()
        # What shares a line with an "ok" comes before it.
        found.sort(key=lambda reply: isinstance(reply, replies.Ok))
        told = [reply for reply in found if not isinstance(reply, _NO_OUTPUT)]
        if told and self._connected:
            self._exchange.said(told, rest, now)
        if self._connected and hints_at_start(text):
            self._exchange.suspect(now)
        return [event for reply in found for event in self._take(reply, now)]

    def _take(self, reply: Reply, now: float) -> list[Event]:
        if isinstance(reply, replies.Started):
            return self._started(now)
        if not isinstance(reply, _OF_THE_LINK):
            return [reply]
        if self._connected:
            return self._take_connected(reply, now)
        return [] if self._halted else self._take_greeted(reply, now)

    def _take_greeted(self, reply: _OfTheLink, now: float) -> list[Event]:
        match reply:
            case replies.Ok():
                events = self._handshake.ok(reply, now)
                self._connected = Connected() in events
                return events
            case replies.Resend(number):
                self._handshake.resend(number, now)
        return []

    def _take_connected(self, reply: _OfTheLink, now: float) -> list[Event]:
        exchange, events = self._exchange, list[Event]()
        match reply:
            case replies.Ok():
                events = exchange.ok(reply, now)
            case replies.Resend(number):
                self.counters.resends += 1
                events = exchange.resend(number, now)
            case replies.TransferError():
                exchange.complained(reply)
            case _:
                exchange.waits(now)
        return self.restart() if Restarted() in events else events

    def _started(self, now: float) -> list[Event]:
        if self._connected or self._halted:
            return self.restart()
        self._handshake.started(now)
        return []
