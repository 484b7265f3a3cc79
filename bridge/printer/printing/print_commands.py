"""Carries out commands about the prints that the bridge streams to the printer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bridge.commands import Command
from bridge.commands.job import (
    Cancel,
    Exclude,
    Pause,
    Recover,
    Reprint,
    Restart,
    Resume,
    Select,
    Start,
)
from bridge.errors import RejectedError
from bridge.printer.control.command_queue import Run
from bridge.printer.knowledge import print_job
from bridge.printer.knowledge.observer import Observer
from bridge.printer.printing.print_file import PrintFile
from bridge.printer.printing.runner import HostPrinting


class PrintCommands:
    """The commands of ``job`` where they concern a file of the bridge.

    Args:
        observer: what is known of the printer.
        printing: prints the files.
        stored_file: returns a file of the bridge by its path, for a print that begins
            now; may be replaced later.

    """

    def __init__(
        self,
        observer: Observer,
        printing: HostPrinting,
        stored_file: Callable[[str], PrintFile | None] = lambda _: None,
    ) -> None:
        self._observer = observer
        self._printing = printing
        self.stored_file = stored_file

    def concerns(self, command: Command) -> bool:
        """Return whether a command is about a print that the bridge streams."""
        job = self._observer.state.job
        match command:
            case Recover():
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

    async def execute(self, command: Command, run: Run) -> None:
        """Carry out a command about a print that the bridge streams.

        Raises:
            RejectedError: Its state does not allow it.

        """
        printing = self._printing
        match command:
            case Start() | Reprint():
                file = self._chosen_file(command)
                assert file is not None  # noqa: S101 - whoever calls has seen to it
                printing.start(file)
            case Select():
                self._select(command)
            case Recover(layer=layer, z=z):
                await self._recover(layer, z)
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

    async def _recover(self, layer: int | None, z: float | None) -> None:
        point = self._printing.interrupted
        recovery = await self._printing.plan_recovery(layer, z)
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

    async def _restart(self, run: Run) -> None:
        job = self._observer.state.job
        if job.phase != "paused":
            raise RejectedError.conflict(
                "job restart: only a paused print can begin again; pause it first",
                "printing",
            )
        file = self.stored_file(job.file or "")
        if file is None:
            raise RejectedError(
                f'job restart: the file "{job.file}" is gone',
                error="no_such_file",
                code=404,
            )
        run.warnings.extend(await self._printing.cancel())
        self._printing.start(file)
