"""The order of refusals, and offsets in scripts around tool changes."""

from dataclasses import replace

import pytest

from bridge.commands import parse
from bridge.commands.base import Context
from bridge.commands.scripts import Scripts
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.printer.limits.safety import Situation
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
