"""How far a print of the bridge has come: by the slicer, its time, or the bytes."""

from dataclasses import replace

from bridge.printer.knowledge import print_job
from bridge.printer.knowledge.print_job import Streamed
from bridge.printer.knowledge.print_table import PrintJob, step

COME = Streamed(
    position=500,
    line=50,
    layer=2,
    z=0.4,
    filament=12.5,
    elapsed=None,
    starved=0.0,
    excluded=(),
    objects=(),
)


def printing(seconds: float | None = None) -> PrintJob:
    chosen = PrintJob(file="a.gcode", size=1000, job="j", seconds=seconds)
    return step(print_job.begin(PrintJob(), chosen, 100), "rose", 100)


def test_without_anything_else_the_bytes_count() -> None:
    job = print_job.report_streamed(printing(), COME, 160)
    assert (print_job.progress(job), print_job.progress_from(job)) == (50, "bytes")
    assert (job.line, job.layer, job.z, job.filament) == (50, 2, 0.4, 12.5)
    assert print_job.progress_from(PrintJob()) is None


def test_the_slicers_time_goes_on_with_the_clock() -> None:
    job = print_job.report_streamed(printing(600), COME, 100)
    job = print_job.report_streamed(job, replace(COME, position=600), 160)
    assert (print_job.progress(job), print_job.progress_from(job)) == (10, "time")
    assert print_job.remaining(job, 160) == 540
    heating = replace(job, heating=True)
    stands = print_job.report_streamed(heating, replace(COME, position=600), 190)
    assert print_job.progress(stands) == 10
    told = print_job.report_streamed(job, replace(COME, elapsed=300.0), 161)
    assert print_job.progress(told) == 50, "the file knows how long it takes"
    late = print_job.report_streamed(job, replace(COME, elapsed=900.0), 161)
    assert (print_job.progress(late), print_job.remaining(late, 161)) == (99, None)


def test_the_slicers_own_report_counts_more() -> None:
    job = print_job.report_progress(printing(600), 30, 1200, 110)
    job = print_job.report_streamed(job, COME, 160)
    assert (print_job.progress(job), print_job.progress_from(job)) == (30, "slicer")
    assert print_job.remaining(job, 160) == 1150


def test_what_concerns_the_card_does_not_concern_it() -> None:
    job = printing()
    assert print_job.card_removed(job, 110) is job
    assert print_job.host_action(job, "paused", "", 110) is job
    over = step(job, "announced_done", 120)
    assert print_job.report_streamed(over, COME, 130) is over


def test_it_ends_with_the_link() -> None:
    job = print_job.link_lost(printing(), 130)
    assert job.result is not None
    assert (job.result.outcome, job.result.reason) == ("failed", "connection_lost")
    assert (job.result.job, job.result.elapsed) == ("j", 30)
