"""``docs/commands.md``, generated from the models that validate the payloads."""

import json
from collections.abc import Iterable, Mapping

from bridge.commands.base import Command, Context, Question
from bridge.commands.registry import TOPICS
from bridge.commands.schema import (
    Schema,
    envelope_schema,
    examples,
    payload_schema,
    response_schema,
    summary,
)
from bridge.commands.scripts import Scripts
from bridge.config import Preset, Profile
from bridge.schema_words import SchemaWords

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
