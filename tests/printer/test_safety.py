"""What is refused because of the printer's state, and what because of a limit."""

from collections.abc import Sequence
from itertools import product

import pytest

from bridge.commands.registry import COMMANDS
from bridge.config import BLOCKED, MaxTemperature, Profile, Volume
from bridge.errors import RejectedError
from bridge.gcode.codes import rows
from bridge.gcode.dialects import (
    KLIPPER,
    MARLIN,
    MARLIN1,
    PRUSA,
    REPETIER,
    REPRAPFIRMWARE,
    SMOOTHIEWARE,
    TEACUP,
    UNKNOWN,
    Dialect,
)
from bridge.printer.limits.safety import SafetyRules, Situation, check, gate
from bridge.printer.limits.travel import InitialState
from tests.support.knowing import rules
from tests.support.matrix import MATRIX, refusal

SITUATIONS = {
    "offline": {"operational": False},
    "operational": {},
    "printing": {"printing": True},
    "paused": {"paused": True},
}


BEYOND_THE_GATE = {
    ("job", "recover"): {"operational"},
    ("job", "plan_recovery"): {"operational"},
    ("job", "restart"): {"printing"},
    ("job", "exclude"): {"printing", "paused"},
    ("queue", "release"): ("printing", "paused"),
}
"""Where the command itself decides, which knows more of the print than its state."""


def test_every_command_is_in_the_matrix() -> None:
    assert {(command.topic, command.name) for command in COMMANDS} == set(MATRIX)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.topic}-{c.name}")
@pytest.mark.parametrize("state", SITUATIONS)
def test_the_matrix(command: type, state: str) -> None:
    topic_command = next(kind for kind in COMMANDS if kind is command)
    example = topic_command.examples[0] if topic_command.examples else {}
    asked = topic_command.model_validate(example)
    for bed, chamber, card in product((True, False), repeat=3):
        situation = Situation(
            profile=Profile(heated_bed=bed, heated_chamber=chamber),
            card_ready=card,
            **SITUATIONS[state],
        )
        key = (topic_command.topic, topic_command.name)
        word = refusal(key, state, bed=bed, chamber=chamber, card=card)
        if not word or state in BEYOND_THE_GATE.get(key, ()):
            gate(asked, situation)
            continue
        with pytest.raises(RejectedError) as caught:
            gate(asked, situation)
        assert (caught.value.code, caught.value.error) == (409, word)
        assert caught.value.message


def test_a_card_nobody_knows_of_is_tried() -> None:
    refresh = next(c for c in COMMANDS if (c.topic, c.name) == ("sd", "refresh"))
    gate(refresh(), Situation(card_ready=None))


BOX = Profile(
    extruders=2,
    heated_chamber=True,
    max_temperature=MaxTemperature(tool=250, bed=100, chamber=60),
    volume=Volume(x=(0, 220), y=(-10, 220), z=(0, 250)),
    max_speed=12_000,
    max_extrusion=100,
)
HOME = {"x": 0.0, "y": 0.0, "z": 0.0, "e": 0.0}


def refused(
    lines: Sequence[str],
    profile: Profile = BOX,
    dialect: Dialect = MARLIN,
) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        check(lines, rules(profile, dialect=dialect))
    return caught.value


MARLIN_LINES = [
    ("M104 S251", "250 °C (profile.max_temperature.tool)"),
    ("M104 T1 S250.5", "250.5 °C is beyond the tool's limit of 250 °C"),
    ("M109 R300", "profile.max_temperature.tool"),
    ("M104 F0.1 S200 B300", "300 °C is beyond"),
    ("M140 S101", "profile.max_temperature.bed"),
    ("M190 R101", "profile.max_temperature.bed"),
    ("M141 S61", "profile.max_temperature.chamber"),
    ("M191 S61", "profile.max_temperature.chamber"),
    ("M104.1 S300", "profile.max_temperature.tool"),
    ("M303 E0 S300 C8", "profile.max_temperature.tool"),
    ("M303 S300", "profile.max_temperature.tool"),
    ("M303 E-1 S120", "profile.max_temperature.bed"),
    ("M303 E-2 S120", "profile.max_temperature.chamber"),
    ("M145 S0 H300 B60 F255", "profile.max_temperature.tool"),
    ("M145 S0 H200 B120", "profile.max_temperature.bed"),
    ("M145 S0 C61", "profile.max_temperature.chamber"),
    ("G26 H300", "profile.max_temperature.tool"),
    ("G26 B120", "profile.max_temperature.bed"),
    ("M104 S-1", "-1 °C is below 0 °C"),
    ("M600 R300", "profile.max_temperature.tool"),
    ("M86 S60 E300", "profile.max_temperature.tool"),
    ("M86 S60 B120", "profile.max_temperature.bed"),
    ("G4 S901", "901 s are not between 0 and 900 s (profile.max_dwell)"),
    ("G4 P900001", "900.001 s are not between"),
    ("G4 P-1", "-0.001 s are not between"),
    ("M300 S440 P86400000", "86400 s are not between"),
    ("M303 S200 C51", "C51 is more than 50 cycles"),
    ("M220 S1001", "1001 % is not between 0 and 1000 %"),
    ("M221 S-1", "-1 % is not between"),
    ("M851 Z-11", "Z-11 is more than 10 mm"),
    ("M207 S101", "S101 is more than 100 mm (profile.max_extrusion)"),
    ("M603 L101", "L101 is more than 100 mm"),
    ("M701 L101", "L101 is more than 100 mm"),
    ("M600 E-101", "E-101 is more than 100 mm"),
    ("M207 W101", "W101 is more than 100 mm"),
    ("M207 Z11", "Z11 is more than 10 mm"),
    ("M208 S101", "S101 is more than 100 mm"),
    ("M217 B101", "B101 is more than 100 mm"),
    ("G26 H200 B60 P101", "P101 is more than 100 mm"),
    ("M421 I0 J0 Z-11", "Z-11 is more than 10 mm"),
    ("M421 I0 J0 Q11", "Q11 is more than 10 mm"),
    ("M200 D0.1", "0.1 mm is not a filament diameter; it must be at least 1.2 mm"),
    ("G12 P2 R500", "R500 is more than 50 mm"),
    ("G12 S1000000", "S1000000 is more than 100"),
    ("G28 R900", "R900 is more than 50 mm"),
    ("G29 P6 C-20", "C-20 is more than 10 mm"),
    ("G29 S4 Z-20", "Z-20 is more than 10 mm"),
    ("G34 Z500", "Z500 is more than 50 mm"),
    ("G26 H200 B60 O500", "O500 is more than 100 mm"),
    ("G30 X5 F13000", "13000 mm/min is faster than 12000"),
    ("G42 I1 J1 F13000", "13000 mm/min is faster than 12000"),
    ("G61 X F13000", "13000 mm/min is faster than 12000"),
    ("G38.2 X5 F13000", "13000 mm/min is faster than 12000"),
    ("M111 S8", "in a dry run the printer would not carry out later lines"),
    ("M111 S47", "in a dry run the printer"),
    ("M217 X500", "X500 is outside 0 to 220 mm (profile.volume.x)"),
    ("M240 R500", "R500 is more than 100 mm"),
    ("M240 P90000000", "90000 s are not between 0 and 900 s"),
    ("M425 X50 F1", "X50 is more than 2 mm"),
    ("M425 F9", "F9 is more than 1"),
    ("M871 P0 V20000", "V20000 is more than 10000 µm"),
    ("M900 K900", "K900 is more than 200"),
    ("M851 X101", "X101 is more than 100 mm"),
    ("M423 X1 Z-50", "Z-50 is more than 10 mm"),
    ("M422 S1 X500", "X500 is outside 0 to 220 mm"),
    ("M217 Z51", "Z51 is more than 50 mm"),
    ("M217 P13000", "13000 mm/min is faster than 12000"),
    ("M240 Z51", "Z51 is more than 50 mm"),
    ("M240 F13000", "13000 mm/min is faster than 12000"),
    ("M207 F13000", "13000 mm/min is faster than 12000"),
    ("G29 S13000", "13000 mm/min is faster than 12000"),
    ("T1 F13000", "13000 mm/min is faster than 12000"),
    ("G425 U51", "U51 is more than 50 mm"),
    ("M192 R101", "R101 is more than 100 °C, so it would never end"),
    ("M190 S80 T90000", "90000 s are not between 0 and 900 s"),
    ("M301 P-1", "P-1 must not be negative"),
    ("M304 D-0.1", "D-0.1 must not be negative"),
]
DUET_LINES = [
    ("M568 P0 S300", "profile.max_temperature.tool"),
    ("M568 P0 S200:300", "profile.max_temperature.tool"),
    ("M303 H0 S120", "profile.max_temperature.bed"),
    ("M303 H1 S300", "profile.max_temperature.tool"),
    ("G10 P0 S300 R200", "profile.max_temperature.tool"),
    ("G10 R300", "profile.max_temperature.tool"),
    ("M104 S-300", "-300 °C is below -273.15 °C"),
    ("M207 S1 R101", "R101 is more than 100 mm"),
    ("M200 D1.75:0.1", "0.1 mm is not a filament diameter"),
    ("M221 S100:1001", "1001 % is not between 0 and 1000 %"),
    ("M207 S1:101", "S101 is more than 100 mm"),
    ("M557 X0:500 Y0:200", "X500 is outside 0 to 220 mm"),
    ("M558 F600:13000", "13000 mm/min is faster than 12000"),
    ("M558 H51", "H51 is more than 50 mm"),
    ("G4 S1:901", "901 s are not between"),
    ("G30 P0 X5 Y5 H11", "H11 is more than 10 mm"),
    ("G31 T1", "T1 is more than 0.1 mm/°C"),
    ("G31 X101", "X101 is more than 100 mm"),
]
KLIPPER_LINES = [
    (
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=300",
        "profile.max_temperature.tool",
    ),
    (
        "SET_HEATER_TEMPERATURE TARGET=120 HEATER=heater_bed",
        "profile.max_temperature.bed",
    ),
    ("PID_CALIBRATE HEATER=extruder TARGET=300", "profile.max_temperature.tool"),
    (
        "SET_HEATER_TEMPERATURE HEATER=dryer TARGET=61",
        "61 °C is beyond the chamber's limit of 60 °C",
    ),
    ("SET_GCODE_OFFSET E=50 MOVE=1", "E would move filament that no limit counts"),
    ("SET_GCODE_OFFSET E_ADJUST=1", "E_ADJUST would move filament"),
    ("SET_GCODE_OFFSET Z=1 MOVE=1 MOVE_SPEED=201", "12060 mm/min is faster than"),
    ("SET_RETRACTION UNRETRACT_EXTRA_LENGTH=101", "101 is more than 100 mm"),
    ("SET_PRESSURE_ADVANCE EXTRUDER=extruder ADVANCE=99", "99 is more than 2 s"),
    ("TESTZ Z=-6", "Z-6 is more than 5 mm"),
    ("RESTORE_GCODE_STATE NAME=a MOVE=1 MOVE_SPEED=900", "54000 mm/min is faster"),
    ("MANUAL_STEPPER STEPPER=a MOVE=5 SPEED=900", "54000 mm/min is faster"),
    ("SET_RETRACTION RETRACT_SPEED=900", "54000 mm/min is faster"),
    ("PROBE PROBE_SPEED=900", "54000 mm/min is faster"),
    ("BED_MESH_CALIBRATE PROFILE=default LIFT_SPEED=900", "54000 mm/min is faster"),
]
OTHER_LINES = [
    (PRUSA, "M860 S101", "S101 is more than 100 °C, so it would never end"),
    (PRUSA, "M861 I1 S-9999", "S-9999 is more than 1000 microsteps"),
    (REPETIER, "M402 F13000", "13000 mm/min is faster than 12000"),
    (TEACUP, "G161 Z F13000", "13000 mm/min is faster than 12000"),
    (TEACUP, "M130 P0 S-5", "S-5 must not be negative"),
    (REPETIER, "M303 P1 S120", "profile.max_temperature.chamber"),
    (UNKNOWN, "M303 E0 S61", "is beyond the chamber's limit"),
    (TEACUP, "M140 S-1", "-1 °C is below 0 °C; some firmwares would read a very high"),
]


@pytest.mark.parametrize(
    ("dialect", "line", "message"),
    [
        *((MARLIN, *case) for case in MARLIN_LINES),
        *((REPRAPFIRMWARE, *case) for case in DUET_LINES),
        *((KLIPPER, *case) for case in KLIPPER_LINES),
        *OTHER_LINES,
    ],
)
def test_beyond_a_limit(dialect: Dialect, line: str, message: str) -> None:
    error = refused([line], dialect=dialect)
    assert (error.code, error.error) == (400, "out_of_limits")
    assert message in error.message
    assert error.message.startswith(line)


@pytest.mark.parametrize(
    ("dialect", "lines"),
    [
        (
            MARLIN,
            [
                "M104 S250",
                "M140 S100",
                "M141 S60",
                "M104 T1 S0",
                "M104 S",
            ],
        ),
        (REPRAPFIRMWARE, ["M104 S-273", "M568 P0 R-273"]),
        (MARLIN, ["M200 D1.75", "M200 D0", "M200 S0", "M207 S5 Z0.4", "M421 Z0.1"]),
        (MARLIN, ["M600 R210", "M600 X10 Y10 Z5", "M86 S300 E180 B50"]),
        (REPRAPFIRMWARE, ["M200 D1.75:1.75"]),
        (KLIPPER, ["SET_GCODE_OFFSET Z=0.1 MOVE=1 MOVE_SPEED=20"]),
        (KLIPPER, ["SET_GCODE_OFFSET X=0 Y=0 Z=0 E=0"]),
        (KLIPPER, ["TESTZ Z=-0.1", "TESTZ Z=--", "TESTZ Z=+"]),
        (KLIPPER, ["SET_PRESSURE_ADVANCE EXTRUDER=extruder ADVANCE=0.04"]),
        (KLIPPER, ["RESTORE_GCODE_STATE NAME=a MOVE=1 MOVE_SPEED=100"]),
        (MARLIN, ["M111 S7", "M111", "M111 S32", "M425 X0.2 F1", "M217 X5 Y5", "M240"]),
        (MARLIN, ["G28 R5", "G12 P1 S3", "G29 Z0.1", "M900 K0.05", "M871 P0 V250"]),
        (MARLIN, ["G10", "G11", "G10 S1"]),
        (MARLIN, ["M145 S0 H200 B60 F255", "M303 E-1 S90", "T0", "T1"]),
        (REPRAPFIRMWARE, ["G10 P1 S200 R150", "M303 H0 S90", "M568 P1 S240 R180"]),
        (REPRAPFIRMWARE, ["M568 P1 A2", "M568 P1 S200:210"]),
        (KLIPPER, ["SET_HEATER_TEMPERATURE HEATER=extruder", "STATUS"]),
        (KLIPPER, ["SET_HEATER_TEMPERATURE HEATER=dryer TARGET=60"]),
        (MARLIN, ["M117 S999 X999", "G4 S900", "G28 X0", "G4 P500", "G4"]),
        (MARLIN, ["M221 T1 S95", "M221 S95", "M105", "M105 T0", "M220 S1000"]),
        (MARLIN, ["M300 S440 P200", "M851 X-40 Y-10 Z-2.35", "M303 S200 C8"]),
        (MARLIN, ["M207 S5 F2700", "M603 L100 U100", "M220 B", "M400"]),
        (MARLIN, ["G21", "M149 C"]),
        (MARLIN, ["M109 F1 S200 B210", "G26 H200 B60", "M192 R40", "M422 S1 X10 Y10"]),
        (REPRAPFIRMWARE, ["M303", "M557 X10:200 Y10:200 S20", "M558 F600:180 H5"]),
        (REPRAPFIRMWARE, ["G31 P500 X-30 Y-15 Z2.5 T0.001", "M301 H1 P10 I0.1 D100"]),
        (KLIPPER, ["BED_MESH_CALIBRATE PROFILE=default METHOD=automatic"]),
        (KLIPPER, ["PROBE PROBE_SPEED=5 SAMPLES=3", "PROBE_ACCURACY LIFT_SPEED=5.0"]),
        (PRUSA, ["M860 S35", "M861 I1 S50"]),
    ],
)
def test_within_the_limits(dialect: Dialect, lines: list[str]) -> None:
    check(lines, rules(BOX, dialect=dialect))


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        (MARLIN, "G1.1 X100"),
        (MARLIN, "G4.1 S99999"),
        (MARLIN, "G5.1 X100 Y100 I0 J1 P1000 Q0"),
        (PRUSA, "G28.1"),
        (MARLIN, "G30.1 X500 Y0"),
        (KLIPPER, "G90.1"),
        (PRUSA, "G92.1 X0"),
        (MARLIN, "M200.1 D1.75"),
        (MARLIN, "M206.1 X-100"),
        (MARLIN, "M220.1 S5000"),
        (MARLIN, "M290.1 Z-5"),
        (MARLIN, "M303.1 S200 C500"),
        (MARLIN, "M600.1 X500"),
        (MARLIN, "M851.1 Z-50"),
    ],
)
def test_a_sub_code_gets_round_no_limit_of_its_code(
    dialect: Dialect, line: str
) -> None:
    error = refused([line], dialect=dialect)
    assert (error.code, error.error) == (400, "invalid_payload")
    assert "some firmwares would read" in error.message


def test_codes_that_have_sub_codes_take_no_parameters_of_the_code() -> None:
    assert "takes no parameters" in refused(["G92.1 X0"], dialect=MARLIN).message
    lines = ["G92.1", "G59.1", "M104.1 S200", "G29.1", "M114.1"]
    check(lines, rules(BOX, dialect=SMOOTHIEWARE))


@pytest.mark.parametrize("value", ["1e2", "-1_0", "inf", "0x10"])
def test_klipper_reads_other_notations_than_decimal_ones(value: str) -> None:
    for line in (
        f"SET_GCODE_OFFSET X={value}",
        f"SET_RETRACTION RETRACT_LENGTH={value}",
    ):
        message = refused([line], dialect=KLIPPER).message
        assert f'must be a decimal number, not "{value}"' in message


@pytest.mark.parametrize("line", ["M104", "M140", "M109 T0", "M104 P1"])
def test_teacup_needs_the_number_in_its_own_line(line: str) -> None:
    for dialect in (TEACUP, UNKNOWN):
        error = refused([line], dialect=dialect)
        assert error.error == "invalid_payload"
        assert "must have S or R" in error.message


@pytest.mark.parametrize(
    ("dialect", "line", "letters"),
    [
        (MARLIN, "M104 S200 F1", "B"),
        (MARLIN1, "M109 F1 S200", "B"),
        (PRUSA, "M109 F1", "B"),
        (MARLIN, "M303", "S"),
        (MARLIN, "M303 E-1 C5", "S"),
        (REPETIER, "M303 P0", "S"),
        (SMOOTHIEWARE, "M303 E0", "S"),
        (REPRAPFIRMWARE, "M303 H1", "S"),
        (MARLIN, "G26 B60", "H"),
        (MARLIN, "G26 H200", "B"),
    ],
)
def test_no_firmware_chooses_a_temperature_itself(
    dialect: Dialect, line: str, letters: str
) -> None:
    error = refused([line], dialect=dialect)
    assert error.error == "invalid_payload"
    assert f"must have {letters}, because" in error.message


def test_a_bed_that_is_not_there_needs_no_temperature() -> None:
    bare = BOX.model_copy(update={"heated_bed": False})
    check(["G26 H200"], rules(bare))


def test_a_factor_that_the_printer_has_stored_cannot_be_checked() -> None:
    error = refused(["M220 R"])
    assert (error.code, error.error) == (400, "invalid_payload")


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("G20", "millimetres"),
        ("M149 F", "degrees Celsius"),
        ("M149 K", "degrees Celsius"),
        ("M149", "degrees Celsius"),
        ("M149 C F", "degrees Celsius"),
    ],
)
def test_other_units_are_refused(line: str, ours: str) -> None:
    error = refused([line])
    assert (error.code, error.error) == (403, "blocked")
    assert error.message.startswith(f"{line}: ")
    assert ours in error.message


@pytest.mark.parametrize("line", ["M500", "M0500 S1", "M500.1", "m500", "M600 B1"])
def test_blocked_codes_are_refused_with_the_reason(line: str) -> None:
    blocking = SafetyRules(blocked={"M500": "keeps", "M600": "stops"})
    with pytest.raises(RejectedError, match=r"is blocked \(printers") as caught:
        check(["M105", line], blocking)
    assert (caught.value.code, caught.value.error) == (403, "blocked")


def test_a_macro_can_be_blocked() -> None:
    start = InitialState(dialect=KLIPPER)
    with pytest.raises(RejectedError, match="RESTART is blocked"):
        check(["restart"], SafetyRules(start=start, blocked={"restart": "stops"}))


def test_the_table_of_codes_says_what_is_blocked_by_default() -> None:
    blocked = {row.name: row.blocked for _, row in rows() if row.blocked}
    assert blocked == BLOCKED


def test_the_lowest_limit_is_that_of_a_heater_that_exists() -> None:
    alone = Profile(heated_bed=False)
    check(["M303 P1 S245"], rules(alone, dialect=REPETIER))
    error = refused(["M303 P1 S276"], alone, dialect=REPETIER)
    assert "the tool's limit of 275" in error.message


def test_some_codes_are_blocked_by_default() -> None:
    for line in ("M0", "M1", "M28 a.gco", "M500", "M502", "M997", "M999"):
        assert refused([line]).error == "blocked"


@pytest.mark.parametrize(
    "line", ["T2", "M104 T2 S9", "M109 T-1 S9", "M105 T9", "M303 E2 S9", "M104 T0.5 S9"]
)
def test_a_tool_that_the_printer_has_not(line: str) -> None:
    error = refused([line])
    assert (error.code, error.error) == (400, "no_such_tool")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("M140 S60", "no_heated_bed"),
        ("M190 R60", "no_heated_bed"),
        ("M141 S40", "no_heated_chamber"),
        ("M145 C40", "no_heated_chamber"),
    ],
)
def test_a_heater_that_the_printer_has_not(line: str, word: str) -> None:
    error = refused([line], Profile(heated_bed=False))
    assert (error.code, error.error) == (409, word)


def test_off_is_always_allowed() -> None:
    check(["M140 S0", "M141 S0"], rules(Profile(heated_bed=False)))


@pytest.mark.parametrize(
    "line",
    [
        'M104 S"300"',
        "M104 S{300}",
        "M104 S200 S300",
        "M109 (cold) S300",
        "G1 X{far}",
        "G0 X1 X999",
        "M105 T{9}",
        "M104 I0",
        "M190 I1",
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=300",
    ],
)
def test_what_cannot_be_checked_is_refused(line: str) -> None:
    error = refused([line])
    assert (error.code, error.error) == (400, "invalid_payload")
