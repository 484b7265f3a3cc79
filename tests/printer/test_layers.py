"""The layer and the totals of prints, as far as lines and texts name them."""

from dataclasses import replace

from bridge.gcode.dialects import KLIPPER, MARLIN
from bridge.printer.knowledge.model import Totals, counted
from bridge.printer.knowledge.print_job import report_layer
from bridge.printer.knowledge.print_table import PrintJob, PrintResult
from tests.support.knowing import Knowing


def printing() -> Knowing:
    known = Knowing()
    known.says("File opened: a.gco Size: 99")
    known.sends("M24")
    return known


def layers(known: Knowing) -> tuple[int | None, int | None]:
    return known.state.job.layer, known.state.job.layers


def test_lines_and_texts_that_name_the_layer() -> None:
    for line, found in (
        ("M73 P5 L12", (12, None)),
        ("M117 Layer 5/100", (5, 100)),
        ("M117 Printing Layer 5 of 100", (5, 100)),
        ("M117 layer: 7", (7, None)),
        ("M117 5/100 | ET 1h2m", (5, 100)),
        ("M117 5/100", (5, 100)),
        ("M117 Player 5 of 7", (None, None)),
        ("M117 25.12/27.12", (None, None)),
        ("M117 Done", (None, None)),
    ):
        known = printing()
        known.sends(line)
        assert layers(known) == found, line


def test_what_klipper_and_notifications_say() -> None:
    known = printing()
    known.says("//action:notification Layer 3/9")
    assert layers(known) == (3, 9)
    known.dialect = KLIPPER
    known.sends("SET_PRINT_STATS_INFO TOTAL_LAYER=50")
    known.sends("SET_PRINT_STATS_INFO CURRENT_LAYER=4")
    known.sends("SET_PRINT_STATS_INFO CURRENT_LAYER=x")
    assert layers(known) == (4, 50)


def test_without_a_print_and_beside_counted_comments_nothing_is_taken() -> None:
    idle = Knowing(dialect=MARLIN)
    idle.sends("M117 Layer 5/100")
    assert layers(idle) == (None, None)
    known = printing()
    job = replace(known.state.job, origin="local", layer=2, layers=80)
    known.become(replace(known.state, job=job))
    known.sends("M117 Layer 5/100")
    assert layers(known) == (2, 80)


def test_prints_are_counted() -> None:
    done = PrintResult(outcome="done", file="a", elapsed=60, time=0, filament=900.0)
    unseen = PrintResult(outcome="failed", file="a", elapsed=None, time=0)
    totals = Totals()
    for result in (done, unseen, done, None):
        totals = counted(totals, result)
    assert totals == Totals(done=2, failed=1, seconds=120, filament=1800)
    assert counted(totals, PrintJob().result) is totals


def test_texts_do_not_contradict_the_comments_of_a_print_that_is_sent() -> None:
    job = PrintJob(phase="printing", origin="local", layer=2, layers=9)
    assert job.streamed
    assert report_layer(job, 5, 100) is job
    assert report_layer(replace(job, layers=None), 5, 100).layers == 100
