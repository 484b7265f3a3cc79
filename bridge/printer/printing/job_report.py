"""Updates the state and the checkpoint while the bridge prints a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bridge.gcode.modal import Modal
from bridge.printer.control.idle_timeout import (
    heaters_on,
)
from bridge.printer.knowledge import print_job
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.observer import Observer
from bridge.printer.knowledge.print_job import Streamed
from bridge.printer.knowledge.print_table import Observation, PrintJob, step
from bridge.printer.knowledge.problems import with_print_failure
from bridge.printer.printing.checkpoint import Checkpoint, Kept, checkpoint
from bridge.printer.printing.feed import Feed
from bridge.printer.printing.print_file import PrintFile
from bridge.printer.printing.tracker import Tracker
from bridge.state_files import recall, remember


class JobReport:
    """Feeds the table of prints, and writes the checkpoint.

    Args:
        observer: has the state.
        on_event: called with the events that the state does not tell.
        on_change: called after each change of the job.
        file: where the checkpoint is kept; ``None``: nowhere.

    """

    def __init__(
        self,
        observer: Observer,
        on_event: Callable[[StateEvent], None],
        on_change: Callable[[], None],
        file: Path | None,
    ) -> None:
        self._observer = observer
        self._on_event = on_event
        self.changed = on_change
        """Notifies those who wait for a state that it may have been reached."""
        self.file = file
        self.saved_at = 0.0
        """When the checkpoint was last written."""
        kept = recall(file, Kept) if file is not None else None
        self.point: Checkpoint | None = None if kept is None else kept.checkpoint
        """Where the last print was interrupted, or where the current one is."""
        self._targets: dict[str, float] = {}
        self._factors: tuple[float | None, float | None] = (None, None)
        self._elapsed: float | None = None

    @property
    def job(self) -> PrintJob:
        """The known state of the print."""
        return self._observer.state.job

    def now(self) -> float:
        """Return the time in seconds, on the observer's clock."""
        return self._observer.clock()

    def begin(self, file: PrintFile) -> None:
        """Report that a print begins."""
        chosen = PrintJob(
            file=file.name,
            size=file.size,
            job=file.job,
            layers=file.layers,
            seconds=file.seconds,
            objects=file.objects,
        )
        self._elapsed = None
        self._change(print_job.begin(self.job, chosen, self.now()))

    def note(self, observed: Observation, reason: str = "") -> None:
        """Report an observation of the table."""
        self._change(step(self.job, observed, self.now(), reason))

    def stands(self, *, stands: bool) -> None:
        """Report whether the print moves the head."""
        if self.job.streamed and self.job.stands is not stands:
            self._change(replace(self.job, stands=stands))

    def fail(self, reason: str, text: str = "") -> None:
        """Report that the print has failed, unless it has already ended."""
        if self.job.streamed:
            self._change(replace(self.job, detail=text))
            self.note("announced_failed", reason)

    def _change(self, job: PrintJob) -> None:
        before = self._observer.state
        ended = before.job.active and not job.active
        after = replace(before, job=job, moved=before.moved or ended)
        self._observer.set_state(with_print_failure(before, after))
        self.changed()

    def progress(
        self, file: PrintFile, feed: Feed, tracker: Tracker, starved: float
    ) -> None:
        """Report how far the print has come."""
        elapsed = tracker.elapsed if tracker.elapsed != self._elapsed else None
        self._elapsed = tracker.elapsed
        come = Streamed(
            position=min(feed.byte, file.size),
            line=feed.line,
            layer=tracker.layer or None,
            z=tracker.layer_z,
            filament=round(tracker.filament, 1),
            elapsed=elapsed,
            starved=round(starved, 1),
            excluded=feed.objects.excluded,
            objects=feed.objects.names,
        )
        self._change(print_job.report_streamed(self.job, come, self.now()))

    def layer(self, file: PrintFile, tracker: Tracker) -> None:
        """Report that the first line of a layer is extruded."""
        data = {
            "file": file.name,
            "layer": tracker.layer,
            "layers": file.layers,
            "z": tracker.layer_z,
        }
        self._on_event(StateEvent("layer", data))

    def interrupted(self) -> None:
        """Report that the last print was interrupted when the bridge ended."""
        result = self.job.result
        if result is not None:
            data = {"file": result.file, "job": result.job, "layer": result.layers}
            self._on_event(StateEvent("job_interrupted", data))

    def save(self, file: PrintFile, feed: Feed, tracker: Tracker) -> None:
        """Save how far the print has come; a slow disk delays nothing."""
        self.saved_at = self.now()
        state = self._observer.state
        # Nothing is known of a printer that is disconnected, and heaters that are
        # turned off after the end of a print were on during it.
        if state.link == "operational" and self.job.streamed:
            self._targets = heaters_on(state)
            self._factors = _factors(state.modal, tracker)
        point = self.point = checkpoint(
            file,
            family=self._observer.dialect.name,
            line=feed.line,
            byte=feed.byte,
            layer=tracker.layer or None,
            z=tracker.layer_z,
            targets=self._targets,
            excluded=feed.objects.excluded,
            speed_factor=self._factors[0],
            flow_factor=self._factors[1],
        )
        if self.file is not None:
            remember(self.file, Kept(checkpoint=point))

    def forget(self) -> None:
        """Delete the checkpoint of a print that was completed or cancelled."""
        self.point = None
        if self.file is not None:
            remember(self.file, Kept())


def _factors(modal: Modal, tracker: Tracker) -> tuple[float | None, float | None]:
    """Return the speed and flow factors in %, if people have changed them."""
    now = (("M220", modal.speed_factor), ("M221", modal.flow_factor))
    speed, flow = (
        None if percent == (tracker.factor(code) or 100.0) else percent
        for code, percent in now
    )
    return speed, flow
