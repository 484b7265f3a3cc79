"""What waits for the broker, without a broker."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mqtt.messages import Lane, Publication
from bridge.mqtt.outbox import Bounds, Outbox

SMALL = {
    Lane.RESPONSE: Bounds(count=3, age=600),
    Lane.EVENT: Bounds(count=3, age=60),
    Lane.CONSOLE: Bounds(count=3, size=200, age=5),
}


def retained(
    topic: str, payload: bytes = b"x", *, expiry: int | None = None, time: float = 0
) -> Publication:
    return Publication(
        topic=topic,
        payload=payload,
        retain=True,
        lane=Lane.RETAINED,
        qos=1,
        expiry=expiry,
        time=time,
    )


def event(payload: bytes, *, lane: Lane = Lane.EVENT, time: float = 0) -> Publication:
    return Publication(topic="e", payload=payload, lane=lane, time=time, qos=1)


def drain(outbox: Outbox, now: float = 0) -> list[Publication]:
    taken = []
    while (publication := outbox.take(now)) is not None:
        taken.append(publication)
    return taken


def payloads(publications: list[Publication]) -> list[bytes]:
    return [publication.payload for publication in publications]


def test_the_latest_value_of_a_retained_topic_wins() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put(retained("state", b"%d" % number))
    assert len(outbox) == 1
    assert payloads(drain(outbox)) == [b"99"]


def test_the_same_again_is_not_sent() -> None:
    outbox = Outbox()
    outbox.put(retained("state"))
    drain(outbox)
    outbox.put(retained("state"))
    assert drain(outbox) == []


def test_the_same_again_is_sent_where_it_would_expire() -> None:
    outbox = Outbox()
    outbox.put(retained("temperature", expiry=180))
    drain(outbox)
    outbox.put(retained("temperature", expiry=180))
    assert len(drain(outbox)) == 1


def test_the_whole_table_is_published_again_with_one_topic_last() -> None:
    outbox = Outbox()
    for topic in ("availability", "state", "info"):
        outbox.put(retained(topic))
    drain(outbox)
    outbox.republish(last="availability")
    assert [p.topic for p in drain(outbox)] == ["state", "info", "availability"]


def test_republishing_counts_each_topic_once() -> None:
    outbox = Outbox()
    outbox.put(retained("state"))
    outbox.republish(last="never published")
    outbox.republish()
    assert len(drain(outbox)) == 1


def test_an_expiring_value_is_published_again_with_what_is_left_of_its_time() -> None:
    outbox = Outbox()
    outbox.put(retained("temperature", expiry=180))
    drain(outbox)
    outbox.republish()
    assert [p.expiry for p in drain(outbox, now=100.5)] == [79]
    outbox.republish()
    assert drain(outbox, now=179.5) == []
    outbox.put(retained("temperature", b"y", expiry=180, time=200))
    assert payloads(drain(outbox, now=200)) == [b"y"]


def test_a_cleared_topic_is_forgotten_once_the_broker_has_cleared_it() -> None:
    outbox = Outbox()
    outbox.put(retained("heater"))
    drain(outbox)
    clearing = retained("heater", b"")
    outbox.put(clearing)
    assert payloads(drain(outbox)) == [b""]
    outbox.republish()
    assert payloads(drain(outbox)) == [b""]
    outbox.delivered(clearing)
    assert outbox.retained == frozenset()
    outbox.republish()
    assert drain(outbox) == []


def test_a_topic_with_a_new_value_is_not_forgotten_with_the_old_clearing() -> None:
    outbox = Outbox()
    clearing = retained("heater", b"")
    outbox.put(clearing)
    drain(outbox)
    outbox.put(retained("heater", b"back"))
    outbox.delivered(clearing)
    assert payloads(drain(outbox)) == [b"back"]
    outbox.delivered(retained("never put", b""))
    assert outbox.retained == {"heater"}


def test_a_full_lane_drops_its_oldest_and_counts_it() -> None:
    outbox = Outbox(SMALL)
    for number in range(5):
        outbox.put(event(b"%d" % number))
    assert outbox.dropped == Counter({Lane.EVENT: 2})
    assert payloads(drain(outbox)) == [b"2", b"3", b"4"]


def test_a_lane_is_bounded_in_bytes_but_keeps_the_newest() -> None:
    outbox = Outbox(SMALL)
    outbox.put(event(b"a" * 100, lane=Lane.CONSOLE))
    outbox.put(event(b"b" * 100, lane=Lane.CONSOLE))
    assert payloads(drain(outbox)) == [b"b" * 100]
    outbox.put(event(b"c" * 1000, lane=Lane.CONSOLE))
    assert payloads(drain(outbox)) == [b"c" * 1000]


def test_one_lane_pushes_nothing_out_of_another() -> None:
    outbox = Outbox(SMALL)
    outbox.put(event(b"answer", lane=Lane.RESPONSE))
    outbox.put(retained("state"))
    for number in range(100):
        outbox.put(event(b"%d" % number, lane=Lane.CONSOLE))
    assert {b"answer", b"x"} <= set(payloads(drain(outbox)))


def test_lanes_take_turns() -> None:
    outbox = Outbox(SMALL)
    for number in range(3):
        outbox.put(event(b"%d" % number, lane=Lane.RESPONSE))
        outbox.put(event(b"%d" % number, lane=Lane.EVENT))
    lanes = [publication.lane for publication in drain(outbox)]
    assert lanes == [Lane.RESPONSE, Lane.EVENT] * 3


@pytest.mark.parametrize(
    ("lane", "age"), [(Lane.RESPONSE, 600), (Lane.EVENT, 60), (Lane.CONSOLE, 5)]
)
def test_what_is_too_old_is_not_sent_after_a_long_break(lane: Lane, age: int) -> None:
    outbox = Outbox()
    outbox.put(event(b"old", lane=lane, time=0))
    outbox.put(event(b"young", lane=lane, time=1))
    assert payloads(drain(outbox, now=age + 1)) == [b"young"]
    assert outbox.dropped[lane] == 1


def test_what_was_on_its_way_goes_first_after_a_break() -> None:
    outbox = Outbox(SMALL)
    outbox.put(event(b"1"))
    outbox.put(event(b"2"))
    on_way = outbox.take(0)
    assert on_way is not None
    outbox.undelivered(on_way)
    assert payloads(drain(outbox)) == [b"1", b"2"]


def test_only_what_promises_it_is_sent_twice() -> None:
    outbox = Outbox()
    outbox.undelivered(Publication(topic="console", payload=b"x", lane=Lane.CONSOLE))
    outbox.undelivered(retained("state"))
    assert drain(outbox) == []
    assert outbox.dropped == Counter({Lane.CONSOLE: 1})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["retained", "response", "event", "take", "republish"]),
            st.integers(0, 5),
        )
    )
)
def test_whatever_happens_it_stays_small_and_says_what_is_true(
    steps: list[tuple[str, int]],
) -> None:
    outbox, truth, last = Outbox(SMALL), dict[str, bytes](), dict[str, bytes]()
    put = gone = 0
    for step, (what, number) in enumerate(steps):
        payload = b"%d" % step
        if what == "retained":
            truth[str(number)] = payload
            outbox.put(retained(str(number), payload))
        elif what == "republish":
            outbox.republish()
        elif what == "take":
            taken = outbox.take(0)
            if taken is not None and taken.retain:
                last[taken.topic] = taken.payload
            gone += taken is not None and not taken.retain
        else:
            put += 1
            outbox.put(event(payload, lane=Lane(what)))
    assert len(outbox) <= 6 + 3 + 3
    for publication in drain(outbox):
        if publication.retain:
            last[publication.topic] = publication.payload
        gone += not publication.retain
    assert last == truth
    assert put == gone + outbox.dropped.total()
