"""What is checked is what is sent: models of the firmwares read nothing else.

For any line that is accepted for a family, each of the family's models
(tests/support/firmware_readers.py) reads the bytes on the wire as exactly one command:
that which was checked.
"""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.gcode.codes import SYNTAXES, Argument
from bridge.gcode.line import Line, LineError, parse, render
from tests.support.cases import examples
from tests.support.firmware_readers import READERS, Command

EXAMPLES = examples(60)

CODES = st.sampled_from(
    [
        *("G0", "G1", "G2", "G10", "G28", "G92", "G92.1", "M0", "M1", "M104", "M109"),
        *("M140", "M303", "M568", "M117", "M118", "M23", "M30", "M32", "M16", "M33"),
        *("M36", "M42", "M92", "M98", "M106", "M110", "M112", "M220", "M291", "M486"),
        *("M587", "M906", "M1000", "M65640", "T0", "T1", "Tx", "T?", "T-1", "SET_PIN"),
        *("SET_HEATER_TEMPERATURE", "RESPOND", "PRINT_START", "PRUSA", "N", "N5", "L"),
    ]
)
NUMBERS = st.one_of(
    st.decimals(-1000, 1000, places=2).map(str),
    st.integers(-300, 1000).map(str),
    st.sampled_from(["", "+5", ".5", "5.", "1e5", "0x1F", "inf", "nan", "2 00", "1:2"]),
)
LETTERS = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
WORDS = st.one_of(
    st.tuples(LETTERS, st.sampled_from(["", " "]), NUMBERS).map("".join),
    st.tuples(st.sampled_from(["HEATER", "TARGET", "MSG", "PIN", "X"]), NUMBERS).map(
        "=".join
    ),
    CODES,
    st.sampled_from(
        [
            '"a"',
            '"M104',
            'S300"',
            "\"a''",
            ";x",
            "*9",
            "(x)",
            "{x}",
            "#",
            ":",
            "^",
            "PRUSA",
            "M110",
            "E",
            "INF",
        ]
    ),
    st.text(max_size=6),
    st.text("GMTNSXge0123456789 .:;*\"'", max_size=12),
)
SPACES = st.sampled_from(["", " ", "  "])
LINES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "", " ", "N ", "N5 ", "L ", ";", "/"]),
    st.one_of(CODES, CODES.map(str.lower)),
    st.lists(st.tuples(SPACES, WORDS).map("".join), max_size=6).map("".join),
)
TEXTS = st.builds(
    "{} {}".format,
    st.sampled_from(
        ["M117", "M118", "M23", "M0", "M30", "m117", "M32", "M531", "M16", "M36"]
    ),
    st.one_of(st.text(max_size=40), LINES),
)


NAME = re.compile(r"[A-Z_][A-Z_][A-Z0-9_]*")
"""Klipper's names of commands may have digits, but not at the second place."""


def number_of(text: str) -> object:
    return text if ":" in text else float(text or 0)


def expected(line: Line) -> Command:
    """Return what was checked, as the models say it."""
    if NAME.fullmatch(line.code):
        return Command(line.code, dict(line.parameters))
    values = {letter: number_of(text) for letter, text in line.parameters}
    return Command(line.code, values, dict(line.quoted), line.argument)


def comparable(found: Command, checked: Line) -> Command:
    """Return a command without what the code does not read."""
    if checked.row.argument is Argument.WAIT:
        # Only the code matters: its text may have letters, and it reads P and S.
        return Command(found.code)
    if checked.row.argument in {Argument.LETTERS, Argument.NAMES}:
        rest = checked.text[len(found.code) :].strip()
        if found.text == rest and not found.values:
            # It takes all that follows for a text, and so finds no letters.
            return expected(checked)
        return Command(found.code, found.values, found.texts)
    return Command(found.code, text=found.text)


def disagreement(given: str, family: str) -> object:
    """Return what a firmware would do other than what was checked, if anything."""
    try:
        line = parse(given, family)
    except LineError:
        return None
    if line.row.refused:
        return None  # its operator takes the responsibility
    sent = render(line).decode()
    for reader in READERS[family]:
        found = reader(sent)
        if line.code[:1] == "T" and line.code[1:] in {"?", "x", "c"} and not found:
            continue
        wanted = comparable(expected(line), line)
        if [comparable(command, line) for command in found] != [wanted]:
            return reader.__name__, sent, found, wanted
    return None


@pytest.mark.parametrize("family", SYNTAXES)
@settings(max_examples=EXAMPLES, deadline=None)
@given(given_line=st.one_of(LINES, TEXTS))
@example(given_line="N M104 S300")
@example(given_line="L M104 S300")
@example(given_line="M117 Done! G1 X150 F9000")
@example(given_line='M42 P"a"M104 S300')
@example(given_line="M117 M110 N500")
@example(given_line="M104 S2 00")
@example(given_line="T0T1")
@example(given_line="M117.0:")
@example(given_line="M117.1 a")
@example(given_line="M117 12:30 M104 S300")
@example(given_line="SET_PIN5 HEATER=0.00")
def test_a_firmware_reads_what_was_checked(family: str, given_line: str) -> None:
    assert disagreement(given_line, family) is None


@pytest.mark.parametrize("family", SYNTAXES)
@settings(max_examples=EXAMPLES, deadline=None)
@given(given_line=st.one_of(LINES, TEXTS))
def test_a_line_that_was_sent_is_read_as_itself(family: str, given_line: str) -> None:
    try:
        line = parse(given_line, family)
    except LineError:
        return
    again = parse(line.text, family)
    assert again.text == line.text
    assert (again.code, again.parameters, again.quoted, again.argument) == (
        line.code,
        line.parameters,
        line.quoted,
        line.argument,
    )
    assert line.text.isascii()
    assert line.text.isprintable()
