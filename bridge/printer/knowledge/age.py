"""How old a reading may be until its value is no longer known.

Temperatures, the position and the byte counter of a print from the card are queried or
reported at intervals. After a few intervals without a reading, the value is forgotten,
because the old one would look current. ADR 60 lists all published values. Times are
seconds on a monotonic clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.printer.knowledge import heaters
from bridge.printer.knowledge.model import PrinterState, evolve

POSITION, COUNTER = "position", "counter"


@dataclass(frozen=True, slots=True)
class MaxAges:
    """Seconds without a reading after which a value is not known any more.

    Attributes:
        temperature: of each heater and sensor.
        position: of the position, if it may have changed since it was reported.
        counter: of the bytes that a print from the card has read.

    """

    temperature: float
    position: float
    counter: float


def follow(state: PrinterState, now: float) -> PrinterState:
    """Return the state with the time since when each reading is expected.

    A head that stands still is where it was reported, however long ago that was. So its
    age counts from the line that moved it. A printer that waits for a person stands,
    and is asked for nothing but temperatures.
    """
    since = state.expected_since
    expected = tuple(_expected(state))
    if len(expected) == len(since) and all(name in since for name in expected):
        return state
    return evolve(
        state, expected_since={name: since.get(name, now) for name in expected}
    )


def _expected(state: PrinterState) -> Iterator[str]:
    if state.link != "operational" or state.waiting:
        return
    moves = state.moved or state.job.active
    if moves and state.position is not None and "M114" not in state.refused:
        yield POSITION
    if state.job.active and not state.job.streamed and state.counted_at is not None:
        yield COUNTER


def expire(state: PrinterState, *, now: float, ages: MaxAges) -> PrinterState:
    """Return the state without values that are too old."""
    known = heaters.Heat(state.heaters, state.sensors, state.sensed_at)
    fresh = heaters.expire(known, now - ages.temperature)
    due = dict(_dues(state, ages))
    late = {name for name, moment in due.items() if moment < now}
    return evolve(
        state,
        heaters=fresh.heaters,
        sensors=fresh.sensors,
        sensed_at=fresh.sensed_at,
        position=None if POSITION in late else state.position,
        counter_stale=state.counter_stale or COUNTER in late,
    )


def next_expiry(state: PrinterState, ages: MaxAges) -> float | None:
    """Return when the next value becomes too old; ``None``: there is none."""
    known = state.heaters.values()
    times = [heater.measured_at for heater in known if heater.actual is not None]
    times += state.sensed_at.values()
    moments = [time + ages.temperature for time in times if time is not None]
    moments += [moment for _, moment in _dues(state, ages)]
    return min(moments, default=None)


def _dues(state: PrinterState, ages: MaxAges) -> Iterator[tuple[str, float]]:
    """Yield the values that are expected, and when each is too old."""
    for name, since in state.expected_since.items():
        if name == POSITION:
            yield name, max(since, state.placed_at) + ages.position
        elif not state.counter_stale:
            yield name, max(since, state.counted_at or 0.0) + ages.counter
