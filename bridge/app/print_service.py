"""The prints of one printer: those that wait, those that have ended, and what starts.

Files, the queue, the printer and the topics meet here, and nowhere else: a slicer's
upload, a command on MQTT and a file in the inbox folder all call :meth:`submit`.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from bridge.commands import queue as commands
from bridge.commands.requests import HistoryRequest
from bridge.config import QueueSettings
from bridge.errors import CommandError, RejectedError
from bridge.files.library import Library
from bridge.files.stored import FileError, StoredFile
from bridge.jobs import history, queue
from bridge.jobs.history import (
    Ended,
    HistoryRecord,
)
from bridge.jobs.queue import (
    PrintQueue,
    QueueEntry,
    QueueRecord,
    Source,
)
from bridge.printer.knowledge.events import EventLimiter, StateEvent
from bridge.printer.knowledge.print_table import PrintJob, PrintResult
from bridge.printer.printer import Printer
from bridge.printer.printing.print_file import PrintFile
from bridge.state_files import HISTORY, QUEUE, recall, remember
from bridge.upload.targets import Submitted

log = logging.getLogger("bridge.prints")

MENU_PAUSE = 3.0
"""Seconds between a request from the printer's menu and what it starts. A print from
the card that begins at the same time shows within two seconds, and goes first."""

_REQUESTS = ("start", "ready")
"""Host actions by which somebody at the printer asks for the host's job: "Start Host
Print" of Marlin (https://marlinfw.org/docs/configuration/configuration.html, "Host
Actions"; https://docs.octoprint.org/en/master/features/action_commands.html) and "Set
Ready" of Prusa's firmware (public reports). ``resume`` is none of them: Marlin says it
when a print from the card begins."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Callbacks of the queue; called in the event loop, must not block.

    Attributes:
        on_queue: with each new state of the queue.
        on_event: with the name of an event and its fields.
        epoch: returns what to add to the printer's clock for Unix time, in seconds.
        may_control: returns whether the configuration lets anybody start prints.
        max_thumbnail: returns how many bytes of a picture are published; 0: none is.
        on_thumbnail: with the picture of the selected file, or with nothing.

    """

    on_queue: Callable[[queue.QueueState], None]
    on_event: Callable[..., None]
    epoch: Callable[[], float]
    may_control: Callable[[], bool]
    max_thumbnail: Callable[[], int]
    on_thumbnail: Callable[[bytes], None]


class PrintService:
    """The prints of one printer.

    Args:
        printer: prints them.
        library: returns the printer's files; ``None``: files are not stored.
        settings: of the queue.
        surroundings: where changes are told, and what has to be known.
        folder: where the queue and the history are kept; ``None``: nowhere.

    """

    def __init__(
        self,
        printer: Printer,
        library: Callable[[], Library | None],
        settings: QueueSettings,
        surroundings: Surroundings,
        *,
        folder: Path | None,
    ) -> None:
        self._library = library
        self.settings = settings
        self._printer = printer
        self._surroundings = surroundings
        name = printer.config.id
        self._queue_file = None if folder is None else folder / f"{name}{QUEUE}"
        self._history_file = None if folder is None else folder / f"{name}{HISTORY}"
        self._queue = self._last_queue()
        self._history = self._last_history()
        self._holder: Library | None = None
        self._in_use: dict[str, ExitStack] = {}
        self._all_held = True
        self._began: float | None = None
        self._printed: str | None = None
        self._shown: tuple[str | None, int] | None = None
        self._result = self._last_known_result()
        self._touched = asyncio.Event()  # it may be time to start a print
        self._request: asyncio.TimerHandle | None = None  # from the printer's menu
        self._limiter = EventLimiter()
        printer.printing.on_menu = self._menu
        printer.prints.stored_file = self.stored_file
        printer.prints.check_file = self.check_file

    # What people and programs ask for

    async def submit(
        self, file: StoredFile, *, start: bool, source: Source
    ) -> Submitted:
        """Have a stored file printed, now or as soon as that is possible.

        Args:
            file: what was stored.
            start: print it; otherwise nothing but storing it was asked for.
            source: who asks.

        Raises:
            RejectedError: The queue is full (``queue_full``, 409), or the configuration
                lets nobody start prints (``forbidden``, 403).

        """
        if not start:
            return Submitted(state="stored")
        if not self._surroundings.may_control():
            raise RejectedError.forbidden(
                "rights.control is off in the bridge's configuration", "forbidden"
            )
        entry = self._entry(file.path, source)
        why = self._waits()
        if not why:
            try:
                self._start(entry.id, await self._printable(file.path))
            except RejectedError as refusal:
                why = refusal.message
            else:
                return Submitted(state="printing", job=entry.id)
        self._change(queue.add(self._queue, [entry]), "added", entry)
        return Submitted(
            state="queued", job=entry.id, position=len(self._queue.entries), reason=why
        )

    async def execute(self, command: commands.QueueCommand | HistoryRequest) -> object:
        """Carry out what is about the queue or past prints; return ``data``.

        Raises:
            RejectedError: The file or the print is unknown (404), or the queue is full.

        """
        match command:
            case commands.Add():
                return self._add(command)
            case commands.Remove(job=job):
                gone = next((e for e in self._queue.entries if e.id == job), None)
                self._change(queue.remove(self._queue, job), "removed", gone)
            case commands.MoveInQueue(job=job, to=to):
                self._change(queue.move(self._queue, job, to), "moved")
            case commands.Clear():
                self._change(queue.clear(self._queue), "cleared")
            case commands.HoldQueue():
                self._change(queue.hold(self._queue), "held")
            case commands.ReleaseQueue():
                self._release()
            case HistoryRequest():
                return self._past_prints(command)
        return queue.queue_state(self._queue).model_dump(mode="json")

    def check(self, command: commands.QueueCommand) -> None:
        """Check whether a command could be carried out now.

        Raises:
            RejectedError: As for :meth:`execute`.

        """
        match command:
            case commands.Add():
                queue.add(self._queue, self._entries(command))
            case commands.Remove(job=job):
                queue.remove(self._queue, job)
            case commands.MoveInQueue(job=job, to=to):
                queue.move(self._queue, job, to)
            case commands.ReleaseQueue():
                self._check_release()
            case _:
                pass

    async def check_file(self, path: str) -> None:
        """Check a file by the printer's present limits, before `job start` prints it.

        Raises:
            FileError: There is no such file (404), or it must not be printed (422).
            FailedError: It could not be checked.

        """
        await self._printable(path)

    def stored_file(self, path: str) -> PrintFile | None:
        """Return a stored file, which may be unfit; ``None``: there is none."""
        library = self._library()
        try:
            file = None if library is None else library.get(path)
        except FileError:
            return None
        return None if file is None else _print_file(self._fresh_id(), file)

    # What happens

    async def run(self) -> None:
        """Start each print when it is due, until cancelled; then release the files."""
        self._surroundings.on_queue(queue.queue_state(self._queue))
        try:
            while True:
                self._touched.clear()
                await self._start_next()
                await self._show_picture()
                await self._touched.wait()
        finally:
            if self._request is not None:
                self._request.cancel()
                self._request = None
            self._let_go()

    def file_removed(self, path: str) -> None:
        """Drop the prints of a file that is gone, and select it no longer."""
        self._printer.prints.file_removed(path)
        left = queue.without_files(self._queue, path.__ne__)
        if left is not self._queue:
            self._change(left, "file_gone")

    def changed(self) -> None:
        """Follow the printer and its files, one of which has changed."""
        job = self._printer.state.job
        if self._is_stopped() and not self._queue.held:
            self._change(queue.stopped(self._queue), "held")
        self._follow_job(job)
        self._hold_printed(job.file if job.streamed else None)
        shown = (job.file if job.origin == "local" else None, self._picture_size())
        if shown != self._shown or self._queue.next() is not None:
            self._touched.set()

    # How it is done

    def _menu(self, action: str) -> None:
        """Follow what somebody has chosen in the printer's own menu."""
        if action == "not_ready" and not self._queue.held:
            self._change(queue.hold(self._queue), "held")
        elif action in _REQUESTS and self._request is None:
            loop = asyncio.get_running_loop()
            self._request = loop.call_later(MENU_PAUSE, self._requested)

    def _requested(self) -> None:
        """Release the queue for its first print, because somebody is at the printer."""
        self._request = None
        entry = self._queue.entries[0] if self._queue.entries else None
        refused = self._not_at_printer()
        data = {
            "job": entry.id if entry else None,
            "file": entry.path if entry else None,
            "released": refused is None,
            "reason": refused or "",
        }
        if event := self._limiter.admit(
            StateEvent("start_requested", data), self._printer.observer.clock()
        ):
            self._surroundings.on_event(event.name, **event.data)
        if refused is None:
            self._change(queue.release(self._queue), "released", entry)

    def _not_at_printer(self) -> str | None:
        """Return why a request from the printer's menu starts nothing now."""
        allowed = self.settings.release_at_printer and self._surroundings.may_control()
        if not allowed:
            return "off"
        return queue.obstacle(self._queue) or (None if self._ready() else "busy")

    def _follow_job(self, job: PrintJob) -> None:
        """Note that a print has ended, or that one has begun."""
        if job.result is not None and job.result is not self._result:
            self._result = job.result
            self._ended(job.result)
        if not job.active:
            self._began = None
        elif self._began != job.began:
            self._began = job.began
            self._begun(job.job or None)

    def _hold_printed(self, printed: str | None) -> None:
        """Hold the file in print, and those in the queue that could not be held yet."""
        same = printed == self._printed and self._library() is self._holder
        if not same or not self._all_held:
            self._printed = printed
            self._hold_files()

    def _past_prints(self, request: HistoryRequest) -> object:
        chosen = history.chosen(
            self._history,
            outcome=request.outcome,
            file=request.file,
            limit=request.limit,
        )
        return history.past_prints(chosen, self._history).model_dump(mode="json")

    def _add(self, command: commands.Add) -> object:
        added = self._entries(command)
        self._change(queue.add(self._queue, added), "added", added[0])
        state = queue.queue_state(self._queue).model_dump(mode="json")
        return {"jobs": [entry.id for entry in added], **state}

    def _entries(self, command: commands.Add) -> list[QueueEntry]:
        path = self._files().get(command.file).path
        added: list[QueueEntry] = []
        for _ in range(command.copies):
            taken = [entry.id for entry in added]
            added.append(self._entry(path, "mqtt", taken))
        return added

    def _files(self) -> Library:
        library = self._library()
        if library is None:
            raise FileError.disabled()
        return library

    def _release(self) -> None:
        """Let the next print start.

        Raises:
            RejectedError: As for :meth:`_check_release`.

        """
        self._check_release()
        self._change(queue.release(self._queue), "released")

    def _check_release(self) -> None:
        """Refuse to release the queue now.

        Raises:
            RejectedError: A print is under way, whose part will lie on the bed.

        """
        if self.settings.hold and self._printer.state.job.active:
            raise RejectedError.conflict(
                "queue release: a print is under way; when it has ended and the bed is "
                "clear, release the queue",
                "printing",
            )

    def _waits(self) -> str:
        """Return why a print that is asked for now has to wait; "" if it need not."""
        if not self.settings.start_uploads:
            return "the queue decides when it starts (queue.start_uploads is off)"
        if self._queue.entries:
            return "other prints wait before it"
        return ""

    async def _printable(self, path: str) -> StoredFile:
        """Return a file that was checked for the printer's present limits.

        Raises:
            FileError: There is no such file (404), or it must not be printed (422).

        """
        file = await self._files().checked(path)
        if not file.report.printable:
            raise FileError.refused(path, file.report)
        return file

    def _start(self, job: str, file: StoredFile) -> None:
        """Start a print, whatever the queue says.

        Raises:
            RejectedError: The printer is not ready for it.

        """
        self._printer.printing.start(_print_file(job, file))
        self._began = self._printer.state.job.began
        self._begun(job)

    async def _start_next(self) -> None:
        """Start the next print if it may start and the printer is ready."""
        entry = self._queue.next()
        if entry is None or not self._ready():
            return
        try:
            file = await self._printable(entry.path)
            if self._may_start(entry):  # meanwhile it may have been held or removed
                self._start(entry.id, file)
        except CommandError as refusal:
            if self._may_start(entry):
                log.warning("%s cannot be printed: %s", entry.path, refusal.message)
                refused = queue.refused(self._queue, refusal.message)
                self._change(refused, "cannot_start", entry)

    async def _show_picture(self) -> None:
        """Publish the picture of the selected file, if it is another one."""
        job, size = self._printer.state.job, self._picture_size()
        path = job.file if job.origin == "local" else None
        if (path, size) == self._shown:
            return
        self._shown = (path, size)
        picture = None
        if path is not None and size > 0:
            try:
                picture = await self._files().thumbnail(path, size)
            except CommandError as error:
                log.debug("no picture of %s: %s", path, error.message)
        self._surroundings.on_thumbnail(picture.data if picture else b"")

    def _picture_size(self) -> int:
        return self._surroundings.max_thumbnail()

    def _is_stopped(self) -> bool:
        """Return whether somebody or its firmware has stopped the machine.

        A host firmware that is not ready yet after it was switched on has not.
        """
        state = self._printer.state
        if state.problem is not None and state.problem.consequence == "stopped":
            return True
        return state.halted and state.readiness != "not_ready"

    def _may_start(self, entry: QueueEntry) -> bool:
        return self._queue.next() == entry and self._ready()

    def _ready(self) -> bool:
        state = self._printer.state
        idle = state.phase == "operational" and not self._printer.printing.active
        return idle and not state.asks

    def _begun(self, job: str | None) -> None:
        entry = next((e for e in self._queue.entries if e.id == job), None)
        after = queue.begun(self._queue, job, hold_each=self.settings.hold)
        if after != self._queue:
            self._change(after, "started", entry)

    def _ended(self, result: PrintResult) -> None:
        epoch = self._surroundings.epoch()
        started = result.started
        self._history = history.with_print(
            self._history,
            Ended(
                job=result.job or None,
                file=result.file,
                origin=result.origin,
                outcome=result.outcome,
                reason=result.reason,
                started=None if started is None else started + epoch,
                ended=result.time + epoch,
                elapsed=result.elapsed,
                filament=result.filament,
                layers=result.layers,
            ),
        )
        if self._history_file is not None:
            remember(self._history_file, HistoryRecord(prints=self._history))
        after = queue.ended(self._queue, done=result.outcome == "done")
        if after != self._queue:
            self._change(after, "held")

    def _change(
        self, after: PrintQueue, action: str, entry: QueueEntry | None = None
    ) -> None:
        self._queue = after
        if self._queue_file is not None:
            remember(self._queue_file, QueueRecord(queue=after))
        self._hold_files()
        self._touched.set()
        self._surroundings.on_event(
            "queue_changed",
            action=action,
            job=entry.id if entry else None,
            file=entry.path if entry else None,
            length=len(after.entries),
            held=after.held,
        )
        self._surroundings.on_queue(queue.queue_state(after))

    def _hold_files(self) -> None:
        """Let nobody change the files that are printed, or are about to be."""
        library = self._library()
        if library is not self._holder:
            self._let_go()
            self._holder = library
        wanted = {entry.path for entry in self._queue.entries}
        if self._printed is not None:
            wanted.add(self._printed)
        for path in self._in_use.keys() - wanted:
            self._in_use.pop(path).close()
        for path in wanted - self._in_use.keys():
            held = ExitStack()
            with suppress(FileError):  # it is not listed yet
                held.enter_context(self._files().hold(path))
                self._in_use[path] = held
        self._all_held = len(self._in_use) == len(wanted)

    def _let_go(self) -> None:
        for held in self._in_use.values():
            held.close()
        self._in_use.clear()

    def _entry(
        self, path: str, source: Source, taken: Sequence[str] = ()
    ) -> QueueEntry:
        job = self._fresh_id(taken)
        return QueueEntry(id=job, path=path, added=time.time(), source=source)

    def _fresh_id(self, taken: Sequence[str] = ()) -> str:
        known = {entry.id for entry in self._queue.entries}
        known.update(ended.job for ended in self._history if ended.job is not None)
        return queue.fresh_id(lambda: secrets.token_hex(4), {*known, *taken})

    def _last_queue(self) -> PrintQueue:
        if self._queue_file is None:
            return PrintQueue()
        kept = recall(self._queue_file, QueueRecord)
        return PrintQueue() if kept is None else kept.queue

    def _last_known_result(self) -> PrintResult | None:
        """Return the result of the last print, if the history has it.

        One that broke off with an earlier run of the bridge has ended only now.
        """
        result = self._printer.state.job.result
        if result is None or not result.job:
            return result
        known = any(ended.job == result.job for ended in self._history)
        return result if known else None

    def _last_history(self) -> tuple[Ended, ...]:
        if self._history_file is None:
            return ()
        kept = recall(self._history_file, HistoryRecord)
        return () if kept is None else kept.prints


def _print_file(job: str, file: StoredFile) -> PrintFile:
    meta = file.metadata
    return PrintFile(
        job=job,
        path=file.full_path,
        name=file.path,
        size=file.size,
        lines=file.report.lines,
        seconds=meta.seconds,
        layers=meta.layers,
        filament=meta.filament_length,
        objects=meta.objects,
    )
