"""Which line to continue from when the firmware asks for one again.

Requests arrive twice, late, damaged, without the complaint that precedes them, or not
at all (Q-10 to Q-12). What a firmware says in the usual case, from
tests/transcripts/marlin/m21-lines.txt::

    > N3 M105*99                            (a wrong checksum)
    < Error:checksum mismatch, Last Line: 2
    < Resend: 3
    < ok                                    (it acknowledges nothing)
"""

from dataclasses import dataclass

from bridge.gcode.reply_types import TransferError
from bridge.gcode.window import Window

MAX_SAME = 10
"""Times that one line is sent again before the link is given up (Q-11): a firmware that
refuses it ten times never accepts it, for example because its text is too long."""

MAX_UNKNOWN = 3
"""Requests in a row for lines that are not kept, before the link is given up. One may
be damaged on its way; three agree that the numbering is lost."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Send this line, and all after it, again."""

    number: int


@dataclass(frozen=True, slots=True)
class Ignore:
    """The request was damaged or does not apply; a probe brings a better one."""


@dataclass(frozen=True, slots=True)
class WasReset:
    """The firmware counts from the beginning again."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The link is of no use any more."""

    reason: str


Decision = Continue | Ignore | WasReset | GiveUp


class ResendRequests:
    """Decides what to do about each request of one conversation."""

    def __init__(self) -> None:
        self._complaint: TransferError | None = None
        self._same = (-1, 0)  # the number asked for last, and how often in a row
        self._unknown = 0
        self.reports_last_line = False
        """The firmware has said ``Last Line: n``, so it knows which line comes next."""

    @property
    def outstanding(self) -> bool:
        """Whether a line arrived damaged and no request for it has come yet."""
        return self._complaint is not None

    def note_complaint(self, error: TransferError) -> None:
        """Remember that a line arrived damaged: a request should follow."""
        self._complaint = error
        self.reports_last_line = self.reports_last_line or error.last is not None

    def note_acknowledgement(self) -> None:
        """Remember that lines get through."""
        self._unknown = 0

    def decide(
        self, number: int | None, window: Window, *, checks_sequence: bool
    ) -> Decision:
        """Return what to do about a request.

        Sending one line too many is harmless where the firmware checks the sequence: it
        drops the line by its number. So of two numbers that contradict each other the
        smaller one counts. Where it does not check, nothing but the single line in
        flight may be repeated.

        Args:
            number: the line that was asked for; ``None``: the request itself did not
                arrive, and only the complaint before it names the line.
            window: the lines that were sent.
            checks_sequence: the firmware knows which line comes next.

        """
        expected = self._expected_line()
        named = [n for n in (number, expected) if n is not None]
        if not named:
            return Ignore()
        number = min(filter(window.covers, named), default=None)
        if number is None:
            return self._decide_unknown(named[0], expected)
        in_flight = range(window.cursor, window.edge)
        if not checks_sequence and list(in_flight) != [number]:
            return Ignore()
        return self._repeat(number, window)

    def _repeat(self, number: int, window: Window) -> Decision:
        """Send a line again, unless that has failed too often."""
        last, times = self._same
        self._same = (number, times + 1 if number == last else 1)
        if self._same[1] > MAX_SAME:
            # People know the command, but not our line number.
            text = window.text(number)
            command = f', which is "{text}"' if text else ""
            return GiveUp(f"the printer keeps asking for line {number}{command}")
        return Continue(number)

    def _expected_line(self) -> int | None:
        """Return the line that the complaint before a request asks for, once."""
        complaint, self._complaint = self._complaint, None
        if complaint is None or complaint.last is None:
            return None
        return complaint.last + 1

    def _decide_unknown(self, number: int, expected: int | None) -> Decision:
        """Decide about a line that is not kept: either damage, or a reset.

        No line of ours is numbered 1, so a firmware that expects it was reset. Damage
        can also make a 1 of a longer number, so it takes two requests, or the
        complaint (``Last Line: 0``) to confirm it.
        """
        if number < 0:
            return Ignore()
        self._unknown += 1
        if number <= 1 and (expected == 1 or self._unknown > 1):
            return WasReset()
        if self._unknown >= MAX_UNKNOWN:
            return GiveUp(
                f"the printer asks for line {number}, which is no longer kept"
            )
        return Ignore()
