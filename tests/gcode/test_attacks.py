"""Attempts to get past the limits: a firmware reads what was checked, or nothing.

Each attempt hides a line that would be refused by itself. Either the whole line is
refused, or the models of the firmware (tests/support/firmware_readers.py) find no
command in the bytes on the wire that heats or moves beyond the profile's limits.
"""

from collections.abc import Iterator

import pytest

from bridge.commands.base import Context
from bridge.commands.gcode_lines import clean, warnings
from bridge.config import MaxTemperature, Profile, Volume
from bridge.errors import RejectedError
from bridge.gcode.codes import SYNTAXES, lookup
from bridge.gcode.dialects import DIALECTS
from bridge.printer.limits.safety import SafetyRules, check
from bridge.printer.limits.travel import InitialState
from tests.support.firmware_readers import READERS, Command, ConfusedError

PROFILE = Profile(
    extruders=1,
    max_temperature=MaxTemperature(tool=250, bed=90, chamber=60),
    volume=Volume(x=(0, 220), y=(0, 220), z=(0, 250)),
    max_speed=12_000,
)
HOT = [
    *("M104 S300", "M109 R300", "M140 S200", "M190 S200", "M303 E-1 S245"),
    *("M104 T0 S999", "m104s300", "M104 S 300", "M0104 S300", "M104.1 S300"),
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=400",
    "set_heater_temperature target=400 heater=extruder",
]
FAR = ["G1 X900", "G0 Y-900", "g1x900f9000", "G1 X150 F90000", "G2 X900 I5", "G1 X9e2"]
CHANGES = ["M92 X8000", "G20", "M149 F", "M211 S0", "M575 B9600"]
DANGEROUS = [*HOT, *FAR, *CHANGES]

AROUND = [
    *("{}", "N {}", "N5 {}", "N5{}", "n-1 {}", "L {}", "X1 {}", "F1 {}", "A {}", "/{}"),
    *("; {}", "({}) {}", "(x) {}", "%{}", "*5 {}", "@{}", "!{}", "${}", "^{}", "?{}"),
    *("M117 {}", "m117{}", "M117 a;{}", "M117 a*9 {}", "M117 a:{}", 'M117 "{}', "T {}"),
    *('M117 "" {}', 'M117 "a" {}', "M117 PRUSA {}", "M117 M110 N5 {}", "M117 ^{}"),
    *("M118 {}", "M118 E1 {}", "M118 A1 P0 {}", "M0 {}", "M1 S1 {}", "M16 {}"),
    *("M36 {}", "M23 {}", "M23 a.g {}", "M30 {}", "M32 {}", "M33 {}", "M38 {}"),
    *("M928 {}", "M28 {}", "G4 P1 {}", "G4 P1{}", "M105 {}", "M105{}", "G28 {}"),
    *("G28 X {}", "M106 S1 {}", 'M42 P"a"{}', 'M42 P"a" {}', 'M98 P"{}"', 'M98 P"a"{}'),
    *('M291 P"a" R"b"{}', 'M587 S"{}"', 'M587 S"a" P"b" {}', 'M550 P"a""{}'),
    *("M550 P\"a''{}", 'M486 A"{}"', "RESPOND MSG={}", 'RESPOND MSG="{}"'),
    *("RESPOND MSG=a {}", "STATUS {}", "HELP;{}", "SET_PIN PIN={}"),
    *('SET_PIN PIN="a" {}', "FOO={} {}", "A_{}", "_{}", "PARK\t{}", "G53 {}", "G53{}"),
    *("{} {}", "{}{}", "{};{}", "M105 N5 {}", "M105*5 {}", "T0 {}", "T0{}", "Tx {}"),
    *("T? {}", "M810 {}", "M810 G28|{}", "M1000 {}", "M98 P{}", "D2 {}", "M486 S1 {}"),
    *("M220 S100 {}", "M73 P1 {}", "M75 {}", "M531 {}", 'M118 S"a"{}'),
]
"""Where a dangerous line may hide."""

BY_HAND = [
    *("M104 S2 99", "M104 S29 9", "M104 S2.9e2", "M104 S3E2", "M104 S0x12C"),
    *("M104 S+300", "M104 S0300", "M104 S300.", "M104 S.3e3", "M104 S1 S300"),
    *("M104 S300 S1", "M104 s1 S300", "M104 SINF", "M104 S INF", "M104 SNAN"),
    *("M104 S1_000", "M104 S-0 R300", "M65640 S300", "M16777320 S300"),
    *("M4294967400 S300", "M360 S300", "M104 S\uff13\uff10\uff10", "\uff2d104 S300"),
    *("M\u0661\u0660\u0664 S300", "M104\xa0S300", "M104\u2003S300", "M104\tS300"),
    *("M104\x0bS300", "M104\nM104 S300", "M104\rM104 S300", "M104\x00S300"),
    *("M 104 S300", "M1 04 S300", "M10 4 S300", "M1\u200b04 S300", "G 1 X900"),
    *("G01 X900", "G1 X9 00", "G1 X+900", "G1 X--900", "G1 X9.0.0", "G1 X1:900"),
    *("G1 X{900}", "G1 X[900]", "G1 X#1", "G1 X=900", "G1 X1 X900", "G1 x1X900"),
    *("G1 E1e9", "G257 X900", "G256 X900", "M104 S{300}", "M104 S(300)", 'M104 S"300"'),
    *("M104 S'300'", "M104 S$300", "M104 S300;", "M104 S300 ; x", "M104 S300*33"),
    *("M104 S300 *33", "M104(x)S300", "M104 (x) S300", "M568 P0 S300"),
    *("M568 P0 S200:300", "G10 P0 S300", "G10 P0 R300", "M104 S200:300"),
    *("M303 P1 S245", "M303 P0 S300", "M303 H0 S245", "M303 E0 S300", "M303 S300 C8"),
    *("M303 E4294967295 S245", "M104 T256 S300", "M104 T-1 S300", "M104 T0.5 S300"),
    *("M104 P1 S245", "M104 I0", "M145 H300", "M145 B200", "G26 H300", "G26 B200"),
    *("M306 T", "G76", "M605 S2 X100 R50", "M144", "M140 H2 S245", "M141 S90"),
    *("M191 S90", "PID_CALIBRATE HEATER=extruder TARGET=400"),
    *("PID_CALIBRATE TARGET=400", "SET_HEATER_TEMPERATURE HEATER=dryer TARGET=400"),
    "MPC_CALIBRATE HEATER=a TARGET=400",
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=4_00",
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=4e2",
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=nan",
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=1 TARGET=400",
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=1 target=400",
    'SET_HEATER_TEMPERATURE HEATER=extruder TARG""ET=400',
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET='4'00",
    "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=1\\\\ TARGET=400",
    "SET_HEATER_TEMPERATURE HEATER=extruder # TARGET=400",
    'TUNING_TOWER COMMAND="SET_HEATER_TEMPERATURE" PARAMETER=TARGET START=400',
    *("RUN_SHELL_COMMAND CMD=x", "FORCE_MOVE STEPPER=x DISTANCE=900"),
    *("M1000 set_temp 300", "set_temp hotend 300", "play /sd/a.g", "@ls", 'echo "ok"'),
    *("if true", "set var.a=1", "M810 M104 S300", 'M581 P"a" T1', 'M911 P"M104 S300"'),
    *('M505 P"x"', "M143 S400", "M42 P4 I1 S255", "M302 S0", "M254 P1 S1"),
    *("M206 T3 P1 X300", "M563 P0 H2", "M308 S0", "M1120", "M1081 S1", "M4100"),
    *("M8760 S1", "M110 N5", "m110N9", "M117 m110", "N"),
]


def attempts() -> Iterator[str]:
    for around in AROUND:
        for line in DANGEROUS:
            yield around.replace("{}", line)
    yield from BY_HAND


def is_dangerous(command: Command, family: str) -> bool:
    """Return whether a firmware would do something beyond the limits."""
    code, values = command.code.partition(".")[0], command.values
    row = lookup(command.code, family)
    if row is None:
        return False  # the firmware has no such code

    def most(letters: str) -> float:
        numbers = [str(values.get(letter, 0)) for letter in letters]
        return max(float(part) for text in numbers for part in text.split(":"))

    changes = {"M92", "M149", "M211", "M575"}
    danger = code == "G20" or (code in changes and bool(values))
    match code:
        case "M104" | "M109":
            danger = most("SRB") > 250
        case "M140" | "M190":
            danger = most("SR") > 90
        case "M303":
            is_bed = row.selector is not None and values.get(row.selector.letter) == -1
            danger = most("S") > (90 if is_bed else 250)
        case "G0" | "G1" | "G2" | "G3":
            far = any(abs(most(axis)) > 250 for axis in "XYZ")
            danger = far or most("F") > 12_000
        case "SET_HEATER_TEMPERATURE" | "PID_CALIBRATE" | "MPC_CALIBRATE":
            danger = float(str(values.get("TARGET", 0))) > 250
    return danger


def gets_through(text: str, family: str) -> object:
    """Return what a firmware would do beyond the limits, if anything."""
    context = Context(profile=PROFILE, dialect=DIALECTS[family])
    try:
        line = clean(text, context, "command")
        start = InitialState(profile=PROFILE, dialect=DIALECTS[family])
        check(
            ["G28", "G0 X50 Y50 Z10 F600", "G92 E0", line.text],
            SafetyRules(start=start),
        )
    except RejectedError:
        return None
    for reader in READERS[family]:
        try:
            found = reader(line.text)
        except ConfusedError as error:
            return line.text, reader.__name__, str(error)
        for command in found:
            if is_dangerous(command, family):
                return line.text, reader.__name__, command
    return None


@pytest.mark.parametrize("family", SYNTAXES)
def test_no_attempt_gets_through(family: str) -> None:
    tried = list(attempts())
    assert len(set(tried)) > 1000
    found = {text: gets_through(text, family) for text in tried}
    assert {text: result for text, result in found.items() if result} == {}


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("klipper", "N M104 S300"),
        ("klipper", "N SET_HEATER_TEMPERATURE HEATER=extruder TARGET=400"),
        ("prusa", "L M104 S300"),
        ("marlin1", "M117 Done! G1 X150 F90000"),
        ("reprapfirmware", 'M42 P"a"M104 S300'),
        ("marlin", "M104 S300"),
        ("marlin", "G1 X900"),
    ],
)
def test_the_models_see_the_danger(family: str, text: str) -> None:
    """The bytes as they were given would have done harm, so the tests can fail."""
    found = [command for reader in READERS[family] for command in reader(text)]
    assert any(is_dangerous(command, family) for command in found)


AFTER = [
    'SDCARD_PRINT_FILE FILENAME=a.g|MANUAL_STEPPER STEPPER=a MOVE=900|M98 P"a.g"',
    "M32 a.g|G201 P0 X900|M101|SYNC_EXTRUDER_MOTION EXTRUDER=a MOTION_QUEUE=b|G1 U900",
    "G1 A900|G0 B900|MY_MACRO|M5555|FORCE_MOVE STEPPER=x DISTANCE=900|G6 I1 S9 X1",
    "SET_KINEMATIC_POSITION X=0|RUN_SHELL_COMMAND CMD=x|M951 L500|M665 L900",
    "M666 X900|M669 K1|M574 X1|M564 S0 H0|M209 S1|M206 X900;G1 X5|M428;G1 X5",
    "M1700|M1600|G43.1 Z-50|G68 X5 Y5 R45|G93|M111 S8|M852 S1|SET_SKEW XY=1,2,3",
    "G29 P3 C-50|G29 S4 Z-50|G29 W I1 J1 Z-50|G34 Z900|G28 R900|G12 P2 R900",
    "G12 S99999999|M240 R900|M125 X900|M600 X900|M600 U900|M217 X900|M217 S900",
    "M425 X50|M871 P0 V32000|M900 K5000|M572 D0 S50|SET_PRESSURE_ADVANCE ADVANCE=50",
    "M290 Z-5|TESTZ Z=-50|SET_GCODE_OFFSET Z=-5|SET_GCODE_OFFSET Z_ADJUST=-5",
    "SET_GCODE_OFFSET X=-200 MOVE=1|SET_GCODE_OFFSET X=1e2|G61 X900|G60;G61 E",
    "RESTORE_GCODE_STATE NAME=a MOVE=1 MOVE_SPEED=900|G42 I1 J1 F90000|G30 X900 Y1",
    "G38.2 X900|G38.2 X5 F90000|G30 X5 Y5 F90000|M48 X900|M290.1 Z-5|G5.1 X900",
    "G2 X50 Y50 R900|G3 X60 Y50 I900|G2 X50 Y50 I60 P9|G18;G2 X50 Z10 I60 K0",
    "G5 X60 Y60 I900 J0 P0 Q0|G91;G2 X900 I450|M83;G1 E999|M83;G1 E300;G1 E300",
    "M208 S400;G10;G11;G10;G11|M207 S400;G11;M83;G1 E200|M207 S0.1;G10;M207 S501;G11",
    "M220 S300;RESTORE_GCODE_STATE NAME=a;G90;G1 X60|M220 S9999|M221 S9999|M220 R",
    "M220 S500;M120;M121;G90;G1 X60 F11000|M84;G91;G1 X900|M18;G1 X-1|T0;G91;G1 X200",
    "G92 X0;G1 X200|G92.1 X5|G92.4 X0;G1 X5|G28.3 X0;G1 X200|G54;G92 X0;G1 X200",
    "G10 L2 P1 X200;G54;G1 X100|G10 L20 P1 X0;G54;G1 X200|G10 L2 P2 X200;G55;G1 X100",
    "G53;G1 X900|M218 T0 X200;G1 X100|M206.1 X50|M211.1 S0|G0.1 X900|G1.9 X900",
    "M200 D0.2|M404 W0.5|M163 S0 P9;M221 S5000|M603 U900|M701 L900|M702 U900",
    "M104 T7 S200|T9|M568 P9 S200|M145 S1 H300|M306 T|M303 E0 S300",
    "TEMPERATURE_WAIT SENSOR=a MINIMUM=5000|PID_CALIBRATE HEATER=a TARGET=300|M190 I1",
    "TESTZ Z=-1e2|G4 S99999|G4 P99999999|M400 S99999|M300 P99999999|M0 S99999",
    "Z_TILT_ADJUST;G91;G1 Z-100|PAUSE;G91;G1 X200|RESUME;G1 X900|M24;G91;G1 X200",
    "G33;G91;G1 Z-100|G34;G91;G1 Z-100|G35;G91;G1 X200|G76|M951 J900 H1|M605 S2 X5 R50",
    "BED_MESH_OFFSET X=5;G91;G1 X200|SET_DUAL_CARRIAGE CARRIAGE=1;G91;G1 X200",
    "UPDATE_DELAYED_GCODE ID=a DURATION=1|TUNING_TOWER COMMAND=M104 START=9",
    "SET_TMC_FIELD FIELD=a VALUE=1|INIT_TMC STEPPER=x|M584 X1|M350 X256",
    "M92 X8000|SET_EXTRUDER_ROTATION_DISTANCE EXTRUDER=a DISTANCE=0.1|M563 P0|M575 B9",
]
"""What may lead beyond a limit after a line that is allowed: settings, saved places,
modes, offsets, macros, lengths. Lines of one attempt are separated by ``;``."""


def fate(attempt: str, family: str) -> str:
    """Return what becomes of an attempt: it is refused, warned of, or sent."""
    context = Context(profile=PROFILE, dialect=DIALECTS[family])
    start = InitialState(profile=PROFILE, dialect=DIALECTS[family])
    try:
        lines = [clean(text, context, "command") for text in attempt.split(";")]
        sent = [line.text for line in lines]
        check(
            ["G28", "G0 X50 Y50 Z10 F6000", "G92 E0", *sent], SafetyRules(start=start)
        )
    except RejectedError:
        return "refused"
    return "warned of" if warnings(lines, context) else "sent"


_MARLINS = "marlin marlin1 prusa malyan unknown"
AFTER_OF = {
    "marlin": "M240 X900|M86 E300|M86 B91|M226 P5 S1|M915|M915 Z50|M592 S1 C9",
    "prusa": "M226 P5 S1|M860 S999|M592 A50 B9",
    "reprapfirmware": "M208 X900|M569 P0 S0|G31 Z50|G10 R300|G30 X5:900|G10 P0 L1 S251|"
    "M307 H0 A9|M308 S0 T5|M569 P0 S0 V1|M140 S60 H1|M950 H0 Q9|M563 P0 H1",
    "repetier": "M226 P5 S1|M402 F90000",
    "teacup": "M104|M140|M109|M140 S-1|M106 P0 S255|M106 P1 S9|M7 P0 S255|M130 P0 S-5",
    "unknown": "M104|M140|M208 X900|M106 P0 S255|M226 P5 S1|M140 H1 S80|M7 P0 S255",
    _MARLINS: "M104 S200 F9|M109 S200 F1|M109 F1|M104 S200 B300 F1|M303|M303 D",
    "marlin unknown": "G26|G26 H200|G26 B60|M240 I900|M240 J-900|M240 A200|M240 B-60",
    "reprapfirmware unknown": "M140 H1 S80|M140 H1|M141 H0 S50|M190 H1 S80|M191 H1 S50",
    "reprapfirmware teacup": "M92 E9:9|M220 S100:9999|M221 S100:9999|M207 S1:900",
    "repetier smoothieware teacup": "M303|M303 E0 C8|M303 P0",
    "marlin reprapfirmware": "M592 C9|M592 A50 B9|M592 D0 A9 B9 L9|G31 T1 Z1|G31 C5",
}
"""Attempts that mean something else, or nothing, for other families; by families."""

AFTER_TOO = [
    "G29 P6 C9;G29 P6 C9|M421 I0 J0 Q9;M421 I1 J0 Q9|G29 P6 C-6;M421 I0 J0 Q-6",
    "M423 X1 Z-50|M422 S1 X900|M851 X900|M851 Y-200|M217 Z900|M217 P90000|G425 U900",
    "M240 Z900|M240 F90000|M207 F90000|M208 F90000|G29 S90000|T0 F90000|M192 S999",
    "M192 R999|SET_RETRACTION RETRACT_SPEED=9000|PROBE PROBE_SPEED=9000|M301 P-10",
    "SET_RETRACTION UNRETRACT_SPEED=1e9|BED_MESH_CALIBRATE LIFT_SPEED=9000|M304 I-1",
    "PROBE_ACCURACY PROBE_SPEED=1e9|MANUAL_PROBE SPEED=9000|M0 S9999999|M1 P999999999",
    "M558 P0|M558 F90000|M558 F600:90000|M558 T90000|M558 H900|G30 H50|G92 E0:900",
    'M558 K0 C"io1"|M308 P"temp0"|M570 P"a"|M563 S"a"|M572 D0 S0.1:50|G4 S1:999999',
    "M300 P1:99999999|M596 P1;G91;G1 X200|G30 S-2;G91;G1 Z-100|G92.9 X0;G1 X200",
    "M562|M562 P1|M557 X0:900|M557 P0 Y-900|G134 P0 S1 Z50|M207 Q90000|G53 X900",
    "G161 Z F90000|M861 I0 S-9999|M190 S80 T999999|G31 X900|G1 X1:900|G28 X:5",
    "SET_GCODE_OFFSET Z=-2;G28;SET_GCODE_OFFSET Z_ADJUST=-1",
    'M471 S"a" T"0:/sys/start.g"|M472 P"a"|M308 S0 P"a"|M950 P0 C"out1"|M586 C"*"',
    "M290 Z2;G28;M290 Z2;G28;M290 Z2;G28;M290 Z2;G28;M290 Z2;G28;M290 Z1",
    "G92 X0;G28 Y;G1 X200|G92 X-100;G1 X100|G92 X0;G91;G1 X171|G28 X;G91;G1 Y171",
    "M82;G1 E300;G92 E0;G1 E300|M83;G1 E-300;G1 E-300|M221 S500;M83;G1 E200",
    "G1 F12000;M220 S150;G1 X60|M220 B;M220 R|M220 S500;G1 X60 F3000|G0 X60 F12001",
    "M17 X;G91;G1 X171|M84 X;G91;G1 X171|M600;G91;G1 X1|M24;G91;G1 X1|M702 U501",
    "M568 P0 R251|M141 P1 S90|M109 T0 S251|M145 S1 B91",
    "G0 X50 Y5;G18;G2 X50 Y5 Z100 I60 K0|G0 X5 Y50;G19;G2 X5 Y50 Z100 J30 R-60",
]
"""Further attempts for all families: settings with which later codes go further, faster
or hotter, lists, and arcs in a plane that the firmware may not have."""


def attempts_of(family: str) -> set[str]:
    own = [rows for families, rows in AFTER_OF.items() if family in families.split()]
    return {one for row in (*AFTER, *AFTER_TOO, *own) for one in row.split("|") if one}


@pytest.mark.parametrize("family", SYNTAXES)
def test_what_is_beyond_the_limits_is_refused_or_warned_of(family: str) -> None:
    attempts = attempts_of(family)
    assert len(attempts) > 180
    assert {one for one in attempts if fate(one, family) == "sent"} == set()


FIRST_ROWS = [
    ("klipper", "N M104 S300", "invalid_payload"),
    (
        "klipper",
        "N SET_HEATER_TEMPERATURE HEATER=extruder TARGET=400",
        "invalid_payload",
    ),
    ("klipper", "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=400", "out_of_limits"),
    ("prusa", "L M104 S300", "invalid_payload"),
    ("marlin1", "L M104 S300", "invalid_payload"),
    ("prusa", "M117 Done! G1 X150 F9000", "M117 done! g1 x150 f9000"),
    ("marlin1", "M117 Done! G1 X150 F9000", "M117 done! g1 x150 f9000"),
    ("reprapfirmware", 'M42 P"a"M104 S300', "invalid_payload"),
    ("reprapfirmware", 'M42 P"a" M104 S300', "invalid_payload"),
    ("repetier", "M303 P1 S245", "out_of_limits"),
    ("marlin", "M117 M110 N500", "M117 m110 N500"),
    ("marlin", "G92 X0;G1 X220", "out_of_limits"),
    ("marlin", "G92 X0;G1 X170;G92 X0;G1 X1", "out_of_limits"),
    ("marlin", "M92 X8000", "blocked"),
    ("marlin", "M211 S0", "blocked"),
    ("marlin", "T0" + ";G91;G1 X220" * 10, "out_of_limits"),
]
"""What was carried out before lines were parsed into values, and what becomes of it."""


def becomes(attempt: str, family: str, *, homed: bool = True) -> str:
    """Return the error of an attempt, or the last of the lines that are sent."""
    context = Context(profile=PROFILE, dialect=DIALECTS[family])
    start = InitialState(profile=PROFILE, dialect=DIALECTS[family])
    before = ["G28", "G0 X50 Y50 Z10 F6000"] if homed else []
    try:
        lines = [clean(text, context, "command") for text in attempt.split(";")]
        sent = [line.text for line in lines]
        check([*before, *sent], SafetyRules(start=start))
    except RejectedError as error:
        return error.error
    return sent[-1]


@pytest.mark.parametrize(("family", "attempt", "result"), FIRST_ROWS)
def test_what_was_seen_on_real_printers(family: str, attempt: str, result: str) -> None:
    assert becomes(attempt, family) == result


def test_nothing_moves_far_from_a_place_that_is_not_known() -> None:
    for attempt in ("G92 X0;G1 X220", "T0;G91;G1 X220", "G91;G1 X1", "G92 X0;G1 X5"):
        for family in SYNTAXES:
            found = becomes(attempt, family, homed=False)
            assert found == "position_unknown", (attempt, family)


def test_a_code_that_is_allowed_allows_no_other() -> None:
    context = Context(profile=PROFILE, allowed=frozenset({"M92", "TUNING_TOWER"}))
    assert clean("m092 X80", context, "command").text == "M92 X80"
    for line in ("M92.1 X80", "M211 S0", "FORCE_MOVE STEPPER=x DISTANCE=9"):
        with pytest.raises(RejectedError):
            clean(line, context, "command")
