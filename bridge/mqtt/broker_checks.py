"""The doctor's checks of the broker: what it lets us do, found out by trying."""

import asyncio
import ipaddress
import json
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from typing import TypeVar

from bridge.config import Config, Mqtt
from bridge.findings import Finding, Verdict
from bridge.mqtt import duplicate_bridge, error_text
from bridge.mqtt.client import FAILURE
from bridge.mqtt.connect import unique_id
from bridge.mqtt.error_text import AttemptError, Hint
from bridge.mqtt.messages import Message, Version
from bridge.mqtt.missing_rights import GIVE_UP
from bridge.mqtt.one_shot import OneShotClient
from bridge.topics import Topics

_Result = TypeVar("_Result")

RETAINED_TIMEOUT = 0.5
"""Seconds to wait for retained messages after SUBACK."""

CLOSED = 0x100
"""Used in place of a reason code, which is one byte: the broker closed the connection.
"""

CLOSED_TWICE = 2
"""Connections that must be closed after the same request before the request counts as
the cause: a single one may have been closed for another reason."""

PROBE = "doctor"
"""The topic below a printer's base on which only this check publishes."""


def _name() -> str:
    """Return a client id that no bridge has, so that none is disconnected."""
    return unique_id("gcode2mqtt-doctor")


class CarefulClient:
    """A client that connects again, and finds out what the broker closes it over.

    Many brokers have no other answer to a topic that an account may not use
    (``docs/adr/0052-topics-over-which-a-broker-closes.md``). So what was asked for when
    the connection was closed is tried by itself on new connections.

    Attributes:
        heard: the messages received, oldest first; whoever reads them removes them.

    """

    def __init__(self, config: Mqtt) -> None:
        self._config = config
        self._client = OneShotClient(config, client_id=_name())
        self._subscribed: dict[str, None] = {}
        self._closed = 0
        self._accepted = False
        self.heard: list[Message] = []

    @property
    def version(self) -> Version:
        """The MQTT version in use."""
        return self._client.version

    async def connect(self) -> None:
        """Connect.

        Raises:
            AttemptError: The broker cannot be reached, or refuses the connection.

        """
        await self._client.connect()

    async def disconnect(self) -> None:
        """Disconnect; safe to call without a connection."""
        await self._client.disconnect()

    def begin(self) -> None:
        """Forget what was accepted so far: other topics follow."""
        self._subscribed.clear()
        self._closed, self._accepted = 0, False

    def take_received(self) -> list[Message]:
        """Return the messages received so far, on all connections."""
        self.heard += self._client.take_received()
        taken, self.heard = self.heard, []
        return taken

    async def subscribe(
        self, topics: Sequence[str], *, replay: bool = True
    ) -> list[int]:
        """Return the broker's reason code for each topic, or :data:`CLOSED`.

        Raises:
            AttemptError: The broker stopped answering, or cannot be reached any more.

        """
        codes: Sequence[int] = [CLOSED] * len(topics)
        try:
            codes = await self._client.subscribe(topics, replay=replay)
        except AttemptError as error:
            if error.hint is not Hint.CLOSED:
                raise
            await self._reconnect()
        found = dict(zip(topics, codes, strict=False))
        # RabbitMQ refuses all that is in one packet, and closes the connection.
        for topic in [one for one, code in found.items() if code >= FAILURE]:
            found[topic] = await self._subscribe_to(topic, replay=replay)
        self._subscribed |= {one: None for one in found if found[one] < FAILURE}
        self._accepted = self._accepted or bool(self._subscribed)
        return [*found.values()]

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Return the broker's reason code, or :data:`CLOSED`.

        Raises:
            AttemptError: The broker stopped answering, or cannot be reached any more.

        """
        code = await self._try(
            lambda: self._client.publish(topic, payload, retain=retain)
        )
        return CLOSED if code is None else code

    async def _subscribe_to(self, topic: str, *, replay: bool) -> int:
        codes = await self._try(lambda: self._client.subscribe([topic], replay=replay))
        return codes[0] if codes else CLOSED

    async def _try(self, action: Callable[[], Awaitable[_Result]]) -> _Result | None:
        """Do something; ``None``: the broker closes the connection over it.

        The first connection may have been closed over what was done before, and only
        then been noticed.
        """
        if self._closed >= GIVE_UP and not self._accepted:
            return None
        for _ in range(CLOSED_TWICE + 1):
            try:
                result = await action()
            except AttemptError as error:
                if error.hint is not Hint.CLOSED:
                    raise
                await self._reconnect()
            else:
                self._accepted = True
                return result
        self._closed += 1
        return None

    async def _reconnect(self) -> None:
        """Connect again, and subscribe to what was accepted before."""
        self.heard += self._client.take_received()
        version = self._client.version
        self._client.close()
        self._client = OneShotClient(self._config, client_id=_name(), version=version)
        await self._client.connect()
        if self._subscribed:
            await self._client.subscribe([*self._subscribed])


class BrokerDiagnosis:
    """Checks the broker, and then each printer's topics there.

    Attributes:
        reachable: whether the broker accepted the connection.

    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._client = CarefulClient(config.mqtt)
        self._retained: dict[str, bytes] = {}
        self.reachable = False

    async def connection(self) -> AsyncIterator[Finding]:
        """Connect, and yield the findings about the broker, TLS and the account."""
        mqtt = self._config.mqtt
        try:
            await self._client.connect()
        except AttemptError as error:
            refused = error.hint is Hint.REFUSED
            if refused:
                yield Finding("broker", "ok", f"{error_text.endpoint(mqtt)} answers")
            check = "account" if refused else "broker"
            yield Finding(check, "wrong", error.message)
            return
        self.reachable = True
        version = self._client.version.value
        text = f"{error_text.endpoint(mqtt)} answers, with MQTT {version}"
        yield Finding("broker", "ok", text)
        yield _encryption(mqtt)
        warning = exposed(mqtt, raw=self._config.rights.raw)
        accepted = f"{error_text.user(mqtt)} is accepted"
        yield Finding("account", "note" if warning else "ok", warning or accepted)

    async def home_assistant(self) -> AsyncIterator[Finding]:
        """Yield whether we may use Home Assistant's topics."""
        settings = self._config.home_assistant
        if not settings.enabled:
            return
        code = (await self._client.subscribe([settings.birth_topic], replay=False))[0]
        yield self._right("birth", settings.birth_topic, code, write=False)
        topic = f"{settings.prefix}/device/{_name()}/config"
        code = await self._client.publish(topic, b"", retain=True)
        yield self._right("discovery", topic, code, write=True)

    async def topics(self, topics: Topics) -> AsyncIterator[Finding]:
        """Yield what we may do with a printer's topics, and what is retained there.

        To test the right to publish, what is retained is published again. Topics of
        which nothing can be seen are left alone: there may be a document that this
        account may not read, and publishing anything would replace it. The same holds
        for all topics while a bridge serves them, and where that cannot be known.

        Raises:
            BrokerError: The broker stopped answering.

        """
        self._retained.clear()
        self._client.begin()
        heard = (*topics.commands, topics.availability, topics.info)
        codes = await self._client.subscribe(heard)
        async for finding in self._many(
            "subscribe", zip(heard, codes, strict=False), write=False
        ):
            yield finding
        # By name too: RabbitMQ delivers retained messages to exact filters only.
        code, *_ = await self._client.subscribe(
            [f"{topics.base}/#", *topics.retained(())]
        )
        await asyncio.sleep(RETAINED_TIMEOUT)
        self._note_retained()
        if code < FAILURE:
            yield self._leftovers(topics)
        readable = all(answer < FAILURE for answer in codes[-2:])
        try:
            other = await self._other(topics)
        except AttemptError:
            other, readable = None, False  # a bridge may be there all the same
        if other is None:
            for finding in self._left_out(topics, "note", "when the bridge last ran"):
                yield finding
            async for finding in self._publications(topics, readable=readable):
                yield finding
            return
        yield _served_by(other, topics)
        for finding in self._reports(topics):
            yield finding

    def _reports(self, topics: Topics) -> Iterator[Finding]:
        """Yield what a running bridge reports of itself and of its printer."""
        if problem := self._field(topics.health, "problem"):
            yield Finding("health", "wrong", f"the bridge reports: {problem}")
        yield from self._left_out(topics, "wrong", "the bridge reports that")
        if self._retained.get(topics.connection) == b"online":
            yield Finding("connection", "ok", f"{topics.connection} is online")
            return
        reason = self._field(topics.error, "error")
        text = f"{topics.connection} is offline: the bridge has no printer"
        yield Finding("connection", "wrong", f"{text} ({reason})" if reason else text)

    def _left_out(self, topics: Topics, verdict: Verdict, when: str) -> list[Finding]:
        """Return what a bridge found out, as far as that is retained.

        A broker that closes the connection over a topic has never retained anything
        there, so publishing that again does not find it.
        """
        missing = self._value(topics.health, "missing_rights")
        if not isinstance(missing, list) or not missing:
            return []
        text = (
            f"{when} the broker did not let {error_text.user(self._config.mqtt)} "
            f"{', '.join(map(str, missing))}; grant these rights and restart the bridge"
        )
        return [Finding("rights", verdict, text)]

    def _field(self, topic: str, name: str) -> str:
        """Return a text of a retained document; "" if there is none."""
        value = self._value(topic, name)
        return value if isinstance(value, str) else ""

    def _value(self, topic: str, name: str) -> object:
        try:
            document = json.loads(self._retained.get(topic, b""))
        except (ValueError, RecursionError):
            return None
        return document.get(name) if isinstance(document, dict) else None

    async def disconnect(self) -> None:
        """Disconnect; safe to call without a connection."""
        await self._client.disconnect()

    async def _publications(
        self, topics: Topics, *, readable: bool
    ) -> AsyncIterator[Finding]:
        if self._client.version is Version.V311:
            yield await self._old_publication(topics)
            return
        self._note_retained()  # newer values must not be overwritten
        kept = dict(self._retained) if readable else {}
        answers = [
            (topic, await self._client.publish(topic, kept[topic], retain=True))
            for topic in topics.retained(())
            if topic in kept
        ]
        async for finding in self._many("publish", answers, write=True):
            yield finding
        others = [topic for topic in topics.retained(()) if topic not in kept]
        others += [topics.event, topics.response]
        others += [topics.console] if self._config.mqtt.console else []
        yield await self._unseen(topics, others)

    async def _old_publication(self, topics: Topics) -> Finding:
        """Return what MQTT 3.1.1 tells, which has no refusal of a message."""
        probe = f"{topics.base}/{PROBE}"
        if await self._client.publish(probe, b"{}") == CLOSED:
            text = (
                f"the broker closes the connection over {probe}, on which only this "
                "check publishes, so the bridge's own topics were not checked; its log "
                "names those that are refused"
            )
        else:
            text = "MQTT 3.1.1 does not report whether we may; check the broker's log"
        return Finding("publish", "note", text)

    async def _unseen(self, topics: Topics, others: list[str]) -> Finding:
        """Return what a message on a topic of our own says about topics not seen."""
        probe = f"{topics.base}/{PROBE}"
        code = await self._client.publish(probe, b"{}")
        if code < FAILURE:
            text = f"{probe} allowed, so probably the other {len(others)} topics too"
            return Finding("publish", "ok", text)
        text = (
            f"{probe} is not allowed, so {len(others)} topics on which nothing is "
            "retained were not checked, to change nothing; the bridge's log names "
            f"those that are refused: {', '.join(others)}"
        )
        return Finding("publish", "note", text)

    def _note_retained(self) -> None:
        for message in self._client.take_received():
            if message.retain and message.payload:
                self._retained[message.topic] = message.payload
            elif message.retain:
                self._retained.pop(message.topic, None)

    async def _many(
        self, check: str, answers: Iterable[tuple[str, int]], *, write: bool
    ) -> AsyncIterator[Finding]:
        """Yield a finding for each topic that is refused, and one for all others."""
        allowed = 0
        for topic, code in answers:
            if code >= FAILURE:
                yield self._right(check, topic, code, write=write)
            else:
                allowed += 1
        yield Finding(check, "ok", f"{allowed} topics allowed")

    def _right(self, check: str, topic: str, code: int, *, write: bool) -> Finding:
        if code < FAILURE:
            return Finding(check, "ok", f"{topic} allowed")
        mqtt = self._config.mqtt
        if code == CLOSED:
            text = error_text.closes_over(mqtt, topic, write=write)
        else:
            text = error_text.no_right(mqtt, topic, write=write, code=code)
        return Finding(check, "wrong", text)

    def _leftovers(self, topics: Topics) -> Finding:
        left = sorted(filter(topics.is_command, self._retained))
        if not left:
            return Finding(
                "retained", "ok", "no message is retained on a command topic"
            )
        return Finding(
            "retained",
            "wrong",
            f"a message is retained on {', '.join(left)} and refused at each "
            "start; find out which client publishes it with the RETAIN flag, and clear "
            "it with "
            f"mosquitto_pub -r -n -t {left[0]}",
        )

    async def _other(self, topics: Topics) -> str | None:
        """Return the instance of a bridge that runs, asked also where none seems to.

        Another node of a cluster may have an old ``availability``.

        Raises:
            AttemptError: It cannot be known.

        """
        name = _name()
        return await duplicate_bridge.find(
            self._config.mqtt,
            topics,
            client_id=name,
            instance=name,
            version=self._client.version,
            thorough=True,
        )


def _served_by(other: str, topics: Topics) -> Finding:
    text = (
        f"a bridge (instance {other}) is serving {topics.base}/…; only one may, so "
        "stop it before you start another"
    )
    return Finding("bridge", "note", text)


def _encryption(mqtt: Mqtt) -> Finding:
    if mqtt.tls.enabled:
        name = mqtt.tls.server_name or mqtt.host
        return Finding("TLS", "ok", f"the certificate for {name} is trusted")
    if is_local(mqtt):
        return Finding("TLS", "ok", "not used, and not needed on this machine")
    text = "not used: others on the network can read the password and every message"
    return Finding("TLS", "note", f"{text}; see mqtt.tls.enabled")


def exposed(config: Mqtt, *, raw: bool) -> str | None:
    """Return a warning about a broker that accepts anonymous clients.

    Args:
        config: how we connect.
        raw: whether any G-code may be sent over MQTT.

    """
    named = config.username is not None or config.tls.cert_file is not None
    if named or not raw or is_local(config):
        return None
    return (
        f"the broker {config.host} accepts anonymous clients, so everybody on its "
        "network can send any G-code: set up accounts (see deploy/mosquitto) and "
        "mqtt.username, or turn rights.raw off"
    )


def is_local(config: Mqtt) -> bool:
    """Return whether only programs on this machine can reach that address."""
    if config.transport == "unix" or config.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(config.host).is_loopback
    except ValueError:
        return False
