"""Where an interrupted print continues, and when that is refused."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands.base import Context
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.dialects import DIALECTS, KLIPPER, MARLIN
from bridge.gcode.line import of_file
from bridge.printer.knowledge.model import PlannedRecovery
from bridge.printer.knowledge.print_table import Phase
from bridge.printer.printing.checkpoint import Checkpoint
from bridge.printer.printing.recovery import Recovery, Scan, plan
from bridge.printer.printing.tracker import Tracker
from tests.support.knowing import Knowing
from tests.support.live import command_of
from tests.support.printing import layers

LAYERS = layers(8, 40)
TEXT = "".join(f"{line}\n" for line in ["M140 S60", "M104 S200", *LAYERS])
VOLUME = {"x": [0, 200], "y": [0, 200], "z": [0, 100]}
CONTEXT = Context(profile=Profile.model_validate({"volume": VOLUME}))


def point(line: int, text: str = TEXT, **changes: object) -> Checkpoint:
    known: dict[str, object] = {
        "job": "j",
        "name": "part.gcode",
        "path": "/files/part.gcode",
        "size": len(text),
        "family": "marlin",
        "line": line,
        "byte": 0,
        "layer": 5,
        "z": 1.0,
        "targets": {"tool0": 215.0, "bed": 65.0, "tool1": 0.0},
    }
    return Checkpoint.model_validate(known | changes)


def pieces_of(data: bytes, block: int) -> Iterator[bytes | None]:
    yield None
    yield from (data[i : i + block] for i in range(0, len(data), block))
    yield b""


def scanned(
    at: Checkpoint, text: str = TEXT, layer: int | None = None, block: int = 99
) -> Scan:
    data = text.encode()
    pieces = pieces_of(data, block)
    scan = Scan(at, MARLIN, layer)
    while not scan.over:
        scan.follow(lambda: next(pieces), 10)
    return scan


def recovered(
    line: int,
    text: str = TEXT,
    *,
    layer: int | None = None,
    z: float | None = None,
    context: Context = CONTEXT,
    **changes: object,
) -> Recovery:
    displaced = changes.pop("displaced", False) is True
    at = point(line, text, **changes)
    return plan(at, scanned(at, text, layer), context, z=z, displaced=displaced)


def refused(line: int, text: str = TEXT, **more: object) -> str:
    with pytest.raises(RejectedError) as error:
        recovered(line, text, **more)  # type: ignore[arg-type] # of a test
    assert error.value.error == "not_recoverable"
    return error.value.message


def first_line(number: int) -> int:
    """Return how many lines precede the first one of a layer."""
    marks = [i for i, line in enumerate(TEXT.splitlines()) if line == ";LAYER_CHANGE"]
    return marks[number - 1] + 1


def test_it_goes_on_with_the_last_layer_that_was_surely_begun() -> None:
    line = first_line(6) + 30
    recovery = recovered(line, z=1.2)
    assert recovery.start.number == 5, "64 moves may be missing"
    assert recovery.start.line == first_line(5)
    assert TEXT[recovery.start.byte :].startswith(";Z:1\nG1 Z1 F7800\n")
    assert recovery.lines == (
        *("M140 S65", "M104 S215", "M190 S65", "M109 S215"),
        *("G92 Z1.2", "G90", "G1 Z6.2 F200", "G28 X Y"),
        *("M83", "G1 E10 F200"),
        *("G1 X89 Y64 F6000", "G1 Z1 F200", "G92 E8"),
        *("G90", "M82", "G1 F7800"),
    )


def test_the_height_is_known_if_it_was_the_same_for_long() -> None:
    text = "".join(f"{line}\n" for line in layers(4, 200))
    marks = [i for i, line in enumerate(text.splitlines()) if line == ";LAYER_CHANGE"]
    recovery = recovered(marks[2] + 150, text)
    assert "G92 Z0.6" in recovery.lines
    assert "so its height is not known" in refused(marks[2] + 20, text)


def test_a_person_can_choose_the_layer_and_measure_the_height() -> None:
    recovery = recovered(first_line(7), layer=3, z=1.3)
    assert recovery.start.number == 3
    assert "G92 Z1.3" in recovery.lines
    for layer in (8, 20, 10**6):
        told = f"layer {layer} is none of those that had begun"
        assert told in refused(first_line(7), layer=layer, z=1)
    assert "first layer" in refused(first_line(7), layer=1, z=1)


def test_where_the_head_stands_is_known_unless_it_was_moved_since() -> None:
    """By a person, by a script, or by moves of a pause."""
    known = Knowing()
    plan_of = PlannedRecovery(job="j", file="part.gcode", time=1.0)

    def after(phase: Phase, *lines: str) -> bool:
        job = replace(known.state.job, phase=phase, origin="local")
        known.become(replace(known.state, job=job, recovery=plan_of))
        known.sends(*lines)
        return known.state.displaced

    assert not after("printing", "G1 X1", "G92 E0", "G1 Z5")
    assert after("paused", "G91", "G1 Z5", "G90")
    assert after("resuming", "M105")
    assert not after("printing", "G1 X1"), "its own lines tell where it is"
    assert not after("idle", "M104 S200", "M105", "G90", "M117 G1 Z5")
    assert known.state.recovery is plan_of, "heating changes nothing"
    for line in ("G1 Z1", "G28", "G92 Z3", "M600", "MY_MACRO", "G2 X1 I1"):
        assert not after("printing", "G1 X1")
        assert after("idle", line), line
        known.become(replace(known.state, recovery=plan_of))
        known.sends(line)
        assert known.state.recovery is None
    late = first_line(6) + 35
    assert "measure it" in refused(late, displaced=True)
    assert recovered(late, z=1.2, displaced=True).height == 1.2


def test_without_marks_layers_are_found_by_their_height() -> None:
    text = "".join(f"{x}\n" for x in layers(6, 80) if not x.startswith(";"))
    begins = next(i for i, x in enumerate(text.splitlines()) if x.startswith("G1 Z1 "))
    recovery = recovered(begins + 76, text, z=1)
    assert recovery.start.number == 5
    assert text[recovery.start.byte :].startswith("G1 X50 Y65 E16.05\n")


def test_it_is_refused_where_it_would_do_harm() -> None:
    late = first_line(6) + 35
    assert "print it again" in refused(first_line(1) + 3, z=0.2)
    assert "another firmware" in refused(late, z=1, family="klipper")
    assert "temperature of the nozzle" in refused(
        late, TEXT.replace("M104 S200", ""), z=1, targets={}
    )
    low = Profile.model_validate({"volume": {**VOLUME, "z": [0, 6]}})
    assert "no room" in refused(late, z=1.2, context=replace(CONTEXT, profile=low))
    middle = Profile.model_validate({"volume": {"x": [45, 200], "y": [58, 200]}})
    context = replace(CONTEXT, profile=middle)
    assert "in the way" in refused(late, z=1.2, context=context)
    shifted = TEXT.replace("G92 E0", "G92 E0 X5")
    assert "does not say where" in refused(late, shifted, z=1)


def test_the_targets_of_the_file_count_where_nothing_else_is_known() -> None:
    recovery = recovered(first_line(6) + 35, z=1.2, targets={})
    assert recovery.lines[0] == "M140 S60"


def test_a_stop_in_the_file_does_not_end_the_search() -> None:
    text = TEXT.replace(";Z:0.4\n", "M0 nut\n")
    assert recovered(first_line(6) + 35, text, z=1.2).start.number == 5
    assert "first layer" in refused(10_000, "G28\nG1 X{x}\n", z=1)


def test_excluded_objects_stay_so_and_tools_are_selected() -> None:
    lines = ["T1", *LAYERS]
    text = "".join(f"{line}\n" for line in lines)
    profile = Profile.model_validate({"volume": VOLUME, "extruders": 2})
    recovery = recovered(
        first_line(6) + 35,
        text,
        z=1.2,
        context=replace(CONTEXT, profile=profile),
        excluded=("nut",),
    )
    assert "T1" in recovery.lines
    assert recovery.start.objects.excluded == ("nut",)


def test_retracted_filament_stays_so_and_relative_files_are_followed() -> None:
    lines = [*LAYERS[:3], "M83", "G92 E0", *LAYERS[4:]]
    text = "".join(f"{x}\n" for x in lines).replace(
        ";LAYER_CHANGE\n", "G1 E-0.8 F1800\n;LAYER_CHANGE\nG91\nG90\nM83\nG1 E0.8\n"
    )
    at = next(i for i, x in enumerate(text.splitlines()) if x.startswith("G1 Z1.2"))
    recovery = recovered(at + 35, text, z=1.2)
    assert "G1 E-0.8 F1800" in recovery.lines
    assert recovery.lines[-2:] == ("M83", "G1 F1800")
    moving = text.replace(";LAYER_CHANGE\nG91", "G91\n;LAYER_CHANGE\nG91")
    at = next(i for i, x in enumerate(moving.splitlines()) if x.startswith("G1 Z1.2"))
    assert "G1 Z0.8 F200" in recovered(at + 35, moving, z=1.2).lines
    dry = "".join(f"G1 X{i} Y60 Z{i // 80 * 0.2:g} F900\n" for i in range(400))
    dry = dry.replace("G1 X160", ";LAYER:1\nG1 X160").replace(
        "G1 X80 ", ";LAYER:0\nG1 X80 "
    )
    dry = "M83\nG1 X60 Y70 E1\nG92\n" + dry
    assert "does not say" in refused(310, dry, z=1)


def test_klipper_is_not_told_where_it_is() -> None:
    at = point(first_line(6) + 35, family="klipper")
    scan = Scan(at, KLIPPER)
    pieces = pieces_of(TEXT.encode(), 1000)
    while not scan.over:
        scan.follow(lambda: next(pieces), 1000)
    context = replace(CONTEXT, dialect=KLIPPER)
    assert not any("G92 Z" in line for line in plan(at, scan, context, z=1.2).lines)


def read(texts: Iterable[str]) -> dict[str, object]:
    """Return what lines have set, as firmwares read them: the last value counts.

    Values are by code (or what it sets), by what is chosen, and by letter.
    """
    now: dict[str, object] = {"tool": 0, "fan 0": 0.0}
    for text in texts:
        code, *words = text.split()
        given = {word[0]: word[1:] for word in words}
        if code in SWITCH:
            now |= SWITCH[code]
        elif code[0] == "T":
            now["tool"] = int(code[1:])
        elif code in {"M106", "M107"}:
            speed = float(given.get("S", 255)) if code == "M106" else 0.0
            now[f"fan {given.get('P', '0')}"] = speed
        elif code in {"G0", "G1"} and "F" in given:
            now["F"] = float(given["F"])
        elif code in MODES:
            now |= setting(code, given, str(now["tool"]))
    return now


def setting(code: str, given: dict[str, str], tool: str) -> dict[str, str]:
    if code == "M204":  # S is the old letter for printing and travel
        old = {f"M204 {x}": given["S"] for x in "PT" if "S" in given}
        return old | {f"M204 {x}": given[x] for x in "PT" if x in given}
    tool = given.pop("T", tool if code in {"M221", "M900"} else "")
    return {f"{code} {tool} {x}": value for x, value in given.items()}


SWITCH: dict[str, dict[str, object]] = {
    "G90": {"relative": False, "relative_e": False},  # Marlin 2 sets both
    "G91": {"relative": True, "relative_e": True},
    "M82": {"relative_e": False},
    "M83": {"relative_e": True},
    **{f"G{n}": {"plane": n} for n in (17, 18, 19)},
}
MODES = {
    "M201": ["X{}", "Y{}", "E{}", "X{} Y{}"],
    "M203": ["X{}", "Z{} E{}"],
    "M204": ["S{}", "P{}", "T{}", "P{} T{}"],
    "M205": ["X{}", "Y{} E{}", "J0.{}"],
    "M207": ["S{}", "S{} F{}", "Z{}"],
    "M208": ["S{} F{}"],
    "M220": ["S{}"],
    "M221": ["S{}", "S{} T1", "S{} T0"],
    "M900": ["K0.{}", "K0.{} T1"],
    "M420": ["S1", "S1 Z{}", "S0"],
    "M593": ["X F{}", "Y F{} D0.1"],
}
SWITCHES = (
    *("G90", "G91\nG90", "M82", "M83", "G17", "G18", "M107", "M107 P1", "T0", "T1"),
    *("M106 S{}", "M106 P1 S{}", "M106 P2 S{}", "G1 F{}"),
)
changes_of_modes = st.one_of(
    *(st.tuples(st.just(code), st.sampled_from(ways)) for code, ways in MODES.items()),
    st.tuples(st.just(""), st.sampled_from(SWITCHES)),
)


@given(st.lists(st.tuples(changes_of_modes, st.integers(1, 255), st.integers(0, 160))))
def test_what_was_set_before_the_layer_is_set_again(
    changes: list[tuple[tuple[str, str], int, int]],
) -> None:
    """The firmware was reset; then it is as if all lines before had been sent."""
    lines = ["M104 S200", *LAYERS]
    for (code, way), number, at in sorted(changes, key=lambda one: -one[2]):
        text = f"{code} {way}".strip().replace("{}", str(number))
        lines[5 + at : 5 + at] = text.split("\n")
    text = "".join(f"{line}\n" for line in lines)
    last = next(i for i, x in enumerate(lines) if x.startswith("G1 Z1.2 "))
    profile = Profile.model_validate({"volume": VOLUME, "extruders": 2})
    context = replace(CONTEXT, profile=profile)
    recovery = recovered(last + 30, text, z=1.2, layer=5, context=context)
    before = (x for x in lines[: recovery.start.line] if not x.startswith(";"))
    assert read(recovery.lines) == read(before)


def test_settings_are_those_of_their_family() -> None:
    """Only what a firmware forgets, only the last of each, and in their order."""
    for family, file, expected in SETTINGS_OF:
        tracker = Tracker(DIALECTS[family])
        for text in file.split(";"):
            line = of_file(text, family)
            assert line is not None
            tracker.apply(line)
        assert ";".join(tracker.settings) == expected, family
        assert tracker.factor("M220") == (80 if "M220" in file else None)


KLIPPER_FILE = (
    "SET_PRESSURE_ADVANCE ADVANCE=0.1;SET_VELOCITY_LIMIT ACCEL=900;"
    "SET_PRESSURE_ADVANCE EXTRUDER=extruder1 ADVANCE=0.2;T1;"
    "SET_PRESSURE_ADVANCE ADVANCE=0.3;BED_MESH_PROFILE LOAD=pei;"
    "BED_MESH_PROFILE SAVE=x;M204 S900"
)
KLIPPER_SETTINGS = (
    "SET_PRESSURE_ADVANCE ADVANCE=0.1 EXTRUDER=extruder;"
    "SET_VELOCITY_LIMIT ACCEL=900;"
    "SET_PRESSURE_ADVANCE EXTRUDER=extruder1 ADVANCE=0.2;"
    "SET_PRESSURE_ADVANCE ADVANCE=0.3 EXTRUDER=extruder1;"
    "BED_MESH_PROFILE LOAD=pei;M204 S900"
)
SAME = "M201 X1000;M203 X200;M205 X8;M900 K30;M221 S95"
SETTINGS_OF = (
    ("marlin", "M204 S800;M204 P700;M204 S900", "M204 P700;M204 S900"),
    ("marlin", "M106 S9;M106 P1 S9;M107 P1;M107", "M106 P1 S9;M107 P1"),
    (
        "marlin",
        "M900 K0.1;M221 S95;T1;M900 K0.2;M900 K0.3 T0",
        "M900 K0.1 T0;M221 S95 T0;M900 K0.2 T1;M900 K0.3 T0",
    ),
    ("marlin", "M900 K0.1;M900 K0.2;M117 x;M73 P5;G92 E0", "M900 K0.2"),
    ("prusa", SAME, SAME),
    (
        "reprapfirmware",
        "M566 X600;M572 D0 S0.05;M207 S0.8;M566 Y600",
        "M566 X600;M572 D0 S0.05;M207 S0.8;M566 Y600",
    ),
    ("repetier", "M205;M221 S90;M220 S80", "M221 S90;M220 S80"),
    ("smoothieware", "M204 S900;M205 X0.05", "M204 S900;M205 X0.05"),
    ("klipper", KLIPPER_FILE, KLIPPER_SETTINGS),
)


def test_what_people_have_changed_is_set_again() -> None:
    text = TEXT.replace("M140 S60", "M220 S90")
    at = first_line(6) + 35
    assert "M220 S90" in recovered(at, text, z=1.2).lines
    lines = recovered(at, text, z=1.2, speed_factor=70.0, flow_factor=105.0).lines
    assert [x for x in lines if x[:3] == "M22"] == ["M220 S90", "M220 S70", "M221 S105"]


def test_a_plan_has_its_own_layer_and_height() -> None:
    for more in ({"layer": 3}, {"z": 1.2}):
        with pytest.raises(RejectedError, match="the plan has them"):
            command_of("job", command="recover", planned=True, **more)
