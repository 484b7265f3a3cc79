"""When heaters that nobody uses go off, told as dialogues."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands.base import Context
from bridge.config import Profile
from bridge.printer.control.idle_timeout import (
    ABSENCE,
    AGAIN,
    WARNING,
    IdleTimeout,
    heaters_on,
    turn_off,
)
from bridge.printer.knowledge import state as known
from tests.support.knowing import Knowing

HOUR = 3600.0
MINUTE = 60.0
HOT, COLD = "T:210.0 /210.0 B:60.0 /60.0", "T:210.0 /0.0 B:60.0 /0.0"
HERE, THERE = "X:1.0 Y:2.0 Z:3.0 E:0.0", "X:1.0 Y:2.5 Z:3.0 E:0.0"


@dataclass
class Watched:
    """A printer with hot heaters, and who watches them."""

    limit: float = HOUR
    printer: Knowing = field(default_factory=Knowing)

    def __post_init__(self) -> None:
        self.idle = IdleTimeout(self.limit)
        self.printer.says(HERE, HOT)

    def at(self, now: float, *, busy: bool = False) -> str:
        """Return what is decided then, by a printer that was asked for its place."""
        state = self.printer.at(now).state
        if not self.idle.due(state, now, busy=busy):
            return "nothing"
        return self.idle.decide(state, now, busy=busy)


@pytest.fixture
def watched() -> Watched:
    watched = Watched()
    assert watched.at(0) == "nothing"
    return watched


def test_they_go_off_after_a_warning(watched: Watched) -> None:
    assert watched.idle.off_at == HOUR
    assert watched.at(HOUR - WARNING - 1) == "nothing"
    assert watched.at(HOUR - WARNING) == "warn"
    assert watched.at(HOUR - 1) == "nothing"
    assert watched.idle.off_at == HOUR
    assert watched.at(HOUR) == "turn_off"


def test_a_short_time_has_a_short_warning() -> None:
    watched = Watched(limit=4)
    assert [watched.at(now) for now in (0, 2.9, 3, 4)] == [
        "nothing",
        "nothing",
        "warn",
        "turn_off",
    ]


def test_zero_is_never() -> None:
    watched = Watched(limit=0)
    assert watched.at(0) == "nothing"
    assert watched.at(100 * HOUR) == "nothing"
    assert watched.idle.off_at is None


def test_cold_heaters_are_nobody_s_business(watched: Watched) -> None:
    watched.printer.says(COLD)
    assert watched.at(HOUR) == "nothing"
    assert watched.idle.off_at is None
    watched.printer.says(HOT)
    assert watched.at(HOUR + 1) == "nothing"
    assert watched.idle.off_at == 2 * HOUR + 1


@pytest.mark.parametrize("line", ["G91", "M140 S60", "M106 S0", "M117 hello", "T0"])
def test_a_command_starts_the_time_anew(watched: Watched, line: str) -> None:
    assert watched.at(HOUR - WARNING) == "warn"
    watched.printer.sends(line)
    assert watched.at(HOUR - 1) == "nothing"
    assert watched.idle.off_at == 2 * HOUR - 1
    assert watched.at(HOUR) == "nothing"
    assert watched.at(2 * HOUR - 1 - WARNING) == "warn"


@pytest.mark.parametrize("line", ["M105", "M114", "M27", "M115", "M503", "M155 S2"])
def test_a_question_is_no_use(watched: Watched, line: str) -> None:
    for now in range(0, int(HOUR - WARNING), 60):
        watched.printer.begins(line)
        assert watched.at(now, busy=True) == "nothing"
        watched.printer.sends(line)
    assert watched.at(HOUR - WARNING) == "warn"


def test_a_command_that_lasts_is_use_to_its_end(watched: Watched) -> None:
    watched.printer.begins("M190 S60")
    for now in (1, HOUR, 2 * HOUR):
        assert watched.at(now, busy=True) == "nothing"
    watched.printer.sends("M105")
    assert watched.at(3 * HOUR - WARNING - 1) == "nothing"
    assert watched.at(3 * HOUR - WARNING) == "warn"


def test_a_command_without_an_answer_is_no_use_for_ever(watched: Watched) -> None:
    watched.printer.begins("G28")
    assert watched.at(1) == "nothing"
    assert watched.at(1 + HOUR - WARNING) == "warn"


def test_another_target_is_a_person_at_the_panel(watched: Watched) -> None:
    assert watched.at(HOUR - WARNING) == "warn"
    watched.printer.says("T:210.0 /210.0 B:60.0 /65.0")
    assert watched.at(HOUR) == "nothing"
    assert watched.idle.off_at == 2 * HOUR


def test_a_head_that_moves_by_itself_is_a_print_that_nobody_tells(
    watched: Watched,
) -> None:
    state = watched.printer.at(HOUR - WARNING).state
    assert watched.idle.due(state, HOUR - WARNING)
    state = watched.printer.says(THERE)  # the answer to the question for the place
    assert watched.idle.decide(state, HOUR - WARNING) == "nothing"
    assert watched.idle.off_at == 2 * HOUR - WARNING


def test_a_head_whose_place_is_told_for_the_first_time_has_not_moved() -> None:
    watched = Watched()
    watched.printer.become(replace(watched.printer.state, position=None))
    assert watched.at(0) == "nothing"
    watched.printer.says(THERE)
    assert watched.at(HOUR - WARNING) == "warn"
    watched.printer.become(replace(watched.printer.state, position=None))
    assert watched.at(HOUR - 1) == "nothing"
    watched.printer.says(HERE)
    assert watched.at(HOUR) == "nothing"
    assert watched.idle.off_at == 2 * HOUR


def test_a_print_keeps_them_on_also_while_it_is_paused(watched: Watched) -> None:
    watched.printer.says("SD printing byte 10/100", "SD printing byte 20/100")
    assert watched.at(10) == "nothing"
    assert watched.idle.off_at is None
    watched.printer.says("//action:paused")
    assert watched.at(10 * HOUR) == "nothing"
    watched.printer.says("//action:resumed", "Done printing file")
    assert watched.at(11 * HOUR) == "nothing"
    assert watched.idle.off_at == 12 * HOUR


def test_a_printer_that_waits_for_a_person_would_obey_too_late(
    watched: Watched,
) -> None:
    watched.printer.says("echo:busy: paused for user")
    assert watched.at(HOUR) == "nothing"
    assert watched.idle.off_at is None
    watched.printer.sends("M108")
    assert watched.at(HOUR + 1) == "nothing"
    assert watched.idle.off_at == 2 * HOUR + 1


def test_a_printer_that_is_away_or_has_stopped_is_left_alone(watched: Watched) -> None:
    watched.printer.become(known.disconnected(watched.printer.state, now=0))
    assert watched.at(HOUR) == "nothing"
    assert watched.idle.off_at is None


def reconnects(watched: Watched, now: float, *told: str) -> None:
    """Have the link break at the time of the last look, and be back now."""
    printer = watched.printer.at(now)
    printer.become(known.disconnected(printer.state, now=0))
    printer.become(known.connecting(printer.state))
    printer.says(*told)
    printer.become(known.connected(printer.state, dialect=printer.dialect))
    watched.idle.connected(printer.state, now)


def test_a_link_that_breaks_now_and_then_is_no_use(watched: Watched) -> None:
    for now in range(600, int(HOUR - WARNING), 600):
        assert watched.at(now) == "nothing"
        reconnects(watched, now + 20, HERE, HOT)
        watched.printer.sends("M155 S2")
        assert watched.at(now + 20) == "nothing"
        assert watched.idle.off_at == HOUR
    assert watched.at(HOUR - WARNING) == "warn"
    assert watched.at(HOUR - 10) == "nothing"
    reconnects(watched, HOUR + 20, HERE, HOT)
    assert watched.at(HOUR + 20) == "nothing"
    assert watched.idle.off_at == HOUR + 20 + AGAIN
    assert watched.at(HOUR + 20 + AGAIN) == "turn_off"


@pytest.mark.parametrize(
    "told",
    [(THERE, HOT), (HERE, "T:210.0 /215.0 B:60.0 /60.0"), (HOT,)],
    ids=["another place", "another target", "no place"],
)
def test_use_while_the_link_was_broken_shows_afterwards(
    watched: Watched, told: tuple[str, ...]
) -> None:
    assert watched.at(HOUR - WARNING) == "warn"
    reconnects(watched, HOUR - 60, *told)
    assert watched.at(HOUR - 60) == "nothing"
    assert watched.idle.off_at == 2 * HOUR - 60


def test_after_a_long_absence_the_time_begins_anew(watched: Watched) -> None:
    assert watched.at(60) == "nothing"
    reconnects(watched, 61 + ABSENCE, HERE, HOT)
    assert watched.at(61 + ABSENCE) == "nothing"
    assert watched.idle.off_at == HOUR + 61 + ABSENCE


def test_a_warning_that_comes_late_still_leaves_time(watched: Watched) -> None:
    assert watched.at(2 * HOUR) == "warn"
    assert watched.idle.off_at == 2 * HOUR + WARNING / 2
    assert watched.at(2 * HOUR + 1) == "nothing"
    assert watched.at(2 * HOUR + WARNING / 2) == "turn_off"


def test_the_time_is_not_told_anew_with_each_command(watched: Watched) -> None:
    told = set()
    for second in range(60):
        watched.printer.sends("G91")
        watched.at(second)
        told.add(watched.idle.off_at)
    assert told == {HOUR}
    watched.printer.sends("G91")
    watched.at(61)
    assert watched.idle.off_at == HOUR + 61


def test_the_time_is_exact_from_the_warning_on(watched: Watched) -> None:
    watched.printer.sends("G91")
    watched.at(50)
    assert watched.at(HOUR - WARNING) == "nothing"
    assert watched.idle.off_at == HOUR + 50
    assert watched.at(HOUR + 50 - WARNING) == "warn"


def test_what_does_not_go_off_is_tried_again(watched: Watched) -> None:
    watched.at(HOUR - WARNING)
    assert watched.at(HOUR) == "turn_off"
    state = watched.printer.sends("M104 S0")
    watched.idle.exclude_own_lines(1)
    assert watched.idle.is_idle(state)
    state = watched.printer.says("T:210.0 /210.0 B:60.0 /0.0")
    assert watched.idle.still_on(state, HOUR) == ("tool0",)
    assert watched.idle.off_at == HOUR + AGAIN
    assert watched.at(HOUR + AGAIN - 1) == "nothing"
    assert watched.at(HOUR + AGAIN) == "turn_off"


def test_who_comes_at_the_last_moment_is_not_taken_for_a_failure(
    watched: Watched,
) -> None:
    watched.at(HOUR - WARNING)
    assert watched.at(HOUR) == "turn_off"
    watched.printer.sends("M104 S0", "M104 S210")
    watched.idle.exclude_own_lines(1)
    assert not watched.idle.is_idle(watched.printer.state)
    assert watched.idle.still_on(watched.printer.state, HOUR) == ()
    assert watched.at(HOUR + 1) == "nothing"
    assert watched.idle.off_at == 2 * HOUR + 1


def test_what_has_gone_meanwhile_needs_no_count() -> None:
    watched = Watched()
    watched.idle.exclude_own_lines(1)
    assert not watched.idle.is_idle(watched.printer.state)


@pytest.mark.parametrize(
    ("heater", "line"),
    [
        ("tool0", "M104 T0 S0"),
        ("tool1", "M104 T1 S0"),
        ("bed", "M140 S0"),
        ("chamber", "M141 S0"),
    ],
)
def test_each_heater_has_its_command_without_its_offset(heater: str, line: str) -> None:
    profile = Profile(extruders=2, heated_chamber=True)
    context = Context(profile=profile, offsets={heater: 5.0})
    assert turn_off(heater).program(context).gcode == (line,)


def test_only_heaters_with_a_target_are_on() -> None:
    printer = Knowing(profile=Profile(extruders=3))
    printer.says("T0:210.0 /210.0 T1:200.0 /0.0 B:20.0 /0.0")
    assert heaters_on(printer.state) == ("tool0",)


HAPPENS = st.sampled_from(["G91", "M105", HOT, "T:1 /200.0", COLD, HERE, THERE, ""])


@given(st.lists(st.tuples(st.floats(0.1, 20 * MINUTE), HAPPENS), max_size=60))
def test_whatever_happens_nothing_goes_off_unused_and_unwarned(
    story: list[tuple[float, str]],
) -> None:
    watched = Watched()
    now = used = 0.0
    warned: float | None = None
    watched.at(0)
    for pause, what in story:
        now += pause
        before = watched.printer.state
        if what[:1] in {"G", "M"}:
            watched.printer.sends(what)
        else:
            watched.printer.says(what)
        after = watched.printer.state
        on = bool(heaters_on(after))
        touched = what == "G91" or (before.position, targets(before)) != (
            after.position,
            targets(after),
        )
        if touched or not on:
            used, warned = now, None
        match watched.at(now):
            case "warn":
                assert warned is None
                assert now - used >= HOUR - WARNING
                warned = now
            case "turn_off":
                assert warned is not None
                assert now - warned >= WARNING / 2
                assert now - used >= HOUR
            case _:
                late = now - used >= HOUR - WARNING and warned is None
                assert not (on and late)


def targets(state: known.PrinterState) -> list[float | None]:
    return [heater.target for heater in state.heaters.values()]
