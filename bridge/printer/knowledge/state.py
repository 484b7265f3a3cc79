"""How our knowledge of a printer changes; every function returns a new state.

``now`` is always seconds on a monotonic clock, such as the event loop's. The observer
calls :func:`connecting` and :func:`connected`, then :func:`sent` for each line that is
sent, and :func:`apply` for everything that the firmware says, with an
:class:`~bridge.gcode.reply_types.Ok` for each line that it acknowledged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.commands import accessories
from bridge.config import Profile
from bridge.gcode import modal
from bridge.gcode.codes import Moves, PrintAction
from bridge.gcode.dialects import Bang, Dialect
from bridge.gcode.line import MOVES, Line, read
from bridge.gcode.line_output import is_query
from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import (
    Fatal,
    FirmwareReport,
    HeaterFault,
    OtherText,
    Readiness,
    Refusal,
    Reply,
    TemperatureReport,
)
from bridge.printer.knowledge import heaters, print_job, problems
from bridge.printer.knowledge.heaters import HeaterState
from bridge.printer.knowledge.model import Link, PrinterState, Problem, evolve
from bridge.printer.knowledge.problems import with_print_failure
from bridge.printer.knowledge.reports import observe, with_modes_of_print
from bridge.printer.limits import travel

__all__ = [
    "HeaterState",
    "Link",
    "PrinterState",
    "Problem",
    "acknowledged",
    "answered",
    "apply",
    "connected",
    "connecting",
    "disconnected",
    "failed",
    "identified",
    "initial",
    "is_missed",
    "is_use",
    "line_failed",
    "other_dialect",
    "reset",
    "sent",
    "wanted",
    "with_logs",
    "with_offsets",
]


TOUCHABLE = 45.0
"""°C; the highest temperature that does not count as hot. The burn threshold for
touching metal for one minute is 51 °C (ISO 13732-1)."""


def initial(profile: Profile) -> PrinterState:
    """Return what is known before the first connection: which heaters there are."""
    return PrinterState(heaters=heaters.heaters_of(profile))


def connecting(state: PrinterState) -> PrinterState:
    """Return the state while a link is opened and the firmware is asked who it is.

    What was reported over an earlier connection is forgotten. What the firmware says
    during the handshake already counts.
    """
    fresh = _forgetful(_cold(state))
    job = print_job.link_back(state.job)
    return replace(fresh, link="connecting", readiness="", halted=False, job=job)


def connected(state: PrinterState, *, dialect: Dialect) -> PrinterState:
    """Return the state after a successful handshake, without the last problem.

    A printer that has reported an emergency meanwhile stays in error. That the link was
    lost in a print stays a problem until it is known what became of the print. One that
    answers no longer waits for a person, as it may have during the handshake.
    """
    if state.halted:
        return state
    return replace(
        state,
        waiting=False,
        occupied=False,
        prompt=None if state.waiting else state.prompt,
        link="operational",
        readiness="ready",
        problem=None if state.job.lost_at is None else state.problem,
        away="",
        away_reason="",
        unseen=False,
        card=True if dialect.card_always_present else state.card,
    )


def disconnected(
    state: PrinterState,
    problem: Problem | None = None,
    reason: str = "",
    word: str = "",
    *,
    now: float,
) -> PrinterState:
    """Return the state after the link was closed, or could not be opened.

    The names of the heaters are kept, their temperatures are not. A print from the card
    continues without the bridge, so it is kept, and the next connection shows its
    state. A print that the bridge streams has failed.

    Args:
        state: what is known.
        problem: what is wrong with that; ``None``: nothing is.
        reason: why, as a sentence.
        word: why, as the reason of the ``disconnected`` event.
        now: the time.

    """
    away = replace(
        _cold(state),
        link="offline",
        card=None,
        line="",
        problem=problem or state.problem,
        away=reason,
        away_reason=word,
        job=print_job.link_lost(state.job, now, reason),
    )
    return with_print_failure(state, away)


def is_missed(state: PrinterState) -> bool:
    """Return whether the loss of the link is a problem, and not just an event.

    It is in a print, and while something is hot, heating or not known: then nobody
    watches it. A printer that is cold and idle may be switched off.
    """
    known = [heater for heater in state.heaters.values() if heater.actual is not None]
    if state.job.active or state.fault is not None or not known:
        return True
    return any(
        bool(heater.target) or (heater.actual or 0.0) >= TOUCHABLE for heater in known
    )


def wanted(state: PrinterState) -> PrinterState:
    """Return the state when a released port is wanted back."""
    if not state.released:
        return state
    return replace(state, released=False, away="", away_reason="")


def reset(state: PrinterState, *, now: float) -> PrinterState:
    """Return the state after the firmware restarted, without modes, targets or print.

    The link is ``connecting`` until :func:`connected` is called again.
    """
    gone = print_job.reset(state.job, now)
    fresh = replace(connecting(state), job=gone, resets=state.resets + 1)
    return with_print_failure(state, fresh)


def failed(state: PrinterState, problem: Problem) -> PrinterState:
    """Return the state of a printer that stopped until a reset, such as by M112."""
    return replace(_halted(state, problem.reason, problem.time), problem=problem)


def with_logs(state: PrinterState, logs: Sequence[str]) -> PrinterState:
    """Return the state with the last lines of the wire log added to its problem."""
    if state.problem is None:
        return state
    return replace(state, problem=replace(state.problem, logs=tuple(logs)))


def answered(state: PrinterState) -> PrinterState:
    """Return the state after a person answered the printer."""
    return replace(state, waiting=False, prompt=None)


def acknowledged(state: PrinterState) -> PrinterState:
    """Return the state after a person has acknowledged the problem."""
    return replace(state, problem=None, fault=None, print_failure=None)


def with_offsets(state: PrinterState, offsets: Mapping[str, float]) -> PrinterState:
    """Return the state with these heater offsets in °C; others stay."""
    return replace(state, offsets={**state.offsets, **offsets})


def apply(
    state: PrinterState,
    reply: Reply,
    *,
    now: float,
    dialect: Dialect,
    profile: Profile,
) -> PrinterState:
    """Return the state after the firmware said something.

    Of a halted printer only the reason counts: some firmwares keep answering with stale
    values.
    """
    match reply:
        case Fatal():
            return problems.stopped(_halted(state, reply.reason, now), reply, now)
        case Readiness(word):
            return _ready(state, word, now)
        case HeaterFault() if not state.halted:
            return problems.at_fault(state, reply, now)
        case Refusal():
            return _refused(state, reply, dialect, now)
        case OtherText(text) if dialect.reports_state and text.startswith("//"):
            state = problems.note(state, text)
    if state.halted:
        return state
    state = observe(state, reply, now=now, dialect=dialect, profile=profile)
    failed = _unmeasured(state, now) if isinstance(reply, TemperatureReport) else []
    return problems.unmeasured(state, failed, now)


def _ready(state: PrinterState, word: str, now: float) -> PrinterState:
    if word in {"shutdown", "not_ready"} and not state.halted:
        state = _halted(state, word, now)
    return problems.readiness(state, word, now)


def _refused(
    state: PrinterState, reply: Refusal, dialect: Dialect, now: float
) -> PrinterState:
    if reply.unsolicited and dialect.bang is Bang.REFUSAL:
        state = replace(state, job=print_job.report_error(state.job))
    return problems.refused(state, reply.text, now)


def _unmeasured(state: PrinterState, now: float) -> list[str]:
    """Return the heaters that should heat, and were just reported without a reading."""
    return [
        name
        for name, heater in state.heaters.items()
        if heater.actual is None and heater.target and heater.measured_at == now
    ]


def identified(
    state: PrinterState, name: str, fields: Mapping[str, str]
) -> PrinterState:
    """Return the state with all that the answer to ``M115`` says, on all its lines."""
    if not name:
        return state
    return replace(state, firmware=FirmwareReport(name, fields))


def other_dialect(state: PrinterState, dialect: Dialect) -> PrinterState:
    """Return the state with the temperatures read again, with another dialect.

    The dialects differ in the names of the sensors.
    """
    names = dialect.extra_sensors
    return replace(
        state,
        sensors={names.get(name, name): value for name, value in state.sensors.items()},
        sensed_at={names.get(name, name): at for name, at in state.sensed_at.items()},
    )


def sent(
    state: PrinterState, line: str, *, now: float, dialect: Dialect, profile: Profile
) -> PrinterState:
    """Return the state after a line was sent, assuming that it will be executed.

    Targets, modes, fan, factors and the tool are set at once; the next report corrects
    what the firmware refused. A halted printer executes nothing.
    """
    if state.halted:
        return state
    said = read(line, dialect.name)
    if said.code in MOVES:
        return moved(state, line, said)
    before, tool, work = state, state.modal.tool, state.job
    targets = heaters.targets_of(said, profile=profile, tool=tool)
    state = replace(
        state,
        heaters=heaters.retarget(state.heaters, targets, profile),
        modal=modal.track(
            state.modal, said, g90_sets_extruder=dialect.g90_sets_extruder
        ),
        accessories=accessories.after(state.accessories, said, profile),
        job=print_job.line_sent(state.job, said, now),
        moved=state.moved or travel.moves(said),
        line=line,
        tool_before=tool,
    )
    state = with_print_failure(before, with_modes_of_print(work, state, profile))
    if travel.moves(said) or said.row.moves is Moves.SETS:
        state = _displaced(state)
    if said.row.interval and "S" in said.values:
        others = state.autoreports - {said.code}
        on = others | {said.code} if said.values["S"] else others
        reported_at = {**state.reported_at, said.code: now}
        state = replace(state, autoreports=on, reported_at=reported_at)
    if said.row.moves is Moves.HOME:
        state = _homing(state, said)
    elif said.row.job is PrintAction.RELEASE:
        state = replace(state, card=False, files=(), listed=False)
    return state


def moved(state: PrinterState, line: str, said: Line) -> PrinterState:
    """Return the state after a plain move was sent; most lines of a print are such.

    It changes nothing that a document or an event shows.
    """
    moving = travel.moves(said)
    after = evolve(
        state,
        modal=modal.track(state.modal, said),
        moved=state.moved or moving,
        line=line,
        tool_before=state.modal.tool,
    )
    return _displaced(after) if moving else after


def _displaced(state: PrinterState) -> PrinterState:
    """Return the state after a line was sent that moves, or sets coordinates.

    A print that is paused, or begins again, has moves of its own and those of scripts
    and people; only its lines tell where the head stands.
    """
    job = state.job
    displaced = not (job.streamed and job.phase in {"printing", "finishing"})
    if state.displaced is displaced and (state.recovery is None or not displaced):
        return state
    return evolve(state, displaced=displaced, recovery=None)


_OF_CANCELLING = {PrintAction.CANCEL, PrintAction.PAUSE, PrintAction.SEEK}
"""What lines that cancel a print do; older firmwares need two such lines."""


def line_failed(state: PrinterState, line: str, *, now: float) -> PrinterState:
    """Return the state after a line was refused, not answered or not sent.

    A print whose cancellation failed continues, as far as anybody knows.
    """
    if read(line).row.job not in _OF_CANCELLING:
        return state
    return replace(state, job=print_job.cancel_refused(state.job, now))


def _homing(state: PrinterState, said: Line) -> PrinterState:
    named = tuple(axis.lower() for axis in "XYZ" if axis in said.values)
    axes = named or ("x", "y", "z")
    return replace(state, homings=state.homings + 1, homed=axes)


def is_use(line: str) -> bool:
    """Return whether a line does more than query, once or at intervals."""
    return not is_query(line) and not read(line).row.interval


def _cold(state: PrinterState) -> PrinterState:
    """Return the state without measured values, which would be stale."""
    return replace(
        state,
        heaters=dict.fromkeys(state.heaters, HeaterState()),
        sensors=dict.fromkeys(state.sensors),
        sensed_at={},
        position=None,
        prompt=None,
        waiting=False,
        occupied=False,
        recovery=None,
        listing=None,
        heaters_off_at=None,
        heat_reason=None,
    )


def _forgetful(state: PrinterState) -> PrinterState:
    """Return the state without anything that the firmware has reported of itself."""
    return replace(
        state,
        firmware=None,
        capabilities={},
        refused=frozenset(),
        autoreports=frozenset(),
        reported_at={},
        counted_at=None,
        counter_stale=False,
        modal=Modal(),
        accessories=accessories.reconnected(state.accessories),
        moved=False,
        card=None,
        files=(),
        listed=False,
        message="",
        line="",
        fault=None,
        failure=None,
        notes=(),
        locked="",
    )


def _halted(state: PrinterState, reason: str, now: float) -> PrinterState:
    ended = print_job.halted(state.job, reason, now)
    halted = replace(_cold(state), link="error", halted=True, job=ended, line="")
    return with_print_failure(state, halted)
