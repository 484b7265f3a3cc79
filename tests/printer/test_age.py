"""What was read too long ago is not known any more; time is a number of seconds."""

import pytest

from bridge.config import Telemetry
from bridge.gcode.dialects import KLIPPER, MARLIN, Dialect
from bridge.printer.control.polling import max_ages
from bridge.printer.knowledge import age
from bridge.printer.knowledge import state as known
from bridge.printer.published import documents, views
from bridge.printer.published.safety_flags import hot
from bridge.printer.published.telemetry import JobGate
from tests.support.knowing import Knowing

PLACE = "X:1 Y:2 Z:3 E:4 Count X:0 Y:0 Z:0"


class Aging(Knowing):
    """Forgets at each step of the clock what has become too old, as the poller does."""

    interval = 2.0

    def until(self, now: float) -> "Aging":
        """Advance the clock; each value goes when its time has come."""
        while True:
            ages = max_ages(self.state, self.interval)
            due = age.next_expiry(self.state, ages)
            if due is None or due + 0.01 > now:
                self.now = now
                return self
            assert due + 0.01 > self.now, "the timer would spin"
            self.now = due + 0.01
            self.become(age.expire(self.state, now=self.now, ages=ages))


@pytest.fixture
def printer() -> Aging:
    return Aging()


def place(printer: Knowing) -> float | None:
    shown = views.state(printer.state, now=printer.now, epoch=0).position
    return None if shown is None else shown.x


def job(printer: Knowing) -> documents.Job:
    return views.job_state(printer.state, now=printer.now, epoch=1000)


def figures(printer: Knowing) -> tuple[object, ...]:
    now = job(printer)
    return now.position, now.progress, now.progress_from, now.remaining, now.finish_at


NOTHING = (None,) * 5


def test_a_head_that_stands_is_where_it_was_reported(printer: Aging) -> None:
    printer.at(10).says(PLACE)
    assert place(printer.until(5000)) == 1


@pytest.mark.parametrize(
    "moves", [("G1 X5",), ("G28",), ("G1 X5", "G1 X6"), ("G29",), ("M600",), ("G0 Z9",)]
)
def test_a_position_is_null_after_three_intervals(
    printer: Aging, moves: tuple[str, ...]
) -> None:
    printer.at(10).says(PLACE)
    printer.until(500).sends(*moves)
    assert place(printer.until(505.9)) == 1, "the age counts from the move"
    assert place(printer.until(506.1)) is None
    printer.at(600).says(PLACE)
    assert place(printer) == 1
    assert printer.state.placed_at == 600


def test_one_that_is_reported_meanwhile_stays(printer: Aging) -> None:
    printer.says(PLACE)
    for moment in range(0, 100, 5):
        printer.until(moment).sends("G1 X5")
        assert place(printer) == 1
        printer.says(PLACE)


def test_in_a_print_the_position_is_asked_less_often(printer: Aging) -> None:
    printer.says("File opened: a.gco Size: 1000", PLACE)
    printer.sends("M24")
    assert place(printer.until(14.9)) == 1
    assert place(printer.until(15.1)) is None


def test_a_firmware_without_m114_is_not_waited_for(printer: Aging) -> None:
    printer.says(PLACE, 'echo:Unknown command: "M114"')
    printer.sends("G1 X5")
    assert place(printer.until(100)) == 1


def test_while_a_person_is_awaited_nothing_moves(printer: Aging) -> None:
    printer.says(PLACE, "File opened: a.gco Size: 1000")
    printer.sends("M24")
    printer.at(1).says("SD printing byte 100/1000")
    printer.at(2).says("SD printing byte 200/1000", PLACE)
    printer.at(3).says("echo:busy: paused for user")
    assert place(printer.until(900)) == 1
    assert job(printer).progress == 20
    # The wait is over: from now on a report is expected again.
    printer.sends("M108")
    assert job(printer.until(905.9)).progress == 20
    assert figures(printer.until(906.1)) == NOTHING
    assert place(printer.until(915.1)) is None


@pytest.mark.parametrize("dialect", [MARLIN, KLIPPER], ids=lambda d: d.name)
def test_the_bytes_of_a_print_are_null_after_three_intervals(dialect: Dialect) -> None:
    printer = Aging(dialect=dialect)
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")
    printer.at(1).says("SD printing byte 100/1000")
    printer.at(2).says("SD printing byte 200/1000")
    assert (job(printer).position, job(printer).progress) == (200, 20)
    assert job(printer).measured_at == 1002
    assert job(printer.until(7.9)).progress == 20
    assert figures(printer.until(8.1)) == NOTHING
    assert job(printer).state == "printing", "nobody has said that it ended"
    assert job(printer).measured_at == 1002
    assert job(printer.until(5000)).elapsed == 5000
    printer.says("SD printing byte 300/1000")
    assert (job(printer).position, job(printer).progress) == (300, 30)
    assert job(printer).measured_at == 6000


@pytest.mark.parametrize(
    "answer", ["SD printing byte 200/1000", "Not SD printing", "SD print paused"]
)
def test_each_answer_about_the_print_is_a_reading(printer: Aging, answer: str) -> None:
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")
    printer.at(1).says("SD printing byte 100/1000")
    printer.at(2).says("SD printing byte 200/1000")
    printer.until(7).says(answer)
    assert not printer.until(12.9).state.counter_stale
    assert printer.until(13.1).state.counter_stale


def test_a_print_that_is_known_without_its_bytes_has_none_that_age(
    printer: Aging,
) -> None:
    printer.says("File opened: a.gco Size: 1000", 'echo:Unknown command: "M27"')
    printer.sends("M24")
    printer.says("echo:Progress: 12.5%; Time left: 5m")
    assert job(printer.until(200)).progress == 12.5
    assert job(printer).measured_at is None


def test_what_a_longer_interval_makes_of_it(printer: Aging) -> None:
    printer.interval = 60.0
    printer.says("File opened: a.gco Size: 1000", "T:20 /0 B:20 /0", PLACE)
    printer.sends("M24")
    printer.says("SD printing byte 100/1000", "SD printing byte 200/1000")
    printer.until(179)
    assert printer.state.heaters["bed"].actual == 20
    assert job(printer).progress == 20
    assert place(printer) is None, "it is asked for in its own interval"
    printer.until(181)
    assert printer.state.heaters["bed"].actual is None
    assert job(printer).progress is None


def test_what_the_next_print_shows_is_not_the_age_of_the_last(printer: Aging) -> None:
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")
    printer.says("SD printing byte 100/1000", "SD printing byte 200/1000")
    assert figures(printer.until(20)) == NOTHING
    printer.says("Done printing file", "Not SD printing")
    assert job(printer).measured_at is None
    printer.says("File opened: b.gco Size: 1000", "SD printing byte 100/1000")
    printer.says("SD printing byte 200/1000")
    assert job(printer).progress == 20


def test_while_it_is_away_no_figure_is_left(printer: Aging) -> None:
    printer.says("File opened: a.gco Size: 1000", PLACE)
    printer.sends("M24")
    printer.says("SD printing byte 100/1000", "SD printing byte 200/1000")
    printer.become(known.disconnected(printer.state, now=3))
    assert figures(printer) == NOTHING
    assert job(printer).measured_at is None
    assert place(printer) is None
    assert age.next_expiry(printer.state, max_ages(printer.state, 2)) is None


def test_figures_come_and_go_at_once(printer: Aging) -> None:
    gate = JobGate(Telemetry())
    printer.says("File opened: a.gco Size: 100000")
    printer.sends("M24")
    shown: list[float | None] = []
    for second in range(1, 200):
        if second % 50 < 30:
            printer.says(f"SD printing byte {second * 500}/100000")
        if told := gate.due(job(printer.until(second)), second):
            shown.append(told.progress)
    gaps = [one for one in shown if one is None]
    assert len(gaps) >= 4


def test_a_temperature_that_was_never_measured_has_no_time(printer: Aging) -> None:
    never = views.temperatures(printer.state, now=5, epoch=1000)
    assert (never.time, never.measured_at) == (1005, None)
    assert views.timed_heater(printer.state, "bed", epoch=1000).time is None
    assert '"measured_at":null' in never.model_dump_json()
    printer.at(7).says("T:20 /0")
    told = views.temperatures(printer.state, now=9, epoch=1000)
    assert (told.time, told.measured_at) == (1007, 1007)
    assert views.timed_heater(printer.state, "bed", epoch=1000).time is None
    assert views.timed_heater(printer.state, "tool0", epoch=1000).time == 1007


def test_a_heater_that_is_not_reported_any_more_may_be_hot(printer: Aging) -> None:
    printer.says("T:20 /0 B:20 /0")
    assert hot(printer.state) is False
    printer.until(5).says("T:20 /0")
    assert hot(printer.until(6.5).state) is None
    printer.says("T:20 /0 B:20 /0")
    assert hot(printer.state) is False
