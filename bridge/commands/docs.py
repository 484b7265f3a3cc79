"""``docs/commands.md``, from the models: what is written there is what is checked."""

import json
from collections.abc import Iterable, Mapping

from bridge.commands.base import Command, Context
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
from bridge.config import Profile
from bridge.schema_words import SchemaWords

_HEADING = """\
# Commands

Written from the code by `scripts/documents`; do not edit.

Topics are below the printer's base topic: `printer`, or `printers/<id>` where there are
several. Payloads are JSON objects. Each message gets exactly one response, on
`<base>/response` or on its MQTT 5 response topic. G-code is shown for a Marlin printer
with two extruders, a heated bed and a heated chamber, in its modes after a reset; jog,
home and extrude leave other modes as they found them.

A response that is larger than the broker takes comes without `gcode`, `output` and
`data`, and with a `warning`. One that the bridge may not publish on its response topic
comes on `<base>/response`.

What misses its topic is answered `unknown_topic`: a level too many or too few
(`bed/target`, `request`), and OctoPrint's names `printhead` and `storage`. The bridge
hears nothing of other topics below the base; they may be somebody else's.

Numbers are JSON numbers: `true`, `"10"`, `NaN` and `null` are refused, and so is every
field that is not listed. What is beyond the printer's limits is refused, never cut.
"""
_CONDITIONS = {
    "needs_idle": "refused while a print is under way, allowed while it is paused",
    "needs_no_print": "refused while a print is under way or paused",
    "needs_bed": "refused without a heated bed",
    "needs_chamber": "refused without a heated chamber",
    "needs_card": "refused while no SD card is mounted",
    "needs_print": "refused without a print, under way or paused",
    "needs_file": "refused while no file is selected",
}
_CONTEXT = Context(
    profile=Profile(extruders=2, heated_chamber=True),
    scripts=Scripts({"preheat": "M140 S{{ parameters.bed }}\nM104 S200"}),
)
_WORDS = SchemaWords(
    literal=lambda value: f"`{json.dumps(value)}`",
    pattern=lambda text: f"`{text}`",
)


def markdown() -> str:
    """Return the document."""
    parts = [_HEADING, "## Beside every command\n", _fields(envelope_schema())]
    parts += ["## The response\n", _fields(response_schema())]
    for topic, kinds in TOPICS.items():
        right = next(iter(kinds.values())).tier
        parts.append(f"## `{topic}`\n\nRight: `{right}`.\n")
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
        rules.append("works also while the printer is away")
    return [f"It is {rule}." if rule[0] == "r" else f"It {rule}." for rule in rules] + (
        [""] if rules else []
    )


def _example(kind: type[Command], payload: Mapping[str, object]) -> str:
    own = {key: value for key, value in payload.items() if key in kind.model_fields}
    lines = kind.model_validate(own).program(_CONTEXT).gcode
    gcode = " ".join(f"`{line}`" for line in lines) or "none"
    return f"| `{json.dumps(payload, ensure_ascii=False)}` | {gcode} |"


def _fields(schema: Schema, names: Iterable[str] | None = None) -> str:
    properties = schema["properties"]
    required = schema.get("required", [])
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name in names if names is not None else properties:
        field = properties[name]
        needed = ", required" if name in required else ""
        text = field.get("description", "Which command it is.")
        if "default" in field:
            text += f" Default: `{json.dumps(field['default'])}`."
        rows.append(f"| `{name}` | {_WORDS.of(field)}{needed} | {text} |")
    return "\n".join([*rows, ""])
