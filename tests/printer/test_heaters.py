"""Which reading belongs to which heater."""

import pytest

from bridge.config import Profile
from bridge.gcode.line import parse
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import TemperatureReport
from bridge.printer.knowledge.heaters import (
    Heat,
    HeaterState,
    heaters_of,
    merge,
    retarget,
    targets_of,
)

ONE = Profile()
TWO = Profile(extruders=2)
SHARED = Profile(extruders=2, shared_nozzle=True)
EVERYTHING = Profile(extruders=2, heated_chamber=True)
NAKED = Profile(heated_bed=False)


def read(
    line: str, profile: Profile = ONE, tool: int = 0, heat: Heat | None = None
) -> Heat:
    (report,) = parse_reply(line)
    assert isinstance(report, TemperatureReport)
    before = heat or Heat(heaters_of(profile), {})
    return merge(before, report.readings, profile=profile, tool=tool)


def test_a_machine_has_the_heaters_of_its_profile() -> None:
    assert list(heaters_of(ONE)) == ["tool0", "bed"]
    assert list(heaters_of(EVERYTHING)) == ["tool0", "tool1", "bed", "chamber"]
    assert list(heaters_of(NAKED)) == ["tool0"]


@pytest.mark.parametrize(
    ("line", "profile", "tool", "tools"),
    [
        ("T:20 /0 B:30 /60", ONE, 0, {"tool0": 20}),
        ("T:20 /0", TWO, 1, {"tool0": None, "tool1": 20}),
        ("T:99 /0 T0:20 /0 T1:21 /0", TWO, 1, {"tool0": 20, "tool1": 21}),
        ("T:20 /0 T1:21 /0", TWO, 1, {"tool0": 20, "tool1": 21}),
        ("T:20 /0", SHARED, 1, {"tool0": 20, "tool1": 20}),
        ("T0:20 /0", SHARED, 0, {"tool0": 20, "tool1": 20}),
        ("T0:20 /0 T1:21 /0", SHARED, 0, {"tool0": 20, "tool1": 21}),
        ("T0:20 /0 T1:21 /0", ONE, 0, {"tool0": 20, "tool1": 21}),
        ("T0:20 /0 T77:21 /0", ONE, 0, {"tool0": 20}),
        ("T:20 /0 Tx:5", ONE, 0, {"tool0": 20}),
    ],
)
def test_tools_are_told_apart(
    line: str, profile: Profile, tool: int, tools: dict[str, float | None]
) -> None:
    heaters = read(line, profile, tool).heaters
    measured = {n: h.actual for n, h in heaters.items() if n.startswith("tool")}
    assert measured == tools


def test_a_reading_without_a_target_keeps_the_one_before() -> None:
    heat = read("T:20 /210 B:30 /60")
    heat = read("T:25 B:31", heat=heat)
    assert heat.heaters == {"tool0": HeaterState(25, 210), "bed": HeaterState(31, 60)}


def test_a_sensor_that_failed_is_not_known() -> None:
    heat = read("T:nan /210", heat=read("T:20 /210"))
    assert heat.heaters["tool0"] == HeaterState(None, 210)


def test_bed_and_chamber_exist_where_the_profile_has_them() -> None:
    line = "T:20 /0 B:30 /60 C:40 /50"
    assert read(line, NAKED).heaters == {"tool0": HeaterState(20, 0)}
    assert read(line, NAKED).sensors == {}
    assert read(line, EVERYTHING).heaters["chamber"] == HeaterState(40, 50)


def test_other_sensors_are_kept_apart() -> None:
    heat = read("T:20 /0 P:25 A:28 /0")
    assert heat.sensors == {"P": 25, "A": 28}
    assert list(heat.heaters) == ["tool0", "bed"]


def test_noise_does_not_fill_the_memory() -> None:
    heat = read("T:20 " + " ".join(f"S{n}:1" for n in range(100)))
    assert len(heat.sensors) == 32
    heat = read("T:20 S0:7 S99:7", heat=heat)
    assert heat.sensors["S0"] == 7
    assert "S99" not in heat.sensors


@pytest.mark.parametrize(
    ("line", "profile", "tool", "targets"),
    [
        ("M104 S200", ONE, 0, {"T0": 200}),
        ("M104 S200", TWO, 1, {"T1": 200}),
        ("M104 T1 S200", TWO, 0, {"T1": 200}),
        ("M109 R180", ONE, 0, {"T0": 180}),
        ("M104 S200", SHARED, 0, {"T0": 200, "T1": 200}),
        ("M140 S60", ONE, 0, {"B": 60}),
        ("M190 R40", ONE, 0, {"B": 40}),
        ("M141 S50", ONE, 0, {"C": 50}),
        ("M191 S0 ; off", ONE, 0, {"C": 0}),
        ("M104", ONE, 0, {}),
        ("M104 S", ONE, 0, {}),
        ("G28 S5", ONE, 0, {}),
        ("M104 T9999 S1", ONE, 0, {"T999": 1}),
        ("M145 H200", ONE, 0, {}),
        ("M303 S200", ONE, 0, {}),
    ],
)
def test_lines_set_targets(
    line: str, profile: Profile, tool: int, targets: dict[str, float]
) -> None:
    said = parse(line, "marlin")
    assert targets_of(said, profile=profile, tool=tool) == targets


@pytest.mark.parametrize(
    ("family", "line", "targets"),
    [
        ("klipper", "SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=60", {"B": 60}),
        ("klipper", "SET_HEATER_TEMPERATURE HEATER=dryer TARGET=60", {}),
        ("reprapfirmware", "M568 P1 S200 R150", {"T1": 200}),
        ("teacup", "M104 P1 S60", {}),
    ],
)
def test_other_families_set_targets(
    family: str, line: str, targets: dict[str, float]
) -> None:
    assert targets_of(parse(line, family), profile=ONE, tool=0) == targets


def test_only_heaters_that_exist_get_a_target() -> None:
    before = read("T:20 /0 B:30 /0").heaters
    after = retarget(before, {"T0": 200, "T5": 1, "C": 1, "B": 60, "X": 2}, ONE)
    assert after == {"tool0": HeaterState(20, 200), "bed": HeaterState(30, 60)}
