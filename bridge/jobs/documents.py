"""What is published and kept of the queue and of the prints that have ended."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bridge.field_docs import PublishedDocument
from bridge.jobs.history import Ended, Outcome
from bridge.jobs.queue import HoldReason, PrintQueue, Source
from bridge.timestamps import Time


class QueuedPrint(PublishedDocument):
    """A print that waits."""

    job: str
    """Its id; it stays the same while it is printed, and in the history."""
    file: str
    """The file's path."""
    added_at: Time
    """When it was added."""
    source: Source
    """How it was requested: `mqtt`, `upload` (a slicer), `inbox` or `fetch`."""


class QueueState(PublishedDocument):
    """What `queue/state` holds."""

    held: bool
    """Whether the queue is held: no print starts until it is released."""
    reason: HoldReason | None
    """Why it is held: `bed_not_cleared` (nobody has confirmed that the bed is clear),
    `held` (on request), `stopped` (by an emergency stop, or by the firmware itself),
    `print_failed` (the last print failed or was cancelled), `cannot_start` (see
    `problem`).
    """
    problem: str
    """Why the first print could not be started; otherwise empty."""
    length: int
    """Number of waiting prints."""
    next: str | None
    """The file of the first one."""
    prints: tuple[QueuedPrint, ...]
    """The waiting prints, in order."""


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


def queue_state(queue: PrintQueue) -> QueueState:
    """Return what ``queue/state`` holds."""
    return QueueState(
        held=queue.held,
        reason=queue.reason,
        problem=queue.problem,
        length=len(queue.entries),
        next=queue.entries[0].path if queue.entries else None,
        prints=tuple(
            QueuedPrint(
                job=entry.id,
                file=entry.path,
                added_at=entry.added,
                source=entry.source,
            )
            for entry in queue.entries
        ),
    )


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


def history(chosen: Sequence[Ended], kept: Sequence[Ended]) -> PastPrints:
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


class QueueRecord(BaseModel):
    """The queue as it is kept over a restart."""

    model_config = ConfigDict(frozen=True)

    queue: PrintQueue
    """As it was last."""


class HistoryRecord(BaseModel):
    """The prints that have ended, as they are kept over a restart."""

    model_config = ConfigDict(frozen=True)

    prints: tuple[Ended, ...]
    """The latest first."""
