"""Commands in their turn: each carried out line by line, whoever waits for it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

from bridge.commands import Command
from bridge.errors import CommandError, ExpiredError, FailedError, RejectedError
from bridge.gcode.events import Done
from bridge.printer.control.planning import Plan
from bridge.printer.control.turns import Interrupted, Turns
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session

_STILL_THERE = {"firmware_error", "timeout"}


@dataclass(slots=True)
class Run:
    """How far one command came.

    Attributes:
        gcode: the lines that were sent.
        output: what the printer said to them.
        abandoned: nobody waits for it any more; no further line is to be sent.
        wanted: asked when its turn comes, as others had theirs before.

    """

    gcode: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    abandoned: bool = False
    wanted: Callable[[], bool] = lambda: True


class Executor:
    """Sends what commands become; one command at a time, in the order of arrival."""

    def __init__(
        self,
        link: Link,
        observer: Observer,
        turns: Turns,
        plan: Callable[[Command], Plan],
    ) -> None:
        self._link = link
        self._observer = observer
        self._turns = turns
        self._plan = plan
        self._works: set[asyncio.Task[None]] = set()

    async def execute(
        self,
        command: Command,
        lines: int,
        run: Run,
        *,
        expires: float | None,
        within: float | None,
    ) -> None:
        """Carry out a command of so many lines when its turn comes.

        It outlives a caller whose ``within`` is over. One who is cancelled without it
        takes back what has not left yet.

        Raises:
            CommandError: As :meth:`Printer.execute` says.

        """
        # Its turn may begin a moment later; a stop in between must find it.
        arrived = self._turns.arrived()
        work = self._carry_out(command, lines, run, expires, arrived)
        if within is None:
            await self._stay(work)
        else:
            await self._wait(self.begin(work), run, within)

    @property
    def busy(self) -> bool:
        """Commands wait, or are being carried out."""
        return self._turns.waiting > 0

    async def finished(self) -> None:
        """Wait until nothing is being carried out any more."""
        if self._works:
            await asyncio.wait(set(self._works))

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Let something go on that the printer must not be closed before."""
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._works.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CommandError):
            raise error

    async def _stay(self, work: Coroutine[None, None, None]) -> None:
        """Do it in the caller's own task: another would cost a turn of the loop."""
        task = asyncio.current_task()
        if task is None or task in self._works:
            await work
            return
        self._works.add(task)
        try:
            await work
        finally:
            self._works.discard(task)

    @staticmethod
    async def _wait(work: asyncio.Task[None], run: Run, within: float | None) -> None:
        await asyncio.wait({work}, timeout=within)  # whoever waits, it goes on
        if not work.done():
            run.abandoned = True
            raise impatient(run, within)
        work.result()

    async def _carry_out(
        self,
        command: Command,
        lines: int,
        run: Run,
        expires: float | None,
        arrived: Interrupted,
    ) -> None:
        turn = self._turns.turn(lines, first=command.first, arrived=arrived)
        async with turn as interrupted:
            if run.abandoned or not run.wanted():
                return
            if expires is not None and time.time() >= expires:
                raise ExpiredError("the command waited too long for its turn")
            planned = self._plan(command)
            program = planned.program
            if program.offsets:
                self._observer.offsets(program.offsets)
            if error := await self._send(planned, run, interrupted):
                if run.abandoned and error.error == "firmware_error":
                    self._observer.complained(error.message)
                raise error

    async def _send(
        self, planned: Plan, run: Run, interrupted: Interrupted
    ) -> CommandError | None:
        program = planned.program
        error: CommandError | None = None
        places = planned.places[: len(program.lines)]
        for line, place in zip(program.lines, places, strict=True):
            if run.abandoned or error is not None:
                break
            error = interrupted() or await self._line(line, run)
            self._observer.arrived(line, place if error is None else {})
        if error is None or error.error in _STILL_THERE:
            for line in program.restore:
                error = interrupted() or await self._line(line, run) or error
        return error

    async def _line(self, line: str, run: Run) -> CommandError | None:
        session = self._link.session
        if session is None or session.closed:
            return FailedError.disconnected("the printer went away")
        done = await transmit(session, line, run, sent=self._observer.sent)
        if isinstance(done, FailedError):
            return done
        self._observer.taken()
        return FailedError.firmware("; ".join(done.errors)) if done.errors else None


async def transmit(
    session: Session,
    line: str,
    run: Run,
    *,
    ahead: bool = False,
    sent: Callable[[str], None] | None = None,
) -> Done | FailedError:
    """Send one line, and note in ``run`` what became of it.

    ``sent`` is told of the line when the session has it: to work out what comes of it
    must not hold up its bytes.
    """
    run.gcode.append(line)
    try:
        on_way = session.send(line, ahead=ahead)
        if sent is not None:
            sent(line)
        done = await session.taken(on_way)
    except FailedError as error:
        if not error.sent:
            run.gcode.pop()
        run.output.extend(error.output)
        return error
    run.output.extend(done.output)
    return done


def impatient(run: Run, within: float | None) -> CommandError:
    """Return the error of a caller who waits no longer."""
    if not run.gcode:
        return RejectedError(
            f"its turn did not come within {within:g} s; nothing was sent",
            error="timeout",
            code=408,
        )
    return FailedError.timeout(
        f"the printer did not finish within {within:g} s; the line it works on goes on"
    )
