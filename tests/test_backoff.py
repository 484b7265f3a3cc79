"""How long to wait before the next attempt, and when it is whose turn."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backoff import Backoff, next_turn, offset


def test_delays_double_up_to_the_longest() -> None:
    delays = Backoff(first=1, longest=6)
    assert [delays.next_delay(1) for _ in range(5)] == [1, 2, 4, 6, 6]


def test_after_a_success_they_start_again() -> None:
    delays = Backoff(first=1, longest=6)
    delays.next_delay(1)
    delays.next_delay(1)
    delays.reset()
    assert delays.next_delay(1) == 1


@given(st.lists(st.floats(0, 1), max_size=20))
def test_chance_shortens_a_delay_by_half_at_most(chances: list[float]) -> None:
    full, spread = Backoff(), Backoff()
    for chance in chances:
        longest = full.next_delay(1)
        assert longest / 2 <= spread.next_delay(chance) <= longest


def test_many_have_their_turns_one_after_the_other() -> None:
    turns = [offset(f"printer{number}", 2.0) for number in range(100)]
    assert turns == [offset(f"printer{number}", 2.0) for number in range(100)]
    assert all(0 <= turn < 2 for turn in turns)
    slots = Counter(int(turn * 10) for turn in turns)
    assert max(slots.values()) <= 15, "of a hundred, five would be even"


@given(st.floats(0, 1e6), st.floats(0.5, 60), st.text(max_size=5))
def test_a_turn_comes_once_in_each_period(now: float, period: float, name: str) -> None:
    first = next_turn(now, period, name)
    assert now < first <= now + 1.06 * period
    assert next_turn(first, period, name) == pytest.approx(first + period)
    early = first - 0.01 * period
    assert next_turn(early, period, name) == pytest.approx(first + period)
