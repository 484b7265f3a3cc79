"""``docs/codes.md``, generated from the table of codes."""

from collections.abc import Iterator
from itertools import groupby

from bridge.gcode.codes import SYNTAXES, UNKNOWN, Argument, Code, Moves, rows

_HEADING = """\
# The codes that the bridge knows

Generated from the code by `scripts/documents`; do not edit.

What each code does, for the firmware families that have it. Limits, timeouts and the
published state follow this table; [gcode.md](gcode.md) says what becomes of other
codes. `blocked` codes are in the default of `printers.blocked`; `refused` ones are sent
only if `printers.allowed` names them, or with no other letters than those mentioned.

"""
_ALL = [family for family in SYNTAXES if family != UNKNOWN]


def markdown() -> str:
    """Return the document."""
    return _HEADING + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "| codes | firmware | what they do | |"
    yield "|---|---|---|---|"
    for (families, does, notes), same in groupby(rows(), _key):
        names = ", ".join(f"`{row.name}`" for _, row in same)
        firmware = "all" if len(families) == len(_ALL) else ", ".join(families)
        yield f"| {names} | {firmware} | {does} | {notes} |"
    yield ""
    yield "Where the facts come from:"
    yield ""
    for family in _ALL:
        yield f"* {family}: <{SYNTAXES[family].documents}>"


def _key(item: tuple[tuple[str, ...], Code]) -> tuple[tuple[str, ...], str, str]:
    families, row = item
    return families, row.does, "; ".join(_notes(row))


def _notes(row: Code) -> Iterator[str]:
    if row.heats:
        letters = ", ".join(f"`{letter}` {heater}" for letter, heater in row.heats)
        yield f"target temperatures: {letters}"
    if row.selector is not None:
        yield f"the heater by `{row.selector.letter}`"
    if row.moves is not Moves.NO:
        yield row.moves.value
    if row.argument not in {Argument.LETTERS, Argument.NAMES}:
        yield f"takes {row.argument.value}"
    if row.long:
        yield "may take minutes"
    if row.blocked:
        yield f"blocked: {row.blocked}"
    if row.refused:
        yield f"refused{_except(row)}: {row.refused}"


def _except(row: Code) -> str:
    if row.harmless is None:
        return ""
    letters = ", ".join(f"`{letter}`" for letter in sorted(row.harmless))
    return f" with other letters than {letters}" if letters else " with letters"
