"""A connection of its own for emergency stops, besides those of the printers.

A broker queues what a subscriber does not read in time, for each connection, and drops
what does not fit: a flood on a command topic can lose a stop that is sent on the same
connection. This one subscribes to the emergency topics and to nothing else, so nothing
queues before a stop. The connections of the printers subscribe to them as well. The
reasons are in ``docs/adr/0039-a-connection-for-emergency-stops.md``.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.backoff import Backoff
from bridge.config import Mqtt
from bridge.log_dedupe import LogDedupe
from bridge.mqtt import error_text
from bridge.mqtt.broker import (
    LONGEST_DELAY,
)
from bridge.mqtt.client import FAILURE, Client
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError, Hint, Loss
from bridge.mqtt.fallbacks import (
    BrokerAddresses,
    ProtocolFallback,
)
from bridge.mqtt.messages import Filter, Message, Version
from bridge.mqtt.missing_rights import Evidence, MissingRights, Use
from bridge.mqtt.one_shot import return_to_first
from bridge.timeout import timeout

log = logging.getLogger("bridge.mqtt.broker")

STABLE_AFTER = 10.0
"""Seconds after which a connection counts as accepted by the broker."""

MAX_SHORT = 3
"""Shorter connections in a row after which we wait for :data:`LONG_PAUSE`. A broker
that allows only one connection per account disconnects the printer's connection each
time that we connect, and a second later that one disconnects us."""

LONG_PAUSE = 300.0
"""Seconds until such a broker is tried again."""

PROBE_PAUSE = 1.0
"""Seconds between two searches for a retained message on the same topic."""


class StopHandler(Protocol):
    """Takes the messages on one printer's emergency topic; must not raise."""

    def on_stop(self, message: Message, /) -> None:
        """Stop the printer."""

    def on_retained_stop(self, message: Message, /) -> None:
        """Clear a retained message that has stopped the printer already."""


class EmergencyConnection:
    """Receives the emergency stops for all printers of the process.

    Nothing is published on it. It has no last will, and a new client id each time, so
    that nobody can take it over.

    Args:
        config: how to reach the broker.
        prefix: what its client ids begin with.
        pauses: the back-off between attempts to connect.
        turn: names the moments of regular work; see :func:`next_turn`.

    """

    def __init__(
        self,
        config: Mqtt,
        prefix: str,
        *,
        pauses: Backoff | None = None,
        turn: str = "",
    ) -> None:
        self._config = config
        self._addresses = BrokerAddresses(config)
        self._prefix = prefix
        self._turn = turn
        self._pauses = pauses if pauses is not None else Backoff(longest=LONGEST_DELAY)
        self._versions = ProtocolFallback(config.protocol)
        self._failures = LogDedupe()
        self._handlers: Mapping[str, StopHandler] = {}
        self._client: Client | None = None
        self._pending: dict[int, Sequence[str]] = {}
        self._waiting: list[str] = []
        self._subscribed: set[str] = set()
        self._probes: dict[str, asyncio.TimerHandle] = {}
        self._probed: set[str] = set()
        self._short = 0
        self._rights = MissingRights()
        self._refused = False
        self._account_accepted = asyncio.Event()

    def receives(self, topic: str) -> bool:
        """Return whether a stop on this topic would arrive now."""
        return topic in self._subscribed

    def listen(self, handlers: Mapping[str, StopHandler]) -> None:
        """Replace the topics, and the handler of each."""
        self._handlers = dict(handlers)
        # Topics that are no longer wanted have no handler until the next connection.
        self._subscribe([topic for topic in handlers if topic not in self._asked_for()])

    def account_accepted(self) -> None:
        """Note that the broker has accepted our account on another connection."""
        self._account_accepted.set()

    async def run(self) -> None:
        """Connect, and reconnect whenever the connection is lost, until cancelled."""
        chance = random.SystemRandom()
        while True:
            try:
                await self._attempt()
            except Exception:
                # Whatever is wrong here, the printers' connections continue.
                log.exception("the connection for emergency stops failed")
            if self._refused:
                await self._wait_for_account()
            pause = self._pauses.next_delay(chance.random())
            if self._short >= MAX_SHORT:
                self._short, pause = 0, LONG_PAUSE
            await asyncio.sleep(pause)

    async def _wait_for_account(self) -> None:
        """Let the printers' connections try a refused account first.

        With a wrong password, each further login gets us banned sooner.
        """
        self._refused = False
        self._account_accepted.clear()
        with contextlib.suppress(TimeoutError):
            async with timeout(LONG_PAUSE):
                await self._account_accepted.wait()

    def poll(self) -> None:
        """Handle a stop that has arrived, before other work begins.

        It may take the event loop long to check the socket again. Without a message,
        this takes a few microseconds.
        """
        if self._client is not None:
            self._client.read_waiting()

    def on_message(self, message: Message) -> None:
        """Pass a message to its printer; called by the connection."""
        handler = self._handlers.get(message.topic)
        if handler is None:
            return
        old = self._versions.current is Version.V311
        try:
            if old and message.retain and message.topic in self._probed:
                handler.on_retained_stop(message)
                return
            handler.on_stop(message)
        except Exception:
            log.exception("an emergency stop on %s failed", message.topic)
        if old and message.topic not in self._probes:
            self._probes[message.topic] = asyncio.get_running_loop().call_later(
                PROBE_PAUSE, self._probe, message.topic
            )

    def on_published(self, _number: int, _code: int) -> None:
        """Do nothing: nothing is published on this connection."""

    def on_subscribed(self, number: int, codes: Sequence[int]) -> None:
        """Note which topics the broker accepted; called by the connection."""
        before = len(self._subscribed)
        for topic, code in zip(self._pending.pop(number, ()), codes, strict=False):
            use, now = Use(topic, write=False), time.monotonic()
            self._rights.answered(use, now, refused=code >= FAILURE)
            if code < FAILURE:
                self._subscribed.add(topic)
            else:
                text = error_text.no_right(self._config, topic, write=False, code=code)
                self._warn(text)
        if len(self._subscribed) > before:
            log.info(
                "emergency stops are received on a connection of their own, for %d of "
                "%d printers",
                len(self._subscribed.intersection(self._handlers)),
                len(self._handlers),
            )
        self._subscribe_next()

    async def _attempt(self) -> None:
        """Connect once, and return when the connection is lost or was not made."""
        client = Client(
            self._addresses,
            self,
            client_id=unique_id(self._prefix),
            version=self._versions.current,
            turn=self._turn,
        )
        try:
            await client.connect()
        except AttemptError as error:
            client.close()
            self._versions.failed(error.hint)
            self._addresses.failed(refused=error.hint is Hint.REFUSED)
            self._refused = error.code in error_text.WRONG_ACCOUNT
            if error.hint is Hint.REFUSED:
                self._warn(
                    f"no separate connection for emergency stops: {error.message}"
                )
            return
        self._versions.accepted()
        self._addresses.connected()
        begun = time.monotonic()
        watch = asyncio.create_task(return_to_first(self._addresses, client))
        try:
            self._client = client
            self._rights.begin(begun)
            self._subscribe([*self._handlers])
            self._note_loss(await client.ended(), time.monotonic() - begun)
        finally:
            self._forget()
            client.close()
            watch.cancel()
            await asyncio.wait({watch})

    def _note_loss(self, loss: Loss, lasted: float) -> None:
        log.debug("the connection for emergency stops: %s", loss.message)
        if self._suspect(loss, lasted):
            return
        if lasted >= STABLE_AFTER:
            self._short = 0
            self._pauses.reset()
            return
        self._short += loss.unexplained or loss.taken_over
        if self._short >= MAX_SHORT:
            where = error_text.endpoint(self._config)
            self._warn(
                f"{where} closed the separate connection for emergency stops "
                f"{MAX_SHORT} times; it may allow one connection for each account, or "
                "not allow to subscribe to the topic emergency. Stops arrive on the "
                "printers' connections only"
            )

    def _suspect(self, loss: Loss, lasted: float) -> bool:
        """Return whether the broker may have closed the connection over one topic."""
        rights, closed = self._rights, loss.unexplained or loss.no_right
        pending = [topic for topics in self._pending.values() for topic in topics]
        alone = rights.searching and len(pending) == 1
        rights.connection_closed(closed=closed, lasted=lasted, waiting=bool(pending))
        if not (alone and closed) or len(self._handlers) == 1:
            return False
        use = Use(pending[0], write=False)
        evidence = Evidence.SAID if loss.no_right else Evidence.ALONE
        if rights.suspect(use, evidence, time.monotonic()):
            config = self._addresses.config
            text = error_text.closes_over(config, use.topic, write=False)
            self._warn(f"emergency stops: {text}")
        self._pauses.reset()
        return True

    def _subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe, to one topic at a time while searching for a forbidden one.

        A suspected topic is the last one, because the broker has then answered the
        others.
        """
        if self._client is None:
            return
        rights = self._rights
        allowed = [one for one in topics if rights.allows(Use(one, write=False))]
        self._waiting += sorted(allowed, key=lambda one: one in rights.suspected)
        if not (self._rights.searching and self._pending):
            self._subscribe_next()

    def _subscribe_next(self) -> None:
        if self._client is None or not self._waiting:
            return
        end = 1 if self._rights.searching else len(self._waiting)
        topics, self._waiting = self._waiting[:end], self._waiting[end:]
        number = self._client.subscribe([Filter(topic=topic) for topic in topics])
        if number is not None:
            self._pending[number] = topics

    def _asked_for(self) -> set[str]:
        return self._subscribed.union(self._waiting, *self._pending.values())

    def _probe(self, topic: str) -> None:
        """Search for a retained message on MQTT 3.1.1, where a live one has no flag.

        The broker sends again what is retained when a subscription is repeated (MQTT
        3.1.1, 3.8.4), and only that has the RETAIN flag (3.3.1.3).
        """
        self._probes.pop(topic, None)
        self._probed.add(topic)
        self._subscribe([topic])

    def _forget(self) -> None:
        self._client = None
        self._pending.clear()
        self._waiting.clear()
        self._subscribed.clear()
        self._probed.clear()
        for timer in self._probes.values():
            timer.cancel()
        self._probes.clear()

    def _warn(self, message: str) -> None:
        line = self._failures.filter(message, time.monotonic())
        if line is not None:
            log.warning("%s", line)
