"""When the temperatures and the job are published."""

from dataclasses import replace

import pytest

from bridge.config import Telemetry
from bridge.printer.knowledge import state as known
from bridge.printer.published import documents, views
from bridge.printer.published.telemetry import (
    ANNOUNCED,
    JobGate,
    TemperatureGate,
    steady,
)
from tests.support.knowing import Knowing


@pytest.fixture
def printer() -> Knowing:
    printer = Knowing()
    printer.says("T:20 /0 B:20 /0")
    return printer


@pytest.fixture
def gate(printer: Knowing) -> TemperatureGate:
    gate = TemperatureGate(Telemetry())
    assert gate.due(printer.state, 0)
    return gate


def test_the_first_is_published_at_once(printer: Knowing) -> None:
    gate = TemperatureGate(Telemetry())
    assert gate.next_due() == float("-inf")
    assert gate.due(printer.state, 100)


def test_a_small_change_waits_for_the_heartbeat(
    printer: Knowing, gate: TemperatureGate
) -> None:
    printer.says("T:20.1 /0 B:19.9 /0")
    assert not gate.due(printer.state, 59.9)
    assert gate.next_due() == 60
    assert gate.due(printer.state, 60)
    assert gate.next_due() == 120


def test_after_an_announcement_it_is_published_again_and_again(
    printer: Knowing, gate: TemperatureGate
) -> None:
    gate.announced(10)
    published = [n / 10 for n in range(100, 400) if gate.due(printer.state, n / 10)]
    assert published == [10 + pause for pause in ANNOUNCED]


def test_a_second_announcement_starts_the_repetitions_again(
    printer: Knowing, gate: TemperatureGate
) -> None:
    gate.announced(10)
    assert gate.due(printer.state, 10)
    gate.announced(11)
    published = [n / 10 for n in range(110, 400) if gate.due(printer.state, n / 10)]
    assert published == [11 + pause for pause in ANNOUNCED]


def test_what_is_published_late_after_an_announcement_is_published_once(
    printer: Knowing, gate: TemperatureGate
) -> None:
    gate.announced(10)
    assert gate.due(printer.state, 30)
    assert not gate.due(printer.state, 30.1)


def test_a_change_by_the_deadband_is_published(
    printer: Knowing, gate: TemperatureGate
) -> None:
    printer.says("T:20.2 /0 B:20 /0")
    assert gate.due(printer.state, 1)


def test_small_changes_add_up(printer: Knowing, gate: TemperatureGate) -> None:
    printer.says("T:20.1 /0")
    assert not gate.due(printer.state, 2)
    printer.says("T:20.2 /0")
    assert gate.due(printer.state, 4)


def test_changes_are_not_published_too_often(
    printer: Knowing, gate: TemperatureGate
) -> None:
    printer.says("T:25 /0")
    assert not gate.due(printer.state, 0.5)
    assert gate.next_due() == 1
    assert gate.due(printer.state, 1)


def test_a_change_that_is_gone_again_needs_no_publication(
    printer: Knowing, gate: TemperatureGate
) -> None:
    printer.says("T:25 /0")
    assert not gate.due(printer.state, 0.5)
    printer.says("T:20 /0")
    assert not gate.due(printer.state, 1)
    assert gate.next_due() == 60


def test_a_new_target_is_published_at_once(
    printer: Knowing, gate: TemperatureGate
) -> None:
    printer.sends("M104 S200")
    assert gate.due(printer.state, 0.01)
    assert not gate.due(printer.state, 0.02)


def test_a_new_offset_is_published_at_once(
    printer: Knowing, gate: TemperatureGate
) -> None:
    assert gate.due(known.with_offsets(printer.state, {"bed": 5}), 0.01)


def test_unknown_is_published_at_once(printer: Knowing, gate: TemperatureGate) -> None:
    away = known.disconnected(printer.state, now=0)
    assert gate.due(away, 0.01)
    assert not gate.due(away, 0.02)
    assert gate.due(printer.state, 0.03)


def test_sensors_and_new_heaters_count_too(
    printer: Knowing, gate: TemperatureGate
) -> None:
    printer.says("T:20 /0 P:30")
    assert gate.due(printer.state, 0.01)
    printer.says("T:20 /0 P:31")
    assert gate.due(printer.state, 2)


def test_without_a_deadband_every_change_counts_but_no_repetition(
    printer: Knowing,
) -> None:
    gate = TemperatureGate(Telemetry(deadband=0, min_interval=0))
    assert gate.due(printer.state, 0)
    assert not gate.due(printer.state, 1)
    printer.says("T:20.01 /0")
    assert gate.due(printer.state, 1)


def test_the_job_is_published_when_it_changes_and_seldom_while_it_goes_on(
    printer: Knowing,
) -> None:
    gate = JobGate()

    def due(now: float) -> bool:
        return gate.due(views.job_state(printer.state, now=now, epoch=0), now)

    assert due(0)
    assert not due(100)
    printer.says("File opened: a.gco Size: 1000")
    assert due(100)
    printer.at(101).says("SD printing byte 10/1000")
    assert due(101)
    printer.says("SD printing byte 20/1000")
    assert not due(105.9)
    assert due(106)
    printer.says("//action:paused")
    assert due(106.1)
    assert not due(200)


def test_a_state_is_compared_by_its_temperatures_only(
    printer: Knowing, gate: TemperatureGate
) -> None:
    assert not gate.due(replace(printer.state, message="hello"), 1)


def test_the_time_of_day_at_which_it_is_done_does_not_tremble(printer: Knowing) -> None:
    gate = JobGate()
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")

    def finish(now: float, left: float) -> float | None:
        printer.at(now).sends(f"M73 P10 R{left:g}")
        job = gate.steady(views.job_state(printer.state, now=now, epoch=0))
        gate.due(job, now)
        return job.finish_at

    assert finish(0, 10) == 600
    assert finish(10, 10) == 600
    assert finish(60, 10) == 600
    assert finish(61, 10) == 661
    printer.says("//action:paused")
    assert (
        gate.steady(views.job_state(printer.state, now=70, epoch=0)).finish_at is None
    )


def test_another_print_has_its_own_start(printer: Knowing) -> None:
    gate = JobGate()

    def started(now: float, file: str) -> float | None:
        printer.at(now).says(f"File opened: {file} Size: 1000")
        printer.sends("M24")
        job = gate.steady(views.job_state(printer.state, now=now, epoch=0))
        gate.due(job, now)
        printer.says("Done printing file")
        return job.started_at

    assert started(0, "a.gco") == 0
    assert started(30, "b.gco") == 30


def test_when_heaters_go_off_does_not_jitter(printer: Knowing) -> None:
    def told(off_at: float | None) -> documents.State:
        printer.become(replace(printer.state, heaters_off_at=off_at))
        return views.state(printer.state, now=0, epoch=0)

    first = steady(None, told(100.4))
    assert first.heaters_off_at == 100
    assert steady(first, told(100.6)) == first
    assert steady(first, told(102)).heaters_off_at == 102
    assert steady(first, told(None)).heaters_off_at is None
    assert steady(steady(first, told(None)), told(100.6)).heaters_off_at == 101
