import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.file_list import parse_file
from bridge.gcode.reply_types import FileEntry

NEW = "0x4c6a4a00"  # 2018-03-10 09:16:00


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("SMALL.GCO 51", FileEntry("SMALL.GCO", 51, "SMALL.GCO")),
        ("SUB/PARTON~1.GCO 51", FileEntry("SUB/PARTON~1.GCO", 51, "PARTON~1.GCO")),
        (
            "ARATHE~1.GCO 668934 A rather long file name.gc",
            FileEntry("ARATHE~1.GCO", 668934, "A rather long file name.gc"),
        ),
        ('A~1.GCO 5 "long name.gco"', FileEntry("A~1.GCO", 5, "long name.gco")),
        ("A.GCO 5 " + NEW, FileEntry("A.GCO", 5, "A.GCO", "2018-03-10T09:16:00")),
        (
            f"A~1.GCO 5 {NEW} long name.gco",
            FileEntry("A~1.GCO", 5, "long name.gco", "2018-03-10T09:16:00"),
        ),
        (
            "A.GCO 5 0x00210000",
            FileEntry("A.GCO", 5, "A.GCO"),
        ),  # 1980: nobody set the clock
        ("A.GCO 5 0xFFFFFFFF", FileEntry("A.GCO", 5, "A.GCO")),  # the 31st of month 15
        ("With Space Name.gcode 17", FileEntry("With Space Name.gcode", 17)),
        ("My 2 parts.gcode 17", FileEntry("My 2 parts.gcode", 17)),
        ('"quoted name" 12', FileEntry("quoted name", 12)),
        ("NOSUFFIX 12", FileEntry("NOSUFFIX", 12)),
        ("NAME.GCO", FileEntry("NAME.GCO")),
        ('"quoted name"', FileEntry("quoted name")),
        ("a.gco 5 \x07", FileEntry("a.gco", 5, "a.gco")),
    ],
)
def test_an_entry_of_the_list(line: str, file: FileEntry) -> None:
    display = file.display or file.path
    assert parse_file(line) == FileEntry(file.path, file.size, display, file.date)


@pytest.mark.parametrize(
    "line", ["", " ", "//action:notification x", "echo:hi", "ÜBER.GCO 5", '""', "\x01"]
)
def test_what_could_not_be_sent_back_is_left_out(line: str) -> None:
    assert parse_file(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "NAME.GCO big",
        "x_min: open",
        "Home XYZ First",
        'own command: "M100',
        "nozzle to 200",
        "ok T",
        ".  May include directories.",
        "0.37 /0.00 @:13",
    ],
)
def test_other_lines_within_a_list_are_no_files(line: str) -> None:
    assert parse_file(line) is None


@given(st.text())
def test_any_text_is_an_entry_or_none(text: str) -> None:
    file = parse_file(text)
    assert file is None or (file.path.isascii() and file.path)
