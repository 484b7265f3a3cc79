"""The print from the card: which line each firmware wants, and never a toggle."""

import json

import pytest

from bridge.commands import Context, parse
from bridge.errors import RejectedError
from bridge.gcode import dialects
from bridge.gcode.dialects import Dialect
from bridge.gcode.reply_types import FileEntry


def gcode(command: str, phase: str, dialect: Dialect = dialects.MARLIN) -> list[str]:
    request = parse("job", json.dumps({"command": command}).encode())
    context = Context(dialect=dialect, phase=phase, file="A.GCO")
    return list(request.command.program(context).gcode)


@pytest.mark.parametrize(
    ("command", "phase", "lines"),
    [
        ("start", "idle", ["M24"]),
        ("pause", "starting", ["M25"]),
        ("pause", "printing", ["M25"]),
        ("pause", "resuming", ["M25"]),
        ("pause", "pausing", []),
        ("pause", "paused", []),
        ("resume", "paused", ["M24"]),
        ("resume", "pausing", ["M24"]),
        ("resume", "resuming", []),
        ("resume", "printing", []),
        ("cancel", "printing", ["M524"]),
        ("cancel", "paused", ["M524"]),
        ("cancel", "cancelling", []),
    ],
)
def test_what_is_so_already_is_not_said_again(
    command: str, phase: str, lines: list[str]
) -> None:
    assert gcode(command, phase) == lines


@pytest.mark.parametrize(
    ("dialect", "pause", "resume", "cancel"),
    [
        (dialects.MARLIN, ["M25"], ["M24"], ["M524"]),
        (dialects.MARLIN1, ["M25"], ["M24"], ["M25", "M26 S0"]),
        (dialects.PRUSA, ["M25"], ["M24"], ["M25", "M26 S0"]),
        (dialects.KLIPPER, ["PAUSE"], ["RESUME"], ["CANCEL_PRINT"]),
        (dialects.REPETIER, ["M25"], ["M24"], ["M25", "M26 S0"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_firmware_has_its_own_words(
    dialect: Dialect, pause: list[str], resume: list[str], cancel: list[str]
) -> None:
    assert gcode("pause", "printing", dialect) == pause
    assert gcode("resume", "paused", dialect) == resume
    assert gcode("cancel", "printing", dialect) == cancel


def test_where_nothing_cancels_that_is_said() -> None:
    with pytest.raises(RejectedError, match="cancel it at the printer") as caught:
        gcode("cancel", "printing", dialects.REPRAPFIRMWARE)
    assert (caught.value.code, caught.value.error) == (409, "not_supported")


FILES = (
    FileEntry("CUBE~1.GCO", 9, "Cube, blue.gcode"),
    FileEntry("/parts/GEAR.GCO", 9, "Gear.gcode"),
    FileEntry("CUBE.GCO", 9, "CUBE~1.GCO"),
)


def named(command: object, context: Context, **fields: object) -> tuple[str, ...]:
    payload = json.dumps({"command": command, **fields}).encode()
    return parse("job", payload).command.program(context).gcode


def test_a_file_is_chosen_by_its_path_or_its_long_name() -> None:
    known = Context(files=FILES)
    for name, path in (
        ("CUBE~1.GCO", "CUBE~1.GCO"),  # a path precedes a long name
        ("cube~1.gco", "CUBE~1.GCO"),
        ("/CUBE~1.GCO", "CUBE~1.GCO"),
        ("Cube, blue.gcode", "CUBE~1.GCO"),
        ("parts/gear.gco", "/parts/GEAR.GCO"),
    ):
        assert named("select", known, file=name) == (f"M23 {path}",)
        lines = (f"M23 {path}", "M24")
        assert named("start", known, file=name, origin="card") == lines
        last = Context(files=FILES, last_print=("card", name))
        assert named("reprint", last) == lines
    # Where the list was not read, the firmware knows better than the bridge.
    assert named("select", Context(), file="NEW.GCO") == ("M23 NEW.GCO",)
    prusa = Context(dialect=dialects.PRUSA)
    assert named("start", prusa, file="NEW.GCO") == ("M23 new.gco", "M24")


NO_SUCH, NO_FILE = (404, "no_such_file"), (409, "no_file")
GONE = Context(last_print=("card", "GONE.GCO"), files=FILES)
LOCAL = Context(last_print=("local", "a.gcode"))
LISTED = Context(files=FILES)
REFUSED: tuple[tuple[Context, dict[str, object], tuple[int, str], str], ...] = (
    (LISTED, {"command": "select", "file": "x.g"}, NO_SUCH, "sd/files lists them"),
    (LISTED, {"command": "start", "file": "Gear.gcod"}, NO_SUCH, '"Gear.gcode"'),
    (Context(), {"command": "start"}, NO_FILE, "no file is selected"),
    (Context(), {"command": "reprint"}, NO_FILE, "no print that has ended"),
    (GONE, {"command": "reprint"}, NO_SUCH, "GONE.GCO"),
    (
        Context(),
        {"command": "select", "file": "a.gcode", "origin": "local"},
        NO_SUCH,
        "has stored no file",
    ),
    (LOCAL, {"command": "reprint"}, (409, "not_supported"), "start it by name"),
    (
        Context(),
        {"command": "select", "file": "A.GCO\nM104 S200"},
        (400, "invalid_payload"),
        "must not contain line breaks",
    ),
)


def test_a_file_that_cannot_be_printed() -> None:
    for context, payload, (code, error), words in REFUSED:
        with pytest.raises(RejectedError, match=words) as caught:
            named(context=context, **payload)
        assert (caught.value.code, caught.value.error) == (code, error), payload
