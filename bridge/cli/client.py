"""``gcode2mqtt send`` and ``watch``: for people without an MQTT client."""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.cli.progress import dots
from bridge.cli.signals import run_until_signal
from bridge.commands import command_names, payload_form, unknown_topic
from bridge.commands.emergency import EmergencyStop
from bridge.commands.json_payload import read
from bridge.commands.registry import TOPICS
from bridge.config import Config, Mqtt
from bridge.config_file import find, load
from bridge.errors import BrokerError, ConfigError, RejectedError
from bridge.logs import escaped
from bridge.mqtt import error_text
from bridge.mqtt.client import FAILURE
from bridge.mqtt.messages import Message
from bridge.mqtt.one_shot import OneShotClient, subscribed_to
from bridge.timeout import timeout, timeout_at
from bridge.topics import Topics
from bridge.validation_errors import nearest

RESPONSE_TIMEOUT = 600.0
"""Seconds to wait for a response; heating up takes minutes."""

ARRIVAL = 5.0
"""Seconds that a starting bridge has to come online and connect its printer."""

RETURN = 5.0
"""Seconds that a bridge that lost the broker has to return with its response."""

_UNHEARD = (
    "it was published, but no bridge is online at {}; is it running, and is the topic "
    "right?"
)
_GONE = (
    "the bridge went offline before it answered ({}); the command may have been "
    "carried out"
)

_MAX_BYTES = 16_777_216  # the highest value of mqtt.max_payload
_TOPIC = "printer"


@dataclass(frozen=True, slots=True)
class _Destination:
    """Where the printers are.

    Attributes:
        broker: how to connect.
        topics: base topics of printers.

    """

    broker: Mqtt
    topics: Sequence[str]


def send(chosen: argparse.Namespace) -> int:
    """Publish a command and print its response; return 0 if it is ``finished``.

    Raises:
        ConfigError: The payload is no JSON object, there is no such topic, or the
            configuration does not say which printer is meant.
        BrokerError: The broker cannot be reached, or no bridge is online (any more).

    """
    topic = chosen.to.strip("/")
    if topic not in TOPICS:
        raise ConfigError(unknown_topic(topic))
    payload = _object(topic, chosen.payload)
    target = _target(chosen)
    if any("+" in base for base in target.topics):
        raise ConfigError(
            "--topic: a command is sent to one printer; name its topic, without +"
        )
    if len(target.topics) > 1:
        raise ConfigError("the configuration has several printers; choose --printer")
    payload.setdefault("id", uuid.uuid4().hex)
    base = target.topics[0]
    response = asyncio.run(_exchange(target.broker, base, topic, payload))
    if response is None:
        print(f"no response within {RESPONSE_TIMEOUT:g} s: does a bridge serve {base}?")
        return 1
    print(escaped(json.dumps(response, ensure_ascii=False)))
    return 0 if response.get("status") == "finished" else 1


def watch(chosen: argparse.Namespace) -> int:
    """Print what is published until a signal; return 0.

    Raises:
        ConfigError: The configuration cannot be used, or has no such printer.
        BrokerError: The broker cannot be reached, or the connection is lost.

    """
    target = _target(chosen)
    run_until_signal(_print_all(target, events=chosen.events, full=chosen.full))
    return 0


async def _exchange(
    broker: Mqtt, base: str, topic: str, payload: dict[str, Any]
) -> dict[str, Any] | None:
    topics = Topics(base)
    heard = [topics.availability, topics.connection, topics.response]
    async with dots(), subscribed_to(broker, heard) as client:
        # A command that nobody receives is lost, and waiting for its response is
        # useless. An emergency stop, however, waits for nothing.
        urgent = f"{base}/{topic}" == topics.emergency
        if not urgent:
            await _online(client, topics.availability, "nothing was sent")
            if not topic.startswith(("request/", "link")):
                await _connected(client, topics.connection)
        content = json.dumps(payload).encode()
        code = await client.publish(f"{base}/{topic}", content)
        if code >= FAILURE:
            raise BrokerError(
                error_text.no_right(broker, f"{base}/{topic}", write=True, code=code)
            )
        return await _response(
            client, topics.availability, payload["id"], unattended=urgent
        )


async def _response(
    client: OneShotClient,
    availability: str,
    wanted: str,
    *,
    unattended: bool,
) -> dict[str, Any] | None:
    """Return the response with this id; ``None``: the bridge is online, but sent none.

    Args:
        client: the connection, subscribed to the responses.
        availability: the topic that says whether a bridge is online.
        wanted: the command's id.
        unattended: it was sent without waiting for a bridge.

    Raises:
        BrokerError: The connection is lost, or the bridge is gone.

    """
    clock, gone = asyncio.get_running_loop().time, unattended
    ends = clock() + RESPONSE_TIMEOUT
    try:
        async with timeout_at(clock() + ARRIVAL if gone else ends) as limit:
            async for message in client.messages:
                if message.topic == availability:
                    gone = message.payload != b"online"
                    unattended = unattended and gone
                    limit.reschedule(clock() + RETURN if gone else ends)
                elif (response := _read(message)).get("id") == wanted:
                    return response
    except TimeoutError:
        if not gone:
            return None
    raise BrokerError((_UNHEARD if unattended else _GONE).format(availability))


async def _online(client: OneShotClient, topic: str, outcome: str) -> None:
    try:
        async with timeout(ARRIVAL):
            await _heard(client, topic)
    except TimeoutError:
        raise BrokerError(
            f"{outcome}: no bridge is online at {topic}; is it running, and is the "
            "topic right?"
        ) from None


async def _connected(client: OneShotClient, topic: str) -> None:
    """Wait for the printer of a bridge that has just started.

    If it does not come, the command is sent all the same: the response says why.
    """
    with contextlib.suppress(TimeoutError):
        async with timeout(ARRIVAL):
            await _heard(client, topic)


async def _heard(client: OneShotClient, topic: str) -> None:
    async for message in client.messages:
        if (message.topic, message.payload) == (topic, b"online"):
            return


async def _print_all(target: _Destination, *, events: bool, full: bool) -> None:
    wanted = ("event", "response") if events else ("#",)
    filters = [f"{topic}/{level}" for topic in target.topics for level in wanted]
    width = shutil.get_terminal_size().columns
    short = sys.stdout.isatty() and not full
    async with subscribed_to(target.broker, filters) as client:
        async for message in client.messages:
            line = shown(message, datetime.now())  # noqa: DTZ005 - people's own time
            print(f"{line[: width - 1]}…" if short and len(line) > width else line)
            sys.stdout.flush()


def shown(message: Message, now: datetime) -> str:
    """Return a message in a line: time, topic, payload; control characters escaped."""
    text = message.payload.decode(errors="backslashreplace")
    line = f"{now:%H:%M:%S} {message.topic} {text}"
    return escaped(line)


def _target(chosen: argparse.Namespace) -> _Destination:
    """Return the broker and the printers that are meant.

    Without --broker they are looked for in the configuration, as every other
    subcommand does, and then on this machine.
    """
    topics = [chosen.topic] if chosen.topic is not None else []
    without = chosen.broker is not None or (chosen.config is None and find() is None)
    if without and chosen.printer is not None:
        raise ConfigError(
            "--printer names a printer of a configuration, and there is none; name the "
            "file with --config, or the printer's topic with --topic"
        )
    if chosen.broker is not None:
        host, port = chosen.broker
        return _Destination(Mqtt(host=host, port=port), topics or [_TOPIC])
    if without:
        return _Destination(Mqtt(), topics or [_TOPIC])
    config = load(chosen.config, os.environ)
    return _Destination(config.mqtt, topics or _bases(config, chosen.printer))


def _bases(config: Config, wanted: str | None) -> Sequence[str]:
    ids = [printer.id for printer in config.printers]
    if wanted is not None and wanted not in ids:
        raise ConfigError(f'--printer: there is no "{wanted}"{nearest(wanted, ids)}')
    return [
        config.base(printer)
        for printer in config.printers
        if wanted in {None, printer.id}
    ]


def _object(topic: str, text: str) -> dict[str, Any]:
    """Return the payload; an emergency stop takes any text, and a request may be empty.

    Raises:
        ConfigError: It is not what the topic takes; the message has an example.

    """
    content = text.encode(errors="surrogateescape")
    if topic.startswith("request/") and not content.strip():
        return {}
    try:
        return dict(
            read(content, _MAX_BYTES, payload_form(topic), command_names(topic))
        )
    except RejectedError as error:
        if topic == EmergencyStop.topic:
            return {}
        raise ConfigError(error.message) from None


def _read(message: Message) -> dict[str, Any]:
    try:
        document = json.loads(message.payload)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
