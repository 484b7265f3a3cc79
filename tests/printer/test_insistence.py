"""A stop is repeated while the printer goes on."""

from itertools import pairwise

from bridge.printer.control.insistence import PAUSE, TIMES, Insistence


def test_without_a_stop_there_is_nothing_to_repeat() -> None:
    assert not Insistence().again(100)


def test_it_is_repeated_while_the_printer_reports_and_not_for_ever() -> None:
    it = Insistence()
    it.begin(100)
    assert not it.again(100 + PAUSE / 2), "it may be falling silent"
    repeated = [it.again(100 + PAUSE * (1 + number / 4)) for number in range(1000)]
    assert sum(repeated) == TIMES
    assert not any(one and other for one, other in pairwise(repeated))


def test_a_stop_of_later_counts_anew() -> None:
    it = Insistence()
    it.begin(100)
    while it.again(1000):
        pass
    it.begin(2000)
    assert it.again(2000 + PAUSE)


def test_after_the_last_one_it_is_said_once_that_all_were_in_vain() -> None:
    it = Insistence()
    assert not it.in_vain(100)
    it.begin(100)
    assert not it.in_vain(1000), "some are left"
    now = 100.0
    for _ in range(TIMES):
        now += PAUSE
        assert it.again(now)
    assert not it.in_vain(now + PAUSE / 2), "the last one may still be heard"
    assert [it.in_vain(now + PAUSE), it.in_vain(now + 10 * PAUSE)] == [True, False]
    it.begin(2000)
    assert not it.in_vain(2000 + PAUSE)
