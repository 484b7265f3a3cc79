"""What is written about the commands is what the models check."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bridge import topics
from bridge.commands import Command, RequestError, Response, parse
from bridge.commands.documentation import (
    EXAMPLE,
    REFERENCE,
    Published,
    document,
    markdown,
    response_schema,
    schemas,
)
from bridge.commands.envelope import Origin, Outcome
from bridge.commands.registry import COMMANDS
from tests.support.documents import ROOT
from tests.support.json_schema import fits

PAYLOADS: list[tuple[str, dict[str, Any]]] = [
    ("head", {"command": "jog", "x": 1}),
    ("head", {"command": "jog", "x": 1, "y": 2, "speed": False, "absolute": True}),
    ("head", {"command": "jog", "x": 1, "speed": None, "id": "a", "ttl": 5}),
    ("head", {"command": "jog"}),
    ("head", {"command": "jog", "x": "1"}),
    ("head", {"command": "jog", "x": True}),
    ("head", {"command": "jog", "x": None}),
    ("head", {"command": "jog", "x": 1, "speed": 0}),
    ("head", {"command": "jog", "x": 1, "e": 0}),
    ("head", {"command": "home", "axes": "xy"}),
    ("head", {"command": "home", "axes": "xe"}),
    ("head", {"command": "home", "axes": ["e"]}),
    ("head", {"command": "home"}),
    ("head", {"command": "feedrate", "factor": 105}),
    ("head", {"command": "feedrate", "factor": 0}),
    ("head", {"command": "feedrate", "factor": 1001}),
    ("tool", {"command": "target", "targets": {"tool": 5, "tool1": 6}}),
    ("tool", {"command": "target", "targets": {"bed": 5}}),
    ("tool", {"command": "target", "targets": {"tool0": -5}}),
    ("tool", {"command": "offset", "offsets": {"tool0": -50}}),
    ("tool", {"command": "offset", "offsets": {"tool": -50}}),
    ("tool", {"command": "select", "tool": "tool1"}),
    ("tool", {"command": "select", "tool": "tool"}),
    ("bed", {"command": "target", "target": -1}),
    ("request/state", {"exclude": "sd", "limit": 5}),
    ("request/state", {"exclude": ["sd", "state"]}),
    ("request/state", {"exclude": ["foo"]}),
    ("request/state", {"limit": 0}),
    ("request/ping", {"limit": 1}),
]


def understood(topic: str, payload: dict[str, Any]) -> bool:
    try:
        parse(topic, json.dumps(payload).encode())
    except RequestError:
        return False
    return True


@pytest.mark.parametrize(("topic", "payload"), PAYLOADS)
def test_schema_and_parser_agree(topic: str, payload: dict[str, Any]) -> None:
    name = payload.get("command", topic.removeprefix("request/"))
    schema = schemas()[topic][name]
    assert fits(payload, schema) == understood(topic, payload)


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda c: f"{c.topic}-{c.name}")
def test_every_payload_has_a_schema(kind: type[Command]) -> None:
    schema = schemas()[kind.topic][kind.name]
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["description"]
    for field in schema.get("properties", {}).values():
        assert "const" in field or field["description"]
    for example in schema.get("examples", []):
        assert fits(example, schema)


def test_a_response_fits_its_schema() -> None:
    response = Response.to(Origin("head", "a", "jog"), Outcome(["G28"]), 0.0)
    schema = schemas()["response"]
    assert fits(json.loads(response.model_dump_json()), schema)
    assert not fits({"topic": "head"}, schema)


STATE_SCHEMA = {
    "$ref": REFERENCE.format(model="State"),
    "$defs": {"State": {"type": "object"}},
}
OUT = [
    Published(topics.STATE, STATE_SCHEMA),
    Published(topics.HEATER, {"type": "object"}),
    Published(topics.RESPONSE, response_schema()),
]


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_the_asyncapi_document_is_whole() -> None:
    api = document("1.2.3", OUT)
    assert (api["asyncapi"], api["info"]["version"]) == ("3.0.0", "1.2.3")
    assert {operation["action"] for operation in api["operations"].values()} == {
        "receive",
        "send",
    }
    assert len(api["components"]["messages"]) == len(COMMANDS) + 3
    for reference in references(api):
        at: Any = api
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]
    assert json.loads(json.dumps(api)) == api


def test_the_asyncapi_document_tells_where_and_how() -> None:
    api = document("1", OUT)
    assert api["channels"]["request.state"]["address"] == "{base}/request/state"
    heater = api["channels"]["temperature.heater"]
    assert heater["address"] == "{base}/temperature/{heater}"
    assert set(heater["parameters"]) == {"base", "heater"}
    mqtt = api["operations"]["publish.temperature.heater"]["bindings"]["mqtt"]
    assert (mqtt["qos"], mqtt["retain"]) == (0, True)
    mqtt = api["operations"]["publish.response"]["bindings"]["mqtt"]
    assert (mqtt["qos"], mqtt["retain"]) == (1, False)
    for topic in ("head", "request.state"):
        mqtt = api["operations"][topic]["bindings"]["mqtt"]
        assert (mqtt["qos"], mqtt["retain"]) == (1, False)


def test_the_document_is_written_from_the_code() -> None:
    assert (ROOT / "docs/commands.md").read_text() == markdown()


ROW = re.compile(r"^\| `(\{.*\})` \| (.*) \|$")


def test_every_payload_in_the_document_gives_the_gcode_beside_it() -> None:
    topic = ""
    rows = 0
    for line in (ROOT / "docs/commands.md").read_text().splitlines():
        if line.startswith("## `"):
            topic = line.removeprefix("## ").strip("`")
        if row := ROW.match(line):
            rows += 1
            command = parse(topic, row[1].encode()).command
            gcode = re.findall("`([^`]*)`", row[2])
            assert list(command.program(EXAMPLE).gcode) == gcode
    assert rows >= len(COMMANDS)
