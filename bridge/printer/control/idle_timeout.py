"""The idle timeout: when heaters that nobody uses have to be turned off.

A printer with a touch screen of its own may print without reporting it. So the printer
is asked where its head is before the warning and before the heaters go off, and a head
that has moved meanwhile counts as use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bridge.commands import Command
from bridge.commands.heaters import BedTarget, ChamberTarget, ToolTarget
from bridge.gcode.reply_types import PositionReport
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.state import is_use

WARNING = 300.0
"""Seconds from the warning to the shut-off; a quarter of a timeout that is short."""

AGAIN = 60.0
"""Seconds until heaters that stayed on are turned off again."""

ABSENCE = 300.0
"""Seconds for which a link may be broken without a restart of the timeout."""

_STEADY = 60.0
"""Seconds by which the published time may be early, so that it rarely changes."""

Decision = Literal["nothing", "warn", "turn_off"]


def heaters_on(state: PrinterState) -> tuple[str, ...]:
    """Return the names of the heaters that have a target."""
    return tuple(name for name, heater in state.heaters.items() if heater.target)


def turn_off(heater: str) -> Command:
    """Return the command that turns one heater off."""
    match heater:
        case "bed":
            return BedTarget(target=0)
        case "chamber":
            return ChamberTarget(target=0)
    return ToolTarget(targets={heater: 0})


class IdleTimeout:
    """The idle timeout of one printer, over all its connections.

    Heaters are in use during a print, also a paused one, while the printer waits for a
    person, and while a command is carried out. The timeout restarts after each command
    that does more than query, and if a target or the position of the head has changed.

    Times are seconds on a monotonic clock.

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
        """When the heaters go off unless somebody uses them; ``None``: not due."""

    def connected(self, state: PrinterState, now: float) -> None:
        """Note that a connection has just begun.

        After a short absence the timeout goes on, unless the printer was evidently used
        meanwhile. Otherwise a link that breaks every hour would keep heaters on.
        """
        if now - self._looked > ABSENCE or state.position is None:
            self._seen = None
        if self.off_at is not None:  # time for a print that has started to show
            self.off_at = max(self.off_at, now + min(AGAIN, self._lead / 2))

    def due(self, state: PrinterState, now: float, *, busy: bool = False) -> bool:
        """Note the present state; return whether it is time for :meth:`decide`.

        ``busy``: commands wait or are being carried out.
        """
        self._looked = now
        if not self._applies(state):
            self._seen, self._warned, self.off_at = None, False, None
            return False
        if self._was_used(state, busy=busy):
            self._used, self._warned = now, False
        if self._warned and self.off_at is not None:
            return now >= self.off_at
        end = self._used + self.limit
        slack = min(_STEADY, self.limit / 60)
        if self.off_at is None or end - self.off_at > slack:
            self.off_at = end
        if now < self.off_at - self._lead:
            return False
        self.off_at = end  # exact from the warning on
        return now >= end - self._lead

    def decide(
        self, state: PrinterState, now: float, *, busy: bool = False
    ) -> Decision:
        """Return what to do, after :meth:`due` and a fresh report of the position.

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
        """Return whether nobody has used the printer since the decision."""
        return (
            self._applies(state)
            and self._seen is not None
            and self._seen.uses == state.uses
        )

    def exclude_own_lines(self, lines: int) -> None:
        """Do not count so many lines as use: they turned heaters off."""
        if self._seen is not None:
            self._seen = replace(self._seen, uses=self._seen.uses + lines)

    def still_on(self, state: PrinterState, now: float) -> tuple[str, ...]:
        """Return the heaters that are on although they were turned off.

        They are turned off again later; none are returned if somebody has used the
        printer meanwhile.
        """
        if not self.is_idle(state):
            return ()
        self._seen = _traces(state, self._seen)
        self.off_at = now + min(AGAIN, self.limit)
        return heaters_on(state)

    def _applies(self, state: PrinterState) -> bool:
        connected = state.link == "operational"
        in_use = state.job.active or state.waiting
        return connected and not in_use and self.limit > 0 and bool(heaters_on(state))

    def _was_used(self, state: PrinterState, *, busy: bool) -> bool:
        before, self._seen = self._seen, _traces(state, self._seen)
        if busy and state.line != "" and is_use(state.line):
            return True
        return before is None or self._seen.differ(before)


@dataclass(frozen=True, slots=True)
class _Traces:
    """What use of a printer leaves behind; ``place`` is the last reported position."""

    uses: int
    targets: Mapping[str, float]
    place: PositionReport | None

    def differ(self, before: "_Traces") -> bool:
        """Return whether it was used between them; a first position is no use."""
        known = self if before.place else replace(self, place=None)
        return known != before


def _traces(state: PrinterState, before: _Traces | None) -> _Traces:
    targets = {name: heater.target or 0.0 for name, heater in state.heaters.items()}
    place = state.position
    if place is None and before is not None:
        place = before.place
    return _Traces(state.uses, targets, place)
