"""What docs/gcode.md shows and lists is so."""

import re

import pytest

from bridge.commands.sandbox import Sandbox
from bridge.commands.scripts import Scripts, printer_profile
from bridge.config import Profile
from tests.support.documents import ROOT

TEXT = (ROOT / "docs/gcode.md").read_text()
BLOCKS = re.findall(r"```jinja\n(.*?)```", TEXT, re.DOTALL)

PRINTED = [
    ["M140 S60", "M104 T0 S215", "M104 T1 S215"],
    ["G90", "G0 Z22 F600", "M104 T0 S0", "M104 T1 S0", "M140 S0", "M107"],
]


@pytest.mark.parametrize(
    ("template", "lines"),
    list(zip(BLOCKS, PRINTED, strict=True)),
)
def test_the_examples_work(template: str, lines: list[str]) -> None:
    variables = {
        "printer_profile": printer_profile(Profile(extruders=2)),
        "parameters": {"hotend": 215},
        "last_position": {"z": 12.0},
    }
    assert list(Scripts({"example": template}).render("example", variables)) == lines


def test_all_filters_are_listed() -> None:
    listed = re.search(r"filters are (.*?)\.", TEXT, re.DOTALL)
    assert listed is not None
    public = {
        name for name in Sandbox({}).filters if not name.startswith(".") and name != "d"
    }
    assert set(re.split(r",\s+|\s+and\s+", listed[1])) == public
