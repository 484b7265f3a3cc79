"""Temperatures of the last half hour."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.printer.knowledge.heaters import HeaterState
from bridge.printer.knowledge.history import History, Point

TWENTY = {"tool0": HeaterState(20, 0)}


def times(history: History, now: float, limit: int | None = None) -> list[float]:
    return [point.time for point in history.newest(now, limit)]


def test_the_newest_points_come_first() -> None:
    history = History(30)
    for second in range(5):
        history.add({"tool0": HeaterState(20 + second, 0)}, second)
    assert list(history.newest(5, 2)) == [
        Point(4, {"tool0": HeaterState(24, 0)}),
        Point(3, {"tool0": HeaterState(23, 0)}),
    ]
    assert times(history, 5) == [4, 3, 2, 1, 0]
    assert times(history, 5, 0) == []


def test_there_is_at_most_one_point_a_second() -> None:
    history = History(30)
    for tenth in range(31):
        history.add(TWENTY, tenth / 10)
    assert times(history, 3) == [3, 2, 1, 0]


def test_old_points_are_forgotten_also_without_new_ones() -> None:
    history = History(1)
    for second in (0, 30, 61):
        history.add(TWENTY, second)
    assert times(history, 61) == [61, 30]
    assert times(history, 1000) == []
    assert len(history) == 0


def test_a_window_of_nothing_keeps_nothing() -> None:
    history = History(0)
    history.add(TWENTY, 1)
    assert len(history) == 0


def test_a_point_does_not_change_with_its_source() -> None:
    history = History(30)
    heaters = dict(TWENTY)
    history.add(heaters, 1)
    heaters.clear()
    assert next(history.newest(1)).heaters == TWENTY


def test_what_is_unknown_stays_unknown_also_when_heaters_come_and_go() -> None:
    history = History(30)
    points = [
        {"tool0": HeaterState(None, None)},
        {"tool0": HeaterState(20.5, None), "bed": HeaterState(None, 60)},
        {"bed": HeaterState(-3.25, 0)},
    ]
    for second, heaters in enumerate(points):
        history.add(heaters, second)
    assert [point.heaters for point in history.newest(2)] == points[::-1]


def test_a_long_window_is_thinned_so_that_memory_stays_bounded() -> None:
    history = History(1440)
    for second in range(0, 100_000, 3):
        history.add(TWENTY, second)
    assert len(history) <= 7201
    kept = times(history, 100_000)
    assert kept[0] > 99_980
    assert kept[-1] < 14_000


@given(
    st.lists(st.floats(0, 5000, allow_nan=False), max_size=60).map(sorted),
    st.floats(0.1, 60),
)
def test_the_points_are_spaced_in_order_and_within_the_window(
    moments: list[float], minutes: float
) -> None:
    history = History(minutes)
    for moment in moments:
        history.add(TWENTY, moment)
    now = moments[-1] if moments else 0.0
    kept = times(history, now)
    assert kept == sorted(kept, reverse=True)
    assert all(later - earlier >= 1 for later, earlier in pairwise(kept))
    assert all(now - moment <= minutes * 60 for moment in kept)
