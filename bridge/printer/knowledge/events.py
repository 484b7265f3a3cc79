"""Events: what happened between two states of a printer."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridge.printer.knowledge.model import PrinterState, UserPrompt
from bridge.printer.knowledge.print_table import PrintEvent, PrintJob, events_between


@dataclass(frozen=True, slots=True)
class StateEvent:
    """Something that happened.

    Attributes:
        name: such as ``print_started``.
        data: the event's other fields, ready for JSON.

    """

    name: str
    data: Mapping[str, object] = field(default_factory=dict)


BURST = 20
"""Events of one name that are published without delay, if the firmware causes them."""

EVERY = 10.0
"""Seconds between further events of that name. Nobody answers prompts faster, and noise
or a defective firmware must not fill the broker's queues."""

_FROM_FIRMWARE = {
    "waiting_for_user",
    "printer_reset",
    "filament_runout",
    "print_started",
    "print_paused",
    "print_resumed",
    "start_requested",
}
"""Events that a firmware can cause in any number with what it sends."""


class EventLimiter:
    """Limits the events that a firmware causes; the state is not affected."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        self._left_out: Counter[str] = Counter()

    def admit(self, event: StateEvent, now: float) -> StateEvent | None:
        """Return an event, with how many were left out before it, or ``None``."""
        name = event.name
        if name not in _FROM_FIRMWARE:
            return event
        tokens, since = self._buckets.get(name, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - since) / EVERY)
        if tokens < 1:
            self._buckets[name] = (tokens, now)
            self._left_out[name] += 1
            return None
        self._buckets[name] = (tokens - 1, now)
        left_out = self._left_out.pop(name, 0)
        if not left_out:
            return event
        return StateEvent(name, {**event.data, "left_out": left_out})


def diff(before: PrinterState, after: PrinterState) -> list[StateEvent]:
    """Return what happened, in the order in which it is published."""
    return [
        *_link(before, after),
        *_motion(before, after),
        *_job(before.job, after.job),
        *_person(before, after),
        *_error(before, after),
    ]


def _link(before: PrinterState, after: PrinterState) -> Iterator[StateEvent]:
    if after.resets != before.resets:
        yield StateEvent("printer_reset")
    here = {"operational", "error"}
    if after.link == "operational" != before.link:
        firmware = after.firmware.name if after.firmware else None
        yield StateEvent("connected", {"firmware": firmware})
    if after.link == "offline" and before.link in here | {"connecting"}:
        yield StateEvent("disconnected", {"reason": after.away_reason})


def _motion(before: PrinterState, after: PrinterState) -> Iterator[StateEvent]:
    if after.homings != before.homings:
        yield StateEvent("home", {"axes": list(after.homed)})
    if after.modal.tool != before.modal.tool and after.link == "operational":
        data = {"old": before.modal.tool, "new": after.modal.tool}
        yield StateEvent("tool_change", data)
    place = after.position
    if place is not None and place != before.position:
        yield StateEvent(
            "position", {"x": place.x, "y": place.y, "z": place.z, "e": place.e}
        )


def _job(before: PrintJob, after: PrintJob) -> Iterator[StateEvent]:
    for name in events_between(before, after):
        yield StateEvent(name, _data(name, after))


def _data(name: PrintEvent, job: PrintJob) -> Mapping[str, object]:
    match name:
        case "print_started":
            return {"file": job.file, "size": job.size}
        case "print_paused":
            return {"file": job.file, "reason": job.reason}
        case "print_resumed" | "filament_runout":
            return {"file": job.file}
    result = job.result
    assert result is not None  # noqa: S101 - each end of a print leaves one
    elapsed = None if result.elapsed is None else round(result.elapsed)
    data = {"file": result.file, "elapsed": elapsed}
    return {**data, "reason": result.reason} if name == "print_failed" else data


def _person(before: PrinterState, after: PrinterState) -> Iterator[StateEvent]:
    asked, asks = _question(before), _question(after)
    if asks is not None and asks != asked:
        data = {"prompt": asks.text, "choices": list(asks.choices)}
        yield StateEvent("waiting_for_user", data)
    elif asks is None and after.waiting and not before.waiting:
        yield StateEvent("waiting_for_user", {"prompt": "", "choices": []})


def _question(state: PrinterState) -> UserPrompt | None:
    return state.prompt if state.prompt is not None and state.prompt.asks else None


def _error(before: PrinterState, after: PrinterState) -> Iterator[StateEvent]:
    problem = after.trouble
    if problem is None:
        return
    known = before.trouble
    if known is None or (known.error, known.reason) != (problem.error, problem.reason):
        data = {
            "error": problem.error,
            "reason": problem.reason,
            "consequence": problem.consequence,
            "severity": problem.severity,
        }
        yield StateEvent("error", data)
