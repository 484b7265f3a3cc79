"""Every topic on which the bridge publishes, and the model of what travels there."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bridge.commands.asyncapi import REFERENCE, Published
from bridge.printer.published import about, documents
from bridge.schema_words import SchemaWords

_SCHEMA_WORDS = SchemaWords(
    literal=lambda value: f"`{value}`",
    reference=lambda name: f"[{name}](#{name.lower()})",
)
_WORDS = {"type": "string", "enum": ["online", "offline"]}

_HEADING = """\
# What the bridge publishes

Written from the code by `scripts/documents`; do not edit.

Topics below the printer's own, which is `printer` by default and `printers/<id>` where
there are several. Retained ones greet everybody who subscribes later. What is not known
is `null`, never 0. Commands and responses: [commands.md](commands.md).
"""


def published() -> list[Published]:
    """Return all topics out, except the responses, which belong to the commands."""
    return [
        Published(
            "availability",
            "The bridge: online, or offline; the last will says that too.",
            _WORDS,
        ),
        Published("connection", "The printer on its line: online, or offline.", _WORDS),
        _document("state", "What the printer is doing.", documents.State),
        _document("temperature", "All heaters.", documents.Temperatures, qos=0),
        _document("temperature/{heater}", "One heater.", documents.TimedHeater, qos=0),
        _document("sd/files", "The files on the SD card.", documents.Files),
        _document("job/state", "The print, whoever started it.", documents.Job),
        _document(
            "error", "What went wrong, until it is acknowledged.", documents.Error
        ),
        _document("info", "Versions, capabilities and limits.", about.Info),
        _document(
            "health",
            "Counters and round trips, with each heartbeat and on new connections.",
            about.Health,
            qos=0,
        ),
        _document("event", "What happened just now.", documents.Event, retained=False),
        Published(
            "console",
            "The wire, line by line, for those who switch it on.",
            {"type": "string"},
            retained=False,
            qos=0,
        ),
    ]


def topics() -> str:
    """Return the document of all topics out, in Markdown."""
    parts = [_HEADING, "| topic | retained | QoS | what it says |", "|---|---|---|---|"]
    for topic in published():
        kept = "yes" if topic.retained else "no"
        parts.append(f"| `{topic.topic}` | {kept} | {topic.qos} | {topic.summary} |")
    for topic in published():
        if "properties" in topic.schema:
            inner = topic.schema.get("$defs", {})
            parts += ["", f"## `{topic.topic}`", "", *_fields(topic.schema, inner)]
            for name, part in inner.items():
                parts += ["", f"### {name}", "", _words(part), ""]
                parts += _fields(part, inner)
    parts += ["", "| event | what it says |", "|---|---|"]
    parts += [f"| `{name}` | {text} |" for name, text in documents.EVENTS.items()]
    return "\n".join(parts) + "\n"


def _document(
    topic: str,
    summary: str,
    model: type[BaseModel],
    *,
    retained: bool = True,
    qos: int = 1,
) -> Published:
    schema = model.model_json_schema(ref_template=REFERENCE, mode="serialization")
    return Published(topic, summary, schema, retained=retained, qos=qos)


def _fields(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> list[str]:
    rows = ["| field | value | meaning |", "|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        # A field that is described as its model is has the description there only.
        meaning = _words(field) or _words(parts.get(_name(field), {}))
        rows.append(f"| `{name}` | {_SCHEMA_WORDS.of(field)} | {meaning} |")
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        rows.append(f"| … | {_SCHEMA_WORDS.of(more)} | {_words(more)} |")
    return rows


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _words(schema: Mapping[str, Any]) -> str:
    return " ".join(schema.get("description", "").split())
