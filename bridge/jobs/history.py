"""The past prints, and how they are published.

Times are Unix time, in seconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bridge.field_docs import PublishedDocument
from bridge.timestamps import Time

CAPACITY = 500
"""Prints that are kept: those of eight months at two prints a day."""

Outcome = Literal["done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A print that has ended.

    Attributes:
        job: its id; ``None`` for a print from the card.
        file: what was printed; ``None``: not known.
        origin: where the file was.
        outcome: how it ended.
        reason: a stable word if it failed, else "".
        started: when it began; ``None``: its start was not seen.
        ended: when it ended.
        elapsed: its duration without pauses, in seconds; ``None``: not known.
        filament: mm of filament; ``None``: not known.
        layers: layers that were printed; ``None``: not known.

    """

    job: str | None
    file: str | None
    origin: Literal["card", "local"]
    outcome: Outcome
    reason: str
    started: float | None
    ended: float
    elapsed: float | None
    filament: float | None
    layers: int | None


def with_print(prints: Sequence[Ended], ended: Ended) -> tuple[Ended, ...]:
    """Return the history with one more print, the latest first.

    A print that is in it already, as after a restart, is not added twice.
    """
    if prints and same_print(prints[0], ended):
        return tuple(prints)
    return (ended, *prints)[:CAPACITY]


def same_print(known: Ended, other: Ended) -> bool:
    """Return whether two records are of one print.

    The moments of a record that was kept over a restart may differ by what the clock
    was corrected, so those of prints with an id are not compared.
    """
    if known.job is not None or other.job is not None:
        return known.job == other.job
    same = (known.file, known.outcome, known.reason) == (
        other.file,
        other.outcome,
        other.reason,
    )
    return same and abs(known.ended - other.ended) < _CLOCK_CORRECTION


_CLOCK_CORRECTION = 2.0
"""Seconds by which the clock may have been corrected between two records of the same
print."""


def chosen(
    prints: Iterable[Ended], *, outcome: Outcome | None, file: str | None, limit: int
) -> list[Ended]:
    """Return the latest prints with an outcome and of a file, if these are given."""
    found = (
        ended
        for ended in prints
        if outcome in {None, ended.outcome} and file in {None, ended.file}
    )
    return [ended for ended, _ in zip(found, range(limit), strict=False)]


class PastPrint(PublishedDocument):
    """A print that has ended."""

    job: str | None
    """Its id; null for a print from the card."""
    file: str | None
    """The file that was printed."""
    origin: Literal["card", "local"]
    """Where the file was."""
    outcome: Outcome
    """How it ended."""
    reason: str
    """Why it failed; otherwise empty."""
    started_at: Time | None
    """When it started; null if that was not seen."""
    ended_at: Time
    """When it ended."""
    elapsed: int | None
    """Its duration without pauses, in seconds."""
    filament: float | None
    """Filament in mm."""
    layers: int | None
    """Number of layers."""


class PastTotals(PublishedDocument):
    """Sums over the prints that are kept."""

    prints: int
    """How many there are."""
    done: int
    """How many were completed."""
    elapsed: int
    """Their durations, in seconds."""
    filament: float
    """The filament that they used, in mm, as far as it is known."""


class PastPrints(PublishedDocument):
    """The response to `request/history`."""

    prints: tuple[PastPrint, ...]
    """The latest first."""
    totals: PastTotals
    """Sums over all prints that are kept, not only those of this response."""


def past_print(ended: Ended) -> PastPrint:
    """Return an entry of the history."""
    return PastPrint(
        job=ended.job,
        file=ended.file,
        origin=ended.origin,
        outcome=ended.outcome,
        reason=ended.reason,
        started_at=ended.started,
        ended_at=ended.ended,
        elapsed=None if ended.elapsed is None else round(ended.elapsed),
        filament=ended.filament,
        layers=ended.layers,
    )


def past_prints(chosen: Sequence[Ended], kept: Sequence[Ended]) -> PastPrints:
    """Return the response to ``request/history``.

    Args:
        chosen: the prints that were asked for.
        kept: all of them.

    """
    return PastPrints(
        prints=tuple(map(past_print, chosen)),
        totals=PastTotals(
            prints=len(kept),
            done=sum(ended.outcome == "done" for ended in kept),
            elapsed=round(sum(ended.elapsed or 0.0 for ended in kept)),
            filament=round(sum(ended.filament or 0.0 for ended in kept), 1),
        ),
    )


class HistoryRecord(BaseModel):
    """The prints that have ended, as they are kept over a restart."""

    model_config = ConfigDict(frozen=True)

    prints: tuple[Ended, ...]
    """The latest first."""
