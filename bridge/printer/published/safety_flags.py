"""What people around a printer should know: may they touch it, must they come.

What is not known is ``None``: a printer that is away may be hot, and one whose heater
failed as well, since the sensor that tells may be what failed.
"""

from bridge.printer.knowledge.model import PrinterState
from bridge.printer.published.documents import Attention, Can

TOUCHABLE = 45.0
"""°C; metal above it hurts (ISO 13732-1 has 51 °C for a touch of a minute)."""

ON_ITS_WAY = 5.0
"""°C below it: a bed that is held just there must not flicker."""

NO_CREEP = 50.0
"""°C; without its fan a hotter hotend softens the filament where it must be firm."""


def attention(known: PrinterState) -> Attention:
    """Return why a person has to come."""
    if known.trouble is not None:
        return "error"
    reason = known.job.reason if known.job.paused_at is not None else ""
    if "runout" in reason:
        return "filament_runout"
    if known.asks:
        return "prompt"
    return "paused" if reason else "none"


def can(known: PrinterState) -> Can:
    """Return what the printer's state lets one ask."""
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
    """Tell whether something can burn, now or soon."""
    heaters = known.heaters.values()
    if any((heater.target or 0.0) >= TOUCHABLE - ON_ITS_WAY for heater in heaters):
        return True
    measured = [heater.actual for heater in heaters if heater.actual is not None]
    if any(actual >= TOUCHABLE for actual in measured):
        return True
    return False if measured and known.fault is None else None


def safe_to_power_off(known: PrinterState) -> bool | None:
    """Tell whether the printer can be switched off without harm."""
    if known.link != "operational":
        return None
    if known.job.active:
        return False
    if any(heater.target for heater in known.heaters.values()):
        return False
    hotends = [
        heater.actual
        for name, heater in known.heaters.items()
        if name.startswith("tool")
    ]
    if any(actual is not None and actual > NO_CREEP for actual in hotends):
        return False
    return None if None in hotends or known.fault is not None else True
