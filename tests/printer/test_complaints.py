"""Which complaints of a printer are told, and how many are left out."""

from bridge.printer.knowledge.complaints import EVERY, MOST, Complaints


def test_the_same_is_told_again_after_a_while_with_how_often_it_came() -> None:
    complaints = Complaints()
    assert complaints.note("SD read error", 0) == 0
    for second in range(1, 100):
        assert complaints.note("SD read error", second) is None
    assert complaints.note("SD read error", EVERY) == 99
    assert complaints.note("SD read error", 2 * EVERY) == 0


def test_another_one_is_told_at_once() -> None:
    complaints = Complaints()
    complaints.note("SD read error", 0)
    complaints.note("SD read error", 1)
    assert complaints.note("out of range", 2) == 1


def test_what_differs_in_its_figures_is_the_same() -> None:
    complaints = Complaints()
    assert complaints.note("Move out of range: 999.00 0.00", 0) == 0
    assert complaints.note("Move out of range: 500.25 7", 1) is None


def test_noise_does_not_flood_anybody() -> None:
    complaints = Complaints()
    told = [complaints.note("x" * count, 0) for count in range(1, 1000)]
    assert told == [0] * MOST + [None] * (999 - MOST)
    assert complaints.note("again", EVERY) == 999 - MOST
