"""What each code does, for every firmware family.

Limits, blocked codes, the state, timeouts, echoes, queue lanes and the documentation
read the rows of :mod:`bridge.gcode.code_table` through :func:`lookup`.
:data:`SYNTAXES` says how a family reads the bytes of a line.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from typing import Any

from bridge.gcode.code_table import CODES, NAMES, REASONS

UNKNOWN = "unknown"
"""The family of a firmware that was not identified."""

STOP = "M112"
"""Turns off heaters and motors at once, in every family; only a reset brings the
printer back (https://reprap.org/wiki/G-code#M112:_Full_.28Emergency.29_Stop)."""


class Argument(Enum):
    """What follows a code."""

    LETTERS = "letters with numbers"
    DISPLAY = "a text for the display"
    ECHO = "a text that the printer sends back"
    FILE = "the name of a file"
    TEXT = "a text that must stay as it is"
    WAIT = "P or S with a number, and a text for the display"
    NAMES = "names with values"


class Moves(Enum):
    """What a code does to the position of the head."""

    NO = "nothing"
    STRAIGHT = "a straight move"
    ARC = "an arc or a curve"
    HOME = "homes"
    SETS = "sets the position"
    ANYWHERE = "the position is unknown afterwards"


class Sets(Enum):
    """Which part of the modal state a code sets."""

    NOTHING = ""
    RELATIVE = "axes are relative"
    ABSOLUTE = "axes are absolute"
    RELATIVE_E = "the extruder is relative"
    ABSOLUTE_E = "the extruder is absolute"
    FAN = "the fan's speed, S"
    FAN_OFF = "the fan is off"
    SPEED = "the speed factor, S"
    FLOW = "the flow factor, S"
    TOOL = "the selected tool"


class PrintAction(Enum):
    """What a code does to a print from the SD card."""

    NOTHING = ""
    START = "starts or resumes the selected file"
    OPEN = "selects a file and starts it"
    RESUME = "resumes a paused print"
    PAUSE = "pauses"
    CANCEL = "cancels"
    SEEK = "goes to the byte S of the file"
    PROGRESS = "says the progress P and the minutes left, R"
    RELEASE = "releases the card"


@dataclass(frozen=True, slots=True)
class Selector:
    """The letter by whose number a code chooses its heater.

    Attributes:
        letter: the letter.
        heaters: a number to the heater, where it is not a tool of that number.
        other: the heater of every other number.

    """

    letter: str
    heaters: tuple[tuple[int, str], ...]
    other: str = "tool"

    def heater(self, number: float) -> str:
        """Return the heater that a number selects."""
        return dict(self.heaters).get(int(number), self.other)


@dataclass(frozen=True, slots=True)
class Code:
    """A row of the table: what one code does, in the families that have it.

    Attributes:
        name: ``G1``, ``M104``, ``G92.1``; ``T`` for all tool numbers; or the name of an
            extended command, in upper case.
        does: a phrase for the documentation.
        argument: what follows the code.
        quoted: letters that may have a text in double quotes.
        heats: letters (or names) whose numbers are target temperatures in °C, each with
            its heater: ``tool``, ``bed``, ``chamber``, or ``any`` where it cannot be
            told which it is.
        target: its temperature is the heater's target from then on.
        selector: what chooses the heater, if a letter does.
        lists: the targets may be lists, such as ``S200:210``.
        tool: the letter that names a tool; a missing tool is never answered by some.
        preset: the letter of a preset whose temperature only the firmware knows.
        moves: what it does to the head's position.
        sets: what it does to the modal state.
        job: what it does to a print.
        reads: it does nothing but answer.
        interval: with ``S`` it switches reports on or off, whose interval that is.
        asks: it waits for a person, and has its ``ok`` only after the answer.
        answers: it answers what the printer asks, in place of a button.
        long: it may take minutes; what it does then.
        cools: it turns all heaters off.
        cycles: letters whose numbers say how often it heats up and cools down.
        dwell: it waits for ``S`` seconds and ``P`` milliseconds.
        emergency: it stops the machine.
        urgent: an emergency parser acts on it while another command runs.
        blocked: why it is in the default of ``printers.blocked``.
        refused: why it is refused unless ``printers.allowed`` names it: the numbers of
            later lines would mean something else, or a protection would be off.
        must: letters of which it must have one, because the firmware would take a
            number of its own, or that of another line; groups that it must have one of
            each are separated by commas.
        pairs: letters that must not be without another one, for the same reason.
        bare: without letters it does nothing but report.
        uncovered: it moves something, or runs lines, that no limit covers; only with
            other letters than those of ``harmless``, if it has any.
        harmless: with no other letters than these it is not refused; ``None``: it is
            refused with any and without.

    """

    name: str
    does: str
    argument: Argument = Argument.LETTERS
    quoted: str = ""
    heats: tuple[tuple[str, str], ...] = ()
    target: bool = False
    selector: Selector | None = None
    lists: bool = False
    tool: str = ""
    preset: str = ""
    moves: Moves = Moves.NO
    sets: Sets = Sets.NOTHING
    job: PrintAction = PrintAction.NOTHING
    reads: bool = False
    interval: bool = False
    asks: bool = False
    answers: bool = False
    long: bool = False
    cools: bool = False
    cycles: str = ""
    dwell: bool = False
    emergency: bool = False
    urgent: bool = False
    blocked: str = ""
    refused: str = ""
    must: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    bare: bool = False
    uncovered: bool = False
    harmless: frozenset[str] | None = None

    is_move: bool = field(init=False, compare=False)
    """Whether its letters X, Y, Z, E and F are a move."""

    def __post_init__(self) -> None:
        is_move = self.moves is Moves.STRAIGHT or self.moves is Moves.ARC
        object.__setattr__(self, "is_move", is_move)

    @property
    def waits_for_target(self) -> bool:
        """Whether it sets a target and waits until that is reached."""
        return self.target and self.long

    @property
    def starts_print(self) -> bool:
        """Whether a print from the SD card runs once it is acknowledged."""
        return self.job in _STARTS


_STARTS = {PrintAction.START, PrintAction.OPEN, PrintAction.RESUME}


class TextStyle(Enum):
    """How a text must be written so that a family finds no code in it."""

    VERBATIM = "as it is"
    LOWER = "in lower case"
    QUOTED = "in double quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """How a family reads a line, and so how a line must be written for it.

    Attributes:
        documents: where its codes are documented.
        names: it has extended commands (``NAME KEY=VALUE``).
        quotes: any letter may have a text in double quotes.
        lists: a letter may have several numbers, ``E420:420``.
        style: how texts are written.
        replaced: characters that must not be in a text, with their replacements.
        tools: tool codes that are not numbers.
        highest: the highest number of a code that its table lacks, because it keeps
            only so many bits of it and would read another code.

    """

    documents: str
    names: bool = False
    quotes: bool = False
    lists: bool = False
    style: TextStyle = TextStyle.VERBATIM
    replaced: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    highest: int = 9999


_REPRAP = "https://reprap.org/wiki/G-code"
_SEARCHES = (("^", "'"), (":", "."))
"""Marlin 1 and its forks search every text: a colon ends the line, and Prusa's firmware
looks for ``^``."""

SYNTAXES: Mapping[str, Syntax] = {
    # Shows the text of M117 and similar codes as it is, but searches every line for
    # M110; docs/gcode.md describes what was observed.
    "marlin": Syntax(
        documents="https://marlinfw.org/meta/gcode/",
        replaced=(("M110", "m110"),),
        tools=("T?", "Tx", "Tc"),
    ),
    # Searches the line for the letters G, M and T in this order, in upper case. A colon
    # ends the line, and E, INF and NAN are read as parts of a number.
    "marlin1": Syntax(documents=_REPRAP, style=TextStyle.LOWER, replaced=_SEARCHES),
    # Like Marlin 1, of which it is a fork; it also finds M117, PRUSA and ^ anywhere in
    # a line.
    "prusa": Syntax(
        documents="https://help.prusa3d.com/article/prusa-firmware-specific-g-code-commands_112173",
        style=TextStyle.LOWER,
        replaced=_SEARCHES,
        tools=("T?", "Tx", "Tc"),
    ),
    # Skips N and what follows it, splits at letters, and has commands with names.
    "klipper": Syntax(documents="https://www.klipper3d.org/G-Codes.html", names=True),
    # Several commands may follow each other in one line; texts in double quotes.
    "reprapfirmware": Syntax(
        documents="https://docs.duet3d.com/User_manual/Reference/Gcodes",
        quotes=True,
        lists=True,
        style=TextStyle.QUOTED,
        tools=("T-1",),
    ),
    # Reads letters in either case wherever they are; G and M may be in one line; ( and
    # % begin a comment.
    "repetier": Syntax(
        documents="https://www.repetier.com/documentation/repetier-firmware/gcodes/"
    ),
    # Splits a line before every G and M; a line in lower case goes to its shell.
    "smoothieware": Syntax(
        documents="https://smoothieware.github.io/Webif-pack/documentation/web/html/supported-g-codes.html",
        style=TextStyle.LOWER,
    ),
    # Reads letters in either case wherever they are, and keeps 8 bits of a number.
    "teacup": Syntax(
        documents="https://reprap.org/wiki/Teacup_Firmware",
        style=TextStyle.LOWER,
        highest=255,
    ),
    "malyan": Syntax(
        documents="https://www.mpselectmini.com/g_code_commands",
        style=TextStyle.LOWER,
        replaced=_SEARCHES,
    ),
    UNKNOWN: Syntax(
        documents=_REPRAP,
        style=TextStyle.LOWER,
        replaced=(*_SEARCHES, ('"', "'")),
        highest=999,
    ),
}
"""By family; the names are those of :data:`bridge.gcode.dialects.DIALECTS`."""


def lookup(code: str, family: str) -> Code | None:
    """Return what a code does in a family; ``None`` if its table lacks it.

    Args:
        code: as :class:`bridge.gcode.line.Line` has it: ``M104``, ``G92.1``, ``T0``.
        family: the name of a dialect. In :data:`UNKNOWN` are the codes of all, each
            with everything that it does in any of them.

    A sub-code that has no row does what its code does: some firmwares drop it.

    """
    table = tables()[family]
    row = table.get(code)
    if row is not None:
        return row
    if code[:1] == "T" and not code[1:2].isalpha() and code[1:2] != "_":
        return table.get("T")
    return table.get(code.partition(".")[0])


_FAMILIES = {
    "m": "marlin",
    "1": "marlin1",
    "p": "prusa",
    "k": "klipper",
    "d": "reprapfirmware",
    "r": "repetier",
    "s": "smoothieware",
    "t": "teacup",
    "y": "malyan",
}


_EAGER = ("marlin", "marlin1", "prusa", "reprapfirmware", "repetier", "smoothieware")
"""Families of which one may be behind an unknown name, and which find letters or codes
wherever they are in a line; Klipper splits only the beginning from the rest."""


@cache
def tables() -> Mapping[str, Mapping[str, Code]]:
    """Return the codes of each family by name."""
    found: dict[str, dict[str, Code]] = {family: {} for family in SYNTAXES}
    for families, row in rows():
        for family in families:
            found[family][row.name] = row
    for name, same in _by_name(found).items():
        # A row that several families share is there several times.
        merged = _merged({id(row): row for row in same}.values())
        found[UNKNOWN][name] = _row_of_unknown(merged, found)
    return found


def _row_of_unknown(row: Code, found: Mapping[str, Mapping[str, Code]]) -> Code:
    """Return the row for a firmware that is not known, which may be any of them."""
    takes = [
        found[family][row.name].argument
        for family in _EAGER
        if row.name in found[family]
    ]
    if len(takes) < len(_EAGER) or len(set(takes)) > 1:
        # Some family would find letters, and so other codes, in the text.
        row = replace(row, argument=Argument.LETTERS)
    if row.sets is Sets.FAN:
        # Only Teacup's further fans may be heaters, and slicers use those of others.
        row = replace(row, refused="", uncovered=True)
    return replace(row, quoted="")


def _by_name(found: Mapping[str, Mapping[str, Code]]) -> Mapping[str, list[Code]]:
    """Return the rows of all families by code, without those of names alone."""
    everything: dict[str, list[Code]] = {}
    for family, table in found.items():
        for name, row in table.items():
            if not SYNTAXES[family].names or row.argument is not Argument.NAMES:
                everything.setdefault(name, []).append(row)
    return everything


def rows() -> Iterator[tuple[tuple[str, ...], Code]]:
    """Yield the rows of the table, each with its families."""
    for table, argument in ((CODES, Argument.LETTERS), (NAMES, Argument.NAMES)):
        for text in table.strip().split("\n"):
            letters, names, facts, does = (part.strip() for part in text.split("|"))
            who = tuple(
                family
                for letter, family in _FAMILIES.items()
                if letters == "all" or letter in letters
            )
            fields: dict[str, Any] = {"does": does, "argument": argument}
            for fact in facts.split():
                name, given, value = fact.partition("=")
                fields |= _given(name, value) if given else _named(name)
            for code in names.split():
                yield who, Code(code, **fields)


def _named(fact: str) -> dict[str, Any]:
    for name, members in _ENUMERATIONS:
        if fact.upper() in members.__members__:
            return {name: members[fact.upper()]}
    return {fact: True}


def _given(name: str, value: str) -> dict[str, Any]:
    if name == "heats":
        pairs = [pair.split(":") for pair in value.split(",")]
        return {name: tuple((letter, heater) for letter, heater in pairs)}
    if name == "pairs":
        return {name: tuple((pair[0], pair[2]) for pair in value.split(","))}
    if name == "by":
        letter, numbers, other = value.split(":")
        special = [pair.split("=") for pair in numbers.split(",") if pair]
        heaters = tuple((int(number), heater) for number, heater in special)
        return {"selector": Selector(letter, heaters, other)}
    if name == "harmless":
        return {name: frozenset(value)}
    if name in {"blocked", "refused"}:
        return {name: REASONS[value]}
    return {name: value}


_ENUMERATIONS: tuple[tuple[str, type[Enum]], ...] = (
    ("argument", Argument),
    ("moves", Moves),
    ("sets", Sets),
    ("job", PrintAction),
)


def _merged(rows: Iterable[Code]) -> Code:
    """Return a row that does all that any of these does."""
    first, *others = rows
    for other in others:
        first = replace(
            first,
            heats=tuple(dict.fromkeys(first.heats + other.heats)),
            selector=_of_selectors(first.selector, other.selector),
            preset=first.preset or other.preset,
            tool=first.tool or other.tool,
            must=first.must or other.must,
            pairs=first.pairs or other.pairs,
            bare=first.bare and other.bare,
            uncovered=first.uncovered or other.uncovered,
            moves=first.moves if first.moves is not Moves.NO else other.moves,
            reads=first.reads and other.reads,
            long=first.long or other.long,
            refused=first.refused or other.refused,
            harmless=_of_both(first, other),
        )
    return first


def _of_selectors(one: Selector | None, other: Selector | None) -> Selector | None:
    """Return what chooses the heater in families of which one has no such letter.

    A line without the letter means the same for both; with it, that is not clear.
    """
    if one == other:
        return one
    if one is not None and other is not None:
        return _ANY
    return replace(_ANY, letter=(one or other or _ANY).letter)


def _of_both(one: Code, other: Code) -> frozenset[str] | None:
    """Return the letters that are harmless in both of two rows."""
    given = [row.harmless for row in (one, other) if row.refused]
    if not given or None in given:
        return None
    return frozenset.intersection(
        *(letters for letters in given if letters is not None)
    )


_ANY = Selector("", (), other="any")
