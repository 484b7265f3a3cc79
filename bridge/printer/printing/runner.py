"""Prints one file at a time on one printer, and executes requests about the print."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bridge.errors import CommandError, RejectedError
from bridge.gcode.line import read
from bridge.gcode.reply_types import Action
from bridge.printer.control.command_queue import CommandQueue
from bridge.printer.control.hook_runner import HookRunner
from bridge.printer.control.planning import Planner
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.model import PlannedRecovery
from bridge.printer.knowledge.observer import Observer
from bridge.printer.knowledge.print_table import PrintJob, PrintResult
from bridge.printer.limits import safety
from bridge.printer.link.link import Link
from bridge.printer.printing.checkpoint import Checkpoint
from bridge.printer.printing.job_report import JobReport
from bridge.printer.printing.print_file import FileReader, PrintFile
from bridge.printer.printing.print_run import Parts, PrintRun
from bridge.printer.printing.recovery import Recovery, Scan, plan
from bridge.threads import in_thread
from bridge.timeout import timeout

SETTLED = 10.0
"""Seconds that a command waits for its effect on the print."""

LAYER_TIME = 45.0
"""Seconds that the bridge waits for the end of a layer when it is stopped. Service
managers kill a process that takes too long: after 90 seconds, as ``deploy`` has it."""

PLAN_LASTS = 15 * 60.0
"""Seconds for which a recovery plan that somebody has seen is valid. Going to the
printer and back takes some minutes; later, somebody else may have touched it."""

_STILL_PAUSING = (
    "the print is being paused: the printer has not finished the line that it executes"
)
_STILL_RESUMING = (
    "the print is being resumed: the printer heats, or runs the script "
    "beforePrintResumed"
)

At = Literal["now", "layer"]
OnExit = Literal["pause", "cancel", "finish_layer"]


SLICE = 50
"""Lines of a file that are followed before the event loop runs other callbacks."""


async def _follow(scan: Scan, point: Checkpoint) -> None:
    """Follow a file up to where its print was interrupted.

    Raises:
        RejectedError: It has changed, or cannot be read (409).

    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def on_ready() -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(ready.set)

    try:
        size = (await in_thread(Path(point.path).stat, lambda _: None)).st_size
    except OSError as error:
        raise _changed(error.strerror or str(error)) from None
    if size != point.size:
        raise _changed("it has another size than when it was printed")
    reader = FileReader(Path(point.path), on_ready=on_ready)
    try:
        while not scan.over:
            if scan.follow(reader.take, SLICE):
                await asyncio.sleep(0)
            elif not scan.over:
                await ready.wait()
                ready.clear()
        if reader.error is not None:
            raise _changed(reader.error.strerror or str(reader.error))
    finally:
        reader.close()


def _outdated(why: str) -> RejectedError:
    return RejectedError.conflict(
        f"job recover: {why}; send plan_recovery, and look at recovery in state",
        "not_recoverable",
    )


def _changed(why: str) -> RejectedError:
    return RejectedError.conflict(
        f"job recover: the file cannot be used: {why}", "not_recoverable"
    )


class HostPrinting:
    """Prints files of the bridge on one printer.

    Args:
        link: to the printer.
        observer: what is known of it.
        queue: carries out commands in between.
        planner: knows what lines may be sent.
        hook_runner: runs the operator's scripts.
        on_event: called with what happens, apart from what the state tells.
        file: where the checkpoint is kept; ``None``: nowhere.

    Attributes:
        on_layer: called with the number of each layer when it begins to be extruded.
        on_ended: called with the result of each print, when the next one may start.
        on_link_lost: called when a print has ended without a connection, over which its
            heaters could have been turned off.
        on_menu: called with the name of each host action while nothing of ours is
            printed, such as ``start`` for "Start Host Print" in the printer's menu.

    """

    def __init__(  # noqa: PLR0913 - the parts of the printer that it connects
        self,
        link: Link,
        observer: Observer,
        queue: CommandQueue,
        planner: Planner,
        hook_runner: HookRunner,
        *,
        on_event: Callable[[StateEvent], None],
        file: Path | None = None,
    ) -> None:
        self._report = JobReport(observer, on_event, self._settle_waiters, file)
        self._parts = Parts(link, observer, queue, planner, hook_runner, self._report)
        self._run: PrintRun | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._again: tuple[PrintFile, asyncio.Future[None]] | None = None
        self.on_layer: Callable[[int], None] = lambda _: None
        self.on_ended: Callable[[PrintResult], None] = lambda _: None
        self.on_link_lost: Callable[[], None] = lambda: None
        self.on_menu: Callable[[str], None] = lambda _: None

    @property
    def active(self) -> bool:
        """Whether a print of ours is under way, or is being ended."""
        return self._run is not None

    @property
    def progress(self) -> PrintJob:
        """How far the print has come."""
        return self._report.job

    def show_broken_off(self) -> None:
        """Publish whether an earlier print was interrupted, once somebody listens."""
        self._show(None)

    def report_interrupted(self) -> None:
        """Report that the last print was interrupted when the bridge ended."""
        self._report.interrupted()

    def check_start(self) -> None:
        """Refuse to start a print now.

        Raises:
            RejectedError: ``not_operational``, ``printing`` or ``prompt`` (409).

        """
        state, session = self._parts.state, self._parts.link.session
        # The end of the conversation reaches the state a moment later.
        if state.link != "operational" or session is None or session.closed:
            raise RejectedError.conflict(
                "job start: the printer is not operational; the topics connection, "
                "state and error say why",
                "not_operational",
            )
        if state.job.active or self.active:
            raise RejectedError.conflict("job start: a print is under way", "printing")
        if state.asks:
            raise RejectedError.conflict(
                "job start: the printer waits for a person; answer it first (state has "
                "the prompt)",
                "prompt",
            )

    def arrival(self) -> Callable[[], CommandError | None]:
        """Return a function that says whether a stop or reset prevents a start."""
        return self._parts.queue.arrival()

    def start(self, file: PrintFile, recovery: Recovery | None = None) -> None:
        """Begin to print a file, or continue an interrupted print of it.

        Raises:
            RejectedError: See :meth:`check_start`.

        """
        self.check_start()
        run = self._run = PrintRun(self._parts, file, self._layer_begun, recovery)
        self._report.begin(file)
        self._show(None)
        self._parts.queue.start(self._print(run))

    def _layer_begun(self, layer: int) -> None:
        self.on_layer(layer)  # it may have been replaced by then

    @property
    def interrupted(self) -> Checkpoint | None:
        """Where the last print was interrupted; ``None``: it was not, or one runs."""
        return None if self.active else self._report.point

    async def plan_recovery(
        self, layer: int | None = None, z: float | None = None
    ) -> Recovery:
        """Return how the last interrupted print can continue; nothing is sent.

        Args:
            layer: the layer to begin with; by default the last one that is safe.
            z: the nozzle's height in mm, if a person has measured it.

        Raises:
            RejectedError: It cannot continue safely, or not now (409), or it would heat
                beyond a limit (400).

        """
        point = self.interrupted
        if point is None:
            raise RejectedError.conflict(
                "job recover: no print was interrupted", "not_recoverable"
            )
        self.check_start()
        scan = Scan(point, self._parts.observer.dialect, layer)
        await _follow(scan, point)
        recovery = plan(
            *(point, scan, self._parts.planner.context()),
            z=z,
            displaced=self._parts.state.displaced,
        )
        # The limits or the offsets may have changed since the print began.
        rules = self._parts.planner.rules_of_files()
        for text in recovery.lines:
            line = read(text, self._parts.observer.dialect.name)
            if line.row.heats:
                safety.check_value(line, rules)
        return recovery

    async def show_recovery(self, layer: int | None, z: float | None) -> None:
        """Plan how the interrupted print can continue, and publish the plan.

        Args:
            layer: as for :meth:`plan_recovery`.
            z: likewise.

        Raises:
            RejectedError: As for :meth:`plan_recovery`; that is published as well.

        """
        point = self.interrupted
        try:
            recovery = await self.plan_recovery(layer, z)
        except RejectedError as error:
            if point is not None and self.interrupted is point:
                self._show(
                    PlannedRecovery(
                        job=point.job,
                        file=point.name,
                        refused=error.message,
                        time=self._report.now(),
                    )
                )
            raise
        if point is not None and self.interrupted is point:
            self._show(
                PlannedRecovery(
                    job=point.job,
                    file=point.name,
                    layer=recovery.start.number,
                    height=recovery.height,
                    lines=recovery.lines,
                    asked=(layer, z),
                    time=self._report.now(),
                )
            )

    async def planned_recovery(self) -> Recovery:
        """Return how the print can continue, if this is the plan that was published.

        Raises:
            RejectedError: As for :meth:`plan_recovery`, or nothing was published, too
                long ago, or something else (409).

        """
        shown = self._parts.state.recovery
        if shown is None or shown.refused:
            raise _outdated("there is no plan, or the head was moved since")
        if self._report.now() > shown.time + PLAN_LASTS:
            raise _outdated("the plan is more than 15 minutes old")
        recovery = await self.plan_recovery(*shown.asked)
        same = recovery.lines == shown.lines and recovery.start.number == shown.layer
        if not same or self._parts.state.recovery is not shown:
            raise _outdated("the plan would be different now")
        return recovery

    def _show(self, plan: PlannedRecovery | None) -> None:
        """Publish whether the last print was interrupted, and how it could continue."""
        observer = self._parts.observer
        broken_off = self.interrupted is not None
        observer.set_state(
            replace(observer.state, broken_off=broken_off, recovery=plan)
        )

    async def _print(self, run: PrintRun) -> None:
        try:
            await run.run()
        finally:
            session = self._parts.link.session
            if session is None or session.closed:
                self.on_link_lost()
            self._run = None
            self._show(None)
            self._settle_waiters()
        result = self._report.job.result
        if result is not None and result.job == run.file.job:
            self.on_ended(result)
        self._begin_again(
            cancelled=result is not None and result.outcome == "cancelled"
        )

    def _begin_again(self, *, cancelled: bool) -> None:
        """Print what :meth:`restart` has requested, as soon as possible."""
        if self._again is None:
            return
        (file, asked), self._again = self._again, None
        try:
            if not cancelled:  # the printer was stopped, for example
                raise RejectedError.conflict(
                    "job restart: the print ended otherwise; see job/result",
                    "not_printing",
                )
            self.start(file)
        except RejectedError as error:
            if asked.done():  # the caller no longer waits
                self._parts.observer.report_unsolicited(
                    f"{file.name} was not started again: {error.message}"
                )
            else:
                asked.set_exception(error)
        else:
            if not asked.done():
                asked.set_result(None)

    async def pause(self, at: At = "now") -> tuple[str, ...]:
        """Pause at once, or when the next layer begins.

        Returns:
            What its sender should know.

        Raises:
            RejectedError: Nothing is printed, it is being cancelled, or nothing is left
                to be paused (409).

        """
        run = self.check_pause()
        if at == "layer" and run.wanted == "run":
            run.feed.asked_at_layer = True
            return ()
        if run.wanted == "run":
            run.ask_pause()
        if await self._settled({"paused", "idle"}):
            return ()
        return (_STILL_PAUSING,)

    def check_pause(self) -> PrintRun:
        """Return the print, if it can be paused.

        Raises:
            RejectedError: As for :meth:`pause`.

        """
        run = self._uncancelled("job pause")
        if self.progress.phase == "finishing":
            raise RejectedError.conflict(
                "job pause: all lines of the print were sent", "not_printing"
            )
        return run

    async def resume(self) -> tuple[str, ...]:
        """Continue after a pause; a pause at the next layer is withdrawn.

        Returns:
            What its sender should know.

        Raises:
            RejectedError: Nothing is printed, or it is being cancelled (409).

        """
        run = self._uncancelled("job resume")
        was_paused = run.wanted == "pause"
        run.ask_resume()
        goes_on = {"printing", "finishing", "idle"}

        def has_resumed() -> bool:
            # The next line may be a pause of the file, which comes at once.
            return run.wanted == "pause" or self._has_settled(goes_on)

        if not was_paused or await self._until(has_resumed, SETTLED):
            return ()
        return (_STILL_RESUMING,)

    async def cancel(self) -> tuple[str, ...]:
        """Cancel the print, and turn off what it has turned on.

        Returns:
            What its sender should know.

        Raises:
            RejectedError: Nothing is printed (409).

        """
        run = self._required("job cancel")
        self._drop_restart("job restart: the print was cancelled meanwhile")
        warnings = run.ask_cancel()
        if await self._settled({"idle"}) or warnings:
            return warnings
        return ("the print is being cancelled, and the printer is still busy",)

    async def restart(self, file: PrintFile) -> tuple[str, ...]:
        """Cancel the print, and print a file as soon as that is done.

        A script, or a wait for a heater, may take minutes. Then this returns earlier,
        and the file is printed anyway, unless :meth:`cancel` prevents it.

        Returns:
            What its sender should know.

        Raises:
            RejectedError: Nothing is printed, or the file cannot be begun (409).

        """
        run = self._required("job restart")
        self._drop_restart("job restart: another one has replaced it")
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._again = (file, asked)
        try:
            warnings = run.ask_cancel()
            if not warnings:
                await asyncio.wait({asked}, timeout=SETTLED)
            if asked.done():
                asked.result()
                return warnings
        finally:
            asked.cancel()
        return (
            *warnings,
            "the print is still being cancelled; it starts again when that is done",
        )

    def _drop_restart(self, why: str) -> None:
        """Withdraw a requested restart."""
        if self._again is not None:
            (_, asked), self._again = self._again, None
            if not asked.done():
                asked.set_exception(RejectedError.conflict(why, "not_printing"))

    def exclude(self, name: str) -> None:
        """Leave an object out from now on.

        Raises:
            RejectedError: Nothing is printed (409), or the file has no such object
                (``no_such_object``, 404).

        """
        run = self._required("job exclude")
        run.exclude(self.found_object(name))

    def found_object(self, name: str) -> str:
        """Return the name of an object of the print, as its file has it.

        Raises:
            RejectedError: As for :meth:`exclude`.

        """
        objects = self._required("job exclude").feed.objects
        found = objects.find(name)
        if found is None:
            known = ", ".join(objects.names[:20]) or "none yet"
            raise RejectedError(
                f'job exclude: the file has no object "{name}" (known: {known})',
                error="no_such_object",
                code=404,
            )
        return found

    async def leave(self, mode: OnExit) -> None:
        """Bring a print to a state that can be recovered, because the bridge ends.

        Args:
            mode: pause it at once, cancel it, or pause it at the end of the layer.

        """
        run = self._run
        self._drop_restart("job restart: the bridge is shutting down")
        if run is None or not self.progress.streamed:
            return
        if mode == "cancel":
            await self.cancel()
            return
        if mode == "finish_layer" and run.wanted == "run":
            run.feed.asked_at_layer = True
            await self._settled({"paused", "idle"}, LAYER_TIME)
        if run.wanted == "run" and self.progress.streamed:
            run.feed.asked_at_layer = False
            run.ask_pause()
        await self._until(lambda: run.parked or not self.active, SETTLED)
        self._report.fail("bridge_stopped")
        run.wake()

    def handle(self, event: object) -> None:
        """React to an event of the link; the observer has already handled it."""
        run = self._run
        if run is None:
            if isinstance(event, Action):
                self.on_menu(event.name)
            return
        if not self.progress.streamed:
            run.wake()  # it was reset or disconnected
        elif isinstance(event, Action):
            self._act(run, event.name, event.argument)

    @staticmethod
    def _act(run: PrintRun, name: str, argument: str) -> None:
        """Do what the printer requests with its buttons or its filament sensor.

        ``paused`` and ``resumed`` say that the printer has done so itself, so nothing
        is sent (https://docs.octoprint.org/en/master/features/action_commands.html).
        """
        match name:
            case "pause" | "paused" if run.wanted == "run":
                run.ask_pause(argument, quiet=name == "paused")
            case "out_of_filament" | "filament_runout" if run.wanted == "run":
                run.ask_pause("filament_runout", quiet=True)
            case "resume" | "resumed" if run.wanted == "pause":
                run.ask_resume(quiet=name == "resumed")
            case "cancel":
                run.ask_cancel()

    def _required(self, what: str) -> PrintRun:
        if self._run is None or not self.progress.streamed:
            raise RejectedError.conflict(f"{what}: nothing is printed", "not_printing")
        return self._run

    def _uncancelled(self, what: str) -> PrintRun:
        run = self._required(what)
        if run.cancelled:
            raise RejectedError.conflict(
                f"{what}: the print is being cancelled", "not_printing"
            )
        return run

    async def _settled(self, phases: set[str], within: float | None = None) -> bool:
        """Wait until the print is in one of these phases; return whether it is."""
        within = SETTLED if within is None else within
        return await self._until(lambda: self._has_settled(phases), within)

    async def _until(self, condition: Callable[[], bool], within: float) -> bool:
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with timeout(within):
                while not condition():
                    waiter: asyncio.Future[None] = loop.create_future()
                    self._waiters.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters.discard(waiter)
        return condition()

    def _has_settled(self, phases: set[str]) -> bool:
        phase = self.progress.phase
        return phase in phases and (phase != "idle" or not self.active)

    def _settle_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
