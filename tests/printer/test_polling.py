"""What has to be asked of a printer again and again."""

import math

import pytest

from bridge.gcode.dialects import KLIPPER
from bridge.printer.control.polling import Poll, PollSchedule, wanted_polls
from bridge.printer.knowledge import state as known
from tests.support.knowing import Knowing

PLACE = "X:1 Y:2 Z:3 E:4"


@pytest.fixture
def printer() -> Knowing:
    return Knowing()


def asked(printer: Knowing) -> dict[str, float]:
    polls = wanted_polls(
        printer.state, dialect=printer.dialect, interval=2, now=printer.now
    )
    return {poll.line: poll.interval for poll in polls}


def test_a_silent_firmware_is_asked_for_everything(printer: Knowing) -> None:
    assert asked(printer) == {"M105": 2, "M27": 1, "M114": 2}
    printer.says(PLACE)
    assert asked(printer) == {"M105": 2, "M27": 1}


def test_what_is_reported_is_not_asked_for(printer: Knowing) -> None:
    printer.sends("M155 S2", "M27 S1", "M154 S5")
    assert asked(printer) == {}
    printer.sends("M155 S0")
    assert asked(printer) == {"M105": 2}


def test_what_the_firmware_does_not_know_is_not_asked_for(printer: Knowing) -> None:
    printer.says('echo:Unknown command: "M27"', 'echo:Unknown command: "M114"')
    assert asked(printer) == {"M105": 2}


def test_without_a_card_there_is_no_print_to_ask_for(printer: Knowing) -> None:
    printer.says(PLACE, "echo:No media")
    assert asked(printer) == {"M105": 2}


def test_after_a_move_the_position_is_asked_for(printer: Knowing) -> None:
    printer.says(PLACE)
    printer.sends("G0 X5")
    assert asked(printer)["M114"] == 2


def test_after_a_print_the_position_is_asked_for(printer: Knowing) -> None:
    printer.says("SD printing byte 10/100", "SD printing byte 20/100")
    printer.says(PLACE, "Done printing file")
    assert asked(printer)["M114"] == 2
    printer.says(PLACE)
    assert "M114" not in asked(printer)


def test_during_a_print_its_name_and_the_position_are_asked_for(
    printer: Knowing,
) -> None:
    printer.says(PLACE, "SD printing byte 10/100", "SD printing byte 20/100")
    assert asked(printer) == {"M105": 2, "M27": 1, "M114": 5}
    printer.says("Cap:SDCARD:1")
    assert asked(printer) == {"M105": 2, "M27": 1, "M27 C": 30, "M114": 5}
    printer.says("Current file: A.GCO")
    assert "M27 C" not in asked(printer)


def test_a_firmware_that_can_stop_in_silence_is_asked_for_its_state() -> None:
    printer = Knowing(dialect=KLIPPER)
    assert asked(printer)["STATUS"] == 10


def test_who_is_away_is_not_asked(printer: Knowing) -> None:
    away = known.disconnected(printer.state, now=0)
    assert wanted_polls(away, dialect=KLIPPER, interval=2, now=0) == ()
    polls = wanted_polls(printer.state, dialect=KLIPPER, interval=2, now=0)
    assert Poll("M105", 2) in polls


def test_who_waits_is_asked_one_thing_to_notice_the_end(printer: Knowing) -> None:
    printer.sends("M155 S2", "M27 S1")
    printer.says("echo:busy: paused for user")
    assert asked(printer) == {"M105": 2}


def test_the_next_query_is_due_when_the_first_of_them_is(printer: Knowing) -> None:
    schedule = PollSchedule(interval=2.0)
    state, dialect = printer.state, printer.dialect
    assert schedule.next_due(state, dialect, 10.0) == 10.0
    assert "M27" in list(schedule.due(state, dialect, 10.0))
    assert schedule.next_due(state, dialect, 10.0) == 11.0
    assert list(schedule.due(state, dialect, 10.9)) == []


def test_a_printer_that_is_away_has_no_query_that_is_due(printer: Knowing) -> None:
    away = known.disconnected(printer.state, now=0)
    assert PollSchedule(2.0).next_due(away, printer.dialect, 1.0) == math.inf


def test_a_print_that_is_reported_is_asked_for_once_it_may_stand() -> None:
    """The reports may come in the middle of a line; only an answer shows a pause."""
    printer = Knowing()
    printer.sends("M155 S2", "M27 S2")
    printer.at(10).says(PLACE, "SD printing byte 10/100", "SD printing byte 20/100")
    assert "M27" not in asked(printer)
    printer.at(14).says("SD printing byte 20/100")
    assert "M27" not in asked(printer)
    printer.at(15).says("SD printing byte 20/100")
    assert asked(printer)["M27"] == 1
    printer.says("SD printing byte 30/100")
    assert "M27" not in asked(printer)
    # One that waits for a heater, or is known to be paused, says nothing new.
    printer.at(30).says("SD printing byte 30/100", "T:20 /200 B:20 /0")
    heats = printer.state.job.heating
    printer.says("//action:paused")
    assert "M27" not in asked(printer)
    assert not heats or printer.state.job.phase == "paused"
