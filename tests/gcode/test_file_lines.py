"""Which lines of a file are sent, and which are only for people."""

import pytest

from bridge.gcode.file_lines import (
    command_of,
    is_for_screens,
    is_host_command,
    object_name,
)


@pytest.mark.parametrize(
    ("raw", "command"),
    [
        (b"G28\n", "G28"),
        (b" \tG1 X5 ; right\r\n", "G1 X5 ; right"),
        (b"\xef\xbb\xbfG28\n", "G28"),
        (b"\xef\xbb\xbf; made on Windows\r\n", ""),
        (b"\xef\xbb\xbf \xef\xbb\xbfG28\n", "G28"),
        (b"\xef\xbb\xbf" * 5000, ""),
        (b"M117 W\xc3\xbcrfel", "M117 Würfel"),
        (b"M117 W\xfcrfel", "M117 W\N{REPLACEMENT CHARACTER}rfel"),
        (b"@pause", "@pause"),
        (b"(a comment)", ""),
        (b"(one) G28 (two)", "(one) G28 (two)"),
        (b"(not closed", "(not closed"),
        (b"%\n", ""),
        (b"%O100\n", "%O100"),
        (b"; G28", ""),
        (b"\r\n", ""),
        (b"", ""),
    ],
)
def test_what_a_line_says(raw: bytes, command: str) -> None:
    assert command_of(raw) == command


def test_lines_for_the_host() -> None:
    assert is_host_command("@pause")
    assert not is_host_command("M117 @pause")


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("M486 AShape-Box id:0", True),
        ("M486A Cube", True),
        ("m115 U3.13.3", True),
        ('M862.3 P "MK3S"', True),
        ("W221", True),
        ("M10086 ;", True),
        ("M486 S1", False),
        ("M4860 A1", False),
        ("M115", False),
        ("M40100", False),
        ("W2210", False),
        ("G1 X5", False),
    ],
)
def test_lines_that_may_be_left_out(text: str, left_out: bool) -> None:  # noqa: FBT001 - a table
    assert is_for_screens(text) is left_out


def test_the_name_of_an_object_without_quotes() -> None:
    assert object_name("M486 AShape-Box id:0 ; the box") == "Shape-Box id:0"
    assert object_name("M486 S1") == ""
