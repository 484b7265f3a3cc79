"""The whole interface as one AsyncAPI 3 document."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.commands.base import Command
from bridge.commands.registry import TOPICS
from bridge.commands.schema import (
    Schema,
    examples,
    payload_schema,
    summary,
)
from bridge.topics import Topic, received

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
