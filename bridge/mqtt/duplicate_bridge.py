"""Another bridge on our topics: detected before we publish ``online``.

Only one bridge may serve a base topic, because two would both execute each command.
Retained messages of a crashed bridge look like those of a running one: ``availability``
is ``online``, and ``info`` names another instance. So a request is sent that every
running bridge answers; it needs no printer, because that may be busy.

The reasons are in ``docs/adr/0009-one-bridge-per-topic.md``.
"""

import contextlib
import json
import uuid
from typing import Any

from bridge.config import Mqtt
from bridge.errors import BridgeInTheWayError
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError
from bridge.mqtt.messages import Version
from bridge.mqtt.one_shot import OneShotClient
from bridge.timeout import timeout
from bridge.topics import AVAILABILITY, Topics

CHECK_CLIENT_ID = "{client_id}-look"
"""Beginning of the client id of this check; it may be in the access lists of brokers.
"""

RETAINED_TIMEOUT = 0.3
"""Seconds to wait for retained messages after SUBACK. Brokers send them at once
(MQTT 5.0, 3.3.1.3), and nothing says which one is the last."""

RESPONSE_TIMEOUT = 2.0
"""Seconds that a running bridge has to answer."""

DISCONNECT_TIMEOUT = 0.2
"""Seconds to wait for DISCONNECT to be written; the bridge is waiting to connect."""

LARGEST = 524_288
"""Bytes of an ``info`` or discovery message that are read; the latter has up to about
100 kB."""

LONGEST_NAME = 100
"""Characters of an instance id, which messages show; ours have 32."""

ONLINE = b"online"
"""The retained payload of ``availability`` while a bridge is connected."""


def instance_of(payload: bytes) -> str | None:
    """Return the instance in an ``info`` document; ``None``: it has none."""
    named = _document(payload).get("instance")
    return named if isinstance(named, str) and len(named) <= LONGEST_NAME else None


def _document(payload: bytes) -> dict[str, Any]:
    """Return a JSON object that a bridge has published; empty: it is none.

    Others can publish on its topics, and the event loop waits until it is read.
    """
    if len(payload) > LARGEST:
        return {}
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


async def find(  # noqa: PLR0913 - who we are, where, and how well
    config: Mqtt,
    topics: Topics,
    *,
    client_id: str,
    instance: str,
    version: Version | None = None,
    thorough: bool = False,
) -> str | None:
    """Return the instance of another bridge that serves these topics, if there is one.

    Args:
        config: how to reach the broker.
        topics: the topics in question.
        client_id: the client id of this check is derived from it.
        instance: our own instance.
        version: the MQTT version; ``None``: the configured one.
        thorough: ask also where nothing retained hints at one, and fail where the
            broker does not let us ask.

    Raises:
        AttemptError: The broker cannot be reached, or refuses this client id.

    """
    other: str | None = None
    async with _client(config, client_id, version) as client:
        # If the bridge itself is not allowed to do what fails here, that shows later.
        with contextlib.suppress(*(() if thorough else (AttemptError,))):
            other, _ = await _serving(client, topics, instance, thorough=thorough)
    return other


def _client(config: Mqtt, client_id: str, version: Version | None) -> OneShotClient:
    """Return a client with a different id.

    With the usual id, it would take over the other bridge's connection.
    """
    return OneShotClient(
        config,
        client_id=unique_id(CHECK_CLIENT_ID.format(client_id=client_id)),
        version=version,
        disconnect_timeout=DISCONNECT_TIMEOUT,
    )


async def _serving(
    client: OneShotClient, topics: Topics, instance: str, *, thorough: bool = False
) -> tuple[str | None, dict[str, bytes]]:
    """Return another bridge that serves these topics, and what is retained.

    Raises:
        AttemptError: The broker does not answer.

    """
    await client.subscribe((topics.availability, topics.info, topics.response))
    retained = await _retained(client, topics)
    other = instance_of(retained.get(topics.info, b""))
    online = thorough or retained.get(topics.availability) == ONLINE
    if online and other != instance and await _answers(client, topics):
        return other or "unknown", retained
    return None, retained


async def _retained(client: OneShotClient, topics: Topics) -> dict[str, bytes]:
    """Return what is retained on availability and info, as far as it matters."""
    found: dict[str, bytes] = {}
    with contextlib.suppress(TimeoutError):
        async with timeout(RETAINED_TIMEOUT):
            async for message in client.messages:
                found[message.topic] = message.payload
                if topics.availability in found and topics.info in found:
                    break
    return found


async def _answers(client: OneShotClient, topics: Topics) -> bool:
    """Return whether a bridge answers a request on these topics."""
    request_id = f"look-{uuid.uuid4().hex}"
    await client.publish(topics.question, json.dumps({"id": request_id}).encode())
    with contextlib.suppress(TimeoutError):
        async with timeout(RESPONSE_TIMEOUT):
            async for message in client.messages:
                answered = request_id.encode() in message.payload
                if answered and message.topic == topics.response:
                    return True
    return False


async def refuse(  # noqa: PLR0913 - who we are, and where
    config: Mqtt,
    topics: Topics,
    *,
    client_id: str,
    instance: str,
    version: Version,
    discovery: str | None = None,
) -> bytes:
    """Refuse to start where another bridge serves our topics, or our device.

    Returns the retained ``info`` of a bridge that does not answer, or nothing.

    Args:
        config: how to reach the broker.
        topics: our topics.
        client_id: the client id of this check is derived from it.
        instance: our own instance.
        version: the MQTT version.
        discovery: where Home Assistant reads about the printer with our id. Two bridges
            with the same id on different topics would describe the same device there,
            and its buttons would operate either printer.

    Raises:
        AttemptError: The broker cannot be reached, or refuses the connection.
        BridgeInTheWayError: Another bridge serves them.

    """
    silent = b""
    async with _client(config, client_id, version) as client:
        # If the bridge itself is not allowed to do what fails here, that shows later.
        with contextlib.suppress(AttemptError):
            silent = await _no_conflict(client, topics, instance, discovery)
    return silent


async def _no_conflict(
    client: OneShotClient, topics: Topics, instance: str, discovery: str | None
) -> bytes:
    """Return the retained ``info`` of a bridge that does not answer.

    Raises:
        AttemptError: The broker does not answer.
        BridgeInTheWayError: Another bridge serves our topics, or our device.

    """
    if discovery is not None:
        await client.subscribe([discovery])
    other, retained = await _serving(client, topics, instance)
    if other is not None:
        raise BridgeInTheWayError(conflict(topics, other))
    silent = retained.get(topics.info, b"")
    announced = announced_topics(retained.get(discovery or "", b""))
    if announced is None or announced == topics:
        return silent
    other, _ = await _serving(client, announced, instance)
    if other is None:
        return silent  # an earlier run, whose topic was changed since then
    raise BridgeInTheWayError(
        f"another bridge (instance {other}) serves {announced.base}/… with the same "
        "printer id, so both would be one device in Home Assistant; give one of the "
        "two another printers.id"
    )


def announced_topics(payload: bytes) -> Topics | None:
    """Return the topics of the bridge that wrote a discovery message, if it is one."""
    try:
        named = _document(payload)["availability"][0]["topic"]
    except (LookupError, TypeError):
        return None
    if not isinstance(named, str) or any(mark in named for mark in "+#\0"):
        return None
    base, slash, last = named.rpartition("/")
    return Topics(base) if base and slash and last == AVAILABILITY.suffix else None


def conflict(topics: Topics, other: str) -> str:
    """Return the error text about another bridge."""
    return (
        f"another bridge (instance {other}) serves {topics.base}/…; stop it, or give "
        "one of the two another printers.topic"
    )
