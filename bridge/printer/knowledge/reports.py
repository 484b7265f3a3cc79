"""How the firmware's reports change the state of a printer."""

from dataclasses import replace

from bridge.config import Profile
from bridge.gcode import reply_types as replies
from bridge.gcode.dialects import Dialect
from bridge.gcode.file_list import Listing
from bridge.gcode.line import MOVES, code_of, read
from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import Reply
from bridge.printer.knowledge import heaters, print_job
from bridge.printer.knowledge.heaters import Heat
from bridge.printer.knowledge.model import PrinterState, UserPrompt, evolve
from bridge.printer.knowledge.print_table import PrintJob
from bridge.printer.knowledge.problems import with_print_failure

# Limits of what a printer, or noise on its line, can make the bridge remember. What a
# firmware says is published and stays in memory, and noise can look like any of it.
_MAX_TEXT = 500  # characters
_MAX_PROMPT = 2000  # characters
_MAX_CHOICES = 20
_MAX_CAPABILITIES = 200  # Marlin 2.1 reports about 30

_PAUSED = ("paused for user", "paused for input")
"""Beginnings of the reason after ``busy:`` while the printer waits for a person
(Marlin: tests/transcripts/marlin/m21-sd-M25-park-blocks.txt)."""

_COLD = 5.0
"""A heater that is more than this below its target, in °C, is heating up. While it
holds a temperature it varies by a degree or two, and by more when the part fan starts.
"""

_GOES_ON = {"printing", "finishing"}


def observe(
    state: PrinterState,
    reply: Reply,
    *,
    now: float,
    dialect: Dialect,
    profile: Profile,
) -> PrinterState:
    """Return the state after a report; :mod:`problems` handles errors."""
    before, work = state, state.job
    match reply:
        case replies.TemperatureReport():
            state = _measured(state, _named(reply, dialect), profile, now)
            state = _heated(state, now, waiting=reply.waiting)
        case replies.Targets(targets) if dialect.repetier_targets:
            retargeted = heaters.retarget(state.heaters, targets, profile)
            state = replace(state, heaters=retargeted)
        case replies.Ok():
            state = _taken(state, dialect, now)
        case replies.Busy(reason):
            state = _busy(state, reason, now)
        case replies.Action(name, argument):
            state = _action(state, name, argument[:_MAX_TEXT], now)
        case _:
            state = _reported(_card(state, reply, now, dialect), reply, now)
    state = with_modes_of_print(work, state, profile)
    state = _settled(before, with_print_failure(before, state))
    if work.active and not state.job.active:
        # It has not reported where it ended, and no dialog outlives the print.
        return replace(state, moved=True, prompt=None)
    return state


def _settled(before: PrinterState, state: PrinterState) -> PrinterState:
    """Return the state without what the new state of the print contradicts.

    A print that continues does not wait for anybody, although the firmware need not
    report that its question was answered. And a print that is seen again was not lost
    with the link.
    """
    goes_on = state.job.phase in _GOES_ON and before.job.phase not in _GOES_ON
    if goes_on and state.asks:
        state = replace(state, waiting=False, prompt=None)
    found = before.job.lost_at is not None and state.job.lost_at is None
    lost = state.problem is not None and state.problem.consequence == "disconnected"
    return replace(state, problem=None) if found and lost else state


def _heated(state: PrinterState, now: float, *, waiting: bool) -> PrinterState:
    cold = any(
        bool(heater.target)
        and heater.actual is not None
        and heater.actual < heater.target - _COLD
        for heater in state.heaters.values()
        if heater.target
    )
    job = print_job.report_heat(state.job, now, waiting=waiting, cold=cold)
    return state if job is state.job else evolve(state, job=job)


def with_modes_of_print(
    before: PrintJob, state: PrinterState, profile: Profile
) -> PrinterState:
    """Return the state with the modes that a print usually sets when it starts.

    It moves the head, so a print of the bridge that broke off before has no height.
    """
    if before.active or not state.job.active:
        return state
    modes = Modal(
        relative_e=profile.relative_extrusion,
        own_relative_e=profile.relative_extrusion,
        tool=state.modal.tool,
        speed_factor=state.modal.speed_factor,
        flow_factor=state.modal.flow_factor,
    )
    return replace(state, modal=modes, displaced=True, recovery=None)


def _measured(
    state: PrinterState,
    report: replies.TemperatureReport,
    profile: Profile,
    now: float,
) -> PrinterState:
    measured = heaters.merge(
        Heat(state.heaters, state.sensors, state.sensed_at),
        report.readings,
        profile=profile,
        tool=_heating_tool(state),
        now=now,
        partial=report.waiting,
    )
    state = evolve(
        state,
        heaters=measured.heaters,
        sensors=measured.sensors,
        sensed_at=measured.sensed_at,
        measured_at=now,
    )
    if report.asked:  # a locked printer answers nothing
        return evolve(state, locked="") if state.locked else state
    return _reported_by_itself(state, "M155", now)


def _named(
    report: replies.TemperatureReport, dialect: Dialect
) -> replies.TemperatureReport:
    """Return a report with this family's names; it may have been parsed without them.

    Lines are still parsed with the unknown dialect for a moment after the firmware has
    named itself.
    """
    names = dialect.extra_sensors
    if names.keys().isdisjoint(report.readings):
        return report
    readings = {names.get(name, name): one for name, one in report.readings.items()}
    return replace(report, readings=readings)


def _reported_by_itself(state: PrinterState, code: str, now: float) -> PrinterState:
    if code not in state.autoreports:
        return state
    return evolve(state, reported_at={**state.reported_at, code: now})


def _heating_tool(state: PrinterState) -> int:
    """Return the tool that ``T:`` without a number belongs to: in M109 T1 it is 1."""
    said = read(state.line)
    names_tool = said.row.tool and said.row.waits_for_target
    number = said.values.get(said.row.tool) if names_tool else None
    return state.modal.tool if number is None else int(min(number, 999))


def _current(
    state: PrinterState, position: replies.PositionReport
) -> replies.PositionReport:
    tool = state.modal.tool
    if tool < len(position.extruders):
        return replace(position, e=position.extruders[tool])
    return position


def _taken(state: PrinterState, dialect: Dialect, now: float) -> PrinterState:
    """Return the state after an ``ok``: the printer no longer waits for a person."""
    job, answered = state.job, state.waiting
    if code_of(state.line) not in MOVES:
        said = read(state.line, dialect.name)
        job = print_job.line_acknowledged(job, said, now)
        answered = answered or said.row.asks or said.row.answers
    return evolve(
        state,
        line="",
        waiting=False,
        prompt=None if answered else state.prompt,
        job=job,
    )


def _busy(state: PrinterState, reason: str, now: float) -> PrinterState:
    if state.link == "connecting" and not state.occupied:
        state = replace(state, occupied=True)
    if not reason.startswith(_PAUSED):
        return replace(state, waiting=False) if state.waiting else state
    return replace(state, waiting=True, job=print_job.waits_for_person(state.job, now))


def _action(state: PrinterState, name: str, argument: str, now: float) -> PrinterState:
    match name:
        case "notification":
            job = print_job.report_text(state.job, argument)
            state = replace(state, message=argument, job=job)
        case "sd_inserted":
            state = replace(state, card=True, listed=False)
        case "sd_updated":
            state = replace(state, listed=False)
        case "sd_ejected":
            state = _card_gone(state, now)
        case "out_of_filament" | "filament_runout":
            job = print_job.host_action(state.job, "paused", "filament_runout", now)
            state = replace(state, job=job)
        case _ if name.startswith("prompt_"):
            state = _prompted(state, _asked(state.prompt, name, argument))
        case _:
            state = replace(
                state, job=print_job.host_action(state.job, name, argument, now)
            )
    return state


def _prompted(state: PrinterState, prompt: UserPrompt | None) -> PrinterState:
    """Return the state with a dialog; one that only informs is a message."""
    informs = prompt is not None and prompt.shown and not prompt.asks
    message = prompt.text if prompt and informs else state.message
    return replace(state, prompt=prompt, message=message)


def _asked(prompt: UserPrompt | None, action: str, argument: str) -> UserPrompt | None:
    """Return the dialog after one of its lines.

    Marlin's buttons are texts (https://docs.octoprint.org, "Action Command Prompt").
    Klipper's may have a command and a color behind the text, and there are more lines
    of text (https://docs.mainsail.xyz/overview/features/macro-prompts).
    """
    if action == "prompt_begin":
        return UserPrompt(argument)
    if action == "prompt_end" or prompt is None:
        return None
    match action:
        case "prompt_text":
            text = f"{prompt.text}\n{argument}"[:_MAX_PROMPT]
            return replace(prompt, text=text)
        case "prompt_choice" | "prompt_button" | "prompt_footer_button":
            label, command = (*map(str.strip, argument.split("|")), "")[:2]
            label, command = label or command, command or label
            return replace(
                prompt,
                choices=(*prompt.choices, label)[:_MAX_CHOICES],
                commands=(*prompt.commands, command)[:_MAX_CHOICES],
            )
    return replace(prompt, shown=prompt.shown or action == "prompt_show")


def _card(
    state: PrinterState, reply: Reply, now: float, dialect: Dialect
) -> PrinterState:
    match reply:
        case replies.CardState(ready):
            return replace(state, card=True) if ready else _card_gone(state, now)
        case replies.FileListBegin():
            return replace(state, listing=Listing())
        case replies.FileListEnd() if state.listing is not None:
            listed = state.listing.files
            return replace(state, card=True, files=listed, listing=None, listed=True)
        case replies.OtherText(text) if state.listing is not None:
            return replace(state, listing=state.listing.add(text))
        case replies.FileOpened() | replies.PrintProgress() | replies.PrintPaused():
            state = state if state.card else replace(state, card=True)
    if state.job.streamed and not isinstance(reply, replies.Progress):
        return state  # the card is idle meanwhile
    in_turn = dialect.answers_during_print and "M27" not in state.autoreports
    job = _job(state.job, reply, now, in_turn=in_turn)
    return state if job is state.job else evolve(state, job=job)


def _card_gone(state: PrinterState, now: float) -> PrinterState:
    ended = print_job.card_removed(state.job, now)
    return replace(state, card=False, files=(), listing=None, listed=False, job=ended)


def _job(known: PrintJob, reply: Reply, now: float, *, in_turn: bool) -> PrintJob:
    match reply:
        case replies.FileOpened(name, size):
            known = print_job.select(known, name, size)
        case replies.PrintProgress(position, size):
            known = print_job.report_bytes(known, position, size, now, in_turn=in_turn)
        case replies.NotPrinting():
            known = print_job.report_no_print(known, now)
        case replies.PrintPaused():
            known = print_job.report_paused(known, now)
        case replies.PrintDone(certain):
            known = print_job.report_done(known, now, certain=certain)
        case replies.PrintCancelled():
            known = print_job.report_cancelled(known, now)
        case replies.CurrentFile(None):
            known = print_job.report_no_file(known, now)
        case replies.CurrentFile(name) if known.file is None:
            known = replace(known, file=name)
        case replies.Progress(percent, left):
            known = print_job.report_progress(known, percent, left, now)
    return known


def _reported(state: PrinterState, reply: Reply, now: float) -> PrinterState:
    match reply:
        case replies.PositionReport():
            state = replace(
                state, position=_current(state, reply), moved=False, placed_at=now
            )
            state = _reported_by_itself(state, "M154", now)
        case replies.PrintProgress() | replies.NotPrinting() | replies.PrintPaused():
            state = evolve(state, counted_at=now, counter_stale=False)
            state = _reported_by_itself(state, "M27", now)
        case replies.Locked(text):
            state = replace(state, locked=text)
        case replies.FirmwareReport():
            state = replace(state, firmware=reply)
        case replies.Capability(name, enabled) if _has_room(state, name):
            known = {**state.capabilities, name: enabled}
            state = replace(state, capabilities=known)
        case replies.SpeedFactor(percent):
            state = replace(state, modal=replace(state.modal, speed_factor=percent))
        case replies.FlowFactor(tool, percent) if tool == state.modal.tool:
            state = replace(state, modal=replace(state.modal, flow_factor=percent))
        case replies.ActiveTool(number):
            state = replace(state, modal=replace(state.modal, tool=number))
    return state


def _has_room(state: PrinterState, capability: str) -> bool:
    known = state.capabilities
    return capability in known or len(known) < _MAX_CAPABILITIES
