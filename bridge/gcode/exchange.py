"""Lines and their acknowledgements, once both sides agree on a number.

One line is in flight at a time. ``ok`` finishes it; ``Resend: n`` finishes what came
before n and has n sent again. After a silence nobody can know whether the line or its
``ok`` was lost, so a numbered probe follows: the firmware either answers it or asks for
the lost line. Acknowledged lines are kept for a while, because an ``ok`` too many makes
a line look done that was not; an idle line is probed for the same reason.
"""

from collections.abc import Sequence

from bridge.gcode import line_output
from bridge.gcode.events import Event, LinkFailed, Restarted
from bridge.gcode.reply_types import Busy, Ok, Reply, TransferError
from bridge.gcode.resends import Resends, Verdict
from bridge.gcode.timeouts import (
    PROBE,
    QUIET,
    Wire,
    free_by,
    is_probe,
    probe,
    renewed,
    starts_print,
    still_prints,
)
from bridge.gcode.window import Line, Queue, finish, give_up

NO_ANSWER = "the printer does not answer any more"
BOOT = 5.0  # seconds after which a firmware that was reset takes lines again
IN_DOUBT = 2  # plain "ok"s to probes until nothing is in doubt; one clear answer does


class Exchange:
    """Sends line after line; tells what became of each."""

    def __init__(self, wire: Wire, confirm_after: float) -> None:
        self._wire = wire
        self._window = wire.window
        self._confirm_after = confirm_after
        self._resends = Resends()
        self._resend_oks = 0  # yet to come; they acknowledge nothing
        self._settling: Line | None = None  # has its "ok", but not its output
        self._urged = False  # an urgent line's own "ok" follows that of the line
        self._silences = 0
        self._prints = False  # from its card, whose lines it carries out before ours
        self._free_by = 0.0  # of the line that has its "ok"; the next one waits for it
        self._answered = True  # something was acknowledged since the last probe
        self._probe_due = False
        self._doubts = 0  # whether the last lines were taken

    @property
    def _counts(self) -> bool:
        """Whether the firmware drops lines that it has, and asks for missing ones."""
        dialect = self._wire.dialect
        return dialect.numbered and (dialect.checks_sequence or self._resends.counting)

    def data_to_send(self, queue: Queue, now: float) -> bytes:
        """Return the bytes of the next line, if it is its time."""
        window, dialect = self._window, self._wire.dialect
        if window.idle and (line := queue.pop()):
            window.push(line)
        if not self._probe_due and not window.cursor == window.edge < window.next:
            return b""
        self._probe_due = False
        data = self._wire.transmit(now, numbered=dialect.numbered)
        self._wire.answer_by = self._patience(now)
        return data

    def _patience(self, now: float) -> float:
        """Return until when to wait, with a line that has just been sent.

        A probe must not cut short the time of the line it waits behind, nor add to it
        where that time is not over.
        """
        dialect = self._wire.dialect
        if self._wire.answer_by is not None:
            return max(self._wire.answer_by, now + dialect.ok_timeout)
        lines = self._window.in_flight()
        times = (line.sent_at + dialect.timeout_for(line.text) for line in lines)
        return max(self._free_by, *times)

    @property
    def speaks_to(self) -> Line | None:
        """The line that the firmware says something to."""
        return self._settling or self._window.head

    def said(self, found: Sequence[Reply], text: str, now: float) -> None:
        """Take what one line of the firmware means; it may be output of a line."""
        wire, head = self._wire, self._window.head
        for reply in found:
            self._prints = still_prints(reply, was=self._prints)
        if line := self.speaks_to:
            line_output.collect(line, found, text)
        if self._settling:
            wire.hold_until = now + wire.dialect.output_wait
        if head and wire.answer_by is not None:
            for reply in found:
                patience = renewed(reply, head.text, wire.dialect)
                if patience is not None:
                    least = now if isinstance(reply, Busy) else wire.answer_by
                    wire.answer_by = max(least, now + patience)
                    self._silences = 0

    def waits(self, now: float) -> None:
        """React to an idle firmware: with a line in flight, something was lost."""
        wire = self._wire
        if not wire.dialect.wait_means_idle or wire.answer_by is None:
            return
        if self._answered:
            wire.answer_by = now
        else:  # a probe is on its way, and nothing is worked on that it must wait for
            soon = self._window.latest.sent_at + wire.dialect.ok_timeout
            wire.answer_by = min(wire.answer_by, soon)

    def urged(self, now: float) -> None:
        """Take note that urgent lines go out: their "ok"s acknowledge nothing."""
        self._wire.hold_until = now + QUIET
        self._urged = self._window.head is not None

    def ok(self, ok: Ok, now: float) -> list[Event]:
        """Take an ``ok``: of the oldest line in flight, unless it tells otherwise."""
        if self._resend_oks:
            self._resend_oks -= 1
            return [] if self._resend_oks else self.release()
        if self._resends.owed:
            return self._requested(None, now)  # the request itself was lost
        head = self._window.head
        if head is None:
            if self._wire.hold_until is not None and self._settling is None:
                self._wire.hold_until = now + QUIET
            return []
        through = self._answers(ok, head)
        return [] if through is None else self._acknowledge(through, ok, now)

    def complained(self, error: TransferError) -> None:
        """Take note that a line arrived damaged."""
        self._resends.complained(error)

    def resend(self, number: int, now: float) -> list[Event]:
        """React to the request for a line."""
        dialect = self._wire.dialect
        if dialect.resend_ok:
            self._resend_oks += 1
            self._wire.hold_until = now + dialect.resend_wait
        return self._requested(number, now)

    def silence(self, now: float) -> list[Event]:
        """Find out whether a line was lost, or its ``ok``."""
        window, wire = self._window, self._wire
        wire.answer_by = None
        self._silences += 1
        if self._silences > wire.dialect.max_probes:
            return self._give_up(now)
        if self._answered and all(is_probe(line) for line in window.in_flight()):
            window.acknowledge(window.edge - 1)
            self._doubt(now)
            return []
        if window.edge == window.next:
            window.push(probe())
        self._answered = False
        self._probe_due = True
        return []

    def _give_up(self, now: float) -> list[Event]:
        """Fail, unless a long line of a print may be what the firmware is silent for.

        To open the port again would end that print on most boards.
        """
        dialect = self._wire.dialect
        if (
            dialect.sends_busy
            or not self._prints
            or self._silences > dialect.max_probes + 1
        ):
            return [LinkFailed(NO_ANSWER)]
        self._wire.answer_by = now + dialect.long_timeout
        return []

    def suspect(self, now: float) -> None:
        """Find out whether the firmware was reset, also while it works on a line.

        One that was asks for its first line; one that works answers when it is done,
        and has all the time it had for that.
        """
        wire = self._wire
        asked = sum(is_probe(line) for line in self._window.in_flight())
        if wire.dialect.numbered and asked < wire.dialect.max_probes:
            soon = now + BOOT
            wire.confirm_at = min(soon, wire.confirm_at or soon)

    def confirm(self) -> None:
        """Ask whether the firmware got everything, or is still the same."""
        window, self._wire.confirm_at = self._window, None
        if window.edge == window.next:
            self._answered = False
            self._probe_due = not window.idle
            window.push(probe())

    def release(self) -> list[Event]:
        """Go on after a pause."""
        self._wire.hold_until = None
        self._resend_oks = 0
        return self._settle(None)

    def abandon(self) -> list[Event]:
        """Finish what has its ``ok``; the rest is lost."""
        return self._settle(None)

    def _settle(self, line: Line | None) -> list[Event]:
        """Finish the line whose output came last; wait for that of this one."""
        settled, self._settling = self._settling, line
        return finish(settled) if settled is not None else []

    def _answers(self, ok: Ok, head: Line) -> int | None:
        """Return up to which line an ``ok`` acknowledges; ``None``: it is stale."""
        if ok.number is not None and self._wire.dialect.numbered:
            is_ours = head.number <= ok.number < self._window.edge
            return ok.number if is_ours else None
        if ok.temperature:
            flying = self._window.in_flight()
            queries = (line for line in flying if line.text.startswith(PROBE))
            return next((line.number for line in queries), None)
        return head.number

    def _acknowledge(self, through: int, ok: Ok, now: float) -> list[Event]:
        wire = self._wire
        *skipped, last = self._window.acknowledge(through)
        self._silences = 0
        self._resends.answered()
        self._answered = True
        self._free_by = free_by(
            last.text,
            wire.dialect,
            sent_at=last.sent_at,
            before=self._free_by,
            now=now,
        )
        self._prints = self._prints or starts_print(last.text, wire.dialect)
        self._believe(last, ok, now)
        if last.transmissions == 1:
            wire.counters.record_round_trip(now - last.sent_at, now)
        events = self._settle(None)
        events += [event for line in skipped for event in self._skip(line)]
        head = self._window.head
        wire.answer_by = None
        if head:
            patience = wire.dialect.timeout_for(head.text)
            wire.answer_by = max(self._free_by, now + patience)
        if self._urged:
            self._urged = False
            wire.hold_until = now + QUIET
        if wire.dialect.ok_before_output and line_output.is_query(last.text):
            self._settle(last)
            wire.hold_until = now + wire.dialect.output_wait
            return events
        return [*events, *finish(last)]

    def _skip(self, line: Line) -> list[Event]:
        """Finish a line whose ``ok`` never came although a later one was answered."""
        if self._counts:
            return finish(line)  # numbers are taken in order: it was carried out
        message = f"the printer did not acknowledge {line.text!r}; it may have done it"
        return give_up(line, "timeout", message)

    def _believe(self, last: Line, ok: Ok, now: float) -> None:
        """Count what speaks for and against everything having been taken."""
        if ok.temperature:
            self._doubts = 0
        elif last.text.startswith(PROBE):
            self._doubts = max(0, self._doubts - 1)
        else:
            self._doubts = IN_DOUBT
        if self._doubts:
            self._doubt(now, self._doubts)

    def _doubt(self, now: float, doubts: int = IN_DOUBT) -> None:
        """Have an idle line confirmed, where a lost line could still be sent again."""
        self._doubts = doubts
        if self._wire.dialect.numbered and self._window.idle:
            self._wire.confirm_at = now + self._confirm_after

    def _requested(self, number: int | None, now: float) -> list[Event]:
        match self._resends.judge(number, self._window, counts=self._counts):
            case Verdict.RESET:
                return [Restarted()]
            case Verdict.IGNORE:
                if self._window.head:
                    self._wire.answer_by = now + QUIET
                return []
            case str(reason):
                return [LinkFailed(reason)]
            case first:
                return self._rewind(first, now)

    def _rewind(self, first: int, now: float) -> list[Event]:
        """Send all from this line on again; what came before it was taken."""
        self._silences = 0
        self._answered = True
        self._wire.answer_by = None
        done = self._window.acknowledge(first - 1)
        self._window.rewind(first)
        for line in self._window.unacknowledged():
            line.output.clear()
            line.errors.clear()
        self._doubt(now)
        return [event for line in done for event in finish(line)]
