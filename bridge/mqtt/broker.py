"""The broker as the rest of the bridge sees it: it accepts messages at any time.

Without a connection, messages wait in the outbox. The connection is restored with a
back-off, in the MQTT version that the broker supports, and only if no other bridge
serves the same topics.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping

from bridge.backoff import Backoff
from bridge.config import Mqtt
from bridge.errors import BridgeInTheWayError, quoted
from bridge.log_dedupe import LogDedupe
from bridge.mqtt import duplicate_bridge, error_text
from bridge.mqtt.client import Client
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError, Hint, Loss
from bridge.mqtt.fallbacks import BrokerAddresses, Next, ProtocolFallback, WillFallback
from bridge.mqtt.messages import BrokerLimits, Lane, Message, Publication, Version, Will
from bridge.mqtt.missing_rights import Evidence, Use
from bridge.mqtt.one_shot import return_to_first
from bridge.mqtt.own_topics import OFFLINE
from bridge.mqtt.session import BrokerSession, Presence, SharedState, Statistics
from bridge.mqtt.takeover import (
    CHECK_CLIENT_ID,
    ClientId,
    Conflicts,
    TakeoverCheck,
    TakeoverDetector,
)

log = logging.getLogger(__name__)

STABLE_AFTER = 10.0
"""Seconds after which a connection counts as stable, and the back-off is reset."""

LONGEST_DELAY = 15.0
"""Maximum seconds between two attempts to connect, unless another client prevents the
connection. Until we are connected again after a failure of the broker, no emergency
stop arrives."""

CONFLICT_DISCONNECT_TIMEOUT = 0.2
"""Seconds to wait for DISCONNECT to be written if another bridge uses our topics."""

RIGHTS_TIMEOUT = 3.0
"""Seconds within which our own ``online`` must come back to us under another client id.
If it does not, that client id has fewer rights."""

SETTLE_TIME = 0.5
"""Seconds after ``online`` in which two bridges that were started at the same moment
detect each other. Neither uses its printer before."""


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
        on_conflict: is called with what another client does to this bridge.
        on_missing_right: is called with what the broker closes the connection over.

    Attributes:
        clear_to_serve: set once no other bridge is known to serve the topics: when a
            connection has settled, and also when the broker cannot be reached.

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
        on_conflict: Callable[[str], None] | None = None,
        on_missing_right: Callable[[str], None] | None = None,
    ) -> None:
        self._config = config
        self._on_missing_right = on_missing_right
        self._between = between
        self.clear_to_serve = asyncio.Event()
        self._presence = presence
        self._shared = SharedState(
            config=config,
            presence=presence,
            on_message=on_message,
            on_connected=on_connected,
            conflicts=Conflicts(on_conflict),
        )
        self._addresses = BrokerAddresses(config)
        self._pauses = pauses if pauses is not None else Backoff()
        self._versions = ProtocolFallback(config.protocol)
        self._failures = LogDedupe()
        self._client_id = ClientId(presence.client_id)
        self._session: BrokerSession | None = None
        self._takeovers = TakeoverDetector()
        self._check_refused = False
        self._will = WillFallback()

    @property
    def connected(self) -> bool:
        """Whether we are connected and subscribed."""
        return self._shared.statistics.connected_since is not None

    @property
    def conflict(self) -> str | None:
        """What another client has recently done to this bridge; ``None``: nothing."""
        return self._shared.conflicts.latest

    @property
    def missing_rights(self) -> tuple[str, ...]:
        """The missing rights, such as ``publish on printer/event``."""
        return self._shared.rights.missing

    @property
    def endpoint(self) -> str:
        """The broker that is in use or being tried, as ``host:port``."""
        return f"{self._addresses.config.host}:{self._addresses.config.port}"

    @property
    def failovers(self) -> int:
        """How often the connection was made to a broker other than the previous one."""
        return self._addresses.failovers

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

        When it is cancelled, or ended by an error in ``on_message``, it publishes
        ``offline`` and disconnects.

        Raises:
            Exception: What ``on_message`` raised.

        """
        spread = random.SystemRandom()
        try:
            while True:
                if await self._attempt() is Next.NOTHING:
                    delay = self._pauses.next_delay(spread.random())
                    if self.conflict is None:
                        delay = min(delay, LONGEST_DELAY)
                    await asyncio.sleep(delay)
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
            short: payload to send instead if the broker does not accept that size.

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
        self._put(publication)

    def _put(self, publication: Publication) -> None:
        self._shared.outbox.put(publication)
        if publication.retain and publication.payload:
            self._remember(publication.topic)
        self._send_waiting()

    def republish(self) -> None:
        """Publish all retained topics again, for subscribers that missed them."""
        self._shared.outbox.republish(last=self._presence.topics.availability)
        self._send_waiting()

    def clear_leftovers(self) -> None:
        """Clear the retained topics of earlier runs that this run does not publish.

        Call it when all retained topics of the printer have been published.
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

    async def _attempt(self) -> Next:
        """Connect once, and return when the connection is lost or was not made.

        Returns the next attempt that needs no pause.
        """
        version = self._versions.current
        session = BrokerSession(self._shared, version)
        checked = False
        client = Client(
            self._addresses,
            session,
            client_id=self._client_id.current,
            version=version,
            will=self._last_will() if self._will.wanted else None,
            between=self._between,
            turn=self._presence.turn,
        )
        try:
            checked = await self._refuse_duplicate(session)
            limits = await client.connect()
        except AttemptError as error:
            client.close()
            if self._will.failed(error, checked=checked):
                return Next.ADDRESS
            return self._note_failure(error)
        except BridgeInTheWayError as error:
            client.close()
            self._shared.conflicts.report(str(error))
        else:
            self._note_connected(version)
            await self._use(session, client, limits)
        return Next.NOTHING

    async def _use(
        self, session: BrokerSession, client: Client, limits: BrokerLimits
    ) -> None:
        """Serve on a connection until it is lost, and note the reason."""
        started = time.monotonic()
        rights = self._shared.rights
        check = self._takeover_check(session.version)
        watch = asyncio.create_task(return_to_first(self._addresses, client))
        timers = [
            self._later(SETTLE_TIME, self.clear_to_serve.set),
            self._later(RIGHTS_TIMEOUT, self._check_rights, session, client),
        ]
        try:
            if self._takeovers.suspected or rights.searching:
                await check.connect()
            loss = await self._serve(session, client, limits)
            lasted = time.monotonic() - started
            closed = loss.unexplained or loss.no_right
            rights.connection_closed(
                closed=closed, lasted=lasted, waiting=session.waiting
            )
            heard = Use(self._presence.topics.availability, write=False)
            ask = session.unanswered != heard and rights.allows(heard)
            connected = await check.is_connected(ask=ask)
            if closed and session.unanswered is not None:
                evidence = _evidence(loss, check, connected=connected)
                if self._suspect(session.unanswered, evidence):
                    log.info("%s (was it to %s?)", loss.message, session.unanswered)
                    return
            self._note_loss(loss, lasted, reference_connected=connected)
        except BridgeInTheWayError as error:
            self._shared.conflicts.report(str(error))
        finally:
            for timer in timers:
                timer.cancel()
            client.close()
            check.close()
            watch.cancel()
            await asyncio.wait({watch})

    def _suspect(self, use: Use, evidence: Evidence) -> bool:
        """Suspect a topic of having caused the loss; return whether it may have.

        The next attempt follows soon, because each one narrows the search.
        """
        if evidence is Evidence.NONE:
            return False
        self._pauses.reset()
        if self._shared.rights.suspect(use, evidence, time.monotonic()):
            self._report_left_out(use)
        return True

    def _report_left_out(self, use: Use) -> None:
        config, topic = self._addresses.config, use.name or use.topic
        text = error_text.closes_over(config, topic, write=use.write)
        if use.optional:
            log.info("%s (it is not necessary)", text)
            return
        if self._shared.rights.gave_up(use):
            base = self._presence.topics.base
            text = error_text.closes_over_all(config, base, write=use.write)
        self._report_missing(text, f"{use.write} {topic}")

    def _report_missing(self, text: str, subject: str) -> None:
        self._shared.warn(subject, text)
        if self._on_missing_right is not None:
            self._on_missing_right(text)

    def _last_will(self) -> Will:
        topic = self._presence.topics.availability
        return Will(topic=topic, payload=OFFLINE, delay=self._config.will_delay)

    @staticmethod
    def _later(
        seconds: float, call: Callable[..., None], *arguments: object
    ) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, call, *arguments)

    def _check_rights(self, session: BrokerSession, client: Client) -> None:
        """Give up a client id that differs from the usual one and has fewer rights."""
        if self._client_id.differs and not session.sees_itself:
            self._client_id.refused()
            where = error_text.endpoint(self._addresses.config)
            client.give_up(
                f"{where} does not give us our rights with another client id"
            )

    def _note_failure(self, error: AttemptError) -> Next:
        if error.hint is Hint.REFUSED and self._client_id.differs:
            self._client_id.refused()
        self._versions.failed(error.hint)
        following = self._addresses.failed(refused=error.hint is Hint.REFUSED)
        if following is Next.NOTHING:
            self.clear_to_serve.set()  # no message about another bridge would arrive
        if following is not Next.ADDRESS:
            self._warn(error.message)
        return following

    async def _refuse_duplicate(self, session: BrokerSession) -> bool:
        """Look for another bridge; return whether the broker allowed it.

        If it refuses the connection, the reason may be the account, or only the client
        id of the check. A second login with a wrong password would get us banned
        sooner, so the next attempt connects without the check to find out.

        Raises:
            AttemptError: The broker cannot be reached, or refuses the connection.
            BridgeInTheWayError: Another bridge serves our topics.

        """
        presence, skipped = self._presence, self._check_refused
        self._check_refused = False
        if not presence.instance or skipped:
            return False
        try:
            silent = await duplicate_bridge.refuse(
                self._addresses.config,
                presence.topics,
                client_id=presence.client_id,
                instance=presence.instance,
                version=session.version,
                discovery=None if self._shared.established else presence.discovery,
            )
        except AttemptError as error:
            if error.code == error_text.CLIENT_ID_REFUSED:
                log.debug("cannot check for another bridge: %s", error.message)
                return False
            self._check_refused = error.hint is Hint.REFUSED
            raise
        session.ignore_info(silent)
        return True

    def _takeover_check(self, version: Version) -> TakeoverCheck:
        return TakeoverCheck(
            self._addresses.config,
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
            # The topics belong to the other bridge: neither `offline` nor the last will
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
        self._addresses.connected()
        where = error_text.endpoint(self._addresses.config)
        if self._versions.accepted():
            log.info(
                "%s does not support MQTT 5; mqtt.protocol: 3.1.1 avoids trying it",
                where,
            )
        if self._will.accepted():
            topic = self._presence.topics.availability
            text = error_text.no_will(self._addresses.config, topic)
            self._report_missing(text, "last will")
        log.info(
            "%s: connected as %s, MQTT %s",
            where,
            self._client_id.current,
            version.value,
        )
        self._failures.forget()
        self._save()

    def _note_loss(
        self, loss: Loss, lasted: float, *, reference_connected: bool
    ) -> None:
        self._warn(loss.message)
        self._client_id.lasted(lasted)
        if lasted >= STABLE_AFTER:
            self._pauses.reset()
        if self._takeovers.contested(
            loss, reference_connected=reference_connected, lasted=lasted
        ):
            name = self._presence.client_id
            self._shared.conflicts.report(
                f"another client took over our client id {quoted(name)} twice in a "
                "row; find and stop it. Connecting with another client id"
            )
            if self._client_id.taken_over():
                self._pauses.reset()

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


def _evidence(loss: Loss, check: TakeoverCheck, *, connected: bool) -> Evidence:
    """Return what a loss says about what was unanswered alone."""
    if loss.no_right:
        return Evidence.SAID
    if connected:
        return Evidence.ONLY_THIS
    return Evidence.NONE if check.connected else Evidence.ALONE
