"""Offsets in the lines of scripts."""

import pytest

from bridge.commands.base import Context
from bridge.commands.heaters import with_offsets
from bridge.commands.raw import RawCommands, RawScript
from bridge.commands.scripts import Scripts
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.line import parse
from bridge.gcode.modal import Modal

OFFSETS = {"tool0": 10.0, "tool1": -5.0, "bed": 2.5, "chamber": 1.0}
TWO = Profile(extruders=2, heated_chamber=True)
CONTEXT = Context(profile=TWO, offsets=OFFSETS)


def offset(texts: list[str], context: Context = CONTEXT) -> list[str]:
    lines = [parse(text, context.dialect.name) for text in texts]
    return [line.text for line in with_offsets(lines, context, "script x")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["M104 S210"], ["M104 S220"]),
        (["M109 R200"], ["M109 R210"]),
        (["M104 S210 T1"], ["M104 S205 T1"]),
        (["M104 T0 S200.1"], ["M104 T0 S210.1"]),
        (
            ["T1", "M104 S210", "T0", "M104 S210"],
            ["T1", "M104 S205", "T0", "M104 S220"],
        ),
        (["M140 S60", "M190 S60"], ["M140 S62.5", "M190 S62.5"]),
        (["M141 S40", "M191 S40"], ["M141 S41", "M191 S41"]),
        # Off stays off, and what is not a target stays as it is.
        (["M104 S0", "M140 S0", "M104"], ["M104 S0", "M140 S0", "M104"]),
        (
            ["M106 S210", "G1 X1", "M117 M104 S210"],
            ["M106 S210", "G1 X1", "M117 M104 S210"],
        ),
    ],
)
def test_an_offset_is_added_to_what_heats(
    lines: list[str], expected: list[str]
) -> None:
    assert offset(lines) == expected


def test_the_tool_that_is_selected_before_the_first_line_counts() -> None:
    there = Context(profile=TWO, offsets=OFFSETS, modal=Modal(tool=1))
    assert offset(["M104 S210"], there) == ["M104 S205"]


def test_octoprints_narrower_rule() -> None:
    jobs = TWO.model_copy(update={"apply_offsets": "jobs"})
    there = Context(profile=jobs, offsets=OFFSETS)
    assert offset(["M104 S210"], there) == ["M104 S210"]


def test_below_zero_is_refused_with_the_line() -> None:
    with pytest.raises(RejectedError, match=r"script x, M104 S3 T1: .* is below 0"):
        offset(["M104 S3 T1"])


def test_scripts_get_offsets_and_raw_lines_do_not() -> None:
    scripts = Scripts({"heat": "m104 s{{ parameters.t }} ; hot\nM140 S60"})
    there = Context(profile=TWO, offsets=OFFSETS, scripts=scripts)
    script = RawScript(script="heat", parameters={"t": 200}, context={})
    assert script.program(there).gcode == ("M104 S210", "M140 S62.5")
    raw = RawCommands(commands=("M104 S200", "M140 S60"), parameters={})
    assert raw.program(there).gcode == ("M104 S200", "M140 S60")
