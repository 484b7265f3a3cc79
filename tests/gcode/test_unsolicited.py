"""Errors that are about nobody's line, as dialogues."""

import pytest

from bridge.gcode.dialects import KLIPPER, MARLIN, UNKNOWN
from bridge.gcode.events import Event
from bridge.gcode.reply_types import Refusal
from tests.support.dialogue import Dialogue, connected

READ_ERROR = "Error:SD read error"
POLLED = 'echo:Unknown command: "M27"'


def unsolicited(events: list[Event]) -> list[bool]:
    return [event.unsolicited for event in events if isinstance(event, Refusal)]


def test_an_error_on_an_idle_line_is_unsolicited() -> None:
    talk = connected(MARLIN)
    assert unsolicited(talk.hears(READ_ERROR, POLLED)) == [True, True]


def test_an_error_about_a_senders_line_is_not_unsolicited() -> None:
    talk = connected(MARLIN)
    talk.protocol.send("G1 X1")
    talk.sends()
    assert unsolicited(talk.hears(READ_ERROR)) == [False]


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
def test_an_error_about_our_own_question_is_unsolicited(
    said: list[str], expected: list[bool]
) -> None:
    talk = connected(MARLIN)
    talk.protocol.send("M27", ahead=True, report_errors=False)
    talk.sends()
    assert unsolicited(talk.hears(*said)) == expected
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert unsolicited(talk.hears(*said)) == expected, "so to a probe"


def test_what_comes_behind_an_ok_belongs_to_its_line() -> None:
    talk = connected(UNKNOWN)
    talk.protocol.send("M114")
    talk.sends()
    assert unsolicited(talk.hears("ok", READ_ERROR)) == [False]
    talk.waits(1)
    assert unsolicited(talk.hears(READ_ERROR)) == [True]


def test_a_refused_greeting_is_not_reported() -> None:
    talk = Dialogue(KLIPPER)
    talk.sends()
    said = ['// Unknown command:"M110"', "!! Printer is not ready"]
    assert unsolicited(talk.hears(*said)) == [False, True]
