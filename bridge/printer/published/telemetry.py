"""When a document is published again: at once, or at most once an interval."""

from collections.abc import Mapping

from bridge.config import Telemetry
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.published.documents import Job, State

_ROUNDING_ERROR = 1e-9  # °C; in floats, 20.2 - 20.0 is a little less than 0.2
_SAME_MOMENT = 60.0  # seconds by which a published start may be wrong
_ROUNDING = 1.0  # seconds by which one moment may differ when computed twice


ANNOUNCED = (0.0, 2.0, 8.0)
"""Seconds after a discovery message at which the temperatures are published again.

In Home Assistant, a sensor with ``expire_after`` is unavailable from a change of its
configuration until the next value. A discovery message is applied entity by entity,
which takes seconds on a small machine (seen with 2026.11), so a value that follows at
once may be too early for some entities."""


AT_ONCE = 15
"""Updates of the progress that are published in quick succession, so that short prints
can be followed closely; later ones are published every 75 seconds."""

_ONCE = 75.0
"""Seconds between two values of the remaining time, and later of the progress. Each
value is a row in Home Assistant's database."""

_ELAPSED_STEP = 60.0  # seconds
_SOON, _SOON_STEP, _LATER_STEP = 1800.0, 60.0, 300.0
"""A remaining time of up to half an hour is rounded to minutes, and a longer one to 5
minutes. Estimates are not better than that, and every change is a row in a database."""

_WITH_PROGRESS = ("progress", "line", "layer", "z", "filament", "starved")
"""Fields that change all the time during a print, and are published together."""

_BESIDE = ("time", "position", "measured_at")
"""Fields that are published only together with other changes."""

_CLEARLY = 0.75
"""The published remaining time changes when it differs from the exact one by this share
of a step; with a half, it would alternate between two values."""


class TemperatureGate:
    """Decides whether the temperatures are to be published now.

    At once when a target or an offset changes, when a heater comes or goes, or when its
    temperature becomes known or unknown; where one moved by the deadband, at most every
    minimal interval; after an announcement of the device; and with every heartbeat in
    any case.
    """

    def __init__(self, settings: Telemetry) -> None:
        self._settings = settings
        self._published: float | None = None
        self._facts: object = None
        self._values: Mapping[str, float | None] = {}
        self._moved = False
        self._repeat_at: tuple[float, ...] = ()

    def announced(self, now: float) -> None:
        """Note that the device was announced, so that its sensors need a value."""
        self._repeat_at = tuple(now + pause for pause in ANNOUNCED)

    def due(self, state: PrinterState, now: float) -> bool:
        """Return whether to publish the temperatures; then they count as published."""
        values = _measured(state)
        facts = _facts(state, values)
        self._moved = self._has_moved(values)
        if facts == self._facts and now < self.next_due():
            return False
        self._published, self._facts = now, facts
        self._values, self._moved = values, False
        self._repeat_at = tuple(moment for moment in self._repeat_at if moment > now)
        return True

    def next_due(self) -> float:
        """Return when :meth:`due` has to be called again at the latest."""
        if self._published is None:
            return float("-inf")
        settings = self._settings
        interval = settings.min_interval if self._moved else settings.heartbeat
        regular = self._published + min(interval, settings.heartbeat)
        return min((regular, *self._repeat_at))

    def _has_moved(self, values: Mapping[str, float | None]) -> bool:
        deadband = self._settings.deadband - _ROUNDING_ERROR
        for name, value in values.items():
            before = self._values.get(name)
            if value is None or before is None:
                continue
            if value != before and abs(value - before) >= deadband:
                return True
        return False


class JobGate:
    """Decides when the job is published, and rounds what moves all the time.

    Home Assistant's recorder writes a row for each new value of an entity. So elapsed
    time changes once a minute, the remaining time by whole steps and at most every 75
    seconds, and the progress by ``progress_step``, up to :data:`AT_ONCE` times in quick
    succession and then every 75 seconds. Together they make fewer than 200 rows an
    hour. Everything else, such as the state, is published at once.
    """

    def __init__(self, settings: Telemetry) -> None:
        self._step = settings.progress_step - _ROUNDING_ERROR
        self._job: Job | None = None
        self._tokens, self._refilled = float(AT_ONCE), 0.0
        self._left_at = float("-inf")

    def due(self, job: Job, now: float) -> Job | None:
        """Return the document to publish now, or ``None`` if nothing is new in it.

        Args:
            job: the present document, with exact values.
            now: the time in seconds.

        """
        before = self._job
        rounded = job.model_copy(
            update={
                "remaining": _rounded(job.remaining),
                "finish_at": _minute(job.finish_at),
            }
        )
        if before is not None and _standing(before) == _standing(job):
            rounded = self._steady(before, rounded, job, now)
            same = {name: getattr(before, name) for name in _BESIDE}
            if rounded.model_copy(update=same) == before:
                return None
        if before is None or before.remaining != rounded.remaining:
            self._left_at = now
        self._job = rounded
        return rounded

    @property
    def last(self) -> Job | None:
        """The document that was published last."""
        return self._job

    def _steady(self, before: Job, rounded: Job, exact: Job, now: float) -> Job:
        """Return a document with the values published before, unless they moved."""
        kept: dict[str, object] = {}
        if not self._progressed(before, exact, now):
            kept |= {name: getattr(before, name) for name in _WITH_PROGRESS}
        if not _moved(before.elapsed, exact.elapsed, _ELAPSED_STEP):
            kept["elapsed"] = before.elapsed
        step = _step_of(exact.remaining)
        moved = _moved(before.remaining, exact.remaining, _CLEARLY * step)
        if not moved or now < self._left_at + _ONCE:
            kept["remaining"] = before.remaining
            kept["finish_at"] = before.finish_at
        elif _near(before.finish_at, exact.finish_at, within=_CLEARLY * step):
            kept["finish_at"] = before.finish_at
        if _near(before.started_at, exact.started_at):
            kept["started_at"] = before.started_at
        return rounded.model_copy(update=kept)

    def _progressed(self, before: Job, after: Job, now: float) -> bool:
        moved = _moved(before.progress, after.progress, self._step)
        if not moved and before.layer == after.layer:
            return False
        more = (now - self._refilled) / _ONCE
        self._tokens = min(float(AT_ONCE), self._tokens + max(0.0, more))
        self._refilled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def steady(before: State | None, state: State) -> State:
    """Return the state with the time published before, if it is the same moment.

    The time is computed from two clocks, so rounding could make it change to and fro.
    """
    moments = (before.heaters_off_at if before else None), state.heaters_off_at
    if not _near(*moments, within=_ROUNDING):
        return state
    return state.model_copy(update={"heaters_off_at": moments[0]})


def _measured(state: PrinterState) -> dict[str, float | None]:
    heaters = {name: heater.actual for name, heater in state.heaters.items()}
    return heaters | {f"sensors/{name}": value for name, value in state.sensors.items()}


def _facts(state: PrinterState, values: Mapping[str, float | None]) -> object:
    targets = {name: heater.target for name, heater in state.heaters.items()}
    known = {name: value is not None for name, value in values.items()}
    return targets, known, dict(state.offsets)


def _near(
    before: float | None, after: float | None, *, within: float = _SAME_MOMENT
) -> bool:
    return before is not None and after is not None and abs(after - before) <= within


def _standing(job: Job) -> object:
    return (
        (job.state, job.file, job.display, job.size),
        (job.reason, job.heating, job.progress is None),
        job.result and (job.result.outcome, job.result.file, job.result.elapsed),
    )


def _step_of(seconds: float | None) -> float:
    return _SOON_STEP if seconds is None or seconds <= _SOON else _LATER_STEP


def _rounded(seconds: int | None) -> int | None:
    """Return a time left by its step, never 0 while there is some."""
    if not seconds:
        return seconds
    step = _step_of(seconds)
    return int(max(_SOON_STEP, round(seconds / step) * step))


def _minute(moment: float | None) -> float | None:
    return None if moment is None else round(moment / _SAME_MOMENT) * _SAME_MOMENT


def _moved(before: float | None, after: float | None, by: float) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= by
