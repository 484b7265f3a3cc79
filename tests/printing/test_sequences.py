"""The lines that the bridge sends around those of a file."""

from math import nan

from bridge.commands.base import Context
from bridge.config import Profile
from bridge.gcode.reply_types import PositionReport
from bridge.printer.printing.sequences import (
    completed,
    lost_axes,
    returning,
    switching_off,
)
from bridge.printer.printing.tracker import HeadPosition

AT = PositionReport(1, 2, 3, 4)
PROFILE = Profile()


def back(
    place: HeadPosition, now: PositionReport | None = AT, **more: object
) -> list[str]:
    given = {"tool": place.tool, **more}
    return list(returning(place, now, PROFILE, **given))  # type: ignore[arg-type] # of a test


def test_everything_goes_off_that_the_printer_has() -> None:
    profile = Profile(extruders=2, heated_chamber=True)
    assert switching_off(Context(profile=profile)) == (
        *("M140 S0", "M141 S0", "M104 T0 S0", "M104 T1 S0", "M107", "M84"),
    )
    shared = Profile(extruders=2, shared_nozzle=True, heated_bed=False)
    assert switching_off(Context(profile=shared)) == ("M104 S0", "M107", "M84")


def test_what_the_file_does_not_tell_the_printer_does() -> None:
    place = completed(HeadPosition(x=9, feedrate=100), AT)
    assert (place.x, place.y, place.z, place.e) == (9, 2, 3, 4)
    assert completed(HeadPosition(x=9, y=8, z=7, e=6), AT).e == 6
    assert completed(place, None) is place


def test_the_head_goes_back_at_the_greater_height() -> None:
    place = HeadPosition(x=10, y=20, z=5, e=7.5, feedrate=1800, fan=128)
    assert back(place) == [
        *("G90", "G1 Z5 F200", "G1 X10 Y20 F6000", "G92 E7.5"),
        *("G90", "M82", "M106 S128", "G1 F1800"),
    ]
    above = PositionReport(1, 2, 30, 4)
    assert back(place, above)[1:3] == ["G1 X10 Y20 F6000", "G1 Z5 F200"]
    assert back(place, None)[1:3] == ["G1 Z5 F200", "G1 X10 Y20 F6000"]


def test_modes_fan_and_tool_are_those_of_the_print() -> None:
    place = HeadPosition(relative=True, relative_e=True, tool=1, fan=0)
    assert back(place, tool=0) == ["T1", "G90", "G91", "M83", "M107"]


def test_after_homing_the_shifts_of_the_file_are_set_again() -> None:
    """Marlin#10875: homed in a pause, it resumed at the wrong height."""
    place = HeadPosition(x=10, y=0, z=5, e=1, shifts={"z": 0.5, "x": 3})
    assert back(place, homed=("x", "y", "z")) == [
        *("G90", "G1 Z5.5 F200", "G1 X13 Y0 F6000", "G92 X10 Z5 E1", "G90", "M82"),
    ]
    assert lost_axes(place, ("x", "y", "z")) == []
    assert lost_axes(HeadPosition(shifts={"z": nan}), ("x", "z")) == ["z"]
    nowhere = HeadPosition(shifts={"x": 3})
    assert back(nowhere, homed=("x",)) == ["G90", "G90", "M82"]
