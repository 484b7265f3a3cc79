"""What the words of all families mean for a printer, as dialogues."""

from dataclasses import replace

import pytest

from bridge.config import Profile
from bridge.gcode.dialects import (
    KLIPPER,
    MARLIN,
    MARLIN1,
    PRUSA,
    REPETIER,
    REPRAPFIRMWARE,
    SMOOTHIEWARE,
    UNKNOWN,
    Dialect,
)
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import Ok
from bridge.printer.control.planning import question_of
from bridge.printer.control.polling import wanted_polls
from bridge.printer.knowledge import age
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.heaters import HeaterState, turns_heater_off
from bridge.printer.knowledge.state import PrinterState, Problem
from bridge.printer.published import safety_flags, views
from tests.support.knowing import Knowing

AGES = age.MaxAges(temperature=6, position=6, counter=6)

REMEDY = (
    "// Once the underlying issue is corrected, use the",
    '// "FIRMWARE_RESTART" command to reset the firmware, reload the',
    "// config, and restart the host software.",
)


WAY_OUT = (
    'Once the underlying issue is corrected, use the "FIRMWARE_RESTART" command to '
    "reset the firmware, reload the config, and restart the host software."
)
STARTING = (
    "Printer is not ready. The klippy host software is attempting to connect.  Please "
    "retry in a few moments."
)


@pytest.fixture
def printer() -> Knowing:
    return Knowing()


@pytest.fixture
def klipper() -> Knowing:
    return Knowing(dialect=KLIPPER)


def problem(state: PrinterState) -> Problem:
    assert state.trouble is not None
    return state.trouble


def printing(dialect: Dialect = MARLIN) -> Knowing:
    """Return a printer that prints from its card."""
    printer = Knowing(dialect=dialect)
    printer.says("File opened: a.gco Size: 1000", "File selected")
    printer.at(1).says("SD printing byte 10/1000")
    printer.at(2).says("SD printing byte 20/1000")
    assert printer.state.phase == "printing"
    printer.happened()
    return printer


# An operation that failed


@pytest.mark.parametrize(
    "line", ["Error:Probing Failed", "Probing failed", "Error:Homing Failed"]
)
def test_a_printer_goes_on_after_an_operation_that_failed(
    printer: Knowing, line: str
) -> None:
    printer.says("T:200 /200 B:60 /60", line)
    assert printer.state.phase == "operational"
    assert printer.state.heaters["tool0"] == HeaterState(200, 200)


def test_a_halt_right_after_it_has_it_for_a_reason(printer: Knowing) -> None:
    printer.says("Error:Probing Failed")
    printer.at(1).says("Error:Printer halted. kill() called!")
    assert problem(printer.state).reason == "probing_failed"
    assert problem(printer.state).error == (
        "Probing Failed Printer halted. kill() called!"
    )


def test_a_halt_long_after_it_has_not(printer: Knowing) -> None:
    printer.says("Error:Probing Failed")
    printer.at(60).says("Error:Printer halted. kill() called!")
    assert problem(printer.state).reason == "killed"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (("!!",), "the firmware stopped, and did not say why"),
        (
            ("Limit switch min_x was hit - reset or M999 required", "!!", "!!"),
            "Limit switch min_x was hit - reset or M999 required",
        ),
        (
            ("HALTED, M999 or $X to exit HALT state", "!!"),
            "HALTED, M999 or $X to exit HALT state",
        ),
    ],
)
def test_a_halt_always_has_a_text(lines: tuple[str, ...], error: str) -> None:
    printer = Knowing(dialect=SMOOTHIEWARE)
    printer.says(*lines)
    assert printer.state.halted
    assert problem(printer.state).error == error
    assert printer.happened() == ["error"]


@pytest.mark.parametrize(
    ("line", "off"),
    [
        ("M104 S0", True),
        ("M104 T1 S0", True),
        ("M140 S0", True),
        ("M141 S0", True),
        ("TURN_OFF_HEATERS", True),
        ("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=0", True),
        ("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=40", False),
        ("M104 S0 R0", True),
        ("M104 S1", False),
        ("M109 S0", False),
        ("M104", False),
        ("G28", False),
    ],
)
def test_which_lines_turn_a_heater_off(line: str, *, off: bool) -> None:
    assert turns_heater_off(line) is off


# Temperatures that cannot be measured, and those that are old


@pytest.mark.parametrize("value", ["inf", "-inf", "ovf", "---", "nan", "2000.0"])
def test_a_heater_without_a_reading_that_should_heat_is_an_error(
    printer: Knowing, value: str
) -> None:
    printer.says("ok T:199.8 /200.0 B:60.0 /60.0")
    printer.says(f"ok T:{value} /200.0 @255 B:59.5 /60.0 @0")
    assert printer.state.heaters == {
        "tool0": HeaterState(None, 200),
        "bed": HeaterState(59.5, 60),
    }
    assert problem(printer.state).reason == "no_reading"
    assert problem(printer.state).consequence == "unmeasured"
    assert problem(printer.state).severity == "critical"
    assert "tool0" in problem(printer.state).error
    assert printer.state.phase == "operational", "its heaters can be turned off"


def test_it_is_one_error_however_often_it_is_reported(printer: Knowing) -> None:
    for second in range(10):
        printer.at(second).says("T:inf /200 B:20 /0")
    assert printer.happened() == ["error"]
    printer.says("T:inf /200 B:nan /60")
    assert "bed" in problem(printer.state).error


def test_a_cold_heater_without_a_reading_is_only_not_known(printer: Knowing) -> None:
    printer.says("ok T:inf /0.0 B:20.0 /0.0")
    assert printer.state.heaters["tool0"] == HeaterState(None, 0)
    assert printer.state.trouble is None


def test_what_is_old_is_not_known_any_more(printer: Knowing) -> None:
    printer.at(10).says("T:200 /200 B:60 /60 P:25")
    printer.at(12).says("T:201 /200")
    state = age.expire(printer.state, now=17, ages=AGES)
    assert state.heaters == {
        "tool0": HeaterState(201, 200),
        "bed": HeaterState(None, 60),
    }
    assert state.sensors == {"P": None}
    assert state.heaters["bed"].measured_at == 10
    state = age.expire(state, now=18.5, ages=AGES)
    assert state.heaters["tool0"] == HeaterState(None, 200)
    assert age.expire(state, now=99, ages=AGES) == state


def test_what_is_published_was_measured_when_it_says(printer: Knowing) -> None:
    printer.at(10).says("T:200 /200 B:60 /60", "X:1 Y:2 Z:3 E:4")
    printer.at(12).says("T:201 /200")
    document = views.temperatures(printer.state, now=99, epoch=1000)
    assert (document.time, document.measured_at) == (1012, 1012)
    bed = views.timed_heater(printer.state, "bed", epoch=1000)
    assert bed.time == 1010
    place = views.state(printer.state, now=99, epoch=1000).position
    assert place is not None
    assert place.time == 1010


def asked(printer: Knowing) -> set[str]:
    polls = wanted_polls(
        printer.state, dialect=printer.dialect, interval=2, now=printer.now
    )
    return {poll.line for poll in polls}


@pytest.mark.parametrize(
    ("query", "switch", "report"),
    [
        ("M105", "M155 S2", "T:20 /0 B:20 /0"),
        ("M27", "M27 S1", "Not SD printing"),
        ("M27", "M27 S1", "SD printing byte 1/100"),
        ("M27", "M27 S1", "SD print paused"),
        ("M114", "M154 S1", "X:1 Y:2 Z:3 E:0"),
    ],
)
def test_reports_that_stop_or_cannot_be_read_are_asked_for(
    printer: Knowing, query: str, switch: str, report: str
) -> None:
    printer.sends(switch)
    assert query not in asked(printer)
    printer.at(4).says(report)
    printer.become(replace(printer.state, moved=True))
    assert query not in asked(printer.at(8))
    printer.says("  TT::124.72124.72  //0.000.00")
    assert query in asked(printer.at(8.1))
    printer.says(report)
    printer.become(replace(printer.state, moved=True))
    assert query not in asked(printer)


def test_an_answer_is_no_report_that_came_by_itself(printer: Knowing) -> None:
    printer.sends("M155 S2")
    printer.at(60).says("ok T:20 /0 B:20 /0")
    assert "M105" in asked(printer)


# Sensors


def test_a_sensor_that_vanishes_is_gone(printer: Knowing) -> None:
    printer.says("T:20 /0 B:20 /0 P:25")
    printer.at(3).says("T:20 /0 B:20 /0")
    assert printer.state.sensors == {"P": 25}
    printer.become(age.expire(printer.state, now=7, ages=AGES))
    assert printer.state.sensors == {"P": None}
    printer.says(" T:20 /0 E:0 W:?")
    assert printer.state.sensors == {"P": None}, "a report about one heater only"
    printer.says("T:20 /0 B:20 /0")
    assert printer.state.sensors == {}


@pytest.mark.parametrize(
    ("firmware", "report", "sensors"),
    [
        (PRUSA, "T:20 /0 B:21 /0 P:25.0 A:23.8", {"pinda": 25.0, "ambient": 23.8}),
        (PRUSA, "T:20 /0 B:21 /0 @:0 B@:0 P:25.0", {"pinda": 25.0}),
        (PRUSA, "ok T:20 /0 B:21 /0 T0:20 /0 A:23.8", {"ambient": 23.8}),
        (PRUSA, "T:20 /0 B:21 /0 C:30 /0 X:36/36 A:23.8", {"X": 36.0, "ambient": 23.8}),
        (MARLIN, "T:20 /0 B:21 /0 P:25.0 A:23.8", {"P": 25.0, "A": 23.8}),
        (KLIPPER, "B:21.0 /0.0 T0:20.0 /0.0 P:25.0 /0.0", {"P": 25.0}),
    ],
)
def test_what_was_read_before_the_family_was_known_is_read_again(
    firmware: Dialect, report: str, sensors: dict[str, float]
) -> None:
    printer = Knowing(dialect=UNKNOWN)
    printer.says(report)
    printer.become(known.other_dialect(printer.state, firmware))
    assert printer.state.sensors == sensors
    assert printer.state.sensed_at.keys() == sensors.keys()
    assert printer.state.heaters["tool0"] == HeaterState(20.0, 0)
    assert printer.state.heaters["bed"] == HeaterState(21.0, 0)
    # Another report may have been parsed before the link learned the family.
    for reply in parse_reply(report, UNKNOWN):
        state = known.apply(
            printer.state, reply, now=1, dialect=firmware, profile=printer.profile
        )
        printer.become(state)
    assert printer.state.sensors == sensors


# How prints end


@pytest.mark.parametrize(
    ("dialect", "lines", "event"),
    [
        (
            REPRAPFIRMWARE,
            ("Done printing file", "Cancelled printing file 0:/gcodes/a.g, print time"),
            "print_cancelled",
        ),
        (
            REPRAPFIRMWARE,
            ("Done printing file", "Finished printing file 0:/gcodes/a.g, print time"),
            "print_done",
        ),
        (REPRAPFIRMWARE, ("Done printing file", "Not SD printing."), "print_done"),
        (
            REPRAPFIRMWARE,
            ("Cancelled printing file 0:/gcodes/a.g, print time was 0h 5m",),
            "print_cancelled",
        ),
        (REPETIER, ("SD print stopped by user.",), "print_cancelled"),
        (
            REPETIER,
            ("SD print stopped.", "SD printing byte 20/1000"),
            "print_cancelled",
        ),
        (MARLIN, ("Done printing file",), "print_done"),
    ],
)
def test_how_a_print_ended(
    dialect: Dialect, lines: tuple[str, ...], event: str
) -> None:
    printer = printing(dialect)
    printer.says(*lines)
    assert printer.happened() == [event]
    assert printer.state.phase == "operational"


@pytest.mark.parametrize(
    "line",
    ["Done printing file", "SD print stopped by user.", "Cancelled printing file"],
)
def test_the_end_of_no_print_is_nothing(line: str) -> None:
    printer = Knowing(dialect=REPRAPFIRMWARE)
    printer.says(line)
    assert printer.happened() == []


# Cancelling


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("M524", 'echo:Unknown command: "M524"'),
        ("M524", "echo:Unknown command: M524"),
        ("M524", "Unknown command: M524"),
        ("M524", "Invalid M code."),
        ("CANCEL_PRINT", '// Unknown command:"CANCEL_PRINT"'),
    ],
)
def test_a_print_whose_cancellation_is_refused_goes_on(line: str, refusal: str) -> None:
    printer = printing()
    assert printer.begins(line).phase == "cancelling"
    assert printer.says(refusal).phase == "printing"
    assert printer.happened() == []


@pytest.mark.parametrize(
    "refusal",
    [
        'echo:Unknown command: "M524"',
        "Unknown command:N12 M524",
        "Error:Unknown command M524",
        "Error: M524: command is not supported",
        "E: Bad M-code 524",
        "Invalid M code.",
    ],
)
def test_after_a_refused_cancellation_the_next_one_is_a_new_attempt(
    refusal: str,
) -> None:
    printer = printing()
    for _ in range(2):
        assert printer.begins("M524").phase == "cancelling"
        assert printer.says(refusal, "ok").phase == "printing"
    printer.at(9).says("SD printing byte 30/1000")
    assert printer.state.phase == "printing"
    printer.sends("M524")
    printer.says("Not SD printing")
    assert printer.happened() == ["print_cancelled"]


def test_a_paused_print_whose_cancellation_is_refused_stays_paused() -> None:
    printer = printing()
    printer.says("//action:paused")
    printer.begins("M524")
    printer.says('echo:Unknown command: "M524"')
    assert printer.state.phase == "paused"


def test_no_cancel_without_its_acknowledgement() -> None:
    printer = printing()
    printer.says("//action:paused filament_change 0", "echo:busy: paused for user")
    printer.begins("M524")
    printer.says(*["Not SD printing"] * 9, *["SD printing byte 20/1000"] * 3)
    assert printer.state.phase == "cancelling"
    acknowledged = known.apply(
        printer.state, Ok(), now=9, dialect=MARLIN, profile=Profile()
    )
    printer.become(acknowledged)
    printer.says("Not SD printing")
    assert printer.happened()[-1] == "print_cancelled"


@pytest.mark.parametrize(
    "wait",
    [
        ("echo:busy: paused for user",),
        ("echo:busy: paused for input",),
        ("busy:paused for user interaction",),
        ("//action:prompt_begin Nozzle Parked", "//action:prompt_show"),
        (
            "//action:paused filament_runout 0",
            "//action:prompt_begin FilamentRunout T0",
            "//action:prompt_button PurgeMore",
            "//action:prompt_button Continue",
            "//action:prompt_show",
        ),
        ("//action:paused", "echo:busy: processing"),
    ],
)
def test_a_print_that_waits_for_a_person_is_not_over(wait: tuple[str, ...]) -> None:
    printer = printing()
    printer.says(*wait)
    for now in range(3, 60, 2):
        printer.at(now).says("echo:busy: paused for user", "Not SD printing")
        if now == 31:
            printer.begins("M524")
    assert printer.state.phase == "cancelling"
    assert not {"print_cancelled", "print_done", "print_failed"} & set(
        printer.happened()
    )


@pytest.mark.parametrize("line", ["M524", "CANCEL_PRINT"])
def test_a_cancellation_that_was_not_answered_did_not_happen(line: str) -> None:
    printer = printing()
    printer.begins(line)
    printer.become(known.line_failed(printer.state, line, now=20))
    assert printer.state.phase == "printing"
    printer.become(known.line_failed(printer.state, "G28", now=20))
    assert printer.state.phase == "printing"


# Questions


def dialog(title: str, *buttons: str) -> list[str]:
    return [
        f"//action:prompt_begin {title}",
        *(f"//action:prompt_button {button}" for button in buttons),
        "//action:prompt_show",
    ]


@pytest.mark.parametrize(
    "buttons", [("Dismiss",), ("dismiss",), ("Close",), ("OK",), ("Ok", "Dismiss")]
)
def test_a_dialog_that_can_only_be_dismissed_is_information(
    buttons: tuple[str, ...],
) -> None:
    printer = printing()
    printer.says(*dialog("Resuming SD", *buttons))
    assert not printer.state.asks
    assert safety_flags.attention(printer.state) == "none"
    assert printer.state.message == "Resuming SD"
    assert printer.happened() == []
    assert views.state(printer.state, now=0, epoch=0).prompt is None


@pytest.mark.parametrize(
    "buttons", [("Continue",), ("PurgeMore", "Continue"), ("Yes", "Close"), ()]
)
def test_other_dialogs_ask_somebody(buttons: tuple[str, ...]) -> None:
    printer = printing()
    printer.says(*dialog("Nozzle Parked", *buttons))
    assert printer.state.asks
    assert printer.happened() == ["waiting_for_user"]


def test_a_wait_behind_such_a_dialog_still_needs_somebody() -> None:
    printer = printing()
    printer.says(*dialog("Resuming SD", "Dismiss"), "echo:busy: paused for user")
    prompt = views.state(printer.state, now=0, epoch=0).prompt
    assert prompt is not None
    assert (prompt.reason, prompt.text) == ("paused", "")


@pytest.mark.parametrize(
    "end",
    ["Done printing file", "SD print stopped by user.", "//action:sd_ejected"],
)
def test_no_dialog_outlives_its_print(end: str) -> None:
    printer = printing()
    printer.says(*dialog("Nozzle Parked", "Continue"), end)
    assert printer.state.prompt is None
    assert not printer.state.asks


@pytest.mark.parametrize(
    "reason",
    [
        "paused for user",
        "paused for user interaction",
        "paused for input",
        "paused for user input",
    ],
)
@pytest.mark.parametrize("prefix", ["busy:", "busy: ", "echo:busy: ", "echo:busy:"])
def test_a_printer_waits_for_a_person(
    printer: Knowing, prefix: str, reason: str
) -> None:
    printer.says(f"{prefix}{reason}")
    assert printer.state.waiting
    printer.says("echo:busy: processing")
    assert not printer.state.waiting


def test_the_buttons_of_klipper_have_a_text_and_a_command(klipper: Knowing) -> None:
    klipper.says(
        "// action:prompt_begin Load filament",
        "// action:prompt_text Which one?",
        "// action:prompt_button_group_start",
        "// action:prompt_button PLA|LOAD_PLA|primary",
        "// action:prompt_button ABS|LOAD_FILAMENT T=250",
        "// action:prompt_button_group_end",
        "// action:prompt_button G28",
        "// action:prompt_footer_button Cancel|CANCEL_LOAD|error",
        "// action:prompt_show",
    )
    prompt = views.state(klipper.state, now=0, epoch=0).prompt
    assert prompt is not None
    assert prompt.text == "Load filament\nWhich one?"
    assert prompt.choices == ("PLA", "ABS", "G28", "Cancel")
    assert prompt.commands == ("LOAD_PLA", "LOAD_FILAMENT T=250", "G28", "CANCEL_LOAD")
    asks = question_of(klipper.state, KLIPPER)
    assert asks is not None
    assert not asks.blocks


@pytest.mark.parametrize(
    ("button", "label", "command"),
    [
        ("PLA|LOAD_PLA", "PLA", "LOAD_PLA"),
        ("PLA", "PLA", "PLA"),
        ("PLA|", "PLA", "PLA"),
        ("PLA||primary", "PLA", "PLA"),
        ("Load PLA |LOAD T=2 | warning", "Load PLA", "LOAD T=2"),
        ("|G28", "G28", "G28"),
        ("A|SAY MSG=b|c|d", "A", "SAY MSG=b"),
    ],
)
def test_a_button_has_a_label_and_a_command(
    klipper: Knowing, button: str, label: str, command: str
) -> None:
    klipper.says(*dialog("Which one?", button))
    prompt = klipper.state.prompt
    assert prompt is not None
    assert (prompt.choices, prompt.commands) == ((label,), (command,))


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("M876 S0", '// Unknown command:"M876"'),
        ("M108", '// Unknown command:"M108"'),
        ("M876 S9", 'echo:Unknown command: "M876 S9"'),
        ("LOAD", '// Unknown command:"LOAD"'),
        ("LOAD", "!! Malformed command 'LOAD'"),
    ],
)
def test_a_refused_answer_leaves_the_question(
    klipper: Knowing, line: str, refusal: str
) -> None:
    klipper.says(*dialog("Load?", "Yes|LOAD"))
    klipper.begins(line)
    klipper.says(refusal, "ok")
    assert klipper.state.asks


def test_an_answer_that_is_taken_ends_the_question(printer: Knowing) -> None:
    printer.says(*dialog("Load?", "Yes", "No"))
    printer.begins("M876 S0")
    assert printer.state.asks
    printer.sends("M876 S0")
    assert not printer.state.asks


# The card, the tool, the lock


@pytest.mark.parametrize(
    "action",
    [
        "out_of_filament T0",
        "out_of_filament",
        "filament_runout T1",
        "filament_runout",
        "pause filament_runout",
        "pause filament_runout 0",
        "paused filament_runout T0",
    ],
)
def test_filament_that_ran_out_is_an_event(action: str) -> None:
    printer = printing()
    printer.says(f"// action:{action}")
    assert printer.happened() == ["print_paused", "filament_runout"]


@pytest.mark.parametrize(
    "lines",
    [
        ("//action:sd_updated",),
        ("// action:sd_updated",),
        ("//action:sd_inserted",),
        ("//action:sd_ejected", "//action:sd_inserted"),
        ("SD card removed", "SD card ok"),
        ("echo:SD card released", "echo:SD card ok"),
        ("SD init fail", "Card successfully initialized"),
    ],
)
def test_a_card_whose_files_changed_is_listed_again(
    printer: Knowing, lines: tuple[str, ...]
) -> None:
    printer.says("echo:SD card ok", "Begin file list", "A.GCO 5", "End file list")
    assert "M20" not in asked(printer)
    printer.says(*lines)
    assert "M20" in asked(printer)


@pytest.mark.parametrize(
    "lines",
    [
        ("//action:sd_ejected",),
        ("SD card removed",),
        ("echo:SD card released",),
        ("echo:No SD card",),
        ("No media",),
        ("SD init fail",),
    ],
)
def test_a_card_that_is_gone_has_no_files(
    printer: Knowing, lines: tuple[str, ...]
) -> None:
    printer.says("echo:SD card ok", "Begin file list", "A.GCO 5", "End file list")
    printer.says(*lines)
    assert (printer.state.card, printer.state.files) == (False, ())


@pytest.mark.parametrize(
    "line",
    [
        "echo:Active Extruder: 2",
        "Active Extruder: 2",
        "echo:Active Extruder:2",
        "echo: Active Extruder: 2",
        "active extruder: 2",
        "echo:Active Extruder: 2 ",
    ],
)
def test_the_tool_is_what_the_firmware_says(line: str) -> None:
    printer = Knowing(profile=Profile(extruders=3))
    printer.says(line)
    assert printer.state.modal.tool == 2


def test_a_locked_printer_says_so(printer: Knowing) -> None:
    text = "Printer locked! (Unlock with M511 or LCD)"
    printer.says(f"echo:{text}")
    document = views.state(printer.state, now=0, epoch=0)
    assert (document.locked, document.error) == (True, text)
    printer.says(" T:20 /0 B:20 /0")
    assert printer.state.locked, "reports go on while it is locked"
    printer.says("ok T:20 /0 B:20 /0")
    assert not printer.state.locked


def test_one_lock_is_one_message(printer: Knowing) -> None:
    for line in ("G1 X10", "M104 S200", "M140 S60"):
        printer.begins(line)
        printer.says("echo:Printer locked! (Unlock with M511 or LCD)", "ok")
    assert printer.state.locked
    assert printer.happened() == []
    assert printer.state.phase == "operational", "it is no halt"


@pytest.mark.parametrize(
    "line",
    [
        "LOCKED~1.GCO 107",
        "Printer locked!.gcode 107",
        "echo:Printer unlocked",
        "echo:Printer lock bracket.gcode",
        "//action:notification Printer locked!",
        "Error:Bed locked",
    ],
)
def test_other_texts_lock_nothing(printer: Knowing, line: str) -> None:
    assert not printer.says(line).locked


@pytest.mark.parametrize("line", ["start", "//action:notification Printer unlocked"])
def test_what_says_nothing_about_the_lock_leaves_it(
    printer: Knowing, line: str
) -> None:
    printer.says("echo:Printer locked! (Unlock with M511 or LCD)", line)
    printer.says("echo:busy: processing", "X:0 Y:0 Z:0 E:0 Count X:0 Y:0 Z:0")
    assert printer.state.locked


def test_a_lost_connection_leaves_no_lock(printer: Knowing) -> None:
    printer.says("echo:Printer locked! (Unlock with M511 or LCD)")
    printer.become(known.connecting(printer.state))
    assert not printer.state.locked


def test_the_files_of_folders_have_them_in_their_path(printer: Knowing) -> None:
    printer.says(
        "Begin file list",
        "A.GCO 5",
        'DIR_ENTER: /OLDGCO~1/ "Old gcodes"',
        "B.GCO 6",
        "DIR_EXIT",
        "parts/",
        "NONE",
        "End file list",
    )
    paths = [file.path for file in views.files(printer.state).root]
    assert paths == ["A.GCO", "/OLDGCO~1/B.GCO"]


# A host firmware that is not ready


@pytest.mark.parametrize(
    ("lines", "error", "reason"),
    [
        (
            (
                "// Printer is not ready",
                "// The klippy host software is attempting to connect.  Please",
                "// retry in a few moments.",
                "!! Printer is not ready",
            ),
            STARTING,
            "not_ready",
        ),
        (
            (
                "// Section 'nonsense' is not a valid config section",
                "// ",
                '// Once the underlying issue is corrected, use the "RESTART"',
                "// command to reload the config and restart the host software.",
                "// Printer is halted",
                "!! Section 'nonsense' is not a valid config section",
            ),
            (
                "Section 'nonsense' is not a valid config section. Once the underlying "
                'issue is corrected, use the "RESTART" command to reload the config '
                "and restart the host software."
            ),
            "config_error",
        ),
        (
            (
                "// mcu 'mcu': Unable to connect",
                *REMEDY,
                "// Error configuring printer",
                "// Klipper state: Not ready",
                "!! mcu 'mcu': Unable to connect",
            ),
            f"mcu 'mcu': Unable to connect. {WAY_OUT}",
            "mcu_error",
        ),
        (
            (
                "// Shutdown due to webhooks request",
                *REMEDY,
                "// Printer is shutdown",
                "!! Shutdown due to webhooks request",
            ),
            f"Shutdown due to webhooks request. {WAY_OUT}",
            "shutdown",
        ),
        (
            (
                "// Heater bed not heating at expected rate",
                *REMEDY,
                "// Printer is shutdown",
                "!! Heater bed not heating at expected rate",
            ),
            f"Heater bed not heating at expected rate. {WAY_OUT}",
            "heating_failed",
        ),
        (("// Klipper state: Not ready",), "the firmware is not ready", "not_ready"),
    ],
)
def test_a_firmware_that_is_not_ready_is_one_error_in_its_own_words(
    klipper: Knowing, lines: tuple[str, ...], error: str, reason: str
) -> None:
    klipper.happened()
    klipper.says(*lines, *lines)
    assert klipper.state.phase == "error"
    assert problem(klipper.state).error == error
    assert problem(klipper.state).reason == reason
    assert klipper.happened() == ["error"]


def test_after_a_restart_the_new_reason_counts(klipper: Knowing) -> None:
    klipper.says("// Klipper state: Shutdown")
    klipper.says("!! Shutdown due to M112 command")
    klipper.says("// Klipper state: Disconnect")
    stuck = "Can not update MCU 'mcu' config as it is shutdown"
    klipper.says(f"// {stuck}", *REMEDY, "// Error configuring printer", f"!! {stuck}")
    assert problem(klipper.state).error.startswith(stuck)
    assert '"FIRMWARE_RESTART"' in problem(klipper.state).error


@pytest.mark.parametrize(
    ("lines", "error", "phase"),
    [
        (("// Klipper state: Ready",), "", "connecting"),
        (("// Kalico state: Ready",), "", "connecting"),
        (
            ("// Section 'fan' is not valid", "// Printer is halted", "!! Section"),
            "Section 'fan' is not valid",
            "error",
        ),
        (
            ("// mcu 'mcu': Unable to connect", "// Error configuring printer", "!! x"),
            "mcu 'mcu': Unable to connect",
            "error",
        ),
        (
            (
                "// MCU 'mcu' shutdown: Timer too close",
                "// Printer is shutdown",
                "!! x",
            ),
            "MCU 'mcu' shutdown: Timer too close",
            "error",
        ),
        (("// Klipper state: Shutdown",), "the firmware has shut down", "error"),
        (("// Klipper state: Not ready",), "the firmware is not ready", "error"),
    ],
)
def test_a_restart_ends_in_what_the_firmware_says_then(
    klipper: Knowing, lines: tuple[str, ...], error: str, phase: str
) -> None:
    klipper.begins("RESTART")
    klipper.says("ok", "// Klipper state: Disconnect")
    assert klipper.state.phase == "connecting", "it is set up again when it is ready"
    klipper.says(*lines)
    assert klipper.state.phase == phase
    assert (klipper.state.trouble.error if klipper.state.trouble else "") == error


@pytest.mark.parametrize("line", ["// Printer is shutdown", "!! Printer is not ready"])
def test_other_families_do_not_say_so(line: str) -> None:
    printer = Knowing(dialect=MARLIN1 if line[0] == "/" else REPRAPFIRMWARE)
    printer.says(line)
    assert printer.state.phase == "operational"
