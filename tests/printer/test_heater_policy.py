"""When heaters go off and why they are on, told as dialogues."""

import json
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands.base import Context
from bridge.commands.heaters import OwnTargets
from bridge.config import Profile
from bridge.printer.control.heater_control import HeaterRecord
from bridge.printer.control.heater_policy import (
    AGAIN,
    CONTRADICTED,
    RESUMING,
    SETTLING,
    Decision,
    HeaterPolicy,
)
from bridge.printer.control.idle_timeout import (
    SAVED_EVERY,
    WARNING,
    HeaterLimits,
    Hold,
    Memory,
    heaters_on,
    restored,
    worth_saving,
)
from bridge.printer.knowledge import state as known
from tests.support.cases import case
from tests.support.knowing import Knowing

HOUR = 3600.0
MINUTE = 60.0
DAY = 24 * HOUR
HOT, COLD = "T:210.0 /210.0 B:60.0 /60.0", "T:210.0 /0.0 B:60.0 /0.0"
HERE, THERE = "X:1.0 Y:2.0 Z:3.0 E:0.0", "X:1.0 Y:2.5 Z:3.0 E:0.0"
PRINTS = ("SD printing byte 10/100000", "SD printing byte 20/100000")
NOTHING = Decision()
BOTH = ("tool0", "bed")


@dataclass
class Watched:
    """A printer with hot heaters, and the rule that watches them."""

    limits: HeaterLimits = field(default_factory=HeaterLimits)
    printer: Knowing = field(default_factory=Knowing)

    def __post_init__(self) -> None:
        self.rule = HeaterPolicy(self.limits)
        self.printer.says(HERE, HOT)

    def at(self, now: float, **how: bool) -> Decision:
        """Return what is decided then."""
        self.rule.look(self.printer.at(now).state, now, **how)
        return self.rule.decide() if self.rule.due() else NOTHING

    def reason(self) -> str | None:
        """Return why heaters are on."""
        return self.rule.reason

    def off_at(self) -> float | None:
        """Return when the first heater goes off."""
        return self.rule.off_at

    def told(self, now: float, *lines: str, **how: bool) -> Decision:
        """Have the firmware say lines, and return what is decided then."""
        self.printer.at(now).says(*lines)
        return self.at(now, **how)

    def obeys(self, now: float, decision: Decision) -> None:
        """Turn off what was decided, as the control does."""
        for name in decision.off:
            self.printer.at(now).sends("M140 S0" if name == "bed" else "M104 S0")
        self.rule.turned_off(self.printer.state, now)

    def again(self, now: float, *told: str) -> None:
        """Restart the bridge: what it remembers comes from its file."""
        self.rule = HeaterPolicy(self.limits, self.rule.memory)
        self.printer.at(now)
        self.printer.become(known.disconnected(self.printer.state, now=now))
        self.printer.become(known.connecting(self.printer.state))
        self.printer.says(*told)
        self.printer.become(
            known.connected(self.printer.state, dialect=self.printer.dialect)
        )
        self.rule.connected(now)


@pytest.fixture
def watched() -> Watched:
    watched = Watched()
    assert watched.at(0) == NOTHING
    return watched


def paused(watched: Watched | None = None) -> Watched:
    """Return a print that has just been paused, at 0."""
    watched = watched or Watched()
    watched.told(-60, *PRINTS)
    assert watched.reason() == "print"
    watched.told(-1)
    assert watched.told(0, "//action:paused") == NOTHING
    assert watched.reason() == "pause"
    return watched


def test_they_go_off_after_a_warning(watched: Watched) -> None:
    assert watched.off_at() == HOUR
    assert watched.reason() == "use"
    assert watched.at(HOUR - WARNING - 1) == NOTHING
    assert watched.at(HOUR - WARNING) == Decision(warn=BOTH)
    assert watched.at(HOUR - 1) == NOTHING
    assert watched.off_at() == HOUR
    assert watched.at(HOUR) == Decision(off=dict.fromkeys(BOTH, "idle"))
    assert watched.reason() == "none"
    assert watched.rule.still_due("bed")


def test_a_short_time_has_a_short_warning() -> None:
    watched = Watched(HeaterLimits(idle=4))
    decided = [watched.at(now) for now in (0, 2.9, 3, 4)]
    assert [bool(x) for x in decided] == [False, False, True, True]
    assert decided[2].warn == BOTH
    assert tuple(decided[3].off) == BOTH


def test_zero_is_never() -> None:
    watched = Watched(HeaterLimits(idle=0, pause_nozzle=0, pause_other=0))
    for now, lines in enumerate(((), PRINTS, ("//action:paused",))):
        watched.told(now, *lines)
        assert watched.at(100 * HOUR + now) == NOTHING
        assert watched.off_at() is None
    watched.rule.connected(200 * HOUR)
    assert watched.at(200 * HOUR) == NOTHING


def test_cold_heaters_need_no_reason(watched: Watched) -> None:
    assert watched.told(HOUR, COLD) == NOTHING
    assert (watched.off_at(), watched.reason()) == (None, None)
    assert watched.told(HOUR + 1, HOT) == NOTHING
    assert watched.off_at() == 2 * HOUR + 1


def test_a_command_starts_the_time_again(watched: Watched) -> None:
    assert watched.at(HOUR - WARNING).warn == BOTH
    watched.rule.touch(HOUR - 1)
    assert watched.at(HOUR - 1) == NOTHING
    assert watched.off_at() == 2 * HOUR - 1
    assert watched.at(HOUR) == NOTHING
    assert watched.at(2 * HOUR - 1 - WARNING).warn == BOTH


@pytest.mark.parametrize("line", ["M105", "M114", "M27", "M115", "M503", "M155 S2"])
def test_a_query_is_no_use(watched: Watched, line: str) -> None:
    for now in range(0, int(HOUR - WARNING), 60):
        watched.printer.begins(line)
        assert watched.at(now, busy=True) == NOTHING
        watched.printer.sends(line)
    assert watched.at(HOUR - WARNING).warn == BOTH


def test_a_command_that_lasts_is_use_to_its_end(watched: Watched) -> None:
    watched.printer.begins("M190 S60")
    for now in (1, HOUR, 2 * HOUR):
        assert watched.at(now, busy=True) == NOTHING
    watched.printer.sends("M105")
    assert watched.at(3 * HOUR - WARNING - 1) == NOTHING
    assert watched.at(3 * HOUR - WARNING).warn == BOTH


def test_what_the_bridge_does_itself_is_no_use(watched: Watched) -> None:
    watched.printer.begins("G28")
    assert watched.at(HOUR / 2, busy=True, own=True) == NOTHING
    watched.told(HOUR / 2 + 1, THERE, "T:200 /215.0 B:60 /60", own=True)
    assert watched.at(HOUR - WARNING).warn == BOTH


def test_what_the_bridge_itself_turns_on_has_the_full_time() -> None:
    """Such as a script that preheats whenever the printer is connected."""
    watched = Watched()
    assert watched.told(0, COLD) == NOTHING
    assert watched.told(100, HOT, own=True) == NOTHING
    assert watched.off_at() == HOUR + 100


@pytest.mark.parametrize(
    ("told", "used"),
    [
        ("T:210.0 /210.0 B:60.0 /65.0", True),
        ("T:210.0 /211.0 B:60.0 /60.0", True),
        ("T:210.0 /210.0 B:60.0 /60.01", False),
        ("T:210.0 /209.9 B:60.0 /60.0", False),
        ("T:210.0 /0.0 B:60.0 /60.0", False),
        ("T:190.0 /210.0 B:55.0 /60.0", False),
    ],
    ids=["bed", "nozzle", "60.01", "209.9", "off", "no target"],
)
def test_another_target_is_a_person_at_the_panel(
    watched: Watched, told: str, *, used: bool
) -> None:
    """Off is no use: nothing else needs to be on for it."""
    assert watched.told(HOUR / 2, told) == NOTHING
    assert watched.off_at() == (1.5 * HOUR if used else HOUR)


@pytest.mark.parametrize(
    ("told", "used"),
    [
        (THERE, True),
        ("X:1.0 Y:2.0 Z:3.0 E:5.0", True),
        ("X:1.01 Y:1.99 Z:3.01 E:0.0", False),
        ("X:1.04 Y:2.0 Z:3.0 E:0.0", False),
        ("X:1.06 Y:2.0 Z:3.0 E:0.0", True),
        ("X:1.0 Y:2.0 Z:3.0", False),
    ],
    ids=["moved", "extruded", "trembles", "within", "beyond", "no extruder"],
)
def test_a_head_that_moves_is_a_print_that_is_not_reported(
    watched: Watched, told: str, *, used: bool
) -> None:
    assert watched.told(HOUR / 2, told) == NOTHING
    assert watched.off_at() == (1.5 * HOUR if used else HOUR)


def test_a_position_and_a_target_that_tremble_keep_nothing_on(watched: Watched) -> None:
    for now in range(0, int(HOUR - WARNING), 2):
        digit = now // 2 % 2
        place = f"X:1.0{digit} Y:2.0{digit} Z:3.00 E:0.00"
        assert watched.told(now, place, f"T:210 /210 B:60 /60.0{digit}") == NOTHING
    assert watched.at(HOUR - WARNING).warn == BOTH


def test_a_position_that_creeps_is_use_in_the_end(watched: Watched) -> None:
    for step in range(20):
        watched.told(60 + step, f"X:{1 + step / 100:.2f} Y:2.0 Z:3.0 E:0.0")
    assert (watched.off_at() or 0.0) > HOUR + 60


def test_a_first_position_or_none_shows_no_move() -> None:
    watched = Watched()
    watched.printer.become(replace(watched.printer.state, position=None))
    assert watched.at(0) == NOTHING
    assert watched.told(10, THERE) == NOTHING
    watched.printer.become(replace(watched.printer.state, position=None))
    assert watched.at(20) == NOTHING
    assert watched.off_at() == HOUR
    assert watched.told(1000, HERE) == NOTHING
    assert watched.off_at() == HOUR + 1000, "known from before it was lost"


def test_a_printer_that_waits_for_a_person_gets_one(watched: Watched) -> None:
    assert watched.told(HOUR - WARNING, "echo:busy: paused for user").warn == BOTH
    assert tuple(watched.at(HOUR).off) == BOTH, "said, though it would not obey"
    watched.printer.become(known.answered(watched.printer.state))
    assert watched.at(HOUR + 1) == NOTHING
    assert watched.off_at() == 2 * HOUR + 1


def test_a_print_keeps_them_on(watched: Watched) -> None:
    watched.told(0, *PRINTS)
    for now in range(0, int(10 * HOUR), 60):
        assert watched.at(now) == NOTHING
    assert (watched.off_at(), watched.reason()) == (None, "print")
    assert watched.told(10 * HOUR, "Done printing file") == NOTHING
    assert watched.at(10 * HOUR + 1) == NOTHING
    assert 11 * HOUR - 61 <= (watched.off_at() or 0.0) <= 11 * HOUR + 1


def test_a_pause_cools_the_nozzle_and_much_later_the_bed() -> None:
    watched = paused()
    assert watched.off_at() == 30 * MINUTE - 1
    assert watched.at(25 * MINUTE).warn == ("tool0",)
    decision = watched.at(30 * MINUTE)
    assert decision == Decision(off={"tool0": "pause"})
    watched.obeys(30 * MINUTE, decision)
    assert watched.at(30 * MINUTE + 1) == NOTHING
    assert watched.rule.memory.restore == {"tool0": 210}
    assert watched.reason() == "pause"
    assert watched.at(12 * HOUR - WARNING).warn == ("bed",)
    decision = watched.at(12 * HOUR)
    assert decision == Decision(off={"bed": "pause"})
    watched.obeys(12 * HOUR, decision)
    assert watched.at(12 * HOUR + 1) == NOTHING
    assert watched.rule.memory.restore == {"tool0": 210, "bed": 60}
    assert (watched.off_at(), watched.reason()) == (None, None)
    assert watched.at(5 * DAY) == NOTHING


def test_use_in_a_pause_starts_its_time_again() -> None:
    watched = paused()
    assert watched.at(25 * MINUTE).warn == ("tool0",)
    assert watched.told(29 * MINUTE, THERE) == NOTHING, "somebody changes filament"
    assert watched.at(30 * MINUTE) == NOTHING
    assert watched.off_at() == 59 * MINUTE


def test_a_resume_from_here_has_heated_already() -> None:
    watched = paused()
    watched.at(25 * MINUTE)
    watched.obeys(30 * MINUTE, watched.at(30 * MINUTE))
    watched.printer.sends("M104 S210", "M109 S210", "M24")
    assert watched.at(HOUR) == NOTHING
    assert watched.rule.memory.restore == {}
    assert watched.at(HOUR + 10 * RESUMING) == NOTHING


@pytest.mark.parametrize("said", ["//action:resumed", "//action:resume"])
def test_a_resume_at_the_panel_is_heated_for(said: str) -> None:
    watched = paused()
    watched.at(25 * MINUTE)
    watched.obeys(30 * MINUTE, watched.at(30 * MINUTE))
    assert watched.told(HOUR, said) == NOTHING, "the firmware may do it"
    assert watched.at(HOUR + RESUMING) == Decision(reheat={"tool0": 210})
    watched.printer.sends("M25", "M104 S210")
    assert watched.at(HOUR + 10) == NOTHING
    assert watched.rule.memory.restore == {}


def test_a_firmware_that_restores_the_target_itself_is_left_alone() -> None:
    watched = paused()
    watched.at(25 * MINUTE)
    watched.obeys(30 * MINUTE, watched.at(30 * MINUTE))
    assert watched.told(HOUR, "//action:resumed") == NOTHING
    assert watched.told(HOUR + 1, HOT) == NOTHING
    assert watched.at(HOUR + 10 * RESUMING) == NOTHING


def test_what_a_firmware_turns_off_in_a_pause_is_needed_on_resume() -> None:
    """Klipper's idle_timeout and Marlin's nozzle timeout do so."""
    watched = paused()
    assert watched.told(10 * MINUTE, COLD) == NOTHING
    assert watched.rule.memory.restore == {"tool0": 210, "bed": 60}


@pytest.mark.parametrize("looked", [False, True])
def test_what_a_client_turns_off_in_a_pause_is_needed_on_resume(
    *, looked: bool
) -> None:
    """A print that goes on with a cold nozzle is lost, and nobody is told."""
    watched = paused()
    watched.printer.sends("M104 S0", "M140 S0")
    if looked:  # before the command has ended
        assert watched.at(10) == NOTHING
    watched.rule.commanded(dict.fromkeys(BOTH, 0), 10, None)
    assert watched.at(11) == NOTHING
    assert watched.rule.memory.restore == {"tool0": 210, "bed": 60}
    assert watched.at(10 * MINUTE) == NOTHING, "it stays off in the pause"
    watched.rule.commanded({"tool0": 0}, 10 * MINUTE, None)
    assert watched.rule.memory.restore == {"tool0": 210, "bed": 60}
    watched.printer.sends("M104 S230")
    watched.rule.commanded({"tool0": 230}, 11 * MINUTE, None)
    assert watched.rule.memory.restore == {"bed": 60}
    assert watched.told(HOUR, "//action:resumed") == NOTHING
    assert watched.at(HOUR + RESUMING).reheat == {"bed": 60}


def test_what_a_client_turns_off_in_a_print_stays_off() -> None:
    watched = paused()
    watched.told(1, "//action:resumed")
    watched.printer.sends("M140 S0")
    watched.rule.commanded({"bed": 0}, 10, None)
    assert watched.at(11) == NOTHING
    assert watched.rule.memory.restore == {}
    assert watched.at(HOUR) == NOTHING


def test_another_target_in_the_pause_replaces_the_one_to_restore() -> None:
    watched = paused()
    watched.at(25 * MINUTE)
    watched.obeys(30 * MINUTE, watched.at(30 * MINUTE))
    watched.printer.sends("M104 S230")
    watched.rule.commanded({"tool0": 230}, HOUR, None)
    watched.rule.touch(HOUR)
    assert watched.at(HOUR) == NOTHING
    assert watched.rule.memory.restore == {}
    assert watched.told(HOUR + 60, "//action:resumed") == NOTHING
    assert watched.at(HOUR + 90) == NOTHING


def test_nothing_is_restored_for_a_print_that_has_ended() -> None:
    watched = paused()
    watched.at(25 * MINUTE)
    watched.obeys(30 * MINUTE, watched.at(30 * MINUTE))
    watched.printer.sends("M524")
    watched.told(HOUR, *["Not SD printing"] * 3)
    assert watched.at(HOUR + 1) == NOTHING
    assert watched.rule.memory.restore == {}


# Over connections and restarts


def test_a_link_that_breaks_now_and_then_is_no_use(watched: Watched) -> None:
    for now in range(600, int(HOUR - WARNING), 600):
        assert watched.at(now) == NOTHING
        watched.again(now + 20, HERE, HOT)
        watched.printer.sends("M155 S2")
        assert watched.at(now + 20) == NOTHING
        assert watched.off_at() == HOUR
    assert watched.at(HOUR - WARNING).warn == BOTH
    watched.again(HOUR + 20, HERE, HOT)
    assert watched.at(HOUR + 20) == NOTHING
    assert watched.off_at() == HOUR + 20 + SETTLING
    assert tuple(watched.at(HOUR + 20 + SETTLING).off) == BOTH


@pytest.mark.parametrize(
    ("told", "used"),
    [
        ((THERE, HOT), True),
        ((HERE, "T:210.0 /215.0 B:60.0 /60.0"), True),
        ((HERE, HOT), False),
        ((HOT,), False),
        (("X:1.01 Y:2.0 Z:3.0 E:0.0", HOT), False),
    ],
    ids=["another place", "another target", "same", "no place", "trembles"],
)
@pytest.mark.parametrize("absence", [30.0, 20 * HOUR])
def test_use_in_an_absence_shows_afterwards(
    watched: Watched, told: tuple[str, ...], absence: float, *, used: bool
) -> None:
    """However long it was: a printer that was left alone was left alone."""
    now = HOUR - 2 * WARNING + absence
    assert watched.at(HOUR - 2 * WARNING) == NOTHING
    watched.again(now, *told)
    watched.at(now)
    assert (watched.rule.memory.used == now) == used


def test_a_deadline_in_an_absence_still_has_a_warning(watched: Watched) -> None:
    watched.again(5 * HOUR, HERE, HOT)
    assert watched.at(5 * HOUR) == NOTHING
    assert watched.at(5 * HOUR + SETTLING).warn == BOTH
    assert watched.off_at() == 5 * HOUR + SETTLING + WARNING / 2
    watched.again(5 * HOUR + 60, HERE, HOT)
    assert watched.at(5 * HOUR + 60 + SETTLING) == NOTHING, "it was warned before"
    assert tuple(watched.at(5 * HOUR + SETTLING + WARNING / 2).off) == BOTH


def test_a_bridge_that_crashes_all_the_time_still_turns_them_off() -> None:
    watched = Watched()
    watched.at(0)
    off: list[float] = []
    for start in range(20, int(2 * HOUR), 20):
        watched.again(start, HERE, HOT)
        off += [now for now in range(start, start + 15) if watched.at(now).off]
    assert off
    assert off[0] <= HOUR + 20 + SETTLING


def test_a_printer_that_is_away_is_left_alone(watched: Watched) -> None:
    watched.printer.become(known.disconnected(watched.printer.state, now=0))
    assert watched.at(2 * HOUR) == NOTHING
    assert (watched.off_at(), watched.reason()) == (None, None)


def test_a_clock_that_was_set_back_prolongs_nothing() -> None:
    memory = Memory(
        used=1000,
        warned={"bed": 990},
        holds={"bed": Hold(60, 1500)},
        alone=900,
        targets={"bed": 60},
    )
    assert restored(memory, 1100, 1200) is memory
    back = restored(memory, 1100, 100)
    assert (back.used, back.warned, back.alone) == (0, {"bed": -10}, -100)
    assert back.holds == {"bed": Hold(60, 500)}
    assert restored(Memory(), 1100, 100) == Memory()


def test_everything_that_is_remembered_is_in_the_state_file() -> None:
    memory = Memory(
        used=1.0,
        targets={"tool0": 200.0},
        place=(1.0, 2.0, 3.0, 4.0),
        warned={"bed": 2.0},
        holds={"bed": Hold(60.0, 9.0)},
        restore={"tool0": 210.0},
        rewarm=("tool0",),
        owed=True,
        alone=3.0,
    )
    for name in (f.name for f in fields(Memory)):
        assert getattr(memory, name) != getattr(Memory(), name), name
    record = HeaterRecord.of(memory, 5.0).model_dump_json()
    assert HeaterRecord.model_validate_json(record).memory(5.0) == memory
    # And all of it follows a clock that was set back.
    back = HeaterRecord.model_validate_json(record).memory(4.0)
    assert (back.used, back.warned, back.alone) == (0.0, {"bed": 1.0}, 2.0)
    assert back.holds == {"bed": Hold(60.0, 8.0)}


def test_not_every_move_is_written_to_the_disk() -> None:
    memory = Memory(used=100, place=(1, 2, 3, 4), targets={"bed": 60})
    assert not worth_saving(memory, replace(memory, used=130, place=(9, 2, 3, 4)))
    assert worth_saving(memory, replace(memory, used=100 + SAVED_EVERY))
    assert worth_saving(memory, replace(memory, used=None))
    assert worth_saving(memory, replace(memory, targets={"bed": 70}))
    assert worth_saving(memory, replace(memory, used=100, targets={}))
    assert not worth_saving(Memory(), Memory(place=(1, 2, 3, 4)))


def test_the_use_of_a_cold_printer_is_not_worth_a_write() -> None:
    cold = Memory(used=100)
    for used in (None, 100.1, 100 + 2 * SAVED_EVERY):
        assert not worth_saving(cold, replace(cold, used=used))
        assert not worth_saving(replace(cold, used=used), cold)
    paused = Memory(used=100, restore={"tool0": 200})
    assert worth_saving(paused, replace(paused, used=None))
    assert worth_saving(paused, replace(paused, used=100 + SAVED_EVERY))


def test_what_went_off_with_the_bridge_in_a_pause_is_on_again_with_it() -> None:
    watched = paused()
    watched.at(60)
    watched.printer.sends("M104 S0", "M140 S0")
    watched.rule.leaving(BOTH)
    assert watched.rule.memory.rewarm == BOTH
    watched.again(90, HERE, COLD)
    watched.printer.says("SD print paused")
    assert watched.at(91) == Decision(set={"tool0": 210, "bed": 60})
    watched.printer.sends("M104 S210", "M140 S60")
    assert watched.at(92, own=True) == NOTHING
    assert not watched.rule.memory.rewarm


def test_a_printer_that_was_switched_off_meanwhile_does_not_heat_up() -> None:
    """With the bridge, or alone: its print is gone, and a person may be there."""
    watched = paused()
    watched.at(60)
    watched.printer.sends("M104 S0", "M140 S0")
    watched.rule.leaving(BOTH)
    watched.again(90, HERE, COLD)
    for now in (91, 92, 93, 94):
        assert watched.told(now, "Not SD printing") == NOTHING
    assert watched.at(90 + SETTLING) == NOTHING
    assert watched.rule.memory.restore == {}

    watched = paused()
    watched.printer.sends("M104 S0")
    watched.rule.commanded({"tool0": 0}, 10, None)
    assert watched.told(20, "//action:resumed") == NOTHING
    watched.again(22, HERE, COLD)
    assert watched.at(22 + RESUMING) == NOTHING
    assert watched.told(22 + 2 * RESUMING, *["Not SD printing"] * 3) == NOTHING
    assert watched.at(22 + 3 * RESUMING) == NOTHING


@pytest.mark.parametrize("by", ["the printer's panel", "a client", "the time limit"])
def test_only_what_went_off_with_the_bridge_is_on_again_with_it(by: str) -> None:
    """Somebody has turned off the nozzle before, and may have a hand on it."""
    watched, now = paused(), 60.0
    watched.at(now)
    match by:
        case "the printer's panel":
            watched.told(now, COLD.replace("60.0 /0.0", "60.0 /60.0"))
        case "a client":
            watched.printer.sends("M104 S0")
            watched.rule.commanded({"tool0": 0}, now, None)
            watched.rule.touch(now)
        case _:
            watched.at(25 * MINUTE)
            now = 30 * MINUTE
            watched.obeys(now, watched.at(now))
            watched.told(now + 1, THERE)  # the head is moved, which is use
    watched.at(now + 2)
    watched.printer.sends("M140 S0")
    watched.rule.leaving(("bed",))
    watched.again(now + 30, HERE, COLD)
    watched.printer.says("SD print paused")
    assert watched.at(now + 31) == Decision(set={"bed": 60})
    watched.printer.sends("M140 S60")
    assert watched.at(now + 32, own=True) == NOTHING
    assert watched.told(now + 60, "//action:resumed") == NOTHING
    assert watched.at(now + 60 + RESUMING).reheat == {"tool0": 210}


def test_the_file_of_an_earlier_version_says_whether_all_is_set_again() -> None:
    for kept, wanted in ((True, ("tool0",)), (False, ())):
        record = HeaterRecord(saved_at=0, restore={"tool0": 210}, rewarm=kept)
        assert record.memory(1).rewarm == wanted


@pytest.mark.parametrize("names", [(), ("bed",), ("bed", "tool0")])
def test_earlier_versions_can_read_the_file(names: tuple[str, ...]) -> None:
    record = HeaterRecord.of(Memory(restore={"tool0": 210}, rewarm=names), 5.0)
    document = json.loads(record.model_dump_json())
    assert document["rewarm"] is bool(names), "all that they know"
    assert HeaterRecord.model_validate(document).memory(5.0).rewarm == names


CHAMBER = f"{HOT} C:30.0 /"


def with_chamber() -> Watched:
    return Watched(printer=Knowing(profile=Profile(heated_chamber=True)))


def test_what_the_print_did_not_have_is_not_on_after_the_pause() -> None:
    watched = paused(with_chamber())
    watched.rule.commanded({"chamber": 45}, 5, None)
    watched.told(6, CHAMBER + "45.0")
    watched.rule.commanded({"chamber": 0}, 10, None)
    watched.told(11, CHAMBER + "0.0")
    assert watched.rule.memory.restore == {}

    watched.told(20, CHAMBER + "45.0")  # at its panel
    watched.told(30, CHAMBER + "0.0")
    assert watched.rule.memory.restore == {}

    watched.told(40, CHAMBER + "45.0")
    watched.rule.leaving(("chamber", *BOTH))
    assert watched.rule.memory.rewarm == ("chamber", *BOTH), "as it was"


def test_what_the_print_had_when_it_was_paused_is_on_after_the_pause() -> None:
    watched = with_chamber()
    watched.told(-60, CHAMBER + "45.0", *PRINTS)
    watched.told(0, "//action:paused")
    watched.rule.commanded({"chamber": 0}, 10, None)
    watched.told(11, CHAMBER + "0.0")
    assert watched.rule.memory.restore == {"chamber": 45}
    watched.again(20, HERE, CHAMBER + "0.0", "SD print paused")
    watched.at(20)
    assert watched.rule.memory.restore == {"chamber": 45}, "over a restart"


def test_after_a_pause_that_has_taken_too_long_it_waits_for_the_resume() -> None:
    watched = paused()
    watched.printer.sends("M104 S0", "M140 S0")
    watched.rule.leaving(BOTH)
    watched.again(2 * HOUR, HERE, COLD)
    watched.printer.says("SD print paused")
    assert watched.at(2 * HOUR) == Decision(set={"bed": 60})
    watched.printer.sends("M140 S60")
    assert watched.at(2 * HOUR + 60, own=True) == NOTHING
    assert watched.told(3 * HOUR, "//action:resumed") == NOTHING
    assert watched.at(3 * HOUR + RESUMING).reheat == {"tool0": 210}


def test_what_went_off_with_the_bridge_without_a_print_stays_off(
    watched: Watched,
) -> None:
    watched.rule.leaving(BOTH)
    assert not watched.rule.memory.rewarm
    assert watched.rule.memory.restore == {}


def test_what_the_bridge_could_not_turn_off_at_its_end_goes_off_when_it_is_back(
    watched: Watched,
) -> None:
    watched.rule.owe()
    watched.again(30, HERE, HOT)
    assert watched.at(30 + SETTLING - 1) == NOTHING, "a print would show by then"
    assert watched.reason() == "use"
    end = watched.at(30 + SETTLING)
    assert end.off == {"tool0": "exit", "bed": "exit"}
    watched.obeys(30 + SETTLING, end)
    assert not watched.rule.memory.owed
    # Who heats again has the full time.
    watched.printer.at(60).sends("M140 S60")
    assert watched.at(60) == NOTHING
    assert watched.off_at() == 60 + HOUR


def test_nothing_of_that_goes_off_for_which_there_is_a_reason() -> None:
    uses: dict[str, tuple[str, ...]] = {
        "the head was moved": (THERE, HOT),
        "another target was set": (HERE, "T:210.0 /200.0 B:60.0 /60.0"),
        "a print runs": (HERE, HOT, *PRINTS),
        "it was turned off by somebody": (HERE, COLD),
    }
    for use, told in uses.items():
        with case(use):
            watched = Watched()
            watched.at(0)
            watched.rule.owe()
            watched.again(30, *told)
            assert watched.at(30 + SETTLING) == NOTHING
            assert not watched.rule.memory.owed
    watched = Watched()
    watched.at(0)
    watched.rule.owe()
    watched.again(30, HERE, HOT)
    watched.rule.touch(31)  # a command
    assert watched.at(30 + SETTLING) == NOTHING


def test_a_lease_and_a_pause_go_on_where_the_bridge_ended() -> None:
    watched = leased()
    watched.rule.owe()
    watched.again(30, HERE, "T:20 /0 B:20 /60")
    assert watched.at(30 + SETTLING) == NOTHING
    assert watched.reason() == "hold"
    watched = paused()
    watched.rule.owe()
    assert not watched.rule.memory.owed


def test_a_print_of_ours_that_broke_off_leaves_nothing_hot(watched: Watched) -> None:
    """The nozzle stands in the part, wherever the head was seen last."""
    watched.rule.print_broke_off()
    watched.again(60, THERE, HOT)
    assert watched.at(61) == NOTHING
    decision = watched.at(60 + SETTLING)
    assert decision.off == {"tool0": "exit", "bed": "exit"}
    watched.obeys(60 + SETTLING, decision)
    assert watched.at(61 + SETTLING) == NOTHING

    watched = Watched()
    watched.rule.print_broke_off()
    watched.again(60, THERE, HOT)
    watched.at(61)
    watched.rule.touch(62)  # somebody looks after it
    assert watched.at(60 + 2 * SETTLING) == NOTHING


def test_half_a_degree_is_the_same_target_and_adds_up_to_another(
    watched: Watched,
) -> None:
    watched.told(100, "T:210.0 /210.0 B:60.0 /60.5")
    assert watched.rule.memory.used == 0
    watched.told(200, "T:210.0 /210.0 B:60.0 /61.0")
    assert watched.rule.memory.used == 200


def test_a_lease_is_followed_all_the_time() -> None:
    """A report that contradicts it has to last, which no change of the state shows."""
    watched = leased()
    watched.at(5)
    assert watched.rule.next_look() == 5


# Leases


def leased(hold: float = 600.0) -> Watched:
    """Return a printer whose bed is held since 0."""
    watched = Watched()
    watched.told(0, "T:20 /0 B:20 /0")
    watched.printer.sends("M140 S60")
    watched.rule.commanded({"bed": 60}, 0, hold)
    assert watched.at(0, own=True) == NOTHING
    assert (watched.off_at(), watched.reason()) == (hold, "hold")
    return watched


def test_a_lease_ends_without_a_warning() -> None:
    watched = leased()
    assert watched.at(599) == NOTHING
    assert watched.at(600) == Decision(off={"bed": "hold"})


def test_an_old_report_makes_no_use_of_a_lease() -> None:
    """The report crosses the command; the nozzle must not stay on because of that."""
    watched = Watched()
    watched.printer.says("T:210.0 /210.0 B:20.0 /0.0")
    watched.at(0)
    used = watched.rule.memory.used
    watched.rule.commanded({"bed": 60.0}, 100, 600)
    for now, bed in ((101, 0), (103, 60), (105, 60)):
        watched.printer.says(f"T:210.0 /210.0 B:20.0 /{bed}")
        watched.at(now)
    assert watched.rule.memory.used == used
    assert watched.reason() == "hold"
    watched.printer.says("T:210.0 /210.0 B:20.0 /70")
    watched.at(107)
    assert watched.rule.memory.used == 107, "a person at the panel"


def test_a_lease_outlasts_the_idle_timeout() -> None:
    watched = leased(3 * HOUR)
    assert watched.at(3 * HOUR - 1) == NOTHING
    assert watched.at(3 * HOUR) == Decision(off={"bed": "hold"})


def test_a_lease_can_be_renewed() -> None:
    watched = leased()
    watched.rule.commanded({"bed": 60}, 500, 600)
    assert watched.at(600) == NOTHING
    assert watched.at(1100) == Decision(off={"bed": "hold"})


def test_a_lease_ends_even_if_somebody_uses_the_printer() -> None:
    watched = leased()
    watched.rule.touch(599)
    assert watched.at(600) == Decision(off={"bed": "hold"})


def test_a_lease_keeps_only_its_own_heater_on() -> None:
    watched = Watched()
    watched.at(0)
    watched.rule.commanded({"bed": 60}, 10, 3 * HOUR)
    assert watched.at(HOUR - WARNING).warn == ("tool0",)
    assert watched.at(HOUR) == Decision(off={"tool0": "idle"})


@pytest.mark.parametrize("target", [60.0, 70.0, 0.0])
def test_a_command_without_a_lease_ends_it(target: float) -> None:
    watched = leased()
    watched.printer.sends(f"M140 S{target:g}")
    watched.rule.commanded({"bed": target}, 500, None)
    watched.rule.touch(500)
    assert watched.at(600) == NOTHING
    assert watched.rule.memory.holds == {}


def test_another_target_at_the_panel_ends_it() -> None:
    watched = leased()
    assert watched.told(100, "T:20 /0 B:60 /80.0") == NOTHING
    assert watched.at(100 + CONTRADICTED) == NOTHING
    assert watched.rule.memory.holds == {}
    assert watched.off_at() == 100 + HOUR


@pytest.mark.parametrize("told", ["B:20 /0 T:20 /0", "B:20 /60.01 T:20 /0"])
def test_an_old_report_does_not_end_it(told: str) -> None:
    watched = leased()
    assert watched.told(1, told) == NOTHING
    assert watched.told(3, "B:20 /60 T:20 /0") == NOTHING
    assert watched.at(600) == Decision(off={"bed": "hold"})


def test_a_lease_of_nothing_is_none() -> None:
    watched = leased()
    watched.rule.commanded({"bed": 0}, 10, 600)
    assert watched.rule.memory.holds == {}


def test_a_print_takes_over_what_a_lease_holds() -> None:
    watched = leased()
    assert watched.told(100, *PRINTS) == NOTHING
    assert watched.at(700) == NOTHING
    assert watched.reason() == "print"
    assert watched.rule.memory.holds == {}


def test_a_lease_that_is_longer_than_a_pause_holds() -> None:
    watched = paused()
    watched.rule.commanded({"tool0": 210}, 0, 2 * HOUR)
    assert watched.at(HOUR) == NOTHING
    assert watched.off_at() == 2 * HOUR
    assert watched.at(2 * HOUR).warn == ("tool0",), "the pause is already too long"


def test_a_lease_that_ended_in_an_absence_ends_at_once() -> None:
    watched = leased()
    watched.again(5 * HOUR, HERE, "T:20 /0 B:60 /60")
    assert watched.at(5 * HOUR) == NOTHING
    assert watched.at(5 * HOUR + SETTLING) == Decision(off={"bed": "hold"})


# The broker


def test_without_the_broker_they_go_off_earlier() -> None:
    watched = Watched(HeaterLimits(broker=10 * MINUTE))
    assert watched.at(0) == NOTHING
    assert watched.at(100, broker=False) == NOTHING
    assert watched.off_at() == 100 + 10 * MINUTE
    assert watched.at(100 + 10 * MINUTE, broker=False) == Decision(
        off=dict.fromkeys(BOTH, "broker")
    )


def test_without_the_broker_they_go_off_no_later_than_with_it() -> None:
    watched = Watched(HeaterLimits(broker=10 * MINUTE))
    assert watched.at(0) == NOTHING
    assert watched.at(HOUR - 2 * MINUTE, broker=False).warn == BOTH
    assert watched.off_at() == HOUR + WARNING / 2 - 2 * MINUTE
    decision = watched.at(HOUR + WARNING / 2 - 2 * MINUTE, broker=False)
    assert decision == Decision(off=dict.fromkeys(BOTH, "idle"))


def test_a_broker_that_is_back_in_time_changes_nothing() -> None:
    watched = Watched(HeaterLimits(broker=10 * MINUTE))
    watched.at(0)
    watched.at(100, broker=False)
    assert watched.at(690) == NOTHING
    assert watched.at(700, broker=False) == NOTHING
    assert watched.at(701, broker=False) == NOTHING


@pytest.mark.parametrize("use", ["print", "hold", "panel", "keep"])
def test_without_the_broker_what_is_in_use_stays_on(use: str) -> None:
    watched = Watched(HeaterLimits(broker=None if use == "keep" else 10 * MINUTE))
    watched.at(0)
    watched.at(1, broker=False)
    if use == "hold":
        watched.rule.commanded({"bed": 60, "tool0": 210}, 2, HOUR)
    for now in range(2, 700):
        if use == "print" and now == 2:
            watched.printer.at(now).says(*PRINTS)
        elif use == "panel":
            watched.printer.at(now).says(f"X:{now} Y:2 Z:3 E:0")
        assert watched.at(now, broker=False) == NOTHING


def test_the_time_without_the_broker_goes_on_over_restarts() -> None:
    watched = Watched(HeaterLimits(broker=10 * MINUTE))
    watched.at(0)
    for start in range(100, 700, 60):
        watched.again(start, HERE, HOT)
        assert watched.at(start, broker=False) == NOTHING
    assert tuple(watched.at(700 + SETTLING, broker=False).off) == BOTH


# What is published, and what does not obey


def test_a_warning_that_comes_late_still_leaves_time(watched: Watched) -> None:
    assert watched.at(2 * HOUR).warn == BOTH
    assert watched.off_at() == 2 * HOUR + WARNING / 2
    assert watched.at(2 * HOUR + 1) == NOTHING
    assert tuple(watched.at(2 * HOUR + WARNING / 2).off) == BOTH


def test_the_time_does_not_change_with_each_command(watched: Watched) -> None:
    told = set()
    for second in range(60):
        watched.rule.touch(second)
        watched.at(second)
        told.add(watched.off_at())
    assert told == {HOUR}
    watched.rule.touch(61)
    watched.at(61)
    assert watched.off_at() == HOUR + 61


def test_the_time_is_exact_from_the_warning_on(watched: Watched) -> None:
    watched.rule.touch(50)
    watched.at(50)
    assert watched.at(HOUR - WARNING) == NOTHING
    assert watched.at(HOUR + 50 - WARNING).warn == BOTH
    assert watched.off_at() == HOUR + 50


def test_what_does_not_go_off_is_tried_again(watched: Watched) -> None:
    watched.at(HOUR - WARNING)
    watched.at(HOUR)
    state = watched.printer.says("T:210.0 /210.0 B:60.0 /0.0")
    assert watched.rule.turned_off(state, HOUR) == ("tool0",)
    assert watched.at(HOUR + AGAIN - 1) == NOTHING
    assert (watched.off_at(), watched.reason()) == (HOUR + AGAIN, "none")
    assert watched.at(HOUR + AGAIN) == Decision(off={"tool0": "idle"})


def test_who_comes_at_the_last_moment_is_no_failure(watched: Watched) -> None:
    watched.at(HOUR - WARNING)
    assert watched.at(HOUR).off
    watched.rule.touch(HOUR)
    assert not watched.rule.still_due("tool0")
    assert watched.rule.turned_off(watched.printer.state, HOUR) == ()
    assert watched.at(HOUR + 1) == NOTHING


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
    assert OwnTargets(targets={heater: 0.0}).program(context).gcode == (line,)


def test_only_heaters_with_a_target_are_on() -> None:
    printer = Knowing(profile=Profile(extruders=3))
    printer.says("T0:210.0 /210.0 T1:200.0 /0.0 B:20.0 /0.4")
    assert heaters_on(printer.state) == {"tool0": 210}


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
            if what == "G91":
                watched.rule.touch(now)
        else:
            watched.printer.says(what)
        after = watched.printer.state
        on = heaters_on(after)
        was = heaters_on(before)
        changed = any(target != was.get(name) for name, target in on.items())
        moved = before.position != after.position
        if what == "G91" or changed or moved or not on:
            used, warned = now, None
        decision = watched.at(now)
        if decision.warn:
            assert warned is None
            assert now - used >= HOUR - WARNING
            warned = now
        elif decision.off:
            assert warned is not None
            assert now - warned >= WARNING / 2
            assert now - used >= HOUR
        else:
            assert not (on and now - used >= HOUR - WARNING and warned is None)


@given(
    st.lists(st.tuples(st.floats(0.1, 20 * MINUTE), HAPPENS), max_size=30),
    st.floats(0, 0.999),
)
def test_nothing_becomes_due_before_the_next_look(
    story: list[tuple[float, str]], share: float
) -> None:
    watched = Watched(HeaterLimits(broker=2 * HOUR))
    now = 0.0
    watched.at(0)
    for pause, what in story:
        now += pause
        if what[:1] in {"G", "M"}:
            watched.printer.sends(what)
        else:
            watched.printer.says(what)
        watched.at(now, broker=pause < 10 * MINUTE)
        between = now + share * (min(watched.rule.next_look(), now + DAY) - now)
        asleep = deepcopy(watched.rule)
        asleep.look(watched.printer.state, between, broker=pause < 10 * MINUTE)
        if between > now:
            assert not asleep.due()
            assert asleep.reason == watched.reason()


def test_when_the_next_look_is_due(watched: Watched) -> None:
    assert watched.rule.next_look() == HOUR - WARNING
    watched.at(HOUR - WARNING)
    assert watched.rule.next_look() == HOUR
    decision = watched.at(HOUR)
    watched.rule.turned_off(watched.printer.state, HOUR)  # they stayed on
    assert decision.off
    assert watched.rule.next_look() <= HOUR + AGAIN
    watched.told(HOUR + 1, COLD)
    assert watched.rule.next_look() == float("inf")
    print_runs = paused()
    print_runs.told(1)
    assert print_runs.rule.next_look() == 1  # several times a second
