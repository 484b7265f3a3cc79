"""Attempts to get past the limits: a firmware reads what was checked, or nothing.

Each attempt hides a line that would be refused by itself. Either the whole line is
refused, or the models of the firmware (tests/support/firmware_readers.py) find no
command in the bytes on the wire that heats or moves beyond the profile's limits.
"""

from collections.abc import Iterator

import pytest

from bridge.commands.base import Context
from bridge.commands.gcode_lines import clean
from bridge.config import MaxTemperature, Profile, Volume
from bridge.errors import RejectedError
from bridge.gcode.codes import SYNTAXES, lookup
from bridge.gcode.dialects import DIALECTS
from bridge.printer.limits.safety import Rules, check
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
        check(["G28", "G0 X50 Y50 Z10 F600", "G92 E0", line.text], Rules(start=start))
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
