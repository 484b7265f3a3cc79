"""The documentation that is generated from tables of several parts."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from pydantic import BaseModel

from bridge import topics
from bridge.commands.documentation import REFERENCE, Published, response_schema
from bridge.files.documents import FilesState
from bridge.gcode import reply_types
from bridge.gcode.codes import SYNTAXES, UNKNOWN, Argument, Code, Moves, rows
from bridge.gcode.dialects import DIALECTS, MARLIN
from bridge.gcode.firmware_errors import FAILURES, FATAL_REASONS, HEATER_FAULTS, SOURCES
from bridge.gcode.reply_parser import ECHOED, RULES, Rule, parse_reply
from bridge.jobs.queue import (
    QueueState,
)
from bridge.printer.knowledge.print_table import PHASES, TABLE, Transition
from bridge.printer.published import about, documents
from bridge.schema_words import SchemaWords
from bridge.topics import PUBLISHED, RECEIVED, Topic

_CODES_HEADING = """\
# The codes that the bridge knows

Generated from the code by `scripts/documents`; do not edit.

What each code does, for the firmware families that have it. Limits, timeouts and the
published state follow this table; [gcode.md](gcode.md) says what becomes of other
codes. `blocked` codes are in the default of `printers.blocked`; `refused` ones are sent
only if `printers.allowed` names them, or with no other letters than those mentioned.

"""
_ALL = [family for family in SYNTAXES if family != UNKNOWN]


def codes_markdown() -> str:
    """Return the document."""
    return _CODES_HEADING + "\n".join(_lines()) + "\n"


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


BEGIN, END = "<!-- what is understood -->", "<!-- end -->"
"""The lines of the document between which the table stands."""

_HEAD = """
| phrase | meaning | families | source |
|---|---|---|---|
"""
_LOGS = "tests/transcripts/reports"
_REPORTS = (
    ("T:53.6 /100.0 B:19.4 /0.0 @:36 B@:0 W:?", "", "tests/transcripts"),
    (
        "ok N5 P7 B15 T:153.4 /0.0 B:60.4 /65.0",
        "malyan",
        f"{_LOGS}/octoprint-malyan.log",
    ),
    ("T:inf /200.0 @255 B:60.0 /60.0 @0", "", f"{_LOGS}/bare-numbered.log"),
    (
        "==T:195.00 /195.00 ==B:45.33 /50.00",
        "marlin",
        "https://github.com/OctoPrint/OctoPrint/issues/2918",
    ),
    (
        "T0:210.9 /210 B0:59.9 /60 B1:36.4 /0 M:44.3 /0",
        "marlin",
        "https://github.com/OctoPrint/OctoPrint/issues/4746",
    ),
    (
        "T:220.1 /220.0 @:104 @0:127 @1:10N2ok N238 P1 B3",
        "marlin",
        "https://github.com/MarlinFirmware/Marlin/issues/9658",
    ),
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
    parts = [
        "",
        "| words | what they mark | `reason` | families | source |",
        "|---|---|---|---|---|",
    ]
    for what, marks in lists:
        for mark, word in marks.items():
            families, source = SOURCES[mark]
            known = ", ".join(families.split())
            row = (f"`{_plain(mark)}`", what, f"`{word}`", known, source)
            parts.append(f"| {' | '.join(row)} |")
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


_PRINTS_HEADING = """\
# How the bridge follows a print

Written from the code by `scripts/documents`; do not edit.

A print from the card may be started, paused and cancelled at the printer's own panel,
and most firmwares report none of that. The bridge queries the byte counter every
second and infers the rest. `bridge/printer/knowledge/print_table.py` is a table: the
phase and what was observed give the next phase, the events that are published, and how
the print ended. What is not in the table changes nothing.

* No events are published for a print whose beginning was not seen: after a restart of
  the bridge there is no second `print_started`, and each `print_started` has exactly
  one end.
* When the link is lost, a print keeps its phase but is no longer confirmed. If the
  printer is back and prints, it continues, and the time counts. If the printer reports
  three times that it is not printing, the print has `failed` with the reason
  `connection_lost`, at the time at which it was last seen. If all of the file had been
  read by then, it is `done`. The same applies to a print during which the bridge was
  restarted: it keeps the print in its state folder.
* Klipper stops at the first line of a file that it refuses. The print has failed
  (`file_error`) if the byte counter no longer advances.
* A firmware that restarts while it is connected ends the print at once
  (`printer_reset`).
* A failed print stays on `error` (`consequence`: `print_failed`), and `attention`
  stays `error`, until somebody acknowledges it or the next print begins. This does not
  apply after an emergency stop, because somebody has requested that.
* A print that waits for a heater is `heating` in `job/state`. Nothing is estimated
  from that time, and there is no time left until several estimates agree.
* Old versions of Marlin report a paused print as not printing. That counts only if the
  same firmware reported the byte counter during the same pause, no longer has a file
  open (`M27 C`), or was disconnected.

## The phases

```mermaid
stateDiagram-v2
    [*] --> idle"""

_HEARD = """\
```

`asked_…`: a line was sent. `announced_…`: a line or host action of it. `rose`,
`stood`: the byte counter, `_again`: twice in a row, `_still`: three times in a row,
`reads_on`: five times in a row. `denied`: `Not SD printing`, `_for_good`: three times
in a row. `ended_unseen`: the same after the link was lost. `short_print`: the end of
a print that began and ended between two polls.

## Every transition

| phase | what was observed | next phase | events | outcome |
|---|---|---|---|---|"""


def prints_markdown() -> str:
    """Return ``docs/prints.md``."""
    return "\n".join([_PRINTS_HEADING, *_arrows(), _HEARD, *_rows()]) + "\n"


def _arrows() -> Iterator[str]:
    labels: dict[tuple[str, str], list[str]] = {}
    for (phase, observed), transition in TABLE.items():
        labels.setdefault((phase, transition.to), []).append(observed)
    for (start, end), words in labels.items():
        yield f"    {start} --> {end}: {', '.join(words)}"


def _rows() -> Iterator[str]:
    for phase in PHASES:
        for (start, observed), transition in TABLE.items():
            if start == phase:
                yield f"| {phase} | `{observed}` | {_next(transition)} |"


def _next(transition: Transition) -> str:
    events = ", ".join(f"`{name}`" for name in transition.events)
    reason = f" (`{transition.reason}`)" if transition.reason else ""
    return f"{transition.to} | {events} | {transition.outcome or ''}{reason}"


MODELS: Mapping[Topic, type[BaseModel]] = {
    topics.STATE: documents.State,
    topics.TEMPERATURE: documents.Temperatures,
    topics.HEATER: documents.TimedHeater,
    topics.SD_FILES: documents.CardFiles,
    topics.JOB_STATE: documents.Job,
    topics.JOB_RESULT: documents.JobResult,
    topics.QUEUE_STATE: QueueState,
    topics.TOTALS: documents.TotalsDocument,
    topics.FILES_STATE: FilesState,
    topics.ERROR: documents.Error,
    topics.INFO: about.Info,
    topics.HEALTH: about.Health,
    topics.EVENT: documents.Event,
}
"""The models of the payloads that are JSON documents, except for responses."""

_TEXTS: Mapping[Topic, Mapping[str, Any]] = {
    topics.AVAILABILITY: {"type": "string", "enum": ["online", "offline"]},
    topics.CONNECTION: {"type": "string", "enum": ["online", "offline"]},
    topics.CONSOLE: {"type": "string"},
    topics.THUMBNAIL: {"type": "string", "contentMediaType": "image/png"},
}
"""The schemas of the payloads that are plain text and no JSON."""

_SCHEMA_WORDS = SchemaWords(
    literal=lambda value: f"`{value}`",
    reference=lambda name: f"[{name}](#{name.lower()})",
)

_HEADING = """\
# What the bridge publishes

Written from the code by `scripts/documents`; do not edit.

Topics are below the printer's base topic: `printer` by default, and `printers/<id>` if
there are several printers. Retained messages are delivered to every new subscriber. A
value that is not known is `null`, never 0, and one that was not read for three
intervals is not known ([ADR 60](adr/0060-a-value-without-a-reading-is-not-known.md)).
Commands and responses are described in [commands.md](commands.md).
"""

_RECEIVED = """\

## What the bridge receives

QoS is the highest at which messages are received. A retained command is refused,
because every start of the bridge would repeat it; an emergency stop is carried out, and
cleared.

| topic | QoS | what it is for |
|---|---|---|"""


def published() -> list[Published]:
    """Return the schemas of all topics on which the bridge publishes."""
    return [Published(row, schema_of(row)) for row in PUBLISHED]


def schema_of(row: Topic) -> Mapping[str, Any]:
    """Return the JSON schema of a topic's payload; parts of it are in ``$defs``."""
    if row is topics.RESPONSE:
        return response_schema()
    if row in _TEXTS:
        return _TEXTS[row]
    return MODELS[row].model_json_schema(ref_template=REFERENCE, mode="serialization")


def topics_markdown() -> str:
    """Return ``docs/topics.md``."""
    parts = [_HEADING, "| topic | retained | QoS | what it says |", "|---|---|---|---|"]
    for row in PUBLISHED:
        kept = "yes" if row.retained else "no"
        parts.append(f"| `{row.suffix}` | {kept} | {row.qos} | {row.text} |")
    described: set[str] = set()
    for row in MODELS:
        parts += _section(row, described)
    parts += ["", "| event | what it says |", "|---|---|"]
    parts += [f"| `{name}` | {text} |" for name, text in documents.EVENTS.items()]
    parts.append(_RECEIVED)
    parts += [f"| `{row.suffix}` | {row.qos} | {row.text} |" for row in RECEIVED]
    return "\n".join(parts) + "\n"


def _section(row: Topic, described: set[str]) -> list[str]:
    schema = schema_of(row)
    inner = schema.get("$defs", {})
    lines = ["", f"## `{row.suffix}`", ""]
    if "properties" in schema:
        lines += _fields(schema, inner)
    else:
        words = _SCHEMA_WORDS.of(schema)
        lines.append(f"{words[0].upper()}{words[1:]}.")
    for name in [name for name in inner if name not in described]:
        described.add(name)
        lines += ["", f"### {name}", "", _words(inner[name]), ""]
        lines += _fields(inner[name], inner)
    return lines


def _fields(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> list[str]:
    rows = ["| field | value | meaning |", "|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        # A field that is described as its model is has the description there only.
        meaning = _words(field) or _words(parts.get(_name(field), {}))
        rows.append(f"| `{name}` | {_SCHEMA_WORDS.of(field)} | {meaning} |")
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        meaning = _words(more) or _words(parts.get(_name(more), {}))
        rows.append(f"| … | {_SCHEMA_WORDS.of(more)} | {meaning} |")
    return rows


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _words(schema: Mapping[str, Any]) -> str:
    return " ".join(schema.get("description", "").split())
