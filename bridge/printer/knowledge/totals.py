"""How many prints ended, how long they took, and how much filament they used."""

from pydantic import BaseModel, ConfigDict

from bridge.printer.knowledge.print_table import PrintResult


class Totals(BaseModel):
    """All prints that the bridge saw end; kept between runs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    done: int = 0
    """Prints that were completed."""
    cancelled: int = 0
    """Prints that were cancelled."""
    failed: int = 0
    """Prints that failed."""
    seconds: float = 0.0
    """Their time without pauses, of those whose start was seen."""
    filament: float = 0.0
    """mm of filament, of those where it is known."""


def counted(totals: Totals, result: PrintResult | None) -> Totals:
    """Return the totals with the print that has just ended; ``None``: none has."""
    if result is None:
        return totals
    return totals.model_copy(
        update={
            result.outcome: getattr(totals, result.outcome) + 1,
            "seconds": totals.seconds + (result.elapsed or 0.0),
            "filament": totals.filament + (result.filament or 0.0),
        }
    )
