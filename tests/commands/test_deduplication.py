"""Copies of one message that come over two connections are told from new messages."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bridge.commands.deduplication import Deliveries

PRINTER, EMERGENCY = "printer", "emergency"


def test_the_second_copy_is_none_of_its_own() -> None:
    deliveries = Deliveries()
    assert deliveries.is_first("stop", EMERGENCY, 0.0)
    assert not deliveries.is_first("stop", PRINTER, 0.1)


def test_the_order_of_the_connections_does_not_matter() -> None:
    deliveries = Deliveries()
    assert deliveries.is_first("stop", PRINTER, 0.0)
    assert not deliveries.is_first("stop", EMERGENCY, 0.1)


def test_two_equal_messages_on_one_connection_are_two() -> None:
    deliveries = Deliveries()
    assert deliveries.is_first("stop", EMERGENCY, 0.0)
    assert deliveries.is_first("stop", EMERGENCY, 0.1)
    assert not deliveries.is_first("stop", PRINTER, 0.2)
    assert not deliveries.is_first("stop", PRINTER, 0.3)
    assert deliveries.is_first("stop", PRINTER, 0.4)


def test_messages_that_one_connection_lost_are_not_missed_on_the_other() -> None:
    deliveries = Deliveries()
    first = [deliveries.is_first("stop", EMERGENCY, time) for time in (0.0, 1.0, 2.0)]
    assert first == [True, True, True]


def test_the_count_starts_over_after_a_while() -> None:
    deliveries = Deliveries(window=10.0)
    assert deliveries.is_first("stop", EMERGENCY, 0.0)
    assert deliveries.is_first("stop", PRINTER, 10.5)


def test_an_expected_message_is_our_own() -> None:
    deliveries = Deliveries()
    deliveries.expect("clearing", 0.0)
    assert not deliveries.is_first("clearing", EMERGENCY, 0.1)
    assert not deliveries.is_first("clearing", PRINTER, 0.1)
    assert deliveries.is_first("clearing", EMERGENCY, 0.2)


def test_different_messages_fill_no_memory() -> None:
    deliveries = Deliveries(capacity=2)
    for key in range(100):
        assert deliveries.is_first(key, EMERGENCY, 0.0)
    assert not deliveries.is_first(99, PRINTER, 0.1)
    assert deliveries.is_first(0, PRINTER, 0.1), "it was forgotten"


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([PRINTER, EMERGENCY])))
)
def test_as_many_are_first_as_the_better_connection_delivered(
    arrivals: list[tuple[str, str]],
) -> None:
    deliveries = Deliveries()
    first = Counter(
        key for key, connection in arrivals if deliveries.is_first(key, connection, 0.0)
    )
    counts = Counter(arrivals)
    for key in "ab":
        assert first[key] == max(counts[key, PRINTER], counts[key, EMERGENCY])
