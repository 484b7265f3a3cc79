"""One print, from its beginning to its end.

One task executes it: it sends lines until the feed stops, and acts on the reason.
Requests of people and of the printer are noted, and the task acts on them as soon as it
can.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.commands.gcode_lines import check as check_code
from bridge.commands.heaters import target_lines, with_offsets
from bridge.commands.job import releasing
from bridge.errors import CommandError, FailedError, RejectedError
from bridge.gcode.dialects import Bang
from bridge.gcode.events import Done
from bridge.gcode.line import MOVES, Line, code_of, read
from bridge.printer.control import hooks
from bridge.printer.control.command_queue import CommandQueue
from bridge.printer.control.hook_runner import HookRunner
from bridge.printer.control.idle_timeout import (
    heaters_on,
)
from bridge.printer.control.planning import AFTER_TOOL, BEFORE_TOOL, Planner
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.observer import Observer
from bridge.printer.limits import safety
from bridge.printer.link.link import Link
from bridge.printer.link.session import Session, Streaming
from bridge.printer.link.setup import ask
from bridge.printer.printing import sequences
from bridge.printer.printing.checkpoint import EVERY
from bridge.printer.printing.feed import Feed, Stop
from bridge.printer.printing.job_report import JobReport
from bridge.printer.printing.objects import Objects
from bridge.printer.printing.print_file import FileReader, PrintFile
from bridge.printer.printing.recovery import LayerStart, Recovery
from bridge.printer.printing.tracker import AXES, HeadPosition, Tracker
from bridge.timeout import timeout

log = logging.getLogger("bridge.printer")

STANDSTILL = 10.0
"""Seconds that a printer has to finish its moves and report its position. After that,
the print counts as paused without a known position. OctoPrint waits as long."""

TICK = 1.0
"""Seconds between two updates of the progress."""

_TOOLS: Mapping[str, str] = {"tool": BEFORE_TOOL, "after_tool": AFTER_TOOL}
_STARTED, _DONE = "beforePrintStarted", "afterPrintDone"


_REASONS = {"disconnected": "connection_lost"}
"""For the error of a line, the reason of the failed print."""


_BUG = "an unexpected error in the bridge, which its log describes"


class _CancelledError(Exception):
    """The print was cancelled."""


class _FileError(Exception):
    """The print cannot continue because of its file; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the printer that a print needs.

    Attributes:
        link: to the printer.
        observer: what is known of it.
        queue: carries out commands in between.
        planner: knows what lines may be sent.
        hooks: runs the operator's scripts.
        report: says how the print continues.

    """

    link: Link
    observer: Observer
    queue: CommandQueue
    planner: Planner
    hooks: HookRunner
    report: JobReport

    @property
    def state(self) -> PrinterState:
        """The known state of the printer."""
        return self.observer.state

    def session(self) -> Session:
        """Return the conversation with the printer.

        Raises:
            FailedError: There is none.

        """
        session = self.link.session
        if session is None or session.closed:
            raise FailedError.disconnected("the printer went away")
        return session


class PrintRun:
    """A print under way.

    Args:
        parts: of the printer.
        file: what is printed.
        on_layer: called with the number of each layer.
        recovery: how to continue with a print of it that was interrupted.

    Attributes:
        file: the same.
        feed: yields its lines.
        wanted: what people want it to do.
        cancelled: somebody wants its end.
        parked: it is paused, and the script for that has ended.

    """

    def __init__(
        self,
        parts: Parts,
        file: PrintFile,
        on_layer: Callable[[int], None],
        recovery: Recovery | None = None,
    ) -> None:
        self.file = file
        self.wanted: Literal["run", "pause"] = "run"
        self.cancelled = False
        self.parked = False
        self._parts = parts
        self._report = parts.report
        self._on_layer = on_layer
        self._before = () if recovery is None else recovery.lines
        start = recovery.start if recovery is not None else self._beginning()
        self._tracker = start.tracker
        self.feed = Feed(
            self._tracker,
            start.objects,
            parts.observer.dialect,
            clean=self._clean,
            tool_scripts=self._has_tool_scripts,
            host_changes_filament=lambda: "M600" in parts.state.refused,
            line=start.line,
            byte=start.byte,
        )
        self._reader = FileReader(
            Path(file.path), start=start.byte, on_ready=self._on_ready()
        )
        self._streaming: Streaming | None = None
        self._sent = ""  # the line in flight that is not a move
        self._problem = ""  # why it cannot continue, found while lines were sent
        self._reason = ""  # of the pause
        self._quiet = False  # the printer has paused by itself, so nothing is sent
        self._starved = 0.0  # by the streams that have ended
        self._layer = 0  # that was reported last
        self._changed = asyncio.Event()
        self._ticker: asyncio.TimerHandle | None = None

    def _beginning(self) -> LayerStart:
        """Return the place before the file, where the printer is as it was left."""
        observer = self._parts.observer
        modal, at = observer.state.modal, observer.coordinates.position
        place = HeadPosition(
            x=at.get("x"),
            y=at.get("y"),
            z=at.get("z"),
            feedrate=modal.feedrate,
            relative=modal.relative,
            relative_e=modal.relative_e,
            tool=modal.tool,
        )
        tracker = Tracker(observer.dialect, place)
        return LayerStart(0, 0, 0, tracker, Objects(self.file.objects))

    def _on_ready(self) -> Callable[[], None]:
        loop = asyncio.get_running_loop()

        def ready() -> None:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                loop.call_soon_threadsafe(self._ask_again)

        return ready

    # Requests

    def ask_pause(self, reason: str = "", *, quiet: bool = False) -> None:
        """Pause before the next line; ``quiet``: the printer has paused itself."""
        self.wanted, self._reason, self._quiet = "pause", reason, quiet
        self._report.note("asked_pause")
        self.feed.asked = True
        self.wake()

    def ask_resume(self, *, quiet: bool = False) -> None:
        """Continue after a pause; ``quiet``: the printer has resumed itself."""
        self.feed.asked_at_layer = False
        self.wanted, self._quiet = "run", self._quiet or quiet
        self.wake()

    def ask_cancel(self) -> tuple[str, ...]:
        """Cancel the print; return what the caller should know."""
        if self.cancelled:
            return ()
        self.cancelled = self.feed.asked = True
        self._report.note("asked_cancel")
        warnings = self._end_waits()
        self.wake()
        return warnings

    def exclude(self, name: str) -> None:
        """Leave an object out from now on."""
        self.feed.exclude(name)
        self._note_progress()

    def wake(self) -> None:
        """Let the task check what has changed."""
        self._changed.set()
        self._ask_again()

    def _ask_again(self) -> None:
        if self._streaming is not None:
            self._streaming.resume()

    def _end_waits(self) -> tuple[str, ...]:
        """End the printer's wait for a heater or a person; return what to know."""
        parts, state = self._parts, self._parts.state
        session = parts.link.session
        if session is None or session.closed:
            return ()
        context = parts.planner.context()
        try:
            if lines := releasing(context, "job cancel"):
                session.urgent(*lines)
                return ()
        except RejectedError as error:
            return (error.message,)
        row = read(state.line, context.dialect.name).row
        if not (row.heats and row.long):
            return ()
        if "EMERGENCY_PARSER" in context.capabilities:
            session.urgent("M108")
            return ()
        text = (
            f"the printer waits for a heater ({state.line}) and reads nothing "
            "meanwhile; the print is cancelled when it is hot"
        )
        return (text,)

    # From beginning to end

    async def run(self) -> None:
        """Print the file; the state says how that ended."""
        try:
            self._tick()
            await self._carry_out()
        except _CancelledError:
            await self._end_cancelled()
        except _FileError as error:
            await self._end_failed("file_error", str(error))
        except CommandError as error:
            # What ends the conversation has also ended the print.
            await self._end_failed(error.error, error.message)
        except ValueError as error:  # a line that can never be sent
            await self._end_failed("file_error", str(error))
        except Exception:
            # Without a task that executes it, a print would keep its heaters on
            # forever.
            await self._end_failed("internal_error", _BUG)
            raise
        finally:
            self._reader.close()
            if self._ticker is not None:
                self._ticker.cancel()

    async def _carry_out(self) -> None:
        # Commands that are still being executed take effect before the first line.
        await self._parts.queue.send_own()
        await self._script(_STARTED)
        for line in self._before:
            self._check()
            await self._parts.queue.send_own(line)
        self._save()
        while True:
            stop = await self._stream()
            match stop.because:
                case "end":
                    await self._finish()
                    return
                case "error":
                    raise _FileError(stop.text)
                case "tool" | "after_tool":
                    old, new = stop.tools
                    event = StateEvent("tool_change", {"old": old, "new": new})
                    await self._script(_TOOLS[stop.because], event)
                case _:
                    await self._stand(stop)

    def _check(self) -> None:
        """Continue only if the print is still wanted and possible."""
        if self.cancelled:
            raise _CancelledError
        if not self._report.job.streamed:
            raise FailedError.disconnected("the print has ended")
        if self._problem:
            raise _FileError(self._problem)

    async def _stream(self) -> Stop:
        """Send lines until the feed stops; return the reason."""
        self._check()
        session = self._parts.session()
        self._report.stands(stands=False)
        streaming = session.start_stream(
            self.feed.source(self._reader.take),
            on_sent=self._line_sent,
            on_done=self._line_done,
            behind=True,
        )
        self._streaming = streaming
        try:
            await streaming.finished()
        finally:
            self._starved += streaming.starved
            self._streaming = None
            self._note_progress()
        self._check()
        stop = self.feed.stop
        if stop is None:
            raise FailedError.disconnected("the lines of the print were ended")
        if stop.because == "end":
            self._check_whole()
        return stop

    def _check_whole(self) -> None:
        if self._reader.error is not None:
            text = self._reader.error.strerror or str(self._reader.error)
            raise _FileError(f"the file cannot be read: {text}")
        if self.feed.byte + 1 < self.file.size:  # the last line may have no line end
            raise _FileError("the file has become shorter since it was checked")

    async def _finish(self) -> None:
        if self._report.job.phase == "starting":
            self._report.note("rose")  # a file without any line
        self._report.note("all_read")
        await self._wait_for_moves()
        self._report.stands(stands=True)
        await self._script(_DONE)
        self._report.forget()
        self._report.note("announced_done")

    async def _end_cancelled(self) -> None:
        """End a cancelled print; its lines have been acknowledged."""
        with suppress(CommandError):
            await self._come_to_rest()
        # A script that failed may have left heaters on.
        if not await self._parts.hooks.succeeds(hooks.CANCELLED):
            await self._switch_off()
        if self._report.job.streamed:
            self._report.forget()
        self._report.note("announced_cancelled")

    async def _end_failed(self, reason: str, text: str) -> None:
        """End a print that cannot continue; the printer may be able to."""
        try:
            self._save()
            if self._report.job.streamed:
                log.warning("the print of %s has failed: %s", self.file.name, text)
                await self._switch_off()
        finally:
            self._report.fail(_REASONS.get(reason, reason), text)

    async def _switch_off(self) -> None:
        for line in sequences.switching_off(self._parts.planner.context()):
            with suppress(CommandError):
                await self._parts.queue.send_own(line)

    async def _script(self, name: str, event: StateEvent | None = None) -> None:
        """Run the operator's script of this name, if there is one."""
        self._check()
        if event is None:
            event = StateEvent(name, {"file": self.file.name})
        if self._parts.hooks.has(name):
            self._report.stands(stands=True)
        await self._parts.hooks.run(name, event)
        self._check()

    # Pauses

    async def _stand(self, stop: Stop) -> None:
        """Pause, and continue on request."""
        parts, report = self._parts, self._report
        if stop.because != "asked":
            self.wanted, self._reason, self._quiet = "pause", stop.text, False
        report.note("asked_pause")
        if not self._quiet:
            await self._come_to_rest()
        self._check()
        place = sequences.completed(self.feed.place, parts.state.position)
        homings = parts.state.homings
        report.stands(stands=True)
        report.note("announced_paused", self._reason)
        self._save()
        if not self._quiet:
            await self._script(hooks.PAUSED)
        await self._until_wanted()
        report.note("asked_resume")
        if not self._quiet:
            await self._return(place, homings)
        elif parts.state.reheat:  # the bridge has turned off what the printer needs
            await self._heat()
        self._check()
        if self.wanted == "run":
            self._reason, self._quiet = "", False
            report.note("announced_resumed")

    async def _until_wanted(self) -> None:
        self.parked = True
        self._report.changed()
        while self.wanted == "pause":
            self._changed.clear()
            await self._changed.wait()
            self._check()
        self.parked = False

    async def _come_to_rest(self) -> None:
        """Wait until the head stands still, and query its position; not forever."""
        session = self._parts.session()
        with suppress(TimeoutError):
            async with timeout(STANDSTILL):
                await self._wait_for_moves()
                self._report.stands(stands=True)
                await ask(session, "M114")

    async def _wait_for_moves(self) -> None:
        try:
            await self._parts.queue.send_own("M400")
        except FailedError as error:
            if error.error != "firmware_error":  # some firmwares do not know it
                raise

    async def _return(self, place: HeadPosition, homings: int) -> None:
        """Heat, run the script, and restore the position and the modes."""
        await self._heat()
        await self._script(hooks.RESUMED)
        parts = self._parts
        await ask(parts.session(), "M114")
        homed = AXES if parts.state.homings != homings else ()
        if lost := sequences.lost_axes(place, homed):
            raise _FileError(
                f"{', '.join(lost)} was homed in the pause, and the file had shifted "
                "it from an unknown place; the position to return to is unknown"
            )
        for line in sequences.returning(
            place,
            parts.state.position,
            parts.observer.profile,
            tool=parts.state.modal.tool,
            homed=homed,
        ):
            self._check()
            await parts.queue.send_own(line)

    async def _heat(self) -> None:
        """Restore targets of heaters that went off, and wait for all that are on."""
        state = self._parts.state
        wanted = {**heaters_on(state), **state.reheat}
        for line in target_lines(wanted, self._parts.planner.context(), wait=True):
            self._check()
            await self._parts.queue.send_own(line)
        self._check()

    # Lines

    def _clean(self, line: Line, where: str) -> Line:
        """Return a line of the file that is not a move, as it is sent.

        Raises:
            RejectedError: It must not be sent.

        """
        planner = self._parts.planner
        context = planner.context()
        check_code(line, context, where, longest=context.dialect.longest_line)
        rules = planner.rules_of_files()
        safety.check_value(line, rules)
        if not line.row.heats:
            return line
        sent = with_offsets([line], context, where)[0]
        safety.check_value(sent, rules)  # an offset must not lead beyond the limit
        return sent

    def _has_tool_scripts(self) -> bool:
        runner = self._parts.hooks
        return runner.has(BEFORE_TOOL) or runner.has(AFTER_TOOL)

    def _line_sent(self, text: str, _offset: int) -> None:
        # Moves are followed by the tracker; most lines of a print are moves.
        if code_of(text) not in MOVES:
            self._sent = text
            self._parts.observer.line_sent(text)

    def _line_done(self, done: Done) -> None:
        self.feed.done()
        text, self._sent = self._sent, ""
        if text:
            self._parts.observer.line_acknowledged()
            self._parts.observer.line_finished(text, None)
        if done.errors:
            self._refused(text, done)
        phase = self._report.job.phase
        if phase == "starting":
            self._report.note("rose")
        elif phase == "paused":  # the firmware was waiting for a person, who has come
            self._report.note("announced_resumed")
        tracker = self._tracker
        if tracker.layer != self._layer and tracker.layer_z is not None:
            self._layer_begun()

    def _refused(self, text: str, done: Done) -> None:
        """Decide about a line that the firmware has refused.

        An unknown code does no harm, and hardly any file is without one. A tool that
        does not exist does, and so does a move that Klipper refuses.
        """
        unknown = any("nknown command" in error for error in done.errors)
        if code_of(text) == "M600" and unknown:
            self.ask_pause("filament_change")
            return
        what = (
            f"line {self.feed.line}: the printer refused it: {'; '.join(done.errors)}"
        )
        bangs = any(said.startswith("!!") for said in done.output)
        refuses = self._parts.observer.dialect.bang is Bang.REFUSAL and bangs
        if refuses or text[:1] == "T":
            self._problem = what
            self.feed.asked = True
        else:
            self._parts.observer.report_unsolicited(what)

    # The state and the checkpoint

    def _tick(self) -> None:
        self._note_progress()
        if self._report.now() >= self._report.saved_at + EVERY:
            self._save()
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(TICK, self._tick)

    def _note_progress(self) -> None:
        now = 0.0 if self._streaming is None else self._streaming.starved
        starved = self._starved + now
        self._report.progress(self.file, self.feed, self._tracker, starved)

    def _layer_begun(self) -> None:
        self._layer = self._tracker.layer
        self._note_progress()
        self._save()
        self._report.layer(self.file, self._tracker)
        self._on_layer(self._layer)

    def _save(self) -> None:
        self._report.save(self.file, self.feed, self._tracker)
