"""Stored files as they are published, and what a refusal says."""

from pathlib import PurePath

from bridge.files.check import CheckFinding, CheckReport
from bridge.files.documents import LISTED, RECENT, file_list, files_state, full_file
from bridge.files.slicer_comments import Filament, Metadata
from bridge.files.stored import FileError, StoredFile, megabytes


def stored(path: str, added: float = 0.0) -> StoredFile:
    metadata = Metadata(
        slicer="PrusaSlicer 2.5.0",
        seconds=99.6,
        filament=(Filament(1, 5.0, None, "PLA"), Filament(2)),
        objects=("cube",),
    )
    report = CheckReport(
        warnings=(CheckFinding(7, "unknown_code", "M5555 is not known"),),
        warning_count=1,
        lines=9,
    )
    return StoredFile(
        path=path,
        full_path=PurePath("/files", path),
        size=10,
        added=added,
        sha256="ab",
        metadata=metadata,
        report=report,
    )


def test_the_newest_files_come_with_their_metadata() -> None:
    files = [stored(f"{number:03}.gcode", number % 7) for number in range(300)]
    state = files_state(files, free=5, checking=True, problem="")
    assert (state.count, state.bytes, state.free, state.checking) == (
        300,
        3000,
        5,
        True,
    )
    assert (len(state.files), len(state.recent)) == (LISTED, RECENT)
    assert {file.added for file in state.recent} == {6.0}
    assert len(state.model_dump_json()) < 20_000


def test_a_long_list_comes_in_pages() -> None:
    files = [stored(f"{number:03}.gcode") for number in range(5)]
    found, after = [], ""
    for _ in range(9):
        page = file_list(files, after=after, limit=2)
        found += [file.path for file in page.files]
        assert page.count == 5
        if page.next is None:
            break
        after = page.next
    assert found == [file.path for file in files]
    assert file_list((), after="", limit=2).next is None


def test_one_file_has_everything() -> None:
    document = full_file(stored("parts/cube.gcode")).model_dump(mode="json")
    assert document["path"] == "parts/cube.gcode"
    assert document["time"] == 100
    assert document["filament"][0] == {
        "tool": 1,
        "length": 5.0,
        "weight": None,
        "material": "PLA",
    }
    assert document["filament"][1]["material"] is None
    assert document["report"] == {
        "printable": True,
        "errors": 0,
        "warnings": 1,
        "lines": 9,
        "first_errors": [],
        "first_warnings": [
            {"line": 7, "code": "unknown_code", "text": "M5555 is not known"}
        ],
    }
    assert stored("parts/cube.gcode").name == "cube.gcode"


def test_a_refusal_names_the_first_lines() -> None:
    errors = tuple(CheckFinding(n, "blocked", f"M{n} is blocked") for n in range(1, 6))
    error = FileError.refused("a.gcode", CheckReport(errors=errors, error_count=50))
    assert error.message == (
        '"a.gcode" was not stored: line 1: M1 is blocked; line 2: M2 is blocked; '
        "line 3: M3 is blocked (and 47 more)"
    )
    assert (error.code, error.findings) == (422, errors)
    one = FileError.refused("a", CheckReport(errors=errors[:1], error_count=1))
    assert one.message.endswith("M1 is blocked")


def test_sizes_as_people_read_them() -> None:
    assert (megabytes(200 * 1024 * 1024), megabytes(99)) == ("200 MiB", "99 bytes")
