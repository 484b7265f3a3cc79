"""Lines that people send by hand, in start and end scripts and in macros, are accepted.

Each is known to the family that has it, is not refused, and needs no warning.
"""

import re

import pytest

from bridge.commands.base import Context
from bridge.commands.gcode_lines import clean, warnings
from bridge.config import Profile, Volume
from bridge.gcode.dialects import DIALECTS
from bridge.gcode.line import LineError, parse
from bridge.printer.limits.safety import SafetyRules, check
from bridge.printer.limits.travel import InitialState
from tests.support.wire_logs import dialect_of, logs, read

NUMBERED = re.compile(r"N-?\d+ ?(.*?)\*\d+")
PROFILE = Profile(
    extruders=2,
    heated_chamber=True,
    volume=Volume(x=(-5, 250), y=(-5, 220), z=(-1, 250)),
)
PLACE = ("G28", "G0 X50 Y50 Z10 F600", "G92 E0")
"""What comes before each line, because nobody moves a head without homing it first."""

EVERYWHERE = """
G0 X10 Y10 F6000|G1 X60 E9 F1000|G1 Z0.3 F240|G1 E-2 F2700|G4 P500|G4 S2|G21|G28
G28 X Y|G28 X0 Y0|G90|G91|G92 E0|G92 X0 Y0 Z0|M17|M18|M84|M84 X Y|M84 S60|M20|M21|M22
M23 cube.gco|M24|M25|M26 S0|M27|M29|M30 old.gco|M73 P10 R50|M82|M83|M104 S0|M104 S200
M104 T1 S200|M105|M106|M106 S127|M107|M109 S210|M109 R180|M112|M114|M115|M119|M140 S0
M140 S60|M190 S60|M220 S100|M221 S95|M400|T0|T1
"""
"""One line for every family, separated by bars."""

BY_FAMILY = {
    "marlin": """
M900 K0.05|M900|M906 X800 Y800|M906 E650|M851 Z-1.25|M851|G29|G29 A|G29 P1|G29 L0
G29 S1|G29 T|M420 S1|M420 S1 Z10|M420 V|M569|M569 S1 X Y|M593 F40 D0.1|M593 X F42|M701
M701 L50|M702 U100|M808 L5|M808|M501|M503|M503 S0|M201 X500 Y500|M203 X300
M204 P800 T1000|M205 X8|M207 S3 F2700|M210|M211|M92|M206|M301 P22 I1.5 D80|M304 P100
M303 E0 S200 C8|M303 E-1 S60|M155 S2|M154 S5|M113 S2|M300 S440 P200|M150 R255 U0 B0
M355 S1|M280 P0 S10|M280 P0 S160|M401|M402|M48 P10|M600|M600 X10 Y10 Z5|M603 L100 U100
M125|M524|M108|M410|M876 S0|M117 Hello World!|M117|M118 E1 Printing
M118 A1 action:notification hello|M302|M302 P1|M412 S1|M413 S0|M486 C
M145 S0 H200 B60 F0|M907 X800|M913 X100|M914 X50|M911|M122 S1|M31|G27|G27 P2|G12 P1 S2
G34|G35|G60 S0|G61 XYZ S0|G30 X10 Y10|G2 X10 Y10 I5 J5|G3 X60 Y50 R10|G10|G11|M75|M76
M77|M78|M42 P4 S255|M43|M80|M81|M85 S0|M290 Z0.05|M425|M217|M575|M149 C
M851 X-20 Y-10 Z-1.5|M3 S255|M5|M240|M250 C50|M256 B100|M16 Ender|M928|M709|T?|Tx|Tc
""",
    "prusa": """
M862.3 P"MK3S"|M862.1 P0.4|M900 K30|G80|G81|M420 S1|G29|M603|M601|M602|M701|M702|G28 W
M73 Q10 S50|M204 S1250|M221 S95|M201 X1000|M114|M600|M860 S35|M45|M46|M907 E430|G76|Tx
M117 Hallo|M350|M92|M17|M486 S1|M310
""",
    "klipper": """
SET_PRESSURE_ADVANCE ADVANCE=0.05|SET_PRESSURE_ADVANCE EXTRUDER=extruder ADVANCE=0.04
BED_MESH_CALIBRATE|BED_MESH_CALIBRATE PROFILE=default|BED_MESH_PROFILE LOAD=default
QUAD_GANTRY_LEVEL|Z_TILT_ADJUST|SCREWS_TILT_CALCULATE|SET_VELOCITY_LIMIT ACCEL=3000
SET_HEATER_TEMPERATURE HEATER=extruder TARGET=200|TURN_OFF_HEATERS|PAUSE|RESUME
CANCEL_PRINT|SET_FAN_SPEED FAN=exhaust SPEED=0.5|SET_PIN PIN=light VALUE=1
SET_LED LED=a RED=1 GREEN=0|SET_GCODE_OFFSET Z_ADJUST=0.05 MOVE=1
SAVE_GCODE_STATE NAME=a|RESTORE_GCODE_STATE NAME=a
PID_CALIBRATE HEATER=extruder TARGET=200|SAVE_CONFIG|FIRMWARE_RESTART|RESTART|STATUS
HELP|PROBE_CALIBRATE|TESTZ Z=-0.1|ACCEPT|QUERY_ENDSTOPS|SET_IDLE_TIMEOUT TIMEOUT=3600
EXCLUDE_OBJECT NAME=part_1|RESPOND MSG="hello there"|RESPOND TYPE=echo MSG=hi
M117 Hi there|SET_DISPLAY_TEXT MSG="Layer 5"
TEMPERATURE_WAIT SENSOR=extruder MINIMUM=190|M118 hello|SHAPER_CALIBRATE AXIS=X
SET_INPUT_SHAPER SHAPER_FREQ_X=45|SDCARD_PRINT_FILE FILENAME="a b.g"
SET_FILAMENT_SENSOR SENSOR=a ENABLE=0|ACTIVATE_EXTRUDER EXTRUDER=extruder1|M204 S3000
SET_RETRACTION RETRACT_LENGTH=0.8|CLEAR_PAUSE|M600|BED_MESH_CLEAR|GET_POSITION
G2 X5 I2|SET_TMC_CURRENT STEPPER=stepper_x CURRENT=0.8
SET_STEPPER_ENABLE STEPPER=extruder ENABLE=0|SAVE_VARIABLE VARIABLE=a VALUE=5
SET_GCODE_VARIABLE MACRO=A VARIABLE=b VALUE=1|G10|G11
""",
    "reprapfirmware": """
M98 P"homeall.g"|M98 P"0:/macros/Light.g"|M568 P0 S200 R150|G10 P0 S200 R150
M568 P0 A2|M906 X800 Y800 E600:600|M906 I30|M572 D0 S0.05|G29|G29 S1|G30|G32|M116
M106 P2 S0.5|M42 P2 S1|M291 P"Change filament" R"Notice" S3|M292|M117 "Hello"
M118 P0 S"hello"|M701 S"PLA"|M703|M409 K"heat"|M408 S2|M122|M552|M582 T1|M913 X50
M915 X S3|M593 F40|M36 "a.g"|M32 "a.g"|M400|M303 T0 S200|M303 H0 S60|M201 X500
M203 X6000|M566 X600|M221 S95 D0|T-1|T0 P0|M558|M20 S2 P"/gcodes"|M290 S0.05|M671|M25
M226|M0|M3 S1000|M140 S60 R40|M141 S40|M929 P"l" S1
""",
    "repetier": """
M303 P0 S200 X0 R5|G29 S1|G32 S2|M205|M320|M321|M340 P0 S1500|M117 Hello|M280 S1
M355 S1|M155 S1|M116|M908 P1 S100|M251 S0|M401|M402|M532 X10 L5|M531 cube|M600|M115
G10|G11|M203 X9
""",
    "smoothieware": """
M303 E0 S200|G30|G31|G32|M48|M370|M374|M375|M204 S1000|M203 X100|M906 X1|M907 X1.5
M120|M121|M117 Hello|M600|M601|M5|G38.2 Z0|M911|M280 S5|M207 S1|M500.1|M503|M504
M1.5|G28.1|G28.2|G28.3 X0|G28.6|G92.4 Z0|G54|G59.3|G92.1
""",
    "teacup": """
M130 P0 S1|M134|M136|M101|M103|M113|M250|M240|M6|M2
""",
    "malyan": """
M31|M108|M117 Hello|M503|M32 model.g|M410
""",
}
BLOCKED = {"M0", "M1", "M500.1", "M1.5", "M582", "M928", "M575", "M210", "M671", "G76"}
"""Rows that need the operator, or that no table has; they are left out below."""


def lines_of(text: str) -> list[str]:
    return [line for row in text.strip().split("\n") for line in row.split("|")]


LINES = [
    (family, line)
    for family, own in BY_FAMILY.items()
    for line in lines_of(EVERYWHERE) + lines_of(own)
    if line.split()[0] not in BLOCKED
]


def spelled(text: str) -> str:
    """Return a line without what canonical form may change: blanks, case, comments."""
    return "".join(text.partition(";")[0].replace('"', "").upper().split())


def test_lines_that_real_hosts_sent_stay_what_they_are() -> None:
    """The logs have lines of real hosts, and experiments."""
    same, changed = 0, set()
    for log in logs():
        family = dialect_of(log).name
        for entry in read(log):
            text = NUMBERED.sub(r"\1", entry.text.removesuffix("\\n").strip())
            if not entry.by_host:
                continue
            try:
                sent = parse(text, family)
            except LineError:
                continue
            if spelled(sent.text) == spelled(text) or sent.changed:
                same += 1
            else:
                changed.add((text, sent.text))
    assert same > 1100
    assert changed == set()


def test_there_are_many() -> None:
    assert len({line for _, line in LINES}) > 300


@pytest.mark.parametrize(("family", "line"), LINES)
def test_a_line_that_people_send_is_accepted(family: str, line: str) -> None:
    context = Context(profile=PROFILE, dialect=DIALECTS[family])
    sent = clean(line, context, "command")
    if not sent.row.emergency:
        rules = SafetyRules(
            start=InitialState(profile=PROFILE, dialect=DIALECTS[family])
        )
        check([*PLACE, sent.text], rules)
    shown = warnings([sent], context)
    known = ("the text was sent as", f"{sent.code} moves or runs what no limit covers")
    assert all(text.startswith(known) for text in shown)
