"""What we ship for Home Assistant and Node-RED fits what the bridge does."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from bridge.commands import parse
from bridge.home_assistant.discovery import discovery, entities
from bridge.home_assistant.entities import Device, PrintableFile
from bridge.topics import Topics

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
BLUEPRINTS = sorted((DEPLOY / "home-assistant" / "blueprints").glob("*.yaml"))
TOPICS = Topics("printer")
PRINTER = Device(
    id="printer",
    name="Ender 3",
    topics=TOPICS,
    version="1",
    heaters=("tool0", "bed", "chamber"),
    light="case",
    babysteps=1.0,
    presets={"PLA": {"tool": 205}},
    files=(PrintableFile("a.gco", "card", "A.GCO"),),
    thumbnail=True,
)
RAW = "https://github.com/gcode2mqtt/gcode2mqtt/blob/main/deploy/home-assistant/blueprints"


class Loader(yaml.SafeLoader):
    """Home Assistant's YAML, as far as blueprints go."""


Loader.add_constructor("!input", lambda _loader, node: f"!{node.value}")


def test_the_dashboard_shows_entities_that_there_are() -> None:
    text = (DEPLOY / "home-assistant" / "dashboard.yaml").read_text()
    assert yaml.safe_load(text)["views"]
    shown = set(re.findall(r"\b[a-z_]+\.printer_\w+", text))
    enabled = {
        f"{entity.platform}.printer_{entity.key}"
        for entity in entities(PRINTER)
        if entity.fields.get("enabled_by_default", True)
    }
    assert shown <= enabled
    assert len(shown) > 25


def test_the_manual_names_every_entity_as_home_assistant_does() -> None:
    """Apart from those of which there is one for each heater, preset or answer."""
    text = (DEPLOY.parent / "docs" / "home-assistant.md").read_text()
    many = re.compile(r"(.* (temperature|target)|Preheat .*|Answer \d)")
    named = [
        str(entity.name)
        for entity in entities(PRINTER)
        if entity.fields.get("enabled_by_default", True)
        and not many.fullmatch(str(entity.name))
    ]
    assert len(named) > 60
    assert [name for name in named if f"*{name}*" not in text] == []


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_uses_all_that_it_asks_for(path: Path) -> None:
    document = yaml.load(path.read_text(), Loader)  # noqa: S506 - a safe loader
    asked = set(document["blueprint"]["input"])
    assert set(re.findall(r"!input (\w+)", path.read_text())) == asked
    about = document["blueprint"]
    assert about["domain"] == "automation"
    assert about["source_url"] == f"{RAW}/{path.name}"
    assert {"author", "homeassistant", "description"} <= set(about)
    link = quote(about["source_url"], safe="")
    assert link in (DEPLOY.parent / "docs" / "home-assistant.md").read_text()
    assert document["triggers"]
    assert document["actions"]


def flow() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads(
        (DEPLOY / "node-red" / "flow.json").read_text()
    )
    return nodes


def test_the_flow_hears_what_the_bridge_says() -> None:
    heard = {node["topic"] for node in flow() if node["type"] == "mqtt in"}
    answers = {"reply/node-red/position"}
    assert heard - answers <= set(TOPICS.table().values())
    assert "printer/temperature" in heard


def test_the_flow_sends_what_the_bridge_understands() -> None:
    """The targets are tested in the browser; this is what is written down."""
    sent = [
        (node["topic"], node["payload"])
        for node in flow()
        if node["type"] == "ui-button" and node["topic"]
    ]
    call = re.compile(r"topic: ['\"](\w+)['\"], payload: (\{(?:command: [^}]*)?\})")
    for node in flow():
        code = node.get("format", "") + node.get("func", "")
        for topic, payload in call.findall(code):
            quoted = re.sub(
                r"(\w+):", r'"\1":', payload.replace("choice: n", "choice: 0")
            )
            sent.append((topic, quoted.replace("'", '"')))
    for topic, payload in sent:
        assert topic == "emergency" or parse(topic, payload.encode()).command
    assert len(sent) > 14
    assert {topic for topic, _ in sent} == {"head", "tool", "job", "link", "emergency"}


def test_the_flow_is_wired_to_nodes_that_there_are() -> None:
    known = {node["id"] for node in flow()}
    for node in flow():
        assert {target for wire in node.get("wires", ()) for target in wire} <= known
        for reference in ("group", "page", "ui", "theme", "broker"):
            if str(node.get(reference, "")).startswith("g2m-"):
                assert node[reference] in known


def test_the_documents_name_the_topic_of_the_announcement() -> None:
    assert discovery(PRINTER)["origin"] == {"name": "gcode2mqtt", "sw_version": "1"}
    text = (DEPLOY.parent / "docs" / "home-assistant.md").read_text()
    assert "homeassistant/device/+/config" in text
