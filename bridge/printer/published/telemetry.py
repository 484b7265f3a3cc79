"""When a document is published again: at once, or at most once an interval."""

from collections.abc import Mapping

from bridge.config import Telemetry
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.published.documents import Job, State

_ROUNDING_ERROR = 1e-9  # °C; in floats, 20.2 - 20.0 is a little less than 0.2
_SAME_MOMENT = 60.0  # seconds by which a published estimate may be wrong
_ROUNDING = 1.0  # seconds by which one moment may differ when computed twice


ANNOUNCED = (0.0, 2.0, 8.0)
"""Seconds after an announcement at which the temperatures are published again.

Home Assistant shows a sensor with ``expire_after`` as unavailable from the moment at
which its configuration changes until the next value. It applies a discovery message
entity by entity, which takes seconds on a small machine (seen with 2026.11), so a value
that follows at once may come too early for some of them."""


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
    """Decides whether the job is to be published now.

    At once when its state, file or result changes; while only its progress moves, at
    most every ``interval`` seconds.
    """

    def __init__(self, interval: float = 5.0) -> None:
        self._interval = interval
        self._published: float | None = None
        self._job: Job | None = None

    def steady(self, job: Job) -> Job:
        """Return the job with the times published before, unless they really changed.

        An estimate changes a little with every report. Where it is shown as a time of
        day, only a change of minutes matters.
        """
        before = self._job
        if before is None or before.file != job.file:
            return job
        kept = {
            name: getattr(before, name)
            for name in ("started_at", "finish_at")
            if _near(getattr(before, name), getattr(job, name))
        }
        return job.model_copy(update=kept)

    def due(self, job: Job, now: float) -> bool:
        """Return whether to publish this document; then it counts as published."""
        if self._job is not None and self._published is not None:
            same = _standing(job) == _standing(self._job)
            moved = job.model_copy(update={"time": self._job.time}) != self._job
            if same and not (moved and now - self._published >= self._interval):
                return False
        self._published, self._job = now, job
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
    return job.state, job.file, job.display, job.size, job.reason, job.result
