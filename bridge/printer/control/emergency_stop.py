"""The emergency stop, and its repetition while the printer still responds.

Noise on the line can damage the one ``M112`` that was sent, and nothing acknowledges
it: a firmware that stops falls silent, or says that it was killed. So a printer that
reports its temperatures after a stop has not stopped, and is stopped again.
"""

from typing import Literal

from bridge.errors import FailedError
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.link import Link

STOP = "M112"
"""Turns off heaters and motors at once, in every dialect; only a reset brings the
printer back (https://reprap.org/wiki/G-code#M112:_Full_.28Emergency.29_Stop)."""

STOP_MESSAGE = "the emergency stop was requested; reset the printer to continue"
STILL_RESPONDS = (
    "the printer still responds after repeated emergency stops; disconnect its power"
)

PAUSE = 1.0
"""Seconds in which a stopped printer falls silent: what it said before the stop may
still be in buffers."""

TIMES = 10
"""Repetitions. A firmware that reads no further while it waits for a temperature has
room for this many lines in its serial buffer."""

Step = Literal["none", "repeat", "give_up"]


class StopRepetition:
    """Decides when a stop is repeated; times are seconds on a monotonic clock."""

    def __init__(self) -> None:
        self._left = 0
        self._due = 0.0
        self._given_up = True

    def begin(self, now: float) -> None:
        """Start to count: a stop was sent."""
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


class EmergencyStopper:
    """Stops one printer past everything that waits, and sees to it that it stays so.

    Args:
        link: to the printer.
        observer: takes in that the printer was stopped.

    """

    def __init__(self, link: Link, observer: Observer) -> None:
        self._link = link
        self._observer = observer
        self._repetition = StopRepetition()

    def stop(self) -> None:
        """Stop the machine at once; everything that was sent fails.

        Raises:
            FailedError: There is no link to send anything over.

        """
        session = self._link.session
        if session is None or session.closed:
            raise FailedError.disconnected(
                "the printer is not connected, so nothing could be sent; disconnect "
                "its power"
            )
        session.urgent(STOP)
        session.halt("emergency_stopped", STOP_MESSAGE)
        self._observer.emergency_stopped(STOP_MESSAGE)
        self._repetition.begin(self._observer.clock())

    def repeat_if_needed(self) -> Step:
        """Repeat the stop if it was requested and the printer has just reported.

        After the last repetition the printer's error says what is left to do.
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
