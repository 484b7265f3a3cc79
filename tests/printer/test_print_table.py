"""The table of a print's transitions: what it contains, and the laws it obeys."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.dialects import KLIPPER, MARLIN, MARLIN1, PRUSA, REPETIER, Dialect
from bridge.printer.knowledge import print_table
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.print_table import (
    PHASES,
    TABLE,
    Observation,
    PrintJob,
    step,
)
from bridge.printer.published import views
from tests.support.knowing import Knowing

ENDS = {"print_done", "print_cancelled", "print_failed"}
FAMILIES = (MARLIN, MARLIN1, PRUSA, KLIPPER, REPETIER)
NAMES_FILE = {"marlin", "prusa"}
"""Families that answer ``M27 C``."""


def test_every_word_leads_somewhere_and_every_phase_can_be_left() -> None:
    assert {observed for _, observed in TABLE} == set(get_args(Observation))
    assert {phase for phase, _ in TABLE} == set(PHASES)
    assert {transition.to for transition in TABLE.values()} == set(PHASES)


@pytest.mark.parametrize("pair", TABLE, ids="-".join)
def test_an_end_is_reported_once_and_leaves_a_result(
    pair: tuple[print_table.Phase, Observation],
) -> None:
    transition = TABLE[pair]
    assert len(ENDS & set(transition.events)) == (transition.outcome is not None)
    before = PrintJob(phase=pair[0], file="a.gco", size=9, began=1.0)
    after = step(before, pair[1], 5.0, "maxtemp")
    assert after.phase == transition.to
    happened = print_table.events_between(before, after)
    assert happened == transition.events
    assert (after.result is not None) == (transition.outcome is not None)
    if after.result is not None:
        assert after.result.outcome == transition.outcome
        assert bool(after.result.reason) == (transition.outcome == "failed")


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("observed", get_args(Observation))
def test_what_is_not_in_the_table_changes_nothing(
    phase: print_table.Phase, observed: Observation
) -> None:
    job = PrintJob(phase=phase)
    assert (step(job, observed, 5.0) == job) == ((phase, observed) not in TABLE)


# Laws over what a firmware, a host and a cable may do in any order

_LINES = st.sampled_from(
    [
        "File opened: a.gco Size: 1000",
        "//action:start",
        "//action:pause",
        "//action:paused filament_runout",
        "//action:resumed",
        "//action:resume",
        "//action:cancel",
        "//action:prompt_begin Nozzle Parked",
        "//action:prompt_show",
        "//action:prompt_end",
        "echo:busy: paused for user",
        "echo:busy: processing",
        "SD print paused",
        "SD printing byte 5/77",
        "SD printing byte 0/0",
        "Not SD printing",
        "Current file: (no file)",
        "Done printing file",
        "echo:SD card released",
        "T:20 /200 B:20 /0",
        "T:199 /200 B:20 /0 W:?",
        "T:20 /0 B:20 /0",
        "Error:MAXTEMP",
        "NORMAL MODE: Percent done: 50; print time remaining in mins: 5",
        *[f"SD printing byte {place}/1000" for place in range(0, 1001, 100)],
        *["> M24", "> M25", "> M524", "> M26 S0", "> M876 S0", "> M108"],
        *["! lost", "! back", "! reset"],
    ]
)
_SCRIPT = st.lists(st.tuples(_LINES, st.integers(0, 90)), max_size=40)


@dataclass
class Life:
    """A printer to which anything may happen, and what its documents held."""

    printer: Knowing
    open: bool = False

    def goes_through(self, script: list[tuple[str, int]]) -> None:
        for line, seconds in script:
            self.printer.at(self.printer.now + seconds)
            self.hears(line)

    def hears(self, line: str) -> None:
        printer, now = self.printer, self.printer.now
        match line:
            case "! lost":
                away = known.disconnected(printer.state, word="connection", now=now)
                printer.become(away)
            case "! back":
                printer.become(known.connecting(printer.state))
                printer.become(known.connected(printer.state, dialect=printer.dialect))
            case "! reset":
                printer.become(known.reset(printer.state, now=now))
                printer.become(known.connected(printer.state, dialect=printer.dialect))
            case _ if printer.state.link != "operational":
                return
            case _ if line.startswith("> "):
                printer.sends(line.removeprefix("> "))
            case _:
                printer.says(line)
        self._check()

    def _check(self) -> None:
        for event in self.printer.events:
            if event.name == "print_started":
                assert not self.open, "the one before has no end"
                self.open = True
            elif event.name in ENDS:
                self.open = False
                self._lasted(event.data)
        self.printer.events.clear()
        assert self.open <= self.printer.state.job.active
        _is_consistent(self.printer)

    def _lasted(self, data: Any) -> None:  # noqa: ANN401 - JSON
        result = self.printer.state.job.result
        assert result is not None
        if result.elapsed is None or result.started is None:
            return
        assert result.started <= result.time <= self.printer.now
        assert result.elapsed <= result.time - result.started
        assert data["elapsed"] == round(result.elapsed)


def _is_consistent(printer: Knowing) -> None:
    state = views.state(printer.state, now=printer.now, epoch=0)
    job = views.job_state(printer.state, now=printer.now, epoch=0)
    flags = state.flags
    words = ("paused", "pausing", "resuming", "cancelling", "finishing")
    assert [name for name in words if getattr(flags, name)] == [
        name for name in words if name == state.state
    ]
    assert not (flags.printing and (flags.paused or flags.ready))
    assert (state.attention == "prompt") <= (state.prompt is not None)
    if state.state in {"printing", "finishing"}:
        assert not printer.state.waiting, "it prints, and waits for somebody"
    if state.state == "operational":
        assert (job.state, job.elapsed, job.remaining) == ("idle", None, None)
        assert (job.started_at, job.finish_at, job.heating) == (None, None, False)
    if job.state not in {None, "idle"}:
        assert state.state == job.state
        assert job.result is None
    if job.state in {None, "paused", "pausing"} or job.heating:
        assert job.finish_at is None
    assert (job.reason != "") <= (
        job.state in {None, "paused", "resuming", "cancelling"}
    )


def idle_words(dialect: Dialect) -> Iterator[str]:
    """Yield what an idle firmware of a family answers to one poll of its card."""
    yield "Not SD printing"
    if dialect.name in NAMES_FILE:
        yield "Current file: (no file)"


@given(_SCRIPT, st.sampled_from(FAMILIES))
def test_nothing_contradicts_itself_and_every_start_has_one_end(
    script: list[tuple[str, int]], dialect: Dialect
) -> None:
    Life(Knowing(dialect=dialect)).goes_through(script)


@given(_SCRIPT, st.sampled_from(FAMILIES))
def test_a_firmware_that_is_idle_is_known_to_be_within_three_polls(
    script: list[tuple[str, int]], dialect: Dialect
) -> None:
    life = Life(Knowing(dialect=dialect))
    life.goes_through(script)
    life.hears("! back")
    job = life.printer.state.job
    unknowable = job.phase == "paused" and not job.counter_seen and job.lost_at is None
    for _ in range(3):
        for line in idle_words(dialect):
            life.hears(line)
    if unknowable and dialect.name not in NAMES_FILE:
        return  # such a firmware says the same of a print that is paused
    assert not life.printer.state.job.active
    assert not life.open


@given(st.lists(st.integers(1, 600), min_size=1, max_size=12))
def test_durations_add_up(spans: list[int]) -> None:
    """A print that is paused and continues again, for so many seconds each."""
    printer = Knowing()
    printer.says("File opened: a.gco Size: 100000")
    printer.sends("M24")
    for number, seconds in enumerate(spans):
        printer.at(printer.now + seconds)
        printer.says("//action:resumed" if number % 2 else "//action:paused")
    printer.says("Done printing file")
    result = printer.state.job.result
    assert result is not None
    assert result.elapsed == sum(spans[::2])
    assert result.time - (result.started or 0.0) == sum(spans)
