"""The beginning of a conversation: until both sides agree on a number.

The first lines after an open or a reset are often eaten, as is the first ``ok``, and
what was said before may still arrive. So ``M110`` is repeated until it is answered, and
its ``ok`` counts only when a probe is answered as well.
"""

from bridge.gcode.events import Connected, Event, LinkFailed
from bridge.gcode.reply_types import Ok
from bridge.gcode.timeouts import QUIET, Wire, is_probe, probe
from bridge.gcode.window import Line

INTERVAL = 2.0  # seconds between two greetings
MAX_UNHEEDED = 2  # then it counts from its own start, whatever it is told
NO_ANSWER = "the printer does not answer; wrong baud rate?"


class Handshake:
    """Says hello until somebody answers, for at most ``timeout`` seconds."""

    def __init__(self, wire: Wire, timeout: float) -> None:
        self._wire = wire
        self._timeout = timeout
        self._until = 0.0
        self._begun = False
        self._booted = False
        self._doubts = 1  # each plain "ok" to a probe removes one, a clear answer all
        self._first_probe = 0
        self._unheeded = 0  # greetings after which the firmware still asked for line 1

    def data_to_send(self, now: float) -> bytes:
        """Return the bytes to send, if it is time to send any."""
        wire, window = self._wire, self._wire.window
        if not self._begun:
            self._begun = True
            self._until = now + self._timeout
            window.push(_hello(window.next))
        if window.edge == window.next:
            return b""
        data = wire.transmit(now, numbered=True)
        self._doubts += not is_probe(window.latest)  # its "ok" may come late
        wire.answer_by = min(now + INTERVAL, max(now, self._until))
        return data

    def started(self, now: float) -> None:
        """React to a boot: whatever was sent before went unheard.

        The first one shows that somebody is there, and gives the time for the rest.
        """
        if self._begun:
            if not self._booted:
                self._booted = True
                self._until = now + self._timeout
            self._again()

    def resend(self, number: int, now: float) -> None:
        """React to a request for a line; it must not lead to a flood of greetings."""
        head = self._wire.window.head
        if head is not None and now < self._until:
            self._unheeded += is_probe(head) and number <= 1
            self._again()
            self._wire.hold_until = now + QUIET  # for the "ok" of the request

    def silence(self, now: float) -> list[Event]:
        """React to a greeting that nobody answered."""
        self._wire.answer_by = None
        if now >= self._until:
            return [LinkFailed(NO_ANSWER)]
        self._again()
        return []

    def ok(self, ok: Ok, now: float) -> list[Event]:
        """React to an ``ok``."""
        wire, head = self._wire, self._wire.window.head
        if head is None:
            if wire.hold_until is not None:
                wire.hold_until = now + QUIET
            return []
        if ok.number not in {None, head.number} and wire.dialect.numbered:
            return []  # of a line before all this
        wire.window.acknowledge(head.number)
        wire.answer_by = None
        if not is_probe(head):
            self._first_probe = head.number + 1
            wire.hold_until = now + QUIET  # every greeting we repeated has its "ok"
            return []
        clear = ok.temperature or ok.number == head.number
        self._doubts = 0 if clear or not wire.dialect.numbered else self._doubts - 1
        if self._doubts > 0:
            wire.window.push(probe())
            return []
        # The greeting must never be sent again among other lines. And one who asks for
        # line 1 although it was answered was reset.
        wire.window.forget(before=max(self._first_probe, 2))
        return [Connected()]

    def release(self) -> list[Event]:
        """Go on after a pause."""
        self._wire.hold_until = None
        if self._wire.window.idle and self._begun:
            self._wire.window.push(probe())
        return []

    def _again(self) -> None:
        """Repeat the greeting; a probe instead would be dropped if it was known."""
        wire, head = self._wire, self._wire.window.head
        wire.answer_by = wire.hold_until = None
        if head is None or is_probe(head):
            wire.renumber(0 if self._unheeded >= MAX_UNHEEDED else None)
            wire.window.push(_hello(wire.window.next))
        else:
            wire.window.rewind(head.number)


def _hello(number: int) -> Line:
    return Line(f"M110 N{number}")
