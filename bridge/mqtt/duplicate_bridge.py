"""Another bridge on our topics: noticed before we say ``online``.

Only one bridge may serve a base topic: two would both carry out each command. Whether
the other one lives is asked, because what a crashed bridge left behind looks the same:
``availability`` says ``online`` and ``info`` names another instance. Every living
bridge answers every question, so we ask one that needs no printer, as that may be busy.
The reasons are in ``docs/adr/0009-one-bridge-per-topic.md``.
"""

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Sequence

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt.client import Client
from bridge.mqtt.error_text import AttemptError, Hint
from bridge.mqtt.messages import Filter, Message, Publication, Version
from bridge.mqtt.topics import Topics

log = logging.getLogger("bridge.mqtt.broker")

REPLAY = 0.3
"""Seconds after the subscription in which retained messages come."""

ANSWER = 2.0
"""Seconds that a living bridge has to answer."""

ONLINE = b"online"


def instance_of(payload: bytes) -> str | None:
    """Return the instance that an ``info`` names, or ``None``."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    named = document.get("instance") if isinstance(document, dict) else None
    return named if isinstance(named, str) else None


class _Look:
    """Collects what is retained, and the answer to our question."""

    def __init__(self, topics: Topics, instance: str) -> None:
        self._topics = topics
        self._instance = instance
        self.question = f"look-{uuid.uuid4().hex}"
        self.online: bool | None = None
        self.other: str | None = None
        self._informed = False
        self.listening = asyncio.Event()
        self.known = asyncio.Event()
        self.answered = asyncio.Event()

    @property
    def suspicious(self) -> bool:
        """Something says ``online`` there, and it is not what we left."""
        return bool(self.online) and self.other != self._instance

    def received(self, message: Message) -> None:
        """Take in what is said about the topics."""
        if message.topic == self._topics.availability:
            self.online = message.payload == ONLINE
        elif message.topic == self._topics.info:
            self._informed = True
            self.other = instance_of(message.payload)
        elif self.question.encode() in message.payload:
            self.answered.set()
        if self.online is False or (self.online and self._informed):
            self.known.set()

    def published(self, _number: int, _code: int) -> None:
        """Need not know."""

    def subscribed(self, _number: int, _codes: Sequence[int]) -> None:
        """Know that what is retained comes now."""
        self.listening.set()


async def look(
    config: Mqtt,
    topics: Topics,
    *,
    client_id: str,
    instance: str,
    version: Version,
) -> str | None:
    """Return the instance of another bridge that serves these topics, if there is one.

    Uses a connection and a client id of its own: with the usual one it would throw the
    other bridge out.

    Raises:
        AttemptError: The broker cannot be reached, or refuses this client id.

    """
    seen = _Look(topics, instance)
    client = Client(config, seen, client_id=f"{client_id}-look", version=version)
    try:
        await client.connect()
        watched = (topics.availability, topics.info, topics.response)
        client.subscribe([Filter(topic=topic, replay=True) for topic in watched])
        await _within(seen.listening, config.connect_timeout)
        await _within(seen.known, REPLAY)
        if seen.suspicious:
            question = json.dumps({"id": seen.question}).encode()
            client.publish(Publication(topic=topics.question, payload=question, qos=1))
            await _within(seen.answered, ANSWER)
        await client.disconnect(patience=0.2)
    finally:
        client.close()
    return (seen.other or "unknown") if seen.answered.is_set() else None


async def refuse(
    config: Mqtt, topics: Topics, *, client_id: str, instance: str, version: Version
) -> None:
    """Give way to another bridge that serves our topics.

    Raises:
        AttemptError: The broker cannot be reached.
        BrokerError: There is one.

    """
    try:
        other = await look(
            config, topics, client_id=client_id, instance=instance, version=version
        )
    except AttemptError as error:
        # It may be only the second client id that the broker does not take.
        if error.hint is not Hint.REFUSED:
            raise
        log.debug("cannot look for another bridge: %s", error.message)
        return
    if other is not None:
        raise BrokerError(rival(topics, other))


def rival(topics: Topics, other: str) -> str:
    """Return what to say about another bridge."""
    return (
        f"another bridge (instance {other}) serves {topics.base}/…; stop it, or give "
        "one of the two another printers.topic"
    )


async def _within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        # wait_for() can lose a cancellation that comes with the event (Python 3.11).
        async with asyncio.timeout(seconds):
            await event.wait()
