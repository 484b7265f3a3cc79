"""The queue of prints that wait for a printer: its rules, and what is published.

Nobody but a person, or a sensor, knows whether the bed is clear. So the queue is
*held*: its first print starts when somebody has released it, and each print that
begins, from wherever, holds it again. An operator whose machine clears its own bed can
switch that off; then a print that failed or was cancelled still holds it. The reasons
are in ``docs/adr/0047-the-queue-is-held.md``.

Everything here is pure. Times are Unix time, in seconds, because they outlive the
process.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bridge.errors import RejectedError
from bridge.field_docs import PublishedDocument
from bridge.timestamps import Time
from bridge.validation_errors import shown

CAPACITY = 100
"""Prints that may wait. The whole queue is one retained message."""

Source = Literal["mqtt", "upload", "inbox", "fetch"]
"""How a print was requested."""

HoldReason = Literal[
    "bed_not_cleared", "held", "stopped", "print_failed", "cannot_start"
]
"""Why a queue is held.

* ``bed_not_cleared``: something may be on the bed, and nobody has said otherwise.
* ``held``: somebody asked for it.
* ``stopped``: an emergency stop, or the firmware itself, has stopped the machine.
* ``print_failed``: the last print failed or was cancelled.
* ``cannot_start``: its first print was refused; ``problem`` has the reason.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """A print that waits.

    Attributes:
        id: the job's id, which it keeps while it is printed and in the history.
        path: the file, as the printer's file store names it.
        added: when it was added.
        source: where it was asked for.

    """

    id: str
    path: str
    added: float
    source: Source


@dataclass(frozen=True, slots=True)
class PrintQueue:
    """The prints that wait, in order, and whether the first of them may start.

    Attributes:
        entries: the prints; the first is the next.
        held: none of them starts.
        reason: why; ``None`` unless it is held.
        problem: why the first one could not be started, for a person; "" otherwise.

    """

    entries: tuple[QueueEntry, ...] = ()
    held: bool = True
    reason: HoldReason | None = "bed_not_cleared"
    problem: str = ""

    def next(self) -> QueueEntry | None:
        """Return the print that may start as soon as the printer is ready."""
        return None if self.held or not self.entries else self.entries[0]

    def uses(self, path: str) -> bool:
        """Return whether a file is in the queue."""
        return any(entry.path == path for entry in self.entries)


def add(queue: PrintQueue, entries: Sequence[QueueEntry]) -> PrintQueue:
    """Return the queue with further prints at its end.

    Raises:
        RejectedError: There is no room (409).

    """
    room = CAPACITY - len(queue.entries)
    if len(entries) > room:
        raise RejectedError.conflict(
            f"the queue of prints has room for {room} more, of {CAPACITY}",
            "queue_full",
        )
    return replace(queue, entries=(*queue.entries, *entries))


def remove(queue: PrintQueue, job: str) -> PrintQueue:
    """Return the queue without a print.

    Raises:
        RejectedError: It is not in the queue (404).

    """
    index = _index(queue, job)
    left = (*queue.entries[:index], *queue.entries[index + 1 :])
    return _without_problem(queue, left)


def move(queue: PrintQueue, job: str, to: int) -> PrintQueue:
    """Return the queue with a print in another place.

    Args:
        queue: the queue.
        job: the print's id.
        to: its new place, counted from 0; past the end means the end.

    Raises:
        RejectedError: It is not in the queue (404).

    """
    index = _index(queue, job)
    rest = [*queue.entries[:index], *queue.entries[index + 1 :]]
    rest.insert(to, queue.entries[index])
    return _without_problem(queue, tuple(rest))


def clear(queue: PrintQueue) -> PrintQueue:
    """Return the queue without prints."""
    return _without_problem(queue, ())


def hold(queue: PrintQueue) -> PrintQueue:
    """Return the queue after a request to hold it."""
    return replace(queue, held=True, reason="held", problem="")


def stopped(queue: PrintQueue) -> PrintQueue:
    """Return the queue after the machine was stopped.

    Nobody expects a print from a machine that was stopped, once it is reset.
    """
    return replace(queue, held=True, reason="stopped", problem="")


def release(queue: PrintQueue) -> PrintQueue:
    """Return the queue after somebody has confirmed that the bed is clear."""
    return replace(queue, held=False, reason=None, problem="")


Obstacle = Literal["empty", "held", "stopped", "print_failed", "cannot_start"]
"""Why a request from the printer's own menu starts nothing."""


def obstacle(queue: PrintQueue) -> Obstacle | None:
    """Return why a request from the printer's menu does not release the queue.

    Such a request only says that the bed is clear. It does not overrule a person who
    holds the queue or has stopped the machine, does not answer for a print that failed,
    and is not kept for prints that are added later.
    """
    if not queue.entries:
        return "empty"
    if queue.held and queue.reason != "bed_not_cleared":
        return queue.reason
    return None


def begun(queue: PrintQueue, job: str | None, *, hold_each: bool) -> PrintQueue:
    """Return the queue after a print has begun, from the queue or not.

    Args:
        queue: the queue.
        job: the print's id; ``None``: it has none, as one from the card.
        hold_each: each print needs a release of its own.

    """
    left = tuple(entry for entry in queue.entries if entry.id != job)
    queue = _without_problem(queue, left)
    if not hold_each or queue.reason == "held":
        return queue
    return replace(queue, held=True, reason="bed_not_cleared")


def ended(queue: PrintQueue, *, done: bool) -> PrintQueue:
    """Return the queue after a print has ended; an incomplete one holds it."""
    if done or queue.reason in {"held", "stopped"}:
        return queue
    return replace(queue, held=True, reason="print_failed", problem="")


def refused(queue: PrintQueue, problem: str) -> PrintQueue:
    """Return the queue after its first print could not be started."""
    return replace(queue, held=True, reason="cannot_start", problem=problem)


def without_files(queue: PrintQueue, exists: Callable[[str], bool]) -> PrintQueue:
    """Return the queue without prints of files that no longer exist."""
    left = tuple(entry for entry in queue.entries if exists(entry.path))
    return queue if left == queue.entries else _without_problem(queue, left)


def fresh_id(random: Callable[[], str], taken: Collection[str]) -> str:
    """Return an id that no known job has."""
    while (candidate := random()) in taken:
        pass
    return candidate


def _without_problem(queue: PrintQueue, entries: tuple[QueueEntry, ...]) -> PrintQueue:
    """Return the queue with other prints.

    A problem is that of the first one. If that is gone, nothing but the bed holds it.
    """
    first = queue.entries[:1] != entries[:1]
    if not first or queue.reason != "cannot_start":
        return replace(queue, entries=entries)
    return PrintQueue(entries)


def _index(queue: PrintQueue, job: str) -> int:
    for index, entry in enumerate(queue.entries):
        if entry.id == job:
            return index
    raise RejectedError(
        f"the queue has no print with the id {shown(job)}; queue/state lists them",
        error="not_found",
        code=404,
    )


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


class QueueRecord(BaseModel):
    """The queue as it is kept over a restart."""

    model_config = ConfigDict(frozen=True)

    queue: PrintQueue
    """The last state of the queue."""
