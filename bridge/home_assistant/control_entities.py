"""The table of the entities that send commands to the printer.

The payload of a button is a complete JSON document; the payload of a number, select or
text is a template that renders to one. Tests render them all and parse the result with
the bridge's own parser.
"""

import re
from collections.abc import Iterator, Mapping

from bridge.home_assistant.entities import Device, Entity, Fields, press, read

_CONFIG: Fields = {"entity_category": "config"}
_LARGEST_FACTOR = 1000  # percent; the limit of `feedrate` and `flowrate`
_LONGEST_MESSAGE = 60  # characters; the displays of printers show fewer
_BUTTONS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "pause": ("job", {"command": "pause"}),
    "resume": ("job", {"command": "resume"}),
    "cancel": ("job", {"command": "cancel"}),
    "start": ("job", {"command": "start"}),
    "home": ("head", {"command": "home", "axes": ["x", "y", "z"]}),
    "motors_off": ("head", {"command": "motors_off"}),
    "cool_down": ("tool", {"command": "cool_down"}),
}


def controls(device: Device) -> Iterator[Entity]:
    """Yield the entities that send commands."""
    yield from _job(device)
    yield from _printer(device)
    yield from _factors(device)
    yield from _bridge(device)
    yield from _raw(device)
    if device.tools > 1:
        yield _tool(device)


def _button(
    device: Device, key: str, name: str, icon: str, when: str | None = None
) -> Entity:
    topic, payload = _BUTTONS[key]
    return Entity(
        key=key,
        platform="button",
        name=name,
        when=when,
        tier="control",
        fields=press(f"{device.topics.base}/{topic}", payload)
        | {"icon": f"mdi:{icon}"},
    )


def _job(device: Device) -> Iterator[Entity]:
    yield _button(device, "pause", "Pause", "pause", when="pause")
    yield _button(device, "resume", "Resume", "play", when="resume")
    yield _button(device, "cancel", "Cancel print", "stop", when="cancel")
    yield _button(device, "start", "Start print", "printer-3d-nozzle", when="start")


def _printer(device: Device) -> Iterator[Entity]:
    yield _button(device, "home", "Home", "home", when="move")
    yield _button(device, "motors_off", "Motors off", "engine-off", when="move")
    yield _button(device, "cool_down", "Cool down", "snowflake", when="move")
    yield Entity(
        key="emergency_stop",
        platform="button",
        name="Emergency stop",
        alone=True,
        tier="safe",
        fields=press(device.topics.emergency, {}) | {"icon": "mdi:alert-octagon"},
    )


def _factors(device: Device) -> Iterator[Entity]:
    for key, name, topic, command, icon in (
        ("feedrate", "Print speed", "head", "feedrate", "speedometer"),
        ("flowrate", "Flow", "tool", "flowrate", "water-percent"),
    ):
        yield Entity(
            key=key,
            platform="number",
            name=name,
            tier="control",
            fields=_CONFIG
            | {"unit_of_measurement": "%", "icon": f"mdi:{icon}", "mode": "box"}
            | {"min": 1, "max": _LARGEST_FACTOR, "step": 1}
            | {
                "state_topic": device.topics.state,
                "value_template": f"{{% set it = value_json.{key} %}}"
                f"{{{{ it if it is number and 1 <= it <= {_LARGEST_FACTOR}"
                " else none }}",
                "command_topic": f"{device.topics.base}/{topic}",
                "command_template": f'{{"command": "{command}", '
                '"factor": {{ value | int }}}',
            },
        )


def _tool(device: Device) -> Entity:
    names = [f"tool{number}" for number in range(device.tools)]
    return Entity(
        key="tool",
        platform="select",
        name="Tool",
        tier="control",
        fields={"options": names, "icon": "mdi:printer-3d-nozzle-outline"}
        | read(
            device.topics.state,
            "'tool' ~ value_json.tool if value_json.tool is number"
            f" and value_json.tool < {device.tools} else none",
        )
        | {
            "command_topic": f"{device.topics.base}/tool",
            "command_template": "{{ {'command': 'select', 'tool': value} | tojson }}",
        },
    )


def _bridge(device: Device) -> Iterator[Entity]:
    for key, name, command, fields in (
        ("reconnect", "Reconnect printer", "reconnect", {"device_class": "restart"}),
        (
            "disconnect",
            "Disconnect printer",
            "disconnect",
            {"icon": "mdi:lan-disconnect"},
        ),
        ("connect", "Connect printer", "connect", {"icon": "mdi:lan-connect"}),
        ("acknowledge", "Acknowledge problem", "acknowledge", {"icon": "mdi:check"}),
    ):
        yield Entity(
            key=key,
            platform="button",
            name=name,
            alone=True,
            tier="control",
            fields=_CONFIG
            | fields
            | press(f"{device.topics.base}/link", {"command": command}),
        )


def _raw(device: Device) -> Iterator[Entity]:
    topic = f"{device.topics.base}/command"
    yield Entity(
        key="display",
        platform="text",
        name="Display message",
        tier="raw",
        fields=_CONFIG
        | {"max": _LONGEST_MESSAGE, "icon": "mdi:message-text", "command_topic": topic}
        | {
            "command_template": "{{ {'command': 'M117 %(text)s',"
            " 'parameters': {'text': value}} | tojson }}"
        },
    )
    for key, name in _keys(device.scripts).items():
        yield Entity(
            key=key,
            platform="button",
            name=name,
            tier="raw",
            fields=press(topic, {"script": name}) | {"icon": "mdi:script-text-play"},
        )


def _keys(scripts: tuple[str, ...]) -> dict[str, str]:
    """Return the scripts by unique keys, even if their names differ only in spelling.

    ``Pre-heat`` and ``pre heat`` become ``script_pre_heat`` and ``script_pre_heat_2``.
    """
    keys: dict[str, str] = {}
    for name in scripts:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        key, number = f"script_{plain}".rstrip("_"), 2
        while key in keys:
            key, number = f"script_{plain}_{number}", number + 1
        keys[key] = name
    return keys
