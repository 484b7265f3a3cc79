"""The start of a conversation: until both sides agree on a line number.

The first lines after an open or a reset are often lost, and so is the first ``ok``;
answers to what was said before may still arrive (Q-16). So ``M110``, which sets the
line number, is repeated until it is answered, and the conversation begins only when a
probe after it is answered as well::

     NEW ──► GREETING ──ok──► SETTLING ──pause over──► PROBING ──clear ok──► connected
                ▲                 │                     │   ▲ │
                └── boot ─────────┘                     │   └─┘ plain ok: one more
                └── boot, request for a line, silence ──┘

A probe's answer is clear if only that probe can have got it: with its line number, or
with temperatures.

A firmware that is at work when the link opens answers nothing until that is done: a
filament change takes as long as the person needs, ``G29`` and ``M109`` take minutes.
While it says ``busy:`` or that it waits for a heater, the greeting has arrived, and is
waited for. Reports that come by themselves (``M155``) show only that it is the right
baud rate; the link is then given up later, because opening it again resets most boards.
"""

import re
from enum import Enum, auto

from bridge.gcode.events import Connected, Event, LinkFailed
from bridge.gcode.reply_types import (
    Busy,
    ForeignFirmware,
    Ok,
    PrintProgress,
    Refusal,
    Reply,
    TemperatureReport,
)
from bridge.gcode.timeouts import SURPLUS_OK_TIME
from bridge.gcode.window import PROBE, QueuedLine, Transmitter

INTERVAL = 2.0
"""Seconds between two greetings. A board that boots misses those of its first seconds,
so a shorter interval would only add surplus ``ok``s."""

MAX_IGNORED = 2
"""Greetings without effect after which the firmware's own numbering is used. Some
firmwares accept ``M110 N…`` only in an unnumbered line, or not at all
(https://github.com/kliment/Printrun/issues/1421), and keep asking for line 1 after a
boot."""

NO_ANSWER = "the printer does not answer; wrong baud rate?"
"""At a wrong baud rate, nothing or only noise is received."""

NOT_HEARD = "the printer reports its state, but does not answer"
"""The baud rate is right in this case: either the wire to the printer is broken, or the
printer is waiting for something."""

SLOWLY = 5
"""Unanswered greetings after which a firmware that sends reports is greeted less often.
What it does not read would fill its receive buffer, and the rest would arrive damaged.
"""

SILENT = 2
"""Unanswered greetings after which a probe is sent as well: some firmwares execute
``M110`` without acknowledging it."""

_ERROR_CODE = re.compile(r"\d{1,3}", re.ASCII)
"""What grbl answers to each of our lines, after ``error:``
(https://github.com/gnea/grbl/wiki/Grbl-v1.1-Interface)."""


class HandshakeState(Enum):
    """How far the handshake has come."""

    NEW = auto()
    """Nothing was sent yet."""
    GREETING = auto()
    """``M110`` is about to be sent, or on its way."""
    SETTLING = auto()
    """``M110`` was answered; surplus answers to its repetitions may follow."""
    PROBING = auto()
    """A probe is about to be sent, or on its way."""


class Handshake:
    """Greets the firmware until it answers, or until ``timeout`` seconds are over."""

    def __init__(self, transmitter: Transmitter, timeout: float) -> None:
        """Prepare the handshake; its time begins with the first greeting.

        Args:
            transmitter: shared with the exchange that follows.
            timeout: seconds until the link is given up; they begin again with the first
                boot, which shows that there is a firmware.

        """
        self.state = HandshakeState.NEW
        self._transmitter = transmitter
        self._timeout = timeout
        self._end = 0.0  # when the link is given up, in seconds
        self._answer_deadline: float | None = None
        self._pause_deadline: float | None = None
        self._booted = False
        self._surplus_oks = 1  # that a plain ok may be: one per greeting, and one late
        self._first_probe = 0  # the number of the first line that may be sent again
        self._silent = 0  # greetings in a row without any answer
        self._obeys_in_silence = True  # as far as is known: no greeting had an ok
        self._silent_probes = 0  # that were sent behind unanswered greetings
        self._wanted: dict[int, int] = {}  # lines asked for instead of the greeting
        self._foreign = ""  # another kind of firmware that has greeted us
        self._error_codes = 0
        self._ignored = 0  # greetings after which the firmware still asked for line 1
        self._begun = 0.0  # when the first greeting was sent, in seconds
        self._reports = False  # by itself, without an answer to a greeting

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due, if ever."""
        times = (self._answer_deadline, self._pause_deadline)
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self, now: float) -> list[Event]:
        """Act on the deadlines that have passed."""
        if self._pause_deadline is not None and now >= self._pause_deadline:
            self._end_pause()
        if self._answer_deadline is not None and now >= self._answer_deadline:
            self._transmitter.counters.timeouts += 1
            return self._answer_timed_out(now)
        return []

    def data_to_send(self, now: float) -> bytes:
        """Return the bytes to send, if there are any to send now."""
        window = self._transmitter.window
        if self.state is HandshakeState.NEW:
            self._begun, self._end = now, now + self._timeout
            self._greet()
        if self._pause_deadline is not None or not window.has_unsent:
            return b""
        data = self._transmitter.transmit(now, numbered=True)
        if not window.latest.is_probe:
            self._surplus_oks += 1
        slow = self._reports and self._silent >= SLOWLY
        interval = self._transmitter.dialect.ok_timeout if slow else INTERVAL
        self._answer_deadline = min(now + interval, max(now, self._end))
        return data

    def process_boot(self, now: float) -> None:
        """React to a boot: whatever was sent before it was lost."""
        if self.state is HandshakeState.NEW:
            return
        self._silent_probes = 0  # lost, as all that was sent before
        if not self._booted:
            self._booted = True
            self._end = now + self._timeout
        self._greet_again()

    def process_resend(self, number: int, now: float) -> None:
        """React to a request for a line, without flooding the firmware."""
        head = self._transmitter.window.head
        if head is None or now >= self._end:
            return
        self._silent = 0
        if head.is_probe and number <= 1:
            self._ignored += 1
        if not head.is_probe and self._insists(number):
            self._transmitter.renumber(number)
            self._greet()
        else:
            self._greet_again()
        self._pause_deadline = now + SURPLUS_OK_TIME  # for the ok of the request

    def _insists(self, number: int) -> bool:
        """Return whether a firmware wants its own next line and ignores ``M110``.

        After a boot that is line 1; the greeting has that number then, and is forgotten
        with the handshake, so that a later request for line 1 still means a reset.
        """
        if number < 1:
            return False
        self._wanted[number] = self._wanted.get(number, 0) + 1
        return self._wanted[number] >= MAX_IGNORED

    def note_urgent_line(self) -> None:
        """Expect a surplus ``ok``: that of a line which was sent past the greeting."""
        self._surplus_oks += 1

    def process_text(self, reply: Reply, now: float) -> None:
        """Notice a firmware that is at work, and one of another kind.

        That is known by its greeting, or by its error codes.
        """
        if self.state is not HandshakeState.NEW:
            self._note_sign_of_life(reply, now)
        is_code = isinstance(reply, Refusal) and _ERROR_CODE.fullmatch(reply.text)
        self._error_codes += bool(is_code)
        if self._error_codes >= MAX_IGNORED:
            self._foreign = self._foreign or "grbl"
        if isinstance(reply, ForeignFirmware):
            self._foreign = reply.name

    def _note_sign_of_life(self, reply: Reply, now: float) -> None:
        """Extend the timeout while a firmware is busy, or sends reports."""
        dialect = self._transmitter.dialect
        heats = isinstance(reply, TemperatureReport) and reply.waiting
        if heats or isinstance(reply, Busy):
            self._end = max(self._end, now + max(self._timeout, dialect.ok_timeout))
            if self._answer_deadline is not None:
                soonest = now + dialect.ok_timeout
                self._answer_deadline = max(self._answer_deadline, soonest)
        elif isinstance(reply, TemperatureReport | PrintProgress):
            self._reports = True
            latest = self._begun + max(self._timeout, dialect.long_timeout)
            self._end = max(self._end, min(now + self._timeout, latest))

    def process_ok(self, ok: Ok, now: float) -> list[Event]:
        """Process an ``ok``, of a greeting, a probe or something earlier."""
        transmitter = self._transmitter
        window, dialect = transmitter.window, transmitter.dialect
        head = window.head
        if head is None:
            if self._pause_deadline is not None:
                self._pause_deadline = now + SURPLUS_OK_TIME
            return []
        if dialect.numbered and ok.number not in {None, head.number}:
            return []  # of a line before all this
        window.acknowledge(head.number)
        self._answer_deadline = None
        if not head.is_probe:
            self._obeys_in_silence = False
            self.state = HandshakeState.SETTLING
            self._first_probe = head.number + 1
            self._pause_deadline = now + SURPLUS_OK_TIME
            return []
        own = ok.temperature and self._silent_probes <= 1  # not an earlier probe's
        clear = own or ok.number == head.number
        if clear or not dialect.numbered:
            self._surplus_oks = 0
        else:
            self._surplus_oks -= 1
        if self._surplus_oks > 0:
            window.push(QueuedLine(PROBE))
            return []
        # The greeting must never be sent again among other lines, and a firmware that
        # asks for line 1 although that was answered has been reset.
        window.forget(before=max(self._first_probe, 2))
        return [Connected()]

    def _answer_timed_out(self, now: float) -> list[Event]:
        self._answer_deadline = None
        if self._foreign:
            return [
                LinkFailed(
                    f"this is {self._foreign}, which gcode2mqtt does not support"
                )
            ]
        if now >= self._end:
            return [LinkFailed(NOT_HEARD if self._reports else NO_ANSWER)]
        self._silent += 1
        if self._probes_unanswered_greeting():
            self._silent_probes += 1
            head = self._transmitter.window.latest
            self._transmitter.window.acknowledge(head.number)
            self._first_probe = head.number + 1
            self.state = HandshakeState.PROBING
            self._transmitter.window.push(QueuedLine(PROBE))
        else:
            self._greet_again()
        return []

    def _probes_unanswered_greeting(self) -> bool:
        """Return whether to send a probe behind a greeting that was not answered.

        Not where the firmware has answered one: then this answer is only late, and so
        may be that of an earlier probe, which would be taken for this one's.
        """
        head = self._transmitter.window.head
        if head is None or head.is_probe or not self._obeys_in_silence:
            return False
        return self._silent % (SILENT + 1) == 0

    def _end_pause(self) -> None:
        self._pause_deadline = None
        if self.state is HandshakeState.SETTLING:
            self.state = HandshakeState.PROBING
            self._transmitter.window.push(QueuedLine(PROBE))

    def _greet_again(self) -> None:
        """Repeat the greeting; a firmware that knows a probe's number would drop it."""
        transmitter, head = self._transmitter, self._transmitter.window.head
        self._answer_deadline = self._pause_deadline = None
        if head is None or head.is_probe:
            transmitter.renumber(0 if self._ignored >= MAX_IGNORED else None)
            self._greet()
        else:
            transmitter.window.rewind(head.number)

    def _greet(self) -> None:
        self.state = HandshakeState.GREETING
        window = self._transmitter.window
        window.push(QueuedLine(f"M110 N{window.next}"))
