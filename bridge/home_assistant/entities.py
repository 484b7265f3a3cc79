"""What one entity of Home Assistant is made of, and how it comes to be available.

The rules of device discovery are those of Home Assistant 2026.11: a component's own
``availability`` takes the place of the device's, ``qos`` is not inherited, and a
template that renders ``None`` makes the value unknown.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.topics import Topics

LONGEST = 255
"""Characters; Home Assistant takes a longer state for unknown."""

Fields = dict[str, object]
"""Part of a component: anything that JSON has, by full names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What has to be known of a printer to describe it.

    Attributes:
        id: the printer's id in the configuration; it names device and entities.
        name: what people call it.
        topics: where it is on the broker.
        version: the bridge's.
        heaters: by name: ``tool0`` …, ``bed``, ``chamber``.
        sensors: other temperatures, under the firmware's names.
        tools: how many there are to select from.
        max_temperature: the highest target in °C, by ``tool``, ``bed``, ``chamber``.
        rights: the tiers that the bridge serves.
        lifetime: seconds after which a temperature that was not repeated is old.
        scripts: names of scripts that become buttons.
        firmware: its name and version, where they are known.
        model: what the firmware calls the machine.

    """

    id: str
    name: str
    topics: Topics
    version: str
    heaters: tuple[str, ...]
    sensors: tuple[str, ...] = ()
    tools: int = 1
    max_temperature: Mapping[str, float] = field(default_factory=dict)
    rights: frozenset[str] = frozenset({"read", "safe", "control", "raw"})
    lifetime: int = 180
    scripts: tuple[str, ...] = ()
    firmware: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One component of the device.

    Attributes:
        key: stable; the end of the unique id and of the entity id.
        platform: Home Assistant's domain, such as ``sensor``.
        name: what people read, without the device's name.
        fields: what its platform takes beside that, by its full names.
        alone: available as long as the bridge is, also without a printer.
        when: a field of ``can`` in ``state`` that must be true for it to be available.
        tier: the right that its commands need; ``None``: it sends none.

    """

    key: str
    platform: str
    name: str
    fields: Fields
    alone: bool = False
    when: str | None = None
    tier: str | None = None


def availability(topics: Topics, entity: Entity) -> Fields:
    """Return what a component says of its availability; none: it is the device's."""
    bridge = {"topic": topics.availability}
    if entity.alone:
        return {"availability": [bridge], "availability_mode": "all"}
    if entity.when is None:
        return {}
    template = f"{{{{ 'online' if value_json.can.{entity.when} else 'offline' }}}}"
    able = {"topic": topics.state, "value_template": template}
    three = [bridge, {"topic": topics.connection}, able]
    return {"availability": three, "availability_mode": "all"}


def read(topic: str, expression: str) -> Fields:
    """Return where a state comes from: an expression on the topic's JSON."""
    return {"state_topic": topic, "value_template": f"{{{{ {expression} }}}}"}


def flag(topic: str, condition: str) -> Fields:
    """Return where an on or off comes from; the condition may also be none."""
    template = (
        f"{{% set it = {condition} %}}"
        "{{ none if it is none else ('ON' if it else 'OFF') }}"
    )
    return {"state_topic": topic, "value_template": template}


def press(topic: str, payload: Mapping[str, object]) -> Fields:
    """Return what a button sends."""
    return {"command_topic": topic, "payload_press": json.dumps(payload)}


def cut(expression: str) -> str:
    """Return an expression for a text that fits into a state, or for none."""
    return f"({expression})[:{LONGEST}] if ({expression}) else none"
