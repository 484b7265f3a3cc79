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
from bridge.printer.knowledge.print_table import PrintJob
from bridge.printer.printing.print_file import PrintFile
from bridge.printer.printing.recovery import Recovery
from bridge.printer.printing.runner import HostPrinting


async def _unchecked(_path: str) -> None:
    """Let every file be printed, because nothing checks them."""


def _gone(file: str) -> RejectedError:
    return RejectedError(f'the file "{file}" is gone', error="no_such_file", code=404)


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
                return self._local_name(command) is not None
            case Resume() if self._observer.state.waiting:
                return False  # it ends the printer's wait for a person
            case Restart() | Pause() | Resume() | Cancel() | Exclude():
                return job.streamed
        return False

    def _local_name(self, command: Start | Select | Reprint) -> str | None:
        """Return the path of the file of the bridge that a command is about.

        The selected file, and that of the last print, may be gone.
        """
        job = self._observer.state.job
        if isinstance(command, Reprint):
            last = job.result
            return last.file if last is not None and last.origin == "local" else None
        if command.origin == "card":
            return None
        if command.file is not None:
            stored = self.stored_file(command.file)
            return None if stored is None else stored.name
        return job.file if job.origin == "local" and not job.active else None

    async def check(self, command: Command) -> None:
        """Check whether a command could be carried out now.

        Raises:
            CommandError: The printer's state does not allow it, or its file must not be
                printed, or is gone.

        """
        match command:
            case Start() | Reprint():
                self._printing.check_start()
                await self._checked_file(self._local_name(command))
            case Select():
                self._check_select()
            case Pause():
                self._printing.check_pause()
            case Restart():
                self._check_paused()
            case Exclude(object=name):
                self._printing.found_object(name)

    async def _checked_file(self, name: str | None) -> PrintFile:
        """Return a file that the current rules allow to print."""
        name = name or ""
        if self.stored_file(name) is None:
            raise _gone(name)
        await self.check_file(name)
        again = self.stored_file(name)  # it may have been replaced meanwhile
        if again is None:
            raise _gone(name)
        return again

    def _select(self, command: Select) -> None:
        """Select a file of the bridge; `job start` without a file prints it.

        Raises:
            RejectedError: The printer's state does not allow it.

        """
        self._check_select()
        state, file = self._observer.state, self.stored_file(command.file)
        if file is None:
            raise _gone(command.file)
        job = print_job.select_stored(state.job, file.name, file.size)
        self._observer.set_state(replace(state, job=job))

    def file_removed(self, path: str) -> None:
        """Select no file any more if it was the selected one."""
        state, job = self._observer.state, self._observer.state.job
        if not job.active and job.origin == "local" and job.file == path:
            none = PrintJob(result=job.result, happened=job.happened, recent=job.recent)
            self._observer.set_state(replace(state, job=none))

    def _check_select(self) -> None:
        state = self._observer.state
        if state.link != "operational" or state.job.active:
            away = state.link != "operational"
            raise RejectedError.conflict(
                "job select: the printer is "
                + ("not operational" if away else "printing"),
                "not_operational" if away else "printing",
            )

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
                run.warnings.extend(await printing.pause(at))
            case Resume():
                run.warnings.extend(await printing.resume())
            case Cancel():
                run.warnings.extend(await printing.cancel())
            case Exclude(object=name):
                printing.exclude(name)

    async def _start(self, command: Start | Reprint, expires: float | None) -> None:
        """Print a file; checking a long one before may take minutes."""
        self._printing.check_start()
        interrupted = self._printing.arrival()
        file = await self._checked_file(self._local_name(command))
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
        file = await self._checked_file(job.file)
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
