"""The tables in ``docs/gcode.md`` of what is understood, from the parser's rules."""

from collections.abc import Iterator

from bridge.gcode import reply_types
from bridge.gcode.dialects import DIALECTS, MARLIN
from bridge.gcode.firmware_errors import FAILURES, FATAL_REASONS, HEATER_FAULTS
from bridge.gcode.reply_parser import ECHOED, RULES, Rule, parse_reply

BEGIN, END = "<!-- what is understood -->", "<!-- end -->"
"""The lines of the document between which the table stands."""

_HEAD = """
| phrase | meaning | families | source |
|---|---|---|---|
"""
_REPORTS = (
    ("T:53.6 /100.0 B:19.4 /0.0 @:36 B@:0 W:?", "", "tests/transcripts"),
    ("ok N5 P7 B15 T:153.4 /0.0 B:60.4 /65.0", "malyan", "public logs"),
    ("T:inf /200.0 @255 B:60.0 /60.0 @0", "", "public logs"),
    (" ==T:195.00 /195.00 ==B:45.33 /50.00", "marlin", "public logs"),
    ("T:20.0 /0.0 B:20.0 /0.0 P:25.0 A:23.8", "prusa", "docs/adr/0015-quirks.md"),
    ("X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", "", "tests/transcripts"),
)
"""Lines that begin with no word of their own, each with its families and source."""

_ANY = "all"


def table() -> str:
    """Return the table, one row for each phrase, in the order of the phrases."""
    rows = sorted({*_rules(), *_reports()})
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def words() -> str:
    """Return the lists of words that mark a halt, a failure and a heater's fault."""
    lists = (
        ("A halt, in an error", FATAL_REASONS),
        ("A failed operation, which halts nothing", FAILURES),
        ("A heater's fault, at the beginning", HEATER_FAULTS),
    )
    parts = ["", "| words | what they mark | `reason` |", "|---|---|---|"]
    for what, marks in lists:
        for mark, word in marks.items():
            parts.append(f"| `{_plain(mark)}` | {what} | `{word}` |")
    return "\n".join(parts) + "\n"


def inserted(document: str) -> str:
    """Return a document with the tables between its marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}{words()}\n{END}{after}"


def _plain(mark: str) -> str:
    return mark.replace("\\", "").replace("|", "\\|")


def _rules() -> Iterator[tuple[str, ...]]:
    for rules in (ECHOED, *RULES.values()):
        for rule in rules:
            yield _row(rule)


def _row(rule: Rule) -> tuple[str, ...]:
    dialect = next((DIALECTS[n] for n in rule.families if n in DIALECTS), MARLIN)
    meanings = [_meaning(reply) for reply in parse_reply(rule.example, dialect)]
    families = ", ".join(rule.families) or _ANY
    return _cell(rule.example), " ".join(meanings), families, rule.source


def _reports() -> Iterator[tuple[str, ...]]:
    for text, family, source in _REPORTS:
        dialect = DIALECTS.get(family, MARLIN)
        meanings = [_meaning(reply) for reply in parse_reply(text, dialect)]
        yield _cell(text), " ".join(meanings), family or _ANY, source


def _meaning(reply: reply_types.Reply) -> str:
    return (type(reply).__doc__ or "").partition("\n")[0].replace("``", "`")


def _cell(text: str) -> str:
    return f"`{text.strip()}`".replace("|", "\\|")
