"""Home Assistant's device discovery: the document, and when it has to be published.

One retained message describes a device with all its entities
(https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload). At its root
Home Assistant accepts only the keys that are used here: any other, including the ``~``
abbreviation that single-component discovery has, makes it reject the whole device.

Pure: the time is an argument, and :mod:`bridge.home_assistant.announcer` publishes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import cast

from pydantic import BaseModel, ConfigDict

from bridge.commands.outputs import CASE_LIGHT
from bridge.gcode.reply_types import FileEntry
from bridge.home_assistant.control_entities import controls
from bridge.home_assistant.entities import (
    LONGEST,
    Device,
    Entity,
    Fields,
    PrintableFile,
    availability,
)
from bridge.home_assistant.output_entities import heat, outputs
from bridge.home_assistant.status_entities import status
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.published import documents

Payload = dict[str, object]

PAUSE = 10.0
"""Seconds between two announcements of a device.

Home Assistant sets up the entities of a discovery message one after the other, and
loses what a second message changes while it does that (seen with 2026.11)."""

_UNSHOWN = {"position", "command_rejected"}
"""Events that would flood the event entity, or that are about a message."""

EVENTS = tuple(name for name in documents.EVENTS if name not in _UNSHOWN)
"""The events that the event entity shows."""

TRIGGERS = tuple(name for name in EVENTS if name not in {"home", "tool_change"})
"""The events that are offered as device triggers of automations."""


def device_id(printer: str) -> str:
    """Return the identifier of a printer's device; from its id in the configuration."""
    return f"gcode2mqtt_{printer}"


def config_topic(prefix: str, printer: str) -> str:
    """Return the topic on which a printer's device is announced.

    Args:
        prefix: Home Assistant's discovery prefix.
        printer: the printer's id.

    """
    return f"{prefix}/device/{device_id(printer)}/config"


def discovery(device: Device) -> Payload:
    """Return the document that announces a printer with all its entities."""
    topics = device.topics
    known = {
        "name": device.name,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "serial_number": device.serial_number,
        "sw_version": device.firmware,
        "suggested_area": device.area,
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
    """Yield the entities of a printer, without those whose commands are not allowed."""
    for part in (status, heat, controls, outputs):
        for entity in part(device):
            if entity.tier is None or entity.tier in device.rights:
                yield entity
    yield _event(device)
    yield _refused(device)


def render(payload: Payload) -> bytes:
    """Return a payload as it is published."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


class KnownDevice(BaseModel):
    """What is known of a device besides its configuration; kept between runs.

    With it a bridge that starts before its printer announces the same device as in the
    last run, and removes the components that are no longer there.
    """

    model_config = ConfigDict(frozen=True)

    components: dict[str, str] = {}
    """The platforms of the components that were announced last, by key."""
    family: str | None = None
    """The name of the firmware's dialect."""
    firmware: str | None = None
    """The firmware's name and version."""
    model: str | None = None
    """What the firmware calls the machine."""
    sensors: tuple[str, ...] = ()
    """Temperatures that no heater belongs to, by the firmware's names."""
    uuid: str | None = None
    """The machine's own id, as the firmware reports it."""
    case_light: bool = False
    """The firmware reports that it can switch a light."""
    files: tuple[tuple[str, str, str], ...] = ()
    """Label, origin and path of the files that can be printed, as last listed."""

    def with_files(self, files: Sequence[PrintableFile]) -> "KnownDevice":
        """Return this with other files; itself if they are the same.

        They stay known while the printer is away; otherwise, the entity would come and
        go.
        """
        known = tuple((file.label, file.origin, file.path) for file in files)
        if known == self.files:
            return self
        return self.model_copy(update={"files": known})

    def learn(self, state: PrinterState, family: str) -> "KnownDevice":
        """Return this with what a printer's state adds; itself if it adds nothing.

        A sensor stays known while it is not reported; otherwise, its entity would come
        and go. Another firmware starts with none.

        Args:
            state: the printer's state.
            family: the name of the dialect in use.

        """
        if state.link != "operational" or state.firmware is None:
            return self
        before = self.sensors if family == self.family else ()
        new = tuple(name for name in state.sensors if name not in before)
        model = state.firmware.fields.get("MACHINE_TYPE")
        uuid = state.firmware.fields.get("UUID", "")
        facts: dict[str, object] = {
            "family": family,
            "firmware": _printable(state.firmware.name),
            "model": model and _printable(model),
            "uuid": None if uuid.lower() in _COMMON_UUIDS else _printable(uuid),
            "case_light": state.capabilities.get(CASE_LIGHT, False),
        }
        if not new and all(getattr(self, name) == facts[name] for name in facts):
            return self
        return self.model_copy(update={**facts, "sensors": (*before, *new)})


_COMMON_UUIDS = {
    "",
    "00000000-0000-0000-0000-000000000000",
    "cede2a2f-41a2-4748-9b12-c55c62f367ff",
}
"""``UUID`` of an ``M115`` that identifies nothing: Marlin's defaults, the same for all
printers."""


def printable_files(
    card: Sequence[FileEntry], stored: Sequence[str]
) -> list[PrintableFile]:
    """Return the files that can be chosen: the stored ones, then those of the card.

    A label is the long name, or the path of a stored file; where two files share it,
    the origin and the path. Home Assistant gets the whole list with each discovery
    message, so that is limited to :data:`MOST_FILES` of each origin.

    Args:
        card: as the firmware lists them; the newest precede, where dates are known.
        stored: paths, the newest first.

    """
    newest = sorted(card, key=lambda file: file.date or "", reverse=True)[:MOST_FILES]
    found = [(path, "local", path) for path in stored[:MOST_FILES]]
    for file in newest:
        path = file.path.lstrip("/")
        found.append((file.display or path, "card", file.path))
    names = [name for name, _, _ in found]
    return [
        PrintableFile(
            name if names.count(name) == 1 else f"{origin}: {path}", origin, path
        )
        for name, origin, path in found
    ]


MOST_FILES = 60
"""Files of one origin that can be chosen in Home Assistant."""


class Announcements:
    """Decides which discovery message has to be published, and when.

    A component that is left out of a discovery message stays in Home Assistant. To
    remove it, it is first announced with nothing but its platform, and left out of the
    message after that one.

    Args:
        known: the platforms of the components in the last announcement of an earlier
            run, by key.

    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)
        self._payload: Payload | None = None
        # The message itself would take about 100 kB for each printer.
        self._said = b""
        self._at = float("-inf")

    @property
    def known(self) -> Mapping[str, str]:
        """The platforms of the components that Home Assistant has now, by key."""
        return dict(self._known)

    def change(self, payload: Payload) -> None:
        """Take the device as it is now; the next :meth:`due` compares it."""
        self._payload = payload

    def due(self, now: float) -> Payload | None:
        """Return the message to publish now, which then counts as published.

        It costs nothing while nothing has changed: it is called every second for each
        printer.

        Args:
            now: in seconds.

        Returns:
            ``None`` if there is nothing to publish, or not yet.

        """
        if self._payload is None or now < self._at + PAUSE:
            return None
        present = components(self._payload)
        gone = {
            key: platform
            for key, platform in self._known.items()
            if present.get(key) != platform
        }
        listed = cast("Mapping[str, object]", self._payload["components"])
        stubs = {key: {"platform": platform} for key, platform in gone.items()}
        said = {**self._payload, "components": {**listed, **stubs}}
        if not gone:
            self._payload = None  # after this message there is nothing left to say
        digest = sha256(render(said)).digest()
        if digest == self._said:
            return None
        self._known = {key: p for key, p in present.items() if key not in gone}
        self._said, self._at = digest, now
        return said


def components(payload: Payload) -> dict[str, str]:
    """Return the platforms of a discovery message's components by their keys."""
    listed = cast("Mapping[str, Mapping[str, str]]", payload["components"])
    return {key: fields["platform"] for key, fields in listed.items()}


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
    # Home Assistant ignores a message whose template renders to nothing: that filters
    # the events that are not listed, which it would log as errors.
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


REFUSALS = ("rejected", "failed", "expired")
"""What becomes of a command that is not carried out, as a response's `status`."""


def _refused(device: Device) -> Entity:
    """Return the event of a command that was not carried out, with the reason.

    Home Assistant names no response topic, so the responses to its commands are on the
    shared one, as are those of other simple clients.
    """
    told = "['message', 'error', 'code', 'topic', 'command', 'id']"
    template = (
        f"{{% if value_json.status in {list(REFUSALS)} %}}"
        "{% set ns = namespace(it={'event_type': value_json.status}) %}"
        f"{{% for name in {told} %}}"
        "{% set ns.it = dict(ns.it, **{name: value_json.get(name)}) %}"
        "{% endfor %}{{ ns.it | tojson }}{% endif %}"
    )
    return Entity(
        key="refused",
        platform="event",
        name="Refused",
        alone=True,
        fields={
            "event_types": list(REFUSALS),
            "state_topic": device.topics.response,
            "value_template": template,
            "icon": "mdi:cancel",
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


@lru_cache(maxsize=256)  # called for each report, always with the same texts
def _printable(text: str) -> str:
    """Return what a firmware says about itself, without control characters."""
    return "".join(char for char in text if char.isprintable())
