"""The tables of the entities of what a printer can turn on: heaters, fans, the light.

The temperature sensors, the display and the presets are here as well.

The target temperature is a ``number``. A thermostat (``climate``) could be included by
accident: an action on all climate devices of an area, or a voice command, must not heat
a printer's bed. So the thermostat is disabled until the user enables it, and even then
the mode "heat" alone heats nothing: only a temperature does.
"""

import json
import re
from collections.abc import Iterator, Mapping

from bridge.home_assistant.control_entities import button, unique_keys
from bridge.home_assistant.entities import Device, Entity, Fields, read, send

OFF = "Off"
"""The option of the presets that turns all heaters off."""

_CLOSE = 0.5  # °C within which a target is that of a preset
_CELSIUS: Fields = {"device_class": "temperature", "unit_of_measurement": "°C"}
_NAMES = {"bed": "Bed", "chamber": "Chamber"}
_DEFAULT_MAXIMUM = 300.0
_IDLE = 1  # °C below the target from which on a heater counts as idle, not heating


def heat(device: Device) -> Iterator[Entity]:
    """Yield the entities of each heater and of each other temperature."""
    for heater in device.heaters:
        yield _temperature(device, heater)
        yield _target(device, heater)
        yield _thermostat(device, heater)
    for sensor in device.sensors:
        yield _sensor(device, sensor)


def _name(device: Device, heater: str) -> str:
    if heater in _NAMES:
        return _NAMES[heater]
    tools = [name for name in device.heaters if name.startswith("tool")]
    return "Nozzle" if len(tools) == 1 else f"Nozzle {heater.removeprefix('tool')}"


def _icon(heater: str) -> str:
    return "mdi:printer-3d-nozzle" if heater.startswith("tool") else "mdi:radiator"


def _maximum(device: Device, heater: str) -> float:
    kind = "tool" if heater.startswith("tool") else heater
    return device.max_temperature.get(kind, _DEFAULT_MAXIMUM)


def _value(heater: str, field: str) -> str:
    return f"(value_json.get('{heater}') or {{}}).get('{field}')"


def _temperature(device: Device, heater: str) -> Entity:
    return Entity(
        key=f"{heater}_temperature",
        platform="sensor",
        name=f"{_name(device, heater)} temperature",
        fields=_CELSIUS
        | {"state_class": "measurement", "suggested_display_precision": 1}
        | {"expire_after": device.lifetime}
        | read(device.topics.temperature, _value(heater, "actual")),
    )


def _target(device: Device, heater: str) -> Entity:
    maximum = _maximum(device, heater)
    # Home Assistant logs an error for a state that is outside of min and max, such as
    # a target that was set at the printer.
    bounded = (
        f"{{% set it = {_value(heater, 'target')} %}}"
        f"{{{{ it if it is number and 0 <= it <= {maximum:g} else none }}}}"
    )
    return Entity(
        key=f"{heater}_target",
        platform="number",
        name=f"{_name(device, heater)} target",
        tier="control",
        fields=_CELSIUS
        | {"min": 0, "max": maximum, "step": 1, "mode": "box", "icon": _icon(heater)}
        | {"state_topic": device.topics.temperature, "value_template": bounded}
        | {
            "command_topic": _topic(device, heater),
            "command_template": _command(heater, "{{ value }}"),
        },
    )


def _thermostat(device: Device, heater: str) -> Entity:
    topic = device.topics.temperature
    actual, target = _value(heater, "actual"), _value(heater, "target")
    mode = f"'heat' if {target} else 'off'"
    heating = f"'heating' if ({actual} or 0) < {target} - {_IDLE} else 'idle'"
    return Entity(
        key=f"{heater}_thermostat",
        platform="climate",
        name=_name(device, heater),
        tier="control",
        fields={
            "enabled_by_default": False,
            "icon": _icon(heater),
            "temperature_unit": "C",
            "min_temp": 0,
            "max_temp": _maximum(device, heater),
            "temp_step": 1,
            "precision": 1.0,
            "modes": ["off", "heat"],
            "current_temperature_topic": topic,
            "current_temperature_template": f"{{{{ {actual} }}}}",
            "temperature_state_topic": topic,
            "temperature_state_template": f"{{{{ {target} }}}}",
            "mode_state_topic": topic,
            "mode_state_template": f"{{{{ {mode} }}}}",
            "action_topic": topic,
            "action_template": f"{{{{ ({heating}) if {target} else 'off' }}}}",
            "temperature_command_topic": _topic(device, heater),
            "temperature_command_template": _command(heater, "{{ value }}"),
            "mode_command_topic": _topic(device, heater),
            "mode_command_template": _off(heater),
            **_presets(device, heater),
        },
    )


def _presets(device: Device, heater: str) -> Fields:
    """Return the thermostat's presets: the temperature of this heater in each."""
    kind = "tool" if heater.startswith("tool") else heater
    known = {
        name: temperatures[kind]
        for name, temperatures in device.presets.items()
        if kind in temperatures
    }
    if not known:
        return {}
    table = json.dumps(known)
    target = f"({_value(heater, 'target')} or 0)"
    setting = f"{{'targets': {{'{heater}': it}}}}"
    if not heater.startswith("tool"):
        setting = "{'target': it}"
    return {
        "preset_modes": list(known),
        "preset_mode_state_topic": device.topics.temperature,
        "preset_mode_value_template": f"{{{{ {table}.items()"
        f" | selectattr(1, 'eq', {target}) | map(attribute=0) | first"
        " | default('None') }}",
        "preset_mode_command_topic": _topic(device, heater),
        # Without a preset nothing changes, so nothing is sent to the printer.
        "preset_mode_command_template": f"{{% set it = {table}.get(value, 0) %}}"
        f"{{{{ dict(dict({{'command': 'target'}}, **{setting}),"
        f" **({{}} if value in {table} else {{'dry_run': true}})) | tojson }}}}",
    }


def _topic(device: Device, heater: str) -> str:
    level = "tool" if heater.startswith("tool") else heater
    return f"{device.topics.base}/{level}"


def _command(heater: str, value: str) -> str:
    if heater.startswith("tool"):
        return f'{{"command": "target", "targets": {{"{heater}": {value}}}}}'
    return f'{{"command": "target", "target": {value}}}'


def _off(heater: str) -> str:
    """Return the template for a mode: ``off`` is sent, ``heat`` only as a dry run."""
    command = json.loads(_command(heater, "0"))
    asked = {**command, "dry_run": True}
    return f"{{{{ ({command} if value == 'off' else {asked}) | tojson }}}}"


def _sensor(device: Device, sensor: str) -> Entity:
    place = f"(value_json.get('sensors') or {{}}).get({sensor!r})"
    return Entity(
        key=f"sensor_{re.sub(r'[^a-z0-9]+', '_', sensor.lower()).strip('_')}",
        platform="sensor",
        name=f"{sensor} temperature",
        fields=_CELSIUS
        | {"state_class": "measurement", "suggested_display_precision": 1}
        | {"expire_after": device.lifetime, "entity_category": "diagnostic"}
        | read(device.topics.temperature, place),
    )


def outputs(device: Device) -> Iterator[Entity]:
    """Yield the entities of what the printer has besides heaters and motors."""
    yield _fan(device, "part_fan", "Part fan", None)
    for fan, name in device.fans.items():
        yield _fan(device, f"fan_{fan.lower()}", name, fan)
    if device.light is not None:
        yield _light(device, device.light)
    yield _display(device)
    if device.presets:
        yield from _preset_choice(device)


def _fan(device: Device, key: str, name: str, fan: str | None) -> Entity:
    """Return a fan; turned on without a speed, it runs at full speed."""
    topic = f"{device.topics.base}/fan"
    which = {} if fan is None else {"fan": fan}
    speed = f"value_json.fans.get('{fan}')" if fan else "value_json.fan"
    about = f", {json.dumps(which)[1:-1]}" if which else ""
    switched = "'on'} if value == 'ON' else {'command': 'speed', 'percent': 0}"
    return Entity(
        key=key,
        platform="fan",
        name=name,
        tier="control",
        fields={
            "icon": "mdi:fan",
            "state_topic": device.topics.state,
            "state_value_template": f"{{% set it = {speed} %}}"
            "{{ 'None' if it is none else ('ON' if it > 0 else 'OFF') }}",
            "command_topic": topic,
            "payload_on": "ON",
            "payload_off": "OFF",
            "command_template": f"{{{{ dict({{'command': {switched},"
            f" **{json.dumps(which)}) | tojson }}}}",
            "percentage_state_topic": device.topics.state,
            "percentage_value_template": f"{{% set it = {speed} %}}"
            "{{ 'None' if it is none else (it | round(0) | int) }}",
            "percentage_command_topic": topic,
            "percentage_command_template": '{"command": "speed", "percent":'
            f" {{{{ value }}}}{about}}}",
        },
    )


def _light(device: Device, kind: str) -> Entity:
    turned_on = "{'command': 'set', 'on': true}"
    shown: Fields = {}
    if kind in {"dim", "color"}:
        dimmed = "{'brightness': (brightness / 2.55) | round(1)}"
        turned_on = (
            f"dict({turned_on}, **({dimmed} if brightness is defined else {{}}))"
        )
        shown["brightness_template"] = (
            "{% set it = (value_json.light or {}).get('brightness') %}"
            "{{ 255 if it is none else ((it * 2.55) | round(0) | int) }}"
        )
    if kind == "color":
        colored = "{'color': [red, green, blue]}"
        turned_on = f"dict({turned_on}, **({colored} if red is defined else {{}}))"
        for number, name in enumerate(("red", "green", "blue")):
            shown[f"{name}_template"] = (
                "{% set it = (value_json.light or {}).get('color') %}"
                f"{{{{ 255 if it is none else it[{number}] }}}}"
            )
    return Entity(
        key="light",
        platform="light",
        name="Light",
        tier="control",
        fields={
            "schema": "template",
            "command_topic": f"{device.topics.base}/light",
            "command_on_template": f"{{{{ {turned_on} | tojson }}}}",
            "command_off_template": '{"command": "set", "on": false}',
            "state_topic": device.topics.state,
            "state_template": "{% set it = value_json.light %}"
            "{{ 'None' if it is none else ('on' if it.on else 'off') }}",
        }
        | shown,
    )


def _display(device: Device) -> Entity:
    return Entity(
        key="display",
        platform="notify",
        name="Display",
        tier="control",
        fields={"icon": "mdi:message-text"}
        | send(
            f"{device.topics.base}/display",
            "{'command': 'show', 'text': value}",
        ),
    )


def _preset_choice(device: Device) -> Iterator[Entity]:
    """Yield the choice of a preset, and a button for each.

    It is chosen if each of its targets is set, with or without the heater's offset.
    """
    yield Entity(
        key="preset",
        platform="select",
        name="Temperature preset",
        when="move",
        tier="control",
        fields={"options": [*device.presets, OFF], "icon": "mdi:thermometer-lines"}
        | {
            "state_topic": device.topics.temperature,
            "value_template": _chosen(device),
        }
        | send(
            f"{device.topics.base}/tool",
            "{'command': 'cool_down'} if value == 'Off'"
            " else {'command': 'preset', 'preset': value}",
        ),
    )
    for key, name in unique_keys("preset", tuple(device.presets)).items():
        yield button(
            device,
            key,
            f"Preheat {name}",
            "thermometer-plus",
            sends=("tool", {"command": "preset", "preset": name}),
            when="move",
        )


def _chosen(device: Device) -> str:
    """Return the template that names the preset whose targets are set."""
    tools = [name for name in device.heaters if name.startswith("tool")]
    tests = [
        (name, " and ".join(_all_set(temperatures, tools)) or "false")
        for name, temperatures in device.presets.items()
    ]
    all_off = " and ".join(
        f"(value_json.get('{heater}') or {{}}).get('target') == 0"
        for heater in device.heaters
    )
    tests.append((OFF, all_off))
    lines = "".join(
        f"{{% {'if' if not number else 'elif'} {test} %}}{{{{ {json.dumps(name)} }}}}"
        for number, (name, test) in enumerate(tests)
    )
    return f"{lines}{{% else %}}{{{{ none }}}}{{% endif %}}"


def _all_set(temperatures: Mapping[str, float], tools: list[str]) -> Iterator[str]:
    for kind, celsius in temperatures.items():
        heaters = tools if kind == "tool" else [kind]
        yield f"({' or '.join(_is_set(heater, celsius) for heater in heaters)})"


def _is_set(heater: str, celsius: float) -> str:
    entry = f"(value_json.get('{heater}') or {{}})"
    target = f"(({entry}.get('target') or 0) - {celsius:g})"
    offset = f"({entry}.get('offset') or 0)"
    return f"({target} | abs < {_CLOSE} or ({target} - {offset}) | abs < {_CLOSE})"
