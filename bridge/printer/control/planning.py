"""From a command to the lines that may be sent now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import is_, is_not

from bridge.commands import Command, Context, Program
from bridge.commands.base import BETWEEN, Question, ScriptLibrary, Steps
from bridge.commands.gcode_lines import warnings
from bridge.commands.heaters import OwnTargets
from bridge.commands.job import CONTINUE, Resume
from bridge.commands.raw import RawCommand, RawCommands, disturbs, script_lines
from bridge.config import PrinterConfig, Profile
from bridge.errors import RejectedError
from bridge.gcode import framing
from bridge.gcode.codes import STOP
from bridge.gcode.dialects import Dialect
from bridge.gcode.line import Line, code_of, read
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.knowledge.observer import Observer
from bridge.printer.limits import safety
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.limits.safety import SafetyRules, Situation
from bridge.printer.limits.travel import InitialState

_CONFLICT = 409
_ANY = Program()
"""Lines that are not known yet, and are not an emergency stop."""

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
        file=state.job.file if state.job.origin == "card" else None,
        last_print=_last_print(state),
        files=state.files if state.listed else None,
        accessories=state.accessories,
        presets=config.presets,
        reheat=state.reheat,
        variables=partial(variables_of, state),
        scripts=scripts,
        allowed=frozenset(read(code, dialect.name).code for code in config.allowed),
        unknown_codes=config.unknown_codes,
        introduced=state.link != "connecting",
    )


def _last_print(state: PrinterState) -> tuple[str, str] | None:
    result = state.job.result
    if result is None or result.file is None:
        return None
    return result.origin, result.file


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
        asks=state.asks,
        waits=state.waiting and state.link in {"operational", "connecting"},
        streaming=state.job.streamed and state.moved_by_print,
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
    command: Command,
    context: Context,
    situation: Callable[[], Situation],
    rules: SafetyRules,
) -> Steps[Draft]:
    """Translate a command, and check what no later state of the printer can change.

    Args:
        command: the command.
        context: what it may know of the printer.
        situation: returns what the printer is doing, which matters only for an error.
        rules: what its lines are checked against.

    Raises:
        RejectedError: The payload, the operator or a limit of single lines forbids it.

    """
    try:
        return (yield from _translated(command, context, rules))
    except RejectedError as error:
        if error.code == _CONFLICT:
            safety.gate(command, situation())  # not being connected matters more
        raise


def gate(command: Command, program: Program, situation: Situation, family: str) -> None:
    """Refuse a command that the printer's state does not allow, unless it is a stop.

    Raises:
        RejectedError: See :func:`safety.gate` and :func:`safety.gate_lines`.

    """
    if not program.emergency:
        safety.gate(command, situation)
        safety.gate_lines(program.gcode, situation, family)


def _translated(command: Command, context: Context, rules: SafetyRules) -> Steps[Draft]:
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
            if index % BETWEEN == BETWEEN - 1:
                yield
        texts = [line.text for line in values]  # in canonical form
        if texts != [*program.gcode]:
            count = len(program.lines)
            lines, restore = tuple(texts[:count]), tuple(texts[count:])
            program = replace(program, lines=lines, restore=restore)
    return Draft(program, values, context, fixed)


def _check_length(line: Line) -> None:
    try:
        framing.check(line.text)
    except ValueError as error:
        raise RejectedError.invalid(str(error)) from None


def place(drafted: Draft, rules: SafetyRules) -> Steps[Plan]:
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
    if all(_selected_tool(line) is None for line in program.lines):
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


def _disturbs(script: str, context: Context) -> bool:
    given: Mapping[str, object] = {"parameters": {}, "context": {}}
    try:
        return any(map(disturbs, script_lines(script, context, given)))
    except RejectedError:
        return True


class Planner:
    """Plans the commands of one printer, from what is known of it now.

    What was found out about the last command is kept while that is still right: a
    command is checked when it arrives, and planned in its turn.

    Args:
        observer: knows the printer.
        config: the printer's part of the configuration.
        scripts: the operator's G-code scripts, if there are any.

    """

    def __init__(
        self, observer: Observer, config: PrinterConfig, scripts: ScriptLibrary | None
    ) -> None:
        self._observer = observer
        self._last_draft: tuple[Command, PrinterState, Draft] | None = None
        self._last_context: tuple[tuple[object, ...], Context] | None = None
        self._last_allowed: tuple[object, ...] = ()
        self.configure(config, scripts)

    def configure(self, config: PrinterConfig, scripts: ScriptLibrary | None) -> None:
        """Use other settings from now on."""
        self._config = config
        self._blocked_codes: dict[str, Mapping[str, str]] = {}
        self._scripts = scripts
        self._last_draft = None

    def plan(self, command: Command) -> Steps[Plan]:
        """Return what would be sent for a command now.

        Raises:
            RejectedError: It must not be sent.

        """
        drafted = yield from self.draft(command)
        self.gate(command, drafted.program)
        return (yield from place(drafted, self._rules(command)))

    def draft(self, command: Command) -> Steps[Draft]:
        """Return a command's lines; the last ones again if they are still right.

        Raises:
            RejectedError: See :func:`draft`.

        """
        state, context = self._observer.state, self.context()
        if self._last_draft is not None and self._last_draft[0] is command:
            _, before, drafted = self._last_draft
            same = before is state and drafted.context.dialect is context.dialect
            if same or drafted.holds(context):
                return drafted
        situation = partial(situation_of, state, self._config.profile)
        drafted = yield from draft(command, context, situation, self._rules(command))
        self._last_draft = (command, state, drafted)
        return drafted

    def gate(self, command: Command, program: Program = _ANY) -> None:
        """Refuse a command that the printer's state does not allow now.

        Raises:
            RejectedError: See :func:`gate`.

        """
        observer, config = self._observer, self._config
        basis = (command, program, observer.state, observer.dialect, config)
        if self._last_allowed and all(map(is_, basis, self._last_allowed)):
            return  # a command whose turn comes at once is checked several times
        situation = situation_of(observer.state, config.profile)
        gate(command, program, situation, observer.dialect.name)
        self._last_allowed = basis

    def basis(self) -> tuple[object, ...]:
        """Return what a plan depends on, apart from the situation."""
        observer = self._observer
        places = (observer.state.modal, observer.coordinates)
        return (id(self._config), observer.dialect.name, *places)

    def disturbing_scripts(self) -> Mapping[str, bool]:
        """Return the scripts that are offered, by name.

        ``True``: it is refused during a print, as it is now; also if it cannot be
        rendered now.
        """
        context = self.context()
        offered = context.scripts.offered if context.scripts else ()
        return {name: _disturbs(name, context) for name in offered}

    def context(self) -> Context:
        """Return what a command may know of its printer now."""
        observer, config = self._observer, self._config
        basis = (observer.state, config, observer.dialect)
        if self._last_context is None or any(map(is_not, basis, self._last_context[0])):
            context = context_of(
                observer.state, config, observer.dialect, self._scripts
            )
            self._last_context = (basis, context)
        return self._last_context[1]

    def rules_of_files(self) -> SafetyRules:
        """Return what the lines of a file are checked against that are not moves."""
        observer = self._observer
        start = InitialState(profile=self._config.profile, dialect=observer.dialect)
        return SafetyRules(start=start, blocked=self._config.blocked)

    def _rules(self, command: Command) -> SafetyRules:
        observer = self._observer
        start = InitialState(
            profile=self._config.profile,
            dialect=observer.dialect,
            modal=observer.state.modal,
            coordinates=observer.coordinates,
        )
        blocked: Mapping[str, str] = self._config.blocked
        match command:
            case OwnTargets():
                blocked = {}  # who blocks M104 means clients; what is on must go off
            case Resume() if observer.state.reheat:
                blocked = {}
        if not blocked:
            return SafetyRules(start=start, blocked=blocked)
        family = observer.dialect.name
        codes = self._blocked_codes.get(family)
        if codes is None:
            codes = safety.as_in_lines(tuple(blocked), family)
            self._blocked_codes[family] = codes
        return SafetyRules(start=start, blocked=blocked, blocked_codes=codes)
