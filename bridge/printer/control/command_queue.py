"""The queue of commands for one printer, and queries that bypass it.

Commands are executed one at a time, in the order of arrival, and line by line: each
line waits for the ``ok`` of the one before. A query changes nothing and must be
answered soon, so queries have their own queue, and their lines are sent between two
lines of the running command.
"""

import asyncio
import time
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial

from bridge.commands import Command
from bridge.commands.base import Result, Steps
from bridge.errors import CommandError, ExpiredError, FailedError, RejectedError
from bridge.gcode.events import Done
from bridge.printer.control.planning import Plan
from bridge.printer.knowledge.observer import Observer
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session
from bridge.timeout import boottime, timeout

_STILL_CONNECTED = {"firmware_error", "timeout"}
"""Errors of a line after which lines that restore the modes can still be sent."""

Interrupted = Callable[[], CommandError | None]
"""Returns why a turn has ended early, because the next line would reach a firmware that
was stopped or reset since the last one; ``None`` if it has not."""


@dataclass(slots=True)
class Run:
    """How far one command came.

    Attributes:
        gcode: the lines that were sent.
        output: what the printer answered to them.
        warnings: what the sender should know although it did no harm.
        abandoned: the caller no longer waits; no further line must be sent.
        wanted: asked at the start of its turn, because commands that had their turn
            earlier may have made it needless.

    """

    gcode: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    abandoned: bool = False
    wanted: Callable[[], bool] | None = None


class Turns:
    """Gives turns one at a time, in the order of arrival; bounded, counted in lines.

    A few callers may go first. They have their own limit, so that a flood of others
    does not keep them out.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """How many lines may wait."""
        self._lock = asyncio.Lock()
        # Callers that do not go first queue here, so that at most one of them waits at
        # the lock, where it could be ahead of a caller that does.
        self._gate = asyncio.Lock()
        self._epoch = 0
        self._error: Callable[[], CommandError] | None = None
        self._lines = {False: 0, True: 0}

    @property
    def waiting(self) -> int:
        """Lines that are waiting or being executed."""
        return sum(self._lines.values())

    @asynccontextmanager
    async def turn(
        self, lines: int, *, first: bool = False, arrived: Interrupted | None = None
    ) -> AsyncIterator[Interrupted]:
        """Wait for a turn of so many lines; call what it yields before each of them.

        Args:
            lines: how many.
            first: go ahead of all that wait; the current turn is not disturbed.
            arrived: from :meth:`arrival`, if :meth:`interrupt` counts since then
                instead of since now.

        Raises:
            RejectedError: The queue is full; the caller does not wait.
            CommandError: :meth:`interrupt` was called meanwhile, with this error.

        """
        self.check_room(lines, first=first)
        interrupted = arrived or self.arrival()
        self._lines[first] += lines
        try:
            async with nullcontext() if first else self._gate, self._lock:
                if error := interrupted():
                    raise error
                yield interrupted
        finally:
            self._lines[first] -= lines

    def check_room(self, lines: int, *, first: bool = False) -> None:
        """Refuse a command of so many lines if the queue has no room for them.

        Raises:
            RejectedError: The queue is full.

        """
        before = self._lines[first]
        if before + lines > self.limit:
            raise RejectedError(
                f"{before} lines wait already, and the command has {lines}; "
                f"limits.queue allows {self.limit}",
                error="queue_full",
                code=429,
            )

    def arrival(self) -> Interrupted:
        """Mark this moment, for a caller that asks for its turn a little later."""
        return partial(self._since, self._epoch)

    def interrupt(self, error: Callable[[], CommandError]) -> None:
        """End the current turn and all waiting ones with this error."""
        self._epoch += 1
        self._error = error

    def _since(self, epoch: int) -> CommandError | None:
        return None if epoch == self._epoch or self._error is None else self._error()


class CommandQueue:
    """Executes commands, one at a time, in the order of arrival.

    Args:
        link: to the printer.
        observer: knows the printer's state, and takes in each line.
        limit: how many lines may wait.
        plan: returns what to send for a command, once it is its turn; it may take a
            while, during which the turn may be interrupted.

    """

    def __init__(
        self,
        link: Link,
        observer: Observer,
        limit: int,
        plan: Callable[[Command, Interrupted], Awaitable[Plan]],
    ) -> None:
        self._link = link
        self._observer = observer
        self._turns = Turns(limit)
        self._plan = plan
        self._tasks: set[asyncio.Task[None]] = set()
        self.arrival = self._turns.arrival
        self.interrupt = self._turns.interrupt
        self.check_room = self._turns.check_room

    @property
    def waiting(self) -> int:
        """Lines that are waiting or being executed."""
        return self._turns.waiting

    def allow(self, limit: int) -> None:
        """Change the number of lines that may wait; lines that are waiting may stay."""
        self._turns.limit = limit

    @property
    def session(self) -> Session | None:
        """The conversation with the printer, while there is one."""
        return self._link.session

    @property
    def busy(self) -> bool:
        """Whether commands are waiting or being executed."""
        return self._turns.waiting > 0

    async def execute(
        self,
        command: Command,
        lines: int,
        run: Run,
        *,
        expires: float | None,
        within: float | None,
    ) -> None:
        """Execute a command of so many lines when its turn comes.

        After ``within`` seconds, the caller gets an error; the line in flight
        continues. If the caller is cancelled, lines that have not been transmitted are
        withdrawn.

        Raises:
            CommandError: See :meth:`Printer.execute`.

        """
        # With ``within``, its task starts a moment later; a stop in between counts.
        arrived = self._turns.arrival()
        work = self._carry_out(command, lines, run, expires, arrived)
        if within is not None:
            task = self.start(work)
            await asyncio.wait({task}, timeout=within)
            if not task.done():
                run.abandoned = True
                raise timed_out(run, within)
            task.result()
            return
        # In the caller's own task: another one would cost a pass of the event loop.
        task_of_caller = asyncio.current_task()
        if task_of_caller is None or task_of_caller in self._tasks:
            await work
            return
        self._tasks.add(task_of_caller)
        try:
            await work
        finally:
            self._tasks.discard(task_of_caller)

    async def send_own(self, *lines: str) -> tuple[str, ...]:
        """Send lines of the bridge's own, ahead of the waiting commands.

        They are not checked, because they lead back to where the printer has been.
        Without any line, this only waits until no command is being executed.

        Returns:
            What the printer has answered.

        Raises:
            CommandError: The printer refused a line, was reset, or went away.

        """
        run = Run()
        async with self._turns.turn(0, first=True) as interrupted:
            for line in lines:
                error = await self._send_line(line, run, interrupted)
                self._observer.line_finished(line, None)
                if error is not None:
                    raise error
        return tuple(run.output)

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something in a task that has to end before the port is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finished(self, within: float) -> None:
        """Wait until no command is being executed; cancel those that are late.

        Args:
            within: seconds.

        """
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=within)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=within)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, CommandError):
            raise error

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
            if run.abandoned or (run.wanted is not None and not run.wanted()):
                return
            refuse_expired(expires)
            planned = await self._plan(command, interrupted)
            refuse_expired(expires)
            run.warnings[:] = planned.program.warnings
            if planned.program.offsets:
                self._observer.set_offsets(planned.program.offsets)
            if planned.program.choices:
                self._observer.choose(planned.program.choices)
            if error := await self._send(planned, run, interrupted):
                if run.abandoned and error.error == "firmware_error":
                    self._observer.report_unsolicited(error.message)
                raise error

    async def _send(
        self, planned: Plan, run: Run, interrupted: Interrupted
    ) -> CommandError | None:
        program = planned.program
        places = planned.places[: len(program.lines)]
        if len(program.lines) == 1 and not run.abandoned:
            error = await self._send_line(program.lines[0], run, interrupted)
            place = places[0] if error is None else None
            self._observer.line_finished(program.lines[0], place)
            if error is not None:
                self._observer.line_failed(program.lines[0])
        else:
            batch = Batch(program.lines, places, run, interrupted, self._observer)
            error = await batch.send(self._link.session)
        if error is None or error.error in _STILL_CONNECTED:
            for line in program.restore:
                error = await self._send_line(line, run, interrupted) or error
        return error

    async def _send_line(
        self, line: str, run: Run, interrupted: Interrupted
    ) -> CommandError | None:
        return interrupted() or await send_line(self._link, line, run, self._observer)


class Batch:
    """The lines of one command, streamed to the printer.

    Args:
        lines: what to send.
        places: where the head is after each of them.
        run: gets the lines and the printer's answers.
        interrupted: tells why the next line must not be sent.
        observer: takes in the effect of each line.

    """

    def __init__(
        self,
        lines: Sequence[str],
        places: Sequence[Coordinates],
        run: Run,
        interrupted: Interrupted,
        observer: Observer,
    ) -> None:
        self._lines = lines
        self._run = run
        self._interrupted = interrupted
        self._observer = observer
        self._unfinished = deque(zip(lines, places, strict=True))
        self._sent = 0  # of these, the first ones
        self._error: CommandError | None = None

    async def send(self, session: Session | None) -> CommandError | None:
        """Send the lines until one fails; return its error."""
        if not self._lines:
            return None
        if session is None or session.closed:
            return FailedError.disconnected("the printer went away")
        try:
            streaming = session.start_stream(
                self._source(), on_sent=self._note_sent, on_done=self._note_done
            )
            await streaming.finished()
        except FailedError as error:
            self._run.output.extend(error.output)
            self._error = self._error or error
        for _ in range(self._sent):
            line = self._unfinished.popleft()[0]
            self._observer.line_finished(line, None)
            self._observer.line_failed(line)
        return self._error

    def _source(self) -> Iterator[str]:
        for line in self._lines:
            if self._run.abandoned or self._error is not None:
                return
            self._error = self._interrupted()
            if self._error is not None:
                return
            yield line

    def _note_sent(self, line: str, _offset: int) -> None:
        self._run.gcode.append(line)
        self._sent += 1
        self._observer.line_sent(line)

    def _note_done(self, done: Done) -> None:
        line, place = self._unfinished.popleft()
        self._sent -= 1
        self._run.output.extend(done.output)
        self._observer.line_acknowledged()
        if done.errors:
            refused = FailedError.firmware("; ".join(done.errors))
            self._error = self._error or refused
        # The positions after a refused line were computed as if it had been executed.
        self._observer.line_finished(line, place if self._error is None else None)
        if done.errors:
            self._observer.line_failed(line)


class QuestionQueue:
    """Sends queries between the lines of a command, one at a time.

    Args:
        link: to the printer.
        limit: how many lines may wait.

    """

    def __init__(self, link: Link, limit: int) -> None:
        self._link = link
        self._turns = Turns(limit)
        self.interrupt = self._turns.interrupt

    def allow(self, limit: int) -> None:
        """Change the number of lines that may wait; lines that are waiting may stay."""
        self._turns.limit = limit

    async def ask(
        self,
        lines: Iterable[str],
        run: Run,
        *,
        expires: float | None,
        within: float | None,
    ) -> None:
        """Send lines that change nothing; ``run`` gets the printer's answers.

        Raises:
            CommandError: See :meth:`Printer.execute`.

        """
        try:
            async with timeout(within):
                await self._ask(tuple(lines), run, expires)
        except TimeoutError:
            error = timed_out(run, within)
            # It was withdrawn, or it was transmitted and is of no use without its
            # answer.
            run.gcode.clear()
            raise error from None

    async def _ask(
        self, lines: tuple[str, ...], run: Run, expires: float | None
    ) -> None:
        async with self._turns.turn(len(lines)) as interrupted:
            if expires is not None and boottime() >= expires:
                raise ExpiredError("the question waited too long in the queue")
            for line in lines:
                if error := interrupted() or await send_line(self._link, line, run):
                    raise error


def refuse_expired(expires: float | None) -> None:
    """Refuse a command that has expired.

    Args:
        expires: the time of :func:`bridge.timeout.boottime`; ``None``: it never is.

    Raises:
        ExpiredError: It is.

    """
    if expires is not None and boottime() >= expires:
        raise ExpiredError("the command waited too long in the queue")


SLICE = 0.0005
"""Seconds of work on one command before the event loop runs other callbacks. A message
needs several passes of the loop until it is a line on the wire, and each of them may
have to wait for one slice."""


async def in_slices(steps: Steps[Result], interrupted: Interrupted) -> Result:
    """Return the result of a computation, with pauses for other work of the event loop.

    Anything that takes less than one slice is done at once.

    Raises:
        CommandError: The computation raised it, or it was interrupted with it.

    """
    until = time.perf_counter() + SLICE
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            if error := interrupted():
                raise error
            until = time.perf_counter() + SLICE


async def send_line(
    link: Link, line: str, run: Run, observer: Observer | None = None
) -> CommandError | None:
    """Send one line, wait for its ``ok``, and note the result in ``run``.

    Args:
        link: to the printer.
        line: without a line break.
        run: gets the line and the printer's answer.
        observer: takes in the effect of a command's line. Without it the line is a
            question: it has no effect, and goes ahead of what the protocol holds back.

    """
    session = link.session
    if session is None or session.closed:
        return FailedError.disconnected("the printer went away")
    run.gcode.append(line)
    try:
        sent = session.send(line, ahead=observer is None)
        if observer is not None:
            observer.line_sent(line)  # after its bytes, which must not wait for this
        done = await session.acknowledged(sent)
    except FailedError as error:
        if not error.sent:
            run.gcode.pop()
        run.output.extend(error.output)
        return error
    run.output.extend(done.output)
    if observer is not None:
        observer.line_acknowledged()
    return FailedError.firmware("; ".join(done.errors)) if done.errors else None


def timed_out(run: Run, within: float | None) -> CommandError:
    """Return the error for a caller whose timeout has expired."""
    if not run.gcode:
        return RejectedError(
            f"timed out after {within:g} s in the queue; nothing was sent",
            error="timeout",
            code=408,
        )
    return FailedError.timeout(
        f"the printer did not finish within {within:g} s; the line in flight continues"
    )
