"""Messages that are received and sent, and what an MQTT connection is made of."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A received message.

    Attributes:
        topic: the whole topic.
        payload: the payload as it arrived.
        retain: the RETAIN flag. On MQTT 5 it says that the sender set it, because we
            subscribe with Retain As Published (3.8.3.1); on 3.1.1 that the broker had
            retained the message before we subscribed (3.3.1.3).
        qos: the QoS that it was delivered with.
        response_topic: where the sender wants the response (MQTT 5).
        correlation: what the sender wants returned in the response (MQTT 5).
        expiry: whole seconds until it expires (MQTT 5).
        duplicate: the DUP flag: it may have been delivered before.
        waited: seconds for which it may have waited in our socket, because the event
            loop stood still; 0: it did not.
        stale: it waited for so long that the broker must think that we are gone.

    """

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0
    response_topic: str | None = None
    correlation: bytes | None = None
    expiry: int | None = None
    duplicate: bool = False
    waited: float = 0.0
    stale: bool = False


class Lane(Enum):
    """Queues with separate limits, so that one cannot displace another's messages."""

    RETAINED = "retained"
    RESPONSE = "response"
    EVENT = "event"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A message to send.

    Attributes:
        topic: the topic.
        payload: the payload; if it is empty and retained, it clears the topic.
        qos: 0 or 1, which every broker supports that accepts our last will.
        retain: whether the broker retains it for later subscribers.
        expiry: seconds until it expires (MQTT 5).
        correlation: correlation data of the request that it answers (MQTT 5).
        lane: the queue it waits in.
        time: when it was made, in seconds on a monotonic clock.
        short: payload to send instead if the broker does not accept that size.

    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    expiry: int | None = None
    correlation: bytes | None = None
    lane: Lane = Lane.EVENT
    time: float = 0.0
    short: bytes = b""

    @property
    def size(self) -> int:
        """An upper bound of its size on the wire, in bytes."""
        extra = len(self.correlation) if self.correlation else 0
        return len(self.topic.encode()) + len(self.payload) + extra + 32


class Version(Enum):
    """An MQTT version."""

    V5 = "5"
    V311 = "3.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """The last will: a retained message at QoS 1 that the broker publishes for us.

    Attributes:
        topic: the topic.
        payload: the payload.
        delay: seconds that the broker waits for us to reconnect (MQTT 5, 3.1.3.2.2).

    """

    topic: str
    payload: bytes
    delay: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A subscription.

    Attributes:
        topic: a topic, or a filter with wildcards.
        replay: receive what is retained there. MQTT 3.1.1 always does; MQTT 5 has the
            option Retain Handling (3.8.3.1).
        own: receive messages from our own client id too: our messages, and the last
            will of an earlier connection. MQTT 3.1.1 always does; MQTT 5 has No Local.
        qos: the highest QoS at which messages are delivered, 0 or 1.

    """

    topic: str
    replay: bool = False
    own: bool = False
    qos: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """What the broker accepts, as its CONNACK says (MQTT 5.0, 3.2.2.3).

    Attributes:
        receive_maximum: unacknowledged messages at QoS 1; 65,535 is the default.
        packet_size: bytes of a packet; ``None``: not limited.

    """

    receive_maximum: int = 65_535
    packet_size: int | None = None
