"""The broker as the rest of the bridge sees it: sometimes out of reach, never away."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from bridge.config import Mqtt
from bridge.errors import BrokerError
from bridge.mqtt import duplicate_bridge, error_text
from bridge.mqtt.client import Client
from bridge.mqtt.error_text import AttemptError, Hint, Loss
from bridge.mqtt.messages import Grants, Lane, Message, Publication, Version, Will
from bridge.mqtt.one_shot import OneShotClient
from bridge.mqtt.session import OFFLINE, Desk, Presence, Session, Statistics
from bridge.pauses import Pauses, Repeats
from bridge.timeout import timeout

log = logging.getLogger(__name__)

STABLE_AFTER = 10.0
"""Seconds that a connection must have been up for the back-off to start over."""

MAX_CLOSED = 2
"""Connections closed without CONNACK after which the other MQTT version is tried."""

CONTEST_WINDOW = 60.0
"""Seconds: a connection that was up for longer was not lost in a fight over its id."""

MAX_TAKEOVERS = 2
"""Takeovers in a row after which the bridge gives way, or two bridges with the same
client id would disconnect each other forever (MQTT 5.0, 3.1.4)."""

CHECK_TIMEOUT = 2.0
"""Seconds that the broker has to answer the takeover check."""


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
            await self._refuse_duplicate(version)
            grants = await client.connect()
        except AttemptError as error:
            client.close()
            self._versions.failed(error.hint)
            self._complain(error.message)
            return
        self._arrive(version)
        begun = time.monotonic()
        check = self._takeover_check(version)
        try:
            if self._takeovers.suspected:
                await check.connect()
            loss = await self._serve(session, client, grants)
            lasted = time.monotonic() - begun
            connected = await check.is_connected()
            self._note_loss(loss, lasted, reference_connected=connected)
        finally:
            client.close()
            check.close()

    async def _refuse_duplicate(self, version: Version) -> None:
        if self._presence.instance:
            await duplicate_bridge.refuse(
                self._config,
                self._presence.topics,
                client_id=self._presence.client_id,
                instance=self._presence.instance,
                version=version,
            )

    def _takeover_check(self, version: Version) -> "TakeoverCheck":
        return TakeoverCheck(
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
        where = error_text.endpoint(self._config)
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

    def _note_loss(
        self, loss: Loss, lasted: float, *, reference_connected: bool
    ) -> None:
        self._complain(loss.message)
        if lasted >= STABLE_AFTER:
            self._pauses.reset()
        if self._takeovers.contested(
            loss, reference_connected=reference_connected, lasted=lasted
        ):
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


class Versions:
    """Version 5, and 3.1.1 for brokers that do not take it.

    Some say so; others close the connection, or never answer, as a broker does that is
    not up yet. After two of those each version has its turn until one is accepted, and
    that one stays.
    """

    def __init__(self, protocol: Literal["auto", "5", "3.1.1"]) -> None:
        self._fixed = protocol != "auto"
        self._current = Version.V311 if protocol == "3.1.1" else Version.V5
        self._settled = self._fixed
        self._closings = 0

    @property
    def current(self) -> Version:
        """The version to try."""
        return self._current

    def failed(self, hint: Hint) -> None:
        """Learn how an attempt failed."""
        if self._fixed or (self._settled and hint is not Hint.VERSION):
            return
        if hint is Hint.VERSION:
            self._change()
        elif hint is Hint.CLOSED:
            self._closings += 1
            if self._current is Version.V311 or self._closings >= MAX_CLOSED:
                self._change()

    def accepted(self) -> bool:
        """Learn that a connection stands; tell whether it is news that 5 does not."""
        news = not self._settled and self._current is Version.V311
        self._settled = True
        return news

    def _change(self) -> None:
        self._closings = 0
        self._settled = False
        self._current = Version.V311 if self._current is Version.V5 else Version.V5


class Takeovers:
    """Decides when to give way to another client that uses our client id."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def suspected(self) -> bool:
        """Whether the latest connection may have been taken over."""
        return self._count > 0

    def contested(
        self, loss: Loss, *, reference_connected: bool, lasted: float
    ) -> bool:
        """Note how a connection ended; return whether to give way.

        A single loss without a reason only raises the suspicion. The second in a row is
        certain when the broker says so, or when it closed this connection only.

        Args:
            loss: how it ended.
            reference_connected: the connection of the :class:`TakeoverCheck` was still
                up.
            lasted: how many seconds it was up.

        """
        certain = loss.taken_over or (loss.unexplained and reference_connected)
        if lasted >= CONTEST_WINDOW or not certain:
            self._count = 0
        self._count += loss.taken_over or loss.unexplained
        return certain and self._count >= MAX_TAKEOVERS


class TakeoverCheck:
    """A second, idle connection that shows whether the broker closed only the first.

    A broker disconnects a client when another one connects with its client id, but few
    say so: MQTT 3.1.1 has no reason codes, and Mosquitto 2.0.11 closes the connection
    without DISCONNECT on MQTT 5 too. When that happens while a connection with another
    client id stays up, neither the network nor a broker restart was the cause.

    Args:
        config: how to reach the broker.
        client_id: the client id of this connection.
        version: the MQTT version.
        topic: a topic that we are allowed to subscribe to.

    """

    def __init__(
        self, config: Mqtt, *, client_id: str, version: Version, topic: str
    ) -> None:
        self._topic = topic
        self._client = OneShotClient(config, client_id=client_id, version=version)
        self._connected = False

    async def connect(self) -> None:
        """Connect; where that fails nothing can be confirmed later."""
        with contextlib.suppress(AttemptError):
            await self._client.connect()
            self._connected = True

    async def is_connected(self) -> bool:
        """Return whether the broker still answers on this connection."""
        if not self._connected:
            return False
        try:
            async with timeout(CHECK_TIMEOUT):
                await self._client.subscribe([self._topic], replay=False)
        except (AttemptError, TimeoutError):
            return False
        return True

    def close(self) -> None:
        """Close the connection; safe to call again."""
        self._client.close()
