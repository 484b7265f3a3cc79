"""A printer's state after a dialogue of host and firmware lines, and plans for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.commands import Command, Context
from bridge.commands.base import completed
from bridge.config import Profile
from bridge.gcode.dialects import MARLIN, Dialect
from bridge.gcode.modal import Modal
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import Ok
from bridge.printer.control import planning
from bridge.printer.control.planning import Plan
from bridge.printer.knowledge import age, events
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.state import PrinterState
from bridge.printer.limits.coordinates import Coordinates, Frame
from bridge.printer.limits.safety import SafetyRules, Situation
from bridge.printer.limits.travel import InitialState


def plan(
    command: Command, context: Context, situation: Situation, rules: SafetyRules
) -> Plan:
    """Return what would be sent for a command, as the bridge plans it.

    Raises:
        RejectedError: It must not be sent.

    """
    drafted = completed(planning.draft(command, context, lambda: situation, rules))
    planning.gate(command, drafted.program, situation, context.dialect.name)
    return completed(planning.place(drafted, rules))


def rules(
    profile: Profile,
    position: Mapping[str, float] | None = None,
    *,
    modal: Modal | None = None,
    dialect: Dialect = MARLIN,
    frame: Frame | None = None,
) -> SafetyRules:
    """Return what lines are checked against, where the head is at this position."""
    start = InitialState(
        profile=profile,
        dialect=dialect,
        modal=modal or Modal(),
        coordinates=Coordinates(position or {}, frame=frame or Frame()),
    )
    return SafetyRules(start=start)


@dataclass
class Knowing:
    """Reduces a dialogue to a state, and collects the events.

    Attributes:
        profile: the machine.
        dialect: the firmware's.
        now: the time of the next line, in seconds.

    """

    profile: Profile = field(default_factory=Profile)
    dialect: Dialect = MARLIN
    now: float = 0.0
    events: list[StateEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = known.initial(self.profile)
        self.become(known.connecting(self.state))
        self.become(known.connected(self.state, dialect=self.dialect))
        self.events.clear()

    def become(self, state: PrinterState) -> None:
        """Replace the state, and record what happened."""
        state = age.follow(state, self.now)
        self.events += events.diff(self.state, state)
        self.state = state

    def says(self, *lines: str) -> PrinterState:
        """Have the firmware say lines at the present time."""
        for line in lines:
            for reply in parse_reply(line, self.dialect):
                self.become(
                    known.apply(
                        self.state,
                        reply,
                        now=self.now,
                        dialect=self.dialect,
                        profile=self.profile,
                    )
                )
        return self.state

    def sends(self, *lines: str) -> PrinterState:
        """Have the host send lines that the firmware acknowledges at once."""
        for line in lines:
            self.begins(line)
            self.become(
                known.apply(
                    self.state,
                    Ok(),
                    now=self.now,
                    dialect=self.dialect,
                    profile=self.profile,
                )
            )
        return self.state

    def begins(self, line: str) -> PrinterState:
        """Have the host send a line that is not acknowledged yet."""
        self.become(
            known.sent(
                self.state,
                line,
                now=self.now,
                dialect=self.dialect,
                profile=self.profile,
            )
        )
        return self.state

    def at(self, now: float) -> "Knowing":
        """Advance the clock to this time."""
        self.now = now
        return self

    def happened(self) -> list[str]:
        """Return the names of the events so far, and forget them."""
        names = [event.name for event in self.events]
        self.events.clear()
        return names
