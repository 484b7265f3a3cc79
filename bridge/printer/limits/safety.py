"""Refuses commands at the wrong time, and lines that are blocked or beyond a limit.

The order for a command is: its ``program`` (400, 404), :func:`check` (400, 403),
:func:`gate` (409). An emergency program skips both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from bridge.commands.base import BETWEEN, Command, Steps, completed
from bridge.config import BLOCKED, Profile
from bridge.errors import RejectedError
from bridge.gcode import line as lines
from bridge.gcode.codes import Moves, PrintAction, Sets
from bridge.gcode.line import Line
from bridge.printer.limits import amounts, temperatures, travel
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.limits.travel import InitialState

_UNITS = {"G20", "M149"}
"""Codes that change the units of all numbers. No setting can allow them, because every
limit is in millimetres or degrees Celsius."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the printer is doing at the moment.

    Attributes:
        profile: what the machine is.
        operational: it is connected and takes commands.
        printing: a print is under way; also while it starts, pauses, resumes or ends.
        paused: a print is paused; ``printing`` is false then.
        card_ready: an SD card is mounted; ``None``: not known.
        asks: the printer asks something, or waits for a person.
        waits: it waits for a person, and does nothing else meanwhile; the bridge may
            be connected without an answer yet.
        streaming: the bridge is sending the lines of a print.

    """

    profile: Profile = field(default_factory=Profile)
    operational: bool = True
    printing: bool = False
    paused: bool = False
    card_ready: bool | None = None
    asks: bool = False
    waits: bool = False
    streaming: bool = False


_NOT_KNOWN: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyRules:
    """What lines are checked against.

    Attributes:
        start: what the first line finds: the machine, its modes and its position.
        blocked: codes that the operator forbids, each with the reason.

    """

    start: InitialState = field(default_factory=InitialState)
    blocked: Mapping[str, str] = field(default_factory=lambda: BLOCKED)

    blocked_codes: Mapping[str, str] = field(
        default_factory=lambda: _NOT_KNOWN, repr=False
    )
    """The blocked codes as lines have them, to how the operator writes them; found out
    here if nobody has done so before."""

    def __post_init__(self) -> None:
        if self.blocked_codes is _NOT_KNOWN:
            codes = as_in_lines(tuple(self.blocked), self.start.dialect.name)
            object.__setattr__(self, "blocked_codes", codes)


@lru_cache(maxsize=64)
def as_in_lines(codes: Sequence[str], family: str) -> Mapping[str, str]:
    """Return codes as the lines of a family have them, to how they are given."""
    return {lines.read(code, family).code: code for code in codes}


def gate(command: Command, situation: Situation) -> None:
    """Refuse a command that the printer's state or kind does not allow now.

    Paused counts as not printing, except for the card.

    Raises:
        RejectedError: Code 409: ``not_operational``, ``no_heated_bed``,
            ``no_heated_chamber``, ``no_question``, ``printing``, ``not_printing`` or
            ``sd_not_ready``.

    """
    what = f"{command.topic} {command.name}"
    if command.ends_wait and situation.waits:
        return
    if command.needs_operational and not situation.operational:
        raise RejectedError.conflict(
            f"{what}: the printer is not operational; the topics connection, state and "
            "error say why",
            "not_operational",
        )
    if command.needs_bed:
        temperatures.check_heater("bed", situation.profile)
    if command.needs_chamber:
        temperatures.check_heater("chamber", situation.profile)
    if command.needs_question and not situation.asks:
        raise RejectedError.conflict(
            f"{what}: the printer is not asking anything", "no_question"
        )
    _gate_print(command, situation, what)


def _gate_print(command: Command, situation: Situation, what: str) -> None:
    """Refuse a command because of a print, or because of the card."""
    if situation.printing and (command.needs_idle or command.needs_no_print):
        raise RejectedError.conflict(f"{what}: a print is under way", "printing")
    if situation.paused and command.needs_no_print:
        raise RejectedError.conflict(f"{what}: a print is paused", "printing")
    if command.needs_print and not (situation.printing or situation.paused):
        raise RejectedError.conflict(f"{what}: nothing is printed", "not_printing")
    if command.needs_card and situation.card_ready is False:
        raise RejectedError.conflict(
            f"{what}: no SD card is mounted; send init first", "sd_not_ready"
        )


def gate_lines(texts: Iterable[str], situation: Situation, family: str) -> None:
    """Refuse lines that would change where the next line of a print leads.

    Those of a command go between two lines of a print that the bridge sends. A firmware
    has one place and one set of modes for both.

    Raises:
        RejectedError: ``printing`` (409).

    """
    if not situation.streaming:
        return
    for text in texts:
        line = lines.read(text, family)
        row = line.row
        if line.code in _BABY_STEPS:
            continue
        if row.moves is not Moves.NO or row.sets in _OF_MOVES or row.job in _OF_CARD:
            raise RejectedError.conflict(
                f"{text} would disturb the print that the bridge is sending; pause it "
                "first",
                "printing",
            )


_BABY_STEPS = {"M290", "SET_GCODE_OFFSET"}
"""Codes for use during a print; they shift its coordinates slightly."""

_OF_MOVES = {
    *(Sets.RELATIVE, Sets.ABSOLUTE, Sets.RELATIVE_E, Sets.ABSOLUTE_E),
    Sets.TOOL,
}
_OF_CARD = set(PrintAction) - {PrintAction.NOTHING, PrintAction.PROGRESS}


def check(texts: Sequence[str], rules: SafetyRules) -> tuple[Coordinates, ...]:
    """Refuse lines that are blocked or go beyond a limit; nothing is ever clamped.

    Args:
        texts: a program's lines, the restoring ones too, as they will be sent.
        rules: what they are checked against.

    Returns:
        Where the head is after each line, as far as that is known.

    Raises:
        RejectedError: See :func:`check_line` and :func:`follow`.

    """
    return completed(follow([check_line(text, rules) for text in texts], rules))


def check_line(text: str, rules: SafetyRules) -> Line:
    """Refuse a line that is wrong wherever the head is, and whatever came before.

    Returns:
        Its value.

    Raises:
        RejectedError: ``blocked`` (403), ``out_of_limits``, ``no_such_tool``,
            ``invalid_payload`` (400), ``no_heated_bed`` or ``no_heated_chamber`` (409);
            the message names the line and the limit.

    """
    try:
        line = lines.parse(text, rules.start.dialect.name)
    except lines.LineError as error:
        raise RejectedError.invalid(str(error)) from None
    check_value(line, rules)
    return line


def check_value(line: Line, rules: SafetyRules) -> None:
    """Refuse a parsed line that is wrong wherever the head is.

    Raises:
        RejectedError: See :func:`check_line`.

    """
    code, row = line.code, line.row
    if code in rules.blocked_codes or code in _UNITS or "." in code:
        _check_allowed(line, rules)
    if row.heats or row.tool or row.sets is Sets.TOOL:
        temperatures.check(line, rules.start.profile, rules.start.dialect)
    if code in amounts.BOUNDED or row.sets is Sets.TOOL:
        amounts.check(line, rules.start.profile)


def _check_allowed(line: Line, rules: SafetyRules) -> None:
    code, blocked = line.code, rules.blocked_codes
    if code not in blocked:
        code = code.partition(".")[0]
    if code in blocked:
        why = rules.blocked[blocked[code]]
        raise RejectedError.forbidden(
            f"{line}: {code} is blocked (printers.blocked): {why}"
        )
    if code in _UNITS and not _is_harmless(line):
        raise RejectedError.forbidden(f"{line}: {line.row.refused}")
    if "." in line.code:
        _check_sub_code(line)


def _is_harmless(line: Line) -> bool:
    harmless = line.row.harmless
    return harmless is not None and set(line.values) == harmless


def _check_sub_code(line: Line) -> None:
    """Refuse a sub-code whose code is checked or followed.

    Firmwares without sub-codes, such as most builds of Marlin, drop the ``.1`` of
    ``G92.1 X0``; others do not know the code. It would have to be checked as both.

    Raises:
        RejectedError: ``invalid_payload``.

    """
    code, row = line.code.partition(".")[0], line.row
    if row.name == line.code or not line.is_known:
        if code == "G92" and line.values and not travel.follows(line.code):
            raise RejectedError.invalid(
                f"{line}: {line.code} takes no parameters, and some firmwares would "
                "read G92"
            )
        return
    if (
        (code in amounts.BOUNDED and line.values)
        or travel.follows(code)
        or row.moves in {Moves.STRAIGHT, Moves.ARC, Moves.HOME, Moves.SETS}
        or row.sets is not Sets.NOTHING
    ):
        raise RejectedError.invalid(
            f"{line}: some firmwares would read {code}, others do not know "
            f"{line.code}, so its limits cannot be checked; write {code}"
        )


def follow(
    values: Iterable[Line], rules: SafetyRules
) -> Steps[tuple[Coordinates, ...]]:
    """Return where the head is after each line, as far as it is known.

    Raises:
        RejectedError: ``out_of_limits`` (400): a move goes beyond a limit.
            ``position_unknown`` (409): that cannot be told.

    """
    walk = travel.Walk(rules.start)
    places = []
    for index, line in enumerate(values):
        places.append(walk.step(line))
        if index % BETWEEN == BETWEEN - 1:
            yield
    return tuple(places)
