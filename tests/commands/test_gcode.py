"""What is asked, and the G-code it becomes: the examples of OctoPrint's printer API."""

import json
from typing import Any

import pytest

from bridge import commands
from bridge.commands import Context
from bridge.config import Profile, Speeds
from bridge.errors import RejectedError
from bridge.gcode.dialects import KLIPPER
from bridge.gcode.modal import Modal

TWO_TOOLS = Context(profile=Profile(extruders=2, heated_chamber=True))
SHARED = Context(profile=Profile(extruders=2, shared_nozzle=True))
WARMER = Context(
    profile=Profile(extruders=2, heated_chamber=True),
    offsets={"tool0": 5.0, "tool1": -10.0, "bed": 5.0, "chamber": 2.5},
)
JOBS_ONLY = Context(
    profile=Profile(apply_offsets="jobs"), offsets={"tool0": 5.0, "bed": 5.0}
)


M83 = Modal(relative_e=True, own_relative_e=True)


def ask(topic: str, payload: dict[str, Any], context: Context) -> commands.Program:
    return commands.parse(topic, json.dumps(payload).encode()).command.program(context)


@pytest.mark.parametrize(
    ("topic", "payload", "gcode"),
    [
        (
            "head",
            {"command": "jog", "x": 10, "y": -5, "z": 0.02},
            ["G91", "G0 X10 Y-5 Z0.02 F200", "G90"],
        ),
        ("head", {"command": "jog", "z": 1, "x": 2}, ["G91", "G0 X2 Z1 F200", "G90"]),
        ("head", {"command": "jog", "x": 10.0}, ["G91", "G0 X10 F6000", "G90"]),
        ("head", {"command": "jog", "x": 1e-5}, ["G91", "G0 X0.00001 F6000", "G90"]),
        ("head", {"command": "jog", "x": -0.0}, ["G91", "G0 X0 F6000", "G90"]),
        (
            "head",
            {"command": "jog", "x": 5, "absolute": True},
            ["G90", "G0 X5 F6000"],
        ),
        (
            "head",
            {"command": "jog", "x": 5, "speed": 1234.5},
            ["G91", "G0 X5 F1234.5", "G90"],
        ),
        ("head", {"command": "jog", "x": 5, "speed": False}, ["G91", "G0 X5", "G90"]),
        (
            "head",
            {"command": "jog", "x": 5, "speed": None},
            ["G91", "G0 X5 F6000", "G90"],
        ),
        (
            "head",
            {"command": "home", "axes": ["x", "y"]},
            ["G91", "G28 X0 Y0", "G90"],
        ),
        (
            "head",
            {"command": "home", "axes": ["z", "x", "x"]},
            ["G91", "G28 Z0 X0", "G90"],
        ),
        ("head", {"command": "home", "axes": "xy"}, ["G91", "G28 X0 Y0", "G90"]),
        ("head", {"command": "home", "axes": []}, ["G91", "G28", "G90"]),
        ("head", {"command": "feedrate", "factor": 105}, ["M220 S105"]),
        ("head", {"command": "feedrate", "factor": 1}, ["M220 S1"]),
        ("head", {"command": "feedrate", "percent": 1}, ["M220 S1"]),
        ("head", {"command": "feedrate", "percent": 1.0}, ["M220 S1"]),
        ("head", {"command": "feedrate", "percent": 87.5}, ["M220 S88"]),
        ("tool", {"command": "flowrate", "percent": 100}, ["M221 S100"]),
        ("head", {"command": "feedrate", "factor": 1.0}, ["M220 S100"]),
        ("head", {"command": "feedrate", "factor": 0.57}, ["M220 S57"]),
        ("head", {"command": "feedrate", "factor": 0.58}, ["M220 S58"]),
        ("head", {"command": "feedrate", "factor": 0.29}, ["M220 S29"]),
        ("head", {"command": "feedrate", "factor": 1.15}, ["M220 S115"]),
        ("head", {"command": "feedrate", "factor": 2.3}, ["M220 S230"]),
        ("head", {"command": "feedrate", "factor": 10.0}, ["M220 S1000"]),
        ("head", {"command": "feedrate", "factor": 105.0}, ["M220 S105"]),
        ("head", {"command": "feedrate", "factor": 10.5}, ["M220 S11"]),
        ("tool", {"command": "flowrate", "factor": 95}, ["M221 S95"]),
        ("tool", {"command": "flowrate", "factor": 0.95}, ["M221 S95"]),
        (
            "tool",
            {"command": "target", "targets": {"tool1": 205, "tool0": 220}},
            ["M104 T1 S205", "M104 T0 S220"],
        ),
        (
            "tool",
            {"command": "target", "targets": {"tool01": 205.5, "tool": 0}},
            ["M104 T1 S205.5", "M104 S0"],
        ),
        ("tool", {"command": "select", "tool": "tool1"}, ["T1"]),
        (
            "tool",
            {"command": "extrude", "amount": 5},
            ["G91", "M83", "G1 E5 F300", "M82", "G90"],
        ),
        (
            "tool",
            {"command": "extrude", "amount": -3.5, "speed": 100.5},
            ["G91", "M83", "G1 E-3.5 F100.5", "M82", "G90"],
        ),
        (
            "tool",
            {"command": "extrude", "amount": 5, "speed": 6000},
            ["G91", "M83", "G1 E5 F300", "M82", "G90"],
        ),
        ("bed", {"command": "target", "target": 75}, ["M140 S75"]),
        ("bed", {"command": "target", "target": 0}, ["M140 S0"]),
        ("chamber", {"command": "target", "target": 50}, ["M141 S50"]),
        ("sd", {"command": "init"}, ["M21"]),
        ("sd", {"command": "refresh"}, ["M20"]),
        ("sd", {"command": "release"}, ["M22"]),
        ("command", {"command": "M106"}, ["M106"]),
        ("command", {"commands": ["M18", "M106 S0"]}, ["M18", "M106 S0"]),
        ("command", {"command": "M117 50%"}, ["M117 50%"]),
        ("command", {"command": "M106 S1 ; half"}, ["M106 S1"]),
        (
            "command",
            {"command": "M106 S%(speed)d", "parameters": {"speed": 127.9}},
            ["M106 S127"],
        ),
        (
            "command",
            {"command": "M106 S{speed:.1f}", "parameters": {"speed": 127.96}},
            ["M106 S128.0"],
        ),
        (
            "command",
            {"commands": ["M104 S{t}", "M117 %(n)s"], "parameters": {"t": 9, "n": "x"}},
            ["M104 S9", "M117 x"],
        ),
        ("emergency", {}, ["M112"]),
        ("request/position", {}, ["M114"]),
        ("request/ping", {}, ["M105"]),
        ("request/state", {"exclude": "temperature,sd", "history": True}, []),
    ],
)
def test_a_payload_becomes_gcode(
    topic: str, payload: dict[str, Any], gcode: list[str]
) -> None:
    assert list(ask(topic, payload, TWO_TOOLS).gcode) == gcode


@pytest.mark.parametrize(
    ("context", "target", "line"),
    [
        (Context(), {"tool0": 220}, "M104 S220"),
        (SHARED, {"tool1": 220}, "M104 S220"),
        (WARMER, {"tool0": 220}, "M104 T0 S225"),
        (WARMER, {"tool1": 220}, "M104 T1 S210"),
        (WARMER, {"tool1": 0}, "M104 T1 S0"),
        (WARMER, {"tool1": 10}, "M104 T1 S0"),
        (WARMER, {"tool": 220}, "M104 S225"),
        (JOBS_ONLY, {"tool0": 220}, "M104 S220"),
    ],
)
def test_offsets_are_added_to_what_heats(
    context: Context, target: dict[str, float], line: str
) -> None:
    payload = {"command": "target", "targets": target}
    assert ask("tool", payload, context).lines == (line,)


def test_offsets_of_the_selected_tool() -> None:
    context = Context(
        profile=WARMER.profile, offsets=WARMER.offsets, modal=Modal(tool=1)
    )
    payload = {"command": "target", "targets": {"tool": 220}}
    assert ask("tool", payload, context).lines == ("M104 S210",)


def test_offsets_of_bed_and_chamber() -> None:
    assert ask("bed", {"command": "target", "target": 60}, WARMER).lines == (
        "M140 S65",
    )
    assert ask("chamber", {"command": "target", "target": 40}, WARMER).lines == (
        "M141 S42.5",
    )


def test_an_offset_never_takes_a_target_below_zero() -> None:
    with pytest.raises(RejectedError, match=r"targets.tool1: 5 °C plus the offset of"):
        ask("tool", {"command": "target", "targets": {"tool1": 5}}, WARMER)


@pytest.mark.parametrize(
    ("topic", "payload", "offsets"),
    [
        (
            "tool",
            {"command": "offset", "offsets": {"tool0": 50, "tool01": -50}},
            {"tool0": 50.0, "tool1": -50.0},
        ),
        ("bed", {"command": "offset", "offset": -5}, {"bed": -5.0}),
        ("chamber", {"command": "offset", "offset": 0}, {"chamber": 0.0}),
    ],
)
def test_offsets_are_kept_and_nothing_is_sent(
    topic: str, payload: dict[str, Any], offsets: dict[str, float]
) -> None:
    program = ask(topic, payload, TWO_TOOLS)
    assert program.gcode == ()
    assert program.offsets == offsets


def test_the_card_is_mounted_once_and_listed_as_well_as_the_firmware_can() -> None:
    ready = Context(card_ready=True, capabilities=frozenset({"EXTENDED_M20"}))
    assert ask("sd", {"command": "init"}, ready).gcode == ()
    assert ask("sd", {"command": "refresh"}, ready).gcode == ("M20 L T",)


def test_the_profile_gives_the_speed_of_a_jog() -> None:
    context = Context(profile=Profile(speeds=Speeds(x=3000, y=2000, e=100)))
    jog = ask("head", {"command": "jog", "x": 1, "y": 1}, context)
    assert jog.lines[1] == "G0 X1 Y1 F2000"
    extrude = ask("tool", {"command": "extrude", "amount": 1}, context)
    assert extrude.lines[2] == "G1 E1 F100"


@pytest.mark.parametrize(
    ("before", "gcode"),
    [
        (Modal(relative=True, relative_e=True), ["G91", "G0 X1 F6000", "G91"]),
        (M83, ["G91", "G0 X1 F6000", "G90", "M83"]),
        (Modal(relative=True), ["G91", "G0 X1 F6000", "G91", "M82"]),
        (Modal(feedrate=1500), ["G91", "G0 X1 F6000", "G90", "G0 F1500"]),
        (Modal(feedrate=6000), ["G91", "G0 X1 F6000", "G90"]),
    ],
)
def test_a_jog_gives_the_modal_state_back(before: Modal, gcode: list[str]) -> None:
    jog = ask("head", {"command": "jog", "x": 1}, Context(modal=before))
    assert list(jog.gcode) == gcode


def test_an_absolute_jog_gives_the_modal_state_back() -> None:
    payload = {"command": "jog", "x": 1, "absolute": True}
    before = Modal(relative=True, relative_e=True, feedrate=900)
    assert list(ask("head", payload, Context(modal=before)).gcode) == [
        "G90",
        "G0 X1 F6000",
        "G91",
        "G0 F900",
    ]
    assert list(ask("head", payload, Context(modal=M83)).gcode) == [
        "G90",
        "G0 X1 F6000",
        "G90",
        "M83",
    ]


@pytest.mark.parametrize(
    ("before", "restore"),
    [
        (Modal(), ["M82", "G90"]),
        (M83, ["G90", "M83"]),
        (Modal(relative=True, relative_e=True), ["M82", "G91"]),
        (Modal(own_relative_e=True), ["G90"]),
        (Modal(relative=True), ["G91", "M82"]),
        (Modal(feedrate=1500), ["M82", "G90", "G1 F1500"]),
    ],
)
def test_an_extrusion_gives_the_modal_state_back(
    before: Modal, restore: list[str]
) -> None:
    program = ask("tool", {"command": "extrude", "amount": 1}, Context(modal=before))
    assert list(program.restore) == restore


def test_where_g90_leaves_the_extruder_alone_so_do_we() -> None:
    context = Context(dialect=KLIPPER, modal=M83)
    jog = ask("head", {"command": "jog", "x": 1}, context)
    assert jog.gcode == ("G91", "G0 X1 F6000", "G90")
    extrude = ask("tool", {"command": "extrude", "amount": 1}, context)
    assert extrude.gcode == ("G91", "M83", "G1 E1 F300", "G90")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"command": "select", "tool": "tool2"}, "tool: there is no tool2"),
        (
            {"command": "target", "targets": {"tool5": 9}},
            r"targets\.tool5: there is no",
        ),
        (
            {"command": "offset", "offsets": {"tool2": 9}},
            r"offsets\.tool2: there is no",
        ),
    ],
)
def test_a_tool_that_the_printer_has_not(payload: dict[str, Any], message: str) -> None:
    with pytest.raises(RejectedError, match=message) as caught:
        ask("tool", payload, TWO_TOOLS)
    assert (caught.value.code, caught.value.error) == (400, "no_such_tool")
