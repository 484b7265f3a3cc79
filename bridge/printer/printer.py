"""One printer: what it is told, one command at a time, and what becomes of that."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from bridge.commands import Command, Context, Program
from bridge.commands.base import ScriptLibrary
from bridge.config import Limits, Telemetry
from bridge.config import Printer as PrinterConfig
from bridge.errors import CommandError, ExpiredError, FailedError
from bridge.gcode.events import Restarted
from bridge.printer import hooks, safety
from bridge.printer.events import Event
from bridge.printer.history import History
from bridge.printer.link import Link
from bridge.printer.link_events import Closed, LinkEvent, Place
from bridge.printer.model import PrinterState
from bridge.printer.observer import Observer
from bridge.printer.planning import Plan, context_of, plan, situation_of
from bridge.printer.polls import wanted_polls
from bridge.printer.session import Session
from bridge.printer.setup import ask
from bridge.printer.turns import Interrupted, Turns
from bridge.printer.wire_log import Entry, WireLog

log = logging.getLogger("bridge.printer")

LEAVE = 1.0  # seconds that the last script has
POLL_INTERVAL = 0.25  # how finely the intervals of the polls are kept
STOP_MESSAGE = "the emergency stop was asked for; reset the printer to go on"
_STILL_THERE = {"firmware_error", "timeout"}
_UNREADY = {"shutdown", "not_ready", "disconnect"}


@dataclass(slots=True)
class Run:
    """How far one command came.

    Attributes:
        gcode: the lines that were sent.
        output: what the printer said to them.
        abandoned: nobody waits for it any more; no further line is to be sent.

    """

    gcode: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    abandoned: bool = False


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
        self._works: set[asyncio.Task[None]] = set()

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
            await self._take_leave()
            self._interrupt("the bridge is shutting down")
            link.cancel()
            await asyncio.gather(link, return_exceptions=True)
            self.observer.left()
            # They end by themselves, so that whoever waits gets an answer.
            await asyncio.gather(*self._works, return_exceptions=True)

    def plan(self, command: Command) -> Plan:
        """Return what would be sent for a command now.

        Raises:
            RejectedError: It must not be sent.

        """
        profile, state = self.config.profile, self.state
        rules = safety.Rules(
            profile=profile,
            blocked=self.config.blocked,
            modal=state.modal,
            position=self.observer.at,
            e_follows_axes=self.observer.dialect.e_follows_axes,
        )
        return plan(command, self._context(), situation_of(state, profile), rules)

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
            run.gcode.extend(program.lines)
            self.stop()
        elif program.urgent:
            self._hurry(program.lines, run)
        elif program.gcode or program.offsets:
            work = self._carry_out(command, len(program.gcode), run, expires)
            await self._wait(self._begin(work), run, within)

    def stop(self) -> None:
        """Stop the machine at once, past everything that waits."""
        if self.link.session is not None:
            self.link.session.urgent("M112")
            self.link.session.halt("emergency_stopped", STOP_MESSAGE)
        self.turns.interrupt(partial(FailedError.stopped, STOP_MESSAGE))
        self.observer.stopped("emergency_stop", STOP_MESSAGE)

    def _hurry(self, lines: Collection[str], run: Run) -> None:
        if self.link.session is None:
            raise FailedError.disconnected("the printer is away")
        run.gcode.extend(lines)
        for line in lines:
            self.observer.sent(line)
        self.link.session.urgent(*lines)

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

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._works.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CommandError):
            raise error

    @staticmethod
    async def _wait(work: asyncio.Task[None], run: Run, within: float | None) -> None:
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(work)
        except TimeoutError:
            run.abandoned = True
            raise FailedError.timeout(
                f"the printer did not finish within {within:g} s; the line it works on "
                "goes on"
            ) from None

    async def _carry_out(
        self, command: Command, lines: int, run: Run, expires: float | None
    ) -> None:
        async with self.turns.turn(lines) as interrupted:
            if run.abandoned:
                return
            if expires is not None and time.time() >= expires:
                raise ExpiredError("the command waited too long for its turn")
            planned = self.plan(command)
            program = planned.program
            if program.offsets:
                self.observer.offsets(program.offsets)
            if program.gcode:
                self.observer.at = {}  # until it is known how far this came
            if error := await self._send(program, run, interrupted):
                raise error
            if not run.abandoned:
                self.observer.at = planned.arrives

    async def _send(
        self, program: Program, run: Run, interrupted: Interrupted
    ) -> CommandError | None:
        error: CommandError | None = None
        for line in program.lines:
            if run.abandoned or error is not None:
                break
            error = interrupted() or await self._line(line, run)
        if error is None or error.error in _STILL_THERE:
            for line in program.restore:
                error = interrupted() or await self._line(line, run) or error
        return error

    async def _line(self, line: str, run: Run) -> CommandError | None:
        session = self.link.session
        if session is None or session.closed:
            return FailedError.disconnected("the printer went away")
        run.gcode.append(line)
        self.observer.sent(line)
        try:
            done = await session.line(line)
        except FailedError as error:
            if not error.sent:
                run.gcode.pop()
            run.output.extend(error.output)
            return error
        run.output.extend(done.output)
        self.observer.taken()
        return FailedError.firmware("; ".join(done.errors)) if done.errors else None

    async def _take_leave(self) -> None:
        if self.state.link == "operational" and not self.state.job.active:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE):
                    await self._run_hook(hooks.LEAVING)

    def _happened(self, event: Event) -> None:
        self._listeners.on_event(event)
        if name := hooks.BY_EVENT.get(event.name):
            self._begin(self._run_hook(name, event))

    async def _run_hook(self, name: str, event: Event | None = None) -> None:
        if self.scripts is None or not self.scripts.has(name):
            return
        try:
            await self.execute(hooks.hook(name, event), Run())
        except CommandError as error:
            log.warning("the script %s did not run: %s", name, error.message)

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
        if self.state.link == "error" and not session.protocol.halted:
            self._halt(session)
        elif self.state.readiness == "ready" and before in _UNREADY:
            session.restart()

    def _interrupt(self, reason: str) -> None:
        self.turns.interrupt(partial(FailedError.disconnected, reason))

    def _halt(self, session: Session) -> None:
        """Give up what waits for a firmware that has stopped for good."""
        problem = self.state.problem
        message = problem.error if problem else "the firmware has stopped"
        self.observer.evidence()
        session.halt("firmware_error", message)
        self.turns.interrupt(partial(FailedError.firmware, message))
        if query := self.observer.dialect.state_query:
            session.urgent(query)  # the reason comes late, and only when asked for

    async def _attend(self, session: Session) -> None:
        """Keep what we know fresh, as long as the printer can be used."""
        due: dict[str, float] = {}
        while True:
            now = self.observer.clock()
            polls = wanted_polls(
                self.state, dialect=self.observer.dialect, interval=self._interval
            )
            for poll in polls:
                if due.get(poll.line, now) <= now:
                    due[poll.line] = now + poll.interval
                    await ask(session, poll.line)
            await asyncio.sleep(POLL_INTERVAL)
