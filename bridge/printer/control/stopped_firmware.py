"""A firmware that has stopped: what may still be sent to it, and what is queried.

A firmware that was killed, or a Klipper that has shut down, ignores what it receives.
Only the lines that restart it and those that turn heaters off are still sent, and
Klipper's state is queried until it is ready again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from bridge.commands import Command, Context
from bridge.errors import CommandError, FailedError
from bridge.gcode.reply_types import Ok, Readiness, TemperatureReport
from bridge.printer.control.command_queue import Run
from bridge.printer.control.emergency_stop import (
    SENT_LATE,
    STILL_RESPONDS,
    EmergencyStopper,
)
from bridge.printer.knowledge.heaters import turns_heater_off
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.events import LinkEvent
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.timeout import timeout

log = logging.getLogger("bridge.printer")

INQUIRY = 10.0
"""Seconds between two queries of the state of a firmware that is not ready."""

STOPPED_ANSWERS = 5.0
"""Seconds in which a stopped firmware acknowledges a line, if it does at all; a running
one answers within milliseconds."""

MOST_TO_STOPPED = 20
"""Lines of a command that are sent to a stopped firmware: one for each heater."""

_NOT_READY = {"shutdown", "not_ready", "disconnect"}
"""States of a host firmware in which what was sent to it is lost."""


class StoppedFirmware:
    """Detects that a firmware has stopped, and handles it until it is ready again.

    Args:
        link: to the printer.
        observer: knows its state.
        emergency: repeats a stop that was without effect.
        fail_waiting: lets everything fail that waits for the printer.

    """

    def __init__(
        self,
        link: Link,
        observer: Observer,
        emergency: EmergencyStopper,
        fail_waiting: Callable[[Callable[[], CommandError]], None],
    ) -> None:
        self._link = link
        self._observer = observer
        self._emergency = emergency
        self._fail_waiting = fail_waiting
        self._oks: asyncio.Queue[Ok] = asyncio.Queue()
        self._inquiry: asyncio.TimerHandle | None = None

    async def send(
        self, command: Command, context: Callable[[], Context], run: Run
    ) -> bool:
        """Send what a firmware that has stopped may still get; return whether it was.

        These are the lines that restart it, and those that turn heaters off: it may
        count as stopped although its heaters are on.

        Raises:
            FailedError: It does not answer.

        """
        session, dialect = self._link.session, self._observer.dialect
        if session is None or session.closed:
            return False
        ready = self._observer.state.readiness not in _NOT_READY
        if ready and not session.protocol.halted:
            return False
        if command.line_count > MOST_TO_STOPPED:
            return False
        lines = command.program(context()).gcode
        restarts = all(line in dialect.restart for line in lines)
        if not lines or not (restarts or all(map(turns_heater_off, lines))):
            return False
        await self._send(session, lines, run, restarts=restarts)
        return True

    async def _send(
        self, session: Session, lines: Sequence[str], run: Run, *, restarts: bool
    ) -> None:
        run.gcode.extend(lines)
        self._oks = asyncio.Queue()
        session.urgent(*lines)
        if restarts and self._observer.dialect.reports_state:
            return  # it restarts in its own time, and says so
        await self._answered(len(lines))
        if restarts:
            session.restart()

    @property
    def _not_ready(self) -> bool:
        return self._observer.state.readiness in _NOT_READY

    async def _answered(self, lines: int) -> None:
        """Wait until a stopped firmware has acknowledged so many lines.

        Raises:
            FailedError: It does not answer.

        """
        try:
            async with timeout(STOPPED_ANSWERS):
                for _ in range(lines):
                    await self._oks.get()
        except TimeoutError:
            raise FailedError.timeout(
                "the printer has stopped and does not answer, so its heaters may still "
                "be on; disconnect its power"
            ) from None

    def handle(self, event: LinkEvent, before: PrinterState) -> None:
        """React to what happened on the link.

        Args:
            event: what happened; the observer has handled it.
            before: what was known of the printer before it.

        """
        if isinstance(event, Ok):
            self._oks.put_nowait(event)
        if self._emergency.handle(event):
            log.warning("%s", SENT_LATE)
        session = self._link.session
        if session is None:
            return
        self._inquire_later()
        if self._observer.state.halted and not session.protocol.halted:
            self._has_halted(session)
        elif isinstance(event, TemperatureReport):
            self._repeat_stop()
        elif event == Readiness("ready") and before.readiness in _NOT_READY:
            session.restart()

    def _has_halted(self, session: Session) -> None:
        """Fail everything that waits for a firmware that has stopped for good."""
        problem = self._observer.state.problem
        message = problem.error if problem else "the firmware has stopped"
        self._observer.attach_logs()
        session.halt("firmware_error", message)
        self._fail_waiting(partial(FailedError.firmware, message))
        if query := self._observer.dialect.state_query:
            session.urgent(query)  # the reason comes late, and only if it is queried

    def _repeat_stop(self) -> None:
        match self._emergency.repeat_if_needed():
            case "repeat":
                log.warning("the printer responds after the stop, so it is repeated")
            case "give_up":
                log.error("%s", STILL_RESPONDS)

    def _inquire_later(self) -> None:
        if self._inquiry is None and self._not_ready:
            loop = asyncio.get_running_loop()
            self._inquiry = loop.call_later(INQUIRY, self._inquire)

    def _inquire(self) -> None:
        """Query the state of a Klipper that is not ready, and the reason."""
        self._inquiry = None
        session, query = self._link.session, self._observer.dialect.state_query
        if session is not None and query and self._not_ready:
            session.urgent(query)
            self._inquire_later()

    def leave(self) -> None:
        """Stop these queries."""
        if self._inquiry is not None:
            self._inquiry.cancel()
            self._inquiry = None
