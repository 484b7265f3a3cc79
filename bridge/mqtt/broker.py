"""The broker as the rest of the bridge sees it: sometimes out of reach, never away."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt import reasons, rivals
from bridge.mqtt.attempts import Takeovers, Versions
from bridge.mqtt.client import Client
from bridge.mqtt.desk import Desk, Presence, Statistics
from bridge.mqtt.messages import Grants, Lane, Message, Publication, Version, Will
from bridge.mqtt.reasons import AttemptError, Loss
from bridge.mqtt.session import OFFLINE, Session
from bridge.mqtt.witness import Witness
from bridge.pauses import Pauses, Repeats

log = logging.getLogger(__name__)

STABLE = 10.0
"""Seconds a connection must have stood to begin with the shortest pause again."""


class Broker:
    """One printer's connection to the broker, whose last will is its availability.

    Args:
        config: how to be on the broker.
        presence: who we are there, and what we hear.
        on_message: gets every message heard, retained ones too; what it raises ends
            :meth:`run`.
        on_connected: called on each connection, after the retained topics were queued.
        pauses: how long to wait between attempts.

    """

    def __init__(
        self,
        config: Mqtt,
        presence: Presence,
        on_message: Callable[[Message], None],
        *,
        on_connected: Callable[[], None] | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._config = config
        self._presence = presence
        self._desk = Desk(
            config=config,
            presence=presence,
            on_message=on_message,
            on_connected=on_connected,
        )
        self._pauses = pauses if pauses is not None else Pauses()
        self._versions = Versions(config.protocol)
        self._failures = Repeats()
        self._session: Session | None = None
        self._takeovers = Takeovers()

    @property
    def connected(self) -> bool:
        """A connection stands, and the broker has answered our subscriptions."""
        return self._desk.statistics.connected_since is not None

    @property
    def statistics(self) -> Statistics:
        """What has been counted; changes as it goes on."""
        return self._desk.statistics

    @property
    def dropped(self) -> Mapping[Lane, int]:
        """How many messages were dropped in each lane, too many or too old."""
        return self._desk.outbox.dropped

    @property
    def waiting(self) -> int:
        """How many messages the broker does not have yet."""
        on_way = self._session.unsettled if self._session is not None else 0
        return len(self._desk.outbox) + on_way

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost, until cancelled.

        Cancelled, or ended by an error, it says ``offline`` and takes leave.

        Raises:
            BrokerError: Our client id was taken over twice in a row, or another bridge
                serves our topics.

        """
        spread = random.SystemRandom()
        try:
            while True:
                await self._attempt()
                await asyncio.sleep(self._pauses.take(spread.random()))
        finally:
            self._save()

    def publish(  # noqa: PLR0913 - the parts of a message
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        expiry: int | None = None,
        correlation: bytes | None = None,
        lane: Lane = Lane.EVENT,
        short: bytes = b"",
    ) -> None:
        """Queue a message; never blocks, and does not fail when the broker is away.

        A retained message is kept and published again on each connection; the same
        again is not sent, unless it has an expiry. An empty retained one clears its
        topic.

        Args:
            topic: where.
            payload: what.
            qos: 0 or 1.
            retain: the broker keeps it.
            expiry: seconds for which it is good (MQTT 5).
            correlation: the correlation data of the request it answers (MQTT 5).
            lane: where it waits, unless it is retained.
            short: what is sent instead where the broker does not take so much; a
                retained topic is cleared then.

        """
        publication = Publication(
            topic=topic,
            payload=payload,
            qos=qos,
            retain=retain,
            expiry=expiry,
            correlation=correlation,
            lane=Lane.RETAINED if retain else lane,
            time=time.monotonic(),
            short=short,
        )
        self._desk.outbox.put(publication)
        if retain and payload:
            self._remember(topic)
        self._pump()

    def republish(self) -> None:
        """Publish all retained topics again, for subscribers that missed them."""
        self._desk.outbox.republish(last=self._presence.topics.availability)
        self._pump()

    def clear_leftovers(self) -> None:
        """Clear what earlier runs left and this one has not published.

        To be called when the printer's retained topics are known.
        """
        if self._presence.memory is not None:
            # Our availability may only be said a moment later.
            used = {*self._desk.outbox.retained, self._presence.topics.availability}
            self.clear(self._presence.memory.topics - used)

    def clear(self, topics: Iterable[str]) -> None:
        """Clear retained topics."""
        for topic in topics:
            self.publish(topic, b"", qos=1, retain=True)

    def forget(self, topics: Iterable[str]) -> None:
        """Leave retained topics as they are: they are not ours any more."""
        if self._presence.memory is not None:
            for topic in topics:
                self._presence.memory.discard(topic)
            self._save()

    def clear_command(self, topic: str) -> None:
        """Clear a retained message from a command topic."""
        if self._session is not None and self._session.may_clear(topic):
            self.publish(topic, b"", qos=1, retain=True)

    async def _attempt(self) -> None:
        """Connect once and serve until the connection is lost."""
        version = self._versions.current
        session = Session(self._desk, version)
        topic = self._presence.topics.availability
        will = Will(topic=topic, payload=OFFLINE, delay=self._config.will_delay)
        client = Client(
            self._config,
            session,
            client_id=self._presence.client_id,
            version=version,
            will=will,
        )
        try:
            await rivals.refuse(self._config, self._presence, version)
            grants = await client.connect()
        except AttemptError as error:
            client.close()
            self._versions.failed(error.hint)
            self._complain(error.message)
            return
        self._arrive(version)
        begun = time.monotonic()
        witness = self._witness(version)
        try:
            if self._takeovers.suspicious:
                await witness.come()
            loss = await self._serve(session, client, grants)
            lasted = time.monotonic() - begun
            self._take_loss(loss, lasted, witnessed=await witness.confirms())
        finally:
            client.close()
            witness.leave()

    def _witness(self, version: Version) -> Witness:
        return Witness(
            self._config,
            client_id=f"{self._presence.client_id}-witness",
            version=version,
            topic=self._presence.topics.availability,
        )

    async def _serve(self, session: Session, client: Client, grants: Grants) -> Loss:
        self._session = session
        try:
            return await session.serve(client, grants)
        except BrokerError:
            # The topics are the other bridge's: no word on them, not even by the will.
            await client.disconnect(patience=0.2)
            raise
        except (asyncio.CancelledError, Exception):
            await session.farewell()
            raise
        finally:
            self._session = None
            session.end()
            client.close()

    def _arrive(self, version: Version) -> None:
        where = reasons.endpoint(self._config)
        if self._versions.accepted():
            log.info(
                "%s does not take MQTT 5; mqtt.protocol: 3.1.1 saves the trying", where
            )
        log.info(
            "%s: connected as %s, MQTT %s",
            where,
            self._presence.client_id,
            version.value,
        )
        self._failures.forget()
        self._save()

    def _take_loss(self, loss: Loss, lasted: float, *, witnessed: bool) -> None:
        self._complain(loss.message)
        if lasted >= STABLE:
            self._pauses.reset()
        if self._takeovers.contested(loss, witnessed=witnessed, lasted=lasted):
            name = self._presence.client_id
            raise BrokerError(
                f"another client took over our client id {name!r} twice in a row; "
                "stop it, or set mqtt.client_id"
            )

    def _complain(self, message: str) -> None:
        line = self._failures.note(message, time.monotonic())
        if line is not None:
            log.warning("%s", line)

    def _pump(self) -> None:
        if self._session is not None:
            self._session.pump()

    def _remember(self, topic: str) -> None:
        memory = self._presence.memory
        if memory is not None:
            memory.add(topic)
            # Until there is a connection there are many, and nothing is retained yet.
            if self._session is not None:
                memory.save()

    def _save(self) -> None:
        if self._presence.memory is not None:
            self._presence.memory.save()
