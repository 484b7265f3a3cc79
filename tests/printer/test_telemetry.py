"""When the temperatures and the job are published."""

import math
import random
from dataclasses import replace

import pytest

from bridge.config import Telemetry
from bridge.printer.knowledge import state as known
from bridge.printer.published import documents, views
from bridge.printer.published.telemetry import (
    ANNOUNCED,
    AT_ONCE,
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


def test_a_change_after_an_announcement_takes_no_repetition_away(
    printer: Knowing, gate: TemperatureGate
) -> None:
    gate.announced(10)
    assert gate.due(printer.state, 10)
    printer.says("T:25 /0")
    published = [n / 10 for n in range(101, 400) if gate.due(printer.state, n / 10)]
    assert published[-len(ANNOUNCED) + 1 :] == [10 + pause for pause in ANNOUNCED[1:]]


def test_an_announcement_right_after_a_report_is_followed_by_another(
    printer: Knowing, gate: TemperatureGate
) -> None:
    printer.says("T:25 /0")
    assert gate.due(printer.state, 2)
    gate.announced(2.1)
    assert any(gate.due(printer.state, 2.1 + n / 10) for n in range(30))


def test_what_is_not_known_is_repeated_after_an_announcement_too(
    gate: TemperatureGate,
) -> None:
    unknown = Knowing()
    gate.announced(10)
    published = [n / 10 for n in range(100, 400) if gate.due(unknown.state, n / 10)]
    assert published == [10 + pause for pause in ANNOUNCED]


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


def published_job(printer: Knowing, gate: JobGate, now: float) -> documents.Job | None:
    return gate.due(views.job_state(printer.state, now=now, epoch=0), now)


def test_the_job_is_published_when_it_changes_and_seldom_while_it_goes_on(
    printer: Knowing,
) -> None:
    gate = JobGate(Telemetry())

    def due(now: float) -> bool:
        return published_job(printer, gate, now) is not None

    assert due(0)
    assert not due(100)
    printer.says("File opened: a.gco Size: 1000")
    assert due(100)
    printer.at(101).says("SD printing byte 10/1000")
    assert due(101)
    printer.says("SD printing byte 19/1000")
    assert not due(106), "less than a step"
    printer.says("SD printing byte 20/1000")
    assert due(106)
    printer.says("//action:paused")
    assert due(106.1)
    assert not due(200)


def test_the_progress_is_not_published_every_second_in_the_long_run(
    printer: Knowing,
) -> None:
    gate = JobGate(Telemetry(progress_step=0.1))
    printer.says("File opened: a.gco Size: 100000")
    printer.sends("M24")
    seen = set()
    for second in range(1, 3601):
        printer.at(second).says(f"SD printing byte {second * 20}/100000")
        if job := published_job(printer, gate, second):
            seen.add(job.progress)
    assert 48 <= len(seen) <= AT_ONCE + 49


def test_a_short_print_is_followed_closely(printer: Knowing) -> None:
    gate = JobGate(Telemetry())
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")
    seen = []
    for second in range(1, 15):
        printer.at(second).says(f"SD printing byte {second * 20}/1000")
        if job := published_job(printer, gate, second):
            seen.append(job.progress)
    assert seen == [2.0 * second for second in range(1, 15)]


@pytest.mark.parametrize("hours", [0.2, 1, 2])
@pytest.mark.parametrize("slicer", [False, True], ids=["bytes", "slicer"])
def test_a_print_makes_fewer_than_200_rows_an_hour(
    printer: Knowing, hours: float, *, slicer: bool
) -> None:
    """With an estimate that is wrong by a tenth, to and fro."""
    gate, total = JobGate(Telemetry(progress_step=0.1)), int(hours * 3600)
    rows: list[int] = []
    last: dict[str, object] = {}
    for moment in range(int(max(3600, total))):
        second = moment % total
        if second == 0:
            printer.at(moment).says(
                "Done printing file", "File opened: a.gco Size: 1000000"
            )
            printer.sends("M24")
        wave = 1 + 0.1 * ((second // 200) % 2)
        place = min(999_999, int(1_000_000 * second / total * wave))
        printer.at(moment).says(f"SD printing byte {place}/1000000")
        if slicer and second % 60 == 0:
            printer.sends(f"M73 R{(total - second) * wave / 60:.0f}")
        job = published_job(printer, gate, moment)
        for name in ("progress", "elapsed", "remaining"):
            value = getattr(job, name) if job else last.get(name)
            rows += [moment] if value != last.get(name) else []
            last[name] = value
    for number, start in enumerate(rows):
        within = [row for row in rows[number : number + 220] if row < start + 3600]
        assert len(within) < 200


def test_a_state_is_compared_by_its_temperatures_only(
    printer: Knowing, gate: TemperatureGate
) -> None:
    assert not gate.due(replace(printer.state, message="hello"), 1)


def test_what_is_left_is_rounded_and_does_not_tremble(printer: Knowing) -> None:
    gate = JobGate(Telemetry())
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")

    def left(now: float, minutes: float) -> tuple[int | None, float | None]:
        printer.at(now).sends(f"M73 P10 R{minutes:g}")
        job = published_job(printer, gate, now) or gate.last
        assert job is not None
        return job.remaining, job.finish_at

    assert left(0, 10) == (600, 600)
    assert left(10, 10) == (600, 600)
    assert left(59, 9) == (600, 600), "too soon"
    assert left(76, 9) == (540, 600)
    assert left(160, 9.7) == (540, 600), "less than most of a step"
    assert left(240, 9.8) == (600, 840)
    assert left(320, 120) == (7200, 7500)
    assert left(420, 117) == (7200, 7500)
    assert left(600, 116) == (6900, 7500)
    assert left(700, 125) == (7500, 8220)
    printer.at(800).says("//action:paused")
    paused = published_job(printer, gate, 800)
    assert paused is not None
    assert paused.finish_at is None


def test_another_print_has_its_own_start(printer: Knowing) -> None:
    gate = JobGate(Telemetry())

    def started(now: float, file: str) -> float | None:
        printer.at(now).says(f"File opened: {file} Size: 1000")
        printer.sends("M24")
        job = published_job(printer, gate, now)
        assert job is not None
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


def rows(swing: float, deadband: float) -> int:
    """Return how many temperatures a recorder writes in an hour of held targets.

    A hotend and a bed swing around their targets, a third as much the bed, and are
    measured with noise of a sixth of that; the firmware reports every two seconds.
    """
    noise = random.Random(1)  # noqa: S311 - no secret
    printer = Knowing()
    gate = TemperatureGate(Telemetry(deadband=deadband))
    shown: dict[str, float | None] = {}
    written = 0
    for now in range(0, 3600, 2):
        hotend = swing * (math.sin(now * math.tau / 23) + noise.gauss(0, 1 / 6))
        bed = swing / 3 * (math.sin(now * math.tau / 60) + noise.gauss(0, 1 / 6))
        printer.says(f"T:{210 + hotend:.2f} /210.00 B:{60 + bed:.2f} /60.00 @:9 B@:9")
        if gate.due(printer.state, now):
            document = views.temperatures(printer.state, now=now, epoch=0).model_dump()
            values = {name: document[name]["actual"] for name in ("tool0", "bed")}
            written += sum(shown.get(name) != value for name, value in values.items())
            shown = values
    return written


def test_a_larger_deadband_writes_fewer_rows_while_heaters_tremble() -> None:
    assert rows(0.1, 0.2) < 300
    usual = rows(0.3, 0.2)
    assert usual < 1000
    assert rows(0.3, 0.5) < usual / 2
    assert rows(0.3, 1.0) <= 2 * 60, "one each heartbeat"
