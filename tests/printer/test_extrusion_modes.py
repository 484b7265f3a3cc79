"""Firmwares differ in what G90 and G91 do to the extruder; the limit holds for all."""

from collections.abc import Mapping

import pytest

from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.dialects import (
    KLIPPER,
    MARLIN,
    MARLIN1,
    REPETIER,
    UNKNOWN,
    Dialect,
)
from bridge.printer.limits.safety import SafetyRules, check
from tests.support.knowing import rules

PROFILE = Profile(max_extrusion=100)
AT_1000 = {"e": 1000.0}


@pytest.mark.parametrize(
    ("dialect", "lines", "position"),
    [
        (MARLIN, ["G91", "M82", "G1 E1005"], AT_1000),
        (MARLIN, ["G91", "M82", "G1 E5"], AT_1000),
        (MARLIN, ["M83", "G90", "G1 E1005"], AT_1000),
        (MARLIN, ["M83", "G90", "G1 E5"], AT_1000),
        (MARLIN, ["G91", "M82", "G1 E500"], {"e": 490.0}),
        (MARLIN1, ["G91", "G1 E1005"], AT_1000),
        (MARLIN1, ["G91", "G1 E5"], AT_1000),
        (REPETIER, ["G91", "G1 E5"], AT_1000),
        (KLIPPER, ["G91", "G1 E5"], AT_1000),
        (KLIPPER, ["M83", "G90", "G1 E1005"], AT_1000),
        (UNKNOWN, ["G91", "G1 E5"], AT_1000),
    ],
)
def test_too_much_filament_in_any_reading(
    dialect: Dialect, lines: list[str], position: Mapping[str, float]
) -> None:
    with pytest.raises(RejectedError, match=r"\(profile\.max_extrusion\)") as caught:
        check(lines, rules_of(dialect, position))
    unsure = dialect is not KLIPPER
    assert ("G90 with M82, or G91 with M83" in caught.value.message) is unsure


@pytest.mark.parametrize(
    ("dialect", "lines", "end"),
    [
        (MARLIN, ["G91", "G1 E5"], {"e": 1005.0}),
        (MARLIN, ["G91", "M83", "G1 E5"], {"e": 1005.0}),
        (MARLIN, ["M82", "G90", "G1 E1005"], {"e": 1005.0}),
        (KLIPPER, ["G91", "G1 E1005"], {"e": 1005.0}),
        (KLIPPER, ["M83", "G90", "G1 E5"], {"e": 1005.0}),
        (UNKNOWN, ["G91", "M83", "G1 E5"], {"e": 1005.0}),
        (MARLIN1, ["G92 E10", "G91", "G1 E5"], {}),
        (MARLIN1, ["G92 E0", "G91", "G1 E5"], {"e": 5.0}),
    ],
)
def test_filament_that_is_short_enough_in_every_reading(
    dialect: Dialect, lines: list[str], end: Mapping[str, float]
) -> None:
    assert check(lines, rules_of(dialect, AT_1000))[-1].position == end


def rules_of(dialect: Dialect, position: Mapping[str, float]) -> SafetyRules:
    return rules(PROFILE, position, dialect=dialect)
