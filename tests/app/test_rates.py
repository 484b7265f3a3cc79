"""How much may come in."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.app.rates import Rates


def test_a_burst_of_twice_the_rate() -> None:
    rates = Rates(5)
    assert [rates.take("head", 0.0) for _ in range(12)] == [True] * 10 + [False] * 2


def test_it_refills() -> None:
    rates = Rates(2)
    for _ in range(4):
        rates.take("head", 0.0)
    assert not rates.take("head", 0.4)
    assert rates.take("head", 0.9)
    assert not rates.take("head", 0.9)
    assert [rates.take("head", 100.0) for _ in range(5)] == [True] * 4 + [False]


def test_one_topic_holds_up_no_other() -> None:
    rates = Rates(1)
    assert [rates.take("head", 0.0) for _ in range(3)] == [True, True, False]
    assert rates.take("bed", 0.0)


def test_a_slow_rate_lets_the_first_through() -> None:
    rates = Rates(0.01)
    assert rates.take("head", 0.0)
    assert not rates.take("head", 50.0)
    assert rates.take("head", 150.0)


@given(
    rate=st.floats(0.01, 100),
    pauses=st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_and_a_burst(rate: float, pauses: list[float]) -> None:
    rates, now, admitted = Rates(rate), 0.0, 0
    for pause in pauses:
        now += pause
        admitted += rates.take("head", now)
    assert admitted <= max(1.0, 2 * rate) + now * rate + 1e-6
