"""Flags for the people around a printer: whether it is hot, and whether it needs them.

``None`` means not known: a printer that is disconnected may be hot. So may one whose
heater failed, because it may be the sensor that failed.
"""

from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.state import TOUCHABLE
from bridge.printer.published.documents import Attention, Can

TARGET_MARGIN = 5.0
"""°C below ``TOUCHABLE`` from which on a target counts as hot, so that the flag of
a bed held at that temperature does not change all the time."""

NO_HEAT_CREEP = 50.0
"""°C; highest temperature of a hotend that can lose its fan. Above it, heat creeps up
and softens the filament above the hotend, which then jams."""


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


def can(known: PrinterState) -> Can:
    """Return which commands the printer's state allows."""
    here = known.link == "operational"
    phase = known.job.phase if here else "idle"
    runs = phase in {"starting", "printing", "resuming", "finishing"}
    stands = phase in {"pausing", "paused"}
    idle = here and phase == "idle"
    return Can(
        start=idle and known.card is not False and known.job.file is not None,
        pause=runs,
        resume=stands,
        cancel=runs or stands,
        move=idle or phase == "paused",
    )


def hot(known: PrinterState) -> bool | None:
    """Return whether something is too hot to touch, now or soon."""
    heaters = known.heaters.values()
    if any((heater.target or 0.0) >= TOUCHABLE - TARGET_MARGIN for heater in heaters):
        return True
    measured = [heater.actual for heater in heaters if heater.actual is not None]
    if any(actual >= TOUCHABLE for actual in measured):
        return True
    return False if measured and known.fault is None else None


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
