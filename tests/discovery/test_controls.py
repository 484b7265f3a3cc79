"""Each control of each entity: its payload, the G-code for each family, the state then.

The payload is rendered as Home Assistant renders it, parsed by the bridge's own parser
and planned as for a real printer; what is sent is observed, and the entity's template
shows the document that the bridge publishes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from bridge.commands import accessories, parse
from bridge.commands.scripts import Scripts
from bridge.config import LightSettings, MaxTemperature, Preset, PrinterConfig, Profile
from bridge.errors import RejectedError
from bridge.gcode.dialects import DIALECTS, Dialect
from bridge.gcode.reply_types import FileEntry
from bridge.home_assistant.entities import PrintableFile
from bridge.printer.control import planning
from bridge.printer.knowledge.model import UserPrompt
from bridge.printer.knowledge.print_table import Phase, PrintResult
from bridge.printer.limits.safety import SafetyRules
from bridge.printer.limits.travel import InitialState
from bridge.topics import Topics
from tests.support import home_assistant as ha
from tests.support.announced import components, device, documents_of
from tests.support.knowing import Knowing, plan

FAMILIES = ("marlin", "prusa", "klipper", "reprapfirmware", "repetier")
UNSUPPORTED = ("409 not_supported",)
NAME, PATH = "Cube, blue.gcode", "CUBE~1.GCO"
PRINTER = PrinterConfig(
    profile=Profile(
        extruders=2,
        heated_chamber=True,
        light=LightSettings(kind="rgb"),
        fans={"1": "Chamber fan"},
        max_temperature=MaxTemperature(tool=275, bed=120, chamber=70),
    ),
    presets={
        "PLA": Preset(tool=215, bed=60),
        "ABS": Preset(tool=240, bed=100, chamber=40),
    },
)
DEVICE = replace(
    device(2, chamber=True),
    presets={n: p.model_dump(exclude_none=True) for n, p in PRINTER.presets.items()},
    files=(PrintableFile(NAME, "card", PATH),),
)


@dataclass
class Row:
    """One use of one control.

    Attributes:
        key: the entity.
        value: what is chosen; ``None``: it is pressed.
        gcode: what is sent.
        other: the same where a family differs.
        shown: what the entity shows afterwards; ``None``: it shows nothing.
        phase: of the print.
        control: the beginning of the names of the fields of the control.
        state: the name of the template of what is shown.

    """

    key: str
    value: object
    gcode: tuple[str, ...]
    shown: str | None = None
    other: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    phase: Phase = "idle"
    control: str = "command"
    state: str = "value_template"


def pressed(
    key: str,
    *gcode: str,
    other: Mapping[str, tuple[str, ...]] | None = None,
    phase: Phase = "idle",
) -> Row:
    return Row(key, None, gcode, other=other or {}, phase=phase)


def alike(prefix: str, *families: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(families, (prefix,))


HALF, FULL, STILL = ("M106 S128",), ("M106 S255",), ("M106 S0",)
FAN_1 = "SET_FAN_SPEED FAN=1 SPEED="
SPEED, LIT = "percentage_value_template", "state_template"
CHOSEN = {"prusa": ("M23 cube~1.gco",), "reprapfirmware": (f'M23 "{PATH}"',)}
ROWS = (
    # Temperatures
    Row("tool0_target", 210, ("M104 T0 S210",), "210.0"),
    Row("tool1_target", 0, ("M104 T1 S0",), "0.0"),
    Row("bed_target", 60.5, ("M140 S60.5",), "60.5"),
    Row("chamber_target", 40, ("M141 S40",), "40.0"),
    Row("preset", "PLA", ("M140 S60", "M104 T0 S215"), "PLA"),
    Row("preset", "ABS", ("M140 S100", "M141 S40", "M104 T0 S240"), "ABS"),
    Row(
        "preset",
        "Off",
        ("M104 T0 S0", "M104 T1 S0", "M140 S0", "M141 S0"),
        "Off",
        phase="paused",
    ),
    pressed("preset_pla", "M140 S60", "M104 T0 S215"),
    pressed("cool_down", "M104 T0 S0", "M104 T1 S0", "M140 S0", "M141 S0"),
    Row(
        "bed_thermostat",
        "PLA",
        ("M140 S60",),
        "PLA",
        control="preset_mode_command",
        state="preset_mode_value_template",
    ),
    Row(
        "tool1_thermostat",
        "ABS",
        ("M104 T1 S240",),
        "ABS",
        control="preset_mode_command",
        state="preset_mode_value_template",
    ),
    Row(
        "bed_thermostat",
        70,
        ("M140 S70",),
        "70.0",
        control="temperature_command",
        state="temperature_state_template",
    ),
    Row(
        "chamber_thermostat",
        "off",
        ("M141 S0",),
        "off",
        control="mode_command",
        state="mode_state_template",
    ),
    # Fans, the light, the display
    Row("part_fan", 50, HALF, "50", control="percentage_command", state=SPEED),
    Row("part_fan", "ON", FULL, "ON", state="state_value_template"),
    Row("part_fan", "OFF", STILL, "OFF", state="state_value_template"),
    Row(
        "fan_1",
        50,
        ("M106 P1 S128",),
        "50",
        {"klipper": (f"{FAN_1}0.5",)},
        control="percentage_command",
        state=SPEED,
    ),
    Row(
        "fan_1",
        "ON",
        ("M106 P1 S255",),
        "ON",
        {"klipper": (f"{FAN_1}1",)},
        state="state_value_template",
    ),
    Row("light", {}, ("M150 R255 U255 B255 P255",), "on", state=LIT),
    Row("light", None, ("M150 R0 U0 B0 P255",), "off", state=LIT),
    Row(
        "light",
        {"brightness": 128, "red": 255, "green": 0, "blue": 9},
        ("M150 R255 U0 B9 P128",),
        "128",
        state="brightness_template",
    ),
    Row(
        "light",
        {"red": 1, "green": 0, "blue": 9},
        ("M150 R1 U0 B9 P255",),
        "9",
        state="blue_template",
    ),
    Row(
        "display",
        "Coffee first",
        ("M117 Coffee first",),
        other={
            "prusa": ("M117 coffee first",),
            "reprapfirmware": ('M117 "Coffee first"',),
        },
    ),
    # Moves
    pressed("home", "G91", "G28 X0 Y0 Z0", "G90"),
    pressed("motors_off", "M18"),
    Row("jog_distance", "10 mm", (), "10 mm"),
    pressed("jog_x_plus", "G91", "G0 X1 F6000", "G90"),
    pressed("jog_z_minus", "G91", "G0 Z-1 F200", "G90", phase="paused"),
    Row("extrude_length", "50 mm", (), "50 mm"),
    pressed(
        "extrude",
        *("G91", "M83", "G1 E5 F300", "M82", "G90"),
    ),
    pressed(
        "retract",
        *("G91", "M83", "G1 E-5 F300", "M82", "G90"),
    ),
    Row("tool", "tool1", ("T1",), "tool1"),
    Row("feedrate", 120, ("M220 S120",), "120"),
    Row("flowrate", 95, ("M221 S95",), "95"),
    Row(
        "z_offset",
        0.05,
        ("M290 Z0.05",),
        "0.05",
        {
            "klipper": ("SET_GCODE_OFFSET Z_ADJUST=0.05 MOVE=1",),
            "reprapfirmware": ("M290 S0.05",),
            "repetier": UNSUPPORTED,
        },
    ),
    pressed(
        "babystep_down",
        "M290 Z-0.02",
        other={
            "klipper": ("SET_GCODE_OFFSET Z_ADJUST=-0.02 MOVE=1",),
            "reprapfirmware": ("M290 S-0.02",),
            "repetier": UNSUPPORTED,
        },
        phase="printing",
    ),
    # The print
    Row("choose_file", NAME, (f"M23 {PATH}",), NAME, CHOSEN),
    pressed("start", "M24"),
    pressed(
        "reprint",
        *(f"M23 {PATH}", "M24"),
        other={family: (*lines, "M24") for family, lines in CHOSEN.items()},
    ),
    pressed("pause", "M25", other={"klipper": ("PAUSE",)}, phase="printing"),
    pressed("resume", "M24", other={"klipper": ("RESUME",)}, phase="paused"),
    pressed(
        "cancel",
        "M524",
        other={
            "klipper": ("CANCEL_PRINT",),
            "prusa": ("M25", "M26 S0"),
            "repetier": ("M25", "M26 S0"),
            "reprapfirmware": UNSUPPORTED,
        },
        phase="printing",
    ),
    pressed(
        "answer_2",
        "M876 S1",
        other={"klipper": ("RESUME",)},
        phase="paused",
    ),
    pressed("script_preheat", "M140 S60"),
    pressed("emergency_stop", "M112"),
    # What needs no G-code
    pressed("plan_recovery"),
    pressed("recover"),
    pressed("queue_release"),
    pressed("reconnect"),
    pressed("disconnect"),
    pressed("connect"),
    pressed("acknowledge"),
)  # fmt: skip


def payload_of(row: Row) -> tuple[str, str]:
    fields = components(DEVICE)[row.key]
    if fields["platform"] == "light":
        turned = "off" if row.value is None else "on"
        values = row.value if isinstance(row.value, dict) else {}
        template = fields[f"command_{turned}_template"]
        return fields["command_topic"], ha.rendered(template, **values)
    if row.value is None:
        return fields["command_topic"], fields["payload_press"]
    template = fields[f"{row.control}_template"]
    return fields[f"{row.control}_topic"], ha.rendered(template, row.value)


def printer(dialect: Dialect, phase: Phase) -> Knowing:
    known = Knowing(PRINTER.profile, dialect)
    known.says("ok T:20 /0 T0:20 /0 T1:20 /0 B:20 /0 C:20 /0 @:0")
    state, last = known.state, PrintResult(outcome="done", file=PATH, elapsed=1, time=0)
    choices, commands = ("PurgeMore", "Continue"), ("PURGE", "RESUME")
    asked = UserPrompt("Go on?", choices, shown=True, commands=commands)
    known.become(
        replace(
            state,
            card=True,
            listed=True,
            files=(FileEntry(PATH, 9, NAME),),
            job=replace(state.job, phase=phase, file="OTHER.GCO", result=last),
            capabilities={"EMERGENCY_PARSER": True},
            prompt=asked if phase == "paused" else None,
        )
    )
    return known


def used(row: Row, family: str) -> tuple[Knowing, tuple[str, ...]]:
    """Use a control; return the printer afterwards, and what was sent."""
    dialect = DIALECTS[family]
    known = printer(dialect, row.phase)
    if row.key == "resume":
        known.become(replace(known.state, prompt=None))
    topic, payload = payload_of(row)
    rest = Topics("printer").split(topic)
    assert rest is not None
    command = parse(rest, payload.encode()).command
    scripts = Scripts(
        {"preheat": "M140 S60", "Pre heat": "G28", "Ölen": "G28"},
        offered=["preheat", "Pre heat", "Ölen"],
    )
    context = planning.context_of(known.state, PRINTER, dialect, scripts)
    situation = planning.situation_of(known.state, PRINTER.profile)
    start = InitialState(profile=PRINTER.profile, dialect=dialect)
    try:
        program = plan(command, context, situation, SafetyRules(start=start)).program
    except RejectedError as error:
        return known, (f"{error.code} {error.error}",)
    known.sends(*program.gcode)
    if program.gcode[:1] and program.gcode[0].startswith("M23"):
        name = program.gcode[0].removeprefix("M23 ").strip('"')
        known.says(f"File opened:{name} Size:9", "File selected")
    chosen = accessories.chosen(known.state.accessories, program.choices)
    known.become(replace(known.state, accessories=chosen))
    return known, program.gcode


@pytest.mark.parametrize("family", FAMILIES)
def test_each_control_on_each_family(family: str) -> None:
    for row in ROWS:
        known, sent = used(row, family)
        assert sent == row.other.get(family, row.gcode), (family, row)
        if row.shown is None or sent == UNSUPPORTED:
            continue
        fields = components(DEVICE)[row.key]
        topic = row.state.replace("_value_template", "_state_topic")
        topic = topic.replace("_template", "_topic")
        topic = fields.get(topic) or fields["state_topic"]
        assert ha.shown(fields[row.state], documents_of(known)[topic]) == row.shown, row


def test_the_table_has_every_control() -> None:
    commanding = {
        key for key, fields in components(DEVICE).items() if "command_topic" in fields
    }
    same = {key for key in commanding if key.startswith(("jog_", "answer_", "script_"))}
    same |= {"preset_abs", "babystep_up"}
    assert commanding - {row.key for row in ROWS} <= same


def test_a_script_that_disturbs_is_refused_in_a_print_only() -> None:
    moves = pressed("script_pre_heat")
    assert used(moves, "marlin")[1] == ("G28",)
    in_print: tuple[tuple[Phase, tuple[str, ...]], ...] = (
        ("printing", ("409 printing",)),
        ("paused", ("G28",)),
    )
    for phase, sent in in_print:
        assert used(replace(moves, phase=phase), "marlin")[1] == sent
    still = pressed("script_preheat", phase="printing")
    assert used(still, "marlin")[1] == ("M140 S60",)
