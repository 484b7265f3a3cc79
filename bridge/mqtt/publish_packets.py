"""PUBLISH packets as bytes: written, and read as far as needed (MQTT 5.0, 3.3).

paho reads the properties of a packet in a time that grows with the square of their
number: 16 MB of User Properties, which every sender may add and a broker has to pass on
(MQTT 5.0, 3.3.2.3.7), would keep the event loop busy for hours. It also closes the
connection over values that brokers pass on unchecked. So a packet that was received is
reduced to the properties that the bridge uses before paho gets it.
"""

from collections.abc import Mapping

from bridge.mqtt.messages import Publication, Version

MAX_PROPERTIES = 1000
"""Properties that are read of one packet, because user properties may be repeated
without limit (MQTT 5.0, 3.3.2.3.7). Further ones are ignored, and the message counts as
expired, because its expiry interval may be among them."""

# Identifiers of properties (MQTT 5.0, 2.2.2.2).
EXPIRY, RESPONSE_TOPIC, CORRELATION = 0x02, 0x08, 0x09
# Types of values whose length is in the packet (MQTT 5.0, 1.5): two bytes of length and
# the data, two of these, and a variable byte integer.
_BINARY, _PAIR, _NUMBER = -1, -2, -3
_LENGTHS: Mapping[int, int] = {
    0x01: 1,  # Payload Format Indicator
    EXPIRY: 4,
    0x03: _BINARY,  # Content Type
    RESPONSE_TOPIC: _BINARY,
    CORRELATION: _BINARY,
    0x0B: _NUMBER,  # Subscription Identifier
    0x23: 2,  # Topic Alias
    0x26: _PAIR,  # User Property
}
"""Bytes of the value of each property that a PUBLISH packet may have (2.2.2.2)."""

_EXPIRED = bytes((EXPIRY, 0, 0, 0, 0))  # a Message Expiry Interval of 0 s
_LONGEST_NUMBER = 4  # bytes of a variable byte integer


class PacketError(ValueError):
    """A packet is not what the standard says."""


def publish_packet(publication: Publication, version: Version) -> bytes:
    """Return a message at QoS 0 as a PUBLISH packet."""
    topic = publication.topic.encode()
    extra = b""
    if version is Version.V5:
        if publication.expiry is not None:  # 3.3.2.3.3
            extra += bytes((EXPIRY,)) + publication.expiry.to_bytes(4, "big")
        if (data := publication.correlation) is not None:  # 3.3.2.3.6
            extra += bytes((CORRELATION,)) + len(data).to_bytes(2, "big") + data
        extra = _variable_length(len(extra)) + extra
    rest = len(topic).to_bytes(2, "big") + topic + extra + publication.payload
    first = 0x31 if publication.retain else 0x30
    return bytes((first,)) + _variable_length(len(rest)) + rest


def reduced(packet: bytes | bytearray, *, qos: int) -> bytes:
    """Return an MQTT 5 PUBLISH packet without the properties that are not used.

    Args:
        packet: everything after the fixed header.
        qos: from the fixed header.

    Raises:
        PacketError: It is cut off, or has a property that no PUBLISH packet has.

    """
    begin = 2 + _two_bytes(packet, 0) + (2 if qos else 0)
    length, at = _number(packet, begin)
    end = at + length
    if end > len(packet):
        raise PacketError("the properties are longer than the packet")
    used = _used(packet, at, end)
    kept = b"".join(bytes((kind,)) + value for kind, value in used.items())
    return bytes(packet[:begin]) + _variable_length(len(kept)) + kept + packet[end:]


def _used(packet: bytes | bytearray, at: int, end: int) -> Mapping[int, bytes]:
    """Return the values of the used properties; of several with one name, the last."""
    used: dict[int, bytes] = {}
    for _ in range(MAX_PROPERTIES):
        if at >= end:
            break
        kind = packet[at]
        after = _end_of_value(packet, at + 1, kind)
        if after > end:
            raise PacketError("a property is longer than all of them")
        if kind in {EXPIRY, RESPONSE_TOPIC, CORRELATION}:
            used[kind] = bytes(packet[at + 1 : after])
        at = after
    else:
        if at < end:
            used[EXPIRY] = _EXPIRED[1:]
    if not _is_text(used.get(RESPONSE_TOPIC, b"")[2:]):
        del used[RESPONSE_TOPIC]  # the response goes to the common topic then
    return used


def _end_of_value(packet: bytes | bytearray, at: int, kind: int) -> int:
    length = _LENGTHS.get(kind)
    if length is None:
        raise PacketError(f"there is no property 0x{kind:02x} in a PUBLISH packet")
    if length == _NUMBER:
        return _number(packet, at)[1]
    if length > 0:
        return at + length
    at += 2 + _two_bytes(packet, at)
    return at + 2 + _two_bytes(packet, at) if length == _PAIR else at


def _is_text(value: bytes) -> bool:
    """Return whether paho takes it for a text; it refuses U+FEFF and NUL (1.5.4)."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in text and "\ufeff" not in text


def _two_bytes(packet: bytes | bytearray, at: int) -> int:
    if at + 2 > len(packet):
        raise PacketError("it is cut off")
    return packet[at] << 8 | packet[at + 1]


def _number(packet: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a variable byte integer (1.5.5), and where it ends."""
    value = 0
    for index, byte in enumerate(packet[at : at + _LONGEST_NUMBER]):
        value |= (byte & 0x7F) << 7 * index
        if byte <= 0x7F:  # noqa: PLR2004 - the highest bit says that more follow
            return value, at + index + 1
    raise PacketError("a number does not end")


def _variable_length(number: int) -> bytes:
    """Return a variable byte integer (1.5.5)."""
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
