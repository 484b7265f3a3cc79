"""The documentation of the commands: JSON Schema, AsyncAPI, and docs/commands.md."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from bridge.commands.base import Command, Context, Question
from bridge.commands.emergency import EmergencyStop
from bridge.commands.envelope import Envelope, Response
from bridge.commands.registry import COMMANDS, TOPICS
from bridge.commands.scripts import Scripts
from bridge.config import Preset, Profile
from bridge.schema_words import SchemaWords
from bridge.topics import Topic, received

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = {
    *("head", "tool", "bed", "chamber", "fan", "light", "display", "script"),
    *("sd", "job", "files", "queue", "link"),
}


class _Generator(GenerateJsonSchema):
    """Omits ``null`` if it only means that a field may be absent."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        if result.get("default", result) is None:
            del result["default"]
        return result

    def field_title_should_be_set(self, _schema: object) -> bool:
        return False


def is_named(kind: type[Command]) -> bool:
    """Return whether the payload has the command's name in the field ``command``."""
    return kind.topic in _NAMED


def payload_schema(kind: type[Command]) -> Schema:
    """Return the JSON Schema of a command's payload, including the common fields."""
    schema: Schema = {
        "title": f"{kind.topic} {kind.name}",
        "description": summary(kind),
        "type": "object",
    }
    if kind is EmergencyStop:
        return schema | {
            "type": ["object", "array", "string", "number", "boolean", "null"]
        }
    own, around = _model(kind), _model(Envelope)
    named: Schema = {"command": {"const": kind.name}} if is_named(kind) else {}
    required = [*named, *own.get("required", [])]
    schema["properties"] = {
        **named,
        **own.get("properties", {}),
        **around["properties"],
    }
    if required:
        schema["required"] = required
    if "anyOf" in own:
        schema["anyOf"] = own["anyOf"]
    schema["additionalProperties"] = False
    schema["examples"] = examples(kind)
    return schema


def examples(kind: type[Command]) -> list[dict[str, object]]:
    """Return complete example payloads."""
    named = {"command": kind.name} if is_named(kind) else {}
    return [{**named, **example} for example in kind.examples or ({},)]


def summary(kind: type[Command]) -> str:
    """Return a command's description on one line."""
    return " ".join((kind.__doc__ or "").split())


def response_schema() -> Schema:
    """Return the JSON Schema of the response to a message."""
    schema = _model(Response)
    # Optional when a response is made, but always present when it is sent.
    schema["required"] += ["gcode", "output", "duration"]
    return {**schema, "title": "response"}


def schemas() -> Schema:
    """Return the JSON Schema of each payload by ``topic`` and then by command."""
    payloads: dict[str, dict[str, Schema]] = {}
    for kind in COMMANDS:
        schema = {"$schema": _DIALECT, **payload_schema(kind)}
        payloads.setdefault(kind.topic, {})[kind.name] = schema
    response = {"$schema": _DIALECT, **response_schema()}
    return {**payloads, "response": response}


def envelope_schema() -> Schema:
    """Return the JSON Schema of the fields that every command may have."""
    return _model(Envelope)


def _model(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema(schema_generator=_Generator)
    for field in schema.get("properties", {}).values():
        field["description"] = " ".join(field["description"].split())
    return schema


REFERENCE = "#/components/schemas/{model}"
"""How the schemas of published documents must name their parts (``ref_template``)."""

_PARAMETERS = {
    "base": {
        "description": "The printer's topic; several printers have printers/<id> each.",
        "default": "printer",
    },
    "heater": {"description": "tool0, tool1, …, bed or chamber."},
}
_BINDING = "0.2.0"


@dataclass(frozen=True, slots=True)
class Published:
    """A topic on which the bridge publishes.

    Attributes:
        row: its row in the table of topics.
        schema: of its payload; parts of it in ``$defs``, named as in ``REFERENCE``.

    """

    row: Topic
    schema: Mapping[str, Any]


def document(version: str, published: Iterable[Published]) -> Schema:
    """Return the interface of one printer.

    Args:
        version: the bridge's.
        published: the topics on which it publishes.

    """
    result: Schema = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "gcode2mqtt",
            "version": version,
            "description": "A 3D printer on a serial line, on MQTT.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {},
        "operations": {},
        "components": {"messages": {}, "schemas": {}},
    }
    for topic, kinds in TOPICS.items():
        _add_commands(result, topic, kinds)
    for outgoing in published:
        _add_published(result, outgoing)
    return result


def _add_commands(
    result: Schema, topic: str, kinds: Mapping[str, type[Command]]
) -> None:
    messages = {f"{_key(topic)}.{name}": kind for name, kind in kinds.items()}
    for name, kind in messages.items():
        result["components"]["messages"][name] = {
            "name": kind.name,
            "summary": summary(kind),
            "payload": payload_schema(kind),
            "examples": [{"payload": payload} for payload in examples(kind)],
        }
    row = received(topic)
    result["channels"][_key(topic)] = _channel(topic, row, messages)
    result["operations"][_key(topic)] = {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{_key(topic)}"},
        "reply": {"channel": {"$ref": "#/channels/response"}},
        "bindings": _bindings(row),
    }


def _add_published(result: Schema, outgoing: Published) -> None:
    row = outgoing.row
    name = _key(row.suffix)
    schema = dict(outgoing.schema)
    result["components"]["schemas"] |= schema.pop("$defs", {})
    result["components"]["messages"][name] = {
        "name": name,
        "summary": row.text,
        "payload": schema,
    }
    result["channels"][name] = _channel(row.suffix, row, [name])
    result["operations"][f"publish.{name}"] = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "bindings": _bindings(row),
    }


def _bindings(row: Topic) -> Schema:
    mqtt = {"qos": row.qos, "retain": row.retained, "bindingVersion": _BINDING}
    return {"mqtt": mqtt}


def _channel(topic: str, row: Topic, messages: Iterable[str]) -> Schema:
    address = f"{{base}}/{topic}"
    names = re.findall(r"\{(\w+)\}", address)
    return {
        "address": address,
        "description": row.text,
        "parameters": {name: _PARAMETERS[name] for name in names},
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"} for name in messages
        },
    }


def _key(topic: str) -> str:
    return re.sub(r"[{}]", "", topic).replace("/", ".")


_HEADING = """\
# Commands

Generated from the code by `scripts/documents`; do not edit.

Topics are below the printer's base topic, which is `printer`, or `printers/<id>` if
there are several printers. Payloads are JSON objects. Every message gets exactly one
response, on `<base>/response` or on its MQTT 5 response topic. The G-code shown is for
a Marlin printer with two extruders, a heated bed and a heated chamber, in the modes
that apply after a reset. In other modes, jog, home and extrude restore those modes.

If a response is larger than the broker accepts, `gcode`, `output` and `data` are left
out and a `warning` is added. If the bridge is not allowed to publish on the response
topic, it responds on `<base>/response`.

A message on a similar but wrong topic gets the error `unknown_topic`: a topic with a
level too many or too few (`bed/target`, `request`), and OctoPrint's names `printhead`
and `storage`. The bridge does not subscribe to any other topics below the base topic,
so other clients can use them.

Numbers must be JSON numbers: `true`, `"10"`, `NaN` and `null` are rejected, and so is
every field that is not listed. A value beyond the printer's limits is rejected, never
clamped.
"""
_CONDITIONS = {
    "needs_idle": "Rejected during a print, but accepted while it is paused.",
    "needs_no_print": "Rejected during a print, even while it is paused.",
    "needs_bed": "Rejected if the printer has no heated bed.",
    "needs_chamber": "Rejected if the printer has no heated chamber.",
    "needs_card": "Rejected while no SD card is mounted.",
    "needs_print": "Rejected unless a print is running or paused.",
    "needs_question": "Rejected unless the printer asks something.",
    "ends_wait": "Accepted whenever the printer waits for a person, even if it has not "
    "answered since the bridge connected.",
}
EXAMPLE = Context(
    profile=Profile(extruders=2, heated_chamber=True),
    file="CUBE~1.GCO",
    last_print=("card", "CUBE~1.GCO"),
    question=Question("Nozzle Parked", ("Continue",)),
    scripts=Scripts(
        {"preheat": "M140 S{{ parameters.bed or 60 }}\nM104 S200"}, offered=["preheat"]
    ),
    presets={"PLA": Preset(tool=215, bed=60)},
    capabilities=frozenset({"TOGGLE_LIGHTS"}),
)
"""The printer whose G-code the document shows."""
_WORDS = SchemaWords(
    literal=lambda value: f"`{json.dumps(value)}`",
    # A bar would end the cell of the table.
    pattern=lambda text: "`" + text.replace("|", "\\|") + "`",
)


def markdown() -> str:
    """Return the document."""
    parts = [_HEADING, "## Fields of every command\n", _fields(envelope_schema())]
    parts += ["## The response\n", _fields(response_schema())]
    for topic, kinds in TOPICS.items():
        right = next(iter(kinds.values())).tier
        parts.append(f"## `{topic}`\n\nRequires the right `{right}`.\n")
        parts += [_command(kind) for kind in kinds.values()]
    return "\n".join(parts)


def _command(kind: type[Command]) -> str:
    schema = payload_schema(kind)
    own = set(schema.get("properties", {})) - set(envelope_schema()["properties"])
    lines = [f"### {kind.name}\n", summary(kind), ""]
    lines += _rules(kind)
    if own:
        lines.append(_fields(schema, sorted(own, key=list(schema["properties"]).index)))
    lines += ["| payload | G-code |", "|---|---|"]
    lines += [_example(kind, payload) for payload in examples(kind)]
    return "\n".join([*lines, ""])


def _rules(kind: type[Command]) -> list[str]:
    rules = [text for name, text in _CONDITIONS.items() if getattr(kind, name)]
    if not kind.needs_operational:
        rules.append("Accepted even while the printer is not connected.")
    return [*rules, ""] if rules else []


def _example(kind: type[Command], payload: Mapping[str, object]) -> str:
    own = {key: value for key, value in payload.items() if key in kind.model_fields}
    lines = kind.model_validate(own).program(EXAMPLE).gcode
    gcode = " ".join(f"`{line}`" for line in lines) or "none"
    return f"| `{json.dumps(payload, ensure_ascii=False)}` | {gcode} |"


def _fields(schema: Schema, names: Iterable[str] | None = None) -> str:
    properties = schema["properties"]
    required = schema.get("required", [])
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name in names if names is not None else properties:
        field = properties[name]
        needed = ", required" if name in required else ""
        text = field.get("description", "The command's name.")
        if "default" in field:
            text += f" Default: `{json.dumps(field['default'])}`."
        rows.append(f"| `{name}` | {_WORDS.of(field)}{needed} | {text} |")
    return "\n".join([*rows, ""])
