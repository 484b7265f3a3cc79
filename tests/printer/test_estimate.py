"""The time that a print still takes: honest, or not told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.dialects import KLIPPER, MARLIN, PRUSA, REPETIER, Dialect
from bridge.printer.knowledge.estimate import EVERY, KEPT, LEAST_SHARE, Estimate
from bridge.printer.knowledge.print_job import finish_time, remaining
from tests.support.knowing import Knowing

SIZE = 100_000
KNOWN = SIZE * LEAST_SHARE / 10 + KEPT * EVERY
"""Seconds of printing, at 10 bytes a second, after which it has an estimate."""


def starts(dialect: Dialect = MARLIN) -> Knowing:
    printer = Knowing(dialect=dialect)
    printer.says(f"File opened: a.gco Size: {SIZE}", "File selected")
    printer.sends("M24")
    return printer


def prints(printer: Knowing, seconds: int, rate: float = 10.0) -> None:
    """Have it print for so long, at so many bytes a second."""
    place = printer.state.job.position or 0
    for second in range(1, seconds + 1):
        printer.at(printer.now + 1)
        printer.says(f"SD printing byte {place + second * rate:.0f}/{SIZE}")


def left(printer: Knowing) -> float | None:
    return remaining(printer.state.job, printer.now)


HEATING = {
    "marlin": "T:30 /200 B:40 /60 W:?",
    "prusa": "T:30.0 E:0 W:?",
    "klipper": "B:40.0 /60.0 T0:30.0 /200.0",
    "repetier": "T:30 /200 B:40 /60 @:255",
}


@pytest.mark.parametrize(
    "dialect", [MARLIN, PRUSA, KLIPPER, REPETIER], ids=lambda dialect: dialect.name
)
def test_heating_at_the_beginning_is_no_progress(dialect: Dialect) -> None:
    printer = starts(dialect)
    printer.at(1).says("T:30 /200 B:40 /60", f"SD printing byte 300/{SIZE}")
    for second in range(5, 600, 5):
        printer.at(second).says(HEATING[dialect.name])
        assert printer.state.job.heating
        assert left(printer) is None
        assert finish_time(printer.state.job, printer.now) is None
    printer.at(600).says("T:200 /200 B:60 /60")
    prints(printer, 5)
    assert not printer.state.job.heating
    prints(printer, int(KNOWN) + 5)
    told = left(printer)
    assert told is not None
    assert told == pytest.approx(
        (SIZE - (printer.state.job.position or 0)) / 10, rel=0.02
    )
    assert finish_time(printer.state.job, printer.now) == printer.now + told


def test_nothing_is_estimated_from_a_few_seconds() -> None:
    printer = starts()
    prints(printer, int(KNOWN) - 30)
    assert left(printer) is None
    prints(printer, 60)
    assert left(printer) is not None


def test_nothing_is_told_while_the_estimates_differ() -> None:
    printer = starts()
    prints(printer, 240)
    assert left(printer) is not None
    prints(printer, 60, rate=200.0)
    assert left(printer) is None
    prints(printer, 200, rate=60.0)
    assert left(printer) is not None


def test_a_wait_for_a_heater_in_the_print_belongs_to_it() -> None:
    printer = starts()
    prints(printer, 400)
    before = left(printer)
    assert before is not None
    for _ in range(10):
        printer.at(printer.now + 1).says("T:150 /200 B:60 /60 W:?")
    assert printer.state.job.heating
    prints(printer, 60)
    assert not printer.state.job.heating
    after = left(printer)
    assert after is not None
    assert after == pytest.approx(before, rel=0.1)


def test_what_the_slicer_says_waits_for_the_heater() -> None:
    printer = starts()
    printer.at(2).says("NORMAL MODE: Percent done: 0; print time remaining in mins: 50")
    assert left(printer) == 3000
    printer.at(10).says("T:30 /200 W:?")
    printer.at(300).says("T:199 /200 W:?")
    assert left(printer) == 2992
    assert finish_time(printer.state.job, 300) is None, "it is heating"
    printer.at(310).says("T:200 /200", f"SD printing byte 100/{SIZE}")
    assert left(printer) == 2992
    assert finish_time(printer.state.job, 310) == 310 + 2992


def test_a_wait_at_the_target_is_one_wait_and_not_one_each_second() -> None:
    """Marlin reports with ``W`` while it waits; M155's reports in between have none."""
    printer, shown = starts(), []
    for second in range(1, 31):
        printer.at(second).says(f"T:200 /200 B:60 /60 W:{9 - second % 10}")
        shown.append(printer.state.job.heating)
        if second % 2:
            printer.at(second + 0.4).says(
                f"T:200 /200 B:60 /60\nSD printing byte 9/{SIZE}"
            )
            shown.append(printer.state.job.heating)
    assert all(shown)
    # It ends with the next line, or when nothing is reported of it any more.
    printer.at(30.5).says(f"SD printing byte 40/{SIZE}")
    assert not printer.state.job.heating
    printer.at(40).says("T:200 /200 B:60 /60 W:1")
    printer.at(42).says("T:200 /200 B:60 /60")
    assert printer.state.job.heating
    printer.at(44).says("T:200 /200 B:60 /60")
    assert not printer.state.job.heating


def test_a_bed_that_sags_in_the_print_is_no_heating() -> None:
    printer = starts()
    for _ in range(30):
        prints(printer, 2)
        printer.says("T:200 /200 B:52 /60")
        assert not printer.state.job.heating


def test_a_pause_is_neither_heating_nor_printing() -> None:
    printer = starts()
    printer.at(5).says("T:30 /200 W:?")
    assert printer.state.job.heating
    printer.at(6).says("//action:paused")
    assert not printer.state.job.heating
    printer.at(60).says("T:30 /200 W:?")
    assert not printer.state.job.heating


def test_percent_of_the_slicer_counts_for_bytes() -> None:
    printer = starts()
    for second in range(0, 400, 4):
        printer.at(second).says(f"echo:M73 Progress: {second / 10:.0f}%")
        printer.says(f"SD printing byte {min(SIZE, 20 + second * 240)}/{SIZE}")
    assert left(printer) == pytest.approx(600, rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 1)), max_size=60))
def test_an_estimate_is_never_negative_or_infinite(
    points: list[tuple[float, float]],
) -> None:
    estimate, ran, share = Estimate(), 0.0, 0.0
    for seconds, more in points:
        ran += seconds
        share = min(1.0, share + more * (1.0 - share))
        if more < 0.1:
            estimate = estimate.heated(share)
        estimate = estimate.add(ran, share)
        told = estimate.remaining(ran)
        assert told is None or 0 <= told < 1e9
