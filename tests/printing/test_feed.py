"""Which lines of a file are sent, and where sending stops, as dialogues."""

from collections.abc import Callable, Iterator

import pytest

from bridge.errors import RejectedError
from bridge.gcode.dialects import KLIPPER, MARLIN, Dialect
from bridge.gcode.line import Line
from bridge.printer.printing.feed import Feed, Stop, rejoining
from bridge.printer.printing.objects import Objects
from bridge.printer.printing.tracker import HeadPosition, Tracker


def as_it_is(line: Line, _where: str) -> Line:
    return line


class Reading:
    """A feed and its file, which comes in blocks of so many bytes."""

    def __init__(  # noqa: PLR0913 - what a test may want to be different
        self,
        text: str,
        dialect: Dialect = MARLIN,
        *,
        clean: Callable[[Line, str], Line] = as_it_is,
        scripts: bool = False,
        filament: bool = False,
        block: int = 7,
    ) -> None:
        data = text.encode("latin-1")
        self.blocks: Iterator[bytes | None] = iter(
            [*(data[i : i + block] for i in range(0, len(data), block)), b""]
        )
        self.tracker = Tracker(dialect)
        self.feed = Feed(
            self.tracker,
            Objects(),
            dialect,
            clean=clean,
            tool_scripts=lambda: scripts,
            host_changes_filament=lambda: filament,
        )

    def until_stop(self) -> tuple[list[str], Stop]:
        """Return the lines up to the next stop, each acknowledged, and the stop."""
        sent = []
        for item in self.feed.source(lambda: next(self.blocks)):
            assert item is not None
            sent.append(item[0])
            self.feed.done()
        assert self.feed.stop is not None
        return sent, self.feed.stop


def test_comments_and_blanks_are_left_out_and_lines_are_canonical() -> None:
    text = "; x\r\n\n G1  X.5 ;y\n\tg1 y-1\nM117 a ; b\nM84"
    reading = Reading(text)
    assert reading.until_stop() == (
        ["G1 X0.5", "G1 Y-1", "M117 a", "M84"],
        Stop("end"),
    )
    assert (reading.feed.line, reading.feed.byte) == (6, len(text) + 1)


def test_each_line_has_its_end_in_the_file() -> None:
    text = "; comment \xe4\nG28\n\nG1 X1\n"
    feed = Reading(text).feed
    source = feed.source(lambda: text.encode("latin-1"))
    assert next(source) == ("G28", text.index("\n\n") + 1)
    assert (feed.line, feed.byte) == (0, 0), "nothing was acknowledged"
    assert next(source) == ("G1 X1", len(text))
    feed.done()
    assert (feed.line, feed.byte) == (2, text.index("\n\n") + 1)


def test_there_may_be_nothing_for_a_while() -> None:
    reading = Reading("")
    blocks = iter([None, b"G28\n", None, b""])
    source = reading.feed.source(lambda: next(blocks))
    assert next(source) is None
    assert next(source) == ("G28", 4)
    assert next(source) is None
    assert next(source, "over") == "over"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("M0", "M0"),
        ("M0 Insert the nut", "Insert the nut"),
        ("M1 S5 Look", "Look"),
        ("M25", "M25"),
        ("M601", "M601"),
        ("@pause", "@pause"),
        ("@pause for me", "@pause"),
        ("@PAUSE;for me", "@pause"),
        ("m 00", "M0"),
        ("M1;", "M1"),
        ("\xef\xbb\xbfM0 ", "M0"),
    ],
)
def test_a_pause_in_the_file_is_never_sent(text: str, reason: str) -> None:
    reading = Reading(f"G28\n{text}\nG1 X1\n")
    assert reading.until_stop() == (["G28"], Stop("pause", reason))
    assert reading.until_stop() == (["G1 X1"], Stop("end"))


def test_klippers_pause_is_a_pause_of_the_host() -> None:
    reading = Reading("PAUSE\nG28\n", KLIPPER)
    assert reading.until_stop() == ([], Stop("pause", "PAUSE"))


def test_other_commands_for_hosts_are_left_out() -> None:
    assert Reading("@timelapse on\n@\nG28\n").until_stop() == (["G28"], Stop("end"))


def test_a_filament_change_is_the_firmwares_if_it_has_one() -> None:
    def blocks(line: Line, where: str) -> Line:
        raise RejectedError.invalid(f"{where}: {line.code} is blocked")

    assert Reading("M600\n").until_stop() == (["M600"], Stop("end"))
    # The firmware is known not to have it, or the operator blocks it: the check of a
    # file accepts it, so the bridge pauses.
    for reading in (Reading("M600\n", filament=True), Reading("M600\n", clean=blocks)):
        assert reading.until_stop() == ([], Stop("pause", "filament_change"))
        assert reading.until_stop() == ([], Stop("end"))


@pytest.mark.parametrize(
    "text",
    [
        "G0 Z0.15 G92 E0",  # OctoPrint#3448: two commands
        "G1 X{travel_speed}",  # OctoPi#209: a placeholder
        "a stray line of text",
        "M524",
        "M24",
    ],
)
def test_a_line_that_cannot_be_sent_is_named_by_its_number(text: str) -> None:
    sent, stop = Reading(f"G28\n; a comment\n{text}\nG1 X1\n").until_stop()
    assert sent == ["G28"]
    assert stop.because == "error"
    assert stop.text.startswith("line 3: ")


def test_a_comment_behind_blanks_is_none_of_the_firmwares() -> None:
    assert Reading('"; quoted"\n').until_stop()[1].because == "error"
    assert Reading('M117 ";"\nG28 ;\n').until_stop()[0][-1] == "G28"


def test_a_line_may_be_as_long_as_the_check_allows_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some slicers write a whole picture into one comment."""
    monkeypatch.setattr("bridge.printer.printing.feed.LONGEST_LINE", 100)
    longest = "; " + "x" * 98
    assert Reading(f"{longest}\nG28\n").until_stop() == (["G28"], Stop("end"))
    for text in (f"G28\n{longest}x", f"G28\n{longest}{'x' * 99}\nG1 X5\n"):
        sent, stop = Reading(text).until_stop()
        assert (sent, stop.because) == (["G28"], "error")
        assert stop.text == "line 2: it is longer than 100 bytes"


def test_a_line_beyond_a_limit_is_not_sent_and_a_text_is_left_out() -> None:
    def clean(line: Line, where: str) -> Line:
        if line.code in {"M117", "M104"}:
            raise RejectedError.invalid(f"{where}: too much")
        if line.code == "M140":
            raise RejectedError.invalid("too hot")
        return line

    assert Reading("M117 long\nG28\n", clean=clean).until_stop()[0] == ["G28"]
    sent, stop = Reading("G28\nM104 S999\n", clean=clean).until_stop()
    assert (sent, stop.because) == (["G28"], "error")
    assert stop.text == "line 2: too much", "the line is named once"
    assert Reading("M140 S999\n", clean=clean).until_stop()[1].text == (
        "line 1: too hot"
    )


def test_a_request_stops_before_the_next_line() -> None:
    reading = Reading("G28\nG1 X1\nG1 X2\n")
    feed = reading.feed
    source = feed.source(lambda: next(reading.blocks))
    assert next(source)
    feed.asked = True
    assert next(source, None) is None
    assert feed.stop == Stop("asked")
    assert reading.until_stop() == (["G1 X1", "G1 X2"], Stop("end"))


def test_a_layer_that_nobody_waits_for_does_not_stop_it() -> None:
    reading = Reading(MARKED)
    assert len(reading.until_stop()[0]) == 3
    assert reading.feed.layer_began[0] == 4


MARKED = "G28\n;LAYER:0\nG1 X1 Z.3 E1\n;LAYER:1\nG1 X2 Z.6 E2\n"
UNMARKED = "G28\nG1 X1 Z.3 E1\nG1 Z.6\nG1 X2 E2\n"


def test_it_stops_before_a_layer() -> None:
    reading = Reading(MARKED)
    reading.feed.asked_at_layer = True
    assert reading.until_stop() == (["G28"], Stop("layer"))
    reading.feed.asked_at_layer = True
    assert reading.until_stop() == (["G1 X1 Z0.3 E1"], Stop("layer"))
    assert reading.feed.layer_began == (4, MARKED.index("G1 X2"))
    assert reading.until_stop() == (["G1 X2 Z0.6 E2"], Stop("end"))


def test_without_marks_a_layer_begins_with_the_line_that_extrudes_higher() -> None:
    reading = Reading(UNMARKED)
    reading.feed.asked_at_layer = True
    assert reading.until_stop() == (["G28"], Stop("layer"))
    reading.feed.asked_at_layer = True
    assert reading.until_stop() == (["G1 X1 Z0.3 E1", "G1 Z0.6"], Stop("layer"))
    assert reading.feed.layer_began == (3, UNMARKED.index("G1 X2"))
    assert reading.tracker.place.x == 1, "the line was not sent yet"
    assert reading.until_stop() == (["G1 X2 E2"], Stop("end"))


def test_scripts_run_around_a_change_of_the_tool() -> None:
    reading = Reading("T0\nT1\nG28\n", scripts=True)
    assert reading.until_stop() == (["T0"], Stop("tool", tools=(0, 1)))
    assert reading.until_stop() == (["T1"], Stop("after_tool", tools=(0, 1)))
    assert reading.until_stop() == (["G28"], Stop("end"))
    assert Reading("T1\nTx\n").until_stop()[0] == ["T1", "Tx"]


# Objects that are left out

TWO = """G90
M83
G1 X0 Y0 Z.2 F3000
; printing object a id:0 copy 0
G1 X1 Y1
G1 E.8 F1800
G1 X2 E1
M106 S255
G92 E0
G10
G1 E-.8
; stop printing object a id:0 copy 0
; printing object b id:1 copy 0
G1 X9 Y9
G1 E.8
G1 X8 E1
; stop printing object b id:1 copy 0
M107
"""


def test_the_moves_of_an_excluded_object_are_left_out() -> None:
    reading = Reading(TWO)
    reading.feed.objects.comment("; printing object a id:0 copy 0")
    reading.feed.objects.comment("; stop printing object")
    reading.feed.exclude("a id:0 copy 0")
    sent, _ = reading.until_stop()
    assert sent == [
        *("G90", "M83", "G1 X0 Y0 Z0.2 F3000", "M106 S255"),
        *("M83", "G1 E-0.8 F1800"),
        *("G90", "G0 X2 Y1 F3000", "M83", "G92 E-0.8", "G1 F1800"),
        *("G1 X9 Y9", "G1 E0.8", "G1 X8 E1", "M107"),
    ]
    assert reading.tracker.filament == pytest.approx(1.0)


def test_an_object_can_be_excluded_while_it_is_printed() -> None:
    reading = Reading(TWO.replace("G1 X2 E1\n", "M0\nG1 X2 E1\n"))
    sent, stop = reading.until_stop()
    assert (sent[-1], stop.because) == ("G1 E0.8 F1800", "pause")
    reading.feed.exclude("a id:0 copy 0")
    assert reading.feed.place.x == 1
    sent, _ = reading.until_stop()
    # What the left out lines have pulled back is pulled back.
    assert sent[:5] == ["M106 S255", "M83", "G1 E-0.8 F1800", "G90", "G0 X2 F3000"]
    assert sent[-4:] == ["G1 X9 Y9", "G1 E0.8", "G1 X8 E1", "M107"]


def test_a_position_of_the_extruder_after_an_object_is_set() -> None:
    text = TWO.replace("M83", "M82").replace("G1 X9 Y9\n", "G92 E5\nG1 X9 Y9\n")
    reading = Reading(text)
    reading.feed.objects.comment("; printing object a id:0 copy 0")
    reading.feed.objects.comment("; stop printing object")
    reading.feed.exclude("a id:0 copy 0")
    sent, _ = reading.until_stop()
    at = sent.index("G92 E5")
    assert sent[at - 2 : at] == ["G92 E-0.8", "G1 F1800"]


def test_the_firmwares_own_words_for_objects() -> None:
    text = 'M486 S0\nM486 A"nut"\nG1 X1 E1\nM486 S-1\nG1 X2\n'
    reading = Reading(text.replace("G1 X1", "M0\nG1 X1"))
    reading.until_stop()
    reading.feed.exclude("nut")
    sent, _ = reading.until_stop()
    assert "G1 X1 E1" not in sent
    assert sent[0] == "M486 S-1"
    assert sent[-1] == "G1 X2"
    text = "EXCLUDE_OBJECT_START NAME=a\nG1 X1\nEXCLUDE_OBJECT_END NAME=a\nG1 X2\n"
    reading = Reading(text, KLIPPER)
    reading.feed.objects.exclude("a")
    assert "G1 X1" not in reading.until_stop()[0]


def test_the_way_back_goes_at_the_greater_height() -> None:
    low, high = (
        HeadPosition(x=0, y=0, z=1),
        HeadPosition(x=5, y=0, z=9, relative=True, e=1),
    )
    up = list(rejoining(low, high))
    assert up == ["G90", "G0 Z9 F3000", "G0 X5 F3000", "G91", "M82", "G92 E1"]
    down = list(rejoining(high, low))
    assert down == ["G90", "G0 X0 F3000", "G0 Z1 F3000", "M82"]
    pushed = list(
        rejoining(HeadPosition(retracted=2, relative_e=True), HeadPosition(e=0))
    )
    assert pushed == ["M83", "G1 E2 F1800", "M82", "G92 E0"]
    modes = HeadPosition(relative_e=True)
    assert list(rejoining(modes, modes)) == []
    z_only = list(rejoining(HeadPosition(z=1), HeadPosition(z=2, relative_e=True)))
    assert z_only == ["G90", "G0 Z2 F3000", "M83"]
    kept = list(rejoining(modes, HeadPosition(relative_e=True, retracted=1)))
    assert kept == ["M83", "G1 E-1 F1800"]


def test_what_no_parser_takes_and_nothing_depends_on_is_left_out() -> None:
    """As in the start code of Prusa's profiles; the check of files says the same."""
    reading = Reading("M115 U3.13.3 ; tell the latest\nM99123 /RK==\nG28\nW221\n")
    assert reading.until_stop() == (["G28"], Stop("end"))
    reading = Reading("M486 S0\nM486 AShape-Box id:0\nG28\nM486 S-1\n")
    assert reading.until_stop()[0] == ["M486 S0", "G28", "M486 S-1"]
    assert reading.feed.objects.names == ("Shape-Box id:0",)


def test_lines_are_read_as_the_check_reads_them() -> None:
    text = "\xef\xbb\xbfG28\n%\n(a comment)\nM117 W\xc3\xbcrfel\n@PAUSE\nG1 X5\n"
    reading = Reading(text)
    assert reading.until_stop() == (["G28", "M117 Wuerfel"], Stop("pause", "@pause"))
    assert reading.until_stop() == (["G1 X5"], Stop("end"))
    reading = Reading("; printing object W\xc3\xbcrfel\nG1 X5\n")
    reading.until_stop()
    assert reading.feed.objects.names == (
        "W\N{LATIN SMALL LETTER U WITH DIAERESIS}rfel",
    )
