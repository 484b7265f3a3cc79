"""A reset whose ``start`` arrives damaged, and texts that only look like one."""

import pytest

from bridge.gcode.dialects import (
    KLIPPER,
    MARLIN,
    MARLIN1,
    REPETIER,
    REPRAPFIRMWARE,
    UNKNOWN,
    Dialect,
)
from bridge.gcode.events import Connected, Done, Failed, LinkFailed, Restarted
from tests.support.dialogue import Dialogue, connected

SOON = 5.0
NUMBERED = [MARLIN, MARLIN1, REPETIER, REPRAPFIRMWARE, UNKNOWN]
OUT_OF_TURN = "Error:Line Number is not Last Line Number+1, Last Line: 0"


def working(dialect: Dialect, line: str = "G28") -> tuple[Dialogue, int]:
    talk = connected(dialect)
    ticket = talk.protocol.send(line)
    assert talk.sends() == line
    return talk, ticket


@pytest.mark.parametrize("dialect", [MARLIN, MARLIN1, REPETIER, UNKNOWN])
@pytest.mark.parametrize(
    "said", ["\xfestart", "T:20.0 /start", "echo: External Reset", "PowerUp"]
)
def test_a_damaged_start_is_found_out_during_a_long_line(
    dialect: Dialect, said: str
) -> None:
    talk, ticket = working(dialect)
    talk.waits(20)
    talk.hears(said)
    talk.waits(SOON)
    assert talk.sends() == "M105"
    (failed, restarted) = talk.hears(OUT_OF_TURN, "Resend: 1")
    assert isinstance(failed, Failed)
    assert (failed.ticket, failed.error) == (ticket, "disconnected")
    assert restarted == Restarted()


def test_a_damaged_start_is_found_out_on_an_idle_line() -> None:
    talk = connected(MARLIN)
    talk.waits(100)
    talk.hears("\xfestart")
    talk.waits(SOON)
    assert talk.sends() == "M105"
    assert talk.hears(OUT_OF_TURN, "Resend: 1") == [Restarted()]


@pytest.mark.parametrize(
    "said", ["Print started", "Start", "restart now", "Factory Reset", "echo:PowerUps"]
)
def test_other_texts_raise_no_suspicion(said: str) -> None:
    talk, _ = working(MARLIN)
    talk.hears(said)
    talk.waits(MARLIN.long_timeout - 1)
    assert talk.sends() == ""


@pytest.mark.parametrize("dialect", NUMBERED)
@pytest.mark.parametrize("line", ["M109 S200", "G29"])
def test_a_firmware_that_works_on_in_silence_keeps_all_its_time(
    dialect: Dialect, line: str
) -> None:
    talk, ticket = working(dialect, line)
    talk.hears("PID Autotune start")
    talk.waits(SOON)
    assert talk.sends() == "M105"
    assert talk.waits(dialect.long_timeout - SOON - 1) == []
    assert talk.sends() == "", "no other probe before the line's time is over"
    assert talk.hears("ok") == [Done(ticket, ("PID Autotune start",))]
    assert len(talk.hears("ok T:20.0 /0.0")) == 1
    assert talk.waits(dialect.long_timeout) == []


def test_a_reply_that_extended_the_timeout_still_counts() -> None:
    talk, _ = working(REPETIER, "G29")
    talk.waits(500)
    talk.hears("Z-probe: 1.25")
    talk.waits(90)
    talk.hears("Print start")
    talk.waits(SOON)
    assert talk.sends() == "M105"
    talk.waits(REPETIER.long_timeout - SOON - 1)
    assert talk.sends() == ""
    talk.waits(1)
    assert talk.sends() == "M105"


def test_a_suspected_reset_does_not_extend_a_busy_line() -> None:
    talk, _ = working(MARLIN)
    talk.hears("Print start")
    talk.waits(SOON - 1)
    talk.hears("echo:busy: processing")
    talk.waits(1)
    assert talk.sends() == "M105"
    talk.waits(MARLIN.ok_timeout)
    assert talk.sends() == "M105", "as if nobody had asked"


@pytest.mark.parametrize("dialect", NUMBERED)
def test_the_question_does_not_count_as_unanswered(dialect: Dialect) -> None:
    talk, _ = working(dialect)
    talk.hears("Print start")
    talk.waits(SOON)
    assert talk.sends() == "M105"
    probes = 0
    while not (events := talk.waits(dialect.long_timeout)):
        probes += talk.sends() == "M105"
    assert isinstance(events[-1], LinkFailed)
    assert probes == dialect.max_probes
    asked = (dialect.max_probes + 1) * dialect.ok_timeout
    assert talk.now > dialect.long_timeout + asked - dialect.ok_timeout


def test_a_firmware_that_keeps_saying_it_is_not_flooded() -> None:
    talk, ticket = working(MARLIN)
    probes = 0
    for _ in range(28):
        talk.hears("Print start", "Print start")
        talk.waits(10)
        probes += talk.sends() == "M105"
    assert probes == MARLIN.max_probes
    (done,) = talk.hears("ok")
    assert isinstance(done, Done)
    assert done.ticket == ticket
    assert len(talk.hears(*["ok T:20.0 /0.0"] * probes)) == probes


def test_without_numbers_nothing_can_be_asked() -> None:
    talk, _ = working(KLIPPER)
    talk.hears("Print start")
    talk.waits(KLIPPER.long_timeout - 1)
    assert talk.sends() == ""


def test_a_line_that_is_to_be_sent_again_asks_as_well() -> None:
    talk, ticket = working(MARLIN)
    talk.hears("Print start")
    talk.waits(SOON - 0.2)
    assert talk.hears("Resend: 1002") == []
    talk.waits(0.3)
    assert talk.sends() == ""
    talk.waits(1)
    assert talk.sends() == "G28"
    assert Done(ticket) in talk.hears("ok")


def test_what_follows_a_start_is_not_asked_about() -> None:
    talk = connected(MARLIN)
    assert talk.hears("start", "PowerUp") != []
    assert talk.sends().startswith("M110")
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert Connected() in talk.hears("ok T:20.0 /0.0")
    assert talk.protocol.next_timeout() is None
