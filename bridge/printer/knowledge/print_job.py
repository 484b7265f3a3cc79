"""A print from an SD card, seen from outside: what is known of it, and what changes it.

The print may have been started at the printer's own panel, and the firmware says little
about it: a byte counter, a few lines and host actions. The rest is concluded from
these. Bytes that rise are a print, and three answers ``Not SD printing`` in a row are
its end.

Times are seconds on a monotonic clock.
"""

from dataclasses import dataclass, replace
from typing import Literal

from bridge.gcode import words

_DENIALS = 3
"""Answers ``Not SD printing`` in a row that end a print; a single one may be a slip of
the firmware (Q-34)."""

_STANDING_REPORTS = 3
"""Reports of the same byte count that mean a pause. Each of these answers comes after
at least one more line of the print, so a print that runs has read on."""

_RISING_REPORTS = 2
"""Reports of a higher byte count that end a pause: the first may be of bytes that were
read ahead before the print came to a standstill."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintResult:
    """How the last print ended.

    Attributes:
        outcome: ``done``, ``cancelled`` or ``failed``.
        file: what was printed; ``None``: not known.
        elapsed: its duration without pauses, in seconds; ``None``: its start was not
            seen.
        time: when it ended.
        reason: a stable word if it failed, else ``""``.

    """

    outcome: Outcome
    file: str | None
    elapsed: float | None
    time: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintJob:
    """The print under way, or the selected file.

    Attributes:
        phase: ``idle`` without a print.
        file: the selected file; ``None``: not known.
        size: in bytes; ``None``: not known.
        position: how many bytes were read; ``None``: not known.
        percent: progress as the slicer reports it (``M73 P``).
        remaining: seconds left when the slicer last reported them (``M73 R``).
        reported_at: how long the print had taken at that report, in seconds.
        began: when the print was first noticed.
        start_seen: its start was seen, so ``began`` is when it started.
        paused_at: when the current pause began.
        pauses: total length of earlier pauses, in seconds.
        reason: why it is paused (``filament_runout``), or ``""``.
        denials: how often in a row the firmware denied the print.
        rising_reports: how often in a row the bytes rose during a pause.
        standing_reports: how often in a row the bytes stood still while it was printed.
        counter_seen: the byte counter was reported during this pause.
        result: how the last print ended.

    """

    phase: Phase = "idle"
    file: str | None = None
    size: int | None = None
    position: int | None = None
    percent: float | None = None
    remaining: float | None = None
    reported_at: float = 0.0
    began: float = 0.0
    start_seen: bool = False
    paused_at: float | None = None
    pauses: float = 0.0
    reason: str = ""
    denials: int = 0
    rising_reports: int = 0
    standing_reports: int = 0
    counter_seen: bool = False
    result: PrintResult | None = None

    @property
    def active(self) -> bool:
        """A print is under way or paused."""
        return self.phase != "idle"


def running_time(job: PrintJob, now: float) -> float:
    """Return for how long the print has been seen, without its pauses, in seconds."""
    until = now if job.paused_at is None else job.paused_at
    return max(0.0, until - job.began - job.pauses)


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
    from the bytes.
    """
    if not job.active:
        return None
    if job.remaining is not None:
        return max(0.0, job.remaining - (running_time(job, now) - job.reported_at))
    done = progress(job)
    if not job.start_seen or not done:
        return None
    return running_time(job, now) * (100.0 - done) / done


def start_time(job: PrintJob) -> float | None:
    """Return when the print began; ``None``: there is none, or it was not seen."""
    return job.began if job.active and job.start_seen else None


def finish_time(job: PrintJob, now: float) -> float | None:
    """Return when the print will finish; ``None``: not known, or it is paused."""
    left = remaining(job, now)
    return None if left is None or job.paused_at is not None else now + left


def start(
    job: PrintJob, now: float, *, start_seen: bool = True, phase: Active = "starting"
) -> PrintJob:
    """Return a print that begins; ``start_seen``: now, and not some time before."""
    if job.active:
        return job
    return PrintJob(
        phase=phase,
        file=job.file,
        size=job.size,
        position=job.position,
        began=now,
        start_seen=start_seen,
    )


def select(job: PrintJob, name: str, size: int | None) -> PrintJob:
    """Return the job after a file was opened; a print goes on."""
    if job.active:
        return replace(job, file=job.file or name or None, size=job.size or size)
    return PrintJob(file=name or None, size=size, position=0, result=job.result)


def pause(
    job: PrintJob, now: float, *, reason: str = "", phase: Active = "paused"
) -> PrintJob:
    """Return the job after a pause began, or while one is asked for."""
    if not job.active:
        return job
    since = now if job.paused_at is None else job.paused_at
    if "runout" in job.reason or not reason:
        reason = job.reason  # the filament change that follows is no reason of its own
    job = replace(job, denials=0, rising_reports=0, standing_reports=0)
    return replace(job, phase=phase, paused_at=since, reason=reason)


def resume(job: PrintJob, now: float, *, phase: Active = "printing") -> PrintJob:
    """Return the job after a pause ended, or after the first bytes were read."""
    if not job.active:
        return job
    stood = 0.0 if job.paused_at is None else max(0.0, now - job.paused_at)
    return replace(
        job,
        phase=phase,
        paused_at=None,
        pauses=job.pauses + stood,
        reason="",
        denials=0,
        rising_reports=0,
        counter_seen=False,
    )


def cancel(job: PrintJob) -> PrintJob:
    """Return a print that is being cancelled."""
    return replace(job, phase="cancelling", denials=0) if job.active else job


def finish(job: PrintJob, outcome: Outcome, now: float, reason: str = "") -> PrintJob:
    """Return the job after the print's end; the file stays selected.

    Its counter is unknown then: a firmware may go on reporting where it stopped.
    """
    if not job.active:
        return job
    result = PrintResult(
        outcome=outcome,
        file=job.file,
        elapsed=elapsed(job, now),
        time=now,
        reason=reason,
    )
    return PrintJob(file=job.file, size=job.size, result=result)


def report_bytes(
    job: PrintJob, position: int, size: int, now: float, *, in_turn: bool = False
) -> PrintJob:
    """Return the job after ``SD printing byte position/size``.

    ``in_turn``: this is an answer that the firmware gives between two lines of the
    print. Then a counter that stands still shows a pause that nobody announced.
    """
    if size == 0:  # some firmwares say 0/0 where nothing is printed
        return report_no_print(job, now)
    if _is_other_file(job, size):
        job = PrintJob(result=finish(job, "cancelled", now).result)
    before = job.position
    rose = before is not None and position > before
    job = _with_counter(job, position, size, stands=in_turn and not rose)
    if job.phase == "paused":
        return _report_bytes_in_pause(job, now, rose=rose)
    if job.phase == "cancelling" and not rose:
        return report_no_print(job, now)
    job = _after_bytes(job, now, rose=rose, from_start=before == 0)
    if job.phase == "printing" and position >= size:
        job = replace(job, phase="finishing")
    return replace(job, denials=0)


def _is_other_file(job: PrintJob, size: int) -> bool:
    return job.active and job.size not in {None, 0, size}


def _with_counter(job: PrintJob, position: int, size: int, *, stands: bool) -> PrintJob:
    stands = stands and job.phase == "printing" and position < size
    standing_reports = job.standing_reports + 1 if stands else 0
    return replace(job, position=position, size=size, standing_reports=standing_reports)


def _report_bytes_in_pause(job: PrintJob, now: float, *, rose: bool) -> PrintJob:
    rising_reports = job.rising_reports + 1 if rose else 0
    job = replace(job, rising_reports=rising_reports, denials=0, counter_seen=True)
    return resume(job, now) if rising_reports >= _RISING_REPORTS else job


def _after_bytes(
    job: PrintJob, now: float, *, rose: bool, from_start: bool
) -> PrintJob:
    match job.phase:
        case "printing" if job.standing_reports >= _STANDING_REPORTS:
            return pause(job, now)
        case "idle" if rose:
            return start(job, now, start_seen=from_start, phase="printing")
        case "starting" | "resuming" if rose:
            return resume(job, now)
        case "pausing" if not rose:
            return pause(job, now)
    return job


def report_paused(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``SD print paused``; its start may not have been seen."""
    return pause(start(job, now, start_seen=False), now)


def report_no_print(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``Not SD printing``.

    Some firmwares deny a print while it is paused. So during a pause this counts only
    if the byte counter was reported during the same pause (Q-34).
    """
    if not job.active:
        return replace(job, position=0)
    if job.phase == "paused" and not job.counter_seen:
        return job
    job = replace(job, denials=job.denials + 1)
    if job.phase == "finishing":
        return finish(job, "done", now)
    if job.phase == "cancelling" or job.denials >= _DENIALS:
        failed = job.phase == "starting"
        return finish(
            job,
            "failed" if failed else "cancelled",
            now,
            "not_started" if failed else "",
        )
    return job


def report_done(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``Done printing file``, also of a print too short to see."""
    return finish(start(job, now, start_seen=False), "done", now)


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


def host_action(job: PrintJob, action: str, argument: str, now: float) -> PrintJob:
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


def line_sent(job: PrintJob, line: str, now: float) -> PrintJob:
    """Return the job after a line was sent."""
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
        case "M26":
            job = _seek(job, said.values.get("S") or 0)
        case "M73":
            left = said.values.get("R")
            seconds = None if left is None else left * 60
            job = report_progress(job, said.values.get("P"), seconds, now)
    return job


def _seek(job: PrintJob, position: float) -> PrintJob:
    if not job.active:
        return replace(job, position=int(min(position, _MAX_BYTES)))
    if job.paused_at is not None and not position:
        return cancel(job)  # rewound during a pause: it will not go on from there
    return job


def line_acknowledged(job: PrintJob, line: str, now: float) -> PrintJob:
    """Return the job after an ``ok``: firmwares stop the print before they send it."""
    asked = words.parse(line).code in {"M25", "PAUSE"}
    return pause(job, now) if asked and job.phase == "pausing" else job
