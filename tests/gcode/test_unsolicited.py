"""Errors that nobody is told of who sent a line, as dialogues."""

import pytest

from bridge.gcode.dialects import KLIPPER, MARLIN, UNKNOWN
from bridge.gcode.events import Event
from bridge.gcode.reply_types import Refusal
from tests.support.dialogue import Dialogue, connected

READ_ERROR = "Error:SD read error"
POLLED = 'echo:Unknown command: "M27"'


def strays(events: list[Event]) -> list[bool]:
    return [event.unsolicited for event in events if isinstance(event, Refusal)]


def test_an_error_on_an_idle_line_is_nobodys() -> None:
    talk = connected(MARLIN)
    assert strays(talk.hears(READ_ERROR, POLLED)) == [True, True]


def test_whoever_sent_a_line_is_told_of_what_is_said_to_it() -> None:
    talk = connected(MARLIN)
    talk.protocol.send("G1 X1")
    talk.sends()
    assert strays(talk.hears(READ_ERROR)) == [False]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([READ_ERROR], [True]),
        ([POLLED], [False]),
        (["echo:No media"], [False]),
        (["Error:Bad G-code 27"], [False]),
        (["Error: Bad command: M27"], [False]),
    ],
)
def test_nobody_is_told_what_is_said_to_our_own_questions(
    said: list[str], expected: list[bool]
) -> None:
    talk = connected(MARLIN)
    talk.protocol.send("M27", ahead=True, report_errors=False)
    talk.sends()
    assert strays(talk.hears(*said)) == expected
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert strays(talk.hears(*said)) == expected, "so to a probe"


def test_what_comes_behind_an_ok_belongs_to_its_line() -> None:
    talk = connected(UNKNOWN)
    talk.protocol.send("M114")
    talk.sends()
    assert strays(talk.hears("ok", READ_ERROR)) == [False]
    talk.waits(1)
    assert strays(talk.hears(READ_ERROR)) == [True]


def test_a_firmware_need_not_know_the_greeting() -> None:
    talk = Dialogue(KLIPPER)
    talk.sends()
    said = ['// Unknown command:"M110"', "!! Printer is not ready"]
    assert strays(talk.hears(*said)) == [False, True]
