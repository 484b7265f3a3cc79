"""Flags for the people around a printer: whether it is hot, and whether it needs them.

``None`` means not known: a printer that is disconnected may be hot. So may one whose
heater failed, because it may be the sensor that failed.
"""

from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.print_table import PrintJob, PrintResult
from bridge.printer.knowledge.state import TOUCHABLE
from bridge.printer.published.documents import Attention, Can

TARGET_MARGIN = 5.0
"""A target at most this much below ``TOUCHABLE``, in °C, already counts as hot, so that
the flag of a bed at that temperature does not change all the time."""

NO_HEAT_CREEP = 50.0
"""°C; up to this temperature, a hotend does not need its fan. Above, heat rises and
softens the filament above the hotend, which then jams."""


def attention(known: PrinterState) -> Attention:
    """Return why the printer needs a person."""
    if known.trouble is not None:
        return "error"
    reason = known.job.reason if known.job.paused_at is not None else ""
    if "runout" in reason:
        return "filament_runout"
    if known.asks:
        return "prompt"
    return "paused" if reason else "none"


_PHASES = {
    "starting": "Starting the print",
    "printing": "Printing",
    "pausing": "Pausing",
    "paused": "Paused",
    "resuming": "Resuming the print",
    "cancelling": "Cancelling the print",
    "finishing": "Finishing the print",
}
_COLD = 5.0
"""A heater that is more than this below its target, in °C, is heating up."""

_LONGEST_STATUS = 250
"""Characters. Home Assistant allows 255 in a state."""


def status(known: PrinterState) -> str:
    """Return the state in words for people: what it does, and why it does not."""
    words = _status(known)
    return words if len(words) <= _LONGEST_STATUS else f"{words[:_LONGEST_STATUS]}…"


def _status(known: PrinterState) -> str:
    if known.link != "operational":
        return _of_link(known)
    if known.locked:
        return "Locked with a password"
    if known.asks or known.job.active:
        return _of_question(known) if known.asks else _of_print(known)
    if known.trouble is not None:
        return _with_reason("Ready, but there was a problem", known.trouble.error)
    return "Heating" if _heats(known) else "Ready"


def _of_link(known: PrinterState) -> str:
    error = known.trouble.error if known.trouble else ""
    if known.link == "error":
        return _with_reason("Stopped", error)
    if known.link == "connecting" and known.asks:
        return f"Connecting; {_of_question(known)[0].lower()}{_of_question(known)[1:]}"
    if known.link == "connecting":
        return "Connecting; the printer is busy" if known.occupied else "Connecting"
    if known.released:
        return "Disconnected on request"
    return _with_reason("Not connected", error or known.away)


def _of_question(known: PrinterState) -> str:
    asked = known.prompt.text if known.prompt is not None else ""
    return _with_reason("Needs an answer" if asked else "Waits for a person", asked)


def _of_print(known: PrinterState) -> str:
    job = known.job
    if job.heating and job.phase in {"starting", "printing", "resuming"}:
        return "Heating for the print"
    if job.phase == "paused" and job.reason:
        runout = "runout" in job.reason
        return _with_reason(
            "Paused", "out of filament" if runout else job.reason.replace("_", " ")
        )
    return _PHASES[job.phase]


def _with_reason(words: str, reason: str) -> str:
    return f"{words}: {' '.join(reason.split())}" if reason.strip() else words


def _heats(known: PrinterState) -> bool:
    return any(
        bool(heater.target)
        and heater.actual is not None
        and heater.actual < heater.target - _COLD
        for heater in known.heaters.values()
        if heater.target
    )


def can(known: PrinterState) -> Can:
    """Return which commands the printer's state allows."""
    here = known.link == "operational"
    phase = known.job.phase if here else "idle"
    runs = phase in {"starting", "printing", "resuming", "finishing"}
    stands = phase in {"pausing", "paused"}
    idle = here and phase == "idle"
    last = known.job.result
    waits = known.waiting and known.link in {"operational", "connecting"}
    return Can(
        select=idle,
        start=idle and _readable(known, known.job),
        reprint=idle and last is not None and _readable(known, last),
        pause=runs,
        resume=stands or waits,
        cancel=runs or stands,
        move=idle or phase == "paused",
        plan_recovery=idle and known.broken_off,
        recover=idle and known.broken_off and _planned(known),
    )


def _planned(known: PrinterState) -> bool:
    return known.recovery is not None and not known.recovery.refused


def _readable(known: PrinterState, chosen: PrintJob | PrintResult) -> bool:
    """Return whether there is a file, and what it is on, as far as is known."""
    there = chosen.origin == "local" or known.card is not False
    return there and chosen.file is not None


def hot(known: PrinterState) -> bool | None:
    """Return whether something is too hot to touch, now or soon."""
    heaters = known.heaters.values()
    if any((heater.target or 0.0) >= TOUCHABLE - TARGET_MARGIN for heater in heaters):
        return True
    measured = [heater.actual for heater in heaters if heater.actual is not None]
    if any(actual >= TOUCHABLE for actual in measured):
        return True
    # A heater that was never reported is not there; one that was may be hot.
    lost = any(h.actual is None and h.measured_at is not None for h in heaters)
    return False if measured and known.fault is None and not lost else None


def safe_to_power_off(known: PrinterState) -> bool | None:
    """Return whether the printer can be switched off without harm."""
    if known.link != "operational":
        return None
    if known.job.active:
        return False
    if any(heater.target for heater in known.heaters.values()):
        return False
    hotends = _hotend_temperatures(known)
    if any(actual is not None and actual > NO_HEAT_CREEP for actual in hotends):
        return False
    return None if None in hotends or known.fault is not None else True


def _hotend_temperatures(known: PrinterState) -> list[float | None]:
    return [
        heater.actual
        for name, heater in known.heaters.items()
        if name.startswith("tool")
    ]
