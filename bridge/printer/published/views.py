"""Builds the published documents from the state of a printer.

``now`` is the time of the monotonic clock, and ``epoch`` is added to it to get Unix
time. So a system clock that is set meanwhile changes no duration, and earlier moments
are published by the clock as it is now.
"""

from collections.abc import Sequence

from bridge.commands.accessories import LightState, reconnected
from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import FileEntry
from bridge.printer.knowledge import print_job, print_table
from bridge.printer.knowledge.heaters import HeaterState
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.published import documents, safety_flags
from bridge.timestamps import timestamp

_TEXTS = {
    "offline": "Offline",
    "connecting": "Connecting",
    "operational": "Operational",
    "starting": "Starting print from SD",
    "printing": "Printing from SD",
    "pausing": "Pausing",
    "paused": "Paused",
    "resuming": "Resuming",
    "cancelling": "Cancelling",
    "finishing": "Finishing",
    "error": "Error",
}

_OWN_TEXTS = {"starting": "Starting", "printing": "Printing"}
"""The texts of prints from the bridge's files that differ from those."""


def tenths(value: float | None) -> float | None:
    """Return a temperature rounded to 0.1 °C; never ``-0.0``."""
    return None if value is None else round(value, 1) + 0.0


def state(known: PrinterState, *, now: float, epoch: float) -> documents.State:
    """Return what ``state`` holds."""
    here = known.link == "operational"
    factors = known.modal if here else Modal()
    set_by_us = known.accessories if here else reconnected(known.accessories)
    told = here and not known.printing  # a print changes the modes without reporting it
    return documents.State(
        state=known.phase,
        text=_text(known),
        status=safety_flags.status(known),
        flags=flags(known),
        error=known.trouble.error if known.trouble else known.away or known.locked,
        sd=documents.CardStatus(ready=known.card is True),
        tool=factors.tool if here else None,
        position=_position(known, epoch),
        feedrate=_plain(factors.speed_factor),
        flowrate=_plain(factors.flow_factor),
        fan=_plain(factors.fan),
        fans=dict(set_by_us.fans),
        light=_light(set_by_us.light),
        z_offset=set_by_us.z_offset if here else None,
        shown=set_by_us.display if here else None,
        jog_distance=set_by_us.jog_distance,
        extrude_length=set_by_us.extrude_length,
        relative=factors.relative if told else None,
        relative_extruder=factors.relative_e if told else None,
        prompt=_prompt(known),
        recovery=_recovery(known, epoch),
        message=known.message,
        locked=bool(known.locked),
        attention=safety_flags.attention(known),
        can=safety_flags.can(known),
        released=known.released,
        hot=safety_flags.hot(known),
        safe_to_power_off=safety_flags.safe_to_power_off(known),
        heaters_off_at=whole_second(known.heaters_off_at, epoch),
        heat_reason=known.heat_reason,
        time=now + epoch,
    )


def flags(known: PrinterState) -> documents.Flags:
    """Return OctoPrint's flags (those of its 1.11: paused is not printing)."""
    phase = known.phase
    operational = known.link == "operational"
    return documents.Flags(
        operational=operational,
        printing=known.printing,
        paused=phase == "paused",
        pausing=phase == "pausing",
        resuming=phase == "resuming",
        cancelling=phase == "cancelling",
        finishing=phase == "finishing",
        sdReady=known.card is True,
        error=phase == "error",
        ready=phase == "operational",
        closedOrError=phase in {"offline", "error"},
    )


def temperatures(
    known: PrinterState, *, now: float, epoch: float
) -> documents.Temperatures:
    """Return what ``temperature`` holds."""
    heaters = {name: heater(known, name) for name in known.heaters}
    sensors = {name: tenths(actual) for name, actual in known.sensors.items()}
    measured = known.measured_at
    fields: dict[str, object] = {
        "sensors": sensors,
        "time": int((now if measured is None else measured) + epoch),
        "measured_at": None if measured is None else measured + epoch,
    }
    return documents.Temperatures.model_validate(fields | heaters)


def heater(known: PrinterState, name: str) -> documents.Heater:
    """Return one heater's entry; its temperatures are null where it is not known."""
    reading = known.heaters.get(name, HeaterState())
    return documents.Heater(
        actual=tenths(reading.actual),
        target=tenths(reading.target),
        offset=known.offsets.get(name, 0.0),
    )


def timed_heater(
    known: PrinterState, name: str, *, epoch: float
) -> documents.TimedHeater:
    """Return what ``temperature/<heater>`` holds."""
    entry = heater(known, name)
    measured = known.heaters.get(name, HeaterState()).measured_at
    time = None if measured is None else measured + epoch
    return documents.TimedHeater(**entry.model_dump(), time=time)


def files(known: PrinterState) -> documents.CardFiles:
    """Return what ``sd/files`` holds; nothing where no card is mounted."""
    return documents.CardFiles(tuple(_file(file) for file in known.files))


def job_state(known: PrinterState, *, now: float, epoch: float) -> documents.Job:
    """Return what ``job/state`` holds."""
    work = known.job
    counted = known.counted_at
    document = documents.Job(
        state=work.phase,
        job=work.job or None,
        origin=work.origin,
        file=work.file,
        display=_display(known.files, work.file),
        size=work.size,
        position=work.position,
        measured_at=None if counted is None else counted + epoch,
        line=work.line,
        layer=work.layer,
        layers=work.layers,
        z=work.z,
        filament=work.filament,
        starved=work.starved if work.streamed else None,
        objects=work.objects,
        excluded=work.excluded,
        progress=tenths(print_job.progress(work)),
        progress_from=print_job.progress_from(work),
        elapsed=_seconds(print_table.elapsed(work, now)),
        remaining=_seconds(print_job.remaining(work, now)),
        started_at=whole_second(print_table.start_time(work), epoch),
        finish_at=whole_second(print_job.finish_time(work, now), epoch),
        heating=work.heating,
        reason=work.reason,
        result=None if work.active else _result(work.result, epoch),
        time=now + epoch,
    )
    return document.model_copy(update=dict.fromkeys(_not_known(known)))


def _not_known(known: PrinterState) -> set[str]:
    """Return the fields of ``job/state`` whose values nothing confirms now."""
    away = known.link != "operational"
    on_card = known.job.active and not known.job.streamed
    fields = set() if on_card else {"measured_at"}
    if away:
        fields |= {"state", "measured_at", "elapsed"}
    if not known.job.active and known.job.origin == "local":
        fields |= {"position", "progress", "progress_from"}  # the card's, if any
    if away or (on_card and known.counter_stale):
        fields |= {"progress", "progress_from", "remaining", "finish_at"}
        if on_card:
            fields.add("position")
    return fields


def job_result(
    result: print_table.PrintResult | None, *, epoch: float
) -> documents.JobResult:
    """Return what ``job/result`` holds."""
    if result is None:
        nothing = dict.fromkeys(documents.JobResult.model_fields)
        return documents.JobResult.model_validate(nothing)
    return documents.JobResult(
        outcome=result.outcome,
        file=result.file,
        origin=result.origin,
        job=result.job or None,
        started_at=whole_second(result.started, epoch),
        ended_at=whole_second(result.time, epoch),
        elapsed=_seconds(result.elapsed),
        reason=result.reason,
        filament=result.filament,
        layers=result.layers,
    )


def totals(known: PrinterState) -> documents.TotalsDocument:
    """Return what ``totals`` holds."""
    so_far = known.totals
    return documents.TotalsDocument(
        done=so_far.done,
        cancelled=so_far.cancelled,
        failed=so_far.failed,
        print_time=round(so_far.seconds),
        filament=round(so_far.filament, 1),
    )


def error(known: PrinterState, *, epoch: float) -> documents.Error:
    """Return what ``error`` holds; empty where nothing is wrong."""
    problem = known.trouble
    if problem is None:
        return documents.Error()
    return documents.Error(
        error=problem.error,
        reason=problem.reason,
        consequence=problem.consequence,
        severity=problem.severity,
        logs=problem.logs,
        time=timestamp(problem.time + epoch),
    )


def _text(known: PrinterState) -> str:
    if known.link == "offline" and known.problem is not None:
        return "Offline after error"
    own = _OWN_TEXTS.get(known.phase) if known.job.streamed else None
    return own or _TEXTS[known.phase]


def _light(light: LightState | None) -> documents.Light | None:
    if light is None:
        return None
    return documents.Light(on=light.on, brightness=light.brightness, color=light.color)


def _position(known: PrinterState, epoch: float) -> documents.Position | None:
    place = known.position
    if place is None:
        return None
    return documents.Position(
        x=place.x, y=place.y, z=place.z, e=place.e, time=known.placed_at + epoch
    )


def _prompt(known: PrinterState) -> documents.Prompt | None:
    if not known.asks:
        return None
    asked = known.prompt
    if asked is None or not asked.asks:
        return documents.Prompt(reason="paused", text="", choices=(), commands=())
    return documents.Prompt(
        reason="prompt",
        text=asked.text,
        choices=asked.choices,
        commands=asked.commands,
    )


def _recovery(known: PrinterState, epoch: float) -> documents.RecoveryPlan | None:
    plan = known.recovery
    if plan is None:
        return None
    return documents.RecoveryPlan(
        file=plan.file,
        layer=plan.layer,
        height=plan.height,
        lines=plan.lines,
        refused=plan.refused,
        time=plan.time + epoch,
    )


def _file(file: FileEntry) -> documents.File:
    return documents.File(
        name=file.path.rstrip("/").rpartition("/")[2],
        path=file.path,
        size=file.size,
        display=file.display,
        date=file.date,
    )


def listed_file(listed: Sequence[FileEntry], path: str | None) -> FileEntry | None:
    """Return a file's entry; firmwares mind neither case nor a leading slash."""
    if path is None:
        return None
    wanted = path.lstrip("/").lower()
    return next(
        (file for file in listed if file.path.lstrip("/").lower() == wanted), None
    )


def _display(listed: Sequence[FileEntry], path: str | None) -> str | None:
    """Return a file's long name."""
    file = listed_file(listed, path)
    return None if file is None else file.display


def _result(
    result: print_table.PrintResult | None, epoch: float
) -> documents.Result | None:
    if result is None:
        return None
    return documents.Result(
        outcome=result.outcome,
        file=result.file,
        elapsed=_seconds(result.elapsed),
        reason=result.reason,
        time=result.time + epoch,
    )


def _plain(value: float | None) -> float | None:
    """Return a whole number without a decimal point, as the examples show it."""
    return int(value) if value is not None and value.is_integer() else value


def whole_second(moment: float | None, epoch: float) -> float | None:
    """Return a moment of the printer's clock in Unix time."""
    return None if moment is None else float(round(moment + epoch))


def _seconds(value: float | None) -> int | None:
    return None if value is None else round(value)
