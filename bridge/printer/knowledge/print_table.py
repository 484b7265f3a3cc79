"""The table of a print's transitions, the job that it changes, and the step.

:data:`TABLE` says for each phase and for each :data:`Observation`
which phase follows, what is reported and how the print ended; a pair that is not in it
changes nothing. ``docs/prints.md`` draws it. What a firmware says, and what it is sent,
becomes these words in :mod:`bridge.printer.knowledge.print_job`.

Times are seconds on a monotonic clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bridge.printer.knowledge.estimate import Estimate

Active = Literal[
    "starting",
    "printing",
    "pausing",
    "paused",
    "resuming",
    "cancelling",
    "finishing",
]
Phase = Literal["idle"] | Active
Outcome = Literal["done", "cancelled", "failed"]
Origin = Literal["card", "local"]
PrintEvent = Literal[
    "print_started",
    "print_paused",
    "print_resumed",
    "print_done",
    "print_cancelled",
    "print_failed",
    "filament_runout",
]

Observation = Literal[
    "start",
    "rose_from_start",
    "rose",
    "rose_again",
    "reads_on",
    "stood",
    "stood_still",
    "broke_off",
    "all_read",
    "other_file",
    "denied",
    "denied_for_good",
    "ended_unseen",
    "asked_pause",
    "pause_accepted",
    "asked_resume",
    "asked_cancel",
    "cancel_refused",
    "cancel_refused_in_pause",
    "reported_paused",
    "announced_paused",
    "announced_resumed",
    "announced_done",
    "announced_ended",
    "announced_cancelled",
    "short_print",
    "card_removed",
    "reset",
    "halted",
    "announced_failed",
]
"""What can be observed of a print:

* ``start``: it was ordered to start, or says that it does.
* ``rose_from_start``, ``rose``: the byte counter rose, from 0 or from elsewhere;
  ``rose_again``: twice in a row; ``reads_on``: five times in a row.
* ``stood``, ``stood_still``: the counter is the same, once or three times in a row.
* ``broke_off``: the same after an error that belongs to no command of ours.
* ``all_read``: the counter has reached the file's size.
* ``other_file``: the counter is that of another file.
* ``denied``, ``denied_for_good``: the firmware does not print, once or three times.
* ``ended_unseen``: the same after the link was lost.
* ``asked_…``: such a line was sent. ``pause_accepted``: it was acknowledged.
* ``cancel_refused``, ``cancel_refused_in_pause``: the firmware does not know the line.
* ``reported_paused``: the answer to the poll. ``announced_…``: a line or a host action.
* ``announced_ended``: the end, of which the next line says whether it was cancelled.
* ``short_print``: the end of a print that began and ended between two polls.
* ``card_removed``, ``reset``, ``halted``: of the printer.
* ``announced_failed``: the bridge, which streams the print, cannot continue with it.
"""


@dataclass(frozen=True, slots=True)
class Transition:
    """What follows from an observation in a phase.

    Attributes:
        to: the next phase.
        events: what is reported, in order.
        outcome: how the print ended; ``None``: it continues.
        reason: a stable word if it failed; ``None``: the caller has it.

    """

    to: Phase
    events: tuple[PrintEvent, ...] = ()
    outcome: Outcome | None = None
    reason: str | None = ""


_BEGINS: tuple[Phase, ...] = ("starting", "resuming")
RUNS: tuple[Phase, ...] = ("starting", "printing", "resuming")
_UNDER_WAY: tuple[Phase, ...] = (*RUNS, "pausing", "paused", "finishing")
PHASES: tuple[Phase, ...] = ("idle", *_UNDER_WAY, "cancelling")

_END: Mapping[Outcome, PrintEvent] = {
    "done": "print_done",
    "cancelled": "print_cancelled",
    "failed": "print_failed",
}


def _ends(outcome: Outcome, reason: str | None = "") -> Transition:
    return Transition("idle", (_END[outcome],), outcome, reason)


_Row = tuple[tuple[Phase, ...], Observation, Transition]

_PAUSED = Transition("paused", ("print_paused",))
_RESUMED = Transition("printing", ("print_resumed",))

_ROWS: tuple[_Row, ...] = (
    # Beginning. Nothing is reported of a print that was not seen to begin.
    (("idle",), "start", Transition("starting", ("print_started",))),
    (("idle",), "rose_from_start", Transition("printing", ("print_started",))),
    (("idle",), "rose", Transition("printing")),
    (("idle",), "reported_paused", Transition("paused")),
    (("idle",), "announced_done", _ends("done")),
    (
        ("idle",),
        "short_print",
        Transition("idle", ("print_started", "print_done"), "done"),
    ),
    (("starting",), "rose", Transition("printing")),
    # Pausing
    (RUNS, "asked_pause", Transition("pausing")),
    (("finishing",), "asked_pause", Transition("pausing")),
    (("pausing",), "pause_accepted", _PAUSED),
    (("pausing",), "stood", _PAUSED),
    (RUNS, "stood_still", _PAUSED),
    (RUNS, "broke_off", _ends("failed", "file_error")),
    (("pausing",), "reads_on", Transition("printing")),
    ((*RUNS, "pausing", "finishing"), "announced_paused", _PAUSED),
    ((*RUNS, "pausing", "finishing"), "reported_paused", _PAUSED),
    # Resuming
    (("pausing", "paused"), "asked_resume", Transition("resuming")),
    (("resuming",), "rose", _RESUMED),
    (("paused",), "rose_again", _RESUMED),
    (("paused", "resuming"), "announced_resumed", _RESUMED),
    (("pausing",), "announced_resumed", Transition("printing")),
    # Cancelling; rewound and started again, it is another print.
    (_UNDER_WAY, "asked_cancel", Transition("cancelling")),
    (("cancelling",), "reads_on", Transition("printing")),
    (("cancelling",), "cancel_refused", Transition("printing")),
    (("cancelling",), "cancel_refused_in_pause", Transition("paused")),
    (
        ("cancelling",),
        "asked_resume",
        Transition("starting", ("print_cancelled", "print_started"), "cancelled"),
    ),
    # The end
    (("printing",), "all_read", Transition("finishing")),
    (("finishing",), "rose", Transition("printing")),
    ((*_UNDER_WAY, "cancelling"), "announced_done", _ends("done")),
    ((*RUNS, "pausing", "paused"), "announced_ended", Transition("finishing")),
    ((*_UNDER_WAY, "cancelling"), "announced_cancelled", _ends("cancelled")),
    (("finishing",), "denied", _ends("done")),
    (("cancelling",), "denied", _ends("cancelled")),
    (("cancelling",), "stood", _ends("cancelled")),
    (("starting",), "denied_for_good", _ends("failed", "not_started")),
    (
        ("printing", "resuming", "pausing", "paused"),
        "denied_for_good",
        _ends("cancelled"),
    ),
    ((*_UNDER_WAY, "cancelling"), "other_file", _ends("cancelled")),
    # Failures. If the print was being cancelled, it counts as cancelled.
    ((*RUNS, "pausing", "paused"), "ended_unseen", _ends("failed", "connection_lost")),
    (("finishing",), "ended_unseen", _ends("done")),
    (("cancelling",), "ended_unseen", _ends("cancelled")),
    ((*_UNDER_WAY, "cancelling"), "card_removed", _ends("failed", "card_removed")),
    (_UNDER_WAY, "reset", _ends("failed", "printer_reset")),
    (("cancelling",), "reset", _ends("cancelled")),
    ((*_UNDER_WAY, "cancelling"), "halted", _ends("failed", None)),
    (_UNDER_WAY, "announced_failed", _ends("failed", None)),
    (("cancelling",), "announced_failed", _ends("cancelled")),
)

TABLE: Mapping[tuple[Phase, Observation], Transition] = {
    (phase, observed): transition
    for phases, observed, transition in _ROWS
    for phase in phases
}
"""Every transition; a pair that is not in it changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintResult:
    """How the last print ended.

    Attributes:
        outcome: ``done``, ``cancelled`` or ``failed``.
        file: what was printed; ``None``: not known.
        origin: where the file was: on the ``card``, or ``local`` to the bridge.
        started: when it began; ``None``: its start was not seen.
        elapsed: its duration without pauses, in seconds; ``None``: its start was not
            seen.
        time: when it ended, or was last seen.
        reason: a stable word if it failed, else ``""``.
        filament: mm of filament; ``None``: not known, as for prints from the card.
        layers: how many layers; likewise.
        job: the id of the print; "" for prints from the card.
        detail: why it failed in a sentence, if the reason has no fixed one.

    """

    outcome: Outcome
    file: str | None
    origin: Origin = "card"
    job: str = ""
    detail: str = ""
    started: float | None = None
    elapsed: float | None
    time: float
    reason: str = ""
    filament: float | None = None
    layers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintJob:
    """The print under way, or the selected file.

    Attributes:
        phase: ``idle`` without a print.
        origin: where the file is.
        file: the selected file; ``None``: not known.
        size: in bytes; ``None``: not known.
        position: how many bytes were read; ``None``: not known.
        percent: progress as the slicer reports it (``M73 P``).
        remaining: seconds left when the slicer last reported them (``M73 R``).
        reported_at: how long the print had taken at that report, in seconds.
        estimate: the time of its end as far as it follows from its progress.
        heating: it waits for a heater.
        waited_at: when the firmware last reported that.
        risen_at: when the byte counter rose last.
        began: when the print was first noticed.
        start_seen: its start was seen, so ``began`` is when it started.
        paused_at: when the current pause began.
        pauses: total length of earlier pauses, in seconds.
        reason: why it is paused (``filament_runout``), or ``""``.
        lost_at: when it was last seen, if the link was lost since; ``None``: it is
            confirmed.
        denials: how often in a row the firmware denied the print.
        rising_reports: how often in a row the bytes rose.
        standing_reports: how often in a row the bytes stood still while it was printed.
        counter_seen: the byte counter was reported during this pause.
        cancel_sent: a line that cancels it was sent and is not acknowledged yet, so the
            firmware may still refuse it, or wait for a person before it.
        complaint: since the bytes rose, the firmware reported an error that belongs to
            no command, and after which it does not read on.
        filament: mm of filament so far; ``None``: not known.
        layers: how many layers the file has; ``None``: not known.
        job: the id of a print that the bridge streams, else "".
        line: the line of the file up to which the printer has acknowledged it;
            ``None``: not known.
        layer: the layer that is printed, counted from 1; likewise.
        z: its height in mm; likewise.
        seconds: how long the print takes, as the slicer says in the file; likewise.
        spent: how much of that has passed.
        counted_at: when that was counted last.
        starved: seconds in which the printer may have run out of moves because the
            bridge had no line for it.
        objects: the objects of the file that can be excluded.
        excluded: those that are.
        detail: why it fails, as a sentence, in the step that ends it.
        stands: although the print is under way, no line of it is being sent and no move
            of it is being executed.
        result: how the last print ended.
        happened: how many events there were so far.
        recent: the last of them.

    """

    phase: Phase = "idle"
    origin: Origin = "card"
    file: str | None = None
    size: int | None = None
    position: int | None = None
    percent: float | None = None
    remaining: float | None = None
    reported_at: float = 0.0
    estimate: Estimate = field(default_factory=Estimate)
    heating: bool = False
    waited_at: float = float("-inf")
    risen_at: float = 0.0
    began: float = 0.0
    start_seen: bool = False
    paused_at: float | None = None
    pauses: float = 0.0
    reason: str = ""
    lost_at: float | None = None
    denials: int = 0
    rising_reports: int = 0
    standing_reports: int = 0
    counter_seen: bool = False
    cancel_sent: bool = False
    complaint: bool = False
    filament: float | None = None
    layers: int | None = None
    job: str = ""
    line: int | None = None
    layer: int | None = None
    z: float | None = None
    seconds: float | None = None
    spent: float = 0.0
    counted_at: float = 0.0
    starved: float = 0.0
    objects: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    detail: str = ""
    stands: bool = False
    result: PrintResult | None = None
    happened: int = 0
    recent: tuple[PrintEvent, ...] = ()

    @property
    def active(self) -> bool:
        """Whether a print is under way or paused."""
        return self.phase != "idle"

    @property
    def streamed(self) -> bool:
        """Whether the bridge itself sends the print that is under way."""
        return self.phase != "idle" and self.origin == "local"


_RECENT = 8
"""Events that are kept. One report of a firmware causes at most three."""


def events_between(before: PrintJob, after: PrintJob) -> tuple[PrintEvent, ...]:
    """Return what happened between two states of one job."""
    new = after.happened - before.happened
    return after.recent[-new:] if new > 0 else ()


def running_time(job: PrintJob, now: float) -> float:
    """Return for how long the print has been seen, without its pauses, in seconds."""
    ends = [moment for moment in (job.paused_at, job.lost_at) if moment is not None]
    return max(0.0, min([now, *ends]) - job.began - job.pauses)


def elapsed(job: PrintJob, now: float) -> float | None:
    """Return the duration so far; ``None``: there is no print, or no known start."""
    return running_time(job, now) if job.active and job.start_seen else None


def start_time(job: PrintJob) -> float | None:
    """Return when the print began; ``None``: there is none, or it was not seen."""
    return job.began if job.active and job.start_seen else None


_DENIED: frozenset[Observation] = frozenset({"denied", "denied_for_good", "stood"})
"""Observations that do not prove a cancellation before the firmware has acknowledged
it. A firmware that waits for a person during a filament change also says that it is not
printing, and continues later."""


def step(
    job: PrintJob, observed: Observation, now: float, reason: str = ""
) -> PrintJob:
    """Return the job after an observation, according to :data:`TABLE`.

    Args:
        job: what is known.
        observed: what was observed.
        now: the time.
        reason: why it is paused, or has failed if the table leaves that open.

    """
    if job.cancel_sent and observed in _DENIED:
        return job
    transition = TABLE.get((job.phase, observed))
    if transition is None:
        return _with_reason(job, reason) if observed == "announced_paused" else job
    if transition.outcome is not None:
        why = reason if transition.reason is None else transition.reason
        job = _ended(job, transition.outcome, now, why)
    if transition.to != "idle":
        job = _entered(job, transition, now)
    job = _noted(job, transition.events)
    return _with_reason(job, reason) if transition.to == "paused" else job


def _entered(job: PrintJob, transition: Transition, now: float) -> PrintJob:
    """Return the job in the next phase; the counts of reports begin at zero."""
    if job.phase == "idle":
        job = begun(job, now, start_seen=bool(transition.events))
    job = _timed(job, transition.to, now)
    return replace(
        job,
        phase=transition.to,
        denials=0,
        rising_reports=0,
        standing_reports=0,
        counter_seen=job.counter_seen and transition.to == "paused",
        cancel_sent=False,
    )


def _ended(job: PrintJob, outcome: Outcome, now: float, reason: str) -> PrintJob:
    """Return the job without its print; the file stays selected.

    Its counter is unknown then: a firmware may keep reporting where it stopped.
    """
    last = now if job.lost_at is None else job.lost_at
    result = PrintResult(
        outcome=outcome,
        file=job.file,
        origin=job.origin,
        started=start_time(job),
        elapsed=elapsed(job, now),
        time=last,
        reason=reason,
        filament=job.filament,
        layers=job.layers if job.layer is None else job.layer,
        job=job.job,
        detail=job.detail,
    )
    return PrintJob(
        origin=job.origin,
        file=job.file,
        size=job.size,
        result=result,
        happened=job.happened,
        recent=job.recent,
    )


def begun(job: PrintJob, now: float, *, start_seen: bool) -> PrintJob:
    """Return the job with nothing known but its file, as at its beginning."""
    return PrintJob(
        origin=job.origin,
        file=job.file,
        size=job.size,
        position=job.position,
        began=now,
        risen_at=now,
        start_seen=start_seen,
        layers=job.layers,
        job=job.job,
        seconds=job.seconds,
        objects=job.objects,
        stands=job.stands,
        result=job.result,
        happened=job.happened,
        recent=job.recent,
    )


def _timed(job: PrintJob, to: Phase, now: float) -> PrintJob:
    """Return the job with its pause begun or ended, as the next phase needs it."""
    if to in {"pausing", "paused"}:
        since = now if job.paused_at is None else job.paused_at
        return replace(heated_up(job, now), paused_at=since)
    if job.paused_at is None or to == "cancelling":
        return job
    stood = max(0.0, now - job.paused_at)
    return replace(
        job, paused_at=None, pauses=job.pauses + stood, reason="", risen_at=now
    )


def _with_reason(job: PrintJob, reason: str) -> PrintJob:
    """Return a paused job with its reason; a runout is reported once.

    The filament change that follows a runout is not a separate reason.
    """
    if job.phase != "paused" or not reason or "runout" in job.reason:
        return job
    job = replace(job, reason=reason)
    return _noted(job, ("filament_runout",)) if "runout" in reason else job


def _noted(job: PrintJob, events: Iterable[PrintEvent]) -> PrintJob:
    new = tuple(events)
    return replace(
        job,
        happened=job.happened + len(new),
        recent=(*job.recent, *new)[-_RECENT:],
    )


def heated_up(job: PrintJob, now: float) -> PrintJob:
    """Return the job after heating; the slicer's time is counted again from now."""
    if not job.heating:
        return job
    return replace(job, heating=False, reported_at=running_time(job, now))
