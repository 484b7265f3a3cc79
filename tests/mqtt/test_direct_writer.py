"""Messages at QoS 0 that are written past paho's queue, and never into its packets."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes

from bridge.config import Mqtt
from bridge.mqtt.connect import DirectWriter, properties
from bridge.mqtt.messages import Publication, Version
from bridge.mqtt.publish_packets import publish_packet
from tests.support.bridges import TOPICS, bridge
from tests.support.brokers import Spec, mosquitto
from tests.support.mqtt_client import connected
from tests.support.waiting import until


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, theirs:
        yield ours, theirs


def test_the_examples_of_the_specification() -> None:
    plain = Publication(topic="a/b", payload=b"hi")
    assert publish_packet(plain, Version.V311) == b"\x30\x07\x00\x03a/bhi"
    assert publish_packet(plain, Version.V5) == b"\x30\x08\x00\x03a/b\x00hi"
    kept = Publication(topic="a/b", payload=b"", retain=True, expiry=180)
    assert publish_packet(kept, Version.V5) == (
        b"\x31\x0b\x00\x03a/b\x05\x02\x00\x00\x00\xb4"
    )


@given(
    st.text(min_size=1, max_size=80).filter(lambda x: x.isprintable()),
    st.one_of(st.binary(max_size=300), st.sampled_from([b"x" * 20_000])),
    st.booleans(),
    st.none() | st.integers(1, 2**32 - 1),
    st.none() | st.binary(max_size=200),
)
def test_a_packet_is_what_paho_makes(
    topic: str,
    payload: bytes,
    retain: bool,  # noqa: FBT001 - hypothesis gives it by position
    expiry: int | None,
    correlation: bytes | None,
) -> None:
    sent = Publication(
        topic=topic,
        payload=payload,
        retain=retain,
        expiry=expiry,
        correlation=correlation,
    )
    packet = publish_packet(sent, Version.V5)
    values: dict[str, object] = {"MessageExpiryInterval": expiry} if expiry else {}
    if correlation is not None:
        values["CorrelationData"] = correlation
    extra = properties(PacketTypes.PUBLISH, **values).pack()  # type: ignore[no-untyped-call]
    name = topic.encode()
    rest = len(name).to_bytes(2, "big") + name + extra + payload
    assert packet.endswith(rest)
    length, shift = 0, 0
    for byte in packet[1 : -len(rest)]:
        length |= (byte & 0x7F) << shift
        shift += 7
    assert length == len(rest)
    assert packet[0] == (0x31 if retain else 0x30)


def test_what_does_not_fit_is_written_later_and_only_then_counts(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    writer = DirectWriter(ours, Version.V5)
    messages = [Publication(topic=f"t{i}", payload=b"x" * 9000) for i in range(5)]
    numbers = [writer.put(message) for message in messages]
    wanted = b"".join(publish_packet(message, Version.V5) for message in messages)
    received = b""
    written: list[int] = []
    while not written:
        written = [*writer.write()]
        assert writer.waiting == (not written)
        received += theirs.recv(2000)
    while len(received) < len(wanted):
        received += theirs.recv(65_536)
    assert received == wanted
    assert written == numbers
    assert len(set(numbers)) == len(numbers)


def test_a_broken_connection_is_an_error(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    theirs.close()
    writer = DirectWriter(ours, Version.V5)
    writer.put(Publication(topic="t", payload=b""))
    with pytest.raises(OSError, match="Broken pipe"):
        writer.write()


async def test_messages_at_both_qualities_arrive_in_their_order() -> None:
    # Without a limit, which would have the broker overtake messages at QoS 1 itself.
    options = "allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0"
    count = 400
    with (
        mosquitto(Spec(options=options)) as broker,
        connected(broker.port, f"{TOPICS.base}/#", host=broker.host) as watcher,
    ):
        config = Mqtt.model_validate({"host": broker.host, "port": broker.port})
        async with bridge(config) as printer:
            await printer.online()
            topic = f"{TOPICS.base}/order"
            for number in range(count):
                payload = b"%d" % number + b"." * (5000 if number % 7 == 0 else 0)
                printer.broker.publish(topic, payload, qos=number % 3 == 0)
            await until(lambda: len(watcher.payloads(topic)) == count)
    heard = [int(payload.rstrip(b".")) for payload in watcher.payloads(topic)]
    assert heard == [*range(count)]
