"""What to make of a request to send a line again."""

from enum import Enum

from bridge.gcode.reply_types import TransferError
from bridge.gcode.window import Window

MAX_SAME = 10
MAX_STRANGE = 3


class Verdict(Enum):
    """A request that does not lead to a line."""

    IGNORE = "damaged on its way; a probe will bring a better one"
    RESET = "the firmware counts from the beginning again"


class Resends:
    """Remembers the requests of one conversation."""

    def __init__(self) -> None:
        self._complaint: TransferError | None = None
        self._same = (-1, 0)
        self._strange = 0
        self.counting = False
        """The firmware has shown that it knows which line comes next."""

    @property
    def owed(self) -> bool:
        """A line arrived damaged, and no request for it has come yet."""
        return self._complaint is not None

    def complained(self, error: TransferError) -> None:
        """Take note that a request should follow."""
        self._complaint = error
        self.counting = self.counting or error.last is not None

    def answered(self) -> None:
        """Take note that lines get through."""
        self._strange = 0

    def judge(
        self, number: int | None, window: Window, *, counts: bool
    ) -> int | str | Verdict:
        """Return the line to go on from, why the link failed, or another verdict.

        A line too many is harmless, since a firmware that counts drops it by its
        number; so of two numbers that contradict each other the smaller one counts.
        Where it does not count, nothing but the one line in flight may be repeated.

        Args:
            number: what was asked for; ``None``: the request itself did not arrive, and
                only the complaint tells the line.
            window: the lines that were sent.
            counts: the firmware knows which line comes next.

        """
        complaint, self._complaint = self._complaint, None
        hint = complaint.last if complaint else None
        if number is None:
            number = -1 if hint is None else hint + 1
        if hint is not None and window.covers(hint + 1):
            number = min(number, hint + 1) if window.covers(number) else hint + 1
        if not window.covers(number):
            return self._judge_strange(number, hint)
        if not counts and [line.number for line in window.in_flight()] != [number]:
            return Verdict.IGNORE
        last, times = self._same
        self._same = (number, times + 1 if number == last else 1)
        if self._same[1] > MAX_SAME:
            return f"the printer asks for line {number} again and again"
        return number

    def _judge_strange(self, number: int, hint: int | None) -> str | Verdict:
        if number < 0:
            return Verdict.IGNORE
        self._strange += 1
        if number <= 1 and (hint == 0 or self._strange > 1):
            return Verdict.RESET
        if self._strange >= MAX_STRANGE:
            return f"the printer asks for line {number}, which is gone"
        return Verdict.IGNORE
