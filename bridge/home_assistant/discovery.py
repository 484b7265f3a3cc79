"""A printer as a device that Home Assistant finds by itself.

One retained message describes the device with all its entities ("device discovery").
At its root Home Assistant takes only the keys that are used here: any other, also the
``~`` of a single component, makes it refuse the whole device.
"""

import json
import re
from collections.abc import Iterator

from bridge.home_assistant.control_entities import controls
from bridge.home_assistant.entities import (
    LONGEST,
    Device,
    Entity,
    Fields,
    availability,
)
from bridge.home_assistant.heater_entities import heat
from bridge.home_assistant.status_entities import status

Payload = dict[str, object]

EVENTS = (
    "connected",
    "disconnected",
    "printer_reset",
    "home",
    "tool_change",
    "print_started",
    "print_paused",
    "print_resumed",
    "print_done",
    "print_cancelled",
    "print_failed",
    "filament_runout",
    "waiting_for_user",
    "heaters_idle",
    "heaters_off",
    "heaters_stay_on",
    "error",
    "complaint",
)
"""Those that the event entity shows; positions come too often to be one each."""

TRIGGERS = tuple(name for name in EVENTS if name not in {"home", "tool_change"})
"""Those that an automation can begin with, by the device."""


def device_id(printer: str) -> str:
    """Return what identifies a printer's device; from its id in the configuration."""
    return f"gcode2mqtt_{printer}"


def config_topic(prefix: str, printer: str) -> str:
    """Return the topic on which a printer's device is announced.

    Args:
        prefix: Home Assistant's discovery prefix.
        printer: the printer's id.

    """
    return f"{prefix}/device/{device_id(printer)}/config"


def discovery(device: Device) -> Payload:
    """Return what announces a printer with all its entities."""
    topics = device.topics
    known = {
        "name": device.name,
        "model": device.model,
        "sw_version": device.firmware,
    }
    about = {name: value[:LONGEST] for name, value in known.items() if value}
    return {
        "device": {"identifiers": [device_id(device.id)], **about},
        "origin": {"name": "gcode2mqtt", "sw_version": device.version},
        "availability": [{"topic": topics.availability}, {"topic": topics.connection}],
        "availability_mode": "all",
        "components": {
            **{entity.key: _component(device, entity) for entity in entities(device)},
            **dict(_triggers(device)),
        },
    }


def entities(device: Device) -> Iterator[Entity]:
    """Yield the entities of a printer that its bridge has the rights for."""
    for part in (status, heat, controls):
        for entity in part(device):
            if entity.tier is None or entity.tier in device.rights:
                yield entity
    yield _event(device)


def render(payload: Payload) -> bytes:
    """Return a payload as it is published."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _component(device: Device, entity: Entity) -> Fields:
    printer = re.sub(r"[^a-z0-9]+", "_", device.id).strip("_") or "printer"
    return {
        "platform": entity.platform,
        "unique_id": f"{device_id(device.id)}_{entity.key}",
        "default_entity_id": f"{entity.platform}.{printer}_{entity.key}",
        "name": entity.name,
        "qos": 1,
        **entity.fields,
        **availability(device.topics, entity),
    }


def _event(device: Device) -> Entity:
    # What is rendered empty is passed over: the others are of no interest here.
    template = (
        f"{{% if value_json.event in {list(EVENTS)} %}}"
        "{{ dict(value_json, event_type=value_json.event) | tojson }}{% endif %}"
    )
    return Entity(
        key="event",
        platform="event",
        name="Event",
        alone=True,
        fields={
            "event_types": list(EVENTS),
            "state_topic": device.topics.event,
            "value_template": template,
            "icon": "mdi:bell-outline",
        },
    )


def _triggers(device: Device) -> Iterator[tuple[str, Fields]]:
    for name in TRIGGERS:
        yield (
            f"trigger_{name}",
            {
                "platform": "device_automation",
                "automation_type": "trigger",
                "type": name,
                "subtype": "printer",
                "topic": device.topics.event,
                "payload": name,
                "value_template": "{{ value_json.event }}",
                "qos": 1,
            },
        )
