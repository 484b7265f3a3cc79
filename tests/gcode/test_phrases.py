"""What firmwares of all families say, and what it means: kinds of phrases."""

import pytest

from bridge.gcode.dialects import (
    DIALECTS,
    KLIPPER,
    MALYAN,
    MARLIN,
    MARLIN1,
    PRUSA,
    REPETIER,
    REPRAPFIRMWARE,
    SMOOTHIEWARE,
    UNKNOWN,
    Dialect,
    detect,
)
from bridge.gcode.file_list import Listing
from bridge.gcode.firmware_errors import (
    FAILURES,
    FATAL_REASONS,
    HEATER_FAULTS,
    SOURCES,
)
from bridge.gcode.reply_parser import ECHOED, RULES, parse_reply
from bridge.gcode.reply_types import (
    Action,
    ActiveTool,
    Busy,
    CardState,
    Fatal,
    ForeignFirmware,
    Locked,
    Ok,
    OtherText,
    PositionReport,
    PrintCancelled,
    PrintDone,
    Readiness,
    Reading,
    Refusal,
    Reply,
    TemperatureReport,
)


def readings(line: str, dialect: Dialect = MARLIN) -> dict[str, Reading]:
    """Return the readings of a report; none where it is not a report."""
    for reply in parse_reply(line, dialect):
        if isinstance(reply, TemperatureReport):
            return dict(reply.readings)
    return {}


@pytest.mark.parametrize(
    ("line", "dialect"),
    [
        ("Error:Probing Failed", MARLIN),
        ("Error:probing failed", MARLIN1),
        ("Probing failed", MARLIN),
        ("!! Probing failed", UNKNOWN),
        ("Error:Homing Failed", MARLIN),
        ("echo:Homing Failed", MARLIN),
        ("Error:Failed to probe at X10 Y10", MARLIN),
        ("Error: Z probe was not triggered during probing move", REPRAPFIRMWARE),
        ("Error: G29: probing failed", REPRAPFIRMWARE),
        ("!! Probe samples exceed samples_tolerance", KLIPPER),
        ("!! No trigger on probe after full movement", KLIPPER),
        ("Error:Bed leveling failed. Sensor triggered too high", PRUSA),
        ("Error:STOP called because of BLTouch error - restart with M999", MARLIN),
        ("Error:!! STOP called because of BLTouch error - restart with M999", MARLIN),
        ("Error: Bad command: Connection to Linux", REPRAPFIRMWARE),
    ],
)
def test_an_operation_that_failed_stops_no_printer(line: str, dialect: Dialect) -> None:
    (reply,) = parse_reply(line, dialect)
    assert isinstance(reply, Refusal)


@pytest.mark.parametrize(
    ("line", "dialect", "reason"),
    [
        ("Error:Printer halted. kill() called!", MARLIN, "killed"),
        ("Error:Probing Failed. Printer halted. kill() called!", MARLIN, "killed"),
        ("Error:Printer stopped due to errors. Fix and use M999", MARLIN1, "stopped"),
        ("Printer stopped due to errors. Fix and use M999", MARLIN, "stopped"),
        ("fatal:Heater/sensor error", REPETIER, "fatal"),
        ("HALT asserted - reset or M999 required", UNKNOWN, "killed"),
        ("Halted, M999 to exit HALT state", UNKNOWN, "fatal"),
        ("ALARM: Kill button pressed", UNKNOWN, "killed"),
        (
            "ERROR: Temperature runaway on B (delta temp 24.5), HALT asserted",
            SMOOTHIEWARE,
            "thermal_runaway",
        ),
        (
            "ERROR: Temperature took too long to be reached on B, HALT asserted",
            SMOOTHIEWARE,
            "heating_failed",
        ),
        ("ALARM: Kill button pressed", SMOOTHIEWARE, "killed"),
        (
            "Error:Thermal Runaway, system stopped! Heater_ID: 0",
            PRUSA,
            "thermal_runaway",
        ),
    ],
)
def test_a_halt_is_still_a_halt(line: str, dialect: Dialect, reason: str) -> None:
    (reply,) = parse_reply(line, dialect)
    assert isinstance(reply, Fatal)
    assert reply.reason == reason


@pytest.mark.parametrize(
    "value",
    ["inf", "INF", "-inf", "ovf", "---", "--", "nan", "?", "-273.1", "2000.0", "1100"],
)
def test_a_temperature_that_cannot_be_measured_is_not_known(value: str) -> None:
    line = f"ok T:{value} /200.0 @255 B:60.0 /60.0 @0"
    expected = {"T": Reading(None, 200.0), "B": Reading(60.0, 60.0)}
    assert readings(line) == expected
    assert Ok(temperature=True) in parse_reply(line)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("ok N5 P7 B15 T:153.4 /0.0 B:60.4 /65.0 T0:153.4 /0.0 @:0 B@:123", 5),
        ("ok P15 B3 T:153.4 /0.0 B:60.4 /65.0", None),
        ("ok 5 T:153.4 /0.0 B:60.4 /65.0", 5),
        ("ok N5 T:153.4 /0.0 B:60.4 /65.0", 5),
        ("ok N:5 T:153.4 /0.0 B:60.4 /65.0", 5),
        ("ok N5 B15 P7 T:153.4 /0.0 B:60.4 /65.0", 5),
        ("ok N-1 P15 B3 T:153.4 /0.0 B:60.4 /65.0", -1),
        ("ok T:153.4 /0.0 B:60.4 /65.0", None),
        ("ok B:60.4 /65.0 T:153.4 /0.0", None),
    ],
)
@pytest.mark.parametrize("dialect", [MARLIN, MALYAN, UNKNOWN], ids=lambda d: d.name)
def test_an_ok_carries_its_number_and_the_report(
    line: str, number: int | None, dialect: Dialect
) -> None:
    *reports, ok = parse_reply(line, dialect)
    assert isinstance(ok, Ok)
    assert (ok.number, ok.temperature) == (number, True)
    (report,) = reports
    assert isinstance(report, TemperatureReport)
    assert report.readings["T"].actual == 153.4
    assert report.readings["B"] == Reading(60.4, 65.0)
    assert report.asked


@pytest.mark.parametrize(
    "line", ["ok P15 B3", "ok N7 P15 B3", "ok 12 files", "ok hello", "ok N7 X:1"]
)
def test_other_words_behind_an_ok_are_no_report(line: str) -> None:
    assert readings(line) == {}


def test_a_report_by_itself_answers_nothing() -> None:
    (report,) = parse_reply(" T:20 /0 B:20 /0")
    assert isinstance(report, TemperatureReport)
    assert not report.asked


@pytest.mark.parametrize(
    ("line", "dialect", "sensors"),
    [
        ("OOOOT:199.8 /200 B:60 /60", MARLIN, set[str]()),
        ("  TT::124.72124.72  //0.000.00 B:60 /60", MARLIN, set[str]()),
        ("T:20 /0 TEMP:5 B:20 /0", MARLIN, set[str]()),
        ("T:20 /0 b:20", MARLIN, set[str]()),
        ("T:20 /0 @x:5 _:5", MARLIN, set[str]()),
        ("T:20 /0 P:25.0 A:23.8", PRUSA, {"pinda", "ambient"}),
        ("T:20 /0 P:25.0", MARLIN, {"P"}),
        ("T0:20 /0 heatbreak:31.0 /0.0", KLIPPER, {"heatbreak"}),
        ("T0:20 /0 TEPPING:0", KLIPPER, set[str]()),
        ("heatbreak:31.0 /0.0 T0:20.0 /0.0", KLIPPER, {"heatbreak"}),
        ("EXTRUDER_COUNT:2 0123456789 ==B:33.07 Z' M:44.27", KLIPPER, set[str]()),
        ("EXTRUDER_COUNT:2 0123456789 ==B:33.07 M:44.27 /0", KLIPPER, set[str]()),
        ("T:20 /0 @0 F:25.0 /0.0 @0", SMOOTHIEWARE, {"F"}),
        ("T:20 /0 F:25.0 /0.0", MARLIN, set[str]()),
        ("T0:20 /0 X:1.0 Y:2.0 Z:3.0 E:0.0", KLIPPER, set[str]()),
        ("T:20 /0 W:?X:6.65 Y:0.00 Z:0.00 E:0.00 Count X:532", MARLIN, set[str]()),
        ("B:60 /60ok N:14", PRUSA, set[str]()),
        ("T:20 /0 B:20 /0 X:200.000 600.00", UNKNOWN, set[str]()),
        ("T:20 /0 A:23.8 X:36.0/36.0", PRUSA, {"ambient", "X"}),
        ("T:20 /0 C:30 /0 P:25 M:40 R:20 L:18", MARLIN, {"C", *"PMRL"}),
        ("T0:20 /0 heatbreak:31.0", MARLIN, set[str]()),
        ("T:20 /0 X:36.0/36.0", UNKNOWN, {"X"}),
    ],
)
def test_only_what_the_family_calls_so_is_a_sensor(
    line: str, dialect: Dialect, sensors: set[str]
) -> None:
    assert {name for name in readings(line, dialect) if name not in "TB"} - {
        "T0"
    } == sensors


@pytest.mark.parametrize(
    ("line", "tool", "bed"),
    [
        (" ==T:195.00 /195.00 ==B:45.33 /50.00 @:127 B@:127", 195.0, 45.33),
        ("==T:195.00 /195.00 ==B:45.33 /50.00", 195.0, 45.33),
        ("ok ==T:195.00 /195.00 ==B:45.33 /50.00", 195.0, 45.33),
        (" =T:195.00 /195.00 =B:45.33 /50.00", 195.0, 45.33),
        ("===T:195.00 /195.00 ===B:45.33 /50.00", 195.0, 45.33),
        ("==B:45.33 /50.00 ==T:195.00 /195.00", 195.0, 45.33),
        ("==T:195.00 /195.00 ==B:45.33 /50.00 @:127 B@:127 W:?", 195.0, 45.33),
    ],
)
def test_ornaments_before_a_heater_are_left_out(
    line: str, tool: float, bed: float
) -> None:
    found = readings(line)
    assert (found["T"].actual, found["B"].actual) == (tool, bed)


@pytest.mark.parametrize(
    "line",
    [
        "T0:220.36 /220.00 B:60.03 /60.00 T0:50.44 /0.00 T1:220.36 /220.00",
        "ok T0:220.36 /220.00 B:60.03 /60.00 T0:50.44 /0.00 T1:220.36 /220.00 @:0",
        "T1:220.36 /220.00 T0:50.44 /0.00 T1:220.36 /220.00",
        "T:220.36 /220.00 B:60.03 /60.00 T0:50.44 /0.00 T1:220.36 /220.00",
        "T0:50.44 /0.00 T1:220.36 /220.00",
        "T1:220.36 /220.00 B:60 /60 T0:50.44 /0.00 T1:220.36 /220.00 T2:20 /0",
        "T0:220.36 /220.00 T0:50.44 /0.00 T1:220.36 /220.00 E:1 W:?",
    ],
)
def test_of_a_tool_that_is_named_twice_the_list_counts(line: str) -> None:
    found = readings(line)
    assert (found["T0"], found["T1"]) == (Reading(50.44, 0), Reading(220.36, 220))


def test_of_the_zones_of_a_bed_the_first_is_the_bed() -> None:
    for line, bed, zones in (
        ("T0:210 /210 B0:59.9 /60 B1:36.4 /0 M:44 /0", 59.9, {"B1", "M"}),
        ("ok T:210 /210 B0:59.9 /60 B1:36.4 /0", 59.9, {"B1"}),
        ("ok B0:59.9 /60 T0:210 /210", 59.9, set[str]()),
        ("T:210 /210 B:50 /60 B0:59.9 /60 B1:36.4 /0", 50, {"B0", "B1"}),
        ("T:210 /210 B:60/60 B_0_0:21.3/0 B_1_0:20.4/0 HBR@:51", 60, set[str]()),
    ):
        found = readings(line)
        assert found["B"].actual == bed
        assert found["B"].target == 60
        assert {*found} - {"T", "T0", "B"} == zones


def test_a_target_that_no_heater_can_have_is_not_known() -> None:
    for line, target in (
        ("==T:32.32 /-28416.00 ==B:33.07 /0.00 @:0 B@:0", None),
        ("ok T: 32.3/-273.0 B:33 /0", None),
        ("T:32 /2000 B:33 /0", None),
        ("T:32 /nan B:33 /0", None),
        ("T:32 /-10.0 B:33 /0", -10.0),
        ("T:32 /-0.0 B:33 /0", 0.0),
    ):
        assert readings(line)["T"].target == target, line


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("T:220.13 /220.00 @:104 @0:127 @1:10N2ok N238 P1 B3", 238),
        ("T:204.87 /205.00 B:77.73 /75.00 @:55 B@:0 @0:55 @N780ok", None),
        ("T:199.93 /200.00 B:77.38 /75.00 @0:56 @1:N2ok", None),
        ("T:20.1 /0.0 B:20.1 /0.0ok", None),
        ("T:20.1 /0.0 @:0ok N7", 7),
        ("T:20.1 /0.0 @:ok P15 B3", None),
    ],
)
def test_an_ok_that_interrupts_a_report_counts(line: str, number: int | None) -> None:
    report, ok = parse_reply(line)
    assert isinstance(report, TemperatureReport)
    assert report.readings["T"].actual is not None
    assert ok == Ok(number)


@pytest.mark.parametrize(
    "line", ["T:20 /0 hook", "T:20 /0 ok then", "T:20 /0 @:0ok 5", "X:1 Y:2 Z:3 E:0ok"]
)
def test_other_words_in_a_report_acknowledge_nothing(line: str) -> None:
    assert not any(isinstance(reply, Ok) for reply in parse_reply(line))


@pytest.mark.parametrize(
    ("line", "e"),
    [
        ("X:1.00 Y:2.00 Z:3.00 A:0.00 E:4.00 Count X:0 Y:0 Z:0", 4.0),
        ("X:1.00 Y:2.00 Z:3.00 I:0.00 J:0.00 E:4.00", 4.0),
        ("X:1.000,Y:2.000,Z:3.000,E:4.000,F:1500", 4.0),
        ("X:1.000 Y:2.000 Z:3.000 U:0.000 E:4.000 E0:9.0", 4.0),
        ("X:1.00 Y:2.00 Z:3.00 A:0.00 B:1.0 C:2.0 E0:4.00 E1:5.00", 4.0),
        ("ok C: X:1.0000 Y:2.0000 Z:3.0000 A:0.0000 E:4.0000", 4.0),
        ("ok C: X:1.0000000000000000 Y:2.0 Z:3.00000000000000 E:4", 4.0),
        ("X:1.00 Y:2.00 Z:3.00 Count X:0 E:7", None),
    ],
)
def test_other_axes_may_stand_before_the_extruder(line: str, e: float | None) -> None:
    place = parse_reply(line)[0]
    assert isinstance(place, PositionReport)
    assert (place.x, place.y, place.z, place.e) == (1, 2, 3, e)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("echo:Active Extruder: 2", ActiveTool(2)),
        ("Active Extruder: 2", ActiveTool(2)),
        ("echo:busy:paused for user interaction", Busy("paused for user interaction")),
        ("echo:busy: paused for input", Busy("paused for input")),
        ("// action:out_of_filament T0", Action("out_of_filament", "T0")),
        ("//action:sd_updated", Action("sd_updated")),
        ("SD card removed", CardState(ready=False, text="SD card removed")),
        ("echo:SD card removed", CardState(ready=False, text="SD card removed")),
        ("SD print stopped by user.", PrintCancelled()),
        ("SD print stopped", PrintCancelled()),
        ("SD print cancelled by user", PrintCancelled()),
        ("SD print canceled.", PrintCancelled()),
        ("SD print aborted.", PrintCancelled()),
        (
            "Cancelled printing file 0:/gcodes/cube.gcode, print time was 0h 5m",
            PrintCancelled(),
        ),
        (
            "Finished printing file 0:/gcodes/cube.gcode, print time was 0h 5m",
            PrintDone(),
        ),
        ("Done printing file", PrintDone()),
        ("// Printer is halted", OtherText("// Printer is halted")),
        ("Grbl 1.1h ['$' for help]", ForeignFirmware("grbl")),
        ("Grbl 0.9j ['$' for help]", ForeignFirmware("grbl")),
        ("GrblHAL 1.1f ['$' or '$HELP' for help]", ForeignFirmware("grblHAL")),
        ("Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]", ForeignFirmware("FluidNC")),
        ("grbl v1.1", ForeignFirmware("grbl")),
        ("[VER:1.1h.20190825:]", ForeignFirmware("grbl")),
    ],
)
def test_each_family_has_words_of_its_own(line: str, reply: Reply) -> None:
    assert parse_reply(line) == [reply]


@pytest.mark.parametrize(
    "line",
    [
        "Done printing file.gcode 12",
        "Finished printing file 2.gcode 100",
        "Cancelled printing file.gco 5",
        "SD print stopped by user.gcode 5",
        "File selected.gcode 9",
        "Begin file list.gco 4",
        "Not SD printing.gcode 9",
        "Grbl plate.gcode 12",
        "Printer locked.gcode 3",
        "Printer stopped due to errors.gcode 5",
    ],
)
def test_the_name_of_a_file_is_no_message(line: str) -> None:
    assert parse_reply(line) == [OtherText(line)]


def test_whether_a_print_was_completed_is_not_said_by_everybody() -> None:
    assert parse_reply("Done printing file", MARLIN) == [PrintDone()]
    assert parse_reply("Done printing file", REPRAPFIRMWARE) == [
        PrintDone(certain=False)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Printer locked! (Unlock with M511 or LCD)",
        "Printer locked!",
        "Printer locked! Use M511",
    ],
)
def test_a_locked_printer_refuses(text: str) -> None:
    assert parse_reply(f"echo:{text}") == [Locked(text), Refusal(text)]


@pytest.mark.parametrize(
    "name",
    ["Klipper", "Kalico", "kalico", "Danger-Klipper", "Klipper v0.12", "Kalico v2026"],
)
def test_the_forks_of_klipper_are_of_its_family(name: str) -> None:
    assert detect(name) is KLIPPER


@pytest.mark.parametrize(
    ("lines", "readiness"),
    [
        (("!! Printer is not ready",), "not_ready"),
        (("// Printer is halted",), "not_ready"),
        (("// Error configuring printer",), "not_ready"),
        (("// Printer is shutdown",), "shutdown"),
        (("// Kalico state: Not ready",), "not_ready"),
    ],
)
def test_a_host_firmware_that_is_not_ready(
    lines: tuple[str, ...], readiness: str
) -> None:
    said = [reply for line in lines for reply in parse_reply(line, KLIPPER)]
    assert said[0] == Readiness(readiness)


@pytest.mark.parametrize(
    ("lines", "paths"),
    [
        (
            (
                'DIR_ENTER: /OLDGCO~1/ "Old gcodes"',
                "CUBE~1.GCO 5 cube.gcode",
                "DIR_EXIT",
            ),
            ["/OLDGCO~1/CUBE~1.GCO"],
        ),
        (
            ("DIR_ENTER: /A/", "DIR_ENTER: /A/B/", "X.GCO 1", "DIR_EXIT", "Y.GCO 2"),
            ["/A/B/X.GCO", "/A/Y.GCO"],
        ),
        (
            ('DIR_ENTER: /A/ "A"', "/A/X.GCO 1", "DIR_EXIT", "Z.GCO 3"),
            ["/A/X.GCO", "Z.GCO"],
        ),
        (
            ("parts/", "parts/cube.gcode 12", "a.gcode 5"),
            ["parts/cube.gcode", "a.gcode"],
        ),
        (("NONE",), list[str]()),
        (("FOO.DIR", "BAR.DIR 0", "A.GCO 4"), ["A.GCO"]),
        (("*macros", "A.GCO 4"), ["A.GCO"]),
        (("DIR_EXIT", "A.GCO 4"), ["A.GCO"]),
        (("none.gcode 5", "DIR_ENTER.GCO 5"), ["none.gcode", "DIR_ENTER.GCO"]),
    ],
)
def test_folders_are_no_files(lines: tuple[str, ...], paths: list[str]) -> None:
    listing = Listing()
    for line in lines:
        listing = listing.add(line)
    assert [file.path for file in listing.files] == paths


@pytest.mark.parametrize(
    "rule",
    [rule for rules in (ECHOED, *RULES.values()) for rule in rules],
    ids=lambda rule: rule.example,
)
def test_each_rule_has_an_example_that_it_matches(rule: object) -> None:
    example: str = getattr(rule, "example", "")
    families: tuple[str, ...] = getattr(rule, "families", ())
    known = [DIALECTS[name] for name in families if name in DIALECTS] or [MARLIN]
    for dialect in known:
        replies = parse_reply(example, dialect)
        assert replies != [OtherText(example)] or example.startswith(
            ("echo:", "File deleted")
        ), f"{dialect.name}: {example}"


def test_each_mark_of_a_halt_has_families_and_a_source() -> None:
    marks = {**FATAL_REASONS, **FAILURES, **HEATER_FAULTS}
    assert marks.keys() == SOURCES.keys()
    for families, source in SOURCES.values():
        assert {*families.split()} <= {*DIALECTS}
        assert source.startswith("https://")
    for rule in (rule for rules in (ECHOED, *RULES.values()) for rule in rules):
        assert rule.source.startswith(("https://", "tests/", "docs/")), rule.example
