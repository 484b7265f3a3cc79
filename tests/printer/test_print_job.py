"""Prints seen from outside, as the firmware tells of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge.gcode.dialects import KLIPPER
from bridge.gcode.line import read
from bridge.gcode.reply_types import Refusal
from bridge.printer.knowledge import print_job, print_table
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.model import Problem
from bridge.printer.knowledge.print_job import progress, remaining, select_stored
from bridge.printer.knowledge.print_table import PrintJob, elapsed, running_time
from bridge.printer.published import views
from bridge.printer.published.safety_flags import attention
from tests.support.knowing import Knowing

SELECTED = ("File opened: a.gco Size: 1000", "File selected")


@pytest.fixture
def printer() -> Knowing:
    return Knowing()


def printing() -> Knowing:
    printer = Knowing()
    printer.says(*SELECTED)
    printer.sends("M24")
    printer.at(10).says("SD printing byte 100/1000")
    printer.events.clear()
    return printer


def phase(printer: Knowing) -> str:
    return printer.state.job.phase


def test_a_print_that_we_start(printer: Knowing) -> None:
    printer.says(*SELECTED)
    assert phase(printer) == "idle"
    printer.sends("M24")
    assert phase(printer) == "starting"
    printer.at(1).says("SD printing byte 0/1000")
    assert phase(printer) == "starting"
    printer.at(2).says("SD printing byte 36/1000")
    assert phase(printer) == "printing"
    printer.at(60).says("SD printing byte 1000/1000")
    assert phase(printer) == "finishing"
    printer.at(62).says("Done printing file")
    result = printer.state.job.result
    assert phase(printer) == "idle"
    assert result is not None
    assert (result.outcome, result.file, result.elapsed) == ("done", "a.gco", 62)
    assert printer.happened() == ["print_started", "print_done"]


def test_a_print_that_is_started_at_the_printer_and_polled(printer: Knowing) -> None:
    printer.says("Not SD printing")
    printer.at(1).says("SD printing byte 40/1000")
    assert phase(printer) == "printing"
    assert elapsed(printer.state.job, 5) == 4
    assert printer.happened() == ["print_started"]


@pytest.mark.parametrize(
    "action", ["start", "resume", "resumed", "pause", "paused", "cancel"]
)
def test_what_a_host_without_a_job_is_asked_for_starts_nothing(
    printer: Knowing, action: str
) -> None:
    """Its own job is meant, not one from the card."""
    printer.says(*SELECTED)
    printer.happened()
    printer.says(f"//action:{action}", *["Not SD printing"] * 5)
    assert phase(printer) == "idle"
    assert printer.happened() == []
    printer.says("SD printing byte 10/1000")
    assert phase(printer) == "printing", "the bytes show a print from the card"


def after_one_of_ours(*, over: bool = True) -> Knowing:
    """Return a printer whose last print, or present one, came from the bridge."""
    printer = Knowing()
    chosen = PrintJob(file="part.gcode", size=100, job="one", layers=9)
    job = print_job.begin(printer.state.job, chosen, 0.0)
    for word in ("rose", "announced_done") if over else ("rose",):
        job = print_table.step(job, word, 1.0)
    printer.become(replace(printer.state, job=job))
    printer.happened()
    return printer


@pytest.mark.parametrize(
    "said",
    [
        ("SD printing byte 10/1000", "SD printing byte 20/1000"),
        ("SD printing byte 0/1000", "SD printing byte 20/1000"),
        ("Not SD printing", "SD printing byte 20/1000"),
        ("SD print paused",),
    ],
)
def test_a_print_that_begins_at_the_panel_after_one_of_ours_is_another(
    said: tuple[str, ...],
) -> None:
    """Not all firmwares name its file. Taken for ours, it would never end."""
    printer = after_one_of_ours()
    printer.at(2).says(*said)
    job = printer.state.job
    assert (job.active, job.origin, job.file, job.job) == (True, "card", None, "")
    assert (job.streamed, job.layers) == (False, None)
    assert job.size in {None, 1000}
    assert printer.state.displaced, "one of ours cannot be recovered at its height"
    printer.says("Current file: /OTHER.GCO")
    assert printer.state.job.file == "/OTHER.GCO"
    printer.at(9).says("SD printing byte 1000/1000", "Done printing file")
    result = printer.state.job.result
    assert result is not None
    assert (result.origin, result.file, result.job) == ("card", "/OTHER.GCO", "")


def test_the_end_of_a_print_that_nobody_saw_is_not_that_of_ours() -> None:
    for before in ((), ("Not SD printing",)):
        printer = after_one_of_ours()
        printer.at(2).says(*before, "Done printing file")
        result = printer.state.job.result
        assert result is not None
        assert (result.origin, result.file, result.job) == ("card", None, "")
        assert (phase(printer), printer.state.job.size) == ("idle", None)


def test_what_the_card_says_leaves_a_stored_file_selected() -> None:
    printer = after_one_of_ours()
    printer.says("Not SD printing", "SD printing byte 20/1000")
    printer = after_one_of_ours()
    printer.says("SD printing byte 20/1000", "SD printing byte 20/1000")
    job = printer.state.job
    assert (job.phase, job.origin) == ("idle", "local")
    assert (job.file, job.size) == ("part.gcode", 100)


def test_a_counter_that_stands_anywhere_starts_no_stored_file() -> None:
    """Some firmwares report the counter of the card although nothing is printed."""
    printer = Knowing()
    job = select_stored(printer.state.job, "part.gcode", 5000)
    printer.become(replace(printer.state, job=job))
    for _ in range(4):
        printer.says("SD printing byte 3000/5000")
    assert (phase(printer), printer.state.job.file) == ("idle", "part.gcode")
    assert printer.events == []
    document = views.job_state(printer.state, now=1.0, epoch=0.0)
    assert (document.position, document.progress, document.progress_from) == (None,) * 3


def test_a_line_that_starts_the_card_starts_none_of_ours() -> None:
    printer = after_one_of_ours()
    printer.sends("M24")
    assert phase(printer) == "idle", "which file it is shows later"
    printer.says("SD printing byte 10/1000", "SD printing byte 20/1000")
    assert printer.state.job.origin == "card"


def test_a_print_of_ours_is_not_changed_by_what_the_card_says() -> None:
    printer = after_one_of_ours(over=False)
    before = printer.state.job
    printer.says("SD printing byte 10/1000", "SD printing byte 20/1000")
    printer.says("SD print paused", "Not SD printing", "Done printing file")
    printer.sends("M24")
    assert printer.state.job == before


def test_lines_in_a_print_from_the_card_say_nothing_about_the_height_of_ours() -> None:
    printer = printing()
    assert printer.state.displaced
    printer.sends("M290 Z0.1", "G1 Z5")
    assert printer.state.displaced
    printer = after_one_of_ours(over=False)
    printer.sends("G1 Z5")
    assert not printer.state.displaced


def test_a_resume_without_a_file_starts_nothing(printer: Knowing) -> None:
    printer.says("//action:resume", "//action:resumed", "//action:cancel")
    printer.sends("M24", "M25", "M524")
    assert phase(printer) == "idle"


def test_a_print_that_runs_already_when_we_come_has_no_known_start(
    printer: Knowing,
) -> None:
    printer.says("SD printing byte 500/1000")
    assert phase(printer) == "idle"
    printer.at(1).says("SD printing byte 510/1000")
    assert phase(printer) == "printing"
    assert elapsed(printer.state.job, 100) is None
    assert remaining(printer.state.job, 100) is None
    printer.at(50).says("Done printing file")
    assert printer.state.job.result is not None
    assert printer.state.job.result.elapsed is None


def test_a_selected_file_with_a_start_position_is_no_print(printer: Knowing) -> None:
    printer.says(*SELECTED)
    printer.sends("M26 S10")
    printer.says("SD printing byte 10/1000", "SD printing byte 10/1000")
    assert phase(printer) == "idle"


def test_a_print_too_short_to_be_seen_is_told_by_its_end(printer: Knowing) -> None:
    printer.says(*SELECTED, "Done printing file")
    assert printer.happened() == ["print_started", "print_done"]


def test_an_end_before_the_last_byte_counts() -> None:
    printer = printing()
    printer.says("Done printing file")
    assert printer.happened() == ["print_done"]


def test_all_read_and_nothing_printed_any_more_is_done() -> None:
    printer = printing()
    printer.says("SD printing byte 1000/1000", "Not SD printing")
    assert printer.happened() == ["print_done"]


def test_the_third_denial_in_a_row_is_a_cancel() -> None:
    printer = printing()
    printer.says("Not SD printing", "SD printing byte 0/0")
    assert phase(printer) == "printing"
    printer.says("SD printing byte 200/1000", "Not SD printing", "Not SD printing")
    assert phase(printer) == "printing"
    printer.says("Not SD printing")
    assert phase(printer) == "idle"
    assert printer.happened() == ["print_cancelled"]


def test_a_start_that_leads_to_nothing_failed(printer: Knowing) -> None:
    printer.says(*SELECTED)
    printer.sends("M24")
    printer.says(*["Not SD printing"] * 3)
    assert printer.state.job.result is not None
    assert printer.state.job.result.reason == "not_started"
    assert printer.happened() == ["print_started", "print_failed", "error"]


def test_a_pause_and_its_end_by_host_actions() -> None:
    printer = printing()
    printer.at(20).says("//action:pause")
    assert phase(printer) == "paused"
    assert elapsed(printer.state.job, 1000) == 20
    printer.at(120).says("//action:resume")
    assert phase(printer) == "printing"
    assert elapsed(printer.state.job, 130) == 30
    assert printer.happened() == ["print_paused", "print_resumed"]


def test_a_pause_that_we_ask_for_and_its_end() -> None:
    printer = printing()
    printer.begins("M25")
    assert phase(printer) == "pausing"
    printer.says("SD printing byte 150/1000")
    assert phase(printer) == "pausing"
    printer.says("SD printing byte 150/1000")
    assert phase(printer) == "paused"
    printer.sends("M25")
    assert phase(printer) == "paused"
    printer.sends("M24")
    assert phase(printer) == "resuming"
    printer.says("SD printing byte 160/1000")
    assert phase(printer) == "printing"
    assert printer.happened() == ["print_paused", "print_resumed"]


def test_a_firmware_that_took_the_pause_has_paused() -> None:
    printer = printing()
    printer.sends("M25")
    assert phase(printer) == "paused"


def test_what_was_read_ahead_does_not_end_a_pause_but_bytes_that_go_on_do() -> None:
    printer = printing()
    printer.says("//action:paused", "SD printing byte 120/1000")
    assert phase(printer) == "paused"
    printer.says("SD printing byte 120/1000", "SD printing byte 130/1000")
    assert phase(printer) == "paused"
    printer.says("SD printing byte 140/1000")
    assert phase(printer) == "printing"


def test_a_firmware_that_denies_paused_prints_is_not_believed() -> None:
    printer = printing()
    printer.says("//action:paused", *["Not SD printing"] * 5)
    assert phase(printer) == "paused"


def test_a_paused_print_that_was_counted_can_be_cancelled_at_the_printer() -> None:
    printer = printing()
    printer.says("//action:paused", "SD printing byte 100/1000")
    printer.says(*["Not SD printing"] * 3)
    assert printer.happened() == ["print_paused", "print_cancelled"]


def test_filament_runs_out() -> None:
    printer = printing()
    printer.says("//action:pause filament_runout\r")
    assert printer.state.job.reason == "filament_runout"
    assert printer.happened() == ["print_paused", "filament_runout"]
    printer.says("//action:paused")
    assert printer.state.job.reason == "filament_runout"
    printer.says("//action:resumed")
    assert printer.state.job.reason == ""


@pytest.mark.parametrize("how", ["M524", "CANCEL_PRINT"])
def test_a_cancel_that_we_ask_for(how: str) -> None:
    printer = printing()
    printer.sends(how)
    assert phase(printer) == "cancelling"
    printer.says("SD printing byte 110/1000")
    assert phase(printer) == "cancelling"
    printer.says("Not SD printing")
    assert printer.happened() == ["print_cancelled"]


def test_a_cancelled_file_may_go_on_being_reported() -> None:
    printer = printing()
    printer.says("//action:cancel", "SD printing byte 100/1000")
    assert phase(printer) == "idle"
    printer.says("SD printing byte 100/1000")
    assert phase(printer) == "idle"


def test_a_resume_while_it_starts_or_cancels_changes_little(printer: Knowing) -> None:
    printer.says(*SELECTED)
    printer.sends("M24")
    printer.says("//action:start", "//action:resume", "//action:start")
    assert phase(printer) == "starting"


def test_waiting_for_a_person_is_a_pause() -> None:
    printer = printing()
    printer.says("echo:busy: processing")
    assert phase(printer) == "printing"
    printer.says("echo:busy: paused for user")
    assert phase(printer) == "paused"


def test_a_card_that_is_pulled_fails_the_print() -> None:
    printer = printing()
    printer.says("echo:SD card released")
    printer.says("echo:SD card ok", "SD printing byte 100/1000")
    assert phase(printer) == "idle"
    assert printer.state.job.result is not None
    assert printer.state.job.result.reason == "card_removed"


def test_another_file_means_that_the_first_print_is_over() -> None:
    printer = printing()
    printer.says("SD printing byte 5/77")
    assert phase(printer) == "idle"
    assert printer.happened() == ["print_cancelled"]
    printer.says("SD printing byte 9/77")
    assert phase(printer) == "printing"


def test_a_file_opened_by_a_print_is_a_part_of_it() -> None:
    printer = printing()
    printer.says("File opened: part.gco Size: 5")
    assert (printer.state.job.file, printer.state.job.size) == ("a.gco", 1000)


def test_a_file_without_name_and_size_gets_them_later(printer: Knowing) -> None:
    printer.says("File opened", "SD printing byte 0/500")
    assert (printer.state.job.file, printer.state.job.size) == (None, 500)
    printer.says("SD printing byte 5/500", "Current file: (no file)")
    printer.says("Current file: B.GCO")
    printer.says("Current file: C.GCO")
    assert printer.state.job.file == "B.GCO"


def test_the_slicer_knows_better_than_the_bytes() -> None:
    printer = printing()
    assert progress(printer.state.job) == 10
    assert remaining(printer.state.job, 10) is None
    printer.at(20).sends("M73 P40 R5")
    assert progress(printer.state.job) == 40
    assert remaining(printer.state.job, 20) == 300
    assert remaining(printer.state.job, 80) == 240
    assert remaining(printer.state.job, 8000) == 0
    printer.sends("M73 R2")
    assert progress(printer.state.job) == 40
    assert remaining(printer.state.job, 20) == 120
    printer.sends("M73 P50")
    assert progress(printer.state.job) == 50
    printer.says("echo:Progress: 60%; Time left: 1m")
    assert progress(printer.state.job) == 60
    assert remaining(printer.state.job, 20) == 60


def test_without_a_print_there_is_no_progress(printer: Knowing) -> None:
    printer.sends("M73 P40 R5")
    printer.says("SD printing byte 5/500")
    assert printer.state.job.percent is None
    assert progress(PrintJob()) is None
    assert remaining(printer.state.job, 5) is None
    assert elapsed(printer.state.job, 5) is None
    assert progress(PrintJob(position=5, size=0)) is None
    assert progress(PrintJob(position=50, size=5)) == 100


def test_nothing_done_yet_cannot_be_extrapolated(printer: Knowing) -> None:
    printer.says(*SELECTED)
    printer.sends("M24")
    assert remaining(printer.state.job, 5) is None


def test_a_clock_that_stands_gives_no_negative_times() -> None:
    assert running_time(PrintJob(phase="printing", began=10), 5) == 0
    paused = PrintJob(phase="paused", began=0, paused_at=10)
    assert print_table.step(paused, "announced_resumed", 5).pauses == 0


def test_the_last_result_stays(printer: Knowing) -> None:
    printer.says(*SELECTED, "Done printing file", "File opened: b.gco Size: 5")
    result = printer.state.job.result
    assert result is not None
    printer.sends("M24")
    assert printer.state.job.result is result
    printer.says(*["Not SD printing"] * 3)
    assert printer.state.job.result is not None
    assert printer.state.job.result.outcome == "failed"


def test_transitions_without_a_print_change_nothing() -> None:
    idle = PrintJob(file="a.gco")
    for lost in (print_job.link_lost(idle, 1), print_job.link_back(idle)):
        assert lost == idle
    assert print_job.halted(idle, "maxtemp", 1) == idle
    assert print_job.card_removed(idle, 1) == idle
    assert print_job.host_action(idle, "notification", "x", 1) == idle
    assert print_job.line_sent(idle, read("G28"), 1) == idle


def test_a_paused_print_that_is_rewound_is_cancelled(printer: Knowing) -> None:
    """How firmwares without an own command for it cancel a print."""
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")
    printer.at(1).says("SD printing byte 10/1000", "SD printing byte 20/1000")
    printer.sends("M25", "M26 S0")
    phases = [printer.state.phase]
    printer.at(2).says("Not SD printing")
    assert [*phases, printer.state.phase] == ["cancelling", "operational"]
    assert printer.state.job.result is not None
    assert printer.state.job.result.outcome == "cancelled"


@pytest.mark.parametrize(
    ("lines", "phase_after"),
    [(["M26 S0"], "printing"), (["M25", "M26 S10"], "paused")],
)
def test_a_print_that_is_moved_elsewhere_on_the_card_goes_on(
    printer: Knowing, lines: list[str], phase_after: str
) -> None:
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")
    printer.at(1).says("SD printing byte 10/1000", "SD printing byte 20/1000")
    printer.sends(*lines)
    assert phase(printer) == phase_after
    assert printer.state.job.position == 20


# What was wrong before there was a table, and its neighbours


def lost_and_back(printer: Knowing, *, away: float = 3600) -> Knowing:
    now = printer.now
    gone = known.disconnected(printer.state, word="connection", now=now)
    printer.become(gone)
    printer.at(now + away)
    printer.become(known.connecting(printer.state))
    printer.become(known.connected(printer.state, dialect=printer.dialect))
    printer.events.clear()
    return printer


def paused() -> Knowing:
    printer = printing()
    printer.at(20).says("//action:paused")
    printer.events.clear()
    return printer


@pytest.mark.parametrize("begin", [printing, paused])
def test_the_power_is_cut_in_a_print(begin: Callable[[], Knowing]) -> None:
    printer = begin()
    last = printer.now
    lost_and_back(printer)
    printer.says("Not SD printing", "Not SD printing")
    assert printer.state.job.active
    printer.says("Not SD printing")
    assert phase(printer) == "idle"
    assert printer.happened() == ["print_failed", "error"]
    result = printer.state.job.result
    assert result is not None
    assert (result.reason, result.elapsed, result.time) == (
        "connection_lost",
        last,
        last,
    )
    assert attention(printer.state) == "error"
    printer.become(known.acknowledged(printer.state))
    assert attention(printer.state) == "none"
    printer.sends("M24")
    assert printer.happened() == ["print_started"]


def test_the_next_print_acknowledges_the_failure_of_the_last() -> None:
    printer = lost_and_back(printing())
    printer.says(*["Not SD printing"] * 3)
    printer.sends("M24")
    assert attention(printer.state) == "none"
    printer.says("Done printing file")
    assert attention(printer.state) == "none"


def test_a_file_that_is_selected_again_after_a_power_cut_is_not_printed() -> None:
    printer = lost_and_back(printing())
    printer.says("SD printing byte 0/1000")
    assert printer.happened() == ["print_failed", "error"]
    printer.says("SD printing byte 0/1000")
    assert (phase(printer), printer.state.job.position) == ("idle", 0)


def test_another_file_after_a_power_cut_is_another_print() -> None:
    printer = lost_and_back(printing())
    printer.says("SD printing byte 5/77")
    assert printer.happened() == ["print_failed", "error"]


def test_a_print_that_outlives_the_cable_goes_on_without_an_error() -> None:
    printer = printing()
    broke = Problem(error="gone", reason="connection", consequence="disconnected")
    printer.become(known.disconnected(printer.state, broke, now=10))
    printer.at(60)
    printer.become(known.connecting(printer.state))
    printer.become(known.connected(printer.state, dialect=printer.dialect))
    assert attention(printer.state) == "error", "it is not known yet what became of it"
    printer.at(61).says("SD printing byte 400/1000")
    assert attention(printer.state) == "none"
    assert printer.happened() == ["disconnected", "error", "connected"]
    assert running_time(printer.state.job, 70) == 70


def test_a_file_that_was_read_before_the_link_was_lost_is_done() -> None:
    printer = printing()
    printer.says("SD printing byte 1000/1000")
    lost_and_back(printer).says("Not SD printing")
    assert printer.happened() == ["print_done"]


def test_a_print_that_was_being_cancelled_when_the_link_was_lost_is_cancelled() -> None:
    printer = printing()
    printer.sends("M524")
    lost_and_back(printer).says("Not SD printing")
    assert printer.happened() == ["print_cancelled"]


@pytest.mark.parametrize("line", ["M24", "RESUME"])
def test_a_start_in_a_running_print_resumes_nothing(line: str) -> None:
    printer = printing()
    printer.sends(line)
    assert phase(printer) == "printing"
    printer.says("SD printing byte 200/1000")
    assert printer.happened() == []


@pytest.mark.parametrize(
    ("asked", "word"), [("M524", "cancelling"), ("M25", "pausing")]
)
def test_what_the_firmware_ignores_does_not_stay_for_ever(
    asked: str, word: str
) -> None:
    printer = printing()
    printer.begins(asked)
    for place in range(200, 600, 100):
        printer.says(f"SD printing byte {place}/1000")
        assert phase(printer) == word
    printer.says("SD printing byte 600/1000")
    assert phase(printer) == "printing"
    assert printer.happened() == []


def test_a_print_that_is_rewound_and_started_again_is_another() -> None:
    printer = paused()
    printer.sends("M26 S0", "M24")
    assert printer.happened() == ["print_cancelled", "print_started"]
    assert phase(printer) == "starting"


def test_a_file_that_repeats_itself_goes_on() -> None:
    printer = printing()
    printer.says("SD printing byte 1000/1000")
    assert phase(printer) == "finishing"
    printer.says("SD printing byte 100/1000", "SD printing byte 200/1000")
    assert phase(printer) == "printing"


def test_a_paused_print_without_a_file_is_over() -> None:
    printer = paused()
    printer.says(*["Not SD printing", "Current file: a.gco"] * 5)
    assert phase(printer) == "paused"
    printer.says(*["Not SD printing", "Current file: (no file)"] * 3)
    assert printer.happened() == ["print_cancelled"]


def test_a_pause_that_is_announced_again_keeps_its_reason() -> None:
    printer = printing()
    printer.says("//action:paused filament_runout")
    assert printer.state.job.reason == "filament_runout"
    printer.says("//action:paused", "//action:paused")
    assert printer.state.job.reason == "filament_runout"
    assert printer.happened().count("filament_runout") == 1


def answers(printer: Knowing, place: int) -> None:
    """Have an ``M27`` answered by a firmware that also reports by itself."""
    before = printer.state.job
    printer.says(f"SD printing byte {place}/1000")
    job = print_job.answered_in_turn(printer.state.job, before, printer.now)
    printer.become(replace(printer.state, job=job))


def test_a_pause_that_nobody_heard_shows_in_the_answers_of_who_reports() -> None:
    """Its announcement was made while the bridge was away, and comes only once."""
    printer = printing()
    printer.sends("M27 S2")
    printer.at(60).says(*["SD printing byte 100/1000"] * 9)
    assert phase(printer) == "printing", "it may be in the middle of a long line"
    answers(printer, 100)
    printer.says("SD printing byte 100/1000")
    answers(printer, 100)
    assert phase(printer) == "printing"
    answers(printer, 100)
    assert printer.happened() == ["print_paused"]
    assert printer.state.job.paused_at == 60
    answers(printer, 100)
    assert phase(printer) == "paused"
    printer.says("SD printing byte 110/1000", "SD printing byte 120/1000")
    assert printer.happened() == ["print_resumed"]


def test_answers_that_show_no_pause() -> None:
    printer = printing()
    printer.sends("M27 S2")
    for place in (110, 110, 110, 120, 120, 120, 130):  # it reads on between them
        answers(printer, place)
    assert phase(printer) == "printing"
    answers(printer, 1000)
    for _ in range(3):
        answers(printer, 1000)
    assert phase(printer) == "finishing"
    idle = Knowing()
    idle.sends("M27 S2")
    for _ in range(4):
        answers(idle, 100)
    assert phase(idle) == "idle"
    ended = printing()
    ended.sends("M27 S2")
    before = ended.state.job
    ended.says(*["Not SD printing"] * 3)
    job = ended.state.job
    assert print_job.answered_in_turn(job, before, ended.now) is job


def test_what_stands_after_an_error_of_a_firmware_that_reports_is_broken_off() -> None:
    printer = printing()
    printer.sends("M27 S2")
    job = replace(printer.state.job, complaint=True)
    for _ in range(3):
        job = print_job.answered_in_turn(job, job, printer.now)
    assert job.phase == "idle"
    assert job.result is not None
    assert job.result.reason == "file_error"


def test_a_start_that_stands_still_from_the_beginning_can_be_resumed() -> None:
    printer = Knowing(dialect=KLIPPER)
    printer.says("File opened:a.gcode Size:1000", "File selected")
    printer.sends("M24")
    printer.says(*["SD printing byte 0/1000"] * 3)
    assert phase(printer) == "paused"


def test_the_answer_to_a_question_ends_it_with_the_pause() -> None:
    printer = printing()
    printer.says("//action:prompt_begin Nozzle Parked", "//action:prompt_show")
    printer.says("echo:busy: paused for user")
    assert (phase(printer), attention(printer.state)) == ("paused", "prompt")
    printer.says("//action:resumed")
    assert (phase(printer), attention(printer.state)) == ("printing", "none")
    assert not printer.state.asks


def test_a_question_in_a_print_that_goes_on_by_itself_is_over() -> None:
    printer = printing()
    printer.says("echo:busy: paused for user", "SD printing byte 200/1000")
    assert attention(printer.state) == "prompt"
    printer.says("SD printing byte 300/1000")
    assert (phase(printer), attention(printer.state)) == ("printing", "none")


def klipper_prints() -> Knowing:
    printer = Knowing(dialect=KLIPPER)
    printer.says("File opened:a.gcode Size:1000", "File selected")
    printer.sends("M24")
    printer.at(10).says("SD printing byte 100/1000")
    printer.events.clear()
    return printer


def complains(printer: Knowing, text: str) -> None:
    refusal = Refusal(text, unsolicited=True)
    state = known.apply(
        printer.state,
        refusal,
        now=printer.now,
        dialect=printer.dialect,
        profile=printer.profile,
    )
    printer.become(state)


def test_a_file_with_a_line_that_klipper_refuses_has_failed() -> None:
    printer = klipper_prints()
    complains(printer, "Move out of range: 999.000 0.000 0.660 [0.000]")
    printer.says(*["SD printing byte 100/1000"] * 2)
    assert phase(printer) == "printing"
    printer.says("SD printing byte 100/1000")
    assert printer.happened() == ["print_failed", "error"]
    assert printer.state.job.result is not None
    assert printer.state.job.result.reason == "file_error"
    printer.says(*["SD printing byte 100/1000"] * 5)
    assert phase(printer) == "idle"


def test_an_error_after_which_a_print_reads_on_is_none_of_it() -> None:
    printer = klipper_prints()
    complains(printer, "Must home axis first")
    printer.says("SD printing byte 200/1000", *["SD printing byte 200/1000"] * 3)
    assert (phase(printer), printer.happened()) == ("paused", ["print_paused"])


def test_an_error_without_a_print_breaks_none_off() -> None:
    printer = Knowing(dialect=KLIPPER)
    complains(printer, "Must home axis first")
    assert not printer.state.job.complaint


def test_marlin_reads_on_after_an_error() -> None:
    printer = printing()
    complains(printer, "cold extrusion prevented")
    printer.says(*["SD printing byte 100/1000"] * 3)
    assert phase(printer) == "paused"


def test_a_print_that_a_runaway_has_ended_is_known_after_the_reset() -> None:
    printer = printing()
    printer.says("Error:Thermal Runaway, system stopped! Heater_ID: E0")
    assert [event.data.get("reason") for event in printer.events] == [
        "thermal_runaway",
        "thermal_runaway",
    ]
    printer.become(known.connecting(printer.state))
    printer.become(known.connected(printer.state, dialect=printer.dialect))
    assert attention(printer.state) == "error"
    assert printer.state.trouble is not None
    assert printer.state.trouble.consequence == "print_failed"
    printer.become(known.acknowledged(printer.state))
    assert attention(printer.state) == "none"


def test_a_print_that_somebody_stopped_needs_nobody_after_the_reset() -> None:
    printer = printing()
    stop = Problem(error="asked", reason="emergency_stop", consequence="stopped")
    printer.become(known.failed(printer.state, stop))
    printer.become(known.connecting(printer.state))
    printer.become(known.connected(printer.state, dialect=printer.dialect))
    assert attention(printer.state) == "none"
    assert printer.state.job.result is not None
    assert printer.state.job.result.outcome == "failed"
