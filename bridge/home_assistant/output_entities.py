"""The table of the entities for fans, the light, the display, and presets."""

import json
from collections.abc import Iterator, Mapping

from bridge.home_assistant.control_entities import button, unique_keys
from bridge.home_assistant.entities import Device, Entity, Fields, send

OFF = "Off"
"""The option of the presets that turns all heaters off."""

_CLOSE = 0.5  # °C within which a target is that of a preset


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
