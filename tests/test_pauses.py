"""How long to wait, and how often to say so."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bridge.pauses import Pauses, Repeats, offset


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses(first=1, longest=6)
    assert [pauses.take(1) for _ in range(5)] == [1, 2, 4, 6, 6]


def test_after_a_success_they_begin_again() -> None:
    pauses = Pauses(first=1, longest=6)
    pauses.take(1)
    pauses.take(1)
    pauses.reset()
    assert pauses.take(1) == 1


@given(st.lists(st.floats(0, 1), max_size=20))
def test_chance_shortens_a_pause_by_half_at_most(chances: list[float]) -> None:
    full, spread = Pauses(), Pauses()
    for chance in chances:
        longest = full.take(1)
        assert longest / 2 <= spread.take(chance) <= longest


def test_many_have_their_turns_one_after_the_other() -> None:
    turns = [offset(f"printer{number}", 2.0) for number in range(100)]
    assert turns == [offset(f"printer{number}", 2.0) for number in range(100)]
    assert all(0 <= turn < 2 for turn in turns)
    slots = Counter(int(turn * 10) for turn in turns)
    assert max(slots.values()) <= 15, "of a hundred, five would be even"


def test_the_same_is_said_once_and_then_now_and_again_with_a_count() -> None:
    repeats = Repeats(every=600)
    said = [repeats.note("no broker", now) for now in (0, 10, 20, 610, 700, 1210)]
    assert said == [
        "no broker",
        None,
        None,
        "no broker (3 more times)",
        None,
        "no broker (2 more times)",
    ]


def test_two_failures_by_turns_are_said_once_each() -> None:
    repeats = Repeats(every=600)
    said = [repeats.note("ab"[now % 2], now) for now in range(600)]
    assert [line for line in said if line is not None] == ["a", "b"]


def test_what_comes_back_after_a_long_time_is_said_without_a_count() -> None:
    repeats = Repeats(every=600)
    assert repeats.note("no broker", 0) == "no broker"
    assert repeats.note("no broker", 1000) == "no broker"


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 10))))
def test_nothing_is_said_more_often_than_wanted(
    failures: list[tuple[int, float]],
) -> None:
    repeats, now, said = Repeats(every=600), 0.0, 0
    for kind, pause in failures[:16]:
        now += pause
        said += repeats.note(str(kind % 8), now) is not None
    assert said <= 8


def test_many_kinds_of_failures_are_not_remembered_for_ever() -> None:
    repeats = Repeats(every=600)
    for number in range(17):
        assert repeats.note(str(number), 0) is not None
    assert repeats.note("0", 1) == "0"
    assert repeats.note("16", 1) is None


def test_after_a_success_everything_is_news() -> None:
    repeats = Repeats()
    repeats.note("no broker", 0)
    repeats.forget()
    assert repeats.note("no broker", 1) == "no broker"


def test_what_came_again_and_stopped_is_told_once() -> None:
    repeats = Repeats(every=600)
    for text, now in (("no broker", 0), ("no broker", 1), ("no right", 2)):
        repeats.note(text, now)
    assert repeats.overdue(599) == []
    assert repeats.overdue(600) == ["no broker (1 more times)"]
    assert repeats.overdue(600) == []
    assert repeats.note("no broker", 600) == "no broker"
