"""One connection that stands: what is heard on it, and what is on its way."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bridge.errors import BrokerError
from bridge.mqtt import reasons, verdicts
from bridge.mqtt.client import FAILURE, Client
from bridge.mqtt.desk import Desk
from bridge.mqtt.echoes import Echoes
from bridge.mqtt.large import large
from bridge.mqtt.messages import (
    Filter,
    Grants,
    Message,
    Publication,
    Version,
)
from bridge.mqtt.reasons import Loss
from bridge.mqtt.rivals import instance_of, rival

WINDOW = 20
"""Messages handed to the client library and not yet settled. The rest waits in the
outbox, where the latest value of a retained topic replaces the one before."""

WINDOW_BYTES = 1_048_576
"""The same in bytes; one larger message may go alone."""

ASSERT_PAUSE = 0.2
"""Seconds before ``online`` is said again, so that two who disagree cannot spin."""

FAREWELL = 0.5
"""Seconds for each step of taking leave: the last messages, ``offline``, DISCONNECT."""

ONLINE, OFFLINE = b"online", b"offline"


class Session:
    """Listens on a connection and keeps a bounded number of messages on their way."""

    def __init__(self, desk: Desk, version: Version) -> None:
        self._desk = desk
        self._version = version
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._grants = Grants()
        self._filters: Sequence[Filter] = ()
        self._on_way: dict[int, Publication] = {}
        self._bytes = 0
        self._settled = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._echoes = Echoes()
        self._closing = False
        self._rivals: set[str] = set()

    async def serve(self, client: Client, grants: Grants) -> Loss:
        """Subscribe, say that we are there, and go on until the connection ends.

        Raises:
            BrokerError: Another bridge serves our topics.
            Exception: What ``on_message`` raised.

        """
        self._client = client
        self._grants = grants
        topics = self._desk.topics
        self._filters = [
            Filter(topic=topics.availability, own=True),
            Filter(topic=topics.info),
            *(Filter(topic=topic) for topic in self._desk.presence.subscriptions),
            *(Filter(topic=topic) for topic in self._desk.presence.optional),
        ]
        patience = self._desk.config.connect_timeout
        self._timer = self._loop.call_later(patience, self._unanswered)
        client.subscribe(self._filters)
        return self._explained(await client.ended())

    async def farewell(self) -> None:
        """Say ``offline`` after all that still waits, and leave.

        Without an answer in time we go without taking leave: then the will says it.
        """
        self._closing = True
        client = self._client
        if client is None:
            return
        await self._drain()
        self._desk.outbox.put(self._availability(OFFLINE))
        if await self._drain():
            await client.disconnect(patience=FAREWELL)

    def end(self) -> None:
        """Give back what was on its way."""
        self._stop_timer()
        self._client = None
        self._desk.statistics.connected_since = None
        for publication in reversed(self._on_way.values()):
            self._desk.outbox.undelivered(publication)
        self._on_way.clear()
        self._bytes = 0

    def pump(self) -> None:
        """Send what waits, as far as the window lets us."""
        if self._client is None:
            return
        while self._room():
            publication = self._desk.outbox.take(self._loop.time())
            if publication is None or not self._send(self._client, publication):
                break
        if not self._on_way and not len(self._desk.outbox):
            self._settled.set()

    @property
    def unsettled(self) -> int:
        """How many messages are on their way."""
        return len(self._on_way)

    def may_clear(self, topic: str) -> bool:
        """Tell whether it is safe to clear a command topic.

        On MQTT 3.1.1 the clearing message comes back like a command and must be told
        from one. An emergency must not be missed: there a person has to do it.
        """
        if self._version is Version.V5:
            return True
        if topic == self._desk.topics.emergency:
            self._desk.warn(
                f"clear {topic}",
                f"a message is retained on {topic} and is not cleared, as MQTT 3.1.1 "
                "could not tell that from an emergency; stop the bridge, then clear "
                f"it: mosquitto_pub -r -n -t {topic}",
            )
            return False
        return True

    def received(self, message: Message) -> None:
        """Take a message; those about our own availability are for us."""
        topics = self._desk.topics
        if message.topic == topics.availability:
            self._hear_availability(message)
        elif message.topic == topics.info:
            self._hear_info(message)
        elif message.payload or not self._echoes.heard(
            message.topic, self._loop.time()
        ):
            self._desk.statistics.received += 1
            self._desk.on_message(message)

    def published(self, number: int, code: int) -> None:
        """Settle a message, and send the next."""
        publication = self._on_way.pop(number, None)
        if publication is not None:
            self._bytes -= publication.size
            verdicts.settle(self._desk, publication, code)
        self.pump()

    def subscribed(self, _number: int, codes: Sequence[int]) -> None:
        """Warn about what we may not hear, and say that we are there."""
        self._stop_timer()
        refused = [
            (wanted.topic, code)
            for wanted, code in zip(self._filters, codes, strict=False)
            if code >= FAILURE and wanted.topic not in self._desk.presence.optional
        ]
        for topic, code in refused:
            text = reasons.no_right(self._desk.config, topic, write=False, code=code)
            self._desk.warn(f"read {topic}", text)
        self._go_online()

    async def _drain(self) -> bool:
        """Wait until everything has reached the broker; tell whether it did."""
        self._settled.clear()
        self.pump()
        try:
            async with asyncio.timeout(FAREWELL):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    def _go_online(self) -> None:
        """Publish the whole table, ``online`` last: then what it promises is there."""
        outbox, statistics = self._desk.outbox, self._desk.statistics
        statistics.connects += 1
        statistics.protocol = self._version.value
        statistics.connected_since = datetime.now(UTC)
        outbox.put(self._availability(ONLINE))
        outbox.republish(last=self._desk.topics.availability)
        self.pump()
        if self._desk.on_connected is not None:
            self._desk.on_connected()

    def _availability(self, payload: bytes) -> Publication:
        topic = self._desk.topics.availability
        return Publication(topic=topic, payload=payload, qos=1, retain=True)

    def _hear_availability(self, message: Message) -> None:
        """Contradict ``offline``: it is the last will of an earlier connection."""
        if self._replayed(message) or self._closing or self._timer is not None:
            return
        if message.payload == OFFLINE:
            self._timer = self._loop.call_later(ASSERT_PAUSE, self._assert_online)

    def _assert_online(self) -> None:
        self._timer = None
        if not self._closing:
            self._desk.outbox.assert_again(self._desk.topics.availability)
            self.pump()

    def _hear_info(self, message: Message) -> None:
        """Settle who stays when another bridge came at the same moment.

        Both decide alike: the lower instance stays, and says its ``info`` again so that
        the other, which may have come later, hears of it.
        """
        other, ours = instance_of(message.payload), self._desk.presence.instance
        if self._replayed(message) or other in (None, ours) or not ours:
            return
        if str(other) < ours:
            raise BrokerError(rival(self._desk.topics, str(other)))
        if str(other) not in self._rivals:
            self._rivals.add(str(other))
            self._desk.outbox.assert_again(self._desk.topics.info)
            self.pump()

    def _replayed(self, message: Message) -> bool:
        return message.retain and self._version is Version.V311

    def _room(self) -> bool:
        window = min(WINDOW, self._grants.in_flight)
        return len(self._on_way) < window and self._bytes < WINDOW_BYTES

    def _send(self, client: Client, publication: Publication) -> bool:
        """Hand a message over; tell whether to go on with the next."""
        grants = self._grants
        if grants.packet is not None and publication.size > grants.packet:
            why = f"it announces {grants.packet} bytes"
            verdicts.shorten(self._desk, publication, why)
            return True
        number = client.publish(publication)
        if number is None:
            self._desk.outbox.undelivered(publication)
            self._desk.outbox.assert_again(publication.topic)
            return False
        self._on_way[number] = publication
        self._bytes += publication.size
        if self._comes_back(publication):
            self._echoes.expect(publication.topic, self._loop.time())
        return True

    def _comes_back(self, publication: Publication) -> bool:
        clears = publication.retain and not publication.payload
        topic = publication.topic
        return (
            clears
            and self._version is Version.V311
            and self._desk.topics.is_command(topic)
        )

    def _explained(self, loss: Loss) -> Loss:
        """Suspect a large message that was on its way when the broker left us."""
        suspects = large(self._on_way.values()) if loss.unexplained else ()
        for publication in self._desk.suspects.judge(suspects):
            numbers = [n for n, one in self._on_way.items() if one == publication]
            for number in numbers:
                del self._on_way[number]
            verdicts.shorten(self._desk, publication, "it closed the connection twice")
        if not suspects:
            return loss
        first = suspects[0]
        text = (
            f"{loss.message}; {len(first.payload)} bytes were on their way to "
            f"{self._desk.place(first)}, which may be more than the broker takes"
        )
        return replace(loss, message=text, unexplained=False)

    def _unanswered(self) -> None:
        self._timer = None
        if self._client is not None:
            where = reasons.endpoint(self._desk.config)
            self._client.give_up(f"{where} did not answer our subscriptions")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
