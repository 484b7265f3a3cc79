import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.gcode import firmware_errors
from bridge.gcode.dialects import (
    DIALECTS,
    KLIPPER,
    MARLIN,
    REPETIER,
    SMOOTHIEWARE,
    UNKNOWN,
    Dialect,
)
from bridge.gcode.file_list import parse_file
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import (
    Action,
    ActiveTool,
    Busy,
    Capability,
    CardState,
    CurrentFile,
    Fatal,
    FileListBegin,
    FileListEnd,
    FileOpened,
    FileSelected,
    FirmwareReport,
    FlowFactor,
    HeaterFault,
    NotPrinting,
    Ok,
    OtherText,
    PositionReport,
    PrintDone,
    PrintProgress,
    Progress,
    Readiness,
    Reading,
    Refusal,
    Reply,
    Resend,
    SpeedFactor,
    Started,
    Targets,
    TemperatureReport,
    TransferError,
    Wait,
)

REPORTS_TARGETS = Dialect(name="reports-targets", repetier_targets=True)
MORE_SENSORS = Dialect(name="more-sensors", extra_sensors={"P": "pinda", "E": "env"})


def only(line: str, dialect: Dialect = MARLIN) -> Reply:
    found = parse_reply(line, dialect)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("ok", None),
        ("  ok \r", None),
        ("\0ok", None),
        ("ok N7 P15 B3", 7),
        ("ok N-1 P15 B3", -1),
        ("ok P15 B3", None),
        ("ok 12", 12),
        ("ok N:7395", 7395),
        ("ok N: 7395", 7395),
        ("ok N 7395", 7395),
        ("ok N:7395 P15 B3", 7395),
        ("ok N:", None),
        ("ok N:x", None),
        ("ok 12 files", None),
    ],
)
def test_an_ok_may_carry_the_number_of_its_line(line: str, number: int | None) -> None:
    reply = only(line)
    assert isinstance(reply, Ok)
    assert reply.number == number


@pytest.mark.parametrize(
    ("line", "room"),
    [
        ("ok N7 P15 B3", 3),
        ("ok N7 P0 B0", 0),
        ("ok N7", None),
        ("ok N7 P15", None),
        ("ok N7 P15 B3 x", None),
        ("ok P15 B3", None),
    ],
)
def test_an_ok_may_say_how_many_commands_there_is_room_for(
    line: str, room: int | None
) -> None:
    reply = only(line)
    assert isinstance(reply, Ok)
    assert reply.room == room


@pytest.mark.parametrize("line", ["okay", "ok.gco 17", "oktopus", "o"])
def test_a_word_that_begins_like_ok_is_no_ok(line: str) -> None:
    assert only(line) == OtherText(line)


def test_a_report_in_the_line_of_an_ok_comes_before_it() -> None:
    assert parse_reply("ok T:19.37 /0.00 B:20.5 /60.00 @:0 B@:0") == [
        TemperatureReport({"T": Reading(19.37, 0.0), "B": Reading(20.5, 60.0)}),
        Ok(temperature=True),
    ]
    assert parse_reply("ok X:1.0 Y:2.0 Z:3.0 E:4.0") == [
        PositionReport(1, 2, 3, 4),
        Ok(),
    ]
    assert parse_reply("ok C: X:1.0 Y:2.0 Z:3.0 E:4.0") == [
        PositionReport(1, 2, 3, 4),
        Ok(),
    ]
    assert parse_reply("ok FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.13", KLIPPER) == [
        FirmwareReport(
            "Klipper", {"FIRMWARE_NAME": "Klipper", "FIRMWARE_VERSION": "v0.13"}
        ),
        Ok(),
    ]


def test_a_firmware_without_temperatures_yet_reports_none() -> None:
    assert parse_reply("ok T:0", KLIPPER) == [Ok(temperature=True)]
    assert parse_reply("ok T:0", MARLIN) == [
        TemperatureReport({"T": Reading(0.0)}),
        Ok(temperature=True),
    ]


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("Resend: 23", 23),
        ("resend:23", 23),
        ("Resend:N:23", 23),
        ("Resend: N23", 23),
        ("rs N23 expected checksum 109", 23),
        ("rs 5", 5),
    ],
)
def test_a_line_is_wanted_again(line: str, number: int) -> None:
    assert only(line) == Resend(number)


def test_a_file_is_no_ok() -> None:
    for line in ("ok then.gcode 17", "OK now .g 5", "ok a b.gco 12"):
        assert not any(isinstance(reply, Ok) for reply in parse_reply(line, KLIPPER))
    assert parse_reply("ok 12 files", KLIPPER)[-1] == Ok()


@pytest.mark.parametrize("line", ["rs 12.gcode 100", "Resend 2.gco 5", "rst 5", "rs"])
def test_a_file_is_no_resend_request(line: str) -> None:
    assert only(line) == OtherText(line)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("checksum mismatch, Last Line: 2", 2),
        ("Line Number is not Last Line Number+1, Last Line: 0", 0),
        ("No Checksum with line number, Last Line: 4", 4),
        ("No Line Number with checksum, Last Line: 4", 4),
        ("Wrong checksum", None),
        ("expected line 5 got 7", None),
        ("Missing linenumber", None),
        ("Format error", None),
    ],
)
def test_a_line_arrived_damaged_or_out_of_turn(text: str, last: int | None) -> None:
    assert only(f"Error:{text}") == TransferError(text, last)
    assert only(f"ERROR: {text}") == TransferError(text, last)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("start", Started()),
        (" start\r", Started()),
        ("START", OtherText("START")),
        ("start of print", OtherText("start of print")),
        ("wait", Wait()),
        ("waiting", OtherText("waiting")),
        ("echo:busy: processing", Busy("processing")),
        ("busy: paused for user", Busy("paused for user")),
        ("echo:hello there\r", OtherText("echo:hello there")),
        ("Begin file list", FileListBegin()),
        ("End file list", FileListEnd()),
        ("File opened: small.gco Size: 51", FileOpened("small.gco", 51)),
        ("File opened:With Blank.gcode Size:17", FileOpened("With Blank.gcode", 17)),
        ("File opened", FileOpened("")),
        ("File selected", FileSelected()),
        ("SD printing byte 17/107\r", PrintProgress(17, 107)),
        ("Not SD printing.", NotPrinting()),
        ("Done printing file", PrintDone()),
        ("Current file: SMALL.GCO", CurrentFile("SMALL.GCO")),
        ("Current file: (no file)", CurrentFile(None)),
        ("FR:100%", SpeedFactor(100)),
        ("echo:FR:95%", SpeedFactor(95)),
        ("echo:E1 Flow: 95%", FlowFactor(1, 95)),
        ("Active Extruder: 1", ActiveTool(1)),
        ("Cap:AUTOREPORT_TEMP:1", Capability("AUTOREPORT_TEMP", enabled=True)),
        ("cap:eeprom:0", Capability("EEPROM", enabled=False)),
        ("File deleted:up.gco", OtherText("File deleted:up.gco")),
        ("//action", OtherText("//action")),
        ("//action:pause filament_runout\r", Action("pause", "filament_runout")),
        ("// action:paused", Action("paused")),
        ("//action:prompt_begin M1 Stop", Action("prompt_begin", "M1 Stop")),
    ],
)
def test_what_firmwares_say_every_day(line: str, reply: Reply) -> None:
    assert only(line) == reply


def test_an_ok_can_be_glued_to_a_deletion() -> None:
    line = "File deleted:up.gcook"
    assert parse_reply(line) == [OtherText(line), Ok()]


@pytest.mark.parametrize(
    ("line", "percent", "remaining"),
    [
        ("echo:M73 Percent done: 12; Print time remaining in mins: 5", 12, 300),
        ("echo:Progress: 12.5%; Time left: 5m", 12.5, 300),
        ("echo:Progress: 12%", 12, None),
        ("NORMAL MODE: Percent done: 99; print time remaining in mins: 1", 99, 60),
        ("NORMAL MODE: Percent done: 255", 100, None),
    ],
)
def test_the_slicers_progress_is_repeated(
    line: str, percent: float, remaining: float | None
) -> None:
    assert only(line) == Progress(percent, remaining)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('echo:Unknown command: "foo"', 'Unknown command: "foo"'),
        ('// Unknown command:"M155"', 'Unknown command:"M155"'),
        ("Unknown command: G999", "Unknown command: G999"),
        ("Unknown M code: M999", "Unknown M code: M999"),
        ("Invalid M code.", "Invalid M code."),
        ("echo: cold extrusion prevented", "cold extrusion prevented"),
        ("echo: too long extrusion prevented", "too long extrusion prevented"),
        ("echo:T1 Invalid extruder", "T1 Invalid extruder"),
        ("echo:M105 Invalid extruder 9", "M105 Invalid extruder 9"),
        ("echo:Invalid extruder", "Invalid extruder"),
        ("echo:Home XYZ First\r", "Home XYZ First"),
        ("open failed, File: nosuch.gco.", "open failed, File: nosuch.gco."),
        ("Deletion failed, File: x.gco.", "Deletion failed, File: x.gco."),
        ("Cannot open subdir foo", "Cannot open subdir foo"),
        ("error writing to file", "error writing to file"),
        ("workDir open failed", "workDir open failed"),
        ("PID Autotune failed! Bad extruder number", None),
        ("Error:SD read error", "SD read error"),
        ("Error:unknown command", "unknown command"),
        ("E: Bad G-code 999", "Bad G-code 999"),
    ],
)
def test_a_line_was_refused(line: str, text: str | None) -> None:
    assert only(line) == Refusal(line if text is None else text)


@pytest.mark.parametrize(
    "text", ["No media", "No SD card", "SD init fail", "openRoot failed"]
)
def test_a_missing_card_is_a_state_and_a_refusal(text: str) -> None:
    line = text if text == "openRoot failed" else f"echo:{text}"
    assert parse_reply(line) == [CardState(ready=False, text=text), Refusal(text)]
    assert parse_reply(text.replace("No SD card", "No media"))[0] == CardState(
        ready=False, text=text.replace("No SD card", "No media")
    )


@pytest.mark.parametrize(
    ("line", "ready", "text"),
    [
        ("echo:SD card ok", True, "SD card ok"),
        ("SD card ok", True, "SD card ok"),
        ("echo:SD card released", False, "SD card released"),
        ("SD Card unmounted", False, "SD Card unmounted"),
        ("Card successfully initialized", True, "Card successfully initialized"),
    ],
)
def test_a_card_comes_and_goes(line: str, text: str, *, ready: bool) -> None:
    assert only(line) == CardState(ready=ready, text=text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Printer halted. kill() called!", "killed"),
        ("Heating failed, system stopped! Heater_ID: E0", "heating_failed"),
        ("Thermal Runaway, system stopped! Heater_ID: bed", "thermal_runaway"),
        ("THERMAL MALFUNCTION", "thermal_runaway"),
        ("MINTEMP triggered, system stopped! Heater_ID: 0", "mintemp"),
        ("MAXTEMP triggered, system stopped! Heater_ID: 0", "maxtemp"),
        ("watchdog reset", "watchdog"),
        ("Printer stopped due to errors. Fix the error and use M999", "stopped"),
        ("MAXTEMP triggered! Printer halted. kill() called!", "maxtemp"),
        ("Line Number is odd. kill() called!", "killed"),
    ],
)
def test_the_firmware_stopped_for_good(text: str, reason: str) -> None:
    assert only(f"Error:{text}") == Fatal(text, reason)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "Error: Heating fault on heater 1, temperature excursion exceeded 15.0°C",
            "heater_fault",
        ),
        ("Error: heating fault on heater 0, temperature rising", "heater_fault"),
        ("Error: Heater 1 fault: temperature rising too slowly", "heater_fault"),
        ("Heater 2 fault: failed to read sensor: shortCircuit", "heater_fault"),
        ("Error:Heater decoupled", "heater_decoupled"),
        (
            "Error:One heater seems decoupled from thermistor - disabling all!",
            "heater_decoupled",
        ),
        ("Error:Temp sensor defect", "sensor_defect"),
        ("heated bed: temp sensor defect marked defect", "sensor_defect"),
        ("Other:: temp sensor defect marked defect", "sensor_defect"),
        ("extruder 0: temp sensor defect", "sensor_defect"),
        ("Error:Printer set into dry run mode until restart!", "heaters_off"),
    ],
)
def test_a_heater_failed_and_the_firmware_goes_on(line: str, reason: str) -> None:
    text = line.removeprefix("Error:").strip()
    for dialect in (MARLIN, REPETIER, UNKNOWN):
        assert only(line, dialect) == HeaterFault(text, reason)


@pytest.mark.parametrize(
    "line", ["HEATER~1.GCO 51", "Heater decoupled.gcode 99", "My heater 1 fault: none"]
)
def test_other_texts_are_no_fault(line: str) -> None:
    assert only(line) == OtherText(line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ALARM: Kill button pressed - reset or M999 to continue", "killed"),
        ("ALARM: Hard limit +X", "fatal"),
        ("HALT asserted - reset or M999 required", "killed"),
        ("Limit switch min_x was hit - reset or M999 required", "fatal"),
        ("Limit switch Z was hit - reset or M999 required", "fatal"),
        ("HALTED, M999 or $X to exit HALT state", "fatal"),
    ],
)
def test_buttons_and_end_switches_stop_some_firmwares(line: str, reason: str) -> None:
    assert only(line, SMOOTHIEWARE) == Fatal(line, reason)
    assert only(line, MARLIN) == OtherText(line)


@pytest.mark.parametrize(
    "line",
    [
        "!!IMPO~1.GCO 12345",
        "!!READ~1.GCO 12345 0x58a1 !!read me.gcode",
        "!!important.gcode",
        "Probing failed.gcode 107",
        "probing failed again.g",
        "HALT asserted.gcode 5",
        "Limit switch mount.gcode 5",
        "Resend 12 parts.gcode 44",
    ],
)
@pytest.mark.parametrize("dialect", [MARLIN, SMOOTHIEWARE, KLIPPER])
def test_the_name_of_a_file_stops_nothing(line: str, dialect: Dialect) -> None:
    assert only(line, dialect) == OtherText(line)
    assert parse_file(line)


@pytest.mark.parametrize(
    "text",
    [
        'GCode file "0:/gcodes/watchdog v2.gcode" not found',
        "Cannot open file maxtemp.gcode",
        "watchdog.gco: no such file",
    ],
)
def test_a_file_that_is_not_found_stops_nothing(text: str) -> None:
    assert only(f"Error:{text}") == Refusal(text)
    fatal = f"{text}. Printer halted. kill() called!"
    assert only(f"Error:{fatal}") == Fatal(fatal, "killed")


def test_what_follows_two_bangs_may_end_like_a_file() -> None:
    text = "Unable to open file cube.gcode"
    assert only(f"!! {text}", KLIPPER) == Refusal(text)
    assert only("!!", SMOOTHIEWARE) == Fatal("", "fatal")
    assert only("!!overheated at 1.0", MARLIN) == Fatal("overheated at 1.0", "fatal")


def test_old_firmwares_tell_the_reason_on_a_second_line() -> None:
    assert only("Error:0") == Refusal("0")
    text = "Extruder switched off. MAXTEMP triggered !"
    assert only(f": {text}") == Fatal(text, "maxtemp")


def test_a_fatal_line_of_its_own_kind() -> None:
    assert only("fatal:Heater error") == Fatal("fatal:Heater error", "fatal")


def test_a_double_bang_means_what_the_dialect_says() -> None:
    assert only("!! oops", MARLIN) == Fatal("oops", "fatal")
    assert only("!! oops", UNKNOWN) == Refusal("oops")
    assert only("!! MAXTEMP", UNKNOWN) == Fatal("MAXTEMP", "maxtemp")
    shutdown = "Heater extruder not heating at expected rate"
    assert only(f"!! {shutdown}", KLIPPER) == Refusal(shutdown)


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("// Klipper state: Ready", "ready"),
        ("// Klipper state: Not ready", "not_ready"),
        ("// Klipper state: Shutdown", "shutdown"),
        ("// Klipper state: Disconnect", "disconnect"),
        ("// Printer is shutdown", "shutdown"),
        ("// Printer is halted", "not_ready"),
        ("// Error configuring printer", "not_ready"),
    ],
)
def test_a_host_firmware_reports_its_own_state(line: str, state: str) -> None:
    assert only(line, KLIPPER) == Readiness(state)


def test_such_a_remark_of_another_firmware_is_only_text() -> None:
    assert only("// Printer is shutdown", MARLIN) == OtherText("// Printer is shutdown")


@pytest.mark.parametrize(
    ("line", "readings"),
    [
        (" T:51.14 /60.00 B:19.37 /0.00 @:0 B@:0", {"T": (51.14, 60), "B": (19.37, 0)}),
        ("T:53.64 /100.00 B:19 /0 @:36 B@:0 W:?", {"T": (53.64, 100), "B": (19, 0)}),
        ("T:25.0 E:0 W:3", {"T": (25, None)}),
        ("B:22.8 /40.0 T0:33.9 /70.0", {"B": (22.8, 40), "T0": (33.9, 70)}),
        (
            "T:20 /0 B:21 /0 T0:20 /0 T1:22 /5 @:0 B@:0 @0:0 @1:0",
            {"T": (20, 0), "B": (21, 0), "T0": (20, 0), "T1": (22, 5)},
        ),
        ("T:21.0/0.0 @0 T1:22.0/0.0", {"T": (21, 0), "T1": (22, 0)}),
        ("T: 200 / 210", {"T": (200, 210)}),
        ("T:200 210", {"T": (200, 210)}),
        ("T:-14.5 /0", {"T": (-14.5, 0)}),
        ("T:-0.00 /0", {"T": (0, 0)}),
        ("T:nan /0.0 B:20 /nan", {"T": (None, 0), "B": (20, None)}),
        ("T:20 /0 T:99 /99", {"T": (20, 0)}),
        ("T:20 /0 P:25.1 A:28", {"T": (20, 0), "P": (25.1, None), "A": (28, None)}),
        ("A:26 B:20 /0 T0:20 /0", {"A": (26, None), "B": (20, 0), "T0": (20, 0)}),
        ("T0:20 /0 C:31 /0", {"T0": (20, 0), "C": (31, 0)}),
    ],
)
def test_temperatures_are_read_as_a_person_would(
    line: str, readings: dict[str, tuple[float | None, float | None]]
) -> None:
    expected = {name: Reading(*pair) for name, pair in readings.items()}
    assert only(line) == TemperatureReport(expected, waiting="W:" in line)


@pytest.mark.parametrize(
    "line",
    [
        "A:10.0 B:20.0 C:30.0",  # the joints of a delta machine
        "P:20.0 /0.0",
        "E:0 W:3",
        "bias: 92 d: 92 min: 198.51 max: 201.49",
        "Bed X: 10.00 Y: 10.00 Z: 0.05",
        "T:warm",
        "T:12345678901234567890",
    ],
)
def test_what_only_looks_like_a_report_is_none(line: str) -> None:
    assert only(line) == OtherText(line)


def test_a_dialect_names_its_extra_sensors() -> None:
    line = "T:20 /0 P:25.1 E:30"
    assert only(line, MORE_SENSORS) == TemperatureReport(
        {"T": Reading(20, 0), "pinda": Reading(25.1), "env": Reading(30)}
    )


@pytest.mark.parametrize(
    ("line", "targets"),
    [
        ("TargetExtr0:200", {"T0": 200}),
        ("TargetExtr1: 205.5", {"T1": 205.5}),
        ("TargetBed:60", {"B": 60}),
    ],
)
def test_some_report_targets_on_lines_of_their_own(
    line: str, targets: dict[str, float]
) -> None:
    assert only(line, REPORTS_TARGETS) == Targets(targets)
    assert only(line, MARLIN) == OtherText(line)


def test_a_target_line_without_a_number_is_text() -> None:
    assert only("TargetBed:hot", REPORTS_TARGETS) == OtherText("TargetBed:hot")


@pytest.mark.parametrize(
    ("line", "position"),
    [
        (
            "X:-0.00 Y:190.00 Z:20.00 E:-2.00 Count X:800 Y:15200 Z:8000",
            PositionReport(0, 190, 20, -2),
        ),
        ("X: 1.00 Y: 2.00 Z: 3.00 E: 4.00", PositionReport(1, 2, 3, 4)),
        (
            "X:1.00Y:2.00Z:3.00E:4.00 Count X: 1.00Y:2.00Z:3.00",
            PositionReport(1, 2, 3, 4),
        ),
        ("X:1 Y:2 Z:3 E0:4.5 E1:6.0", PositionReport(1, 2, 3, 4.5, (4.5, 6.0))),
        ("X:1 Y:2 Z:3 E:9 E0:4.5 E1:6.0", PositionReport(1, 2, 3, 9, (4.5, 6.0))),
        ("X:1 Y:2 Z:3", PositionReport(1, 2, 3)),
    ],
)
def test_positions_are_read_as_a_person_would(
    line: str, position: PositionReport
) -> None:
    assert only(line) == position
    assert str(only(line)).find("-0.0,") < 0


def test_a_firmwares_name_and_fields_may_have_blanks() -> None:
    said = only(
        "FIRMWARE_NAME:Marlin bugfix-2.1.x (Nov 22 2026 18:19:05) "
        "SOURCE_CODE_URL:github.com/MarlinFirmware/Marlin PROTOCOL_VERSION:1.0 "
        "MACHINE_TYPE:SimRap 1.4 EXTRUDER_COUNT:1 UUID:cede2a2f-41a2"
    )
    assert said == FirmwareReport(
        "Marlin bugfix-2.1.x (Nov 22 2026 18:19:05)",
        {
            "FIRMWARE_NAME": "Marlin bugfix-2.1.x (Nov 22 2026 18:19:05)",
            "SOURCE_CODE_URL": "github.com/MarlinFirmware/Marlin",
            "PROTOCOL_VERSION": "1.0",
            "MACHINE_TYPE": "SimRap 1.4",
            "EXTRUDER_COUNT": "1",
            "UUID": "cede2a2f-41a2",
        },
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("NAME: Malyan VER: 2.9 MODEL: M200 HW: HA02", "Malyan 2.9"),
        ("NAME. Malyan VER: 2.9 MODEL: M200", "Malyan 2.9"),
        ("FIRMWARE_NAME:Smoothieware, FIRMWARE_VERSION:edge", "Smoothieware"),
        ("FIRMWARE_NAME: RepRapFirmware for Duet 2 ELECTRONICS: Duet", None),
    ],
)
def test_firmwares_name_themselves_differently(line: str, name: str | None) -> None:
    said = only(line)
    assert isinstance(said, FirmwareReport)
    assert said.name == (name or "RepRapFirmware for Duet 2")


def test_a_name_without_a_key_is_text() -> None:
    assert only("NAME.gco 5") == OtherText("NAME.gco 5")


def test_a_blank_line_says_nothing() -> None:
    assert parse_reply("") == parse_reply(" \r\0") == []


def test_the_lines_of_one_stop_are_joined() -> None:
    cause = Fatal("Heating failed", "heating_failed")
    kill = Fatal("kill() called!", "killed")
    both = "Heating failed kill() called!"
    assert firmware_errors.join_fatal(cause, kill) == Fatal(both, "heating_failed")
    assert firmware_errors.join_fatal(kill, cause) == Fatal(
        "kill() called! Heating failed", "heating_failed"
    )
    assert firmware_errors.join_fatal(cause, cause) == cause


@given(st.text(), st.sampled_from(list(DIALECTS.values())))
@example("ok N" + "9" * 5000, MARLIN)
@example("Resend:" + "9" * 5000, MARLIN)
@example("T:" + "9" * 400 + " /0", MARLIN)
@example("SD printing byte " + "9" * 5000 + "/1", MARLIN)
@example("T:\u0663\u0664 /0", MARLIN)
def test_any_text_is_understood_somehow(text: str, dialect: Dialect) -> None:
    found = parse_reply(text, dialect)
    assert bool(found) == bool(text.replace("\0", "").strip())


_WORDS = st.text("okTBXYZENrs:/@!-.0129 \r", max_size=4) | st.sampled_from(
    [
        "resend:",
        "Error:",
        "echo:",
        "// action:",
        "Cap:",
        "FIRMWARE_NAME:",
        "NAME.",
        "File opened",
        "Size:",
        "SD printing byte",
        "busy:",
        "nan",
        "Last Line:",
        "TargetBed:",
        "Percent done:",
        "999999999999",
    ]
)


@given(st.lists(_WORDS, max_size=12), st.sampled_from([*DIALECTS.values()]))
def test_any_mixture_of_known_words_is_parsed(
    words: list[str], dialect: Dialect
) -> None:
    text = "".join(words)
    assert bool(parse_reply(text, dialect)) == bool(text.strip())
