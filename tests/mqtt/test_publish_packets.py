"""Received PUBLISH packets: what others put into their properties harms nobody."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.config import Mqtt
from bridge.mqtt.connect import properties
from bridge.mqtt.publish_packets import MAX_PROPERTIES, PacketError, reduced
from tests.support.bridges import TOPICS, Bridge, bridge
from tests.support.brokers import Mosquitto
from tests.support.counting import counted_calls
from tests.support.mqtt_client import connected
from tests.support.waiting import until

HEAD = TOPICS.commands[0]
USER = b"\x26\x00\x01a\x00\x01b"
EXPIRY = b"\x02\x00\x00\x00\x3c"
REPLY = b"\x08\x00\x02/r"
CORRELATION = b"\x09\x00\x01c"


def length(number: int) -> bytes:
    """Return a variable byte integer."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes((*encoded, number))


def body(
    extra: bytes, payload: bytes = b"{}", *, qos: int = 0, topic: str = "t"
) -> bytes:
    """Return a packet after its fixed header."""
    name = topic.encode()
    number = b"\x00\x07" if qos else b""
    start = len(name).to_bytes(2, "big") + name + number
    return start + length(len(extra)) + extra + payload


def packet(extra: bytes, topic: str = HEAD, *, qos: int = 0) -> bytes:
    """Return a whole packet."""
    rest = body(extra, topic=topic, qos=qos)
    return bytes((0x30 | qos << 1,)) + length(len(rest)) + rest


USED = st.fixed_dictionaries(
    {},
    optional={
        "MessageExpiryInterval": st.integers(1, 2**32 - 1),
        "ResponseTopic": st.text("ab/é€", min_size=1, max_size=20),
        "CorrelationData": st.binary(max_size=300),
    },
)


@given(
    USED,
    st.lists(st.tuples(st.text("xyz", max_size=3), st.text("xyz", max_size=3))),
    st.binary(max_size=200),
    st.sampled_from([0, 1]),
)
def test_what_is_used_stays(
    used: dict[str, object], users: list[tuple[str, str]], payload: bytes, qos: int
) -> None:
    unused: dict[str, object] = {"ContentType": "text/plain", "TopicAlias": 3}
    unused |= {"PayloadFormatIndicator": 1, "SubscriptionIdentifier": 500}
    unused |= {"UserProperty": users} if users else {}
    extra = packed(**unused, **used)
    before = body(extra, payload, qos=qos)
    after = reduced(before, qos=qos)
    assert after.endswith(payload)
    start = 3 + 2 * qos
    assert after[:start] == before[:start]
    read = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    _, size = read.unpack(after[start:])  # type: ignore[no-untyped-call]
    assert after[start + size :] == payload
    assert read.json() == properties(PacketTypes.PUBLISH, **used).json()  # type: ignore[no-untyped-call]


def packed(**values: object) -> bytes:
    """Return properties without their length."""
    data = bytes(properties(PacketTypes.PUBLISH, **values).pack())  # type: ignore[no-untyped-call]
    return data[next(at for at, byte in enumerate(data) if byte < 0x80) + 1 :]


def test_what_paho_would_close_the_connection_over_is_left_out() -> None:
    for extra in (
        b"\x01\x07",  # a Payload Format Indicator that does not exist
        b"\x01\x00\x01\x00",  # twice
        b"\x08\x00\x03\xef\xbb\xbf",  # U+FEFF in a Response Topic
        b"\x08\x00\x01\x00",  # NUL
        b"\x08\x00\x02\xff\xfe",  # no UTF-8
        b"\x03\x00\x02\xff\xfe",  # the same in a Content Type
        b"\x26\x00\x01\xff\x00\x00",  # and in a User Property
        b"\x26\x00\x00\x00\x03\xef\xbb\xbf",
        b"\x23\x00\x00",  # a Topic Alias of 0
        b"\x0b\x00",  # a Subscription Identifier of 0
        USER * 900,
    ):
        assert reduced(body(extra), qos=0) == body(b""), extra[:8]
        used = EXPIRY + CORRELATION
        assert reduced(body(extra + used), qos=0) == body(used), extra[:8]


def test_a_packet_of_a_wrong_shape_is_an_error() -> None:
    whole = body(EXPIRY + REPLY + CORRELATION + USER, b"", qos=1)
    for cut in range(len(whole)):
        with pytest.raises(PacketError):
            reduced(whole[:cut], qos=1)
    for extra in (
        b"\x11\x00\x00\x00\x00",  # a Session Expiry Interval
        b"\x00",
        b"\xff\x00",
        b"\x0b\x80\x80\x80\x80\x01",  # a number of five bytes
        b"\x02\x00",  # shorter than its property
        b"\x08\x00\xff/",
        b"\x26\x00\x01a\x00\xff",
    ):
        with pytest.raises(PacketError):
            reduced(body(extra, b""), qos=0)
        with pytest.raises(PacketError):
            reduced(body(extra, b"x" * 9), qos=0)


def test_a_message_with_too_many_properties_counts_as_expired() -> None:
    expired = b"\x02\x00\x00\x00\x00"
    for many in (MAX_PROPERTIES, 100_000):
        extra = REPLY + EXPIRY + USER * (many - 1)
        assert reduced(body(extra), qos=0) == body(REPLY + expired)
    extra = REPLY + EXPIRY + USER * (MAX_PROPERTIES - 2)
    assert reduced(body(extra), qos=0) == body(REPLY + EXPIRY)


def test_sixteen_megabytes_of_properties_are_not_read() -> None:
    whole = body(b"\x26\x00\x00\x00\x00" * 3_300_000)
    with counted_calls() as count:
        reduced(whole, qos=0)
    assert count[0] < 20 * MAX_PROPERTIES


def connect_packet() -> bytes:
    rest = b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"
    return b"\x10" + length(len(rest)) + rest


async def test_no_sender_can_end_the_connection_or_keep_it_busy(
    broker: Mosquitto,
) -> None:
    """A broker passes on some of this, and disconnects the sender of the rest."""
    async with bridge(Mqtt(host=broker.host, port=broker.port)) as printer:
        await printer.online()
        for extra in (
            b"\x01\x07",
            b"\x08\x00\x06/\xef\xbb\xbf/r",
            b"\x26\x00\x03\xef\xbb\xbf\x00\x00",
            b"\x26\x00\x00\x00\x00" * 100_000,
        ):
            asked = asked_of(printer)
            with socket.create_connection((broker.host, broker.port)) as sender:
                sender.sendall(connect_packet())
                assert sender.recv(100)
                sender.sendall(packet(extra) + packet(CORRELATION, TOPICS.question))
                sender.settimeout(0)
                await until(lambda: asked_of(printer) > asked or reads(sender))  # noqa: B023 - called at once
        with connected(broker.port, host=broker.host) as client:
            await client.publish(HEAD, b"{}", CorrelationData=b"last")
            await until(lambda: printer.heard[-1].correlation == b"last")
        assert printer.broker.statistics.connects == 1
        last = next(one for one in reversed(printer.heard) if one.expiry is not None)
        assert (last.topic, last.expiry) == (HEAD, 0), "it has too many properties"


def asked_of(printer: Bridge) -> int:
    """Return how many questions have arrived."""
    return sum(one.topic == TOPICS.question for one in printer.heard)


def reads(sender: socket.socket) -> bool:
    """Return whether the broker has said something, or closed the connection."""
    try:
        sender.recv(100)
    except BlockingIOError:
        return False
    return True
