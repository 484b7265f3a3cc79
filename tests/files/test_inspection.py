"""What is found out about files: what slicers say, and what their lines would do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import MaxTemperature, PrinterConfig, Profile, Volume
from bridge.files import inspection
from bridge.files.check import MOST_FINDINGS, CheckFinding, CheckRules
from bridge.files.inspection import Inspected, Inspection
from bridge.files.slicer_comments import Filament, Metadata, duration
from bridge.gcode.dialects import DIALECTS
from tests.support import corpus
from tests.support.thumbnails import block, jpeg, png, qoi

PROFILE = Profile(volume=Volume(x=(0, 250), y=(0, 210), z=(0, 210)))
SLICERS = Path(__file__).parent / "slicers"


def inspected(
    text: bytes | str,
    family: str = "marlin",
    *,
    size: int = 1 << 20,
    settings: PrinterConfig | None = None,
) -> Inspected:
    data = text.encode() if isinstance(text, str) else text
    reading = Inspection(
        CheckRules.of(settings or PrinterConfig(profile=PROFILE), family)
    )
    for at in range(0, len(data), size):
        reading.feed(data[at : at + size])
    return reading.finish()


def errors(text: bytes | str, family: str = "marlin") -> list[tuple[int, str]]:
    report = inspected(text, family).report
    assert report.error_count == len(report.errors)
    return [(one.line, one.code) for one in report.errors]


def warnings(text: bytes | str, family: str = "marlin") -> list[tuple[int, str]]:
    report = inspected(text, family).report
    assert not report.errors, report.errors
    return [(one.line, one.code) for one in report.warnings]


# What slicers say


@pytest.mark.parametrize(
    ("name", "family", "expected"),
    [
        (
            "orca",
            "klipper",
            Metadata(
                slicer="OrcaSlicer 2.1.1",
                seconds=754.0,
                filament=(Filament(0, 1234.56, 3.68, "PLA"),),
                layers=2,
                layer_height=0.2,
                first_layer_height=0.2,
                max_z=0.4,
                tool_temperature=220.0,
                bed_temperature=65.0,
                objects=("Cube_id_0_copy_0", "W_rfel_id_1_copy_0"),
            ),
        ),
        (
            "bambu",
            "marlin",
            Metadata(
                slicer="BambuStudio 01.09.00.70",
                seconds=5260.0,
                filament=(
                    Filament(0, 4031.26, 12.02, "PLA"),
                    Filament(2, 120.5, 0.36, "PETG"),
                ),
                layers=120,
                layer_height=0.2,
                first_layer_height=0.25,
                max_z=24.0,
                tool_temperature=220.0,
                bed_temperature=35.0,
            ),
        ),
        (
            "superslicer",
            "marlin",
            Metadata(
                slicer="SuperSlicer 2.3.57.12",
                seconds=93_784.0,
                filament=(Filament(0, 812.3, 2.4, "PETG"),),
                layers=1,
                layer_height=0.2,
                first_layer_height=0.3,
                max_z=0.3,
                tool_temperature=205.0,
                bed_temperature=60.0,
                objects=("part one.stl id:0 copy 0",),
            ),
        ),
        (
            "slic3r",
            "marlin",
            Metadata(
                slicer="Slic3r 1.3.0",
                filament=(Filament(0, 1504.9),),
                layer_height=0.3,
                first_layer_height=0.35,
                tool_temperature=200.0,
            ),
        ),
        (
            "cura",
            "marlin",
            Metadata(
                slicer="Cura 5.4.0",
                seconds=6666.0,  # it may really take as long
                filament=(Filament(0, 1523.4), Filament(1, 250.0)),
                layers=101,
                layer_height=0.2,
                max_z=20.2,
                tool_temperature=195.5,
                bed_temperature=55.0,
                objects=("cube.stl", "lid.stl"),
            ),
        ),
        (
            "ideamaker",
            "marlin",
            Metadata(
                slicer="ideaMaker 4.1.0.4990",
                seconds=4321.0,
                filament=(
                    Filament(0, 868.0, None, "PLA"),
                    Filament(1, 12.5, None, "PVA"),
                ),
                layers=2,
                first_layer_height=0.3,
                max_z=0.5,
                tool_temperature=205.0,
                bed_temperature=60.0,
                objects=("cube.stl",),
            ),
        ),
        (
            "simplify3d",
            "marlin",
            Metadata(
                slicer="Simplify3D 4.1.2",
                seconds=2040.0,
                filament=(Filament(0, 3542.7, 10.65),),
                layers=2,
                layer_height=0.2,
                max_z=0.38,
                tool_temperature=215.0,
            ),
        ),
        (
            "kisslicer",
            "klipper",
            Metadata(
                slicer="KISSlicer 1.6.3",
                seconds=19_969.8,
                filament=(Filament(0, 1234.56),),
                layers=2,
                layer_height=0.25,
                max_z=0.5,
                tool_temperature=210.0,
                bed_temperature=60.0,
            ),
        ),
    ],
)
def test_what_a_slicer_says(name: str, family: str, expected: Metadata) -> None:
    text = (SLICERS / f"{name}.gcode").read_bytes()
    assert inspected(text, family).metadata == expected
    assert inspected(text.replace(b"\n", b"\r\n"), family).metadata == expected
    assert "NEVERPUBLISHED" not in repr(inspected(text, family))


def test_the_placeholders_of_curaengine_are_no_metadata() -> None:
    found = inspected(corpus.content("cura_cube")).metadata
    assert (found.filament, found.max_z) == ((), None)
    assert found.seconds == pytest.approx(1255.3, abs=0.1)  # of its last layer
    assert inspected(";TIME:6666\n;Filament used: 0m\nG28").metadata.seconds is None


def test_what_prusaslicer_says() -> None:
    found = inspected(corpus.content("ps_mk3"), "prusa").metadata
    assert found.slicer == "PrusaSlicer 2.5.0"
    assert found.filament[0].material == "PLA"
    assert found.filament_length == found.filament[0].length
    assert found.filament_weight == pytest.approx(0.9, abs=0.3)
    assert (found.tool_temperature, found.bed_temperature) == (215.0, 60.0)
    assert found.objects == ("cube.stl id:0 copy 0",)
    two = inspected(corpus.content("ps_two_tools"), settings=two_tools()).metadata
    assert [one.tool for one in two.filament] == [0]
    assert Metadata().filament_weight is None


def two_tools() -> PrinterConfig:
    return PrinterConfig(profile=PROFILE.model_copy(update={"extruders": 2}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1d 2h 3m 4s", 93_784),
        ("19m 11s", 1151),
        ("0 hours 34 minutes", 2040),
        ("332.83 minutes", 19_969.8),
        ("1h:20m:36s", 4836),
        ("2:11:47", 7907),
        ("40:36", 2436),
        ("38846", 38_846),
        ("3720.97", 3720.97),
        ("soon", None),
        ("0", None),
        ("-5", None),
        ("1e12", None),
        ("999999d", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ("M73 P0 R12\nM73 P9 R5", Metadata(seconds=720.0)),
        ("M73 P5 R12", Metadata()),
        ("M73 P0", Metadata()),
        (";Print time: 40m:36s", Metadata(seconds=2436.0)),
        (";PRINT.TIME:1234", Metadata(seconds=1234.0)),
        ("; Build time: 2:11:47", Metadata(seconds=7907.0)),
        ("; model printing time: 5m", Metadata(seconds=300.0)),
        ("; estimated printing time = 1h", Metadata(seconds=3600.0)),
        (
            ";Extruder 2 material used: 1811mm",
            Metadata(filament=(Filament(1, 1811.0),)),
        ),
        (";Material#99 Used: 5", Metadata()),
        (";Material#1 Used: none", Metadata()),
        (";Filament Type #1: PLA", Metadata()),
        (
            "; filament: 1,x\n; filament used [mm] = 5",
            Metadata(filament=(Filament(0, 5.0),)),
        ),
        (
            "; filament used [g] = 0.0, 4.5",
            Metadata(filament=(Filament(1, None, 4.5),)),
        ),
        (
            "; filament used [mm] = 5\n; filament used [mm] = 9",
            Metadata(filament=(Filament(0, 5.0),)),
        ),
        ("; estimated printing time = soon", Metadata()),
        (";TIME:50\n;TIME:60", Metadata(seconds=50.0)),
        ("; first_layer_height = 50%", Metadata()),
        ("; layer_height = abc", Metadata()),
        (";Layer count: 125", Metadata(layers=125)),
        (";LAYER:-2\n;LAYER:0\n;LAYER:1", Metadata(layers=2)),
        (
            ";LAYER_CHANGE\n;LAYER:0\n;HEIGHT:0.3",
            Metadata(layers=1, first_layer_height=0.3),
        ),
        (";HEIGHT:0.3", Metadata()),
        (";MAXZ:2.14748e+06", Metadata()),
        (
            "M486 S0\nM486 AShape-Box id:0\nM486 A",
            Metadata(objects=("Shape-Box id:0",)),
        ),
        ('M486 A"cube"', Metadata(objects=("cube",))),
        ("; generated by Fancy 1.2-beta", Metadata(slicer="Fancy 1.2-beta")),
        (
            "; generated by Prusa Slicer x64 2.0 on 2020-01-01",
            Metadata(slicer="Prusa Slicer x64 2.0"),
        ),
        (";Fusion version: 2.0.1234", Metadata(slicer="Fusion")),
        ("; KISSlicer - PRO\n; Linux", Metadata(slicer="KISSlicer")),
        ("M141 S40", Metadata(chamber_temperature=40.0)),
        ("M104 S0", Metadata()),
        ("; chamber_temperature = 45", Metadata(chamber_temperature=45.0)),
        ("; key without value\n;\n; = 5\n;:", Metadata()),
    ],
)
def test_single_comments(comments: str, expected: Metadata) -> None:
    assert inspected(f"{comments}\nG28\n").metadata == expected


def test_comments_that_lie_say_nothing() -> None:
    """And none ends the check, whatever number it has."""
    many = "9" * 5000
    for comments in (
        *(f"; estimated printing time (normal mode) = {x}" for x in ("-1", "0s", many)),
        *(f"; estimated printing time = {x}" for x in (f"{many}:00:00", "1e400", "x")),
        *(f";TIME:{x}" for x in ("-1", "0", "nan", "99999999999", f"{many}:00")),
        *(f"; total layers count = {x}" for x in ("1e9", "-3", "0", many, "inf")),
        *(f"; filament used [mm] = {x}" for x in ("nan", "inf", "-5", "1e400", "")),
        *(f"; filament used [g] = {x}" for x in (many, ",,,", "0.00")),
        *(f"; filament: {x}" for x in ("0", "-1", many, "1,x")),
        *(f"; max_z_height: {x}" for x in ("-5", "9e99", many)),
        *(f"; layer_height = {x}" for x in ("0", "-0.2", "2147483648")),
        *(f"; first_layer_height = {x}" for x in ("%", "-5%")),
        "; first_layer_temperature = -273",
        f";Filament used: {many}m",
        "; thumbnail begin 0x0",
        "; thumbnail begin 220x124 20\n; AAAA",
        "; thumbnail_BMP begin 16x16 8\n; AAAA\n; thumbnail_BMP end",
        f"; thumbnail begin {many}x16 8\n; AAAA\n; thumbnail end",
        ";\n;;;\n; =\n;:\n; = 5",
    ):
        assert inspected(f"{comments}\nG28\n").metadata == Metadata(), comments
    # What is only unlikely is what the slicer says.
    assert inspected(";LAYER_COUNT:999999\nG28\n").metadata.layers == 999_999
    bom = "\ufeff; generated by PrusaSlicer 2.9.4 on 2026-11-28\nG28\n"
    assert inspected(bom).metadata.slicer == "PrusaSlicer 2.9.4"


def test_a_file_of_nonsense_costs_no_memory() -> None:
    names = "".join(f"; printing object {n}\n" for n in range(500))
    types = "".join(f";Filament Type #{n}: PLA\n" for n in range(1, 50))
    found = inspected(names + types + "G28\n").metadata
    assert len(found.objects) == 200
    pictures = block("thumbnail", "1x1", b"\0").decode() * 30
    assert len(inspected(pictures + "G28\n").metadata.thumbnails) == 16


def test_where_thumbnails_are() -> None:
    pictures = {
        "thumbnail": png([(1, 2, 3, 255)] * 4, 2),
        "thumbnail_JPG": jpeg(64, 48),
        "thumbnail_QOI": qoi([(1, 2, 3, 255)] * 512, 32),
    }
    text = b"; thumbnail_GIF begin 9x9 4\n; AAAA\n; thumbnail_GIF end\nG28\n"
    for size, (kind, data) in zip(
        ("2x2", "64x48", "32x16"), pictures.items(), strict=True
    ):
        text += block(kind, size, data)
    text += block("png", "300*300", pictures["thumbnail"])
    found = inspected(text).metadata.thumbnails
    assert [(one.type, one.width, one.height) for one in found] == [
        ("png", 300, 300),
        ("jpeg", 64, 48),
        ("qoi", 32, 16),
        ("png", 2, 2),
    ]
    luban = (SLICERS / "snapmaker.gcode").read_bytes()
    (one,) = inspected(luban).metadata.thumbnails
    assert luban[one.start : one.end].startswith(b"iVBORw0KGgo")
    assert luban[one.start : one.end].endswith(b"ggg==\n")
    unfinished = b"G28\n; thumbnail begin 5x5 8\n; AAAA\n"
    assert inspected(unfinished).metadata.thumbnails == ()


# What lines would do


@pytest.mark.parametrize("family", sorted(DIALECTS))
@pytest.mark.parametrize("name", corpus.NAMES)
def test_files_of_real_slicers_pass(name: str, family: str) -> None:
    settings = two_tools() if name == "ps_two_tools" else None
    found = inspected(corpus.printable()[name], family, settings=settings)
    teacup = name == "ps_mk3" and family == "teacup"  # it keeps 8 bits of a code
    codes = {one.code for one in found.report.warnings}
    assert found.report.printable or teacup, found.report.errors
    assert codes <= {"out_of_limits", "unknown_code", "left_out", "text_changed"}
    if name == "ps_mk3":
        primes = [one for one in found.report.warnings if "Y-3" in one.text]
        assert [one.code for one in primes] == ["out_of_limits"]
    assert found.report.lines > 1_000


def test_what_curaengine_leaves_in_a_file_is_found() -> None:
    (error,) = inspected(corpus.content("cura_cube")).report.errors
    assert (error.line, error.code) == (8492, "placeholder")
    assert "{machine_depth}" in str(error)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("G0 Z0.15 G92 E0", "two_commands"),
        ("G28 G29", "two_commands"),
        ("M104 S200 T0 M140 S60", "two_commands"),
        ("G1 F{travel_speed}", "placeholder"),
        ("M104 S[first_layer_temperature]", "placeholder"),
        ("M104 S[first_layer_temperature[0]]", "placeholder"),
        ("{if layer_z > 5}", "placeholder"),
        ("Generated by hand", "stray_text"),
        ("Würfel, 3 Stück", "stray_text"),
        ("<html>", "invalid_line"),
        ("X5 Y5", "invalid_line"),
        ("N5 G28*18", "invalid_line"),
        ("G1 X5 X6", "invalid_line"),
        ("G1 X5\0", "invalid_line"),
        ("G1 X\u00e45", "invalid_line"),
        (
            "G1 X1."
            + "0" * 20
            + " Y1."
            + "0" * 20
            + " Z1."
            + "0" * 20
            + " E1."
            + "0" * 20,
            "invalid_line",
        ),
        ("M104 S999", "out_of_limits"),
        ("M140 S121", "out_of_limits"),
        ("M141 S40", "no_heated_chamber"),
        ("T1", "no_such_tool"),
        ("M104 T1 S200", "no_such_tool"),
        ("M500", "blocked"),
        ("M92 E400", "blocked"),
        ("G20", "blocked"),
        ("M112", "emergency_stop"),
        ("m112 ; stop", "emergency_stop"),
        ("M24", "card_command"),
        ("M22", "card_command"),
        ("M26 S0", "card_command"),
        ("M524", "card_command"),
        ("M32 OTHER~1.GCO", "card_command"),
        ("G28 G1 X5", "two_commands"),
        ("G90 G21", "two_commands"),
        ("G1 X5\rG1 X6", "two_commands"),
        ("M109 S{temperature}", "placeholder"),
        ("G1 X{print_bed_max[0]/2}", "placeholder"),
        ("M140 S[bed_temperature_initial_layer_single]", "placeholder"),
        ("{endif}", "placeholder"),
        ("Traceback (most recent call last):", "stray_text"),
        ("</body>", "invalid_line"),
        ("\x1a", "invalid_line"),
        ("/G1 X5", "invalid_line"),
        ("G1 X5 (a comment) Y5", "invalid_line"),
        ("G28*18", "invalid_line"),
        ("M110 N5", "invalid_line"),
        ("T7", "no_such_tool"),
        ("M109 T3 S200", "no_such_tool"),
        ("M104 S210 T1", "no_such_tool"),
    ],
)
def test_what_refuses_a_file(line: str, code: str) -> None:
    text = f"; a comment\nG28\n\n{line} ; and another\nG1 X5\n"
    assert errors(text) == [(4, code)]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("G1 Y-3 F1000", "out_of_limits"),
        ("G1 X251", "out_of_limits"),
        ("G1 X5 F99999", "out_of_limits"),
        ("M5555 S1", "unknown_code"),
        ("M117 [layer_z]", "placeholder"),
        ("M117 " + "x" * 200, "left_out"),
        ("M117 2 * 3", "text_changed"),
        ("M115 U3.13.3", "left_out"),
        ("M486 AShape-Box id:0 copy 0", "left_out"),
        ('M862.3 P "MK3S"', "left_out"),
        ("M99123 /RKIIyAfrg==", "left_out"),
        ("W220 X1", "left_out"),
        ("@Object cube", "host_command"),
    ],
)
def test_what_is_a_warning(line: str, code: str) -> None:
    assert warnings(f"G28\n{line}\n") == [(2, code)]


@pytest.mark.parametrize(
    "line",
    [
        "M0 Change the filament",
        "M1",
        "M600",
        "@pause",
        "@PAUSE now",
        "; { not a placeholder }",
        "(a comment)",
        "%",
        "G91",
        "G1 X5 ; {travel_speed} was here",
        "M117 100% [1/2]",
        "G1 Z5 ;no position is known after G28 for the firmware alone",
        "",
        "   \t",
    ],
)
def test_what_is_in_order(line: str) -> None:
    assert warnings(f"G28\n{line}\nG1 X5\n") == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("START BED={first_layer_bed_temperature[0]}", "placeholder"),
        ("START_PRINT TOOL=[temperature]", "placeholder"),
        ("hello world", "stray_text"),
    ],
)
def test_what_refuses_a_file_of_klipper(line: str, code: str) -> None:
    assert errors(f"G28\n{line}\n", "klipper") == [(2, code)]


def test_what_is_in_order_for_klipper() -> None:
    outline = ",".join(f"[{x}.5,{x}.25]" for x in range(100, 140))
    define = f"EXCLUDE_OBJECT_DEFINE NAME=cube CENTER=10,10 POLYGON=[{outline}]"
    assert warnings(f"{define}\nEXCLUDE_OBJECT_START NAME=cube\n", "klipper") == []
    shown = 'RESPOND MSG="[layer] of {total}"'
    assert warnings(f"{shown}\n", "klipper") == [(1, "placeholder")]


def test_the_operator_decides_about_codes() -> None:
    strict = PrinterConfig(
        profile=PROFILE, unknown_codes="refuse", allowed=("M92",), blocked={"G29": "no"}
    )
    report = inspected("M92 E1\nM500\nG29\nM5555\n", settings=strict).report
    assert [one.line for one in report.errors] == [3, 4]


def test_only_the_first_findings_are_kept_and_all_are_counted() -> None:
    report = inspected("G28\n" + "G1 X999\nG1 X{x}\n@later\nG1 X5\n" * 100).report
    assert (len(report.errors), report.error_count) == (MOST_FINDINGS, 100)
    assert (len(report.warnings), report.warning_count) == (MOST_FINDINGS, 101)
    assert report.lines == 401
    long = inspected("M104 S200 " + "Z" * 900).report.errors[0]
    assert len(long.text) < 300
    assert str(CheckFinding(0, "empty", "a text")) == "a text"


def test_a_file_without_gcode_is_refused() -> None:
    for text in ("", "; only a comment\n", "\n\n(x)\n%\n"):
        assert errors(text) == [(0, "empty")]


def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the file arrives in pieces; the print reads no shorter lines."""
    monkeypatch.setattr(inspection, "LONGEST_LINE", 100)
    longest = "; " + "y" * 98
    text = (
        f"G28\n; {'x' * 500}\nG1 X{{a}}\n{longest}\n{longest}y\nM104 S999\n{longest}y"
    )
    for size in (1, 7, 64, 101, 102, 1000):
        assert errors_of(text, size) == [
            (2, "invalid_line"),
            (3, "placeholder"),
            (5, "invalid_line"),
            (6, "out_of_limits"),
            (7, "invalid_line"),
        ], size
    assert errors_of(f"{longest}\nG28\n{longest}", 1000) == []


def errors_of(text: str, size: int) -> list[tuple[int, str]]:
    return [(one.line, one.code) for one in inspected(text, size=size).report.errors]


LINES = st.sampled_from(
    [
        "G28",
        "G1 X5 Y5 E1 F1000",
        "G1 X{x}",
        "M104 S999",
        "; printing object cube",
        ";LAYER_CHANGE",
        "; thumbnail begin 16x16 8",
        "; AAAA",
        "; thumbnail end",
        "M117 Grüße",
        "",
        "@pause",
        "T1",
        "; filament used [mm] = 5",
    ]
)


@given(
    st.lists(LINES, max_size=30), st.integers(1, 40), st.sampled_from(["\n", "\r\n"])
)
def test_it_does_not_matter_in_which_pieces_a_file_arrives(
    lines: list[str], size: int, end: str
) -> None:
    text = end.join(lines)
    assert inspected(text, size=size) == inspected(text)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_report(data: bytes) -> None:
    assert inspected(data).report.lines <= data.count(b"\n") + 1


def test_the_rules_have_a_digest() -> None:
    rules = CheckRules.of(PrinterConfig(), "marlin")
    assert rules.digest == CheckRules.of(PrinterConfig(name="other"), "marlin").digest
    assert rules.digest != CheckRules.of(PrinterConfig(), "klipper").digest
    hot = PrinterConfig(profile=Profile(max_temperature=MaxTemperature(tool=300)))
    assert rules.digest != CheckRules.of(hot, "marlin").digest
    assert CheckRules.model_validate_json(rules.model_dump_json()) == rules
