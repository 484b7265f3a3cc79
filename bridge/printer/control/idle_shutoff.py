"""Turns off heaters that nobody uses, after a warning."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bridge.errors import CommandError
from bridge.printer.control import idle_timeout
from bridge.printer.control.command_queue import CommandQueue, Run
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.session import Session
from bridge.printer.link.setup import ask
from bridge.printer.published.views import whole_second
from bridge.timestamps import timestamp

log = logging.getLogger("bridge.printer")

PAUSE = 1.0
"""Seconds until the position is queried again, if the printer did not report it."""

NO_POSITION = "the printer no longer reports its position, so it may be printing"


class IdleShutoff:
    """Applies the idle timeout to one printer, from a connection to its end.

    Args:
        session: the conversation with it.
        observer: what is known of it.
        queue: carries out the commands that turn heaters off.
        on_event: called with the warning, and when the heaters went off or did not.
        timeout: decides when they go off.

    """

    def __init__(
        self,
        session: Session,
        observer: Observer,
        queue: CommandQueue,
        *,
        on_event: Callable[[StateEvent], None],
        timeout: idle_timeout.IdleTimeout,
    ) -> None:
        self._session = session
        self._observer = observer
        self._queue = queue
        self._on_event = on_event
        self._timeout = timeout
        timeout.connected(observer.state, observer.clock())
        self._turning_off = False
        self._failure_reported = False
        self._ask_at = 0.0

    async def check(self) -> None:
        """Do what is due; to be called several times a second.

        Raises:
            FailedError: The link or the printer went away.

        """
        if self._turning_off:
            return
        state, now = self._observer.state, self._observer.clock()
        if self._timeout.due(state, now, busy=self._queue.busy):
            await self._decide()
        state = self._observer.state
        if state.heaters_off_at != self._timeout.off_at:
            self._observer.set_state(
                replace(state, heaters_off_at=self._timeout.off_at)
            )

    async def _decide(self) -> None:
        if not await self._position_is_known():
            return
        state, now = self._observer.state, self._observer.clock()
        match self._timeout.decide(state, now, busy=self._queue.busy):
            case "warn":
                self._failure_reported = False
                self._warn(idle_timeout.heaters_on(state), time.time() - now)
            case "turn_off":
                self._turning_off = True
                self._queue.start(self._turn_off())

    async def _position_is_known(self) -> bool:
        """Query the position of the head; without one it may be moving in a print."""
        before, now = self._observer.state.position, self._observer.clock()
        if "M114" in self._observer.state.refused:
            return True
        if now < self._ask_at:
            return False
        await ask(self._session, "M114")
        state = self._observer.state
        if before is None or state.position is not before:
            return True
        self._ask_at = now + PAUSE
        if self._timeout.off_at is not None and now >= self._timeout.off_at:
            self._report_failure(idle_timeout.heaters_on(state), NO_POSITION)
        return False

    def _warn(self, heaters: tuple[str, ...], epoch: float) -> None:
        moment = whole_second(self._timeout.off_at, epoch)
        off_at = None if moment is None else timestamp(moment)
        data = {"heaters": list(heaters), "off_at": off_at}
        self._on_event(StateEvent("heaters_idle", data))

    async def _turn_off(self) -> None:
        try:
            told, reason = await self._send_commands()
            # Only this report shows what is off: targets that were sent are assumed to
            # be set until the printer reports them.
            await ask(self._session, "M105")
            self._conclude(told, reason)
        finally:
            self._turning_off = False

    async def _send_commands(self) -> tuple[list[str], str]:
        """Turn off what is on; return what was sent, and why the last one failed."""
        told, reason = [], "it keeps heating"
        for name in idle_timeout.heaters_on(self._observer.state):
            run = Run(wanted=partial(self._still_idle, name))
            try:
                await self._queue.execute(
                    idle_timeout.turn_off(name), 1, run, expires=None, within=None
                )
                told += [name] if run.gcode else []
            except CommandError as error:
                reason = error.message
            self._timeout.exclude_own_lines(len(run.gcode))
        return told, reason

    def _still_idle(self, heater: str) -> bool:
        state = self._observer.state
        # Tools that share a nozzle go off together.
        return self._timeout.is_idle(state) and bool(state.heaters[heater].target)

    def _conclude(self, told: list[str], reason: str) -> None:
        state = self._observer.state
        left = self._timeout.still_on(state, self._observer.clock())
        cold = [name for name in told if state.heaters[name].target == 0]
        if cold:
            names = ", ".join(cold)
            minutes = self._timeout.limit / 60
            log.warning("turned off %s: nobody used it for %g minutes", names, minutes)
            self._on_event(StateEvent("heaters_off", {"heaters": cold}))
        if left:
            self._report_failure(left, reason)

    def _report_failure(self, heaters: tuple[str, ...], reason: str) -> None:
        """Report once for each warning that something stays on."""
        if self._failure_reported:
            return
        self._failure_reported = True
        log.warning(
            "%s should have been turned off, because nobody uses it, and was not: %s; "
            "the bridge keeps trying",
            ", ".join(heaters),
            reason,
        )
        data = {"heaters": list(heaters), "reason": reason}
        self._on_event(StateEvent("heaters_stay_on", data))
