"""What comes from the broker and what goes to it."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What somebody sent us.

    Attributes:
        topic: all of it.
        payload: the bytes as they came.
        retain: the RETAIN flag: on MQTT 5 the sender set it, on 3.1.1 the broker kept
            this message from an earlier time.
        qos: what it was delivered with.
        response_topic: where the sender wants its answer (MQTT 5).
        correlation: what the sender wants back with it (MQTT 5).
        expiry: whole seconds for which it is still good (MQTT 5).
        duplicate: the broker may have delivered it before.

    """

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0
    response_topic: str | None = None
    correlation: bytes | None = None
    expiry: int | None = None
    duplicate: bool = False


class Lane(Enum):
    """Queues that do not push each other's messages out."""

    RETAINED = "retained"
    RESPONSE = "response"
    EVENT = "event"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What we send.

    Attributes:
        topic: where.
        payload: what; empty and retained clears the topic.
        qos: 0 or 1; a broker that takes our last will takes these.
        retain: the broker keeps it for those who come later.
        expiry: seconds for which it is good (MQTT 5).
        correlation: correlation data of the request that this answers (MQTT 5).
        lane: the queue it waits in.
        time: when it was made, on the caller's monotonic clock, in seconds.
        short: what is sent instead where the broker does not take so much.

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
        """Bytes it takes, roughly and never too little on the wire."""
        extra = len(self.correlation) if self.correlation else 0
        return len(self.topic.encode()) + len(self.payload) + extra + 32


class Version(Enum):
    """An MQTT version."""

    V5 = "5"
    V311 = "3.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker says when we are lost: retained, at QoS 1.

    Attributes:
        topic: where.
        payload: what.
        delay: seconds to wait for our return (MQTT 5).

    """

    topic: str
    payload: bytes
    delay: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A subscription.

    Attributes:
        topic: may have wildcards.
        replay: get what is retained there (on 3.1.1 that cannot be declined).
        own: get what comes from our client id: our own messages, and the last will of
            an earlier connection (on 3.1.1 that cannot be declined).

    """

    topic: str
    replay: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What the broker takes, as its CONNACK says.

    Attributes:
        in_flight: unacknowledged messages.
        packet: bytes of one packet; ``None``: any.

    """

    in_flight: int = 65_535
    packet: int | None = None
