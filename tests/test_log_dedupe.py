"""A failure that repeats is logged at once, and then from time to time."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.log_dedupe import LogDedupe


def test_the_same_is_said_once_and_then_now_and_again_with_a_count() -> None:
    repeats = LogDedupe(every=600)
    said = [repeats.filter("no broker", now) for now in (0, 10, 20, 610, 700, 1210)]
    assert said == [
        "no broker",
        None,
        None,
        "no broker (3 more times)",
        None,
        "no broker (2 more times)",
    ]


def test_two_failures_by_turns_are_said_once_each() -> None:
    repeats = LogDedupe(every=600)
    said = [repeats.filter("ab"[now % 2], now) for now in range(600)]
    assert [line for line in said if line is not None] == ["a", "b"]


def test_what_comes_back_after_a_long_time_is_said_without_a_count() -> None:
    repeats = LogDedupe(every=600)
    assert repeats.filter("no broker", 0) == "no broker"
    assert repeats.filter("no broker", 1000) == "no broker"


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 10))))
def test_nothing_is_said_more_often_than_wanted(
    failures: list[tuple[int, float]],
) -> None:
    repeats, now, said = LogDedupe(every=600), 0.0, 0
    for kind, pause in failures[:16]:
        now += pause
        said += repeats.filter(str(kind % 8), now) is not None
    assert said <= 8


def test_many_kinds_of_failures_are_not_remembered_for_ever() -> None:
    repeats = LogDedupe(every=600)
    for number in range(17):
        assert repeats.filter(str(number), 0) is not None
    assert repeats.filter("0", 1) == "0"
    assert repeats.filter("16", 1) is None


def test_after_a_success_everything_is_news() -> None:
    repeats = LogDedupe()
    repeats.filter("no broker", 0)
    repeats.forget()
    assert repeats.filter("no broker", 1) == "no broker"


def test_what_came_again_and_stopped_is_told_once() -> None:
    repeats = LogDedupe(every=600)
    for text, now in (("no broker", 0), ("no broker", 1), ("no right", 2)):
        repeats.filter(text, now)
    assert repeats.overdue(599) == []
    assert repeats.overdue(600) == ["no broker (1 more times)"]
    assert repeats.overdue(600) == []
    assert repeats.filter("no broker", 600) == "no broker"
