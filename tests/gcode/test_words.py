"""A line of G-code and its words."""

import pytest

from bridge.gcode import words
from bridge.gcode.words import Words


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("G28", Words("G28", {})),
        ("g028.1 x", Words("G28", {"X": None})),
        ("M104 S205.5 T1", Words("M104", {"S": 205.5, "T": 1.0})),
        ("G1X-.5Y+2 ; up", Words("G1", {"X": -0.5, "Y": 2.0})),
        ("T1", Words("T1", {})),
        ("M117 Hello S5", Words("M117", {})),
        ("M23 small.gco", Words("M23", {})),
        ("firmware_restart X=1", Words("FIRMWARE_RESTART", {})),
        ("; nothing", Words("", {})),
        ("", Words("", {})),
        ("$H now", Words("$H", {})),
    ],
)
def test_a_line_is_its_code_and_its_words(line: str, said: Words) -> None:
    assert words.parse(line) == said


def test_a_comment_is_cut_off_unless_it_is_none() -> None:
    assert words.strip_comment("G28 ; home ; now") == "G28"
    assert words.strip_comment(r"M117 a\;b") == r"M117 a\;b"
