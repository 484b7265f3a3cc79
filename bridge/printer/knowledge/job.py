"""How a print from an SD card goes on, seen from outside.

It may have been started at the printer, and the firmware tells little: a byte counter,
a few lines and host actions. What it does not tell is concluded: rising bytes are a
print, and a third ``Not SD printing`` in a row is its end (Q-32, Q-34).
"""

from dataclasses import replace

from bridge.gcode import words
from bridge.printer.knowledge.job_model import (
    Active,
    Job,
    Outcome,
    Result,
    elapsed,
    running_time,
)

_MISSES = 3  # one answer without a print may be a firmware's slip
_STANDS = 3  # answers; each comes after at least one more line of the print
_RISES = 2  # what was read ahead still counts after a pause


def start(
    job: Job, now: float, *, seen: bool = True, phase: Active = "starting"
) -> Job:
    """Return a print that begins; ``seen``: it starts now, not some time before."""
    if job.active:
        return job
    return Job(
        phase=phase,
        file=job.file,
        size=job.size,
        position=job.position,
        began=now,
        seen=seen,
    )


def select(job: Job, name: str, size: int | None) -> Job:
    """Return the job after a file was opened; a print goes on."""
    if job.active:
        return replace(job, file=job.file or name or None, size=job.size or size)
    return Job(file=name or None, size=size, position=0, result=job.result)


def pause(job: Job, now: float, *, reason: str = "", phase: Active = "paused") -> Job:
    """Return a print that stands still."""
    if not job.active:
        return job
    since = now if job.paused_at is None else job.paused_at
    if "runout" in job.reason or not reason:
        reason = job.reason  # changing the filament follows from its end
    job = replace(job, misses=0, rises=0, stands=0)
    return replace(job, phase=phase, paused_at=since, reason=reason)


def resume(job: Job, now: float, *, phase: Active = "printing") -> Job:
    """Return a print that goes on."""
    if not job.active:
        return job
    stood = 0.0 if job.paused_at is None else max(0.0, now - job.paused_at)
    return replace(
        job,
        phase=phase,
        paused_at=None,
        pauses=job.pauses + stood,
        reason="",
        misses=0,
        rises=0,
        counted=False,
    )


def cancel(job: Job) -> Job:
    """Return a print that is being cancelled."""
    return replace(job, phase="cancelling", misses=0) if job.active else job


def finish(job: Job, outcome: Outcome, now: float, reason: str = "") -> Job:
    """Return the job after the print's end; the file stays selected.

    Its counter is unknown then: a firmware may go on reporting where it stopped.
    """
    if not job.active:
        return job
    result = Result(
        outcome=outcome,
        file=job.file,
        elapsed=elapsed(job, now),
        time=now,
        reason=reason,
    )
    return Job(file=job.file, size=job.size, result=result)


def count(
    job: Job, position: int, size: int, now: float, *, in_turn: bool = False
) -> Job:
    """Return the job after ``SD printing byte position/size``.

    ``in_turn``: it is an answer, and the firmware gives it between two lines of the
    print; then bytes that stand still tell of a pause that nobody announced.
    """
    if size == 0:  # some say 0/0 for no print at all
        return miss(job, now)
    if job.active and job.size not in {None, 0, size}:
        job = Job(result=finish(job, "cancelled", now).result)
    before = job.position
    rose = before is not None and position > before
    job = replace(job, position=position, size=size)
    stands = in_turn and job.phase == "printing" and not rose and position < size
    job = replace(job, stands=job.stands + 1 if stands else 0)
    match job.phase:
        case "printing" if job.stands >= _STANDS:
            job = pause(job, now)
        case "idle" if rose:
            job = start(job, now, seen=before == 0, phase="printing")
        case "starting" | "resuming" if rose:
            job = resume(job, now)
        case "pausing" if not rose:
            job = pause(job, now)
        case "paused":
            rises = job.rises + 1 if rose else 0
            job = replace(job, rises=rises, misses=0, counted=True)
            return resume(job, now) if rises >= _RISES else job
        case "cancelling" if not rose:
            return miss(job, now)
    if job.phase == "printing" and position >= size:
        job = replace(job, phase="finishing")
    return replace(job, misses=0)


def told_paused(job: Job, now: float) -> Job:
    """Return the job after ``SD print paused``; it may have begun without us."""
    return pause(start(job, now, seen=False), now)


def miss(job: Job, now: float) -> Job:
    """Return the job after ``Not SD printing``.

    While it is paused, some firmwares deny a print that they count at other times; only
    where the counter was seen during this pause is it believed.
    """
    if not job.active:
        return replace(job, position=0)
    if job.phase == "paused" and not job.counted:
        return job
    job = replace(job, misses=job.misses + 1)
    if job.phase == "finishing":
        return finish(job, "done", now)
    if job.phase == "cancelling" or job.misses >= _MISSES:
        failed = job.phase == "starting"
        return finish(
            job,
            "failed" if failed else "cancelled",
            now,
            "not_started" if failed else "",
        )
    return job


def done(job: Job, now: float) -> Job:
    """Return the job after ``Done printing file``, also of a print too short to see."""
    return finish(start(job, now, seen=False), "done", now)


def tell(job: Job, percent: float | None, left: float | None, now: float) -> Job:
    """Return the job after the slicer's word on its progress (``M73``).

    ``percent`` is 0 to 100, ``left`` in seconds; ``None``: not said.
    """
    if not job.active:
        return job
    job = replace(job, percent=job.percent if percent is None else percent)
    if left is None:
        return job
    return replace(job, remaining=left, told=running_time(job, now))


def act(job: Job, action: str, argument: str, now: float) -> Job:
    """Return the job after a host action (``//action:paused``)."""
    match action:
        case "start":
            return start(job, now)
        case "pause" | "paused":
            return pause(job, now, reason=argument)
        case "resumed" | "resume" if job.active:
            return resume(job, now) if job.phase != "starting" else job
        case "resume" if job.file is not None:
            return start(job, now)
        case "cancel":
            return cancel(job)
    return job


def sent(job: Job, line: str, now: float) -> Job:
    """Return the job after a line went out that concerns it."""
    said = words.parse(line)
    match said.code:
        case "M24" | "RESUME" if job.active:
            job = resume(job, now, phase="resuming")
        case "M24" | "RESUME" if job.file is not None:
            job = start(job, now)
        case "M25" | "PAUSE" if job.phase != "paused":
            job = pause(job, now, phase="pausing")
        case "M524" | "CANCEL_PRINT":
            job = cancel(job)
        case "M26" if not job.active:
            job = replace(job, position=int(min(said.values.get("S") or 0, 1e15)))
        case "M26" if job.paused_at is not None and not said.values.get("S"):
            job = cancel(job)  # rewound while it stands: it will not go on from there
        case "M73":
            left = said.values.get("R")
            seconds = None if left is None else left * 60
            job = tell(job, said.values.get("P"), seconds, now)
    return job


def taken(job: Job, line: str, now: float) -> Job:
    """Return the job after a line was taken: firmwares stop before they say ``ok``."""
    asked = words.parse(line).code in {"M25", "PAUSE"}
    return pause(job, now) if asked and job.phase == "pausing" else job
