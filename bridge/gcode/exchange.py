"""Lines and their acknowledgements, once both sides agree on a line number.

:mod:`bridge.gcode.exchange_states` explains how it works.
"""

from collections.abc import Sequence

from bridge.gcode import line_output
from bridge.gcode.events import Event, LinkFailed, Restarted
from bridge.gcode.exchange_states import TRANSITIONS, Change, ExchangeState, SendPause
from bridge.gcode.line import code_of, read
from bridge.gcode.reply_types import Busy, Ok, Reply, TransferError
from bridge.gcode.resends import (
    Continue,
    Decision,
    GiveUp,
    Ignore,
    ResendRequests,
)
from bridge.gcode.timeouts import (
    BOOT_TIME,
    SURPLUS_OK_TIME,
    WAIT_TIME,
    busy_until,
    extension,
    may_print_after_reply,
    starts_print,
)
from bridge.gcode.window import PROBE, Queue, QueuedLine, Transmitter

RECEIVE_BUFFER = 127
"""Bytes that may wait in the firmware's receive buffer. Marlin's ``RX_BUFFER_SIZE`` is
128 by default, one of which stays free, and with 60 lines in one write it overran
(tests/transcripts/marlin/m21-rxdrop-115200.txt). While a move waits for a place in the
planner, nothing moves from this buffer into the command buffer."""

_SENDS_UNSENT = frozenset({ExchangeState.READY, ExchangeState.PROBE_DUE})
"""States in which the next line already has a number, and so must be sent first."""

_OK = Ok()

NO_ANSWER = "the printer stopped answering"
"""The error of the waiting lines after ``dialect.max_probes`` unanswered probes."""

UNCERTAIN = 2
"""Plain ``ok``s to probes that show that the last line has arrived. The first may be a
surplus one; an answer that only a probe gets (``ok T:…``) is enough by itself."""


class Exchange:
    """Sends one line after the other, and reports the result of each."""

    def __init__(
        self,
        transmitter: Transmitter,
        confirm_after: float,
        lines_in_flight: int = 1,
    ) -> None:
        """Continue a conversation whose handshake is complete.

        Args:
            transmitter: shared with the handshake.
            confirm_after: seconds without a line until it is confirmed by a probe that
                the last lines arrived.
            lines_in_flight: how many moves may be in flight together, if the firmware
                is known to have room for them.

        """
        self.state = ExchangeState.IDLE
        self.pause = SendPause.NO_PAUSE
        self._transmitter = transmitter
        self._window = transmitter.window
        self._confirm_after = confirm_after
        self._lines_in_flight = lines_in_flight
        self._free = 0  # places in the firmware's buffer, as it said last
        self._room = 1  # commands that the firmware's buffer holds, as far as it said
        self._resends = ResendRequests()
        # Deadlines, in seconds; the three things that can become due.
        self._answer_deadline: float | None = None
        self._pause_deadline: float | None = None
        self._probe_at: float | None = None
        # What the states need to know besides the window.
        self._resend_oks = 0  # the oks of requests that are yet to come
        # The line that has its ok, but perhaps not its output.
        self._output_of: QueuedLine | None = None
        self._urgent_ok_due = False  # the ok of an urgent line follows the next ok
        self._timeouts = 0  # in a row
        self._waits_until = 0.0  # the firmware has said "wait" a moment ago
        self._codes: set[str] = set()  # the firmware has accepted a line with each
        self._uncertain = 0  # answers to probes until the last lines are certain
        self._busy_until = 0.0  # the acknowledged line is still being carried out
        self._may_print = False  # from the card, whose lines precede ours

    # Deadlines and states

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due, if ever."""
        if self._pause_deadline is None:  # called for each line
            if self._probe_at is None:
                return self._answer_deadline
            if self._answer_deadline is None:
                return self._probe_at
        times = (self._answer_deadline, self._pause_deadline, self._probe_at)
        return min(time for time in times if time is not None)

    def handle_timeout(self, now: float) -> list[Event]:
        """Act on the deadlines that have passed."""
        events: list[Event] = []
        if self._pause_deadline is not None and now >= self._pause_deadline:
            events += self.end_pause()
        if self._probe_at is not None and now >= self._probe_at:
            self._probe_for_confirmation()
        if self._answer_deadline is not None and now >= self._answer_deadline:
            self._transmitter.counters.timeouts += 1
            events += self._answer_timed_out(now)
        return events

    def _change(self, change: Change) -> None:
        self.state = TRANSITIONS[self.state][change]
        if self._window.head is None:
            self._answer_deadline = None
        if change is Change.SENT:
            self._probe_at = None  # its answer confirms as much as a probe's

    def _lines_acknowledged(self) -> None:
        """Change the state after the window has moved on, or back."""
        if self._window.idle:
            self._change(Change.ALL_ACKNOWLEDGED)
        elif self._window.head is None:
            self._change(Change.SOME_UNSENT)
        else:
            self._change(Change.ANSWERED)

    def _start_pause(self, pause: SendPause, now: float) -> None:
        dialect = self._transmitter.dialect
        seconds = {
            SendPause.OUTPUT: dialect.output_wait,
            SendPause.RESEND_OK: dialect.resend_wait,
            SendPause.SURPLUS_OK: SURPLUS_OK_TIME,
        }
        self.pause = pause
        self._pause_deadline = now + seconds[pause]

    def end_pause(self) -> list[Event]:
        """Send lines again; the output that was awaited is complete."""
        self.pause = SendPause.NO_PAUSE
        self._pause_deadline = None
        self._resend_oks = 0
        return self.finish_output()

    def finish_output(self) -> list[Event]:
        """Finish the line whose output was awaited, if there is one."""
        line, self._output_of = self._output_of, None
        return line.finish() if line is not None else []

    # Lines out

    def data_to_send(self, queue: Queue, now: float) -> bytes:
        """Return the bytes of the lines that may be sent now."""
        data = b""
        while self._prepare_line(queue, now):
            dialect = self._transmitter.dialect
            is_first = self.state is ExchangeState.IDLE
            data += self._transmitter.transmit(now, numbered=dialect.numbered)
            self._change(Change.SENT)
            if not is_first:
                self._answer_deadline = self._deadline_after_sending(now)
                continue
            timeout = self._window.latest.timeout
            self._answer_deadline = max(self._busy_until, now + timeout)
            if self._lines_in_flight == 1:
                break  # as most often
        return data

    def _prepare_line(self, queue: Queue, now: float) -> bool:
        """Have an unsent line in the window that may be sent now; return whether so."""
        if self.pause is not SendPause.NO_PAUSE:
            return False
        if self.state is ExchangeState.IDLE:
            line = queue.pop(now)
        elif self.state is ExchangeState.IN_FLIGHT and self._has_room():
            room = RECEIVE_BUFFER - self._window.buffered
            line = queue.pop(now, shareable=room)
        else:
            return self.state in _SENDS_UNSENT
        if line is None:
            return False
        self._window.push(line)
        return True

    def _has_room(self) -> bool:
        """Return whether one more move may be in flight besides the lines that are.

        Not while lines are sent again: what went wrong once may do so again, and each
        burst that is flushed costs a round trip.
        """
        window = self._window
        most = self._lines_in_flight
        if not self._transmitter.dialect.reliable:
            most = min(most, self._room)
        return (
            window.edge - window.cursor < most
            and not window.has_unsent
            and not self._resends.outstanding
            and window.only_moves
        )

    def _deadline_after_sending(self, now: float) -> float:
        """Return until when to wait for an answer, with a line that was just sent.

        A probe must neither shorten the time of the line before it, nor extend it
        where that time is not over.
        """
        dialect = self._transmitter.dialect
        if self._answer_deadline is not None:
            return max(self._answer_deadline, now + dialect.ok_timeout)
        lines = self._window.in_flight()
        return max(self._busy_until, *(line.sent_at + line.timeout for line in lines))

    def note_urgent_line(self, now: float) -> None:
        """Expect the ``ok`` of a line that was sent past the window."""
        waiting = self.pause is not SendPause.NO_PAUSE
        self._start_pause(self.pause if waiting else SendPause.SURPLUS_OK, now)
        self._urgent_ok_due = self._window.head is not None

    def note_logged_line(self, line: QueuedLine, now: float) -> None:
        """Count a line as sent that a log says was sent."""
        self._window.push(line)
        self.note_logged_repeat(now)

    def note_logged_repeat(self, now: float) -> None:
        """Count the oldest unsent line as sent: a log says that it was."""
        self._window.transmit(now)
        self._transmitter.counters.lines += 1
        self._change(Change.SENT)

    def restart_numbering(self, first_number: int) -> None:
        """Continue with this number, as a log does."""
        self._window.restart(first_number)
        self._lines_acknowledged()

    # Replies in

    @property
    def addressee(self) -> QueuedLine | None:
        """The line that the firmware's replies are about."""
        return self._output_of or self._window.head

    def process_replies(self, found: Sequence[Reply], text: str, now: float) -> None:
        """Process what one line of the firmware means beside acknowledgements.

        Args:
            found: the replies of that line.
            text: the line, as output of the line that is being carried out.
            now: the time in seconds.

        """
        for reply in found:
            self._may_print = may_print_after_reply(reply, before=self._may_print)
        if line := self.addressee:
            line_output.collect(line, found, text)
        if self._output_of is not None:
            self._start_pause(self.pause, now)
        self._extend_answer_deadline(found, now)

    def _extend_answer_deadline(self, found: Sequence[Reply], now: float) -> None:
        head, dialect = self._window.head, self._transmitter.dialect
        if head is None or self._answer_deadline is None:
            return
        for reply in found:
            seconds = extension(reply, head.text, dialect)
            if seconds is not None:
                # busy: names the time until the next one; other replies only add time.
                least = now if isinstance(reply, Busy) else self._answer_deadline
                self._answer_deadline = max(least, now + seconds)
                self._timeouts = 0

    def process_wait(self, now: float) -> None:
        """React to an idle firmware: with a line in flight, something was lost (Q-15).

        While a probe is on its way nothing is being worked on that it must wait for, so
        its answer is due at once.
        """
        dialect = self._transmitter.dialect
        self._waits_until = now + WAIT_TIME
        if not dialect.wait_means_idle or self._answer_deadline is None:
            return
        if self.state in {ExchangeState.PROBE_DUE, ExchangeState.PROBING}:
            soon = self._window.latest.sent_at + dialect.ok_timeout
            self._answer_deadline = min(self._answer_deadline, soon)
        else:
            self._answer_deadline = now

    def process_plain_ok(self, now: float) -> list[Event]:
        """Process an ``ok`` that says nothing else, as the answer to most lines.

        Where it can only be that of the one move in flight, this does no more than
        :meth:`process_ok` would in the end; a print has hundreds of them a second.
        """
        line = self._window.only_line
        if line is None or self._room > 1 or not self._is_plainly_due(line):
            return self.process_ok(_OK, now)
        return self._acknowledge_head(line, now)

    def process_numbered_ok(self, ok: Ok, now: float) -> list[Event]:
        """Process an ``ok`` that names its line and says nothing else but the room.

        Where it is that of the oldest line in flight, this likewise does no more than
        :meth:`process_ok`.
        """
        line = self._window.head
        if (
            line is None
            or ok.room is None
            or line.number != ok.number
            or not self._is_plainly_due(line)
            or not self._transmitter.dialect.numbered
        ):
            return self.process_ok(ok, now)
        self._note_room(ok.room)
        return self._acknowledge_head(line, now)

    def _is_plainly_due(self, line: QueuedLine) -> bool:
        """Return whether nothing but the ``ok`` of a move in flight is awaited."""
        return (
            line.plain
            and self.state is ExchangeState.IN_FLIGHT
            and self.pause is SendPause.NO_PAUSE
            and not self._resends.outstanding
            and not self._urgent_ok_due
        )

    def _acknowledge_head(self, line: QueuedLine, now: float) -> list[Event]:
        """Finish the oldest line in flight, a move."""
        self._window.acknowledge_head()
        self._lines_acknowledged()
        self._timeouts = 0
        self._resends.note_acknowledgement()
        if line.transmissions == 1:
            self._transmitter.counters.record_round_trip(now - line.sent_at, now)
        self._busy_until = now
        self._doubt(UNCERTAIN, now)
        if head := self._window.head:
            self._answer_deadline = now + head.timeout
        return line.finish()

    def process_ok(self, ok: Ok, now: float) -> list[Event]:
        """Process an ``ok``: of the oldest line in flight, unless it says otherwise."""
        if ok.room is not None:
            self._note_room(ok.room)
        if self.pause is SendPause.RESEND_OK:
            if self._room > 1 and ok.number is not None:
                return []  # of a line before it, which the request has acknowledged
            self._resend_oks -= 1
            return [] if self._resend_oks else self.end_pause()
        if self._resends.outstanding:
            return self._resend(None, now)  # the request was lost; this is its ok
        if self._window.head is None:
            if self.pause is SendPause.SURPLUS_OK:
                self._start_pause(SendPause.SURPLUS_OK, now)
            return []
        through = self._acknowledged_number(ok, self._window.head)
        return [] if through is None else self._acknowledge(through, ok, now)

    def process_transfer_error(self, error: TransferError) -> None:
        """Process the complaint about a damaged line; a request should follow."""
        self._resends.note_complaint(error)

    def process_resend(self, number: int, now: float) -> list[Event]:
        """Process the request to send a line again."""
        if self._transmitter.dialect.resend_ok:
            self._resend_oks += 1
            self._start_pause(SendPause.RESEND_OK, now)
        return self._resend(number, now)

    def suspect_reset(self, now: float) -> None:
        """Find out whether the firmware was reset, also while it works on a line.

        One that was reset asks for its first line. One that works answers when it is
        done, and has all the time for it that it had before.
        """
        asked = sum(line.is_probe for line in self._window.in_flight())
        dialect = self._transmitter.dialect
        if dialect.numbered and asked < dialect.max_probes:
            soon = now + BOOT_TIME
            self._probe_at = min(soon, self._probe_at or soon)

    # Acknowledgements

    @property
    def _checks_sequence(self) -> bool:
        """Whether the firmware drops lines that it has, and asks for missing ones.

        One that is known not to does not, although it says ``Last Line: n``.
        """
        dialect = self._transmitter.dialect
        checks = dialect.checks_sequence
        if checks is None:
            checks = self._resends.reports_last_line
        return dialect.numbered and checks

    def _acknowledged_number(self, ok: Ok, head: QueuedLine) -> int | None:
        """Return up to which line an ``ok`` acknowledges; ``None``: no line at all."""
        if ok.number is not None and self._transmitter.dialect.numbered:
            is_ours = head.number <= ok.number < self._window.edge
            return ok.number if is_ours else None
        if ok.temperature:
            for line in self._window.in_flight():
                if line.text.startswith(PROBE):
                    return line.number
            return None
        if self._room > 1 and head.shareable and self._transmitter.dialect.numbered:
            return None  # that of a move has its number; this is of a request, or late
        return head.number

    def _note_room(self, free: int) -> None:
        """Remember how many commands the firmware's buffer holds.

        The command that is acknowledged has just left its place, or is about to, and
        the buffer was empty at some time: so the most that were ever free are all.
        """
        again, self._free = free == self._free, free  # once, it may be damaged
        if again and self._transmitter.dialect.numbers_oks and self._checks_sequence:
            self._room = max(self._room, min(free + 1, self._lines_in_flight))

    def _acknowledge(self, through: int, ok: Ok, now: float) -> list[Event]:
        *skipped, last = self._window.acknowledge(through)
        self._lines_acknowledged()
        self._timeouts = 0
        self._resends.note_acknowledgement()
        if last.transmissions == 1:
            counters = self._transmitter.counters
            counters.record_round_trip(now - last.sent_at, now)
        self._note_effect(last, now)
        self._update_certainty(last, ok, now)
        if head := self._window.head:
            self._answer_deadline = max(self._busy_until, now + head.timeout)
        events = self.finish_output()
        for line in skipped:
            events += self._skip(line)
        return events + self._finish_or_await_output(last, now)

    def _note_effect(self, last: QueuedLine, now: float) -> None:
        """Remember what the acknowledged line makes the firmware do from now on."""
        dialect = self._transmitter.dialect
        if last.timeout <= dialect.ok_timeout:
            self._busy_until = now
        else:
            self._busy_until = busy_until(
                last.text,
                dialect,
                sent_at=last.sent_at,
                before=self._busy_until,
                now=now,
            )
        if not last.shareable and starts_print(last.text, dialect):
            self._may_print = True

    def _finish_or_await_output(self, last: QueuedLine, now: float) -> list[Event]:
        if self._urgent_ok_due:
            self._urgent_ok_due = False
            self._start_pause(SendPause.SURPLUS_OK, now)
        dialect = self._transmitter.dialect
        if dialect.ok_before_output and self._may_answer_late(last.text):
            self._output_of = last
            self._start_pause(SendPause.OUTPUT, now)
            return []
        if self.pause is SendPause.OUTPUT:
            return last.finish() + self.end_pause()
        return last.finish()

    def _may_answer_late(self, text: str) -> bool:
        """Return whether output, or a refusal, may follow the ``ok`` of a line."""
        if line_output.is_query(text):
            return True
        code, dialect = code_of(text), self._transmitter.dialect
        if not dialect.refuses_late or code in self._codes:
            return False
        if read(text, dialect.name).is_known:
            return False
        self._codes.add(code)
        return True

    def _skip(self, line: QueuedLine) -> list[Event]:
        """End a line whose ``ok`` never came, although a later one was answered."""
        if self._checks_sequence:
            return line.finish()  # lines are accepted in order: it was carried out
        message = f'the printer did not acknowledge "{line.text}"'
        return line.fail("timeout", f"{message}; it may have been carried out")

    # Lost lines and lost answers

    def _answer_timed_out(self, now: float) -> list[Event]:
        """Find out whether a line was lost, or its ``ok``."""
        window, dialect = self._window, self._transmitter.dialect
        self._timeouts += 1
        if self._timeouts > dialect.max_probes:
            return self._give_up(now)
        if self.state not in {ExchangeState.PROBE_DUE, ExchangeState.PROBING} and all(
            line.is_probe for line in window.in_flight()
        ):
            # The firmware answers again, and nobody waits for what these would say.
            window.acknowledge(window.edge - 1)
            self._lines_acknowledged()
            self._doubt(UNCERTAIN, now)
            return []
        self._answer_deadline = None
        self._queue_probe()
        return []

    def _queue_probe(self) -> None:
        """Have a line sent behind those in flight; one to be repeated will do."""
        if not self._window.has_unsent:
            self._window.push(QueuedLine(PROBE))
        self._change(Change.PROBE_QUEUED)

    def _give_up(self, now: float) -> list[Event]:
        """Fail, unless the silence may be that of a long line of a print.

        To open the port again would end that print: most boards are reset by it.
        """
        dialect = self._transmitter.dialect
        head = self._window.head
        is_long = (
            head is not None and dialect.timeout_for(head.text) > dialect.ok_timeout
        )
        if is_long and now < self._waits_until:  # it is alive, and heats or homes
            self._timeouts -= 1
            self._answer_deadline = now + dialect.ok_timeout
            return []
        patient = self._may_print and not dialect.sends_busy
        if not patient or self._timeouts > dialect.max_probes + 1:
            self._answer_deadline = None
            return [LinkFailed(NO_ANSWER)]
        self._answer_deadline = now + dialect.long_timeout
        return []

    def _update_certainty(self, last: QueuedLine, ok: Ok, now: float) -> None:
        """Weigh what the acknowledgement of a line says about those before it."""
        if ok.temperature:
            self._uncertain = 0
        elif last.text.startswith(PROBE):
            self._uncertain = max(0, self._uncertain - 1)
        else:
            self._uncertain = UNCERTAIN
        if self._uncertain:
            self._doubt(self._uncertain, now)

    def _doubt(self, answers: int, now: float) -> None:
        """Have an idle line confirmed, where a lost line could still be sent again."""
        self._uncertain = answers
        if self.state is ExchangeState.IDLE and self._transmitter.dialect.numbered:
            self._probe_at = now + self._confirm_after

    def _probe_for_confirmation(self) -> None:
        """Ask whether the firmware has received everything and was not reset."""
        self._probe_at = None
        if not self._window.has_unsent:
            self._queue_probe()

    def _resend(self, number: int | None, now: float) -> list[Event]:
        decision: Decision = self._resends.decide(
            number, self._window, checks_sequence=self._checks_sequence
        )
        match decision:
            case Continue(first):
                return self._continue_from(first, now)
            case GiveUp(reason):
                return [LinkFailed(reason)]
            case Ignore():
                if self._window.head is not None:
                    self._answer_deadline = now + SURPLUS_OK_TIME
                return []
            case _:
                return [Restarted()]

    def _continue_from(self, first: int, now: float) -> list[Event]:
        """Send all from this line on again; what precedes it was received."""
        self._timeouts = 0
        done = self._window.acknowledge(first - 1)
        self._window.rewind(first)
        self._lines_acknowledged()
        for line in self._window.unacknowledged():
            line.output.clear()
            line.errors.clear()
        self._doubt(UNCERTAIN, now)
        return [event for line in done for event in line.finish()]
