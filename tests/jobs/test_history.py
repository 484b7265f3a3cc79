"""The prints that have ended."""

from dataclasses import replace

from bridge.jobs import history
from bridge.jobs.history import CAPACITY, Ended

CUBE = Ended(
    job="a",
    file="cube.gcode",
    origin="local",
    outcome="done",
    reason="",
    started=1000.0,
    ended=4600.0,
    elapsed=3500.0,
    filament=1234.5,
    layers=100,
)
CARD = replace(CUBE, job=None, origin="card", file="HOOK.GCO", layers=None)


def test_the_latest_print_comes_first() -> None:
    prints = history.with_print(history.with_print((), CUBE), CARD)
    assert prints == (CARD, CUBE)


def test_a_print_that_is_reported_again_after_a_restart_counts_once() -> None:
    for print_, again in (
        (CUBE, replace(CUBE, ended=9000.0)),  # the clock was set meanwhile
        (CARD, replace(CARD, ended=CARD.ended + 1)),
    ):
        assert history.with_print((print_,), again) == (print_,)


def test_the_same_file_printed_again_is_another_print() -> None:
    for again in (
        replace(CUBE, job="b"),
        replace(CARD, ended=CARD.ended + 60),
        replace(CARD, outcome="failed", reason="printer_reset"),
    ):
        assert len(history.with_print((CUBE,), again)) == 2
    assert len(history.with_print((CARD,), replace(CARD, ended=CARD.ended + 60))) == 2


def test_the_oldest_prints_are_forgotten() -> None:
    prints: tuple[Ended, ...] = ()
    for number in range(CAPACITY + 5):
        prints = history.with_print(prints, replace(CUBE, job=str(number)))
    assert len(prints) == CAPACITY
    assert prints[-1].job == "5"


def test_prints_are_chosen_by_outcome_and_file() -> None:
    failed = replace(CUBE, job="b", outcome="failed", reason="printer_reset")
    prints = (failed, CARD, CUBE)
    every = history.chosen(prints, outcome=None, file=None, limit=2)
    assert every == [failed, CARD]
    assert history.chosen(prints, outcome="done", file="cube.gcode", limit=9) == [CUBE]
    assert history.chosen(prints, outcome="cancelled", file=None, limit=9) == []
