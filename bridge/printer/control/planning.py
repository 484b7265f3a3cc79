"""From a command to the lines that may be sent now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bridge.commands import Command, Context, Program
from bridge.commands.base import BETWEEN, Question, ScriptLibrary, Steps
from bridge.commands.gcode_lines import warnings
from bridge.commands.job import CONTINUE
from bridge.commands.raw import RawCommand, RawCommands, script_lines
from bridge.config import Printer as PrinterConfig
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode import framing
from bridge.gcode.codes import STOP
from bridge.gcode.dialects import Dialect
from bridge.gcode.line import Line, code_of, read
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.limits import safety
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.limits.safety import Rules, Situation

_CONFLICT = 409
BEFORE_TOOL, AFTER_TOOL = "beforeToolChange", "afterToolChange"


def context_of(
    state: PrinterState,
    config: PrinterConfig,
    dialect: Dialect,
    scripts: ScriptLibrary | None,
) -> Context:
    """Return what a command may know of its printer."""
    return Context(
        profile=config.profile,
        dialect=dialect,
        modal=state.modal,
        offsets=state.offsets,
        capabilities=capabilities_of(state, dialect),
        card_ready=state.card,
        refused=state.refused,
        question=question_of(state, dialect),
        phase=state.job.phase,
        reheat=state.reheat,
        variables=partial(variables_of, state),
        scripts=scripts,
        allowed=frozenset(read(code, dialect.name).code for code in config.allowed),
        unknown_codes=config.unknown_codes,
    )


def question_of(state: PrinterState, dialect: Dialect) -> Question | None:
    """Return what the printer asks a person, or waits for; ``None``: nothing.

    Marlin shows a dialog with a button to continue when it begins to wait, up to two
    seconds before it says ``busy: paused for user``.
    """
    if not state.asks:
        return None
    asked = state.prompt
    if asked is None:
        return Question(blocks=state.waiting)
    texts = {choice.strip().lower() for choice in asked.choices}
    stands = not dialect.buttons_are_commands and not texts.isdisjoint(CONTINUE)
    blocks = state.waiting or stands
    return Question(asked.text, asked.choices, asked.commands, blocks=blocks)


def capabilities_of(state: PrinterState, dialect: Dialect) -> frozenset[str]:
    """Return the capabilities that the firmware reports, and those of its dialect."""
    said = (name for name, enabled in state.capabilities.items() if enabled)
    return frozenset(said) | dialect.capabilities


def variables_of(state: PrinterState) -> Mapping[str, object]:
    """Return the variables that OctoPrint documents for scripts."""
    position = state.position
    where = {axis: getattr(position, axis, None) for axis in "xyze"}
    return {
        "last_position": {
            **where,
            "f": state.modal.feedrate,
            "t": state.modal.tool,
        },
        "last_temperature": {
            _short(name): {"actual": heater.actual, "target": heater.target}
            for name, heater in state.heaters.items()
        },
        "last_fanspeed": state.modal.fan,
        "relative_axes_requested": state.modal.relative,
        "relative_extruder_requested": state.modal.relative_e,
    }


def _short(heater: str) -> int | str:
    return int(heater[4:]) if heater.startswith("tool") else heater[:1]


def situation_of(state: PrinterState, profile: Profile) -> Situation:
    """Return what decides whether a command may be carried out now."""
    return Situation(
        profile=profile,
        operational=state.link == "operational",
        printing=state.printing,
        paused=state.link == "operational" and state.job.phase == "paused",
        card_ready=state.card,
        file_selected=state.job.file is not None,
        asks=state.asks,
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """What a command says, checked as far as that does not depend on the moment.

    Attributes:
        program: its lines.
        lines: the values of all of them, the restoring ones too.
        context: what the printer was like when it was translated.
        fixed: the lines depend on nothing in the context but the firmware's dialect and
            capabilities.

    """

    program: Program
    lines: Sequence[Line]
    context: Context
    fixed: bool

    def holds(self, context: Context) -> bool:
        """Return whether translating the command again would give the same lines."""
        before = self.context
        return (
            self.fixed
            and context.dialect is before.dialect
            and context.capabilities == before.capabilities
            and context.profile is before.profile
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent for a command.

    Attributes:
        program: the lines.
        places: where the head is after each line, the restoring ones too, as far as
            that is known.

    """

    program: Program
    places: Sequence[Coordinates]


def draft(
    command: Command, context: Context, situation: Situation, rules: Rules
) -> Steps[Draft]:
    """Translate a command, and check what no later state of the printer can change.

    Raises:
        RejectedError: The payload, the operator or a limit of single lines forbids it.

    """
    try:
        return (yield from _translated(command, context, rules))
    except RejectedError as error:
        if error.code == _CONFLICT:
            safety.gate(command, situation)  # not being connected matters more
        raise


def gate(command: Command, program: Program, situation: Situation) -> None:
    """Refuse a command that the printer's state does not allow, unless it is a stop.

    Raises:
        RejectedError: See :func:`safety.gate`.

    """
    if not program.emergency:
        safety.gate(command, situation)


def _translated(command: Command, context: Context, rules: Rules) -> Steps[Draft]:
    program = yield from command.steps(context)
    listed = program.lines
    program = _with_tool_scripts(program, context)
    fixed = program.lines is listed
    fixed = isinstance(command, RawCommand | RawCommands) and fixed
    fits = fixed and context.dialect.numbered  # it was found out when it was parsed
    values: list[Line] = []
    if not program.emergency:
        for index, text in enumerate(program.gcode):
            line = safety.check_line(text, rules)
            if not fits:
                _check_length(line)
            values.append(line)
            if not index % BETWEEN:
                yield
        texts = [line.text for line in values]  # in canonical form
        count = len(program.lines)
        if texts != [*program.gcode]:
            lines, restore = tuple(texts[:count]), tuple(texts[count:])
            program = replace(program, lines=lines, restore=restore)
    return Draft(program, values, context, fixed)


def _check_length(line: Line) -> None:
    try:
        framing.check(line.text)
    except ValueError as error:
        raise RejectedError.invalid(str(error)) from None


def place(drafted: Draft, rules: Rules) -> Steps[Plan]:
    """Check where a command moves the head, from the printer's present position.

    Raises:
        RejectedError: A limit forbids it.

    """
    program = drafted.program
    if program.emergency:
        return Plan(program, (Coordinates(),) * len(program.gcode))
    return Plan(program, (yield from safety.follow(drafted.lines, rules)))


def _with_tool_scripts(program: Program, context: Context) -> Program:
    scripts = context.scripts
    if scripts is None or program.urgent or program.emergency:
        return program
    if not (scripts.has(BEFORE_TOOL) or scripts.has(AFTER_TOOL)):
        return program
    if not any(_selected_tool(line) is not None for line in program.lines):
        return program
    lines: list[str] = []
    added: list[Line] = []
    tool = context.modal.tool
    for line in program.lines:
        new = _selected_tool(line)
        if new is None:
            lines.append(line)
            continue
        change = {"old": tool, "new": new}
        before = _tool_script(BEFORE_TOOL, context, tool, change)
        after = _tool_script(AFTER_TOOL, context, new, change)
        lines += [*(one.text for one in before), line, *(one.text for one in after)]
        added += [*before, *after]
        tool = new
    if STOP in lines:
        return Program((STOP,), emergency=True)
    said = dict.fromkeys((*program.warnings, *warnings(added, context)))
    return replace(program, lines=tuple(lines), warnings=tuple(said))


def _selected_tool(line: str) -> int | None:
    code = code_of(line)
    return int(code[1:]) if code[:1] == "T" and code[1:].isdigit() else None


def _tool_script(
    name: str, context: Context, tool: int, change: Mapping[str, int]
) -> Sequence[Line]:
    """Return a script's lines, if there is one, for a printer that has this tool."""
    if context.scripts is None or not context.scripts.has(name):
        return ()
    there = replace(context, modal=replace(context.modal, tool=tool))
    return script_lines(name, there, {"tool": change})
