"""When heaters that nobody uses are to be turned off; pure.

A printer with a touch screen of its own may print without a word about it. So the head
is asked for its place before the warning and before the end, and one that has moved
since is in use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bridge.commands import Command
from bridge.commands.heaters import BedTarget, ChamberTarget, ToolTarget
from bridge.gcode.reply_types import PositionReport
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.state import is_use

WARNING = 300.0  # seconds from the warning to the end, where the time is long enough
AGAIN = 60.0  # seconds after which it is tried again
ABSENCE = 300.0  # seconds in which a link may break without the time beginning anew
_STEADY = 60.0  # seconds that the told time may be early, so that it rarely moves

Decision = Literal["nothing", "warn", "turn_off"]


def heaters_on(state: PrinterState) -> tuple[str, ...]:
    """Return the names of the heaters that are told to heat."""
    return tuple(name for name, heater in state.heaters.items() if heater.target)


def off(heater: str) -> Command:
    """Return the command that turns one heater off."""
    match heater:
        case "bed":
            return BedTarget(target=0)
        case "chamber":
            return ChamberTarget(target=0)
    return ToolTarget(targets={heater: 0})


class IdleHeaters:
    """Watches one printer, over all its connections.

    Its heaters are in use while a print is seen, also a paused one, while the printer
    waits for a person, and while a command is carried out. A command that does more
    than ask, another target and another place of the head start the time anew.

    Args:
        limit: seconds without use after which heaters go off; 0: they stay on.

    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._lead = min(WARNING, limit / 4)
        self._used = 0.0
        self._looked = float("-inf")
        self._seen: _Traces | None = None
        self._warned = False
        self.off_at: float | None = None
        """When they go off, unless somebody uses them; ``None``: that is not due."""

    def connected(self, state: PrinterState, now: float) -> None:
        """Take note of a connection that has just begun.

        After a short absence the time goes on, unless it shows that the printer was
        used meanwhile; else a link that breaks every hour would keep heaters on.
        """
        if now - self._looked > ABSENCE or state.position is None:
            self._seen = None
        if self.off_at is not None:  # the print that may have begun shows first
            self.off_at = max(self.off_at, now + min(AGAIN, self._lead / 2))

    def due(self, state: PrinterState, now: float, *, busy: bool = False) -> bool:
        """Take note of what is so now; tell whether it is time for :meth:`decide`.

        ``busy``: commands wait or are being carried out.
        """
        self._looked = now
        if not self._counts(state):
            self._seen, self._warned, self.off_at = None, False, None
            return False
        works = busy and state.line != "" and is_use(state.line)
        if self._touched(state) or works:
            self._used, self._warned = now, False
        if self._warned and self.off_at is not None:
            return now >= self.off_at
        end = self._used + self.limit
        slack = min(_STEADY, self.limit / 60)
        if self.off_at is None or end - self.off_at > slack:
            self.off_at = end
        if now < self.off_at - self._lead:
            return False
        self.off_at = end  # what is announced is exact
        return now >= end - self._lead

    def decide(
        self, state: PrinterState, now: float, *, busy: bool = False
    ) -> Decision:
        """Return what to do, the head having been asked for its place after it was due.

        A warning that comes late still leaves people half of its time.
        """
        if not self.due(state, now, busy=busy) or self.off_at is None:
            return "nothing"
        if self._warned:
            return "turn_off"
        self._warned = True
        self.off_at = max(self.off_at, now + self._lead / 2)
        return "warn"

    def is_idle(self, state: PrinterState) -> bool:
        """Tell whether nobody has used the printer since it was decided."""
        return (
            self._counts(state)
            and self._seen is not None
            and self._seen.uses == state.uses
        )

    def ours(self, lines: int) -> None:
        """Take note that so many lines went out which are no use, but our own."""
        if self._seen is not None:
            self._seen = replace(self._seen, uses=self._seen.uses + lines)

    def tried(self, state: PrinterState, now: float) -> tuple[str, ...]:
        """Return the heaters that are on although they were to go off.

        They are tried again a while later; but not if somebody uses them by now.
        """
        if not self.is_idle(state):
            return ()
        self._seen = _traces(state, self._seen)
        self.off_at = now + min(AGAIN, self.limit)
        return heaters_on(state)

    def _counts(self, state: PrinterState) -> bool:
        here = state.link == "operational"
        taken = state.job.active or state.waiting
        return here and not taken and self.limit > 0 and bool(heaters_on(state))

    def _touched(self, state: PrinterState) -> bool:
        before, self._seen = self._seen, _traces(state, self._seen)
        return before is None or self._seen.differ(before)


@dataclass(frozen=True, slots=True)
class _Traces:
    """What use leaves behind; ``place`` is the last that was reported."""

    uses: int
    targets: Mapping[str, float]
    place: PositionReport | None

    def differ(self, before: "_Traces") -> bool:
        """Tell whether there is use between them; a place that is new is none."""
        known = self if before.place else replace(self, place=None)
        return known != before


def _traces(state: PrinterState, before: _Traces | None) -> _Traces:
    targets = {name: heater.target or 0.0 for name, heater in state.heaters.items()}
    place = state.position
    if place is None and before is not None:
        place = before.place
    return _Traces(state.uses, targets, place)
