"""The table of the entities that control the print and the printer.

The payload of a button is a complete JSON document; the payload of a number, select or
notification is a template that renders to one. Tests render them all and parse the
result with the bridge's own parser.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bridge.home_assistant.entities import Device, Entity, Fields, press, read, send

# https://www.home-assistant.io/integrations/mqtt/ documents the fields.
_CONFIG: Fields = {"entity_category": "config"}
_HIDDEN: Fields = {"enabled_by_default": False}
_LARGEST_FACTOR = 1000  # percent; the limit of `feedrate` and `flowrate`
_ANSWERS = 4
"""Buttons for the choices of a question. Marlin's dialogs have at most two; Klipper's
owner can define more."""

# mm, the usual choices of printers' own menus.
_JOG_DISTANCES, _EXTRUDE_LENGTHS = (0.1, 1.0, 10.0, 50.0), (1.0, 5.0, 10.0, 50.0)
_BABYSTEP = 0.02  # mm per press of a button

_BUTTONS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "pause": ("job", {"command": "pause"}),
    "resume": ("job", {"command": "resume"}),
    "cancel": ("job", {"command": "cancel"}),
    "start": ("job", {"command": "start"}),
    "reprint": ("job", {"command": "reprint"}),
    "plan_recovery": ("job", {"command": "plan_recovery"}),
    "recover": ("job", {"command": "recover", "planned": True}),
    "queue_release": ("queue", {"command": "release"}),
    "home": ("head", {"command": "home", "axes": ["x", "y", "z"]}),
    "motors_off": ("head", {"command": "motors_off"}),
    "cool_down": ("tool", {"command": "cool_down"}),
}


def controls(device: Device) -> Iterator[Entity]:
    """Yield the entities that send commands, except for those of outputs."""
    yield from _job(device)
    yield from _answers(device)
    yield from _printer(device)
    yield from _moves(device)
    yield from _factors(device)
    yield from _z_offset(device)
    yield from _bridge(device)
    yield from _scripts(device)
    if device.tools > 1:
        yield _tool(device)


def button(  # noqa: PLR0913 - what a button is
    device: Device,
    key: str,
    name: str,
    icon: str,
    *,
    sends: tuple[str, Mapping[str, object]],
    when: str | None = None,
    fields: Mapping[str, object] | None = None,
) -> Entity:
    """Return a button.

    Args:
        device: the device that it belongs to.
        key: as for :class:`Entity`.
        name: likewise.
        icon: a name of Material Design Icons.
        sends: the command topic, without the base, and the payload.
        when: as for :class:`Entity`.
        fields: further ones.

    """
    topic, payload = sends
    return Entity(
        key=key,
        platform="button",
        name=name,
        when=when,
        tier="control",
        fields=press(f"{device.topics.base}/{topic}", payload)
        | {"icon": f"mdi:{icon}"}
        | dict(fields or {}),
    )


def _known(
    device: Device, key: str, name: str, icon: str, when: str | None = None
) -> Entity:
    return button(device, key, name, icon, sends=_BUTTONS[key], when=when)


def _job(device: Device) -> Iterator[Entity]:
    yield _known(device, "pause", "Pause", "pause", when="pause")
    # Also available before a printer that waits for a person has answered us.
    resume = _known(device, "resume", "Resume", "play", when="resume")
    yield replace(resume, alone=True)
    yield _known(device, "cancel", "Cancel print", "stop", when="cancel")
    yield _known(device, "start", "Start print", "printer-3d-nozzle", when="start")
    yield _known(device, "reprint", "Print again", "repeat", when="reprint")
    yield _known(device, "plan_recovery", "Plan recovery", "map", when="plan_recovery")
    yield _known(device, "recover", "Recover print", "backup-restore", when="recover")
    # Also available while the printer is off: an automation may switch it on then.
    bed_clear = _known(device, "queue_release", "Bed is clear", "tray-arrow-down")
    yield replace(bed_clear, alone=True)
    if device.files:
        yield _files(device)


def _files(device: Device) -> Entity:
    """Return the choice of a file; what is chosen is what ``job/state`` names.

    Firmwares mind neither the case of a path nor a leading slash.
    """
    table = json.dumps({file.label: [file.origin, file.path] for file in device.files})
    paths = json.dumps(
        {
            f"{file.origin}:{file.path.lstrip('/').lower()}": file.label
            for file in device.files
        }
    )
    chosen = "value_json.origin ~ ':' ~ (value_json.file or '').lstrip('/').lower()"
    return Entity(
        key="choose_file",
        platform="select",
        name="File to print",
        when="select",
        tier="control",
        fields={
            "options": [file.label for file in device.files],
            "icon": "mdi:file-document-multiple-outline",
            "state_topic": device.topics.job_state,
            "value_template": f"{{{{ {paths}.get({chosen}) }}}}",
            "command_topic": f"{device.topics.base}/job",
            "command_template": f"{{% set it = {table}[value] %}}"
            "{{ {'command': 'select', 'origin': it[0], 'file': it[1]} | tojson }}",
        },
    )


def _answers(device: Device) -> Iterator[Entity]:
    """Yield a button for each choice; the first also ends a wait without choices."""
    choices = "((value_json.prompt or {}).get('choices') or [])"
    for number in range(_ANSWERS):
        asked = f"{choices} | length > {number}"
        if number == 0:
            asked = "value_json.prompt"
        yield Entity(
            key=f"answer_{number + 1}",
            platform="button",
            name=f"Answer {number + 1}",
            alone=True,  # it may ask before it has answered the bridge
            provided=f"({asked})",
            tier="control",
            fields={"icon": f"mdi:numeric-{number + 1}-box-outline"}
            | press(
                f"{device.topics.base}/job", {"command": "answer", "choice": number}
            ),
        )


def _printer(device: Device) -> Iterator[Entity]:
    yield _known(device, "home", "Home", "home", when="move")
    yield replace(
        _known(device, "motors_off", "Motors off", "engine-off"),
        provided="value_json.flags.ready",
    )
    yield _known(device, "cool_down", "Cool down", "snowflake", when="move")
    yield Entity(
        key="emergency_stop",
        platform="button",
        name="Emergency stop",
        alone=True,
        tier="safe",
        fields=press(device.topics.emergency, {}) | {"icon": "mdi:alert-octagon"},
    )


def _moves(device: Device) -> Iterator[Entity]:
    """Yield the buttons that move, and how far; disabled by default."""
    yield _distance(
        device,
        "jog_distance",
        "Jog distance",
        ("head", "distance", _JOG_DISTANCES),
    )
    for axis in "xyz":
        for sign, word, mark in ((1, "plus", "+"), (-1, "minus", "-")):
            yield button(
                device,
                f"jog_{axis}_{word}",
                f"Jog {axis.upper()}{mark}",
                f"axis-{axis}-arrow",
                sends=("head", {"command": "jog_step", axis: sign}),
                when="move",
                fields=_HIDDEN,
            )
    yield _distance(
        device,
        "extrude_length",
        "Extrusion length",
        ("tool", "length", _EXTRUDE_LENGTHS),
    )
    for key, name, sign, icon in (
        ("extrude", "Extrude", 1, "arrow-down-bold"),
        ("retract", "Retract", -1, "arrow-up-bold"),
    ):
        yield button(
            device,
            key,
            name,
            icon,
            sends=("tool", {"command": "extrude_step", "direction": sign}),
            when="move",
            fields=_HIDDEN,
        )


def _distance(
    device: Device, key: str, name: str, what: tuple[str, str, tuple[float, ...]]
) -> Entity:
    topic, field, values = what
    table = {f"{value:g} mm": value for value in values}
    return Entity(
        key=key,
        platform="select",
        name=name,
        tier="control",
        fields=_CONFIG
        | _HIDDEN
        | {"options": list(table), "icon": "mdi:ruler"}
        | {
            "state_topic": device.topics.state,
            "value_template": f"{{{{ {json.dumps(table)}.items()"
            f" | selectattr(1, 'eq', value_json.{key}) | map(attribute=0) | first"
            " | default(none) }}",
        }
        | send(
            f"{device.topics.base}/{topic}",
            f"{{'command': '{key}', '{field}': {json.dumps(table)}[value]}}",
        ),
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


def _z_offset(device: Device) -> Iterator[Entity]:
    limit = device.babysteps
    if not limit:
        return
    yield Entity(
        key="z_offset",
        platform="number",
        name="Z offset",
        tier="control",
        fields=_CONFIG
        | {"device_class": "distance", "unit_of_measurement": "mm", "mode": "box"}
        | {"min": -limit, "max": limit, "step": 0.01, "icon": "mdi:arrow-expand-down"}
        | {
            "state_topic": device.topics.state,
            "value_template": "{% set it = value_json.z_offset %}"
            f"{{{{ it if it is number and -{limit:g} <= it <= {limit:g} else none }}}}",
        }
        | send(
            f"{device.topics.base}/head",
            "{'command': 'z_offset', 'offset': value | float}",
        ),
    )
    for key, name, sign in (
        ("babystep_up", "Nozzle up", 1),
        ("babystep_down", "Nozzle down", -1),
    ):
        yield button(
            device,
            key,
            name,
            f"arrow-{'up' if sign > 0 else 'down'}-thin",
            sends=("head", {"command": "babystep", "z": sign * _BABYSTEP}),
            fields=_CONFIG | _HIDDEN,
        )


def _tool(device: Device) -> Entity:
    names = [f"tool{number}" for number in range(device.tools)]
    return Entity(
        key="tool",
        platform="select",
        name="Tool",
        when="move",
        tier="control",
        fields={"options": names, "icon": "mdi:printer-3d-nozzle-outline"}
        | read(
            device.topics.state,
            "'tool' ~ value_json.tool if value_json.tool is number"
            f" and value_json.tool < {device.tools} else none",
        )
        | send(f"{device.topics.base}/tool", "{'command': 'select', 'tool': value}"),
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


def _scripts(device: Device) -> Iterator[Entity]:
    """Yield the scripts; one that moves is available where the printer may be moved."""
    for key, name in _keys(tuple(device.scripts)).items():
        yield button(
            device,
            key,
            name,
            "script-text-play",
            sends=("script", {"command": "run", "script": name}),
            when="move" if device.scripts[name] else None,
        )


def _keys(scripts: tuple[str, ...]) -> dict[str, str]:
    """Return the scripts by unique keys, even if their names differ only in spelling.

    ``Pre-heat`` and ``pre heat`` become ``script_pre_heat`` and ``script_pre_heat_2``.
    """
    return unique_keys("script", scripts)


def unique_keys(prefix: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return names by keys that begin with a prefix and differ from each other."""
    keys: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        key, number = f"{prefix}_{plain}".rstrip("_"), 2
        while key in keys:
            key, number = f"{prefix}_{plain}_{number}", number + 1
        keys[key] = name
    return keys
