"""A print from an SD card as it is known, and what follows for its time.

Times are seconds on a clock that never jumps.
"""

from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How the last print ended.

    Attributes:
        outcome: ``done``, ``cancelled`` or ``failed``.
        file: what was printed; ``None``: not known.
        elapsed: how long it took without pauses, in seconds; ``None``: its start was
            not seen.
        time: when it ended.
        reason: a stable word where it failed, or ``""``.

    """

    outcome: Outcome
    file: str | None
    elapsed: float | None
    time: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The print under way, or the selected file.

    Attributes:
        phase: ``idle`` without a print.
        file: the selected file; ``None``: not known.
        size: in bytes; ``None``: not known.
        position: how many bytes were read; ``None``: not known.
        percent: progress as the slicer says it (``M73 P``).
        remaining: seconds to go as the slicer says it (``M73 R``), when it said so.
        told: how long the print had taken when the slicer said so, in seconds.
        began: when the print was first seen.
        seen: its start was seen, so ``began`` is when it started.
        paused_at: when the pause that is on began.
        pauses: how long the pauses before it took, in seconds.
        reason: why it is paused (``filament_runout``), or ``""``.
        misses: how often in a row the firmware denied the print.
        rises: how often in a row the bytes rose during a pause.
        stands: how often in a row the bytes stood still while it was printed.
        counted: the byte counter was reported during this pause.
        result: how the last print ended.

    """

    phase: Phase = "idle"
    file: str | None = None
    size: int | None = None
    position: int | None = None
    percent: float | None = None
    remaining: float | None = None
    told: float = 0.0
    began: float = 0.0
    seen: bool = False
    paused_at: float | None = None
    pauses: float = 0.0
    reason: str = ""
    misses: int = 0
    rises: int = 0
    stands: int = 0
    counted: bool = False
    result: Result | None = None

    @property
    def active(self) -> bool:
        """A print is under way or paused."""
        return self.phase != "idle"


def running_time(job: Job, now: float) -> float:
    """Return for how long the print has been seen, without its pauses, in seconds."""
    until = now if job.paused_at is None else job.paused_at
    return max(0.0, until - job.began - job.pauses)


def elapsed(job: Job, now: float) -> float | None:
    """Return how long the print took so far; ``None``: there is none, or no start."""
    return running_time(job, now) if job.active and job.seen else None


def progress(job: Job) -> float | None:
    """Return how far the print is, in percent; the slicer knows better than bytes."""
    if job.percent is not None:
        return job.percent
    if job.position is None or not job.size:
        return None
    return min(100.0, 100.0 * job.position / job.size)


def remaining(job: Job, now: float) -> float | None:
    """Return how long the print still takes, in seconds; ``None``: not known yet.

    The slicer's ``M73 R`` runs down with the clock; without it, time goes as the bytes.
    """
    if not job.active:
        return None
    if job.remaining is not None:
        return max(0.0, job.remaining - (running_time(job, now) - job.told))
    done = progress(job)
    if not job.seen or not done:
        return None
    return running_time(job, now) * (100.0 - done) / done


def started(job: Job) -> float | None:
    """Return when the print began; ``None``: there is none, or it was not seen."""
    return job.began if job.active and job.seen else None


def finish(job: Job, now: float) -> float | None:
    """Return when the print will be done; ``None``: not known, or it is paused."""
    left = remaining(job, now)
    return None if left is None or job.paused_at is not None else now + left
