"""Turns heaters off that nobody uses, in time and not without a warning."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bridge.errors import CommandError
from bridge.printer.control import idle
from bridge.printer.control.executor import Executor, Run
from bridge.printer.knowledge.events import Event
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.session import Session
from bridge.printer.link.setup import ask
from bridge.printer.published.views import whole_second
from bridge.timestamps import timestamp

log = logging.getLogger("bridge.printer")

PAUSE = 1.0
"""Seconds until the place is asked for again."""

NOWHERE = "the printer does not tell any more where its head is, so it may be printing"


class IdleWatch:
    """Looks after the heaters of one printer, from a connection to its end.

    Args:
        session: the conversation with it.
        observer: what is known of it.
        executor: carries out what others want, and what turns heaters off.
        on_event: hears of the warning and the end.
        heaters: knows when they go off.

    """

    def __init__(
        self,
        session: Session,
        observer: Observer,
        executor: Executor,
        *,
        on_event: Callable[[Event], None],
        heaters: idle.IdleHeaters,
    ) -> None:
        self._session = session
        self._observer = observer
        self._executor = executor
        self._on_event = on_event
        self._idle = heaters
        heaters.connected(observer.state, observer.clock())
        self._turning_off = False
        self._complained = False
        self._ask_at = 0.0

    async def look(self) -> None:
        """Do what is due; to be called several times a second.

        Raises:
            FailedError: The link or the printer went away.

        """
        if self._turning_off:
            return
        state, now = self._observer.state, self._observer.clock()
        if self._idle.due(state, now, busy=self._executor.busy):
            await self._decide()
        state = self._observer.state
        if state.heaters_off_at != self._idle.off_at:
            self._observer.become(replace(state, heaters_off_at=self._idle.off_at))

    async def _decide(self) -> None:
        if not await self._place_is_known():
            return
        state, now = self._observer.state, self._observer.clock()
        match self._idle.decide(state, now, busy=self._executor.busy):
            case "warn":
                self._complained = False
                self._warn(idle.heaters_on(state), time.time() - now)
            case "turn_off":
                self._turning_off = True
                self._executor.begin(self._turn_off())

    async def _place_is_known(self) -> bool:
        """Ask where the head is; without an answer it may be on its way in a print."""
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
        if self._idle.off_at is not None and now >= self._idle.off_at:
            self._complain(idle.heaters_on(state), NOWHERE)
        return False

    def _warn(self, heaters: tuple[str, ...], epoch: float) -> None:
        moment = whole_second(self._idle.off_at, epoch)
        off_at = None if moment is None else timestamp(moment)
        data = {"heaters": list(heaters), "off_at": off_at}
        self._on_event(Event("heaters_idle", data))

    async def _turn_off(self) -> None:
        try:
            told, reason = await self._tell_printer()
            # Whatever it says now counts; what it refused was believed for a moment.
            await ask(self._session, "M105")
            self._conclude(told, reason)
        finally:
            self._turning_off = False

    async def _tell_printer(self) -> tuple[list[str], str]:
        """Turn off what is on; return what took it, and why the last one did not."""
        told, reason = [], "it goes on heating"
        for name in idle.heaters_on(self._observer.state):
            run = Run(wanted=partial(self._still_idle, name))
            try:
                await self._executor.execute(
                    idle.off(name), 1, run, expires=None, within=None
                )
                told += [name] if run.gcode else []
            except CommandError as error:
                reason = error.message
            self._idle.ours(len(run.gcode))
        return told, reason

    def _still_idle(self, heater: str) -> bool:
        state = self._observer.state
        # One that shares its nozzle is off with the other.
        return self._idle.is_idle(state) and bool(state.heaters[heater].target)

    def _conclude(self, told: list[str], reason: str) -> None:
        state = self._observer.state
        left = self._idle.tried(state, self._observer.clock())
        cold = [name for name in told if state.heaters[name].target == 0]
        if cold:
            names = ", ".join(cold)
            minutes = self._idle.limit / 60
            log.warning("turned off %s: nobody used it for %g minutes", names, minutes)
            self._on_event(Event("heaters_off", {"heaters": cold}))
        if left:
            self._complain(left, reason)

    def _complain(self, heaters: tuple[str, ...], reason: str) -> None:
        """Say once that something stays on in spite of the warning."""
        if self._complained:
            return
        self._complained = True
        log.warning(
            "%s should go off, as nobody uses it, and did not: %s; it is tried again",
            ", ".join(heaters),
            reason,
        )
        data = {"heaters": list(heaters), "reason": reason}
        self._on_event(Event("heaters_stay_on", data))
