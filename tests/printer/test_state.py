"""What is known of a printer after it was told something, and said something."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Profile
from bridge.gcode.dialects import DIALECTS, KLIPPER, MARLIN, Dialect
from bridge.gcode.file_list import Listing
from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import FileEntry, PositionReport
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.model import UserPrompt
from bridge.printer.knowledge.state import (
    HeaterState,
    PrinterState,
    Problem,
)
from tests.support.knowing import Knowing

REPORTS_TARGETS = Dialect(name="reports-targets", repetier_targets=True)
CARD_ASSUMED = Dialect(name="card-assumed", card_always_present=True)
UNKNOWN_HEATERS = {"tool0": HeaterState(), "bed": HeaterState()}


@pytest.fixture
def printer() -> Knowing:
    return Knowing()


@pytest.fixture
def klipper() -> Knowing:
    return Knowing(dialect=KLIPPER)


def problem(state: PrinterState) -> Problem:
    assert state.problem is not None
    return state.problem


def phase(printer: Knowing) -> str:
    return printer.state.phase


def test_before_anything_was_said_nothing_is_known() -> None:
    state = known.initial(Profile(extruders=2, heated_chamber=True))
    assert state.phase == "offline"
    assert set(state.heaters) == {"tool0", "tool1", "bed", "chamber"}
    assert set(state.heaters.values()) == {HeaterState()}
    assert (state.position, state.card, state.firmware) == (None, None, None)
    assert not state.printing


def test_what_is_said_during_the_handshake_is_known_after_it(printer: Knowing) -> None:
    printer.become(known.connecting(printer.state))
    assert phase(printer) == "connecting"
    printer.says("FIRMWARE_NAME:Marlin 2", "Cap:EEPROM:1", "echo:SD card ok")
    printer.become(known.connected(printer.state, dialect=MARLIN))
    assert phase(printer) == "operational"
    assert printer.state.firmware is not None
    assert printer.state.firmware.name == "Marlin 2"
    assert printer.state.capabilities == {"EEPROM": True}
    assert printer.state.card


def test_a_card_that_is_never_announced_is_assumed() -> None:
    assert Knowing(dialect=CARD_ASSUMED).state.card


def test_targets_are_believed_when_they_are_sent(printer: Knowing) -> None:
    printer.says("ok T:20 /0 B:21 /0")
    printer.sends("M104 S200", "M140 S60")
    assert printer.state.heaters == {
        "tool0": HeaterState(20, 200),
        "bed": HeaterState(21, 60),
    }
    printer.says("T:20 /0")
    assert printer.state.heaters["tool0"] == HeaterState(20, 0)


def test_while_a_tool_is_waited_for_a_bare_temperature_is_its() -> None:
    printer = Knowing(profile=Profile(extruders=2))
    printer.begins("M109 T1 S200")
    printer.says(" T:150 /200")
    assert printer.state.heaters["tool1"] == HeaterState(150, 200)
    assert printer.state.heaters["tool0"] == HeaterState()
    printer.sends("M105")
    printer.says("T:20 /0")
    assert printer.state.heaters["tool0"] == HeaterState(20, 0)


def test_targets_that_are_reported_alone_keep_the_temperature() -> None:
    printer = Knowing(dialect=REPORTS_TARGETS)
    printer.says("T:20 B:21", "TargetExtr0:200", "TargetBed:60")
    assert printer.state.heaters == {
        "tool0": HeaterState(20, 200),
        "bed": HeaterState(21, 60),
    }


def test_modes_are_followed(printer: Knowing) -> None:
    state = printer.sends("G91", "M106 S255", "M220 S90", "T1", "M221 S95")
    assert state.modal == Modal(
        relative=True,
        relative_e=True,
        tool=1,
        fan=100,
        speed_factor=90,
        flow_factor=95,
    )
    printer.says("FR:80%", "echo:E1 Flow: 85%", "echo:E0 Flow: 1%")
    assert printer.state.modal.speed_factor == 80
    assert printer.state.modal.flow_factor == 85
    printer.says("Active Extruder: 0")
    assert printer.state.modal.tool == 0


def test_a_tool_that_the_printer_does_not_have_was_not_selected(
    printer: Knowing,
) -> None:
    printer.begins("T9")
    printer.says("echo:T9 Invalid extruder", "ok", "T:20 /0")
    assert printer.state.modal.tool == 0
    assert printer.state.heaters["tool0"] == HeaterState(20, 0)


def test_a_print_changes_modes_that_nobody_tells(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 100")
    printer.sends("G91", "M106 S255", "M220 S90")
    printer.says("SD printing byte 10/100", "SD printing byte 20/100")
    assert printer.state.modal == Modal(speed_factor=90)


def test_a_print_that_we_start_changes_them_too(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 100")
    printer.sends("G91", "G1 F9000", "M24")
    assert printer.state.modal == Modal()


def test_the_operator_knows_how_the_files_are_sliced() -> None:
    printer = Knowing(profile=Profile(relative_extrusion=True))
    printer.says("SD printing byte 10/100", "SD printing byte 20/100")
    printer.says("//action:paused")
    assert printer.state.modal == Modal(relative_e=True, own_relative_e=True)


def test_the_position_is_that_of_the_last_report(printer: Knowing) -> None:
    printer.says("X:1.00 Y:2.00 Z:3.00 E:0.00 Count X:0 Y:0 Z:0")
    assert printer.state.position == PositionReport(1, 2, 3, 0)
    assert not printer.state.moved
    printer.sends("G0 X5")
    assert printer.state.moved
    printer.says("X:5 Y:2 Z:3 E:0")
    assert not printer.state.moved


def test_of_several_extruders_the_current_ones_position_counts(
    printer: Knowing,
) -> None:
    printer.sends("T1")
    printer.says("X:1 Y:2 Z:3 E0:4.5 E1:6.0")
    assert printer.state.position is not None
    assert printer.state.position.e == 6
    printer.sends("T7")
    printer.says("X:1 Y:2 Z:3 E0:4.5 E1:6.0")
    assert printer.state.position.e == 4.5


def test_the_list_of_files_is_complete_or_not_there(printer: Knowing) -> None:
    printer.says("Begin file list", "SMALL.GCO 51", " T:20 /0", "echo:hi")
    assert not printer.state.files
    printer.says("SUB/A~1.GCO 7 long.gcode", "End file list")
    assert printer.state.files == (
        FileEntry("SMALL.GCO", 51, "SMALL.GCO"),
        FileEntry("SUB/A~1.GCO", 7, "long.gcode"),
    )
    assert printer.state.card
    printer.says("OTHER.GCO 5", "End file list")
    assert len(printer.state.files) == 2


def test_an_endless_list_does_not_fill_the_memory(printer: Knowing) -> None:
    full = tuple(FileEntry(f"{number}.GCO", 1) for number in range(5000))
    printer.state = replace(printer.state, listing=Listing(full))
    printer.says("MORE.GCO 5", "End file list")
    assert len(printer.state.files) == 5000


def test_a_card_comes_and_goes(printer: Knowing) -> None:
    printer.says("echo:SD card ok", "Begin file list", "A.GCO 1", "End file list")
    printer.says("echo:SD card released")
    assert printer.state.card is False
    assert printer.state.files == ()
    printer.says("//action:sd_inserted")
    assert printer.state.card is True
    printer.says("//action:sd_ejected")
    assert printer.state.card is False


def test_a_release_that_the_firmware_does_not_know_was_none() -> None:
    printer = Knowing(dialect=KLIPPER)
    printer.says("SD card ok")
    printer.begins("M22")
    assert printer.state.card is False
    printer.says('// Unknown command:"M22"')
    assert printer.state.card is True


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ('// Unknown command:"M27"', {"M27"}),
        ('echo:Unknown command: "M27 C"', {"M27"}),
        ('echo:Unknown command: "m27"', set[str]()),
        ('echo:Unknown command: "M 27"', set[str]()),
        ('echo:Unknown command: "M862.3"', set[str]()),
        ('echo:Unknown command: ""', set[str]()),
    ],
)
def test_what_the_firmware_does_not_know_is_remembered(
    printer: Knowing, line: str, codes: set[str]
) -> None:
    printer.says(line)
    assert printer.state.refused == codes


def test_noise_does_not_fill_the_memory(printer: Knowing) -> None:
    for number in range(1000):
        printer.says(f'Unknown command: "M{number}"', f"Cap:C{number}:1")
    assert len(printer.state.refused) == 100
    assert len(printer.state.capabilities) == 200
    printer.says("Cap:C7:0", "Cap:LATE:1")
    assert printer.state.capabilities["C7"] is False
    assert "LATE" not in printer.state.capabilities


def test_autoreports_are_switched_on_and_off(printer: Knowing) -> None:
    printer.sends("M155 S2", "M27 S1", "M154 S5", "M27", "M155")
    assert printer.state.autoreports == {"M155", "M27", "M154"}
    printer.sends("M155 S0")
    assert printer.state.autoreports == {"M27", "M154"}


def test_homings_are_counted(printer: Knowing) -> None:
    assert printer.sends("G28 X0 Y0").homed == ("x", "y")
    assert printer.sends("G28").homed == ("x", "y", "z")
    assert printer.state.homings == 2


def test_the_display_and_the_offsets_are_remembered(printer: Knowing) -> None:
    printer.says("//action:notification Home XYZ First\r")
    assert printer.state.message == "Home XYZ First"
    state = known.with_offsets(printer.state, {"tool0": 5.0})
    state = known.with_offsets(state, {"bed": -2.0})
    state = known.connecting(known.disconnected(state, now=0))
    assert state.offsets == {"tool0": 5.0, "bed": -2.0}


def test_a_question_with_its_answers(printer: Knowing) -> None:
    printer.begins("M0 hello")
    printer.says("//action:prompt_end", "//action:prompt_begin hello")
    printer.says("//action:prompt_button Continue", "//action:prompt_choice Stop")
    assert not printer.state.asks
    printer.says("//action:prompt_show", "//action:prompt_whatever")
    buttons = ("Continue", "Stop")
    asked = UserPrompt("hello", buttons, shown=True, commands=buttons)
    assert printer.state.prompt == asked
    assert printer.state.asks
    printer.says("echo:busy: paused for user")
    assert printer.state.waiting
    printer.sends("M108")
    assert not printer.state.asks
    assert printer.state.prompt is None


def test_pressing_the_button_at_the_printer_ends_the_question(printer: Knowing) -> None:
    printer.begins("M0")
    printer.says("//action:prompt_begin M0 Stop", "//action:prompt_show", "ok")
    assert not printer.state.asks


def test_whoever_takes_lines_waits_for_nobody(printer: Knowing) -> None:
    printer.says("echo:busy: paused for user", "echo:busy: paused for user")
    assert printer.state.asks
    printer.sends("M27")
    assert not printer.state.asks


def test_being_busy_again_is_not_waiting(printer: Knowing) -> None:
    printer.says("echo:busy: paused for user", "echo:busy: processing")
    assert not printer.state.waiting


def test_a_prompt_that_does_not_block_stays_until_its_end(printer: Knowing) -> None:
    printer.says("//action:prompt_begin Resuming SD", "//action:prompt_show")
    printer.sends("M27")
    assert printer.state.asks
    printer.says("//action:prompt_end")
    assert not printer.state.asks


def test_parts_of_a_prompt_without_its_begin_are_nothing(printer: Knowing) -> None:
    printer.says("//action:prompt_button Continue", "//action:prompt_show")
    assert printer.state.prompt is None


def test_without_a_link_nothing_measured_remains(printer: Knowing) -> None:
    printer.says("T:20 /200 P:25", "X:1 Y:2 Z:3 E:4", "echo:SD card ok")
    printer.become(known.disconnected(printer.state, now=0))
    state = printer.state
    assert state.phase == "offline"
    assert state.heaters == UNKNOWN_HEATERS
    assert state.sensors == {"P": None}
    assert (state.position, state.card, state.problem) == (None, None, None)


def test_a_link_that_broke_says_why_until_the_next_connect(printer: Knowing) -> None:
    broke = Problem(error="unplugged", reason="link", consequence="disconnected")
    printer.become(known.disconnected(printer.state, broke, now=0))
    assert printer.state.problem == broke
    printer.become(known.connecting(printer.state))
    assert printer.state.problem == broke
    printer.become(known.connected(printer.state, dialect=MARLIN))
    assert printer.state.problem is None


def test_a_person_can_take_note_of_a_problem(printer: Knowing) -> None:
    printer.says("Error:Printer halted. kill() called!")
    assert known.acknowledged(printer.state).problem is None


def test_a_print_outlives_a_lost_link(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 100", "SD printing byte 5/100")
    printer.become(known.disconnected(printer.state, now=0))
    assert not printer.state.printing
    printer.become(known.connecting(printer.state))
    printer.become(known.connected(printer.state, dialect=MARLIN))
    assert printer.state.phase == "printing"
    printer.says("SD printing byte 9/100")
    assert printer.state.phase == "printing"


def test_a_print_that_began_while_we_were_away_has_no_known_start(
    printer: Knowing,
) -> None:
    printer.says("Not SD printing")
    printer.become(known.connecting(known.disconnected(printer.state, now=0)))
    printer.become(known.connected(printer.state, dialect=MARLIN))
    printer.says("SD printing byte 50/100", "SD printing byte 51/100")
    assert printer.state.job.active
    assert not printer.state.job.start_seen


def test_a_reset_leaves_nothing(printer: Knowing) -> None:
    printer.says("Cap:EEPROM:1", "T:20 /200", "File opened: a.gco Size: 100")
    printer.sends("G91", "M155 S2", "M24")
    printer.become(known.reset(printer.state, now=5))
    state = printer.state
    assert state.phase == "connecting"
    assert state.modal == Modal()
    assert state.autoreports == frozenset()
    assert state.heaters == UNKNOWN_HEATERS
    assert state.job.file is None
    assert state.job.result is not None
    assert state.job.result.reason == "printer_reset"
    assert state.resets == 1


def test_a_kill_is_told_with_its_cause(printer: Knowing) -> None:
    printer.says("T:20 /200", "File opened: a.gco Size: 100")
    printer.sends("M24")
    printer.at(7).says("Error:Heating failed, system stopped! Heater_ID: E0")
    assert printer.state.phase == "error"
    assert printer.state.heaters == UNKNOWN_HEATERS
    assert printer.state.job.result is not None
    assert printer.state.job.result.reason == "heating_failed"
    printer.at(8).says("Error:Printer halted. kill() called!")
    assert problem(printer.state) == Problem(
        error="Heating failed, system stopped! Heater_ID: E0 "
        "Printer halted. kill() called!",
        reason="heating_failed",
        consequence="halted",
        time=7,
    )
    state = known.with_logs(printer.state, ["<<< Error"])
    assert problem(state).logs == ("<<< Error",)
    assert known.with_logs(known.acknowledged(state), ["x"]).problem is None


def test_a_kill_after_an_emergency_stop_is_its_answer(printer: Knowing) -> None:
    stop = Problem(error="stopped", reason="emergency", consequence="stopped", time=3)
    printer.become(known.failed(printer.state, stop))
    assert printer.state.phase == "error"
    printer.says("Error:Printer halted. kill() called!")
    assert printer.state.problem == stop


def test_an_error_takes_the_place_of_an_old_lost_link(printer: Knowing) -> None:
    broke = Problem(error="unplugged", reason="link", consequence="disconnected")
    printer.become(known.disconnected(printer.state, broke, now=0))
    printer.says("Error:MAXTEMP triggered")
    assert problem(printer.state).reason == "maxtemp"


def test_after_an_error_nothing_measured_is_believed(klipper: Knowing) -> None:
    klipper.says("// Klipper state: Shutdown")
    klipper.says("ok B:21.5 /0.0 T0:21.5 /200.0", "X:0.000 Y:0.000 Z:0.000 E:0.000")
    assert klipper.state.heaters == UNKNOWN_HEATERS
    assert klipper.state.position is None


def test_the_reason_of_a_shutdown_comes_late(klipper: Knowing) -> None:
    klipper.says("// Klipper state: Shutdown")
    assert klipper.state.phase == "error"
    assert problem(klipper.state).error == "the firmware has shut down"
    klipper.says(
        '// Unknown command:"M155"', "!! Homing failed due to printer shutdown"
    )
    assert problem(klipper.state).error == "the firmware has shut down"
    klipper.says("// Printer is shutdown", "!! Lost communication with MCU 'mcu'")
    assert problem(klipper.state).error == "Lost communication with MCU 'mcu'"
    assert problem(klipper.state).reason == "shutdown"
    klipper.says("!! Something else", "// Klipper state: Shutdown")
    assert problem(klipper.state).error == "Lost communication with MCU 'mcu'"


def test_a_late_reason_can_have_a_word_of_its_own(klipper: Knowing) -> None:
    klipper.says("// Klipper state: Shutdown")
    klipper.says("!! HeaterState extruder not heating at expected rate")
    assert problem(klipper.state).reason == "heating_failed"


def test_a_host_firmware_that_is_not_ready_is_not_operational(klipper: Knowing) -> None:
    klipper.says("// Klipper state: Disconnect")
    assert phase(klipper) == "connecting"
    klipper.says("// Klipper state: Not ready")
    assert klipper.state.readiness == "not_ready"
    assert problem(klipper.state).error == "the firmware is not ready"
    klipper.says("// Klipper state: Ready")
    assert phase(klipper) == "error", "until it has been set up again"
    assert klipper.state.readiness == "ready"


def test_a_halted_printer_does_nothing(klipper: Knowing) -> None:
    before = klipper.says("// Klipper state: Shutdown")
    assert klipper.sends("M104 S200", "G28", "M24") == before


def test_a_halted_printer_that_is_met_anew_is_believed(klipper: Knowing) -> None:
    klipper.says("// Klipper state: Shutdown")
    klipper.become(replace(known.connecting(klipper.state), link="error"))
    klipper.says("ok B:21.5 /0.0 T0:21.5 /0.0")
    assert klipper.state.heaters["bed"] == HeaterState(21.5, 0)


def test_a_printer_that_stops_during_the_handshake_is_not_operational(
    klipper: Knowing,
) -> None:
    klipper.become(known.connecting(klipper.state))
    klipper.says("// Klipper state: Shutdown")
    klipper.become(known.connected(klipper.state, dialect=KLIPPER))
    assert klipper.state.phase == "error"


def test_an_ordinary_refusal_changes_nothing(klipper: Knowing) -> None:
    before = klipper.state
    assert klipper.says("!! Must home axis first: 10.000 0.000 0.000") == before


_LINES = st.sampled_from(
    [
        "ok T:20 /0 B:20 /0",
        "ok",
        "T:nan /5 X9:7",
        "X:1 Y:2 Z:3 E0:4 E1:5",
        "Begin file list",
        "A.GCO 5",
        "End file list",
        "File opened: a.gco Size: 100",
        "SD printing byte 0/100",
        "SD printing byte 50/100",
        "SD printing byte 100/100",
        "SD printing byte 9/77",
        "SD printing byte 0/0",
        "Not SD printing",
        "Done printing file",
        "//action:start",
        "//action:pause filament_runout",
        "//action:resumed",
        "//action:resume",
        "//action:cancel",
        "//action:prompt_begin x",
        "//action:prompt_button y",
        "//action:prompt_show",
        "//action:prompt_end",
        "echo:busy: paused for user",
        "echo:busy: processing",
        "echo:SD card released",
        "echo:SD card ok",
        "Error:MAXTEMP",
        "!! boom",
        "// Klipper state: Shutdown",
        "// Klipper state: Ready",
        "// Klipper state: Disconnect",
        "M73 Percent done: 5; Time left: 5",
        "FR:100%",
        "> M24",
        "> M25",
        "> M524",
        "> M26 S5",
        "> M73 P5 R5",
        "> M104 T1 S5",
        "> M109 T1 S5",
        "> G28",
        "> M22",
        "> M876 S0",
        "! lost",
        "! connect",
        "! reset",
        "! fail",
    ]
)


@given(
    st.lists(_LINES | st.text(max_size=30), max_size=40),
    st.sampled_from(list(DIALECTS.values())),
    st.sampled_from([Profile(), Profile(extruders=3, shared_nozzle=True)]),
)
def test_any_sequence_leaves_a_state_that_holds_together(
    lines: list[str], dialect: Dialect, profile: Profile
) -> None:
    printer = Knowing(profile=profile, dialect=dialect)
    for number, line in enumerate(lines):
        printer.at(number)
        match line:
            case "! lost":
                printer.become(known.disconnected(printer.state, now=0))
            case "! connect":
                printer.become(known.connecting(printer.state))
                printer.become(known.connected(printer.state, dialect=dialect))
            case "! reset":
                printer.become(known.reset(printer.state, now=number))
            case "! fail":
                fault = Problem(error="x", reason="y", consequence="stopped")
                printer.become(known.failed(printer.state, fault))
            case _ if line.startswith("> "):
                printer.sends(line.removeprefix("> "))
            case _:
                printer.says(line)
        _holds_together(printer.state, number)


def _holds_together(state: PrinterState, now: float) -> None:
    if state.link == "error":
        assert all(heater == HeaterState() for heater in state.heaters.values())
        assert state.position is None
        assert state.problem is not None
        assert not state.job.active
    if state.link != "operational":
        assert not state.printing
    assert (state.job.paused_at is not None) <= (state.job.phase != "printing")
    assert state.job.pauses <= now
