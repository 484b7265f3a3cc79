"""What is kept of a print across a restart of the bridge.

A print from the card continues without the bridge. With this record, the next run
recognises it: it reports neither a second start nor an end without a start, and knows
how long the print took. A print that the bridge streamed has failed (``interrupted``).
Times are Unix times, because the monotonic clock restarts with the computer.
"""

from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from bridge.printer.knowledge.model import PrinterState, Problem, Totals, counted
from bridge.printer.knowledge.print_table import (
    Active,
    Origin,
    Outcome,
    PrintJob,
    PrintResult,
    step,
)
from bridge.printer.knowledge.problems import print_failure

EVERY = 300.0
"""Seconds until the record of a print is written again if only its progress has
changed. After a crash, the record is at most this old."""

LOST = "connection"
"""The reason of the error that the connection was lost, and of a closed link."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RunningPrint(_Record):
    """A print under way."""

    phase: Active
    origin: Origin = "card"
    file: str | None
    size: int | None
    position: int | None
    began: float
    start_seen: bool
    paused_at: float | None
    pauses: float
    reason: str
    seen_at: float
    """When it was last seen."""
    job: str = ""
    filament: float | None = None
    layer: int | None = None


class LastPrint(_Record):
    """How the last print ended."""

    outcome: Outcome
    origin: Origin = "card"
    file: str | None
    started: float | None
    elapsed: float | None
    time: float
    reason: str
    filament: float | None = None
    layers: int | None = None
    job: str = ""
    detail: str = ""


class PrinterRecord(_Record):
    """What is kept for a printer."""

    released: bool = False
    """The port is released until somebody connects it again."""
    unacknowledged: bool = False
    """The last print failed, and nobody has acknowledged that yet."""
    lost: str = ""
    """Why the connection was lost while something was printed or hot, if nobody has
    acknowledged it and the printer has not been connected since."""
    unseen: bool = False
    """Something was printed or hot when the bridge ended, and the connection was up."""
    displaced: bool = False
    """The head was moved since its last print was interrupted."""
    running: RunningPrint | None = None
    """The print under way."""
    result: LastPrint | None = None
    """The last print."""
    totals: Totals = Totals()
    """All prints so far."""


def record(state: PrinterState, *, now: float, epoch: float) -> PrinterRecord:
    """Return what is to be kept.

    Args:
        state: what is known of the printer.
        now: the time of the monotonic clock.
        epoch: what to add to that for Unix time.

    """
    return PrinterRecord(
        released=state.released,
        unacknowledged=state.print_failure is not None,
        lost=_lost(state),
        unseen=_unseen(state),
        displaced=state.displaced,
        running=_running(state.job, now, epoch),
        result=_last(state.job.result, epoch),
        totals=state.totals,
    )


def facts(state: PrinterState) -> object:
    """Return what has to be kept at once when it changes; to be compared."""
    job = state.job
    return (
        (state.released, state.print_failure, job.result, state.totals),
        (_lost(state), _unseen(state)),
        state.displaced,
        (job.phase, job.origin, job.file, job.size, job.reason),
        (job.began, job.start_seen, job.paused_at, job.pauses, job.lost_at),
    )


def restore(
    state: PrinterState, kept: PrinterRecord, *, now: float, epoch: float
) -> PrinterState:
    """Return the first state of a run with what an earlier one has kept.

    A print is not confirmed until the printer is heard, as after a loss of the link.
    Moments that a changed system clock has put into the future count as now.
    """
    result = None if kept.result is None else _result(kept.result, now, epoch)
    job = _job(kept.running, now, epoch)
    unacknowledged, so_far = kept.unacknowledged, kept.totals
    if job.streamed:  # it ended with the run that sent its lines
        job = step(job, "announced_failed", now, "interrupted")
        job, result = replace(job, happened=0, recent=()), job.result
        so_far = counted(so_far, result)
        unacknowledged = True
    job = replace(job, result=result)
    state = replace(
        state,
        job=job,
        released=kept.released,
        totals=so_far,
        displaced=kept.displaced,
    )
    state = _without_link(state, kept, now)
    if result is None or not unacknowledged:
        return state
    return replace(state, print_failure=print_failure(result))


def _lost(state: PrinterState) -> str:
    problem = state.problem
    if problem is None or problem.consequence != "disconnected":
        return ""
    return problem.error if problem.reason == LOST else ""


def _unseen(state: PrinterState) -> bool:
    """Return whether it matters if the next run does not find the printer.

    A printer that only cools down after the bridge has ended may be switched off.
    """
    if state.link == "operational":
        heats = any(heater.target for heater in state.heaters.values())
        return state.job.active or heats
    return state.unseen or (state.job.active and state.away_reason != LOST)


def _without_link(state: PrinterState, kept: PrinterRecord, now: float) -> PrinterState:
    """Return the state with what was said of the lost connection.

    It is as true as before: a restart of the bridge acknowledges nothing.
    """
    if not kept.lost:
        return replace(state, unseen=kept.unseen)
    problem = Problem(
        error=kept.lost, reason=LOST, consequence="disconnected", time=now
    )
    return replace(state, problem=problem)


def _running(job: PrintJob, now: float, epoch: float) -> RunningPrint | None:
    if job.phase == "idle":
        return None
    return RunningPrint(
        phase=job.phase,
        origin=job.origin,
        file=job.file,
        size=job.size,
        position=job.position,
        began=job.began + epoch,
        start_seen=job.start_seen,
        paused_at=None if job.paused_at is None else job.paused_at + epoch,
        pauses=job.pauses,
        reason=job.reason,
        seen_at=(now if job.lost_at is None else job.lost_at) + epoch,
        job=job.job,
        filament=job.filament,
        layer=job.layer,
    )


def _job(running: RunningPrint | None, now: float, epoch: float) -> PrintJob:
    if running is None:
        return PrintJob()
    seen = min(now, running.seen_at - epoch)
    paused = running.paused_at
    return PrintJob(
        phase=running.phase,
        origin=running.origin,
        file=running.file,
        size=running.size,
        position=running.position,
        began=min(seen, running.began - epoch),
        start_seen=running.start_seen,
        paused_at=None if paused is None else min(seen, paused - epoch),
        pauses=running.pauses,
        reason=running.reason,
        risen_at=seen,
        lost_at=seen,
        job=running.job,
        filament=running.filament,
        layer=running.layer,
    )


def _last(result: PrintResult | None, epoch: float) -> LastPrint | None:
    if result is None:
        return None
    return LastPrint(
        outcome=result.outcome,
        origin=result.origin,
        file=result.file,
        started=None if result.started is None else result.started + epoch,
        elapsed=result.elapsed,
        time=result.time + epoch,
        reason=result.reason,
        filament=result.filament,
        layers=result.layers,
        job=result.job,
        detail=result.detail,
    )


def _result(last: LastPrint, now: float, epoch: float) -> PrintResult:
    return PrintResult(
        outcome=last.outcome,
        origin=last.origin,
        file=last.file,
        started=None if last.started is None else min(now, last.started - epoch),
        elapsed=last.elapsed,
        time=min(now, last.time - epoch),
        reason=last.reason,
        filament=last.filament,
        layers=last.layers,
        job=last.job,
        detail=last.detail,
    )
