"""Which errors that belong to no command are reported, and how many are left out."""

from bridge.printer.knowledge.problems import EVERY, MOST, UnsolicitedErrors


def test_the_same_is_told_again_after_a_while_with_how_often_it_came() -> None:
    errors = UnsolicitedErrors()
    assert errors.admit("SD read error", 0) == 0
    for second in range(1, 100):
        assert errors.admit("SD read error", second) is None
    assert errors.admit("SD read error", EVERY) == 99
    assert errors.admit("SD read error", 2 * EVERY) == 0


def test_another_one_is_told_at_once() -> None:
    errors = UnsolicitedErrors()
    errors.admit("SD read error", 0)
    errors.admit("SD read error", 1)
    assert errors.admit("out of range", 2) == 1


def test_what_differs_in_its_figures_is_the_same() -> None:
    errors = UnsolicitedErrors()
    assert errors.admit("Move out of range: 999.00 0.00", 0) == 0
    assert errors.admit("Move out of range: 500.25 7", 1) is None


def test_noise_does_not_flood_anybody() -> None:
    errors = UnsolicitedErrors()
    told = [errors.admit("x" * count, 0) for count in range(1, 1000)]
    assert told == [0] * MOST + [None] * (999 - MOST)
    assert errors.admit("again", EVERY) == 999 - MOST
