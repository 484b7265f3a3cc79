"""A print seen from outside: what follows from each thing that a firmware says of it.

A print from the card may have been started at the printer's own panel, and the firmware
reports little about it: a byte counter, a few lines and host actions. The rest is
concluded from these. The functions below turn what a firmware says, and what it is
sent, into the words of the table in :mod:`bridge.printer.knowledge.print_table`.

While the link is away nothing is known, so the phase stays and is *unconfirmed*
(``lost_at``). A byte counter or a host action confirms it; a firmware that is not
printing ends it as ``failed``, at the moment at which it was last seen. The same holds
after a restart of the bridge.

A print that the bridge itself streams uses the same table, with ``origin="local"``.

Times are seconds on a monotonic clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from bridge.gcode.codes import Argument, PrintAction
from bridge.gcode.line import Line
from bridge.printer.knowledge.print_table import (
    RUNS,
    TABLE,
    Observation,
    PrintJob,
    begun,
    heated_up,
    running_time,
    step,
)

_DENIALS = 3
"""Answers ``Not SD printing`` in a row that end a print. A single one may be a mistake
of the firmware; OctoPrint also waits for the third (Q-32)."""

_STANDING_REPORTS = 3
"""Reports of the same byte count that mean a pause. Between two answers, a running
print executes at least one more line, so its count would rise."""

_RISING_REPORTS = 2
"""Reports of a higher byte count that end a pause. The first may count bytes that were
read ahead before the print stopped."""

_READING_ON = 5
"""Reports of a higher byte count in a row which show that a pause or cancellation was
ignored, because a firmware reads ahead only a few lines."""

Basis = Literal["slicer", "time", "bytes"]
"""What the progress is based on: the slicer's ``M73``, the slicer's estimate for the
whole print, or the bytes."""

_LAST = 99.0
"""Percent that a print shows at most as long as it takes longer than estimated."""

_MAX_BYTES = 1e15
"""Limit of the number after ``M26 S``; floats above 2**53 (9e15) are not exact."""


def progress(job: PrintJob) -> float | None:
    """Return the progress in percent; the slicer's value is better than the bytes."""
    if job.percent is not None:
        return job.percent
    if job.streamed and job.seconds and job.phase != "finishing":
        return min(_LAST, 100.0 * job.spent / job.seconds)
    if job.position is None or not job.size:
        return None
    return min(100.0, 100.0 * job.position / job.size)


def progress_from(job: PrintJob) -> Basis | None:
    """Return what the progress is based on; ``None``: there is none."""
    if progress(job) is None:
        return None
    if job.percent is not None:
        return "slicer"
    timed = job.streamed and job.seconds and job.phase != "finishing"
    return "time" if timed else "bytes"


def remaining(job: PrintJob, now: float) -> float | None:
    """Return the remaining time of the print in seconds; ``None``: not known yet.

    The slicer's ``M73 R`` counts down with the clock. Without it, the time is estimated
    from the progress; see :class:`~bridge.printer.knowledge.estimate.Estimate`.
    """
    if not job.active:
        return None
    ran = running_time(job, now)
    if job.remaining is not None and job.heating:
        return job.remaining  # it does not count down
    if job.remaining is not None:
        return max(0.0, job.remaining - (ran - job.reported_at))
    return job.estimate.remaining(ran)


def finish_time(job: PrintJob, now: float) -> float | None:
    """Return when the print will finish; ``None``: not known, paused or heating."""
    left = remaining(job, now)
    stands = job.paused_at is not None or job.heating or job.lost_at is not None
    return None if left is None or stands else now + left


def _confirmed(job: PrintJob) -> PrintJob:
    return job if job.lost_at is None else replace(job, lost_at=None)


def link_lost(job: PrintJob, now: float, why: str = "") -> PrintJob:
    """Return the job after the link was lost: a print continues, unconfirmed.

    One that the bridge streams has failed; ``why`` is half a sentence.
    """
    if job.streamed:
        detail = f"the connection was lost: {why}" if why else ""
        job = replace(job, detail=detail)
        return step(job, "announced_failed", now, "connection_lost")
    if not job.active or job.lost_at is not None:
        return job
    return replace(heated_up(job, now), lost_at=now)


def link_back(job: PrintJob) -> PrintJob:
    """Return the job at a new connection, before the firmware has answered.

    The start of a print that begins meanwhile is not seen.
    """
    fresh = replace(job, denials=0, rising_reports=0, standing_reports=0)
    return fresh if job.active else replace(fresh, position=None)


def reset(job: PrintJob, now: float) -> PrintJob:
    """Return the job after the firmware restarted; no file is selected."""
    return replace(step(job, "reset", now), file=None, size=None, position=None)


def select(job: PrintJob, name: str, size: int | None) -> PrintJob:
    """Return the job after a file was opened; a print continues."""
    if job.active:
        return replace(job, file=job.file or name or None, size=job.size or size)
    fresh = begun(
        replace(job, job="", layers=None, seconds=None, objects=()),
        0.0,
        start_seen=False,
    )
    return replace(fresh, origin="card", file=name or None, size=size, position=0)


def select_stored(job: PrintJob, name: str, size: int) -> PrintJob:
    """Return the job after one of the bridge's files was selected; nothing prints.

    The card's counter may stand anywhere, and is not that of this file.
    """
    return replace(select(job, name, size), origin="local", position=None)


def report_bytes(
    job: PrintJob, position: int, size: int, now: float, *, in_turn: bool = False
) -> PrintJob:
    """Return the job after ``SD printing byte position/size``.

    ``in_turn``: this is an answer that the firmware gives between two lines of the
    print. Then a counter that stands still shows a pause that nobody announced.
    """
    if size == 0:  # some firmwares say 0/0 if nothing is printed
        return report_no_print(job, now)
    job = _without_other_file(job, size, now)
    before, chosen = job.position, job.size
    if job.lost_at is not None and before is not None and position < before:
        job = step(job, "ended_unseen", now)  # selected, but not being printed
        return replace(job, position=position, size=size)
    job = _counted(_confirmed(job), position, size, now, in_turn=in_turn)
    observed = _observed_from_bytes(job, from_start=before == 0)
    job = job if observed is None else _step_of_card(job, observed, now, size)
    if job.origin == "local":
        return replace(job, size=chosen)
    if job.phase == "printing" and position >= size:
        job = step(job, "all_read", now)
    return _estimated(job, now)


def _step_of_card(
    job: PrintJob, observed: Observation, now: float, size: int | None = None
) -> PrintJob:
    """Return the job after something was observed of a print from the card.

    While nothing is printed, a stored file may be selected, or was printed last: a
    print that the firmware reports then is of another file, and none of ours.
    """
    idle = job.phase == "idle"
    if idle and job.origin == "local" and (job.phase, observed) in TABLE:
        job = replace(
            job,
            origin="card",
            file=None,
            size=size,
            job="",
            layers=None,
            seconds=None,
            objects=(),
        )
    return step(job, observed, now)


def _without_other_file(job: PrintJob, size: int, now: float) -> PrintJob:
    """Return the job; its print has ended if the counter is that of another file."""
    if not job.active or job.size in {None, 0, size}:
        return job
    job = step(job, "other_file" if job.lost_at is None else "ended_unseen", now)
    return replace(job, file=None, position=None)


def _counted(
    job: PrintJob, position: int, size: int, now: float, *, in_turn: bool
) -> PrintJob:
    rose = job.position is not None and position > job.position
    standing = job.standing_reports + in_turn
    job = heated_up(job, now) if rose else job
    return replace(
        job,
        position=position,
        size=size,
        denials=0,
        rising_reports=job.rising_reports + 1 if rose else 0,
        standing_reports=0 if rose or position >= size else standing,
        risen_at=now if rose else job.risen_at,
        complaint=job.complaint and not rose,
        counter_seen=job.phase == "paused",
    )


def _observed_from_bytes(job: PrintJob, *, from_start: bool) -> Observation | None:
    if job.rising_reports:
        return _observed_from_rising_bytes(job, from_start=from_start)
    if job.standing_reports >= _STANDING_REPORTS and job.phase in RUNS:
        return "broke_off" if job.complaint else "stood_still"
    return "stood"


def answered_in_turn(job: PrintJob, before: PrintJob, now: float) -> PrintJob:
    """Return the job after an answer to ``M27`` of a firmware that also reports itself.

    Its reports may come in the middle of a line, but the answer comes between two lines
    of the print. So one that shows the counter of ``before``, when the query was sent,
    counts as ``in_turn`` does for :func:`report_bytes`.
    """
    unchanged = job.position is not None and job.position == before.position
    if {job.phase, before.phase} - {*RUNS} or not unchanged:
        return job
    job = replace(job, standing_reports=job.standing_reports + 1)
    observed = _observed_from_bytes(job, from_start=False)
    return job if observed is None else step(job, observed, now)


def _observed_from_rising_bytes(
    job: PrintJob, *, from_start: bool
) -> Observation | None:
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
    if job.phase not in RUNS or job.lost_at is not None:
        return heated_up(job, now)
    job = replace(job, waited_at=now) if waiting else job
    heating = waiting or (cold and now - job.risen_at > STANDSTILL)
    if not heating:
        waits = cold or now < job.waited_at + WAIT_REPORTS
        return job if waits else heated_up(job, now)
    left = None if job.remaining is None else remaining(job, now)
    estimate = job.estimate.heated((progress(job) or 0.0) / 100)
    return replace(job, heating=True, remaining=left, estimate=estimate)


WAIT_REPORTS = 3.0
"""Seconds for which a report that the firmware waits for a heater is valid. Marlin
sends one every second (``T:… W:9``), also while the temperature only has to hold
(tests/transcripts/marlin/m21-heating.txt). The reports of ``M155`` in between have no
``W``. The next line of the print ends the wait at once."""

STANDSTILL = 3.0
"""Seconds without progress in bytes after which a print with a cold heater is waiting
for that heater; the card is polled every second. Klipper does not report the wait."""


def report_paused(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``SD print paused``; its start may not have been seen."""
    return _step_of_card(_confirmed(job), "reported_paused", now)


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
    keeps reporting the byte at which it stopped
    (tests/transcripts/klipper/07c_sd_error_in_file.txt).
    """
    return replace(job, complaint=True) if job.phase in RUNS else job


def report_done(job: PrintJob, now: float, *, certain: bool = True) -> PrintJob:
    """Return the job after ``Done printing file``, also of a print too short to see.

    ``certain``: it was not cancelled. Otherwise the next report decides.
    """
    if not certain:
        return step(_confirmed(job), "announced_ended", now)
    watched = not job.active and job.position is not None
    observed: Observation = "short_print" if watched else "announced_done"
    return _step_of_card(_confirmed(job), observed, now)


def report_cancelled(job: PrintJob, now: float) -> PrintJob:
    """Return the job after the firmware said that its print was cancelled."""
    return step(_confirmed(job), "announced_cancelled", now)


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
    """Return the job after the card was removed; what the bridge streams continues."""
    return step(job, "card_removed", now) if job.origin == "card" else job


def halted(job: PrintJob, reason: str, now: float) -> PrintJob:
    """Return the job after the firmware stopped for good."""
    return step(job, "halted", now, reason)


def waits_for_person(job: PrintJob, now: float) -> PrintJob:
    """Return the job after ``busy: paused for user``."""
    return step(_confirmed(job), "announced_paused", now)


def host_action(job: PrintJob, action: str, argument: str, now: float) -> PrintJob:
    """Return the job after a host action (``//action:paused``).

    ``start`` and ``resume`` without a print ask the host for a job of its own; a print
    from the card shows by its bytes.
    """
    if job.streamed:
        return job  # the bridge acts on it, and then the print changes
    match action:
        case "pause" | "paused":
            return step(_confirmed(job), "announced_paused", now, argument)
        case "resumed" | "resume" if job.active:
            return step(_confirmed(job), "announced_resumed", now)
        case "cancel":
            return step(job, "asked_cancel", now)
    return job


def line_sent(job: PrintJob, said: Line, now: float) -> PrintJob:
    """Return the job after a line was sent.

    Of a file that a line selects and starts at once, the firmware's reports tell.
    """
    if job.streamed and said.row.job is not PrintAction.PROGRESS:
        return job  # what concerns the card does not concern this print
    if said.row.job is PrintAction.PROGRESS:
        job = _progress_sent(job, said, now)
    else:
        job = _action_sent(job, said, now)
    if said.row.argument is Argument.DISPLAY:
        return report_text(job, said.argument)
    if said.code == "SET_PRINT_STATS_INFO":
        return _print_stats(job, dict(said.parameters))
    return job


def _action_sent(job: PrintJob, said: Line, now: float) -> PrintJob:
    match said.row.job:
        case PrintAction.START | PrintAction.RESUME if job.active:
            return step(job, "asked_resume", now)
        case PrintAction.START if job.file is not None and job.origin == "card":
            return step(job, "start", now)
        case PrintAction.PAUSE:
            return step(job, "asked_pause", now)
        case PrintAction.CANCEL:
            return _cancel_sent(job, now)
        case PrintAction.SEEK:
            return _seek(job, said.values.get("S") or 0, now)
    return job


def _progress_sent(job: PrintJob, said: Line, now: float) -> PrintJob:
    left = said.values.get("R")
    seconds = None if left is None else left * 60
    job = report_progress(job, said.values.get("P"), seconds, now)
    return report_layer(job, said.values.get("L"))


_LAYER = re.compile(
    r"\blayers?\b\W{0,3}(?P<layer>\d{1,6})(?:\s*(?:/|of)\s*(?P<layers>\d{1,6}))?"
    r"|^(?P<first>\d{1,6})\s*/\s*(?P<all>\d{1,6})(?=\s*(?:$|\|))",
    re.ASCII | re.IGNORECASE,
)
"""How slicers show the layer on the display: ``Layer 5/100`` (PrusaSlicer's usual
snippet), ``Printing Layer 5 of 100`` and ``5/100 | ET 1h2m`` (Cura's script "Display
Filename and Layer on LCD")."""


def report_text(job: PrintJob, text: str) -> PrintJob:
    """Return the job after a text for the display, which may contain the layer."""
    found = _LAYER.search(text)
    if found is None:
        return job
    layer, layers = found["layer"] or found["first"], found["layers"] or found["all"]
    return report_layer(job, float(layer), float(layers) if layers else None)


def report_layer(
    job: PrintJob, layer: float | None, layers: float | None = None
) -> PrintJob:
    """Return the job after the slicer named the current layer.

    Args:
        job: what is known.
        layer: its number, as the slicer counts; ``None``: not said.
        layers: how many there are; ``None``: not said.

    """
    if not job.active or (layer is None and layers is None):
        return job
    if job.streamed and job.layers is not None:
        return job  # Its comments are counted, and texts need not agree with that.
    now, total = job.layer, job.layers
    return replace(
        job,
        layer=now if layer is None else int(layer),
        layers=total if layers is None else int(layers),
    )


def _print_stats(job: PrintJob, names: Mapping[str, str]) -> PrintJob:
    """Return the job after Klipper's ``SET_PRINT_STATS_INFO``.

    https://www.klipper3d.org/G-Codes.html#set_print_stats_info
    """
    layer, layers = names.get("CURRENT_LAYER", ""), names.get("TOTAL_LAYER", "")
    return report_layer(
        job,
        float(layer) if layer.isdecimal() else None,
        float(layers) if layers.isdecimal() else None,
    )


def _seek(job: PrintJob, position: float, now: float) -> PrintJob:
    if not job.active:
        return replace(job, position=int(min(position, _MAX_BYTES)))
    if job.paused_at is not None and not position:
        # Rewound during a pause: it will not continue from there.
        return _cancel_sent(job, now)
    return job


def _cancel_sent(job: PrintJob, now: float) -> PrintJob:
    job = step(job, "asked_cancel", now)
    return replace(job, cancel_sent=True) if job.phase == "cancelling" else job


def cancel_refused(job: PrintJob, now: float) -> PrintJob:
    """Return the print whose cancellation was refused, or not sent: it continues."""
    paused = job.paused_at is not None
    observed: Observation = "cancel_refused_in_pause" if paused else "cancel_refused"
    return step(replace(job, cancel_sent=False), observed, now)


def line_acknowledged(job: PrintJob, said: Line, now: float) -> PrintJob:
    """Return the job after an ``ok``: firmwares stop the print before they send it."""
    if job.streamed:
        return job
    match said.row.job:
        case PrintAction.CANCEL | PrintAction.SEEK:
            return replace(job, cancel_sent=False)
        case PrintAction.PAUSE:
            return step(job, "pause_accepted", now)
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """How far a print has come that the bridge streams.

    Attributes:
        position: bytes of the file up to the last line that was acknowledged.
        line: the same in lines.
        layer: the layer that is printed; ``None``: none yet.
        z: its height in mm.
        filament: mm of filament so far.
        elapsed: how long the print takes up to here in seconds, if the file has just
            said so.
        starved: seconds in which the printer may have run out of moves.
        excluded: the objects that are left out.
        objects: all that are known.

    """

    position: int
    line: int
    layer: int | None
    z: float | None
    filament: float
    elapsed: float | None
    starved: float
    excluded: tuple[str, ...]
    objects: tuple[str, ...]


def begin(job: PrintJob, chosen: PrintJob, now: float) -> PrintJob:
    """Return the job at the beginning of a print that the bridge streams.

    Args:
        job: what was known before.
        chosen: what is known of the file.
        now: the time.

    """
    chosen = replace(
        chosen,
        origin="local",
        position=0,
        stands=True,
        result=job.result,
        happened=job.happened,
        recent=job.recent,
    )
    return step(chosen, "start", now)


def report_streamed(job: PrintJob, come: Streamed, now: float) -> PrintJob:
    """Return the job after lines of a streamed print were acknowledged."""
    if not job.streamed:
        return job
    rose = job.position is not None and come.position > job.position
    job = _timed(heated_up(job, now) if rose else job, come.elapsed, now)
    job = replace(
        job,
        position=come.position,
        line=come.line,
        layer=job.layer if come.layer is None else come.layer,
        z=come.z,
        filament=come.filament,
        starved=come.starved,
        excluded=come.excluded,
        objects=come.objects,
        risen_at=now if rose else job.risen_at,
    )
    return _estimated(job, now)


def _timed(job: PrintJob, elapsed: float | None, now: float) -> PrintJob:
    """Return the job with the part of the slicer's time that has passed.

    It continues with the clock, except in a pause and while a heater is waited for. A
    print that takes longer than the slicer has said has no time left that is known.
    """
    if job.seconds is None or job.percent is not None:
        return job
    stands = job.heating or job.paused_at is not None
    spent = job.spent + (0.0 if stands else now - (job.counted_at or now))
    spent = spent if elapsed is None else elapsed
    late = spent >= job.seconds * _LAST / 100
    return replace(
        job,
        spent=spent,
        counted_at=now,
        remaining=None if late else job.seconds - spent,
        reported_at=running_time(job, now),
    )
