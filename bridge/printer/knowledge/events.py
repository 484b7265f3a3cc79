"""Events: what happened between two states of a printer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridge.printer.knowledge.model import PrinterState, UserPrompt
from bridge.printer.knowledge.print_job import PrintJob, PrintResult

_ENDS = {
    "done": "print_done",
    "cancelled": "print_cancelled",
    "failed": "print_failed",
}


@dataclass(frozen=True, slots=True)
class StateEvent:
    """Something that happened.

    Attributes:
        name: such as ``print_started``.
        data: the event's other fields, ready for JSON.

    """

    name: str
    data: Mapping[str, object] = field(default_factory=dict)


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
        reason = after.problem.reason if after.problem else ""
        yield StateEvent("disconnected", {"reason": reason})


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
    result = after.result
    ended = result is not None and result is not before.result
    if not before.active and (after.active or ended):
        yield StateEvent("print_started", {"file": after.file, "size": after.size})
    yield from _pauses(before, after)
    if ended and result is not None:
        yield _end(result)


def _pauses(before: PrintJob, after: PrintJob) -> Iterator[StateEvent]:
    if after.phase == "paused" != before.phase:
        yield StateEvent("print_paused", {"file": after.file, "reason": after.reason})
    if "runout" in after.reason and "runout" not in before.reason:
        yield StateEvent("filament_runout", {"file": after.file})
    running = after.phase in {"printing", "finishing"}
    if running and before.phase in {"paused", "resuming"}:
        yield StateEvent("print_resumed", {"file": after.file})


def _end(result: PrintResult) -> StateEvent:
    elapsed = None if result.elapsed is None else round(result.elapsed)
    data: dict[str, object] = {"file": result.file, "elapsed": elapsed}
    if result.outcome == "failed":
        data["reason"] = result.reason
    return StateEvent(_ENDS[result.outcome], data)


def _person(before: PrinterState, after: PrinterState) -> Iterator[StateEvent]:
    asked, asks = _question(before), _question(after)
    if asks is not None and asks != asked:
        data = {"prompt": asks.text, "choices": list(asks.choices)}
        yield StateEvent("waiting_for_user", data)
    elif asks is None and after.waiting and not before.waiting:
        yield StateEvent("waiting_for_user", {"prompt": "", "choices": []})


def _question(state: PrinterState) -> UserPrompt | None:
    return state.prompt if state.prompt is not None and state.prompt.shown else None


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
        }
        yield StateEvent("error", data)
