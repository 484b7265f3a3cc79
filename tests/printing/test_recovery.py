"""From where a print that broke off goes on, and when that is refused."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bridge.commands.base import Context
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode.dialects import KLIPPER, MARLIN
from bridge.printer.printing.checkpoint import Checkpoint
from bridge.printer.printing.recovery import Recovery, Scan, plan
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
    at = point(line, text, **changes)
    return plan(at, scanned(at, text, layer), context, z=z)


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
    assert "first layer" in refused(first_line(7), layer=20, z=1)


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
    assert "how hot" in refused(late, TEXT.replace("M104 S200", ""), z=1, targets={})
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
