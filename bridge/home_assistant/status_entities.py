"""The table of the entities that show the state of the printer and the bridge."""

from collections.abc import Iterator
from typing import get_args

from bridge.home_assistant.entities import (
    LONGEST,
    Device,
    Entity,
    Fields,
    cut,
    flag,
    read,
)
from bridge.printer.knowledge.model import HeatReason, Link
from bridge.printer.knowledge.print_table import Active, Outcome
from bridge.printer.published.documents import Attention

STATES = (*get_args(Link), *get_args(Active))
ATTENTION = get_args(Attention)
HEAT_REASONS = get_args(HeatReason)
OUTCOMES = get_args(Outcome)

# https://www.home-assistant.io/integrations/sensor/ documents the device classes, and
# that a state class makes Home Assistant keep long-term statistics.
_DIAGNOSTIC: Fields = {"entity_category": "diagnostic"}
_HIDDEN: Fields = {"enabled_by_default": False}
_MEASURED: Fields = {"state_class": "measurement"}
_DURATION: Fields = _MEASURED | {
    "device_class": "duration",
    "unit_of_measurement": "min",
    "suggested_display_precision": 0,
}
_PERCENT: Fields = _MEASURED | {
    "unit_of_measurement": "%",
    "suggested_display_precision": 0,
}


_LENGTH: Fields = {
    "device_class": "distance",
    "unit_of_measurement": "m",
    "suggested_display_precision": 2,
    "icon": "mdi:printer-3d-nozzle",
}


def _enum(*options: str) -> Fields:
    return {"device_class": "enum", "options": list(options)}


def status(device: Device) -> Iterator[Entity]:
    """Yield the entities that show a state."""
    yield from _printer(device)
    yield from _position(device)
    yield from _job(device)
    yield from _layers(device)
    yield from _queue(device)
    yield from _result(device)
    yield _recovery(device)
    yield from _totals(device)
    if device.thumbnail:
        yield _thumbnail(device)
    yield from _warnings(device)
    yield from _released(device)
    yield from _heat(device)
    yield from _machine(device)
    yield from _bridge(device)


def _printer(device: Device) -> Iterator[Entity]:
    state = device.topics.state
    yield Entity(
        key="state",
        platform="sensor",
        name="State",
        alone=True,
        fields=_enum(*STATES)
        | read(state, "value_json.state")
        | {"icon": "mdi:printer-3d"},
    )
    yield Entity(
        key="status",
        platform="sensor",
        name="Status",
        alone=True,
        fields={"icon": "mdi:printer-3d"} | read(state, cut("value_json.status")),
    )
    yield Entity(
        key="printing",
        platform="binary_sensor",
        name="Printing",
        fields={"device_class": "running"} | flag(state, "value_json.flags.printing"),
    )
    yield Entity(
        key="fan",
        platform="sensor",
        name="Part fan speed",
        fields=_HIDDEN | _PERCENT | {"icon": "mdi:fan"} | read(state, "value_json.fan"),
    )
    yield _link(device)


def _link(device: Device) -> Entity:
    return Entity(
        key="connected",
        platform="binary_sensor",
        name="Printer link",
        alone=True,
        fields={
            "device_class": "connectivity",
            "state_topic": device.topics.connection,
            "payload_on": "online",
            "payload_off": "offline",
        }
        | _DIAGNOSTIC,
    )


def _position(device: Device) -> Iterator[Entity]:
    state = device.topics.state
    for axis in "xyz":
        yield Entity(
            key=f"position_{axis}",
            platform="sensor",
            name=f"Position {axis.upper()}",
            fields=_HIDDEN
            | _MEASURED
            | {"device_class": "distance", "unit_of_measurement": "mm"}
            | {"suggested_display_precision": 2, "icon": f"mdi:axis-{axis}-arrow"}
            | read(state, f"(value_json.position or {{}}).get('{axis}')"),
        )


def _job(device: Device) -> Iterator[Entity]:
    job = device.topics.job_state
    clock: Fields = {"device_class": "timestamp"}
    shown: tuple[tuple[str, str, str, Fields], ...] = (
        (
            "progress",
            "Progress",
            "value_json.progress",
            _PERCENT | {"icon": "mdi:progress-clock"},
        ),
        ("print_time", "Print time", _minutes("elapsed"), _DURATION | _HIDDEN),
        ("time_left", "Print time left", _minutes("remaining"), _DURATION),
        ("started", "Print started", "value_json.started_at", clock),
        ("finish", "Estimated finish", "value_json.finish_at", clock),
    )
    for key, name, expression, fields in shown:
        yield Entity(
            key=key, platform="sensor", name=name, fields=fields | read(job, expression)
        )
    yield Entity(
        key="file",
        platform="sensor",
        name="File",
        fields={"icon": "mdi:file-outline"}
        | read(job, cut("value_json.display or value_json.file")),
    )
    yield Entity(
        key="heating",
        platform="binary_sensor",
        name="Heating up",
        fields={"icon": "mdi:thermometer-chevron-up"} | flag(job, "value_json.heating"),
    )


def _minutes(field: str) -> str:
    """Return the expression of a duration in minutes; the documents have seconds."""
    value = f"value_json.{field}"
    return f"({value} / 60) | round(0) | int if {value} is number else none"


def _metres(value: str) -> str:
    return f"({value} / 1000) | round(2) if {value} is number else none"


def _layers(device: Device) -> Iterator[Entity]:
    job = device.topics.job_state
    for key, name, icon in (
        ("layer", "Layer", "layers"),
        ("layers", "Total layers", "layers-triple"),
    ):
        yield Entity(
            key=key,
            platform="sensor",
            name=name,
            fields={"icon": f"mdi:{icon}"} | read(job, f"value_json.{key}"),
        )
    yield Entity(
        key="filament",
        platform="sensor",
        name="Filament used",
        fields=_LENGTH | read(job, _metres("value_json.filament")),
    )


def _recovery(device: Device) -> Entity:
    """Return how an interrupted print could continue; the lines are an attribute."""
    plan = "value_json.recovery"
    return Entity(
        key="recovery",
        platform="sensor",
        name="Recovery",
        alone=True,
        fields={"icon": "mdi:map"}
        | read(
            device.topics.state,
            f"'none' if not {plan} else ('Not possible: ' ~ {plan}.refused"
            f" if {plan}.refused else {plan}.file ~ ' from layer ' ~ {plan}.layer"
            f" ~ '; the nozzle must stand at ' ~ {plan}.height ~ ' mm')[:{LONGEST}]",
        )
        | {
            "json_attributes_topic": device.topics.state,
            "json_attributes_template": "{{ {'lines':"
            f" ({plan} or {{}}).get('lines') or [],"
            f" 'layer': ({plan} or {{}}).get('layer'),"
            f" 'height': ({plan} or {{}}).get('height')}} | tojson }}}}",
        },
    )


def _totals(device: Device) -> Iterator[Entity]:
    """Yield the counts of all prints; they stay while the printer is switched off."""
    counted: Fields = {"state_class": "total_increasing"} | _DIAGNOSTIC
    count: Fields = counted | {"icon": "mdi:counter"}
    hours = "(value_json.print_time / 3600) | round(2)"
    shown: tuple[tuple[str, str, str, Fields], ...] = (
        ("prints_done", "Prints completed", "value_json.done", count),
        ("prints_cancelled", "Prints cancelled", "value_json.cancelled", count),
        ("prints_failed", "Prints failed", "value_json.failed", count),
        (
            "print_hours",
            "Total print time",
            hours,
            counted | {"device_class": "duration", "unit_of_measurement": "h"},
        ),
        (
            "total_filament",
            "Total filament",
            _metres("value_json.filament"),
            _LENGTH | counted,
        ),
    )
    for key, name, expression, fields in shown:
        yield Entity(
            key=key,
            platform="sensor",
            name=name,
            alone=True,
            fields=fields | read(device.topics.totals, expression),
        )


def _thumbnail(device: Device) -> Entity:
    return Entity(
        key="thumbnail",
        platform="image",
        name="Thumbnail",
        alone=True,
        fields={
            "image_topic": device.topics.thumbnail,
            "content_type": "image/png",
        },
    )


def _queue(device: Device) -> Iterator[Entity]:
    queue = device.topics.queue_state
    yield Entity(
        key="queue",
        platform="sensor",
        name="Prints waiting",
        alone=True,
        fields={"icon": "mdi:tray-full", "state_class": "measurement"}
        | read(queue, "value_json.length"),
    )
    yield Entity(
        key="queue_held",
        platform="binary_sensor",
        name="Queue held",
        alone=True,
        fields={"icon": "mdi:tray-alert"} | flag(queue, "value_json.held"),
    )


_REASON = "value_json.reason"
_LAST_PRINT: tuple[tuple[str, str, str, Fields], ...] = (
    (
        "last_result",
        "Last print",
        "value_json.outcome",
        _enum(*OUTCOMES) | {"icon": "mdi:flag-checkered"},
    ),
    (
        "last_file",
        "Last print file",
        cut("value_json.file"),
        {"icon": "mdi:file-check-outline"},
    ),
    (
        "last_ended",
        "Last print ended",
        "value_json.ended_at",
        {"device_class": "timestamp"},
    ),
    (
        "last_duration",
        "Last print duration",
        _minutes("elapsed"),
        {key: value for key, value in _DURATION.items() if key != "state_class"},
    ),
    (
        "last_reason",
        "Last print failure",
        f"({_REASON} or 'none') if {_REASON} is not none else none",
        {"icon": "mdi:alert-circle-outline"},
    ),
)
"""Key, name, template and further fields of the entities about the last print."""


def _result(device: Device) -> Iterator[Entity]:
    """Yield how the last print ended; it stays while the printer is switched off."""
    result = device.topics.job_result
    for key, name, expression, fields in _LAST_PRINT:
        yield Entity(
            key=key,
            platform="sensor",
            name=name,
            alone=True,
            fields=fields | read(result, expression),
        )


def _warnings(device: Device) -> Iterator[Entity]:
    topics = device.topics
    fields = "'error', 'reason', 'consequence', 'severity', 'time'"
    yield Entity(
        key="problem",
        platform="binary_sensor",
        name="Problem",
        alone=True,
        fields={"device_class": "problem"}
        | flag(topics.error, "(value_json.error or value_json.reason) != ''")
        | {
            "json_attributes_topic": topics.error,
            "json_attributes_template": "{% set ns = namespace(it={}) %}"
            f"{{% for name in [{fields}] %}}"
            "{% set ns.it = dict(ns.it, **{name: value_json[name]}) %}"
            "{% endfor %}{{ ns.it | tojson }}",
        },
    )
    yield from _attention(device)
    yield _question(device)


def _attention(device: Device) -> Iterator[Entity]:
    topics = device.topics
    yield Entity(
        key="attention",
        platform="binary_sensor",
        name="Attention needed",
        alone=True,
        fields={"device_class": "problem", "icon": "mdi:account-alert"}
        | flag(topics.state, "value_json.attention != 'none'"),
    )
    yield Entity(
        key="attention_reason",
        platform="sensor",
        name="Attention reason",
        alone=True,
        fields=_enum(*ATTENTION)
        | {"icon": "mdi:account-question"}
        | read(topics.state, "value_json.attention"),
    )
    yield Entity(
        key="error",
        platform="sensor",
        name="Error",
        alone=True,
        fields={"icon": "mdi:alert-circle-outline"}
        | read(topics.state, f"(value_json.error or 'none')[:{LONGEST}]"),
    )


_UNNAMED = "The printer waits for a person"
"""The question, if the firmware has not said what it wants, or has said it before the
bridge started."""


def _question(device: Device) -> Entity:
    topics = device.topics
    return Entity(
        key="question",
        platform="sensor",
        name="Question",
        alone=True,  # it may ask before it has answered the bridge
        fields={"icon": "mdi:help-circle-outline"}
        | read(
            topics.state,
            f"((value_json.prompt.text or '{_UNNAMED}') if value_json.prompt"
            f" else 'none')[:{LONGEST}]",
        )
        | {
            "json_attributes_topic": topics.state,
            "json_attributes_template": "{{ {'choices':"
            " (value_json.prompt or {}).get('choices') or []} | tojson }}",
        },
    )


def _released(device: Device) -> Iterator[Entity]:
    yield Entity(
        key="released",
        platform="binary_sensor",
        name="Port released",
        alone=True,
        fields=_DIAGNOSTIC
        | {"icon": "mdi:connection"}
        | flag(device.topics.state, "value_json.released"),
    )


def _heat(device: Device) -> Iterator[Entity]:
    topics = device.topics
    yield Entity(
        key="hot",
        platform="binary_sensor",
        name="Hot surface",
        fields={"device_class": "heat"} | flag(topics.state, "value_json.hot"),
    )
    yield Entity(
        key="safe_to_power_off",
        platform="binary_sensor",
        name="Safe to power off",
        alone=True,
        fields={"icon": "mdi:power-plug-off"}
        | flag(topics.state, "value_json.safe_to_power_off"),
    )
    yield Entity(
        key="unsafe_to_power_off",
        platform="binary_sensor",
        name="Unsafe to power off",
        alone=True,
        fields=_HIDDEN  # the opposite, for automations of earlier versions
        | {"device_class": "safety"}
        | flag(
            topics.state,
            "none if value_json.safe_to_power_off is none"
            " else not value_json.safe_to_power_off",
        ),
    )
    yield from _heaters_on(device)


def _heaters_on(device: Device) -> Iterator[Entity]:
    topics = device.topics
    yield Entity(
        key="heaters_off",
        platform="sensor",
        name="Heaters off at",
        fields=_DIAGNOSTIC
        | {"device_class": "timestamp"}
        | read(topics.state, "value_json.heaters_off_at"),
    )
    yield Entity(
        key="heat_reason",
        platform="sensor",
        name="Heaters on because of",
        fields=_DIAGNOSTIC
        | _enum(*HEAT_REASONS)
        | {"icon": "mdi:heating-coil"}
        | read(topics.state, "value_json.heat_reason"),
    )


def _machine(device: Device) -> Iterator[Entity]:
    info = device.topics.info
    yield Entity(
        key="firmware",
        platform="sensor",
        name="Firmware",
        fields=_DIAGNOSTIC
        | _HIDDEN
        | {"icon": "mdi:chip"}
        | read(info, cut("(value_json.firmware or {}).get('name')")),
    )
    yield Entity(
        key="machine",
        platform="sensor",
        name="Machine",
        fields=_DIAGNOSTIC
        | _HIDDEN
        | {"icon": "mdi:printer-3d"}
        | read(info, cut("value_json.machine.type")),
    )
    yield Entity(
        key="port",
        platform="sensor",
        name="Port",
        alone=True,
        fields=_DIAGNOSTIC
        | _HIDDEN
        | {"icon": "mdi:serial-port"}
        | read(info, cut("value_json.machine.port")),
    )


def _bridge(device: Device) -> Iterator[Entity]:
    health = device.topics.health
    counted = _DIAGNOSTIC | _HIDDEN | {"state_class": "total_increasing"}
    yield Entity(
        key="bridge_version",
        platform="sensor",
        name="Bridge version",
        alone=True,
        fields=_DIAGNOSTIC
        | _HIDDEN
        | {"icon": "mdi:bridge"}
        | read(device.topics.info, "value_json.version"),
    )
    yield Entity(
        key="bridge_started",
        platform="sensor",
        name="Bridge started",
        alone=True,
        fields=_DIAGNOSTIC
        | _HIDDEN
        | {"device_class": "timestamp"}
        | read(health, "value_json.started_at"),
    )
    for key, name, where in (
        ("resends", "Serial resends", "serial.resends"),
        ("timeouts", "Serial timeouts", "serial.timeouts"),
        ("reconnects", "Serial reconnects", "serial.reconnects"),
        ("mqtt_reconnects", "MQTT reconnects", "mqtt.reconnects"),
    ):
        yield Entity(
            key=key,
            platform="sensor",
            name=name,
            alone=True,
            fields=counted
            | {"icon": "mdi:counter"}
            | read(health, f"value_json.{where}"),
        )
