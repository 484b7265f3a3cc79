"""JSON Schemas of all payloads, generated from the models that validate them."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from bridge.commands.base import Command
from bridge.commands.emergency import EmergencyStop
from bridge.commands.envelope import Envelope, Response
from bridge.commands.registry import COMMANDS

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
