"""Files as they are, and not as they should be: stored and printed, or refused at once.

What the check of a file accepts must not end its print half-way, so both are asked.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.commands.base import Context
from bridge.commands.gcode_lines import check as check_code
from bridge.config import BLOCKED, PrinterConfig, Profile
from bridge.files.check import CheckRules
from bridge.files.inspection import Inspection
from bridge.gcode.code_table import CODES
from bridge.gcode.dialects import DIALECTS
from bridge.gcode.file_lines import LONGEST_LINE
from bridge.gcode.line import Line
from bridge.printer.limits import safety
from bridge.printer.limits.safety import SafetyRules
from bridge.printer.limits.travel import InitialState
from bridge.printer.printing.feed import Feed
from bridge.printer.printing.objects import Objects
from bridge.printer.printing.tracker import Tracker
from tests.support.printing import FAST, Printing, printing
from tests.support.uploads import serving, upload
from tests.support.waiting import until

PROFILE = Profile(extruders=2, heated_chamber=True)
RULES = CheckRules.of(PrinterConfig(profile=PROFILE), "marlin")


def sent_of(
    data: bytes, family: str = "marlin", *, block: int = 32 * 1024
) -> tuple[list[str], str]:
    """Return the lines of a file that are sent, and why it cannot go on, or nothing.

    Each pause in it is resumed.
    """
    dialect = DIALECTS[family]
    context = Context(profile=PROFILE, dialect=dialect)
    start = InitialState(profile=PROFILE, dialect=dialect)
    rules = SafetyRules(start=start, blocked=BLOCKED)

    def clean(line: Line, where: str) -> Line:
        """Do as the task that prints does."""
        check_code(line, context, where, longest=dialect.longest_line)
        safety.check_value(line, rules)
        return line

    blocks = iter([*(data[i : i + block] for i in range(0, len(data), block)), b""])
    feed = Feed(Tracker(dialect), Objects(), dialect, clean=clean)
    sent: list[str] = []
    while True:
        for item in feed.source(lambda: next(blocks)):
            assert item is not None
            sent.append(item[0])
            feed.done()
        assert feed.stop is not None
        if feed.stop.because == "end":
            return sent, ""
        if feed.stop.because == "error":
            return sent, feed.stop.text


def accepted(data: bytes, family: str = "marlin") -> bool:
    inspection = Inspection(CheckRules.of(PrinterConfig(profile=PROFILE), family))
    inspection.feed(data)
    return inspection.finish().report.printable


def arguments(code: str) -> Iterator[str]:
    """Yield what may follow a code in a file."""
    yield from ("", " S1", " P1", " X5 Y5", " S1 P2 ; why", " T1 S50", " 12", " S")
    yield from (f" {text}" for text in ("hello", "OTHER~1.GCO", "X", "?"))
    if code == "M117":
        yield " " + "x" * 200


@pytest.mark.parametrize("family", sorted(DIALECTS))
def test_what_the_check_accepts_can_be_printed(family: str) -> None:
    """Each code of the table, in forms that slicers and people write."""
    names = {row.split("|")[1].strip() for row in CODES.splitlines() if "|" in row}
    codes = [
        name for name in sorted(names) if name[:1] in "GMT" and name[1:2].isdigit()
    ]
    assert len(codes) > 200
    tried = 0
    for code in (*codes, "M7777", "G77", "T0", "T1", "Tx", "T?", "@pause", "@x"):
        for rest in arguments(code):
            data = f"G28\n{code}{rest}\nG1 X5\n".encode()
            if accepted(data, family):
                tried += 1
                sent, problem = sent_of(data, family)
                assert not problem, (family, code, rest)
                assert (sent[0], sent[-1]) == ("G28", "G1 X5")
    assert tried > 500


BOM = b"\xef\xbb\xbf"
MOVES = ["G28", "G1 X5"]

PRINTED: dict[str, tuple[bytes, list[str]]] = {
    "CRLF": (b"G28\r\nG1 X5\r\n", MOVES),
    "CRLF and LF": (b"G28\r\n\nG1 X5\n\r\n", MOVES),
    "CR at a line's end twice": (b"G28\r\r\nG1 X5\r\r\n", MOVES),
    "no newline at the end": (b"G28\nG1 X5", MOVES),
    "many newlines at the end": (b"G28\nG1 X5" + b"\n" * 5000, MOVES),
    "a BOM": (BOM + b"G28\nG1 X5\n", MOVES),
    "a BOM before a comment": (BOM + b"; Windows\nG28\nG1 X5\n", MOVES),
    "thousands of BOMs": (BOM * 5000 + b"G28\n" + BOM + b"G1 X5\n", MOVES),
    "tabs and form feeds": (b"\tG28\n\fG1\t X5 \t\n\v\n", MOVES),
    "Latin-1 in a comment": (b"; Gr\xfc\xdfe\nG28 ;\xe4\nG1 X5\n", MOVES),
    "Latin-1 in a text": (b"M117 W\xfcrfel\nG28\n", ["M117 W?rfel", "G28"]),
    "emoji in a text": ("M117 \U0001f419!\nG28\n".encode(), ["M117 ?!", "G28"]),
    "NUL in a late comment": (b"G28\n" * 5000 + b"; \0\nG28\n", ["G28"] * 5001),
    "a comment of 4 MiB": (b";" + b"x" * (LONGEST_LINE - 1) + b"\nG28\n", ["G28"]),
    "small letters": (b"g28\ng1 x5\n", MOVES),
    "no blanks": (b"G28\nG1X5Y6E.5F900\n", ["G28", "G1 X5 Y6 E0.5 F900"]),
    "odd numbers": (
        b"G28\nG01 X+05. Y-.5 Z0.30000\n",
        ["G28", "G1 X5 Y-0.5 Z0.30000"],
    ),
    "M112 in comments and texts": (
        b"; M112\nM117 M112\nG28 ; M112\n",
        ["M117 M112", "G28"],
    ),
    "arcs": (
        b"G28\nG17\nG2 X5 Y5 I2 J0 E1\nG3 X6 R5\n",
        ["G28", "G17", "G2 X5 Y5 I2 J0 E1", "G3 X6 R5"],
    ),
    "relative E": (b"M83\nG1 X5 E1\nG1 E-1\n", ["M83", "G1 X5 E1", "G1 E-1"]),
    "relative moves": (b"G28\nG91\nG1 X5\n", ["G28", "G91", "G1 X5"]),
    "M84 in the middle": (b"G28\nM84\nG1 X5\n", ["G28", "M84", "G1 X5"]),
    "two tools": (b"T0\nT1\nM104 T1 S9\n", ["T0", "T1", "M104 T1 S9"]),
    "a CNC's frame": (b"%\n(made by hand)\nG28\nG1 X5\n%\n", MOVES),
    "for other hosts": (b"@BEDLEVELVISUALIZER\nG28\n@OBJECT a\nG1 X5\n", MOVES),
    "broken pictures": (
        b"; thumbnail begin 16x16 9999\n; ???\nG28\n; thumbnail end\nG1 X5\n",
        MOVES,
    ),
    "pauses at both ends": (b"M0\nG28\nG1 X5\nM0 take it\n", MOVES),
    "nothing but pauses": (b"M0\nM1\n@pause\n", []),
    "lies": (
        b"M73 P200 R-5\n;LAYER_COUNT:-1\n;TIME:-1\n;LAYER:99999999999\nG28\n",
        ["M73 P200 R-5", "G28"],
    ),
}
"""Files that are stored, and the lines of them that are sent."""

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 422, "no G-code"),
    "only blanks": (b" \r\n\t\n" * 99, 422, "no G-code"),
    "only comments": (b"; a\n;b\n", 422, "no G-code"),
    "CR instead of newlines": (b"G28\rG1 X5\r", 422, "line 1: "),
    "UTF-16": ("G28\nG1 X5\n".encode("utf-16"), 415, "UTF-16"),
    "UTF-16 without a mark": ("G28\nG1 X5\n".encode("utf-16-le"), 415, "binary"),
    "UTF-32": ("G28\n".encode("utf-32"), 415, "UTF-16"),
    "binary G-code": (b"GCDE\1\0\0\0", 415, "binary G-code"),
    "a package": (b"PK\x03\x04" + b"x" * 99, 415, "ZIP"),
    "gzip": (b"\x1f\x8b\x08" + b"x" * 99, 415, "gzip"),
    "NUL in the head": (b"G28\n\0\n", 415, "binary"),
    "NUL in a late line": (b"G28\n" * 5000 + b"G1 X5\0\n", 422, "line 5001: "),
    "a comment of 10 MB": (b"G28\n;" + b"x" * 10**7 + b"\n", 422, "line 2: "),
    "M112 inside": (b"G28\nM112\nG1 X5\n", 422, "line 2: M112"),
    "inches": (b"G20\nG1 X5\n", 422, "line 1: G20"),
    "numbered lines": (b"N1 G28*18\nN2 G1 X5*99\n", 422, "line numbers"),
    "checksums": (b"G28*18\n", 422, "checksum"),
    "a tool too many": (b"T2\n", 422, "tool2"),
    "starts the card": (b"G28\nM24\n", 422, "line 2: M24"),
    "the end mark of DOS": (b"G28\n\x1a", 422, "line 2: "),
    "a web page": (b"<!DOCTYPE html>\n<html>\n", 422, "line 1: "),
    "a program": (b"#!/bin/sh\nrm x\n", 422, "line 1: "),
}
"""Files that are refused, with the status and what the slicer is told."""


async def test_odd_files_are_printed_or_refused_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, largest=2**25, rules=RULES) as served:
        for name, (data, _) in PRINTED.items():
            reply = await served.ask(upload(data, f"{name}.gcode"))
            assert reply.status == 201, (name, reply)
        there = served.stored()
        assert len(there) == len(PRINTED)
        for name, (data, status, told) in REFUSED.items():
            reply = await served.ask(upload(data, "bad.gcode", print="true"))
            assert (reply.status, told in reply.body.decode()) == (status, True), (
                name,
                reply,
            )
        assert served.stored() == there, "nothing is left of those"


@pytest.mark.parametrize("block", [1, 7, 32 * 1024])
def test_each_line_of_odd_files_is_sent(block: int) -> None:
    for name, (data, lines) in PRINTED.items():
        if block > 7 or len(data) < LONGEST_LINE / 64:
            assert sent_of(data, block=block) == (lines, ""), name


PAUSES = ("pauses at both ends", "nothing but pauses")


async def test_a_printer_prints_odd_files(tmp_path: Path) -> None:
    port = f"{FAST}&extruders=2"
    async with printing(tmp_path, ["G28"], port, extruders=2) as it:
        path, paused = tmp_path / it.file.name, 0
        for name in ("thousands of BOMs", "M84 in the middle", "lies", *PAUSES):
            data, lines = PRINTED[name]
            path.write_bytes(data)
            before = len(it.sent)
            it.live.printer.printing.start(replace(it.file, size=len(data)))
            while it.live.printer.printing.active:
                await until(lambda: not active(it) or phase(it) == "paused")
                if active(it):
                    paused += 1
                    await it.live.does("job", command="resume")
            result = it.live.printer.state.job.result
            assert result is not None
            assert (result.outcome, result.detail) == ("done", ""), name
            rest = iter(it.sent[before:])
            assert all(line in rest for line in lines), (name, it.sent[before:])
        assert paused == 5


def active(it: Printing) -> bool:
    return it.live.printer.printing.active


def phase(it: Printing) -> str:
    return it.live.printer.state.job.phase
