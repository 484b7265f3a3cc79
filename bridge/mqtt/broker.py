"""The broker as the rest of the bridge sees it: it accepts messages at any time.

While there is no connection they wait in the outbox, and this reconnects: with a
back-off, in the MQTT version that the broker supports, and only where no other bridge
serves the same topics.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from bridge.backoff import Backoff
from bridge.config import Mqtt
from bridge.errors import BridgeInTheWayError
from bridge.log_dedupe import LogDedupe
from bridge.mqtt import duplicate_bridge, error_text
from bridge.mqtt.client import Client
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError, Hint, Loss
from bridge.mqtt.messages import BrokerLimits, Lane, Message, Publication, Version, Will
from bridge.mqtt.one_shot import OneShotClient
from bridge.mqtt.session import (
    OFFLINE,
    BrokerSession,
    Presence,
    SharedState,
    Statistics,
)
from bridge.timeout import timeout

log = logging.getLogger(__name__)

STABLE_AFTER = 10.0
"""Seconds that a connection must have been up for the back-off to start over."""

MAX_CLOSED = 2
"""Connections closed without CONNACK after which the other MQTT version is tried."""

CONTEST_WINDOW = 60.0
"""Seconds: a connection that was up for longer was not lost to another client that
reconnects in turn with ours."""

MAX_TAKEOVERS = 2
"""Takeovers in a row after which they are reported. The broker disconnects the older
connection of a client id (MQTT 5.0, 3.1.4), and anyone can send a client id, so a
takeover must never end the bridge, which watches heaters."""

CONFLICT_DISCONNECT_TIMEOUT = 0.2
"""Seconds to wait for DISCONNECT to be written where another bridge has our topics."""

CHECK_CLIENT_ID = "{client_id}-witness"
"""What the client id of the takeover check begins with; access lists of brokers may
contain it."""

CHECK_TIMEOUT = 2.0
"""Seconds that the broker has to answer the takeover check."""


class Broker:
    """One printer's connection to the broker, whose last will is its availability.

    Args:
        config: how to reach the broker.
        presence: who we are there, and what we subscribe to.
        on_message: is called with every message, including retained ones; what it
            raises ends :meth:`run`.
        on_connected: is called on each connection, after the retained topics have been
            queued.
        pauses: the back-off between attempts to connect.
        between: is called between two packets that are received.

    """

    def __init__(  # noqa: PLR0913 - its callbacks
        self,
        config: Mqtt,
        presence: Presence,
        on_message: Callable[[Message], None],
        *,
        on_connected: Callable[[], None] | None = None,
        pauses: Backoff | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._between = between
        self._presence = presence
        self._shared = SharedState(
            config=config,
            presence=presence,
            on_message=on_message,
            on_connected=on_connected,
        )
        self._pauses = pauses if pauses is not None else Backoff()
        self._versions = ProtocolFallback(config.protocol)
        self._failures = LogDedupe()
        self._conflicts = LogDedupe()
        self._session: BrokerSession | None = None
        self._takeovers = TakeoverDetector()

    @property
    def connected(self) -> bool:
        """Whether we are connected and subscribed."""
        return self._shared.statistics.connected_since is not None

    @property
    def statistics(self) -> Statistics:
        """Counts over all connections; the object is updated."""
        return self._shared.statistics

    @property
    def dropped(self) -> Mapping[Lane, int]:
        """How many messages of each lane were dropped: too many, or too old."""
        return self._shared.outbox.dropped

    @property
    def waiting(self) -> int:
        """How many messages the broker has not acknowledged yet."""
        in_flight = self._session.in_flight if self._session is not None else 0
        return len(self._shared.outbox) + in_flight

    async def run(self) -> None:
        """Connect, and reconnect whenever the connection is lost, until cancelled.

        When cancelled, or ended by an error in ``on_message``, it publishes ``offline``
        and disconnects.

        Raises:
            Exception: What ``on_message`` raised.

        """
        spread = random.SystemRandom()
        try:
            while True:
                await self._attempt()
                await asyncio.sleep(self._pauses.next_delay(spread.random()))
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
        """Queue a message; never blocks, and does not fail without a connection.

        A retained message is kept and published again on each connection. An unchanged
        value is not sent again, unless it has an expiry. An empty retained message
        clears its topic.

        Args:
            topic: the topic.
            payload: the payload.
            qos: 0 or 1.
            retain: whether the broker retains it.
            expiry: seconds until it expires (MQTT 5).
            correlation: correlation data of the request that it answers (MQTT 5).
            lane: the queue it waits in, unless it is retained.
            short: payload to send instead if the broker does not accept that size; a
                retained topic without one is cleared then.

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
        self._shared.outbox.put(publication)
        if retain and payload:
            self._remember(topic)
        self._send_waiting()

    def republish(self) -> None:
        """Publish all retained topics again, for subscribers that missed them."""
        self._shared.outbox.republish(last=self._presence.topics.availability)
        self._send_waiting()

    def clear_leftovers(self) -> None:
        """Clear the retained topics of earlier runs that this one does not publish.

        To be called once all retained topics of the printer have been published.
        """
        if self._presence.record is not None:
            # Our availability may not have been published yet.
            used = {*self._shared.outbox.retained, self._presence.topics.availability}
            self.clear(self._presence.record.topics - used)

    def clear(self, topics: Iterable[str]) -> None:
        """Clear retained topics."""
        for topic in topics:
            self.publish(topic, b"", qos=1, retain=True)

    def forget(self, topics: Iterable[str]) -> None:
        """Forget retained topics without clearing them: another bridge has them now."""
        if self._presence.record is not None:
            for topic in topics:
                self._presence.record.discard(topic)
            self._save()

    def clear_command(self, topic: str) -> None:
        """Clear a retained message from a command topic."""
        if self._session is not None:
            self.publish(topic, b"", qos=1, retain=True)

    async def _attempt(self) -> None:
        """Connect once, and return when the connection is lost or was not made."""
        version = self._versions.current
        session = BrokerSession(self._shared, version)
        topic = self._presence.topics.availability
        will = Will(topic=topic, payload=OFFLINE, delay=self._config.will_delay)
        client = Client(
            self._config,
            session,
            client_id=self._presence.client_id,
            version=version,
            will=will,
            between=self._between,
        )
        try:
            await self._refuse_duplicate(version)
            limits = await client.connect()
        except AttemptError as error:
            client.close()
            self._versions.failed(error.hint)
            self._warn(error.message)
            return
        except BridgeInTheWayError as error:
            client.close()
            self._warn_of_conflict(str(error))
            return
        self._note_connected(version)
        started = time.monotonic()
        check = self._takeover_check(version)
        try:
            if self._takeovers.suspected:
                await check.connect()
            loss = await self._serve(session, client, limits)
            lasted = time.monotonic() - started
            connected = await check.is_connected()
            self._note_loss(loss, lasted, reference_connected=connected)
        except BridgeInTheWayError as error:
            self._warn_of_conflict(str(error))
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
            client_id=unique_id(
                CHECK_CLIENT_ID.format(client_id=self._presence.client_id)
            ),
            version=version,
            topic=self._presence.topics.availability,
        )

    async def _serve(
        self, session: BrokerSession, client: Client, limits: BrokerLimits
    ) -> Loss:
        self._session = session
        try:
            return await session.serve(client, limits)
        except BridgeInTheWayError:
            # The topics are the other bridge's: neither `offline` nor the last will
            # may be published on them.
            await client.disconnect(CONFLICT_DISCONNECT_TIMEOUT)
            raise
        except (asyncio.CancelledError, Exception):
            await session.disconnect()
            raise
        finally:
            self._session = None
            session.end()
            client.close()

    def _note_connected(self, version: Version) -> None:
        where = error_text.endpoint(self._config)
        if self._versions.accepted():
            log.info(
                "%s does not support MQTT 5; mqtt.protocol: 3.1.1 avoids trying it",
                where,
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
        self._warn(loss.message)
        if lasted >= STABLE_AFTER:
            self._pauses.reset()
        if self._takeovers.contested(
            loss, reference_connected=reference_connected, lasted=lasted
        ):
            name = self._presence.client_id
            self._warn_of_conflict(
                f"another client took over our client id {name!r} twice in a row; "
                "stop it, or set mqtt.client_id; connecting again with a back-off"
            )

    def _warn_of_conflict(self, message: str) -> None:
        """Log it, even if connections in between succeed, but not each time."""
        line = self._conflicts.filter(message, time.monotonic())
        if line is not None:
            log.warning("%s", line)

    def _warn(self, message: str) -> None:
        line = self._failures.filter(message, time.monotonic())
        if line is not None:
            log.warning("%s", line)

    def _send_waiting(self) -> None:
        if self._session is not None:
            self._session.send_waiting()

    def _remember(self, topic: str) -> None:
        record = self._presence.record
        if record is not None:
            record.add(topic)
            # Without a connection nothing is retained yet, and there are many at start.
            if self._session is not None:
                record.save()

    def _save(self) -> None:
        if self._presence.record is not None:
            self._presence.record.save()


class ProtocolFallback:
    """Chooses MQTT 5, or 3.1.1 for brokers that do not support 5.

    Some brokers refuse the version in CONNACK; others close the connection, or never
    answer, and so does one that is still starting. After :data:`MAX_CLOSED` of those,
    the versions are tried in turn until one is accepted, which is then kept.
    """

    def __init__(self, protocol: Literal["auto", "5", "3.1.1"]) -> None:
        self._fixed = protocol != "auto"
        self._current = Version.V311 if protocol == "3.1.1" else Version.V5
        self._settled = self._fixed
        self._closed = 0

    @property
    def current(self) -> Version:
        """The version to try."""
        return self._current

    def failed(self, hint: Hint) -> None:
        """Note how an attempt failed."""
        if self._fixed or (self._settled and hint is not Hint.VERSION):
            return
        if hint is Hint.VERSION:
            self._change()
        elif hint is Hint.CLOSED:
            self._closed += 1
            if self._current is Version.V311 or self._closed >= MAX_CLOSED:
                self._change()

    def accepted(self) -> bool:
        """Note an accepted connection; return whether it is the first one on 3.1.1."""
        first = not self._settled and self._current is Version.V311
        self._settled = True
        return first

    def _change(self) -> None:
        self._closed = 0
        self._settled = False
        self._current = Version.V311 if self._current is Version.V5 else Version.V5


class TakeoverDetector:
    """Decides when another client is using our client id."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def suspected(self) -> bool:
        """Whether the latest connection may have been taken over."""
        return self._count > 0

    def contested(
        self, loss: Loss, *, reference_connected: bool, lasted: float
    ) -> bool:
        """Note how a connection ended; return whether to report a takeover.

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
