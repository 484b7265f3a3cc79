"""An emergency stop is repeated while the printer still responds."""

from itertools import pairwise

from bridge.printer.control.emergency_stop import PAUSE, TIMES, StopRepetition


def test_without_a_stop_there_is_nothing_to_repeat() -> None:
    assert StopRepetition().next_step(100) == "none"


def test_it_is_repeated_while_the_printer_reports_and_not_for_ever() -> None:
    stop = StopRepetition()
    stop.begin(100)
    assert stop.next_step(100 + PAUSE / 2) == "none", "it may be falling silent"
    steps = [stop.next_step(100 + PAUSE * (1 + n / 4)) for n in range(1000)]
    repeated = [step == "repeat" for step in steps]
    assert sum(repeated) == TIMES
    assert not any(one and other for one, other in pairwise(repeated))


def test_a_later_stop_is_repeated_as_often_again() -> None:
    stop = StopRepetition()
    stop.begin(100)
    for seconds in range(1000):
        stop.next_step(100 + seconds)
    stop.begin(2000)
    assert stop.next_step(2000 + PAUSE) == "repeat"


def test_it_gives_up_once_after_the_last_repetition() -> None:
    stop = StopRepetition()
    assert stop.next_step(100) == "none"
    stop.begin(100)
    now = 100.0
    for _ in range(TIMES):
        now += PAUSE
        assert stop.next_step(now) == "repeat"
    assert stop.next_step(now + PAUSE / 2) == "none", "the last one may still work"
    steps = [stop.next_step(now + PAUSE), stop.next_step(now + 10 * PAUSE)]
    assert steps == ["give_up", "none"]
    stop.begin(2000)
    assert stop.next_step(2000 + PAUSE) == "repeat"
