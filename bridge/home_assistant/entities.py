"""What an entity of Home Assistant consists of, and when it is available.

Device discovery has these rules (Home Assistant 2026.11,
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery): a component's own
``availability`` replaces the device's, ``qos`` is not inherited from the device, and a
template that renders ``None`` makes the value unknown.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.topics import Topics

LONGEST = 255
"""Characters of a state; Home Assistant shows a longer one as unknown."""

Fields = dict[str, object]
"""Part of a component: any JSON, by the full names of the fields (not abbreviated)."""


@dataclass(frozen=True, slots=True)
class PrintableFile:
    """A file that can be chosen.

    Attributes:
        label: what people read; different for each file.
        origin: where it is, as ``job`` ``select`` names it.
        path: its path there.

    """

    label: str
    origin: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What the discovery message of a printer is made from.

    Attributes:
        id: the printer's id in the configuration; part of all entity ids.
        name: its name for people.
        topics: its topics.
        version: the bridge's version.
        heaters: their names: ``tool0`` …, ``bed``, ``chamber``.
        sensors: names of other temperatures, as the firmware reports them.
        tools: how many tools can be selected.
        fans: names of the fans besides part cooling, by their ids.
        light: what the light can do: ``switch``, ``dim`` or ``color``; ``None``: there
            is none.
        babysteps: the largest sum of babysteps in mm; 0: the firmware has none.
        presets: temperatures in °C by ``tool``, ``bed`` and ``chamber``, by the
            preset's name.
        files: the files that can be printed.
        thumbnail: thumbnails of the file in print are published.
        max_temperature: the highest target in °C, by ``tool``, ``bed``, ``chamber``.
        rights: the tiers of commands that the bridge allows.
        lifetime: seconds without a report after which a temperature is unavailable.
        scripts: names of the scripts that become buttons, and whether each of them
            would disturb a print.
        firmware: its name and version, if known.
        model: what the machine is called, if known.
        manufacturer: who made it, if known.
        serial_number: its serial number, if known.
        area: the area that is suggested for it.

    """

    id: str
    name: str
    topics: Topics
    version: str
    heaters: tuple[str, ...]
    sensors: tuple[str, ...] = ()
    tools: int = 1
    fans: Mapping[str, str] = field(default_factory=dict)
    light: str | None = None
    babysteps: float = 0.0
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    files: tuple[PrintableFile, ...] = ()
    thumbnail: bool = False
    max_temperature: Mapping[str, float] = field(default_factory=dict)
    rights: frozenset[str] = frozenset({"read", "safe", "control", "raw"})
    lifetime: int = 180
    scripts: Mapping[str, bool] = field(default_factory=dict)
    firmware: str | None = None
    model: str | None = None
    manufacturer: str | None = None
    serial_number: str | None = None
    area: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One component of the device.

    Attributes:
        key: the end of the unique id and of the entity id; must never change.
        platform: Home Assistant's domain, such as ``sensor``.
        name: its name for people, without the device's name.
        fields: further fields, which depend on the platform.
        alone: available whenever the bridge is, even without a printer.
        when: a field of ``can`` in ``state`` that must be true for it to be available.
        provided: the same as an expression on ``state``.
        tier: the right that its commands need; ``None``: it sends no commands.

    """

    key: str
    platform: str
    name: str
    fields: Fields
    alone: bool = False
    when: str | None = None
    provided: str | None = None
    tier: str | None = None


def availability(topics: Topics, entity: Entity) -> Fields:
    """Return a component's availability; empty if it is the same as the device's."""
    bridge = {"topic": topics.availability}
    condition = f"value_json.can.{entity.when}" if entity.when else entity.provided
    if condition is None and entity.alone:
        return {"availability": [bridge], "availability_mode": "all"}
    if condition is None:
        return {}
    template = f"{{{{ 'online' if {condition} else 'offline' }}}}"
    able = {"topic": topics.state, "value_template": template}
    printer = [] if entity.alone else [{"topic": topics.connection}]
    return {"availability": [bridge, *printer, able], "availability_mode": "all"}


def read(topic: str, expression: str) -> Fields:
    """Return the fields of a state that is an expression on the topic's JSON."""
    return {"state_topic": topic, "value_template": f"{{{{ {expression} }}}}"}


def flag(topic: str, condition: str) -> Fields:
    """Return the fields of an on/off state; it is unknown if the condition is none."""
    template = (
        f"{{% set it = {condition} %}}"
        "{{ none if it is none else ('ON' if it else 'OFF') }}"
    )
    return {"state_topic": topic, "value_template": template}


def press(topic: str, payload: Mapping[str, object]) -> Fields:
    """Return the fields of a button that sends a payload."""
    return {"command_topic": topic, "payload_press": json.dumps(payload)}


def send(topic: str, payload: str) -> Fields:
    """Return the fields of a control whose value becomes a JSON document.

    Args:
        topic: where it is sent.
        payload: a Jinja expression of ``value``.

    """
    template = f"{{{{ ({payload}) | tojson }}}}"
    return {"command_topic": topic, "command_template": template}


def cut(expression: str) -> str:
    """Return an expression that shortens a text to a state's length; empty is none."""
    return f"({expression})[:{LONGEST}] if ({expression}) else none"
