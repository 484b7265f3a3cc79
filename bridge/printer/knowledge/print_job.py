"""A print seen from outside: a table of transitions, and the facts kept beside it.

A print from the card may have been started at the printer's own panel, and the firmware
reports little about it: a byte counter, a few lines and host actions. The rest is
concluded from these. :data:`TABLE` says for each phase and for everything that can be
heard (:data:`Heard`) which phase follows, what is reported and how the print ended; a
pair that is not in it changes nothing. The functions below turn what a firmware says,
and what it is sent, into these words. ``docs/prints.md`` draws the table.

While the link is away nothing is known, so the phase stays and is *unconfirmed*
(``lost_at``). A byte counter or a host action confirms it; a firmware that is not
printing ends it as ``failed``, at the moment at which it was last seen. The same holds
after a restart of the bridge.

A print that the bridge itself streams uses the same table, with ``origin="local"``.

Times are seconds on a monotonic clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bridge.gcode.line import code_of, read
from bridge.printer.knowledge.estimate import Estimate

_DENIALS = 3
"""Answers ``Not SD printing`` in a row that end a print; a single one may be a slip of
the firmware (Q-34)."""

_STANDING_REPORTS = 3
"""Reports of the same byte count that mean a pause. Each of these answers comes after
at least one more line of the print, so a print that runs has read on."""

_RISING_REPORTS = 2
"""Reports of a higher byte count that end a pause: the first may be of bytes that were
read ahead before the print came to a standstill."""

_READING_ON = 5
"""Reports of a higher byte count in a row that show that a pause or a cancel was
ignored: a firmware reads ahead a few lines only."""

_MAX_BYTES = 1e15
"""Limit of the number after ``M26 S``; larger floats are no exact counts."""

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

Heard = Literal[
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
    "told_paused",
    "told_resumed",
    "told_done",
    "told_ended",
    "told_cancelled",
    "short_print",
    "card_removed",
    "reset",
    "halted",
]
"""What can be heard of a print:

* ``start``: it is told to start, or says so.
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
* ``reported_paused``: the answer to the poll. ``told_…``: a line or a host action.
* ``told_ended``: the end, of which the next line says whether it was cancelled.
* ``short_print``: the end of a print that began and ended between two polls.
* ``card_removed``, ``reset``, ``halted``: of the printer.
"""


@dataclass(frozen=True, slots=True)
class Transition:
    """What follows from something heard in a phase.

    Attributes:
        to: the next phase.
        events: what is reported, in order.
        outcome: how the print ended; ``None``: it goes on.
        reason: a stable word if it failed; ``None``: the caller has it.

    """

    to: Phase
    events: tuple[PrintEvent, ...] = ()
    outcome: Outcome | None = None
    reason: str | None = ""


_BEGINS: tuple[Phase, ...] = ("starting", "resuming")
_RUNS: tuple[Phase, ...] = ("starting", "printing", "resuming")
_UNDER_WAY: tuple[Phase, ...] = (*_RUNS, "pausing", "paused", "finishing")
PHASES: tuple[Phase, ...] = ("idle", *_UNDER_WAY, "cancelling")

_END: Mapping[Outcome, PrintEvent] = {
    "done": "print_done",
    "cancelled": "print_cancelled",
    "failed": "print_failed",
}


def _ends(outcome: Outcome, reason: str | None = "") -> Transition:
    return Transition("idle", (_END[outcome],), outcome, reason)


_Row = tuple[tuple[Phase, ...], Heard, Transition]

_PAUSED = Transition("paused", ("print_paused",))
_RESUMED = Transition("printing", ("print_resumed",))

_ROWS: tuple[_Row, ...] = (
    # Beginning. Nothing is reported of a print that was not seen to begin.
    (("idle",), "start", Transition("starting", ("print_started",))),
    (("idle",), "rose_from_start", Transition("printing", ("print_started",))),
    (("idle",), "rose", Transition("printing")),
    (("idle",), "reported_paused", Transition("paused")),
    (("idle",), "told_done", _ends("done")),
    (
        ("idle",),
        "short_print",
        Transition("idle", ("print_started", "print_done"), "done"),
    ),
    (("starting",), "rose", Transition("printing")),
    # Pausing
    (_RUNS, "asked_pause", Transition("pausing")),
    (("finishing",), "asked_pause", Transition("pausing")),
    (("pausing",), "pause_accepted", _PAUSED),
    (("pausing",), "stood", _PAUSED),
    (_RUNS, "stood_still", _PAUSED),
    (_RUNS, "broke_off", _ends("failed", "file_error")),
    (("pausing",), "reads_on", Transition("printing")),
    ((*_RUNS, "pausing", "finishing"), "told_paused", _PAUSED),
    ((*_RUNS, "pausing", "finishing"), "reported_paused", _PAUSED),
    # Resuming
    (("pausing", "paused"), "asked_resume", Transition("resuming")),
    (("resuming",), "rose", _RESUMED),
    (("paused",), "rose_again", _RESUMED),
    (("paused", "resuming"), "told_resumed", _RESUMED),
    (("pausing",), "told_resumed", Transition("printing")),
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
    ((*_UNDER_WAY, "cancelling"), "told_done", _ends("done")),
    ((*_RUNS, "pausing", "paused"), "told_ended", Transition("finishing")),
    ((*_UNDER_WAY, "cancelling"), "told_cancelled", _ends("cancelled")),
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
    # What breaks. Of a print that was being cancelled somebody wanted the end.
    ((*_RUNS, "pausing", "paused"), "ended_unseen", _ends("failed", "connection_lost")),
    (("finishing",), "ended_unseen", _ends("done")),
    (("cancelling",), "ended_unseen", _ends("cancelled")),
    ((*_UNDER_WAY, "cancelling"), "card_removed", _ends("failed", "card_removed")),
    (_UNDER_WAY, "reset", _ends("failed", "printer_reset")),
    (("cancelling",), "reset", _ends("cancelled")),
    ((*_UNDER_WAY, "cancelling"), "halted", _ends("failed", None)),
)

TABLE: Mapping[tuple[Phase, Heard], Transition] = {
    (phase, heard): transition
    for phases, heard, transition in _ROWS
    for phase in phases
}
"""Every transition; what is not in it changes neither the phase nor anything else."""


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

    """

    outcome: Outcome
    file: str | None
    origin: Origin = "card"
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
    result: PrintResult | None = None
    happened: int = 0
    recent: tuple[PrintEvent, ...] = ()

    @property
    def active(self) -> bool:
        """A print is under way or paused."""
        return self.phase != "idle"


_RECENT = 8
"""Events that are kept. One report of a firmware leads to three at most."""


def events_between(before: PrintJob, after: PrintJob) -> tuple[PrintEvent, ...]:
    """Return what happened between two states of one job."""
    new = after.happened - before.happened
    return after.recent[-new:] if new > 0 else ()


def running_time(job: PrintJob, now: float) -> float:
    """Return for how long the print has been seen, without its pauses, in seconds."""
    ends = [moment for moment in (job.paused_at, job.lost_at) if moment is not None]
    return max(0.0, min([now, *ends]) - job.began - job.pauses)


def elapsed(job: PrintJob, now: float) -> float | None:
    """Return how long the print took so far; ``None``: there is none, or no start."""
    return running_time(job, now) if job.active and job.start_seen else None


def progress(job: PrintJob) -> float | None:
    """Return the progress in percent; the slicer's figure is better than the bytes."""
    if job.percent is not None:
        return job.percent
    if job.position is None or not job.size:
        return None
    return min(100.0, 100.0 * job.position / job.size)


def remaining(job: PrintJob, now: float) -> float | None:
    """Return how long the print still takes, in seconds; ``None``: not known yet.

    The slicer's ``M73 R`` counts down with the clock. Without it, the time is estimated
    from the progress, see :class:`~bridge.printer.knowledge.estimate.Estimate`.
    """
    if not job.active:
        return None
    ran = running_time(job, now)
    if job.remaining is not None and job.heating:
        return job.remaining  # it does not count down
    if job.remaining is not None:
        return max(0.0, job.remaining - (ran - job.reported_at))
    return job.estimate.remaining(ran)


def start_time(job: PrintJob) -> float | None:
    """Return when the print began; ``None``: there is none, or it was not seen."""
    return job.began if job.active and job.start_seen else None


def finish_time(job: PrintJob, now: float) -> float | None:
    """Return when the print will finish; ``None``: not known, paused or heating."""
    left = remaining(job, now)
    stands = job.paused_at is not None or job.heating or job.lost_at is not None
    return None if left is None or stands else now + left


_DENIED: frozenset[Heard] = frozenset({"denied", "denied_for_good", "stood"})
"""What proves no cancellation before the firmware has acknowledged it: one that waits
for a person during a filament change denies the print as well, and goes on later."""


def step(job: PrintJob, heard: Heard, now: float, reason: str = "") -> PrintJob:
    """Return the job after something was heard, as :data:`TABLE` has it.

    Args:
        job: what is known.
        heard: what was heard.
        now: the time.
        reason: why it is paused, or has failed if the table leaves that open.

    """
    if job.cancel_sent and heard in _DENIED:
        return job
    transition = TABLE.get((job.phase, heard))
    if transition is None:
        return _with_reason(job, reason) if heard == "told_paused" else job
    events = transition.events
    if transition.outcome is not None:
        why = reason if transition.reason is None else transition.reason
        job = _ended(job, transition.outcome, now, why)
    if transition.to == "idle":
        return _noted(job, events)
    before = job.phase
    if before == "idle":
        seen = bool(events)
        job = _begun(job, now, start_seen=seen)
    job = _timed(job, transition.to, now)
    job = replace(
        job,
        phase=transition.to,
        denials=0,
        rising_reports=0,
        standing_reports=0,
        counter_seen=job.counter_seen and transition.to == "paused",
        cancel_sent=False,
    )
    job = _noted(job, events)
    return _with_reason(job, reason) if transition.to == "paused" else job


def _ended(job: PrintJob, outcome: Outcome, now: float, reason: str) -> PrintJob:
    """Return the job without its print; the file stays selected.

    Its counter is unknown then: a firmware may go on reporting where it stopped.
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
        layers=job.layers,
    )
    return PrintJob(
        file=job.file,
        size=job.size,
        result=result,
        happened=job.happened,
        recent=job.recent,
    )


def _begun(job: PrintJob, now: float, *, start_seen: bool) -> PrintJob:
    return PrintJob(
        origin=job.origin,
        file=job.file,
        size=job.size,
        position=job.position,
        began=now,
        risen_at=now,
        start_seen=start_seen,
        result=job.result,
        happened=job.happened,
        recent=job.recent,
    )


def _timed(job: PrintJob, to: Phase, now: float) -> PrintJob:
    """Return the job with its pause begun or ended, as the next phase needs it."""
    if to in {"pausing", "paused"}:
        since = now if job.paused_at is None else job.paused_at
        return replace(_heated_up(job, now), paused_at=since)
    if job.paused_at is None or to == "cancelling":
        return job
    stood = max(0.0, now - job.paused_at)
    return replace(
        job, paused_at=None, pauses=job.pauses + stood, reason="", risen_at=now
    )


def _with_reason(job: PrintJob, reason: str) -> PrintJob:
    """Return a paused job with its reason; a runout is reported once.

    The filament change that follows a runout is no reason of its own.
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


def _confirmed(job: PrintJob) -> PrintJob:
    return job if job.lost_at is None else replace(job, lost_at=None)


def link_lost(job: PrintJob, now: float) -> PrintJob:
    """Return the job after the link was lost: a print goes on, unconfirmed."""
    if not job.active or job.lost_at is not None:
        return job
    return replace(_heated_up(job, now), lost_at=now)


def link_back(job: PrintJob) -> PrintJob:
    """Return the job at a new connection, before the firmware has said anything.

    A print that starts meanwhile is not seen from its start.
    """
    fresh = replace(job, denials=0, rising_reports=0, standing_reports=0)
    return fresh if job.active else replace(fresh, position=None)


def reset(job: PrintJob, now: float) -> PrintJob:
    """Return the job after the firmware restarted; no file is selected."""
    return replace(step(job, "reset", now), file=None, size=None, position=None)


def select(job: PrintJob, name: str, size: int | None) -> PrintJob:
    """Return the job after a file was opened; a print goes on."""
    if job.active:
        return replace(job, file=job.file or name or None, size=job.size or size)
    return replace(
        _begun(job, 0.0, start_seen=False), file=name or None, size=size, position=0
    )


def report_bytes(
    job: PrintJob, position: int, size: int, now: float, *, in_turn: bool = False
) -> PrintJob:
    """Return the job after ``SD printing byte position/size``.

    ``in_turn``: this is an answer that the firmware gives between two lines of the
    print. Then a counter that stands still shows a pause that nobody announced.
    """
    if size == 0:  # some firmwares say 0/0 where nothing is printed
        return report_no_print(job, now)
    if job.active and job.size not in {None, 0, size}:
        job = step(job, "other_file" if job.lost_at is None else "ended_unseen", now)
        job = replace(job, file=None, position=None)
    before = job.position
    if job.lost_at is not None and before is not None and position < before:
        job = step(job, "ended_unseen", now)  # it is selected, and not printed
        return replace(job, position=position, size=size)
    job = _counted(_confirmed(job), position, size, now, in_turn=in_turn)
    heard = _heard_of_bytes(job, from_start=before == 0)
    job = job if heard is None else step(job, heard, now)
    if job.phase == "printing" and position >= size:
        job = step(job, "all_read", now)
    return _estimated(job, now)


def _counted(
    job: PrintJob, position: int, size: int, now: float, *, in_turn: bool
) -> PrintJob:
    rose = job.position is not None and position > job.position
    stands = in_turn and not rose and position < size
    job = _heated_up(job, now) if rose else job
    return replace(
        job,
        position=position,
        size=size,
        denials=0,
        rising_reports=job.rising_reports + 1 if rose else 0,
        standing_reports=job.standing_reports + 1 if stands else 0,
        risen_at=now if rose else job.risen_at,
        complaint=job.complaint and not rose,
        counter_seen=job.phase == "paused",
    )


def _heard_of_bytes(job: PrintJob, *, from_start: bool) -> Heard | None:
    if job.rising_reports:
        return _heard_of_rising_bytes(job, from_start=from_start)
    if job.standing_reports >= _STANDING_REPORTS and job.phase in _RUNS:
        return "broke_off" if job.complaint else "stood_still"
    return "stood"


def _heard_of_rising_bytes(job: PrintJob, *, from_start: bool) -> Heard | None:
    match job.phase:
        case "idle":
            return "rose_from_start" if from_start else "rose"
        case "paused":
            return "rose_again" if job.rising_reports >= _RISING_REPORTS else None
        case "pausing" | "cancelling":
            return "reads_on" if job.rising_reports >= _READING_ON else None
    return "rose"


def _estimated(job: PrintJob, now: float) -> PrintJob:
    if job.phase not in {"starting", "printing", "resuming"} or job.heating:
        return job
    share = (progress(job) or 0.0) / 100
    return replace(job, estimate=job.estimate.add(running_time(job, now), share))


def report_heat(job: PrintJob, now: float, *, waiting: bool, cold: bool) -> PrintJob:
    """Return the job after a temperature report.

    Args:
        job: what is known.
        now: the time.
        waiting: the firmware reports that it waits for a heater.
        cold: a heater is far below its target.

    """
    if job.phase not in _RUNS or job.lost_at is not None:
        return _heated_up(job, now)
    heating = waiting or (cold and now - job.risen_at > STANDSTILL)
    if not heating:
        return job if cold else _heated_up(job, now)
    left = None if job.remaining is None else remaining(job, now)
    estimate = job.estimate.heated((progress(job) or 0.0) / 100)
    return replace(job, heating=True, remaining=left, estimate=estimate)


def _heated_up(job: PrintJob, now: float) -> PrintJob:
    """Return the job after heating; the slicer's time is counted again from now."""
    if not job.heating:
        return job
    return replace(job, heating=False, reported_at=running_time(job, now))


STANDSTILL = 3.0
"""Seconds without a byte after which a print with a cold heater waits for it; the card
is polled every second. Klipper reports neither that it waits nor any byte meanwhile."""


def report_paused(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``SD print paused``; its start may not have been seen."""
    return step(_confirmed(job), "reported_paused", now)


def report_no_print(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``Not SD printing``.

    Some firmwares deny a print while it is paused. So during a pause this counts only
    if the byte counter was reported during the same pause, or no file is open (Q-34),
    or if the link was lost since: then the printer may have been off.
    """
    if not job.active:
        return replace(job, position=0)
    denies_pauses = not job.counter_seen and job.lost_at is None
    if job.cancel_sent or (job.phase == "paused" and denies_pauses):
        return job
    job = replace(job, denials=job.denials + 1, rising_reports=0, standing_reports=0)
    if job.lost_at is not None:
        alone = job.phase in {"finishing", "cancelling"}
        enough = alone or job.denials >= _DENIALS
        return step(job, "ended_unseen", now) if enough else job
    return step(job, "denied_for_good" if job.denials >= _DENIALS else "denied", now)


def report_no_file(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``Current file: (no file)``.

    A paused print keeps its file open, so a firmware that denies it as well has
    nothing left to resume.
    """
    if job.phase != "paused":
        return job
    return report_no_print(replace(job, counter_seen=True), now)


def report_error(job: PrintJob) -> PrintJob:
    """Return the job after an error that belongs to no command.

    Klipper stops reading a file at the first line that it refuses, says so once, and
    goes on reporting the byte at which it stopped
    (tests/transcripts/klipper/07c_sd_error_in_file.txt).
    """
    return replace(job, complaint=True) if job.phase in _RUNS else job


def report_done(job: PrintJob, now: float, *, certain: bool = True) -> PrintJob:
    """Return the job after ``Done printing file``, also of a print too short to see.

    ``certain``: it was not cancelled. Otherwise the next report decides.
    """
    if not certain:
        return step(_confirmed(job), "told_ended", now)
    watched = not job.active and job.position is not None
    return step(_confirmed(job), "short_print" if watched else "told_done", now)


def report_cancelled(job: PrintJob, now: float) -> PrintJob:
    """Return the job after the firmware said that its print was cancelled."""
    return step(_confirmed(job), "told_cancelled", now)


def report_progress(
    job: PrintJob, percent: float | None, left: float | None, now: float
) -> PrintJob:
    """Return the job after the slicer reported its progress (``M73``).

    ``percent`` is 0 to 100, ``left`` in seconds; ``None``: not reported.
    """
    if not job.active:
        return job
    job = replace(job, percent=job.percent if percent is None else percent)
    if left is None:
        return job
    return replace(job, remaining=left, reported_at=running_time(job, now))


def card_removed(job: PrintJob, now: float) -> PrintJob:
    """Return the job after the card was removed; what the bridge streams goes on."""
    return step(job, "card_removed", now) if job.origin == "card" else job


def halted(job: PrintJob, reason: str, now: float) -> PrintJob:
    """Return the job after the firmware stopped for good."""
    return step(job, "halted", now, reason)


def waits_for_person(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``busy: paused for user``."""
    return step(_confirmed(job), "told_paused", now)


def host_action(job: PrintJob, action: str, argument: str, now: float) -> PrintJob:
    """Return the job after a host action (``//action:paused``).

    ``start`` and ``resume`` without a print ask the host for a job of its own; a print
    from the card shows by its bytes.
    """
    match action:
        case "pause" | "paused":
            return step(_confirmed(job), "told_paused", now, argument)
        case "resumed" | "resume" if job.active:
            return step(_confirmed(job), "told_resumed", now)
        case "cancel":
            return step(job, "asked_cancel", now)
    return job


def line_sent(job: PrintJob, line: str, now: float) -> PrintJob:
    """Return the job after a line was sent."""
    said = read(line)
    match said.code:
        case "M24" | "RESUME" if job.active:
            job = step(job, "asked_resume", now)
        case "M24" | "RESUME" if job.file is not None:
            job = step(job, "start", now)
        case "M25" | "PAUSE":
            job = step(job, "asked_pause", now)
        case "M524" | "CANCEL_PRINT":
            job = _cancel_sent(job, now)
        case "M26":
            job = _seek(job, said.values.get("S") or 0, now)
        case "M73":
            left = said.values.get("R")
            seconds = None if left is None else left * 60
            job = report_progress(job, said.values.get("P"), seconds, now)
    return job


def _seek(job: PrintJob, position: float, now: float) -> PrintJob:
    if not job.active:
        return replace(job, position=int(min(position, _MAX_BYTES)))
    if job.paused_at is not None and not position:
        # Rewound during a pause: it will not go on from there.
        return _cancel_sent(job, now)
    return job


def _cancel_sent(job: PrintJob, now: float) -> PrintJob:
    job = step(job, "asked_cancel", now)
    return replace(job, cancel_sent=True) if job.phase == "cancelling" else job


def cancel_refused(job: PrintJob, now: float) -> PrintJob:
    """Return the print whose cancellation was refused, or not sent: it goes on."""
    paused = job.paused_at is not None
    heard: Heard = "cancel_refused_in_pause" if paused else "cancel_refused"
    return step(replace(job, cancel_sent=False), heard, now)


def line_acknowledged(job: PrintJob, line: str, now: float) -> PrintJob:
    """Return the job after an ``ok``: firmwares stop the print before they send it."""
    code = code_of(line)
    if code in {"M524", "CANCEL_PRINT", "M26"}:
        return replace(job, cancel_sent=False)
    asked = code in {"M25", "PAUSE"}
    return step(job, "pause_accepted", now) if asked else job
