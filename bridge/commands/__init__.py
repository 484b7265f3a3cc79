"""The commands of a printer: :func:`parse` makes one from an MQTT message."""

import json
import re
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from bridge.commands.base import Command, Context, Program
from bridge.commands.emergency import EmergencyStop
from bridge.commands.envelope import Envelope, Origin, Outcome, Response
from bridge.commands.gcode_lines import is_stop
from bridge.commands.json_payload import Json, check, printable, read
from bridge.commands.raw import RawCommand
from bridge.commands.registry import TOPICS
from bridge.errors import RejectedError
from bridge.gcode.codes import STOP
from bridge.validation_errors import first_problem, nearest, shown

__all__ = [
    "Command",
    "Context",
    "Envelope",
    "Origin",
    "Outcome",
    "Program",
    "Request",
    "RequestError",
    "Response",
    "command_names",
    "origin_of",
    "parse",
    "payload_form",
    "stops_at_once",
    "unknown_topic",
]

MAX_BYTES = 65_536
"""The default of the largest payload that is read, in bytes."""

_GLANCE = 4096  # bytes that are read although the message is refused
_LONGEST_ID = 64
_QUESTION = "request/"
_RAW = "command"
_STOP = RawCommand(command=STOP)
# What may begin a placeholder: {name} or %(name)s.
_PLACEHOLDER = re.compile("[{%]")
# Blanks in a JSON text, as they are or escaped (RFC 8259, 7).
_BLANKS = rb"(?:\s|\\[fnrt])*+"
_BEGINS = re.compile(
    rb'"%(_)b(?:[Nn]%(_)b\d++%(_)b)?[Mm]%(_)b0*+112(?!\d)' % {b"_": _BLANKS}
)
"""A text that begins with ``M112``, spelled in any way. No match extends beyond the
next quotation mark, so the time is linear."""
_ESCAPED = re.compile(rb"\\u00[0-7]")
"""An escaped ASCII character, which may be a part of ``M112``."""
# Topics that people try: those of OctoPrint's API, and words for the same thing.
_OTHER_NAMES = {
    **dict.fromkeys(("printhead", "home", "jog", "move"), "head"),
    **dict.fromkeys(("hotend", "nozzle", "extruder"), "tool"),
    **dict.fromkeys(("storage", "sdcard"), "sd"),
    **dict.fromkeys(("request", "status", "state"), "request/state"),
    **dict.fromkeys(("gcode", "cmd", "raw"), "command"),
    **dict.fromkeys(("print", "start", "pause", "resume", "cancel"), "job"),
    **dict.fromkeys(("estop", "emergency_stop", "m112", "M112"), "emergency"),
    "led": "light",
}
# Commands by the names of other programs; on topics that have them.
_OTHER_COMMANDS = {
    "abort": "cancel",
    "brightness": "set",
    "flow": "flowrate",
    "heat": "target",
    "hold_queue": "hold",
    "mount": "init",
    "move": "jog",
    "off": "target",
    "on": "set",
    "pause": "hold",
    "print": "start",
    "reset": "reconnect",
    "retract": "extrude",
    "set": "target",
    "speed": "feedrate",
    "stop": "cancel",
    "temperature": "target",
    "unmount": "release",
    "unpause": "resume",
}
_SEVERAL = {
    "stop": '; "emergency" stops the machine, {"command": "cancel"} on "job" a print',
}
"""Topics that people invent and that could mean several."""
# G-code where the name of a command belongs.
_CODE = re.compile(r"[GMTgmt]\d{1,4}(?:[ .]|$)")


@dataclass(frozen=True, slots=True)
class Request:
    """A valid message.

    Attributes:
        topic: the topic below the printer's base topic.
        envelope: the fields that every command may have.
        command: the command.

    """

    topic: str
    envelope: Envelope
    command: Command

    @property
    def origin(self) -> Origin:
        """The parts of the message that are repeated in its response."""
        return Origin(self.topic, self.envelope.id, self.command.name)


class RequestError(RejectedError):
    """An invalid message.

    Attributes:
        id: its ``id``, if it could be read.
        command: its command, if it could be read.

    """

    def __init__(
        self, cause: RejectedError, id_: str | None, command: str | None
    ) -> None:
        super().__init__(cause.message, error=cause.error, code=cause.code)
        self.id = id_
        self.command = command


def parse(topic: str, payload: bytes, *, max_bytes: int = MAX_BYTES) -> Request:
    """Return the request of an MQTT message.

    Args:
        topic: the topic below the printer's base topic: ``head``, ``request/state``, …
        payload: the message's payload; for ``emergency`` any payload is valid.
        max_bytes: larger payloads are rejected unread.

    Raises:
        RequestError: The message is invalid; the error's text names the field.

    """
    if topic == EmergencyStop.topic:
        return Request(topic, _emergency_envelope(payload, max_bytes), EmergencyStop())
    names = TOPICS.get(topic)
    if names is None:
        raise _unknown(topic, payload)
    document: Json = {}
    try:
        if payload or not topic.startswith(_QUESTION):
            wanted, commands = payload_form(topic), command_names(topic)
            document = read(payload, max_bytes, wanted, commands)
        check(document)
        kind = _kind(topic, names, document)
        return Request(topic, *_validated(kind, document))
    except RejectedError as error:
        if topic == _RAW and _is_stop(document):
            return Request(topic, _emergency_envelope(payload, max_bytes), _STOP)
        raise RequestError(error, _id(document), _command(topic, document)) from error


def _is_stop(document: Json, counts: Callable[[str], object] = lambda _: True) -> bool:
    """Return whether a document, valid or not, asks for an emergency stop.

    An unknown field, for example, must not be the reason why a machine continues.

    Args:
        document: the JSON object.
        counts: tells whether a line that is a stop counts.

    """
    if document.get("dry_run", False) is not False:
        return False
    lines = [document.get("command")]
    if isinstance(listed := document.get("commands"), list):
        lines += listed
    return any(
        isinstance(line, str) and is_stop(line) and counts(line) for line in lines
    )


def stops_at_once(payload: bytes, max_bytes: int) -> bool:
    """Return whether a message on ``command`` is an emergency stop that goes first.

    That is what :func:`parse` returns a stop for, except where it depends on parameters
    or is a ``dry_run``. JSON is read only if a text in it can begin with the code, so
    that a flood of texts that merely contain it costs next to nothing.

    Args:
        payload: the message's payload.
        max_bytes: larger payloads are not read.

    """
    if not (_BEGINS.search(payload) or _ESCAPED.search(payload)):
        return False
    try:
        document = read(payload, max_bytes)
    except RejectedError:
        return False
    if document.get("parameters"):
        return _is_stop(document, lambda line: not _PLACEHOLDER.search(line))
    return _is_stop(document)


def origin_of(topic: str, payload: bytes) -> Origin:
    """Return the origin of a message that is rejected unread.

    Only small payloads are read, and nothing in them is checked.
    """
    document: Json = {}
    with suppress(RejectedError):
        document = read(payload, _GLANCE)
    return Origin(topic, _id(document), _command(topic, document))


def _emergency_envelope(payload: bytes, max_bytes: int) -> Envelope:
    document: Json = {}
    with suppress(RejectedError):
        document = read(payload, max_bytes)
    identity = _id(document)
    return Envelope() if identity is None else Envelope(id=identity)


def _unknown(topic: str, payload: bytes) -> RequestError:
    cause = RejectedError(unknown_topic(topic), error="unknown_topic", code=404)
    return RequestError(cause, origin_of(topic, payload).id, None)


def unknown_topic(topic: str) -> str:
    """Return the message about a topic that there is not, with the likeliest one."""
    first, _, last = topic.partition("/")
    meant = first if first in TOPICS else _OTHER_NAMES.get(topic)
    longer = [known for known in TOPICS if len(last) > 1 and known.startswith(topic)]
    if meant is None and len(longer) == 1:
        meant = longer[0]
    if meant is None:  # printers/ender/head
        meant = next((one for one in TOPICS if topic.endswith(f"/{one}")), None)
    several = _SEVERAL.get(topic, "")
    return f"unknown topic {shown(topic)}{several}{nearest(topic, TOPICS, meant)}"


def command_names(topic: str) -> Container[str]:
    """Return the commands of a topic whose payloads have the field ``command``."""
    named = topic != _RAW and not topic.startswith(_QUESTION)
    return TOPICS.get(topic, ()) if named else ()


@lru_cache(maxsize=len(TOPICS))
def payload_form(topic: str) -> str:
    """Return what a payload on a topic must be, with an example, for a message."""
    if topic.startswith(_QUESTION):
        return 'a JSON object such as {"id": "1"}, or empty'
    if topic == _RAW:
        return 'a JSON object such as {"command": "G28"}'
    return f"a JSON object such as {_payload(next(iter(TOPICS[topic].values())))}"


def _payload(kind: type[Command]) -> str:
    return json.dumps({"command": kind.name, **next(iter(kind.examples), {})})


def _kind(
    topic: str, names: Mapping[str, type[Command]], document: Json
) -> type[Command]:
    if topic.startswith(_QUESTION):
        return next(iter(names.values()))
    if topic == _RAW:
        given = [name for name in names if name in document]
        if len(given) != 1:
            raise RejectedError.invalid(
                f"the payload must have exactly one of {', '.join(names)}; for example "
                f'{{"command": "G28"}}{_wrapped(document)}'
            )
        return names[given[0]]
    if "command" not in document:
        raise RejectedError.invalid(
            f"command: is missing{_misspelt(document)}; it must be one of "
            f"{', '.join(names)}{_wrapped(document) or _such_as(names)}"
        )
    name = document["command"]
    if not isinstance(name, str):
        raise RejectedError.invalid(
            f"command: must be a text in quotation marks, not {shown(name)}"
        )
    if name not in names:
        raise _no_such_command(topic, name, names)
    return names[name]


def _no_such_command(
    topic: str, name: str, names: Mapping[str, type[Command]]
) -> RejectedError:
    code = '; G-code is sent on the topic "command"' if _CODE.match(name) else ""
    words = (name.lower(), *name.lower().split(), _OTHER_COMMANDS.get(name, ""))
    meant = next((word for word in words if word in names), None)
    example = _such_as(names) if len(names) == 1 else ""
    return RejectedError.invalid(
        f"command: {topic} has no {shown(name)}{code}{nearest(name, names, meant)}"
        f"{example}"
    )


def _misspelt(document: Json) -> str:
    """Return how ``command`` was spelt, if a key looks like it."""
    for key in document:
        if key.lower() in {"command", "cmd", "commands", "action"}:
            return f', because "{key}" must be spelt "command"'
    return ""


def _such_as(names: Mapping[str, type[Command]]) -> str:
    return f"; for example {_payload(next(iter(names.values())))}"


def _wrapped(document: Json) -> str:
    """Return what to do with a message of Node-RED or a call of Home Assistant.

    Their objects have the MQTT payload in a field (``msg.payload`` of Node-RED's mqtt
    out, ``payload`` of Home Assistant's action ``mqtt.publish``).
    """
    if "payload" in document:
        return '; send only what is in "payload"'
    if {"qos", "retain"} & document.keys():
        return "; qos and retain belong to the MQTT message, not to its payload"
    return ""


def _validated(kind: type[Command], document: Json) -> tuple[Envelope, Command]:
    around = {key: document[key] for key in Envelope.model_fields if key in document}
    own = {key: value for key, value in document.items() if key not in around}
    known = [*kind.model_fields, *Envelope.model_fields]
    if kind.topic != _RAW and not kind.topic.startswith(_QUESTION):
        del own["command"]
        known.append("command")
    try:
        return Envelope.model_validate(around), kind.model_validate(own)
    except ValidationError as error:
        text = first_problem(error, known)
        kinds = {"missing", "extra_forbidden"}
        shows = error.errors(include_url=False)[0]["type"] in kinds
        named = kind.topic != _RAW and not kind.topic.startswith(_QUESTION)
        if shows and named and kind.examples and "did you mean" not in text:
            text += f"; for example {_payload(kind)}"
        text += _wrapped(document)
        raise RejectedError.invalid(text) from None


def _id(document: Json) -> str | None:
    value = document.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        return None
    return value if printable(value) else None


def _command(topic: str, document: Json) -> str | None:
    if topic.startswith(_QUESTION):
        return topic.removeprefix(_QUESTION) if topic in TOPICS else None
    if topic == _RAW:
        given = [name for name in TOPICS[_RAW] if name in document]
        return given[0] if len(given) == 1 else None
    value = document.get("command")
    return value if isinstance(value, str) and value in TOPICS.get(topic, {}) else None
