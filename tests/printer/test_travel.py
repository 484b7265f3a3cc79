"""Where lines lead, in machine coordinates, and which of them lead too far."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import MaxTemperature, Profile, Volume
from bridge.errors import RejectedError
from bridge.gcode import line as lines
from bridge.gcode.dialects import (
    KLIPPER,
    MARLIN,
    REPETIER,
    REPRAPFIRMWARE,
    SMOOTHIEWARE,
    Dialect,
)
from bridge.gcode.modal import Modal
from bridge.printer.limits import travel
from bridge.printer.limits.coordinates import Coordinates, Frame
from bridge.printer.limits.safety import SafetyRules, check
from tests.support.knowing import rules

BOX = Profile(
    extruders=2,
    heated_chamber=True,
    max_temperature=MaxTemperature(tool=250, bed=100, chamber=60),
    volume=Volume(x=(0, 220), y=(-10, 220), z=(0, 250)),
    max_speed=12_000,
    max_extrusion=100,
)
ONE_TOOL = BOX.model_copy(update={"extruders": 1})
HOME = {"x": 0.0, "y": 0.0, "z": 0.0, "e": 0.0}
MIDDLE = {"x": 100.0, "y": 100.0, "z": 100.0, "e": 0.0}


def refused(
    program: Sequence[str],
    position: Mapping[str, float] | None = None,
    modal: Modal | None = None,
    dialect: Dialect = MARLIN,
    profile: Profile = BOX,
) -> RejectedError:
    given_rules = rules(profile, position, modal=modal, dialect=dialect)
    with pytest.raises(RejectedError) as caught:
        check(program, given_rules)
    return caught.value


def after(
    program: Sequence[str],
    position: Mapping[str, float] | None = None,
    dialect: Dialect = MARLIN,
    profile: Profile = BOX,
    frame: Frame | None = None,
) -> Coordinates:
    given_rules = rules(profile, position, dialect=dialect, frame=frame)
    return check(program, given_rules)[-1]


@pytest.mark.parametrize(
    ("program", "position", "message"),
    [
        (["G1 F12001"], {}, "12001 mm/min is faster than 12000 mm/min"),
        (["G1 F-1"], {}, "a feedrate must not be negative"),
        (["G0 X220.5"], {}, "x would be at 220.5 mm, outside 0 to 220 mm"),
        (["G1 Y-11"], {}, "y would be at -11 mm, outside -10 to 220 mm"),
        (["G1 Z251 E5"], HOME, "z would be at 251 mm"),
        (["G91", "G0 X221"], {}, "221 mm along x is longer than the axis"),
        (["G91", "G0 X10", "G0 X20"], {"x": 200.0}, "x would be at 230 mm"),
        (["G0 X210", "G91", "G0 X20"], {}, "x would be at 230 mm"),
        (["G91", "G0 X-7"], {"x": -5.0}, "x would be at -12 mm"),
        (["G1 E101"], HOME, "101 mm of filament is more than 100 mm at once"),
        (["M83", "G1 E-101"], HOME, "-101 mm of filament is more than 100 mm"),
        (["G92 E0", "G1 E60", "G1 E161"], {}, "101 mm of filament"),
        (["G91", "G1 E101"], {}, "101 mm of filament"),
        (
            ["M83", "G1 E60", "G1 E60"],
            {},
            "100 mm in one command",
        ),
        (
            ["M83", "G1 E-60", "G1 E-60"],
            {},
            "100 mm in one command",
        ),
        (
            ["M83", "G1 E60", "G92 E0", "G1 E60"],
            {},
            "100 mm in one command",
        ),
        (["M221 S200", "M83", "G1 E51"], {}, "102 mm of filament is more than"),
        (["M220 S300", "G1 X5 F5000"], {}, "15000 mm/min is faster than 12000"),
        (["G1 F5000", "M220 S300", "G1 X5"], {}, "with the speed factor of 300 %"),
        (["M220 S1000", "G1 X5"], {}, "15000 mm/min is faster"),
        (["M200 D3", "M83", "G1 E101"], {}, "101 mm of filament is more"),
        (["M221 T1 S1", "M83", "G1 E101"], {}, "101 mm of filament is more"),
        (["M220 S1", "G1 X100 F12001"], {}, "12001 mm/min is faster than"),
        (["G61 X200"], {}, "would be added to a saved place"),
        (["G60", "G61 X E"], {}, "how much filament E would move"),
        (["M240 X900"], MIDDLE, "x would be at 900 mm"),
        (["M208 S60", "G10", "G11", "G10", "G11"], {}, "120 mm of filament is more"),
        (["M208 S-60", "G10", "G11", "G10", "G11"], {}, "120 mm of filament is more"),
        (["M208 W60", "G10 S1", "G11", "G10 S1", "G11"], {}, "120 mm of filament"),
        (
            ["M207 S0.1", "G10", "M207 S90", "G11", "M83", "G1 E20"],
            {},
            "109.9 mm of filament is more than 100 mm in one command",
        ),
        (["M207 S90", "G11", "M83", "G1 E20"], {}, "110 mm of filament is more than"),
        (["G10", "M207 S90", "G11", "M83", "G1 E20"], {}, "110 mm of filament"),
        (["M48 X221"], {}, "x would be at 221 mm"),
        (["M200 D1.75", "M200 S1", "M83", "G1 E101"], {}, "101 mm of filament"),
        (["M290 Z1.5", "M290 Z0.6"], {}, "2.1 mm in small steps since it was homed"),
        (["M290 S-2.1"], {}, "-2.1 mm in small steps"),
        (["M290 R0 Z1.5", "M290 R0 Z1.5"], {}, "3 mm in small steps"),
        (["M125 X230"], {}, "x would be at 230 mm"),
        (["M600 X999"], {}, "x would be at 999 mm"),
        (["G38.2 Z-5"], MIDDLE, "z would be at -5 mm"),
        (["G91", "G38.2 X150"], MIDDLE, "x would be at 250 mm"),
        (["G91", "G30 X221 Y0"], MIDDLE, "x would be at 221 mm"),
        (["M290 Z2", *["G28", "M290 Z2"] * 4, "G28", "M290 Z1"], {}, "11 mm in small"),
        (["G29 P6 C6", "G28", "G29 P6 C5"], {}, "the mesh would be moved by 11 mm"),
        (["M421 I0 J0 Q-6", "M421 I1 J0 Q-5"], {}, "the mesh would be moved by -11 mm"),
        (["M240 I900"], MIDDLE, "x would be at 900 mm"),
        (["M240 J-50"], MIDDLE, "y would be at -50 mm"),
        (["M240 A121"], MIDDLE, "x would be at 221 mm"),
        (["M240 A100", "G91", "M240 B-111"], MIDDLE, "y would be at -11 mm"),
    ],
)
def test_moves_beyond_a_limit(
    program: list[str], position: Mapping[str, float], message: str
) -> None:
    error = refused(program, position)
    assert (error.code, error.error) == (400, "out_of_limits")
    assert message in error.message
    assert error.message.startswith(program[-1])


@pytest.mark.parametrize(
    ("program", "position"),
    [
        (["G0 X220 Y-10 Z250 F12000", "G0 X0", "G1 X5 Y5 E100"], HOME),
        (["G91", "G0 X120", "G0 X", "G1 E-100"], MIDDLE),
        (["G28", "G92 E0", "G1 Z2 F3000", "G1 X10 Y20 Z0.3 F5000", "G1 E15"], {}),
        (["G28", "G91", "G1 Z10", "G90", "G1 X5"], {}),
        (["G28", "G91", "G1 X220", "G1 X-220"], {}),
        (["M83", "G1 E-1", "G1 E1", "G1 E99", "G1 E-99"], {}),
        (["M220 S200", "G1 X5 F6000", "M220 S100", "G1 X5 F12000"], {}),
        (["M200 D0", "M200 S0", "M83", "G1 E100"], {}),
        (["G60", "G61 X Y Z"], {}),
        (["M48 X100 Y100 P10"], {}),
        (["G10", "G1 X5 E1", "G11", "G1 X6 E2"], HOME),
        (["M208 S0.2", *["G10", "G11"] * 200], {}),
        (["M208 S60", "M208 S0 W0", *["G10", "G11"] * 20], {}),
        (["M208 S60", *["G11"] * 20, "G10", "G10", "G10"], {}),
        (["M207 S90", "G10", "G11", "G11", "M83", "G1 E90"], {}),
        (["M240 X5 Y5", "G91", "G1 X5"], MIDDLE),
        (["M290 Z0.05", "M290 Z-0.1", "G28", "M290 Z2", "M290 P1", "M290 Z"], {}),
        (["G91", "G1 X0", "G92 X5", "G1 X0"], {}),
        (["M125 X10 Y10 Z500", "M600 X10 Y10"], {}),
        (["G38.2 Z0"], MIDDLE),
        (["G91", "G30 X200 Y0"], MIDDLE),
        (["G1 F0", "G1 X5 F0"], {}),
        (["G29", "G1 E5"], HOME),
        (["M18", "G1 X5"], {}),
        (["M240 I5 J5 A-5 B5", "G1 X5 Y5"], MIDDLE),
        (["G29 P6 C0.1", "G29 P1", "M421 I1 J1 Q-0.1", "M421 I1 J1 Z0.1"], {}),
        (["M290 Z2", "G28", "M290 Z-2", "G28", *["M290 Z2", "G28"] * 5], {}),
    ],
)
def test_moves_within_the_limits(
    program: list[str], position: Mapping[str, float]
) -> None:
    check(program, rules(BOX, position))


@pytest.mark.parametrize(
    ("program", "end"),
    [
        (["G0 X5"], {**HOME, "x": 5.0}),
        (["G91", "G0 X5", "G0 X1 E2"], {**HOME, "x": 6.0, "e": 2.0}),
        (["G28 X0"], {"y": 0.0, "z": 0.0, "e": 0.0}),
        (["G28"], {"e": 0.0}),
        (["G28 R5"], {"e": 0.0}),
        (["G28 W"], {"e": 0.0}),
        (["G92 X10 E0"], {**HOME, "x": 10.0}),
        (["G92"], {}),
        (["G92 X"], {"y": 0.0, "z": 0.0, "e": 0.0}),
        (["G29"], {"e": 0.0}),
        (["G26 H200 B60"], {}),
        (["M600"], {}),
        (["T1"], {}),
        (["M9999"], {}),
        (["G4 S1", "M104 S200", "M106"], HOME),
        (["G0 X F100"], {"y": 0.0, "z": 0.0, "e": 0.0}),
        (["G0 Y5 F100"], {**HOME, "y": 5.0}),
        (["G60", "G11", "M18"], HOME),
        (["M290 Z0.1"], {"e": 0.0}),
    ],
)
def test_where_lines_lead(program: list[str], end: Mapping[str, float]) -> None:
    assert after(program, HOME).position == end


def test_without_a_volume_nothing_is_too_far() -> None:
    assert check(["G0 X9999"], SafetyRules())[0].position == {"x": 9999.0}
    check(["G92 X5", "G0 X9999", "G91", "G0 X9999", "G2 X5 I9999"], SafetyRules())


def test_the_mode_before_the_lines_counts() -> None:
    assert refused(["G0 X5"], {"x": 218.0}, Modal(relative=True))
    assert refused(["G0 X5"], {}, Modal(feedrate=6000, speed_factor=201))


# Where the position is not known


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (["G91", "G0 X1"], "it is not known where x is"),
        (["T1", "G91", "G1 X220"], "it is not known where x is"),
        (["G29", "G91", "G1 Z1"], "it is not known where z is"),
        (["G28 X", "G91", "G1 X5 Y5"], "it is not known where y is"),
        (["G28 W", "G91", "G1 X5"], "it is not known where x is"),
        (["G92 X0", "G1 X220"], "the coordinates of x were shifted"),
        (["G92", "G1 X220"], "the coordinates of x were shifted"),
        (["G92 X0", "G91", "G1 X1"], "the coordinates of x were shifted"),
        (["G1 X5", "G92 X", "G1 X5"], "the coordinates of x were shifted"),
        (["G55", "G1 X5"], "the coordinates of x were shifted"),
        (["M206 X5", "G1 X5"], "the coordinates of x were shifted"),
        (["M428", "G28", "G1 Y5"], "the coordinates of y were shifted"),
        (["G1 X5", "G92 X0", "G53", "G1 X5"], "the coordinates of x were shifted"),
        (["G92 X0", "G28 O", "G1 X5"], "the coordinates of x were shifted"),
        (["G2 X10 Y10 I5"], "it is not known where x is"),
        (["G1 X5", "G3 X10 Y10 I5"], "it is not known where y is"),
        (["G5 X5 Y5 I1 J1 P1 Q1"], "it is not known where x is"),
        (["G1 E5"], "it is not known where e is"),
        (["G92", "G91", "M82", "G1 E5"], "it is not known where e is"),
        (["G92 E0", "M600", "G1 E5"], "it is not known where e is"),
    ],
)
def test_what_cannot_be_checked_is_refused_until_the_position_is_known(
    program: list[str], why: str
) -> None:
    error = refused(program)
    assert (error.code, error.error) == (409, "position_unknown")
    assert why in error.message


def test_ten_moves_after_a_tool_change_do_not_leave_the_axis() -> None:
    moves = ["G91", *["G1 X220"] * 10]
    assert refused(["T0", *moves], HOME).error == "position_unknown"
    assert refused(["T0", *moves], HOME, profile=ONE_TOOL).error == "out_of_limits"
    assert refused(["T0", *moves], profile=ONE_TOOL).error == "position_unknown"
    klipper = refused(["T0", *moves], HOME, dialect=KLIPPER, profile=ONE_TOOL)
    assert klipper.error == "position_unknown", "it may be a macro"


@pytest.mark.parametrize(
    "program",
    [
        ["G28", "G91", "G1 X220", "G1 X1"],
        ["G28", "G91", "G1 X-110", "G1 X111", "G1 X110"],
        ["G28 X", "G91", "G1 X-220", "G1 X221"],
    ],
)
def test_moves_from_an_unreported_home_span_no_more_than_the_axis(
    program: list[str],
) -> None:
    assert refused(program).error == "out_of_limits"


def test_a_span_counts_until_the_position_is_reported() -> None:
    there = after(["G28", "G91", "G1 X200"])
    start = travel.InitialState(
        profile=BOX, modal=Modal(relative=True), coordinates=there
    )
    with pytest.raises(RejectedError, match="more than the axis has"):
        check(["G1 X21"], SafetyRules(start=start))
    reported = there.reported({"x": 100.0})
    check(
        ["G1 X21"],
        SafetyRules(
            start=travel.InitialState(
                profile=BOX, modal=Modal(relative=True), coordinates=reported
            )
        ),
    )


# Shifts of the coordinates


@pytest.mark.parametrize(
    ("program", "position", "message"),
    [
        (["G92 X0", "G1 X121"], MIDDLE, "x would be at 221 mm"),
        (["G92 X0", "G1 X-101"], MIDDLE, "x would be at -1 mm"),
        (["G92 X0", "G91", "G1 X121"], MIDDLE, "x would be at 221 mm"),
        (["G92 X0", "G1 X120", "G92 X0", "G1 X1"], MIDDLE, "x would be at 221 mm"),
        (["G92 X215", "G91", "G0 X121"], MIDDLE, "x would be at 221 mm"),
        (["M218 T1 X-10", "T1", "G1 X211"], MIDDLE, "x would be at 221 mm"),
        (["M218 X-10", "G1 X211"], MIDDLE, "x would be at 221 mm"),
    ],
)
def test_shifts_are_followed(
    program: list[str], position: Mapping[str, float], message: str
) -> None:
    error = refused(program, position)
    assert error.error == "out_of_limits"
    assert message in error.message


@pytest.mark.parametrize(
    "program",
    [
        ["G10 L2 P1 X50", "G1 X171"],
        ["G10 L20 P1 X0", "G1 X121"],
        ["G10 L2 P2 X50 Y0 Z0", "G55", "G1 X171"],
        ["G10 L20 X0", "G1 X121"],
    ],
)
def test_workspaces_are_followed_where_it_is_certain_that_there_are_any(
    program: list[str],
) -> None:
    error = refused(program, MIDDLE, dialect=REPRAPFIRMWARE)
    assert (error.error, "x would be at 221 mm" in error.message) == (
        "out_of_limits",
        True,
    )
    assert refused(program, MIDDLE).error == "position_unknown"


def test_a_workspace_that_is_not_there_widens_no_range() -> None:
    program = ["G10 L2 P1 X-100", "G1 X300"]
    assert refused(program, MIDDLE).error == "position_unknown"
    check(program, rules(BOX, MIDDLE, dialect=REPRAPFIRMWARE))


@pytest.mark.parametrize(
    ("program", "dialect"),
    [
        (["G92 X0", "G1 X120", "G1 X-100"], MARLIN),
        (["G92 X0", "G28 X", "G1 X220"], MARLIN),
        (["G92 X100", "G28", "G1 X220"], REPETIER),
        (["G10 L2 P2 X50 Y0 Z0", "G55", "G1 X170 Y5 Z5", "G54"], REPRAPFIRMWARE),
        (["G54", "G1 X220"], MARLIN),
        (["G10 L2 X20", "G10 L2 X0", "G1 X220"], REPRAPFIRMWARE),
        (["M218 T1 X-10", "G1 X220", "M206"], MARLIN),
        (["G53", "G92.1", "G1 X220"], MARLIN),
        (["G10 P1 X5 Y-3", "G1 X220"], REPRAPFIRMWARE),
        (["SET_GCODE_OFFSET X=10", "G1 X210"], KLIPPER),
        (["SET_GCODE_OFFSET X_ADJUST=10 MOVE=1", "G1 X210"], KLIPPER),
        (["SET_GCODE_OFFSET Z_ADJUST=0.05 MOVE=1", "G1 Z0.2"], KLIPPER),
        (["SET_GCODE_OFFSET Z=2", "SET_GCODE_OFFSET Z=-2", "G1 Z0"], KLIPPER),
        (["PARK", "SET_GCODE_OFFSET Z_ADJUST=0.05 MOVE=1"], KLIPPER),
        (["SAVE_GCODE_STATE NAME=a", "G91", "G1 Z5", "G1 Z-5"], KLIPPER),
        (["G91", "RESTORE_GCODE_STATE NAME=a", "G90", "M83", "G1 X220 E1"], KLIPPER),
        (["M120", "G91", "M121", "G90", "M82", "G92 E0", "G1 X9 E1"], REPRAPFIRMWARE),
    ],
)
def test_within_the_limits_of_shifted_coordinates(
    program: list[str], dialect: Dialect
) -> None:
    check(program, rules(BOX, MIDDLE, dialect=dialect))


@pytest.mark.parametrize(
    ("program", "dialect", "word"),
    [
        (["G92 X0", "G28", "G1 X5"], REPETIER, "position_unknown"),
        (["G10 P0 X5", "G1 X5"], REPRAPFIRMWARE, "position_unknown"),
        (["G10 P1 X5", "T1", "G1 X5"], REPRAPFIRMWARE, "position_unknown"),
        (["G10 L2 P2 X5", "G55", "G1 Y5"], REPRAPFIRMWARE, "position_unknown"),
        (["SET_GCODE_OFFSET X=10", "G1 X211"], KLIPPER, "out_of_limits"),
        (["SET_GCODE_OFFSET X=121 MOVE=1"], KLIPPER, "out_of_limits"),
        (["SET_GCODE_OFFSET Z=2.1"], KLIPPER, "out_of_limits"),
        (
            ["SET_GCODE_OFFSET Z_ADJUST=1.5", "SET_GCODE_OFFSET Z_ADJUST=0.6"],
            KLIPPER,
            "out_of_limits",
        ),
        (["G28", "SET_GCODE_OFFSET X=5 MOVE=1"], KLIPPER, "position_unknown"),
        (
            ["G92 X0", "RESTORE_GCODE_STATE NAME=a", "G90", "G1 X5"],
            KLIPPER,
            "position_unknown",
        ),
        (
            [
                "G92 X0",
                "RESTORE_GCODE_STATE NAME=a",
                "SET_GCODE_OFFSET X_ADJUST=1",
                "G90",
                "G1 X5",
            ],
            KLIPPER,
            "position_unknown",
        ),
        (
            ["G1 X150", "RESTORE_GCODE_STATE NAME=a", "G1 X5"],
            KLIPPER,
            "position_unknown",
        ),
        (["M83", "RESTORE_GCODE_STATE NAME=a", "G1 E5"], KLIPPER, "position_unknown"),
        (["M121", "G2 X10 Y10 I5"], REPRAPFIRMWARE, "position_unknown"),
    ],
)
def test_beyond_the_limits_of_shifted_coordinates(
    program: list[str], dialect: Dialect, word: str
) -> None:
    assert refused(program, MIDDLE, dialect=dialect).error == word


def test_a_workspace_counts_in_the_next_command() -> None:
    duet = REPRAPFIRMWARE
    there = after(["G10 L2 P2 X50 Y0 Z0", "G55"], MIDDLE, dialect=duet)
    assert there.position == {"x": 50.0, "y": 100.0, "z": 100.0, "e": 0.0}
    start = travel.InitialState(
        profile=BOX, dialect=duet, coordinates=there.reported({"x": 50.0})
    )
    with pytest.raises(RejectedError, match="x would be at 221 mm"):
        check(["G1 X171"], SafetyRules(start=start))


def test_after_a_reconnection_a_shift_may_be_over_or_not() -> None:
    there = after(["G92 X0"], MIDDLE).frame.reconnected()
    assert refused_in(there, ["G1 X5"]) == "position_unknown"
    check(["G28", "G1 X5"], rules(BOX, MIDDLE, frame=there))
    check(["G1 X5"], rules(BOX, MIDDLE, frame=Frame().reconnected()))


def refused_in(frame: Frame, program: list[str]) -> str:
    with pytest.raises(RejectedError) as caught:
        check(program, rules(BOX, MIDDLE, frame=frame))
    return caught.value.error


@pytest.mark.parametrize(
    ("line", "family", "axes"),
    [
        ("G92 X5", "marlin", {"x"}),
        ("G92 E0", "marlin", set()),
        ("G92", "marlin", {"x", "y", "z"}),
        ("G1 X5", "marlin", set()),
        ("G10 L2 P1 X5", "marlin", {"x"}),
        ("G10 L20 Y5", "reprapfirmware", {"y"}),
        ("G10 P0 X5", "reprapfirmware", {"x"}),
        ("G10 S1", "marlin", set()),
        ("M218 T0 X5", "marlin", {"x"}),
        ("M206 Z5", "marlin", {"z"}),
        ("M206", "marlin", set()),
        ("M428", "marlin", {"x", "y", "z"}),
        ("SET_GCODE_OFFSET X=5", "klipper", {"x"}),
        ("M104 S200", "marlin", set()),
        ("G53", "marlin", set()),
    ],
)
def test_while_a_line_is_under_way_what_it_shifts_is_not_known(
    line: str, family: str, axes: set[str]
) -> None:
    there = travel.lost(Coordinates(MIDDLE), lines.parse(line, family))
    assert {axis for axis in "xyz" if there.frame.shift(axis, 0) is None} == axes


def test_while_modes_are_restored_an_earlier_shift_is_not_known() -> None:
    there = after(["G92 X0"], MIDDLE)
    for line in ("RESTORE_GCODE_STATE NAME=a", "G53"):
        gone = travel.lost(
            there, lines.parse(line, "klipper" if "_" in line else "marlin")
        )
        assert gone.frame.shift("x", 0) is None


# Arcs and curves


@pytest.mark.parametrize(
    ("program", "start", "message"),
    [
        (["G2 X10 Y230 I5"], MIDDLE, "x would be at -56"),
        (["G2 X20 Y10 I-5"], {"x": 10.0, "y": 10.0}, None),
        # Half a circle to the left of x = 5, and to the right of it.
        (["G3 X5 Y100 J25"], {"x": 5.0, "y": 50.0}, None),
        (["G2 X5 Y100 J25"], {"x": 5.0, "y": 50.0}, "x would be at -20 mm"),
        (["G2 X5 Y100 R25"], {"x": 5.0, "y": 50.0}, "x would be at -20 mm"),
        (["G3 X5 Y100 R25"], {"x": 5.0, "y": 50.0}, None),
        (["G3 X5 Y100 R-25"], {"x": 5.0, "y": 50.0}, None),
        (["G2 X5 Y100 R30"], {"x": 5.0, "y": 50.0}, "x would be at -8.416"),
        (["G2 X5 Y100 R-30"], {"x": 5.0, "y": 50.0}, "x would be at -41.583"),
        # Each side of the circle.
        (["G3 X100 Y5 I20"], {"x": 60.0, "y": 5.0}, "y would be at -15 mm"),
        (["G2 X100 Y210 I20"], {"x": 60.0, "y": 210.0}, "y would be at 230 mm"),
        (["G3 X210 Y100 J20"], {"x": 210.0, "y": 60.0}, "x would be at 230 mm"),
        # Whose end is nearly its start, so it may be nothing or all of the circle.
        (["G3 X100 Y100.03 I-150"], {"x": 100.0, "y": 100.0}, "x would be at -200"),
        # Full circles.
        (["G2 I30"], {"x": 100.0, "y": 100.0}, None),
        (["G2 I-60"], {"x": 100.0, "y": 100.0}, "x would be at -20 mm"),
        (["G91", "G2 X0 Y0 J70"], {"x": 100.0, "y": 100.0}, "y would be at 240 mm"),
        (["G3 X5 Y100 J25 P1"], {"x": 5.0, "y": 50.0}, "x would be at -20 mm"),
        # Other planes: the whole circle counts.
        (["G18", "G2 X60 Z0 I-30"], {"x": 120.0, "z": 0.0}, "z would be at -"),
        (["G19", "G2 Y60 Z100 J-30"], {"x": 50.0, "y": 120.0, "z": 100.0}, None),
        (["G18", "G17", "G3 X5 Y100 J25"], {"x": 5.0, "y": 50.0}, None),
        # A curve stays within its control points.
        (["G5 X100 Y100 I0 J50 P0 Q-50"], {"x": 50.0, "y": 100.0}, None),
        (["G5 X100 Y100 I0 J150 P0 Q0"], {"x": 50.0, "y": 100.0}, "y would be at 250"),
        (["G5 X100 Y100 P0 Q-150"], {"x": 50.0, "y": 100.0}, "y would be at -50"),
        # A full circle for firmwares that derive from Grbl.
        (["G3 X60 Y100 I900"], {"x": 50.0, "y": 100.0}, "outside 0 to 220"),
        # Shifted coordinates.
        (["G92 X0", "G3 X0 Y100 J25"], {"x": 200.0, "y": 50.0}, "x would be at 225"),
    ],
)
def test_the_whole_path_of_an_arc(
    program: list[str], start: Mapping[str, float], message: str | None
) -> None:
    if message is None:
        check(program, rules(BOX, start))
    else:
        assert message in refused(program, start).message


def test_an_axis_without_a_range_has_no_end() -> None:
    narrow = Profile(volume=Volume(x=(0, 220)))
    start = {"x": 100.0, "y": 0.0}
    check(["G2 X100 Y999 R100000"], rules(narrow, start))
    error = refused(["G2 X100 Y999 J499.5"], start, profile=narrow)
    assert "x would be at" in error.message


@pytest.mark.parametrize("line", ["G2 X10", "G2 X10 Y10 R1", "G2 R5", "G3 K5 X1"])
def test_an_arc_that_cannot_be(line: str) -> None:
    error = refused([line], MIDDLE)
    assert (error.code, error.error) == (400, "invalid_payload")


MOVES = st.lists(
    st.tuples(st.booleans(), st.floats(-300, 300).map(lambda value: round(value, 3)))
)


@given(MOVES, st.integers(0, 220))
def test_a_program_is_refused_exactly_when_it_leaves_the_volume(
    moves: list[tuple[bool, float]], start: int
) -> None:
    program = []
    places = [float(start)]
    for relative, value in moves:
        program += ["G91" if relative else "G90", f"G0 X{value:.3f}"]
        places.append(round(places[-1] + value if relative else value, 3))
    position = {"x": float(start)}
    if all(0 <= place <= 220 for place in places):
        *_, end = [Coordinates(position), *check(program, rules(BOX, position))]
        assert end.position["x"] == pytest.approx(places[-1])
    else:
        assert refused(program, position).error == "out_of_limits"


@pytest.mark.parametrize("line", ["G1 H2 X10", "G1 H1 X-5", "G1 R1 X10", "G0 S1 X10"])
def test_kinds_of_moves_that_ignore_the_axes(line: str) -> None:
    assert refused([line], MIDDLE, dialect=REPRAPFIRMWARE).error == "out_of_limits"
    no_volume = BOX.model_copy(update={"volume": Volume()})
    after([line], MIDDLE, dialect=REPRAPFIRMWARE, profile=no_volume)
    after(["G1 H0 S0 X10", "G2 X20 Y100 R50"], MIDDLE, dialect=REPRAPFIRMWARE)


def test_probing_may_name_the_place_where_the_bed_is() -> None:
    after(["G30 P0 X10 Y10 Z-99999"], HOME, dialect=REPRAPFIRMWARE)
    there = after(["G30 Z200"], HOME, dialect=SMOOTHIEWARE)
    assert there.frame.shift("z", 0) is None
    error = refused(["G30 Z200", "G1 Z0"], HOME, dialect=SMOOTHIEWARE)
    assert error.error == "position_unknown"


# What is remembered between commands


@pytest.mark.parametrize(
    ("before", "then"),
    [
        (["M208 S60"], ["G10", "G11", "G10", "G11"]),
        (["M207 S90"], ["G11", "M83", "G1 E20"]),
    ],
)
def test_the_length_of_a_retraction_counts_in_the_next_command(
    before: list[str], then: list[str]
) -> None:
    frame = after(before).frame
    for remembered in (frame, frame.reconnected()):
        with pytest.raises(RejectedError, match="in one command"):
            check(then, rules(BOX, frame=remembered))
    check(then[1:], rules(BOX))


@pytest.mark.parametrize("line", ["M208 S60", "M207 S90"])
def test_a_line_that_may_have_been_carried_out_counts(line: str) -> None:
    value = lines.parse(line, "marlin")
    while_it_runs = travel.lost(Coordinates(HOME), value)
    assert while_it_runs.position == HOME
    then = ["G11", "G10", "G11", "M83", "G1 E50"]
    with pytest.raises(RejectedError, match="in one command"):
        check(then, rules(BOX, frame=while_it_runs.frame))
    shorter = lines.parse(f"{line[:4]} S1", "marlin")
    again = travel.lost(travel.lost(while_it_runs, value), shorter)
    assert again.frame == while_it_runs.frame


RESTORED = ["M220 S300", "M221 S300", "G1 F3000", "M220 S100", "M221 S100"]


def test_klipper_may_restore_a_factor_that_was_sent_before() -> None:
    restores = ["RESTORE_GCODE_STATE NAME=a", "G90", "M82", "M83"]
    for program, message in (
        ([*RESTORED, *restores, "G1 X5 F5000"], "with the speed factor of 300 %"),
        ([*RESTORED, *restores, "G1 E50 F100"], "150 mm of filament"),
        ([*RESTORED, *restores, "M220 S200", "G1 X5"], "24000 mm/min is faster"),
        ([*RESTORED, "RESUME", "G90", "G1 X5 F5000"], "the speed factor of 300 %"),
    ):
        assert message in refused(program, HOME, dialect=KLIPPER).message
    fine = ["G1 F3000", "M220 S100", "M221 S100", "G1 X5 E90", "G1 X6"]
    end = after([*RESTORED, *restores, *fine], HOME, dialect=KLIPPER)
    assert end.frame.doubtful == frozenset()
    frame = after([*RESTORED, restores[0]], HOME, dialect=KLIPPER).frame
    for remembered in (frame, frame.reconnected()):
        given = rules(BOX, HOME, dialect=KLIPPER, frame=remembered)
        with pytest.raises(RejectedError, match="faster"):
            check(["G90", "G1 X5 F5000"], given)


def test_klippers_offset_is_not_ended_by_homing_or_by_restoring() -> None:
    low, up = "SET_GCODE_OFFSET Z=-2", "SET_GCODE_OFFSET Z_ADJUST=1"
    down = "SET_GCODE_OFFSET Z_ADJUST=-0.5"
    restores = [low, "SET_GCODE_OFFSET Z=0", "RESTORE_GCODE_STATE NAME=a"]
    for program in ([low, "G28", down], [*restores, down], [low, "RESUME", down]):
        message = refused(program, HOME, dialect=KLIPPER).message
        assert "z would be moved by -2.5 mm in small steps in all" in message
    for program in ([low, "G28", up], [*restores, up], [*restores, restores[1], down]):
        check(program, rules(BOX, HOME, dialect=KLIPPER))
    frame = after([low], HOME, dialect=KLIPPER).frame.reconnected()
    with pytest.raises(RejectedError, match="small steps"):
        check([down], rules(BOX, HOME, dialect=KLIPPER, frame=frame))


def test_small_steps_are_counted_over_a_reconnection() -> None:
    frame = after(["M290 Z2", "G29 P6 C9"], HOME).frame.reconnected()
    for line in ("M290 Z0.1", "G29 P6 C2"):
        with pytest.raises(RejectedError, match="more than"):
            check([line], rules(BOX, HOME, frame=frame))


def test_the_plane_of_arcs_may_be_one_that_the_firmware_does_not_know() -> None:
    start = {"x": 100.0, "y": 5.0, "z": 100.0}
    full = "G2 X100 Y5 Z100 I60 K0"
    assert "y would be at -55" in refused(["G18", full], start).message
    # With K alone there is no arc in the other plane.
    check(["G18", "G2 Z100 X100 K30"], rules(BOX, start))
    assert "needs its centre, I and J" in refused(["G2 X9 K30"], start).message


def test_the_plane_that_modes_restore_is_not_known() -> None:
    start = {"x": 100.0, "y": 100.0, "z": 5.0}
    program = ["G18", "M120", "G17", "M121"]
    frame = after(program, start, dialect=REPRAPFIRMWARE).frame
    arc = "G2 X110 Y100 I5 K-50"
    for known in (frame, after(["G18", "G17"], start).frame.reconnected()):
        with pytest.raises(RejectedError, match="z would be at -"):
            check(["G90", arc], rules(BOX, start, frame=known))
        check(["G90", "G17", arc], rules(BOX, start, frame=known))
    check(["G90", arc], rules(BOX, start, frame=Frame().reconnected()))


def test_a_tool_offset_that_is_probed_is_not_known() -> None:
    given = rules(BOX, MIDDLE, dialect=REPRAPFIRMWARE)
    check(["G30 S-1", "G1 Z5"], given)
    with pytest.raises(RejectedError, match="coordinates of z were shifted"):
        check(["G30 S-2", "G1 Z5"], given)


def test_the_feedrate_that_modes_restore_is_not_known() -> None:
    program = ["G1 X5 F12000", "M120", "G1 X6 F100", "M220 S1000", "M121", "G90"]
    message = refused([*program, "G1 X7"], MIDDLE, dialect=REPRAPFIRMWARE).message
    assert "120000 mm/min is faster" in message
    check([*program, "G1 X7 F100"], rules(BOX, MIDDLE, dialect=REPRAPFIRMWARE))


def test_a_position_that_smoothieware_is_told_holds_until_it_is_homed() -> None:
    for line in ("G92.4 X0", "G28.3 X0", "G28.4 X0", "G92.4", "G28.3"):
        message = refused([line, "G1 X5"], MIDDLE, dialect=SMOOTHIEWARE).message
        assert "the coordinates of x were shifted" in message
        check([line, "G28", "G1 X5"], rules(BOX, MIDDLE, dialect=SMOOTHIEWARE))
    check(["G92.4 X0", "G1 Y5"], rules(BOX, MIDDLE, dialect=SMOOTHIEWARE))
    check(["G54", "G1 X5", "G28.6", "G1 X6"], rules(BOX, HOME, dialect=SMOOTHIEWARE))


def test_the_feedrate_of_g0_may_be_its_own() -> None:
    program = ["G0 X5 F12000", "G1 X6 F100", "M220 S150"]
    message = refused([*program, "G0 X7"], MIDDLE, dialect=SMOOTHIEWARE).message
    assert "18000 mm/min is faster" in message
    for line in ("G1 X7", "G0 X7 F8000"):
        check([*program, line], rules(BOX, MIDDLE, dialect=SMOOTHIEWARE))
    check([*program, "G0 X7"], rules(BOX, MIDDLE))


def test_an_arc_in_coordinates_that_are_shifted_by_an_unknown_length() -> None:
    frame = Frame(shifts={("M206", "x"): None})
    with pytest.raises(RejectedError, match="coordinates of x were shifted"):
        check(["G2 X100 Y110 J5"], rules(BOX, MIDDLE, frame=frame))


def test_the_feedrate_that_was_in_force_may_be_restored() -> None:
    fast = Modal(feedrate=6000.0, speed_factor=1000.0)
    extrusion = ["M83", "G1 E5 F300", "G1 F6000"]
    check(extrusion, rules(BOX, modal=fast))
    for program, message in (
        ([*extrusion, "G1 X5"], "60000 mm/min is faster than 12000"),
        (["G1 X5 F6000"], "60000 mm/min"),
        (["G1 F6001"], "60010 mm/min"),
        (["G1 F1300"], "13000 mm/min"),
        (["G1 E1 F6000"], "60000 mm/min"),
    ):
        with pytest.raises(RejectedError, match=message):
            check(program, rules(BOX, modal=fast))
    with pytest.raises(RejectedError, match="60000 mm/min"):
        check(["G1 F6000"], rules(BOX, modal=Modal(speed_factor=1000.0)))
    own = rules(BOX, modal=fast, dialect=SMOOTHIEWARE)
    check(["M83", "G1 E5 F300", "G1 F6000"], own)
    with pytest.raises(RejectedError, match="60000 mm/min"):
        check(["G0 F6000"], own)  # that of other moves, and not in force before
