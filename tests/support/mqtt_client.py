"""A client for the tests: paho in its own thread, independent of the bridge's."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.waiting import DEADLINE, until


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that the client received."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    correlation: bytes | None
    expiry: int | None


class TestClient:
    """Receives what it has subscribed to, and publishes."""

    __test__ = False

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self.heard: list[Heard] = []
        self.refused: list[int] = []
        client.on_message = self._on_message
        client.on_publish = self._on_publish

    def payloads(self, topic: str) -> list[bytes]:
        """Return what has been received on a topic, oldest first."""
        return [heard.payload for heard in self.heard if heard.topic == topic]

    async def hears(self, topic: str, payload: bytes | None = None) -> Heard:
        """Wait for a message on a topic and return the latest."""

        def there() -> list[Heard]:
            return [
                heard
                for heard in self.heard
                if heard.topic == topic and payload in (None, heard.payload)
            ]

        await until(lambda: bool(there()))
        return there()[-1]

    async def publish(
        self,
        topic: str,
        payload: bytes = b"",
        *,
        qos: int = 1,
        retain: bool = False,
        **properties: object,
    ) -> None:
        """Publish, and wait until the broker has it; properties by paho's names."""
        made = self._properties(properties)
        told = self._client.publish(topic, payload, qos, retain, made)
        await until(told.is_published)

    def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 0 without waiting."""
        self._client.publish(topic, payload, 0)

    def clear(self, topic: str) -> None:
        """Remove what is retained on a topic, and wait until the broker has done it."""
        told = self._client.publish(topic, b"", 1, retain=True)
        told.wait_for_publish(DEADLINE)
        assert told.is_published(), f"the broker does not clear {topic}"

    def _properties(self, wanted: dict[str, object]) -> Properties | None:
        if not wanted:
            return None
        properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in wanted.items():
            setattr(properties, name, value)
        typed: Properties = properties
        return typed

    def _on_message(
        self, _client: object, _data: object, message: paho.MQTTMessage
    ) -> None:
        properties = message.properties
        self.heard.append(
            Heard(
                message.topic,
                bytes(message.payload),
                message.retain,
                message.qos,
                getattr(properties, "CorrelationData", None),
                getattr(properties, "MessageExpiryInterval", None),
            )
        )

    def _on_publish(
        self,
        _client: object,
        _data: object,
        _number: int,
        reason: ReasonCode,
        _: object,
    ) -> None:
        if reason.value >= 0x80:
            self.refused.append(reason.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How a test client connects, apart from the address."""

    client_id: str = ""
    username: str | None = None
    password: str | None = None
    version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    authority_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


@contextmanager
def connected(
    port: int, *filters: str, account: Account | None = None, host: str = "127.0.0.1"
) -> Iterator[TestClient]:
    """Run a client; the block starts once its subscriptions are acknowledged."""
    who = account if account is not None else Account()
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=who.client_id, protocol=who.version
    )
    client.username, client.password = who.username, who.password
    if who.authority_file is not None:
        client.tls_set(who.authority_file, who.certificate_file, who.key_file)
    test_client = TestClient(client)
    accepted: list[ReasonCode] = []
    answered: list[object] = []
    client.on_connect = lambda *arguments: accepted.append(arguments[3])
    client.on_subscribe = lambda *arguments: answered.append(arguments[3])
    client.on_socket_open = _hurry
    client.connect(host, port)
    client.loop_start()
    try:
        _wait_for(accepted)
        assert not accepted[0].is_failure, f"the broker refuses: {accepted}"
        if filters:
            client.subscribe([(topic, 1) for topic in filters])
            _wait_for(answered)
        yield test_client
    finally:
        client.disconnect()
        client.loop_stop()
        # Closes the sockets that wake its thread.
        client.reinitialise()


def _hurry(_client: object, _data: object, own: object) -> None:
    """Disable Nagle's algorithm, so that small packets are not delayed."""
    if isinstance(own, socket.socket):
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _wait_for(answers: Sequence[object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not answers:
        assert time.monotonic() < deadline, "the broker does not answer"
        time.sleep(0.002)
