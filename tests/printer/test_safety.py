"""What is refused because of the printer's state, and what because of a limit."""

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands.registry import COMMANDS
from bridge.config import BLOCKED, MaxTemperature, Profile, Volume
from bridge.errors import RejectedError
from bridge.gcode.codes import rows
from bridge.gcode.modal import Modal
from bridge.printer.limits.safety import Rules, Situation, check, gate
from tests.support.matrix import MATRIX, refusal

SITUATIONS = {
    "offline": {"operational": False},
    "operational": {},
    "printing": {"printing": True},
    "paused": {"paused": True},
}


def test_every_command_is_in_the_matrix() -> None:
    assert {(command.topic, command.name) for command in COMMANDS} == set(MATRIX)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.topic}-{c.name}")
@pytest.mark.parametrize("state", SITUATIONS)
def test_the_matrix(command: type, state: str) -> None:
    topic_command = next(kind for kind in COMMANDS if kind is command)
    example = topic_command.examples[0] if topic_command.examples else {}
    asked = topic_command.model_validate(example)
    for bed, chamber, card in product((True, False), repeat=3):
        situation = Situation(
            profile=Profile(heated_bed=bed, heated_chamber=chamber),
            card_ready=card,
            **SITUATIONS[state],
        )
        key = (topic_command.topic, topic_command.name)
        word = refusal(key, state, bed=bed, chamber=chamber, card=card)
        if not word:
            gate(asked, situation)
            continue
        with pytest.raises(RejectedError) as caught:
            gate(asked, situation)
        assert (caught.value.code, caught.value.error) == (409, word)
        assert caught.value.message


def test_a_card_nobody_knows_of_is_tried() -> None:
    refresh = next(c for c in COMMANDS if (c.topic, c.name) == ("sd", "refresh"))
    gate(refresh(), Situation(card_ready=None))


def test_nothing_is_started_that_nobody_has_selected() -> None:
    start = next(c for c in COMMANDS if (c.topic, c.name) == ("job", "start"))
    gate(start(), Situation(file_selected=True))
    with pytest.raises(RejectedError, match="no file is selected") as caught:
        gate(start(), Situation(file_selected=False))
    assert (caught.value.code, caught.value.error) == (409, "no_file")


BOX = Profile(
    extruders=2,
    heated_chamber=True,
    max_temperature=MaxTemperature(tool=250, bed=100, chamber=60),
    volume=Volume(x=(0, 220), y=(-10, 220), z=(0, 250)),
    max_speed=12_000,
    max_extrusion=100,
)
HOME = {"x": 0.0, "y": 0.0, "z": 0.0, "e": 0.0}


def refused(
    lines: Sequence[str],
    profile: Profile = BOX,
    position: Mapping[str, float] | None = None,
    modal: Modal | None = None,
    family: str = "marlin",
) -> RejectedError:
    rules = Rules(
        profile=profile,
        family=family,
        position=position or {},
        modal=modal or Modal(),
    )
    with pytest.raises(RejectedError) as caught:
        check(lines, rules)
    return caught.value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("M104 S251", "250 °C (profile.max_temperature.tool)"),
        ("M104 T1 S250.5", "250.5 °C is beyond the tool's limit of 250 °C"),
        ("M109 R300", "profile.max_temperature.tool"),
        ("M104 F0.1 S200 B300", "300 °C is beyond"),
        ("M140 S101", "profile.max_temperature.bed"),
        ("M190 R101", "profile.max_temperature.bed"),
        ("M141 S61", "profile.max_temperature.chamber"),
        ("M191 S61", "profile.max_temperature.chamber"),
        ("M104.1 S300", "profile.max_temperature.tool"),
        ("M303 E0 S300 C8", "profile.max_temperature.tool"),
        ("M303 S300", "profile.max_temperature.tool"),
        ("M303 E-1 S120", "profile.max_temperature.bed"),
        ("M303 E-2 S120", "profile.max_temperature.chamber"),
        ("M145 S0 H300 B60 F255", "profile.max_temperature.tool"),
        ("M145 S0 H200 B120", "profile.max_temperature.bed"),
        ("M145 S0 C61", "profile.max_temperature.chamber"),
        ("M104 S-300", "-300 °C is beyond"),
        ("G1 F12001", "12001 mm/min is faster than 12000 mm/min (profile.max_speed)"),
        ("G0 X220.5", "x would be at 220.5 mm, outside 0 to 220 mm (profile.volume.x)"),
        ("G1 Y-11", "y would be at -11 mm, outside -10 to 220 mm"),
        ("G2 X10 Y230 I5", "y would be at 230 mm"),
        ("G1 Z251 E5", "z would be at 251 mm"),
    ],
)
def test_beyond_a_limit(line: str, message: str) -> None:
    error = refused([line])
    assert (error.code, error.error) == (400, "out_of_limits")
    assert message in error.message
    assert error.message.startswith(line)


@pytest.mark.parametrize(
    ("family", "line", "part"),
    [
        ("reprapfirmware", "M568 P0 S300", "tool"),
        ("reprapfirmware", "M568 P0 S200:300", "tool"),
        ("reprapfirmware", "M303 H0 S120", "bed"),
        ("reprapfirmware", "M303 H1 S300", "tool"),
        ("reprapfirmware", "G10 P0 S300 R200", "tool"),
        ("reprapfirmware", "G10 R300", "tool"),
        ("klipper", "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=300", "tool"),
        ("klipper", "SET_HEATER_TEMPERATURE TARGET=120 HEATER=heater_bed", "bed"),
        ("klipper", "SET_HEATER_TEMPERATURE HEATER=dryer TARGET=61", "chamber"),
        ("klipper", "PID_CALIBRATE HEATER=extruder TARGET=300", "tool"),
        ("repetier", "M303 P1 S245", "chamber"),
        ("teacup", "M104 P1 S245", "chamber"),
        ("unknown", "M303 P1 S245", "chamber"),
    ],
)
def test_beyond_a_limit_in_another_family(family: str, line: str, part: str) -> None:
    error = refused([line], family=family)
    assert (error.code, error.error) == (400, "out_of_limits")
    assert error.message.startswith(line)
    assert f"profile.max_temperature.{part}" in error.message


def test_the_lowest_limit_is_that_of_a_heater_that_exists() -> None:
    alone = Profile(heated_bed=False)
    check(["M303 P1 S245"], Rules(profile=alone, family="repetier"))
    error = refused(["M303 P1 S276"], alone, family="repetier")
    assert "the tool's limit of 275" in error.message


@pytest.mark.parametrize(
    "lines",
    [
        ["M104 S250", "M140 S100", "M141 S60", "M104 T1 S0", "M104 S", "M104 S-273"],
        ["G0 X220 Y-10 Z250 F12000", "G0 X0", "G1 X5 Y5 E100"],
        ["G10", "G11", "G10 S1"],
        ["M145 S0 H200 B60 F255", "M303 E-1 S90", "T0", "T1", "T?"],
        ["M117 S999 X999", "G4 S999", "G28 X0", "M600 X999"],
        ["M221 T1 S95", "M221 S95", "M105", "M105 T0"],
        ["G91", "G0 X220", "G0 X", "G1 E-100"],
        ["M82", "G1 E5000"],
        ["G21", "M149 C"],
    ],
)
def test_within_the_limits(lines: list[str]) -> None:
    check(lines, Rules(profile=BOX))


@pytest.mark.parametrize(
    ("family", "lines"),
    [
        ("reprapfirmware", ["G10 P1 X5 Y-3 S200 R150", "M303 H0 S90", "M568 P1 A2"]),
        ("klipper", ['SET_HEATER_TEMPERATURE HEATER="my heater" TARGET=59.5']),
        ("klipper", ["SET_HEATER_TEMPERATURE HEATER=extruder", "STATUS"]),
        ("repetier", ["M303 P0 S250", "M303 P1 S60"]),
    ],
)
def test_within_the_limits_of_another_family(family: str, lines: list[str]) -> None:
    check(lines, Rules(profile=BOX, family=family))


def test_after_a_macro_no_axis_is_known() -> None:
    rules = Rules(profile=BOX, family="klipper", position=HOME)
    assert check(["PARK"], rules) == ({},)


@pytest.mark.parametrize(
    ("lines", "position", "message"),
    [
        (["G91", "G0 X221"], {}, "221 mm along x is longer than the axis"),
        (["G91", "G0 X10", "G0 X20"], {"x": 200.0}, "x would be at 230 mm"),
        (["G0 X210", "G91", "G0 X20"], {}, "x would be at 230 mm"),
        (["G92 X215", "G91", "G0 X6"], {}, "x would be at 221 mm"),
        (["G91", "G0 X-7"], {"x": -5.0}, "x would be at -12 mm"),
        (["G1 E101"], HOME, "101 mm of filament is more than 100 mm"),
        (["M83", "G1 E-101"], HOME, "-101 mm of filament is more than 100 mm"),
        (["G92 E0", "G1 E60", "G1 E161"], {}, "101 mm of filament"),
        (["G91", "G1 E101"], {}, "101 mm of filament"),
    ],
)
def test_moves_are_followed(
    lines: list[str], position: Mapping[str, float], message: str
) -> None:
    error = refused(lines, position=position)
    assert error.error == "out_of_limits"
    assert message in error.message


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (["G0 X5"], HOME, {**HOME, "x": 5.0}),
        (["G91", "G0 X5", "G0 X1 E2"], HOME, {**HOME, "x": 6.0, "e": 2.0}),
        (["G28 X0"], HOME, {"y": 0.0, "z": 0.0, "e": 0.0}),
        (["G28"], HOME, {"e": 0.0}),
        (["G28 R5"], HOME, {"e": 0.0}),
        (["G92 X10 E0"], HOME, {**HOME, "x": 10.0}),
        (["G92"], HOME, {}),
        (["G92 X"], HOME, {}),
        (["G29"], HOME, {}),
        (["M600"], HOME, {}),
        (["T1"], HOME, {}),
        (["M4242"], HOME, HOME),
        (["G777"], HOME, {}),
        (["G4 S1", "M104 S200", "M106"], HOME, HOME),
        (["G91", "G0 X5"], {}, {}),
        (["G91", "G0 X4"], {"x": -5.0}, {"x": -1.0}),
        (["G0 X F100"], HOME, {"y": 0.0, "z": 0.0, "e": 0.0}),
        (["G0 Y5 F100"], {}, {"y": 5.0}),
    ],
)
def test_where_lines_lead(
    lines: list[str], start: Mapping[str, float], end: Mapping[str, float]
) -> None:
    assert check(lines, Rules(profile=BOX, position=start))[-1] == end


def test_without_a_volume_nothing_is_too_far() -> None:
    assert check(["G0 X9999"], Rules()) == ({"x": 9999.0},)


def test_the_mode_before_the_lines_counts() -> None:
    assert refused(["G0 X5"], position={"x": 218.0}, modal=Modal(relative=True))


@pytest.mark.parametrize("line", ["M500", "M0500 S1", "M500.1", "m500"])
def test_blocked_codes_are_refused_with_the_reason(line: str) -> None:
    rules = Rules(blocked={"m0500": "keeps"})
    with pytest.raises(RejectedError, match=r"is blocked \(printers") as caught:
        check(["M105", line], rules)
    assert (caught.value.code, caught.value.error) == (403, "blocked")


def test_a_macro_can_be_blocked() -> None:
    rules = Rules(family="klipper", blocked={"restart": "stops"})
    with pytest.raises(RejectedError, match="RESTART is blocked"):
        check(["restart"], rules)


def test_the_table_of_codes_says_what_is_blocked_by_default() -> None:
    blocked = {row.name: row.blocked for _, row in rows() if row.blocked}
    assert blocked == BLOCKED


def test_some_codes_are_blocked_by_default() -> None:
    for line in ("M0", "M1", "M28 a.gco", "M500", "M502", "M997", "M999"):
        assert refused([line]).error == "blocked"


@pytest.mark.parametrize("line", ["T2", "M104 T2 S9", "M109 T-1 S9", "M105 T9"])
def test_a_tool_that_the_printer_has_not(line: str) -> None:
    error = refused([line])
    assert (error.code, error.error) == (400, "no_such_tool")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("M140 S60", "no_heated_bed"),
        ("M190 R60", "no_heated_bed"),
        ("M141 S40", "no_heated_chamber"),
    ],
)
def test_a_heater_that_the_printer_has_not(line: str, word: str) -> None:
    error = refused([line], Profile(heated_bed=False))
    assert (error.code, error.error) == (409, word)


def test_off_is_always_allowed() -> None:
    check(["M140 S0", "M141 S0"], Rules(profile=Profile(heated_bed=False)))


@pytest.mark.parametrize(
    "line",
    [
        'M104 S"300"',
        "M104 S{300}",
        "M104 S200 S300",
        "M109 (cold) S300",
        "G1 X{far}",
        "G0 X1 X999",
        "M105 T{9}",
        "M104 I0",
        "M190 I1",
        "G10 P0 S{300}",
        "M145 H{300}",
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET={hot}",
        'SET_HEATER_TEMPERATURE HEATER=extruder TARGET="hot"',
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=300 # TARGET=0",
        'SET_HEATER_TEMPERATURE HEATER=extruder "TARGET"=300',
        "SET_HEATER_TEMPERATURE HEATER=extruder TARG\\ET=300",
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=300 X=-TARGET=0",
        "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=300 target=0",
    ],
)
def test_what_cannot_be_checked_is_refused(line: str) -> None:
    error = refused([line])
    assert (error.code, error.error) == (400, "invalid_payload")


MOVES = st.lists(
    st.tuples(st.booleans(), st.floats(-300, 300).map(lambda value: round(value, 3)))
)


@given(MOVES, st.integers(0, 220))
def test_a_program_is_refused_exactly_when_it_leaves_the_volume(
    moves: list[tuple[bool, float]], start: int
) -> None:
    lines = []
    places = [float(start)]
    for relative, value in moves:
        lines += ["G91" if relative else "G90", f"G0 X{value:.3f}"]
        places.append(round(places[-1] + value if relative else value, 3))
    position = {"x": float(start)}
    if all(0 <= place <= 220 for place in places):
        *_, end = [position, *check(lines, Rules(profile=BOX, position=position))]
        assert end["x"] == pytest.approx(places[-1])
    else:
        assert refused(lines, position=position).error == "out_of_limits"
