"""What the payload of each topic is, and ``docs/topics.md``."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bridge import topics
from bridge.commands.asyncapi import REFERENCE, Published
from bridge.commands.schema import response_schema
from bridge.files.documents import FilesState
from bridge.jobs.documents import QueueState
from bridge.printer.published import about, documents
from bridge.schema_words import SchemaWords
from bridge.topics import PUBLISHED, RECEIVED, Topic

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
value that is not known is `null`, never 0. Commands and responses are described in
[commands.md](commands.md).
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


def markdown() -> str:
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
