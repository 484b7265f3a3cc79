"""One printer: what we know about it, what it is told, and what becomes of that."""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from bridge.commands import Command, Context
from bridge.commands.base import ScriptLibrary
from bridge.config import Limits, Telemetry
from bridge.config import Printer as PrinterConfig
from bridge.errors import CommandError, ExpiredError, FailedError
from bridge.gcode import replies
from bridge.gcode.dialects import UNKNOWN, Dialect
from bridge.gcode.events import Connected, Restarted
from bridge.printer import events, safety
from bridge.printer import state as knowledge
from bridge.printer.history import History
from bridge.printer.link import Closed, Link, LinkEvent, Opened, Place, Ready
from bridge.printer.model import PrinterState, Problem
from bridge.printer.planning import Plan, context_of, plan, situation_of
from bridge.printer.polls import wanted_polls
from bridge.printer.session import Session
from bridge.printer.setup import Identity, ask
from bridge.printer.turns import Turns
from bridge.printer.wire_log import Entry, WireLog

POLL_INTERVAL = 0.25  # how finely the intervals of the polls are kept
STOP_MESSAGE = "the emergency stop was asked for; reset the printer to go on"


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


class Printer:
    """One printer, connected or not; everything happens in one event loop.

    ``on_change`` is called after every change of ``state``, ``on_event`` for what
    happened, ``on_entry`` for every line on the wire.
    """

    def __init__(  # noqa: PLR0913 - its parts of the configuration and its listeners
        self,
        config: PrinterConfig,
        *,
        telemetry: Telemetry,
        limits: Limits,
        on_change: Callable[[], None],
        on_event: Callable[[events.Event], None],
        on_entry: Callable[[Entry], None],
        scripts: ScriptLibrary | None = None,
        taken: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.config = config
        self.state = knowledge.initial(config.profile)
        self.history = History(telemetry.history)
        self.identity: Identity | None = None
        self.place: Place | None = None
        self.scripts = scripts
        self.wire = WireLog(on_entry)
        self.turns = Turns(limits.queue)
        self._telemetry = telemetry
        self._on_change = on_change
        self._on_event = on_event
        self._at: Mapping[str, float] = {}
        self._works: set[asyncio.Task[None]] = set()
        self.link = Link(
            config.serial,
            interval=telemetry.interval,
            on_event=self._heard,
            attend=self._attend,
            wire=self.wire,
            taken=taken,
        )

    @property
    def dialect(self) -> Dialect:
        """How the firmware speaks, as far as it is known."""
        if self.link.session is not None:
            return self.link.session.protocol.dialect
        return self.identity.dialect if self.identity else UNKNOWN

    async def run(self) -> None:
        """Keep the printer connected until cancelled; then free its port."""
        try:
            await self.link.run()
        finally:
            self._become(knowledge.disconnected(self.state))
            for work in list(self._works):
                work.cancel()
            await asyncio.gather(*self._works, return_exceptions=True)

    def plan(self, command: Command) -> Plan:
        """Return what would be sent for a command now.

        Raises:
            RejectedError: It must not be sent.

        """
        config, state, dialect = self.config, self.state, self.dialect
        rules = safety.Rules(
            profile=config.profile,
            blocked=config.blocked,
            modal=state.modal,
            position=self._at,
            e_follows_axes=dialect.e_follows_axes,
        )
        situation = situation_of(state, config.profile)
        return plan(command, self._context(), situation, rules)

    async def execute(
        self,
        command: Command,
        run: Run,
        *,
        expires: float | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the printer goes on after it
    ) -> None:
        """Carry out a command; ``run`` tells how far it came, whatever happens.

        Args:
            command: what to do.
            run: filled while it goes on.
            expires: epoch seconds after which it must not begin.
            timeout: seconds after which the caller wants to know.

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
        elif program.urgent and self.link.session is not None:
            run.gcode.extend(program.lines)
            self.link.session.urgent(*program.lines)
            for line in program.lines:
                self._sent(line)
        elif program.gcode or program.offsets:
            work = self._begin(
                self._carry_out(command, len(program.gcode), run, expires)
            )
            try:
                async with asyncio.timeout(timeout):
                    await asyncio.shield(work)
            except TimeoutError:
                run.abandoned = True
                raise FailedError.timeout(
                    f"the printer did not finish within {timeout:g} s; "
                    "the line it works on goes on"
                ) from None

    def stop(self) -> None:
        """Stop the machine at once, past everything that waits."""
        session = self.link.session
        if session is not None:
            session.urgent("M112")
            session.halt("emergency_stopped", STOP_MESSAGE)
        self.turns.interrupt(partial(FailedError.stopped, STOP_MESSAGE))
        self._become(
            knowledge.failed(
                self.state, self._problem("emergency_stop", STOP_MESSAGE, "stopped")
            )
        )

    def _restarts(self, command: Command, run: Run) -> bool:
        """Let a halted firmware have the lines that bring it back, and no others."""
        session = self.link.session
        if session is None or not session.protocol.halted:
            return False
        lines = command.program(self._context()).gcode
        if not lines or any(line not in self.dialect.restart for line in lines):
            return False
        run.gcode.extend(lines)
        session.urgent(*lines)
        return True

    def _context(self) -> Context:
        return context_of(self.state, self.config, self.dialect, self.scripts)

    def acknowledge(self) -> None:
        """Forget the last error: a person has seen it."""
        self._become(knowledge.acknowledged(self.state))

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

    async def _carry_out(
        self, command: Command, lines: int, run: Run, expires: float | None
    ) -> None:
        async with self.turns.turn(lines):
            if run.abandoned:
                return
            if expires is not None and time.time() >= expires:
                raise ExpiredError("the command waited too long for its turn")
            planned = self.plan(command)
            program = planned.program
            self._become(knowledge.with_offsets(self.state, program.offsets))
            self._at = {}
            error: CommandError | None = None
            for line in program.lines:
                if run.abandoned or error is not None:
                    break
                error = await self._line(line, run)
            if error is None or error.error in {"firmware_error", "timeout"}:
                for line in program.restore:
                    error = await self._line(line, run) or error
            if error is not None:
                raise error
            self._at = planned.arrives

    async def _line(self, line: str, run: Run) -> CommandError | None:
        session = self.link.session
        if session is None:
            return FailedError.disconnected("the printer went away")
        run.gcode.append(line)
        self._sent(line)
        try:
            done = await session.line(line)
        except FailedError as error:
            if not error.sent:
                run.gcode.pop()
            run.output.extend(error.output)
            return error
        run.output.extend(done.output)
        self._apply(replies.Ok())
        return FailedError.firmware("; ".join(done.errors)) if done.errors else None

    def _heard(self, event: LinkEvent) -> None:
        match event:
            case Opened():
                self._become(self._still_stopped(knowledge.connecting(self.state)))
            case Connected():
                return  # it answers, but who it is comes next
            case Ready(identity, place):
                self.identity, self.place = identity, place
                known = knowledge.connected(self.state, dialect=identity.dialect)
                self._become(known)
            case Restarted():
                self._lost("the printer was reset")
                self._become(knowledge.reset(self.state, now=self._now()))
            case Closed(reason):
                self._lost(reason)
                self._closed(reason)
            case _:
                self._said(event)

    def _lost(self, reason: str) -> None:
        self.turns.interrupt(partial(FailedError.disconnected, reason))

    def _closed(self, reason: str) -> None:
        problem = None
        if self.state.link == "operational":
            problem = self._problem("connection", reason, "disconnected")
        self._become(self._still_stopped(knowledge.disconnected(self.state, problem)))

    @staticmethod
    def _still_stopped(state: PrinterState) -> PrinterState:
        """Keep saying ``error``: why it stopped matters more than that it is away."""
        problem = state.problem
        if problem is None or problem.consequence == "disconnected":
            return state
        return replace(state, link="error")

    def _problem(self, reason: str, error: str, consequence: str) -> Problem:
        return Problem(
            error=error,
            reason=reason,
            consequence=consequence,
            logs=tuple(self.wire.tail),
            time=self._now(),
        )

    def _said(self, reply: replies.Reply) -> None:
        self._apply(reply)
        if isinstance(reply, replies.Position):
            self._at = _coordinates(self.state)
        elif isinstance(reply, replies.Temperatures):
            self.history.add(self.state.heaters, self._now())
        session = self.link.session
        if session is None:
            return
        if self.state.link == "error" and not session.protocol.halted:
            problem = self.state.problem
            message = problem.error if problem else "the firmware has stopped"
            self._become(knowledge.with_logs(self.state, self.wire.tail))
            session.halt("firmware_error", message)
            self.turns.interrupt(partial(FailedError.firmware, message))
            if self.dialect.state_query:
                session.urgent(self.dialect.state_query)  # it tells the reason late
        elif isinstance(reply, replies.Readiness) and reply.state == "ready":
            session.restart()

    def _sent(self, line: str) -> None:
        self._become(
            knowledge.sent(
                self.state,
                line,
                now=self._now(),
                dialect=self.dialect,
                profile=self.config.profile,
            )
        )

    def _apply(self, reply: replies.Reply) -> None:
        self._become(
            knowledge.apply(
                self.state,
                reply,
                now=self._now(),
                dialect=self.dialect,
                profile=self.config.profile,
            )
        )

    def _become(self, state: PrinterState) -> None:
        before, self.state = self.state, state
        if state is before or state == before:
            return
        for event in events.diff(before, state):
            self._on_event(event)
        self._on_change()

    async def _attend(self, session: Session) -> None:
        """Keep what we know fresh, as long as the printer can be used."""
        due: dict[str, float] = {}
        while True:
            now = self._now()
            polls = wanted_polls(
                self.state, dialect=self.dialect, interval=self._telemetry.interval
            )
            for poll in polls:
                if due.get(poll.line, now) <= now:
                    due[poll.line] = now + poll.interval
                    await ask(session, poll.line)
            await asyncio.sleep(POLL_INTERVAL)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _coordinates(state: PrinterState) -> Mapping[str, float]:
    place = state.position
    if place is None:
        return {}
    known = {"x": place.x, "y": place.y, "z": place.z}
    return known if place.e is None else {**known, "e": place.e}
