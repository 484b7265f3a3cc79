"""Executes commands about the prints that the bridge streams to the printer."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from bridge.commands import Command
from bridge.commands.job import (
    Cancel,
    Exclude,
    Pause,
    PlanRecovery,
    Recover,
    Reprint,
    Restart,
    Resume,
    Select,
    Start,
)
from bridge.errors import RejectedError
from bridge.printer.control.command_queue import Run, refuse_expired
from bridge.printer.knowledge import print_job
from bridge.printer.knowledge.observer import Observer
from bridge.printer.printing.print_file import PrintFile
from bridge.printer.printing.recovery import Recovery
from bridge.printer.printing.runner import HostPrinting


async def _unchecked(_path: str) -> None:
    """Let every file be printed, because nothing checks them."""


class PrintCommands:
    """The commands of ``job`` as far as they concern a file of the bridge.

    Args:
        observer: what is known of the printer.
        printing: prints the files.
        stored_file: returns a file of the bridge by its path, for a print that begins
            now; may be replaced later.
        check_file: refuses a path whose file must not be printed by the present rules;
            likewise.

    """

    def __init__(
        self,
        observer: Observer,
        printing: HostPrinting,
        stored_file: Callable[[str], PrintFile | None] = lambda _: None,
        check_file: Callable[[str], Awaitable[None]] = _unchecked,
    ) -> None:
        self._observer = observer
        self._printing = printing
        self.stored_file = stored_file
        self.check_file = check_file

    def concerns(self, command: Command) -> bool:
        """Return whether a command is about a print that the bridge streams."""
        job = self._observer.state.job
        match command:
            case Recover() | PlanRecovery():
                return True
            case Start() | Select() | Reprint():
                return self._chosen_file(command) is not None
            case Resume() if self._observer.state.waiting:
                return False  # it ends the printer's wait for a person
            case Restart() | Pause() | Resume() | Cancel() | Exclude():
                return job.streamed
        return False

    def _chosen_file(self, command: Start | Select | Reprint) -> PrintFile | None:
        """Return the file of the bridge that a command is about."""
        job = self._observer.state.job
        if isinstance(command, Reprint):
            last = job.result
            own = last is not None and last.origin == "local"
            return self.stored_file(last.file or "") if last and own else None
        if command.origin == "card":
            return None
        if command.file is not None:
            return self.stored_file(command.file)
        own = job.origin == "local" and not job.active
        return self.stored_file(job.file or "") if own else None

    async def check(self, command: Command) -> None:
        """Check the file that a command would print, if any.

        Raises:
            CommandError: It must not be printed, or it is gone.

        """
        if isinstance(command, Start | Reprint):
            await self._checked_file(self._chosen_file(command))

    async def _checked_file(self, file: PrintFile | None) -> PrintFile:
        """Return a file that the current rules allow to print."""
        assert file is not None  # noqa: S101 - whoever calls has seen to it
        await self.check_file(file.name)
        again = self.stored_file(file.name)  # it may have been replaced meanwhile
        if again is None:
            raise RejectedError(
                f'the file "{file.name}" is gone', error="no_such_file", code=404
            )
        return again

    def _select(self, command: Select) -> None:
        """Select a file of the bridge; `job start` without a file prints it.

        Raises:
            RejectedError: The printer's state does not allow it.

        """
        state, file = self._observer.state, self._chosen_file(command)
        assert file is not None  # noqa: S101 - whoever calls has seen to it
        if state.link != "operational" or state.job.active:
            away = state.link != "operational"
            raise RejectedError.conflict(
                "job select: the printer is "
                + ("not operational" if away else "printing"),
                "not_operational" if away else "printing",
            )
        chosen = print_job.select(state.job, file.name, file.size)
        job = replace(chosen, origin="local")
        self._observer.set_state(replace(state, job=job))

    async def execute(
        self, command: Command, run: Run, expires: float | None = None
    ) -> None:
        """Execute a command about a print that the bridge streams.

        Args:
            command: what to do.
            run: gets what its sender should know.
            expires: time of :func:`bridge.timeout.boottime` after which it must not
                start.

        Raises:
            RejectedError: Its state does not allow it.
            ExpiredError: Its time was over when the file had been checked.

        """
        printing = self._printing
        match command:
            case Start() | Reprint():
                await self._start(command, expires)
            case Select():
                self._select(command)
            case PlanRecovery(layer=layer, z=z):
                await printing.show_recovery(layer, z)
            case Recover():
                await self._recover(command)
            case Restart():
                await self._restart(run)
            case Pause(at=at):
                await printing.pause(at)
            case Resume():
                await printing.resume()
            case Cancel():
                run.warnings.extend(await printing.cancel())
            case Exclude(object=name):
                printing.exclude(name)

    async def _start(self, command: Start | Reprint, expires: float | None) -> None:
        """Print a file; checking a long one before may take minutes."""
        self._printing.check_start()
        interrupted = self._printing.arrival()
        file = await self._checked_file(self._chosen_file(command))
        refuse_expired(expires)
        if error := interrupted():  # it was stopped or reset: nothing begins by itself
            raise error
        self._printing.start(file)

    async def _recover(self, command: Recover) -> None:
        point, interrupted = self._printing.interrupted, self._printing.arrival()
        recovery = await self.recovery(command)
        if error := interrupted():  # it was stopped or reset: nothing begins by itself
            raise error
        if point is None or self._printing.interrupted is not point:
            raise RejectedError.conflict(
                "job recover: another print has begun meanwhile", "printing"
            )
        file = PrintFile(
            job=f"{point.job}r",
            path=Path(point.path),
            name=point.name,
            size=point.size,
            seconds=point.seconds,
            layers=point.layers,
            filament=point.filament,
        )
        self._printing.start(file, recovery)

    async def recovery(self, command: Recover | PlanRecovery) -> Recovery:
        """Return how an interrupted print continues; nothing is sent.

        Raises:
            RejectedError: It cannot continue, or not as it was planned.

        """
        if isinstance(command, Recover) and command.planned:
            return await self._printing.planned_recovery()
        return await self._printing.plan_recovery(command.layer, command.z)

    async def _restart(self, run: Run) -> None:
        job = self._observer.state.job
        self._check_paused()
        file = self.stored_file(job.file or "")
        if file is None:
            raise RejectedError(
                f'job restart: the file "{job.file}" is gone',
                error="no_such_file",
                code=404,
            )
        file = await self._checked_file(file)
        if self._observer.state.job.job != job.job:
            raise RejectedError.conflict(
                "job restart: the print has ended meanwhile", "not_printing"
            )
        self._check_paused()
        run.warnings.extend(await self._printing.restart(file))

    def _check_paused(self) -> None:
        if self._observer.state.job.phase != "paused":
            raise RejectedError.conflict(
                "job restart: only a paused print can be restarted; pause it first",
                "printing",
            )
