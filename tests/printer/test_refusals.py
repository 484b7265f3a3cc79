"""The order of refusals, and offsets in scripts around tool changes."""

from dataclasses import replace

import pytest

from bridge.commands import parse
from bridge.commands.base import Context
from bridge.commands.scripts import Scripts
from bridge.config import MaxTemperature, Profile, Volume
from bridge.errors import CommandError, RejectedError
from bridge.gcode.dialects import DIALECTS
from bridge.printer.limits.safety import Situation
from tests.support.cases import case
from tests.support.knowing import plan, rules

PROFILE = Profile(extruders=2)
CONTEXT = Context(profile=PROFILE)
RULES = rules(PROFILE)
HERE = Situation(profile=PROFILE)


def lines(context: Context, topic: str, payload: bytes) -> tuple[str, ...]:
    return plan(parse(topic, payload).command, context, HERE, RULES).program.gcode


def test_scripts_around_a_tool_change_heat_the_tool_that_is_selected_then() -> None:
    scripts = Scripts({"beforeToolChange": "M104 S150", "afterToolChange": "M109 S200"})
    context = replace(CONTEXT, scripts=scripts, offsets={"tool0": 1.0, "tool1": 2.0})
    change = lines(context, "tool", b'{"command": "select", "tool": "tool1"}')
    assert change == ("M104 S151", "T1", "M109 S202")


def test_a_script_that_changes_tools_is_wrapped_each_time() -> None:
    scripts = Scripts({"beforeToolChange": "M117 {{ tool.old }}", "swap": "T1\nT0"})
    context = replace(CONTEXT, scripts=scripts)
    swap = lines(context, "command", b'{"script": "swap"}')
    assert swap == ("M117 0", "T1", "M117 1", "T0")


def test_a_limit_holds_for_a_target_with_its_offset() -> None:
    context = replace(CONTEXT, offsets={"bed": 10.0})
    assert lines(context, "bed", b'{"command": "target", "target": 110}')
    with pytest.raises(RejectedError, match="121") as caught:
        lines(context, "bed", b'{"command": "target", "target": 111}')
    assert (caught.value.code, caught.value.error) == (400, "out_of_limits")


@pytest.mark.parametrize(
    ("topic", "payload", "code", "error"),
    [
        ("bed", b'{"command": "target", "target": 900}', 400, "out_of_limits"),
        ("tool", b'{"command": "select", "tool": "tool7"}', 400, "no_such_tool"),
        ("command", b'{"script": "none"}', 404, "unknown_script"),
        ("command", b'{"command": "M500"}', 403, "blocked"),
        ("chamber", b'{"command": "target", "target": 40}', 409, "not_operational"),
        ("command", b'{"command": "M141 S40"}', 409, "not_operational"),
    ],
)
def test_what_is_wrong_at_any_time_is_told_before_what_is_wrong_now(
    topic: str, payload: bytes, code: int, error: str
) -> None:
    away = replace(HERE, operational=False)
    blocking = replace(RULES, blocked={"M500": "it wears the memory out"})
    with pytest.raises(RejectedError) as caught:
        plan(parse(topic, payload).command, CONTEXT, away, blocking)
    assert (caught.value.code, caught.value.error) == (code, error)


SMALL = Profile(
    extruders=2,
    heated_chamber=True,
    max_temperature=MaxTemperature(tool=250, bed=90, chamber=60),
    volume=Volume(x=(0, 220), y=(0, 220), z=(0, 250)),
    max_speed=12_000,
    max_extrusion=100,
)
MIDDLE = {"x": 50.0, "y": 50.0, "z": 10.0, "e": 0.0}
BEYOND = [
    ("head", '{"command": "jog", "x": 171}'),
    ("head", '{"command": "jog", "z": -11}'),
    ("head", '{"command": "jog", "x": 221, "absolute": true}'),
    ("head", '{"command": "jog", "x": 1e300}'),
    ("head", '{"command": "jog", "x": NaN}'),
    ("head", '{"command": "jog", "x": "5 M104 S300"}'),
    ("head", '{"command": "jog", "x": 5, "speed": 12001}'),
    ("head", '{"command": "jog", "e": 500}'),
    ("head", '{"command": "home", "axes": ["x", "e"]}'),
    ("head", '{"command": "feedrate", "factor": 1001}'),
    ("head", '{"command": "babystep", "z": 1.1}'),
    ("head", '{"command": "z_offset", "offset": -1.1}'),
    ("tool", '{"command": "target", "targets": {"tool0": 251}}'),
    ("tool", '{"command": "target", "targets": {"tool1": 250.01}, "hold": 60}'),
    ("tool", '{"command": "target", "targets": {"tool0": -1}}'),
    ("tool", '{"command": "target", "targets": {"tool2": 100}}'),
    ("tool", '{"command": "target", "targets": {"bed": 100}}'),
    ("tool", '{"command": "target", "targets": {"tool0": 1e400}}'),
    ("tool", '{"command": "target", "targets": {"tool0": "250 M104"}}'),
    ("tool", '{"command": "target", "targets": {"tool0": 200}, "hold": 1e12}'),
    ("tool", '{"command": "offset", "offsets": {"tool0": 51}}'),
    ("tool", '{"command": "select", "tool": "tool2"}'),
    ("tool", '{"command": "select", "tool": "tool1 M104 S300"}'),
    ("tool", '{"command": "extrude", "amount": 101}'),
    ("tool", '{"command": "extrude", "amount": -101}'),
    ("tool", '{"command": "extrude", "amount": 5, "speed": 1e9}'),
    ("tool", '{"command": "flowrate", "factor": 1001}'),
    ("bed", '{"command": "target", "target": 90.5}'),
    ("bed", '{"command": "target", "target": -1}'),
    ("bed", '{"command": "offset", "offset": 51}'),
    ("chamber", '{"command": "target", "target": 61}'),
    ("chamber", '{"command": "offset", "offset": 51}'),
    ("fan", '{"command": "speed", "percent": 101}'),
    ("fan", '{"command": "speed", "percent": 9, "fan": "1 M104 S300"}'),
    ("display", '{"command": "show", "text": "a\\nM104 S300"}'),
    ("command", '{"command": "M104 S{t}", "parameters": {"t": 300}}'),
    ("command", '{"command": "M104 S{t}", "parameters": {"t": "200 M104 S300"}}'),
    ("command", '{"command": "M117 {t}", "parameters": {"t": "a\\nM104 S300"}}'),
    ("command", '{"command": "{t}", "parameters": {"t": "M104 S300"}}'),
    ("command", '{"commands": ["M104 S200", "M104 S251"]}'),
    ("command", '{"script": "hot", "parameters": {"t": 251}}'),
    ("command", '{"script": "hot", "parameters": {"t": "200\\nM140 S91"}}'),
    ("command", '{"script": "far", "context": {"x": 221}}'),
]


@pytest.mark.parametrize("family", DIALECTS)
def test_no_command_goes_beyond_the_limits(family: str) -> None:
    scripts = {"hot": "M104 S{{ parameters.t }}", "far": "G0 X{{ context.x }}"}
    context = Context(profile=SMALL, dialect=DIALECTS[family], scripts=Scripts(scripts))
    here = Situation(profile=SMALL)
    given = rules(SMALL, MIDDLE, dialect=DIALECTS[family])
    for topic, payload in BEYOND:
        with case(topic, payload), pytest.raises(CommandError):
            plan(parse(topic, payload.encode()).command, context, here, given)
