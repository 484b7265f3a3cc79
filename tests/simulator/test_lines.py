"""From bytes to lines, numbers and checksums."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.gcode.framing import encode
from bridge.simulator.lines import Numbering, ParsedCommand, Receiver, clean


def received(data: bytes, room: int = 1000) -> list[str]:
    receiver = Receiver(room)
    receiver.feed(data)
    found = []
    while (line := receiver.next_line()) is not None:
        found.append(line)
    return found


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"G28 ; home", b"G28 "),
        (rb"M118 a\;b", b"M118 a;b"),
        (b"\x08M105", b"M105"),
        (b"x" * 200, b"x" * 95),
        (b"M1\x0005", b"M1\x0005"),
    ],
)
def test_what_is_no_command_is_taken_away(line: bytes, kept: bytes) -> None:
    assert clean(line) == kept


def test_a_nul_hides_the_rest() -> None:
    assert received(b"M1\x0005\n") == ["M1"]


@given(st.lists(st.sampled_from([b"M105", b"", b"; c", b"G1 X1"])), st.integers(1, 9))
def test_how_the_bytes_are_cut_does_not_matter(lines: list[bytes], size: int) -> None:
    data = b"".join(line + b"\r\n" for line in lines)
    receiver = Receiver()
    found = []
    for start in range(0, len(data), size):
        receiver.feed(data[start : start + size])
        while (line := receiver.next_line()) is not None:
            found.append(line)
    assert found == received(data)
    assert found == [line.decode() for line in lines if line[:1] in b"GM" and line]


@given(st.binary(max_size=300), st.integers(1, 100))
def test_the_buffer_holds_what_it_may(data: bytes, room: int) -> None:
    receiver = Receiver(room)
    receiver.feed(data)
    assert receiver.pending <= room
    receiver.flush()
    assert receiver.pending == 0


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"M112\n", [("M112", None)]),
        (b"  N5 M112*7\n", [("M112", None)]),
        (b"N-1M108 ; x\r", [("M108", None)]),
        (b"M876 S0\n", [("M876", 0)]),
        (b"M117 M112\n", [("M117", None)]),
        (b"M112", []),
        (b"G28\n", []),
    ],
)
def test_the_emergency_parser_looks_at_the_front(
    data: bytes, seen: list[tuple[str, int | None]]
) -> None:
    assert Receiver().feed(data) == seen


def test_the_emergency_parser_puts_pieces_together() -> None:
    receiver = Receiver()
    assert receiver.feed(b"M1") == []
    assert receiver.feed(b"12") == []
    assert receiver.feed(b"\n") == [("M112", None)]


@given(st.integers(0, 5000), st.sampled_from(["G28", "M117 a*b", "G1 X1 ; c"]))
def test_a_right_line_is_taken(number: int, text: str) -> None:
    numbering = Numbering(last=number - 1)
    line = encode(text, number).decode().rstrip("\n")
    assert numbering.check(line, repeats_silent=True) == (text, "")
    assert numbering.last == number


@given(st.integers(1, 200), st.integers(0, 90), st.integers(1, 255))
def test_a_corrupted_line_is_never_taken_as_a_numbered_one(
    number: int, place: int, change: int
) -> None:
    data = bytearray(encode("G1 X10 F3000", number).rstrip(b"\n"))
    data[place % len(data)] ^= change
    line = data.decode("latin-1")
    numbering = Numbering(last=number - 1)
    command, _ = numbering.check(line, repeats_silent=True)
    assert numbering.last == number - 1
    assert command == "" or not line.lstrip(" ").startswith("N")


@pytest.mark.parametrize(
    ("line", "last"),
    [("N0 M110 N7*122", 7), ("N500 M110*38", 500), ("N-1 M110*15", -1)],
)
def test_m110_says_where_the_count_is(line: str, last: int) -> None:
    numbering = Numbering()
    assert numbering.check(line, repeats_silent=True)[1] == ""
    assert numbering.last == last


def test_a_number_needs_a_checksum() -> None:
    checked = Numbering().check("N1 G28", repeats_silent=True)
    assert checked == ("", "No Checksum with line number")


def test_a_line_without_a_number_needs_none() -> None:
    assert Numbering().check("M105*36", repeats_silent=True) == ("M105", "")


@pytest.mark.parametrize(
    ("line", "code", "text", "words", "flags"),
    [
        ("G1X1Y-2.5F3000", "G1", "X1Y-2.5F3000", {"X": 1, "Y": -2.5, "F": 3000}, ""),
        ("  M104 S200 T1", "M104", "S200 T1", {"S": 200, "T": 1}, ""),
        ("G28 X Y", "G28", "X Y", {}, "XY"),
        ("G92.1", "G92.1", "", {}, ""),
        ("T1", "T1", "", {}, ""),
        ("foo", "", "foo", {}, ""),
        ("g28", "", "g28", {}, ""),
        ("M105 M114", "M105", "M114", {"M": 114}, ""),
    ],
)
def test_a_command_is_taken_apart(
    line: str, code: str, text: str, words: dict[str, float], flags: str
) -> None:
    command = ParsedCommand.parse(line)
    assert (command.code, command.text) == (code, text)
    assert command.words == words
    assert command.flags == frozenset(flags)
