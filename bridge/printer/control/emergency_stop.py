"""The emergency stop, and its repetition while the printer still responds.

Noise on the line can damage the one ``M112`` that was sent, and nothing acknowledges
it: a firmware that stops becomes silent, or says that it was killed. So a printer that
reports its temperatures after a stop has not stopped, and the stop is repeated.

A stop that is requested while there is no link is kept, and sent before anything else
when the link is back. So is one that was written just before the link was lost.
"""

from typing import Literal

from bridge.errors import FailedError
from bridge.gcode.codes import STOP
from bridge.gcode.events import Connected, Restarted
from bridge.gcode.reply_types import Fatal, Readiness
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.events import Closed, LinkEvent, Opened
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session

STOP_MESSAGE = "the emergency stop was requested; reset the printer to continue"
STILL_RESPONDS = (
    "the printer still responds after repeated emergency stops; disconnect its power"
)

KEPT = (
    "the printer is not connected: the emergency stop is kept, and sent first when the "
    "printer is back; until then, disconnect its power. The link command acknowledge "
    "takes the stop back"
)
SENT_LATE = (
    "the emergency stop that was requested while the printer was not connected was "
    "sent when it was back; reset the printer to continue"
)

IN_DOUBT = 10.0
"""Seconds after which a stop counts as delivered. If the link ends earlier, the stop
may still have been in a buffer of the adapter that was unplugged."""

PAUSE = 1.0
"""Seconds until a stopped printer should be silent: what it said before the stop may
still be in buffers."""

TIMES = 10
"""Repetitions. A firmware that does not read while it waits for a temperature has room
for this many lines in its receive buffer (Marlin: 128 bytes)."""

Step = Literal["none", "repeat", "give_up"]


class StopRepetition:
    """Decides when a stop is repeated; times are seconds on a monotonic clock."""

    def __init__(self) -> None:
        self._left = 0
        self._due = 0.0
        self._given_up = True

    def begin(self, now: float) -> None:
        """Start counting: a stop was sent."""
        self._left, self._due, self._given_up = TIMES, now + PAUSE, False

    def next_step(self, now: float) -> Step:
        """Return what to do about a printer that has just reported again.

        ``give_up`` is returned once: all repetitions were without effect.
        """
        if self._given_up or now < self._due:
            return "none"
        if not self._left:
            self._given_up = True
            return "give_up"
        self._left -= 1
        self._due = now + PAUSE
        return "repeat"


class StopDelivery:
    """Whether a stop must still reach the printer; times are as in StopRepetition."""

    def __init__(self) -> None:
        self._kept = False
        self._written: float | None = None

    @property
    def kept(self) -> bool:
        """Whether a stop must be sent as soon as there is a link."""
        return self._kept

    def in_doubt(self, now: float) -> bool:
        """Return whether a stop was written that may not have left the computer."""
        return self._written is not None and now - self._written <= IN_DOUBT

    def keep(self) -> None:
        """Keep a stop that could not be sent."""
        self._kept = True

    def written(self, now: float) -> None:
        """Note that a stop was written to a connected printer."""
        self._kept, self._written = False, now

    def link_lost(self, now: float) -> bool:
        """Keep a stop that is in doubt; return whether it is kept because of that."""
        lost = self.in_doubt(now) and not self._kept
        self._kept = self._kept or lost
        self._written = None
        return lost

    def reset(self) -> None:
        """Note a reset of the firmware, after which earlier writes no longer matter."""
        self._written = None

    def settled(self) -> None:
        """Forget the stop, because it has arrived or a person has withdrawn it."""
        self._kept, self._written = False, None


class EmergencyStopper:
    """Stops one printer before everything else, and ensures that it stays stopped.

    Args:
        link: to the printer.
        observer: takes in that the printer was stopped.

    """

    def __init__(self, link: Link, observer: Observer) -> None:
        self._link = link
        self._observer = observer
        self._repetition = StopRepetition()
        self._delivery = StopDelivery()

    @property
    def owed(self) -> bool:
        """Whether a stop was requested that may not have reached the printer."""
        delivery = self._delivery
        return delivery.kept or delivery.in_doubt(self._observer.clock())

    def stop(self) -> None:
        """Stop the machine at once; everything that was sent fails.

        Raises:
            FailedError: There is no link to send it over; it is kept. If ``sent`` is
                true, it was sent to a printer that has not answered yet.

        """
        session = self._link.session
        if session is None or session.closed:
            self.keep()
            error = FailedError.disconnected(KEPT)
            error.sent = False
            raise error
        if session.protocol.connected or session.protocol.halted:
            self._stop(session, STOP_MESSAGE)
            return
        # A boot loader discards what it receives, so this is not enough.
        session.urgent(STOP)
        self.keep()
        raise FailedError.disconnected(
            "the printer has not answered yet: the emergency stop was sent, and is "
            "sent again when it answers"
        )

    def keep(self) -> None:
        """Keep a stop until the link is back, or somebody acknowledges it."""
        self._delivery.keep()
        self._observer.stop_kept(KEPT)

    def acknowledge(self) -> None:
        """Withdraw a kept stop, because a person has dealt with the printer."""
        self._delivery.settled()

    def reconnecting(self) -> None:
        """Note that a person closes the link, which says nothing about a stop."""
        self._delivery.reset()

    def handle(self, event: LinkEvent) -> bool:
        """Keep or send a stop because of what happened on the link.

        Returns:
            Whether the printer was stopped by a stop that had been kept.

        """
        session, delivery = self._link.session, self._delivery
        match event:
            case Closed() if delivery.link_lost(self._observer.clock()):
                self._observer.stop_kept(KEPT)
            case Fatal() | Readiness("shutdown"):
                late = delivery.kept  # then it was sent when the port was opened
                delivery.settled()
                if late:
                    self._observer.emergency_stopped(SENT_LATE)
                return late
            case Restarted():
                delivery.reset()
            case Opened(place) if delivery.kept and session is not None:
                if self._link.is_its_port(place):
                    session.urgent(STOP)
            case Connected() if delivery.kept and session is not None:
                self._stop(session, SENT_LATE)
                return True
        return False

    def _stop(self, session: Session, message: str) -> None:
        session.urgent(STOP)
        session.halt("emergency_stopped", message)
        self._observer.emergency_stopped(message)
        now = self._observer.clock()
        self._repetition.begin(now)
        self._delivery.written(now)

    def repeat_if_needed(self) -> Step:
        """Repeat the stop if one was requested and the printer has just reported.

        After the last repetition, the printer's error says what people must do.
        """
        state, session = self._observer.state, self._link.session
        if not state.halted or state.problem is None or session is None:
            return "none"
        if state.problem.consequence != "stopped":
            return "none"
        step = self._repetition.next_step(self._observer.clock())
        if step == "repeat":
            session.urgent(STOP)
        elif step == "give_up":
            self._observer.emergency_stopped(STILL_RESPONDS)
        return step
