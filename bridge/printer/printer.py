"""One printer: what it is told, one command at a time, and what becomes of that."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from operator import is_

from bridge.commands import Command, Context
from bridge.commands.base import ScriptLibrary
from bridge.config import Limits, Telemetry
from bridge.config import Printer as PrinterConfig
from bridge.errors import CommandError, FailedError
from bridge.gcode.events import Restarted
from bridge.gcode.reply_types import TemperatureReport
from bridge.printer.control import hooks
from bridge.printer.control.attendance import attend
from bridge.printer.control.executor import Executor, Run
from bridge.printer.control.hook_runner import HookRunner
from bridge.printer.control.idle import IdleHeaters
from bridge.printer.control.idle_watch import IdleWatch
from bridge.printer.control.insistence import Insistence
from bridge.printer.control.planning import Plan, context_of, plan, situation_of
from bridge.printer.control.questions import Questions
from bridge.printer.control.turns import Turns
from bridge.printer.knowledge.events import Event
from bridge.printer.knowledge.history import History
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.observer import Observer
from bridge.printer.limits import safety
from bridge.printer.link.events import Closed, LinkEvent, Place
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.printer.link.wire_log import Entry, WireLog

log = logging.getLogger("bridge.printer")

STOP_MESSAGE = "the emergency stop was asked for; reset the printer to go on"
IN_VAIN = "the printer goes on although the stop was repeated; cut its power"
_STOP = "M112"
_UNREADY = {"shutdown", "not_ready", "disconnect"}


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who wants to know about a printer; called in the event loop, must not block.

    Attributes:
        on_change: after every change of the state.
        on_event: when something happened.
        on_entry: with every line on the wire.

    """

    on_change: Callable[[], None]
    on_event: Callable[[Event], None]
    on_entry: Callable[[Entry], None]


class Printer:
    """One printer, connected or not; everything happens in one event loop."""

    def __init__(  # noqa: PLR0913 - its parts of the configuration
        self,
        config: PrinterConfig,
        listeners: Listeners,
        *,
        telemetry: Telemetry,
        limits: Limits,
        scripts: ScriptLibrary | None = None,
        taken: Callable[[], Collection[str]] = tuple,
        found: Place | None = None,
    ) -> None:
        self.config = config
        self.scripts = scripts
        self.turns = Turns(limits.queue)
        wire = WireLog(listeners.on_entry)
        self.observer = Observer(
            config,
            history=History(telemetry.history),
            wire=wire,
            clock=asyncio.get_running_loop().time,
            on_change=listeners.on_change,
            on_event=self._happened,
        )
        self._listeners = listeners
        self._hooks = HookRunner(scripts, lambda: self.state, self.execute)
        self.link = Link(
            config.serial,
            interval=telemetry.interval,
            on_event=self._heard,
            attend=self._attend,
            wire=wire,
            taken=taken,
            found=found,
        )
        self._interval = telemetry.interval
        self._last: tuple[tuple[object, ...], Plan] | None = None
        self._insistence = Insistence()
        self._idle = IdleHeaters(config.profile.idle_heaters * 60)
        self.executor = Executor(self.link, self.observer, self.turns, self._due)
        self._questions = Questions(self.link, limits.queue)

    @property
    def state(self) -> PrinterState:
        """Everything that is known of it."""
        return self.observer.state

    async def run(self) -> None:
        """Keep the printer connected until cancelled; then free its port."""
        link = asyncio.create_task(self.link.run())
        try:
            await asyncio.shield(link)
        finally:
            await self._hooks.leave()
            self._interrupt("the bridge is shutting down")
            self.link.leave()
            link.cancel()
            await asyncio.gather(link, return_exceptions=True)
            self.observer.left()
            # They end by themselves, so that whoever waits gets an answer.
            await self.executor.finished()

    def plan(self, command: Command) -> Plan:
        """Return what would be sent for a command now.

        Raises:
            RejectedError: It must not be sent.

        """
        profile, state = self.config.profile, self.state
        basis = (command, state, self.observer.at, self.observer.dialect)
        if self._last is not None and all(map(is_, basis, self._last[0])):
            return self._last[1]  # its turn came before anything has changed
        rules = safety.Rules(
            profile=profile,
            blocked=self.config.blocked,
            modal=state.modal,
            position=self.observer.at,
            g90_sets_extruder=self.observer.dialect.g90_sets_extruder,
            only_m82_sets_extruder=self.observer.dialect.only_m82_sets_extruder,
        )
        planned = plan(command, self._context(), situation_of(state, profile), rules)
        self._last = (basis, planned)
        return planned

    def _due(self, command: Command) -> Plan:
        """Return what to send in its turn; a script may have become a stop by then."""
        planned = self.plan(command)
        if planned.program.emergency:
            self.stop()
            raise FailedError.stopped(STOP_MESSAGE)
        return planned

    async def execute(
        self,
        command: Command,
        run: Run,
        *,
        expires: float | None = None,
        within: float | None = None,
    ) -> None:
        """Carry out a command; ``run`` tells how far it came, whatever happens.

        Args:
            command: what to do.
            run: filled while it goes on.
            expires: epoch seconds after which it must not begin.
            within: seconds after which the caller wants to know; the line that the
                printer works on then goes on, and is the last.

        Raises:
            RejectedError: Nothing was sent, for a reason of now.
            ExpiredError: Nothing was sent, because its turn came too late.
            FailedError: The printer refused, did not answer, or went away.

        """
        if self._restarts(command, run):
            return
        program = self.plan(command).program
        if program.emergency:
            self.stop()
            run.gcode.extend(program.lines)
        elif program.urgent:
            self._hurry(program.lines, run)
        elif program.gcode and command.tier == "read":
            await self._questions.ask(
                program.gcode, run, expires=expires, within=within
            )
        elif program.gcode or program.offsets:
            await self.executor.execute(
                command, len(program.gcode), run, expires=expires, within=within
            )

    def stop(self) -> None:
        """Stop the machine at once, past everything that waits.

        Raises:
            FailedError: There is no link to send anything over.

        """
        session = self.link.session
        if session is None or session.closed:
            raise FailedError.disconnected(
                "the printer is away, so nothing could be sent; cut its power"
            )
        session.urgent(_STOP)
        session.halt("emergency_stopped", STOP_MESSAGE)
        self._give_up(partial(FailedError.stopped, STOP_MESSAGE))
        self.observer.stopped("emergency_stop", STOP_MESSAGE)
        self._insistence.begin(self.observer.clock())

    def _insist(self, session: Session) -> None:
        problem, now = self.state.problem, self.observer.clock()
        if not self.state.halted or problem is None or problem.consequence != "stopped":
            return
        if self._insistence.again(now):
            log.warning("the printer goes on after the stop, which is repeated")
            session.urgent(_STOP)
        elif self._insistence.in_vain(now):
            log.error("%s", IN_VAIN)
            self.observer.stopped("emergency_stop", IN_VAIN)

    def _hurry(self, lines: Collection[str], run: Run) -> None:
        session = self.link.session
        if session is None or session.closed:
            raise FailedError.disconnected("the printer is away")
        session.urgent(*lines)
        run.gcode.extend(lines)
        for line in lines:
            self.observer.sent(line)

    def _restarts(self, command: Command, run: Run) -> bool:
        """Let a halted firmware have the lines that bring it back, and no others."""
        session = self.link.session
        if session is None or not session.protocol.halted:
            return False
        lines = command.program(self._context()).gcode
        if not lines or any(x not in self.observer.dialect.restart for x in lines):
            return False
        run.gcode.extend(lines)
        session.urgent(*lines)
        return True

    def _context(self) -> Context:
        return context_of(self.state, self.config, self.observer.dialect, self.scripts)

    def _happened(self, event: Event) -> None:
        self._listeners.on_event(event)
        if name := hooks.BY_EVENT.get(event.name):
            self.executor.begin(self._hooks.run(name, event))

    def _heard(self, event: LinkEvent) -> None:
        match event:
            case Restarted():
                self._interrupt("the printer was reset")
            case Closed(reason):
                self._interrupt(reason)
        before = self.state.readiness
        self.observer.heard(event)
        session = self.link.session
        if session is None:
            return
        if self.state.halted and not session.protocol.halted:
            self._halt(session)
        elif isinstance(event, TemperatureReport):
            self._insist(session)
        elif self.state.readiness == "ready" and before in _UNREADY:
            session.restart()

    def _interrupt(self, reason: str) -> None:
        self._give_up(partial(FailedError.disconnected, reason))

    def _give_up(self, error: Callable[[], CommandError]) -> None:
        self.turns.interrupt(error)
        self._questions.interrupt(error)

    def _halt(self, session: Session) -> None:
        """Give up what waits for a firmware that has stopped for good."""
        problem = self.state.problem
        message = problem.error if problem else "the firmware has stopped"
        self.observer.evidence()
        session.halt("firmware_error", message)
        self._give_up(partial(FailedError.firmware, message))
        if query := self.observer.dialect.state_query:
            session.urgent(query)  # the reason comes late, and only when asked for

    async def _attend(self, session: Session) -> None:
        """Keep what we know fresh, as long as the printer can be used."""
        idle = IdleWatch(
            session,
            self.observer,
            self.executor,
            on_event=self._happened,
            heaters=self._idle,
        )
        await attend(session, self.observer, idle, interval=self._interval)
