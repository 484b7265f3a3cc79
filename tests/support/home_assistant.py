"""How Home Assistant 2026.11 renders templates, and which fields its platforms accept.

Read in its schemas: what is not listed there is dropped without a word, so that a slip
in a name would do nothing forever.
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

Json = dict[str, Any]

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined)

ROOT_REQUIRED = {"device", "origin", "components"}
ROOT = ROOT_REQUIRED | {"availability", "availability_mode", "qos", "encoding"}
DEVICE = {
    *("identifiers", "name", "manufacturer", "model", "serial_number", "sw_version"),
    "suggested_area",
}
ORIGIN = {"name", "sw_version"}

_ENTITY = {
    *("platform", "unique_id", "default_entity_id", "name", "qos", "icon"),
    *("availability", "availability_mode", "entity_category", "enabled_by_default"),
    *("json_attributes_topic", "json_attributes_template"),
}
_STATE = {"state_topic", "value_template"}
_COMMAND = {"command_topic", "command_template"}
_UNIT = {"unit_of_measurement", "device_class"}
FIELDS: Mapping[str, set[str]] = {
    "sensor": _ENTITY
    | _STATE
    | _UNIT
    | {"state_class", "options", "expire_after", "suggested_display_precision"},
    "binary_sensor": _ENTITY | _STATE | {"device_class", "payload_on", "payload_off"},
    "number": _ENTITY | _STATE | _COMMAND | _UNIT | {"min", "max", "step", "mode"},
    "button": _ENTITY | {"command_topic", "payload_press", "device_class"},
    "select": _ENTITY | _STATE | _COMMAND | {"options"},
    "notify": _ENTITY | _COMMAND,
    "image": _ENTITY | {"image_topic", "content_type"},
    "fan": _ENTITY
    | {"state_topic", "state_value_template", "payload_on", "payload_off"}
    | _COMMAND
    | {"percentage_state_topic", "percentage_value_template"}
    | {"percentage_command_topic", "percentage_command_template"},
    "light": _ENTITY
    | {"schema", "state_topic", "state_template", "brightness_template"}
    | {"red_template", "green_template", "blue_template"}
    | {"command_topic", "command_on_template", "command_off_template"},
    "event": _ENTITY | _STATE | {"event_types"},
    "climate": _ENTITY
    | {"temperature_unit", "min_temp", "max_temp", "temp_step", "precision", "modes"}
    | {"current_temperature_topic", "current_temperature_template"}
    | {"temperature_state_topic", "temperature_state_template"}
    | {"mode_state_topic", "mode_state_template", "action_topic", "action_template"}
    | {"temperature_command_topic", "temperature_command_template"}
    | {"mode_command_topic", "mode_command_template"}
    | {"preset_modes", "preset_mode_state_topic", "preset_mode_value_template"}
    | {"preset_mode_command_topic", "preset_mode_command_template"},
    "device_automation": {
        *("platform", "automation_type", "type", "subtype", "topic", "payload"),
        *("value_template", "qos"),
    },
}
REQUIRED: Mapping[str, set[str]] = {
    "sensor": _STATE,
    "binary_sensor": {"state_topic"},
    "number": _STATE | _COMMAND,
    "button": {"command_topic", "payload_press"},
    "select": _STATE | _COMMAND | {"options"},
    "notify": {"command_topic"},
    "image": {"image_topic"},
    "fan": {"command_topic"},
    "light": {"command_topic", "command_on_template", "command_off_template"},
    "event": {"state_topic", "event_types"},
    "climate": {"temperature_unit", "min_temp", "max_temp", "modes"},
    "device_automation": {"automation_type", "type", "subtype", "topic", "payload"},
}


def rendered(template: str, value: object = None, **variables: object) -> str:
    """Return the payload that a command template renders for a value."""
    compiled = _ENVIRONMENT.from_string(template)
    return str(compiled.render(value=value, **variables))


def shown(template: str, document: object) -> str:
    """Return what a value template renders; undefined names are errors."""
    return str(_ENVIRONMENT.from_string(template).render(value_json=document))
