"""A print over a restart of the bridge."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.observer import FOUND_WITHIN
from bridge.printer.knowledge.print_record import PrinterRecord, facts, record, restore
from bridge.printer.knowledge.print_table import running_time
from bridge.printer.link.events import Closed
from bridge.printer.published.safety_flags import attention
from tests.printer.test_print_matrix import PRINTS, STATES, World
from tests.support.cases import case
from tests.support.knowing import Knowing

EPOCH = 1_763_831_000.0


def printing(*more: str) -> Knowing:
    printer = Knowing()
    printer.says("File opened: a.gco Size: 1000")
    printer.sends("M24")
    printer.at(100).says("SD printing byte 300/1000", *more)
    return printer


def restarted(printer: Knowing, *, after: float = 30.0, clock: float = 5.0) -> Knowing:
    """Return the printer of the next run, whose clock began anew, as it is connected.

    Args:
        printer: that of the run before.
        after: seconds without a bridge.
        clock: what the new monotonic clock says.

    """
    kept = record(printer.state, now=printer.now, epoch=EPOCH)
    kept = PrinterRecord.model_validate_json(kept.model_dump_json())
    epoch = EPOCH + printer.now + after - clock
    fresh = Knowing(now=clock)
    first = known.initial(fresh.profile)
    fresh.state = restore(first, kept, now=clock, epoch=epoch)
    fresh.become(known.connecting(fresh.state))
    fresh.become(known.connected(fresh.state, dialect=fresh.dialect))
    assert fresh.happened() == ["connected"]
    return fresh


def test_a_print_goes_on_and_nothing_is_reported_twice() -> None:
    printer = restarted(printing())
    assert printer.state.phase == "printing"
    printer.at(6).says("SD printing byte 330/1000")
    printer.at(10).says("SD printing byte 360/1000")
    assert printer.happened() == []
    assert running_time(printer.state.job, 10) == pytest.approx(135)
    printer.at(105).says("Done printing file")
    assert printer.happened() == ["print_done"]
    result = printer.state.job.result
    assert result is not None
    assert result.elapsed == pytest.approx(230)


def test_a_print_that_is_gone_has_failed_when_it_was_last_seen() -> None:
    printer = restarted(printing(), after=3600)
    printer.at(8).says(*["Not SD printing"] * 3)
    assert printer.happened() == ["print_failed", "error"]
    result = printer.state.job.result
    assert result is not None
    assert result.reason == "connection_lost"
    assert result.elapsed == pytest.approx(100)
    assert result.time == pytest.approx(5 - 3600)


def test_a_paused_print_stays_paused() -> None:
    printer = restarted(printing("//action:paused filament_runout"))
    printer.at(7).says("SD printing byte 300/1000")
    assert (printer.state.phase, printer.state.job.reason) == (
        "paused",
        "filament_runout",
    )
    printer.at(15).says("//action:resumed", "SD printing byte 310/1000")
    assert printer.happened() == ["print_resumed"]
    assert running_time(printer.state.job, 15) == pytest.approx(100)


def test_the_last_print_stays_and_so_does_its_failure() -> None:
    failed = printing()
    failed.become(known.reset(failed.state, now=101))
    failed.become(known.connected(failed.state, dialect=failed.dialect))
    assert failed.state.trouble is not None
    printer = restarted(failed)
    result = printer.state.job.result
    assert result is not None
    assert (result.outcome, result.file, result.reason) == (
        "failed",
        "a.gco",
        "printer_reset",
    )
    assert result.started == pytest.approx(5 - 30 - 100)
    assert printer.state.trouble is not None
    assert printer.state.trouble.reason == "printer_reset"
    printer.become(known.acknowledged(printer.state))
    assert restarted(printer).state.trouble is None


def test_a_clock_that_was_set_back_puts_nothing_into_the_future() -> None:
    printer = restarted(printing("Done printing file"), after=-5000)
    result = printer.state.job.result
    assert result is not None
    assert result.time <= 5
    assert (result.started or 0) <= 5
    running = restarted(printing("//action:paused"), after=-5000).state.job
    assert running.began <= (running.paused_at or 0) <= (running.lost_at or 0) <= 5


def test_nothing_kept_is_nothing_known() -> None:
    first = known.initial(Knowing().profile)
    assert restore(first, PrinterRecord(), now=1, epoch=EPOCH) == first
    released = replace(first, released=True)
    kept = record(released, now=1, epoch=EPOCH)
    assert restore(first, kept, now=1, epoch=EPOCH) == released
    displaced = replace(first, displaced=True)
    assert facts(displaced) != facts(first), "it is written at once"
    kept = record(displaced, now=1, epoch=EPOCH)
    assert restore(first, kept, now=1, epoch=EPOCH) == displaced


def test_only_what_counts_is_kept_at_once() -> None:
    printer = printing()
    before = facts(printer.state)
    printer.at(160).says("SD printing byte 400/1000", "T:20 /0")
    assert facts(printer.state) == before
    printer.says("//action:paused")
    assert facts(printer.state) != before


@given(
    st.lists(
        st.sampled_from(
            [
                "SD printing byte 500/1000",
                "//action:paused",
                "//action:resumed",
                "//action:cancel",
                "Not SD printing",
                "Done printing file",
            ]
        ),
        max_size=8,
    )
)
def test_a_restart_adds_no_event_and_loses_no_end(lines: list[str]) -> None:
    plain, cut = printing(*lines), restarted(printing(*lines))
    assert plain.state.job.active == cut.state.job.active
    cut.says(*["Not SD printing", "Current file: (no file)"] * 3)
    names = cut.happened()
    assert "print_started" not in names
    ends = [
        name
        for name in names
        if name in {"print_done", "print_cancelled", "print_failed"}
    ]
    assert len(ends) == plain.state.job.active


# A bridge that is restarted while the printer is away

AT_STAKE = PRINTS | {"hot"}
GONE = Closed("there is no such port", "connection")


def in_state(state: str) -> World:
    """Return a printer in a state of the matrix."""
    world = World(Knowing().dialect)
    STATES[state](world)
    return world


def errors(world: World) -> list[object]:
    """Return the reasons of the errors that were reported, and forget the events."""
    found = [e.data["reason"] for e in world.events if e.name == "error"]
    world.events.clear()
    return found


def tries(world: World, *, after: float = 0.0) -> str:
    """Have the bridge look for the printer in vain; return what people are told."""
    world.now += after
    world.observer.handle(GONE)
    return attention(world.observer.state)


def test_a_restart_does_not_hide_that_a_print_or_heat_is_lost() -> None:
    for state in STATES.keys() - {"error"}:
        with case(state):
            world = in_state(state)
            right = "error" if state in AT_STAKE else "none"
            assert tries(world) == right
            assert errors(world) == ["connection"] * (state in AT_STAKE)
            for _ in range(2):
                world.restart()
                assert attention(world.observer.state) == right
                assert tries(world) == tries(world, after=FOUND_WITHIN) == right
                assert errors(world) == [], "it was reported before the restart"
            world.connect()
            world.says("T:20 /0 B:20 /0", *["Not SD printing"] * 3)
            ended = in_state(state).observer.state.job.active
            failed = ended and state not in {"cancelling", "finishing"}
            assert attention(world.observer.state) == ("error" if failed else "none")


def test_a_print_or_heat_that_a_restarted_bridge_does_not_find_is_an_error() -> None:
    for state in STATES.keys() - {"error"}:
        with case(state):
            world = in_state(state)
            world.restart()
            world.restart()  # twice, before the printer could be found
            assert tries(world) == "none", "a port may appear late"
            expected = ["connection"] * (state in AT_STAKE)
            told = tries(world, after=FOUND_WITHIN)
            assert told == ("error" if state in AT_STAKE else "none")
            tries(world, after=60)
            assert errors(world) == expected, "once"


def test_what_only_cools_down_may_be_switched_off_while_the_bridge_is_away() -> None:
    world = in_state("hot")
    world.says("T:180 /0 B:55 /0")
    world.restart()
    assert tries(world, after=FOUND_WITHIN) == "none"
    assert errors(world) == []


def test_what_was_turned_off_at_the_end_is_not_missed() -> None:
    """Or was left on, as `heaters_on_exit` has it: the link was closed on purpose."""
    world = in_state("hot")
    world.observer.disconnected()
    world.restart()
    assert tries(world, after=FOUND_WITHIN) == "none"


def test_what_was_acknowledged_stays_so_over_restarts() -> None:
    for state in AT_STAKE:
        with case(state):
            world = in_state(state)
            tries(world)
            world.observer.acknowledge_problem()
            world.events.clear()
            world.restart()
            assert tries(world, after=FOUND_WITHIN) == "none"
            assert errors(world) == []


def test_a_port_that_was_released_is_missed_by_nobody() -> None:
    for state in STATES.keys() - {"error"}:
        with case(state):
            world = in_state(state)
            world.observer.handle(Closed("released", "released"))
            world.restart()
            world.observer.handle(Closed("released", "released"))
            assert attention(world.observer.state) == "none"
            assert errors(world) == []


def test_a_printer_that_is_found_in_time_was_never_missing() -> None:
    for state in AT_STAKE:
        with case(state):
            world = in_state(state)
            world.restart()
            tries(world)
            world.connect()
            assert errors(world) == []
            assert not world.observer.state.unseen
