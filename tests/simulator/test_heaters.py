"""The laws of heat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.simulator.heaters import (
    AMBIENT,
    BED,
    CHAMBER,
    HOTEND,
    Build,
    SimulatedHeater,
)

BUILDS = st.sampled_from([HOTEND, BED, CHAMBER])
TARGETS = st.floats(0, 400)
TIMES = st.lists(st.floats(0.001, 500), min_size=1, max_size=20)


def heater(
    build: Build, *, speed: float = 1.0, actual: float = AMBIENT
) -> SimulatedHeater:
    return SimulatedHeater("E0", build, speed, actual=actual)


@given(BUILDS, TARGETS, TIMES, st.floats(1, 300))
def test_it_stays_between_the_room_and_the_hottest_it_had_to_be(
    build: Build, target: float, pauses: list[float], start: float
) -> None:
    it = heater(build, actual=start)
    it.set_target(target, 0.0)
    lowest, highest = min(start, AMBIENT), max(start, it.target, AMBIENT)
    now = 0.0
    for pause in pauses:
        now += pause
        assert lowest - 1e-6 <= it.advance(now) <= highest + 1e-6


@given(BUILDS, TARGETS)
def test_it_reaches_its_target_in_the_end(build: Build, target: float) -> None:
    it = heater(build)
    it.set_target(target, 0.0)
    expected = max(it.target, AMBIENT)
    assert it.advance(1e6) == pytest.approx(expected, abs=0.01)
    assert it.near or it.target < AMBIENT


@given(BUILDS, TARGETS, TIMES)
def test_it_comes_nearer_and_never_turns_back(
    build: Build, target: float, pauses: list[float]
) -> None:
    it = heater(build, actual=150.0)
    it.set_target(target, 0.0)
    goal = max(it.target, AMBIENT)
    now, before = 0.0, abs(it.actual - goal)
    for pause in pauses:
        now += pause
        distance = abs(it.advance(now) - goal)
        assert distance <= before + 1e-6
        before = distance


@given(BUILDS, TARGETS, TIMES)
def test_how_often_one_looks_does_not_matter(
    build: Build, target: float, pauses: list[float]
) -> None:
    often, once = heater(build), heater(build)
    often.set_target(target, 0.0)
    once.set_target(target, 0.0)
    now = 0.0
    for pause in pauses:
        now += pause
        often.advance(now)
    assert often.actual == pytest.approx(once.advance(now), abs=1e-6)


@given(BUILDS, st.floats(30, 60), st.floats(1, 100))
def test_speed_is_only_time(build: Build, target: float, seconds: float) -> None:
    slow, fast = heater(build), heater(build, speed=10.0)
    slow.set_target(target, 0.0)
    fast.set_target(target, 0.0)
    assert fast.advance(seconds) == pytest.approx(slow.advance(seconds * 10))


@given(BUILDS, st.floats(40, 60), st.floats(22, 40))
def test_it_knows_when_it_will_be_there(
    build: Build, target: float, value: float
) -> None:
    it = heater(build)
    it.set_target(target, 0.0)
    assert it.advance(it.seconds_to(value)) == pytest.approx(value, abs=1e-6)


@given(BUILDS, st.floats(30, 120))
def test_a_broken_one_only_cools(build: Build, start: float) -> None:
    it = heater(build, actual=start)
    it.set_target(60.0, 0.0)
    it.set_broken(0.0, broken=True)
    assert it.advance(10.0) < start
    assert it.trips_at is not None
    it.set_target(0.0, 10.0)
    assert it.trips_at is None


def test_a_broken_one_never_gets_there() -> None:
    it = heater(HOTEND)
    it.set_target(200.0, 0.0)
    it.set_broken(0.0, broken=True)
    assert it.seconds_to(100.0) == float("inf")
    assert it.seconds_to(AMBIENT) == 0.0


def test_time_does_not_go_back() -> None:
    it = heater(HOTEND)
    it.set_target(200.0, 10.0)
    it.advance(20.0)
    assert it.advance(15.0) == it.actual
    assert it.time == 20.0


def test_power_is_full_then_what_holds_then_none() -> None:
    it = heater(HOTEND)
    assert it.power == 0
    it.set_target(200.0, 0.0)
    assert it.power == 127
    it.advance(1000.0)
    assert 0 < it.power < 127
    it.set_target(100.0, 1000.0)
    assert it.power == 0


def test_it_heats_like_a_printer() -> None:
    it = heater(HOTEND)
    it.set_target(210.0, 0.0)
    assert 30 < it.seconds_to(210.0 - 1) < 90
    bed = heater(BED)
    bed.set_target(60.0, 0.0)
    assert 30 < bed.seconds_to(59.0) < 120


def test_readings_swing_around_a_target_that_is_held_and_nothing_else_does() -> None:
    """A hotend by what was asked for, a bed a third as much."""
    for build, most in ((HOTEND, 0.35), (BED, 0.35 / 3)):
        it = SimulatedHeater("E0", build, swing=0.3)
        it.set_target(60.0, 0.0)
        assert it.reading(1.0) == it.actual, "it heats"
        readings = [it.reading(1000.0 + second) for second in range(120)]
        assert max(readings) - 60 == pytest.approx(most, rel=0.1)
        assert 60 - min(readings) == pytest.approx(most, rel=0.1)
        assert it.actual == 60.0
        assert it.near
        it.set_target(0.0, 2000.0)
        assert it.reading(9000.0) == it.actual, "it is cold"
    assert SimulatedHeater("E0", BED).swing == 0.0
