"""Logs of the wire, run against the protocol."""

from pathlib import Path

import pytest

from bridge.gcode.dialects import KLIPPER, MARLIN, REPETIER, UNKNOWN, Dialect
from bridge.printer.link.replay import Replay
from bridge.printer.link.wire_log import read_log

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"
LOGS = sorted(TRANSCRIPTS.rglob("*.txt"))


def told(log: str, dialect: Dialect = MARLIN) -> list[str]:
    replay = Replay(dialect)
    return [text for entry in read_log(log.splitlines()) for text in replay.take(entry)]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_every_transcript_replays(log: Path) -> None:
    dialect = KLIPPER if log.parent.name == "klipper" else MARLIN
    assert [text for text in told(log.read_text(), dialect) if text.startswith("done")]


def test_in_a_good_log_every_line_but_the_unanswered_is_done() -> None:
    log = (TRANSCRIPTS / "klipper" / "05_temperature.txt").read_text()
    lines = told(log, KLIPPER)
    assert len(lines) > 10
    assert all(text.startswith("done: ") for text in lines)
    refused = "done: M104 S999 (Requested temperature (999.0) out of range (0.0:300.0))"
    assert refused in lines


def test_a_line_that_was_asked_for_again_is_done_once() -> None:
    log = r"""
        1.0 > N1000 M110 N1000*125\n
        1.0 < ok
        1.1 > N1001 G28*35\n
        1.2 < Error:checksum mismatch, Last Line: 1000
        1.2 < Resend: 1001
        1.2 < ok
        1.3 > N1001 G28*35\n
        9.9 < ok
    """
    assert told(log) == ["done: M110 N1000", "done: G28"]


def test_urgent_lines_end_nothing_and_a_reset_everything() -> None:
    log = r"""
        1.0 > N1000 M110 N1000*125\n
        1.0 < ok
        1.1 > N1001 G28*35\n
        1.2 > M112\n
        1.3 < Error:Printer halted. kill() called!
        9.0 < start
        9.1 > N3001 M110 N3001*125\n
        9.1 < ok
    """
    assert told(log) == [
        "done: M110 N1000",
        "failed: G28 (the printer was reset)",
        "the printer was reset",
        "done: M110 N3001",
    ]


def test_a_new_conversation_fails_what_was_open() -> None:
    log = r"""
        1.0 > N1000 M110 N1000*125\n
        5.0 > N2000 M110 N2000*125\n
        5.1 < ok
    """
    assert told(log) == [
        "failed: M110 N1000 (the log continues with another line number)",
        "done: M110 N2000",
    ]


def test_output_behind_an_ok_belongs_to_its_line() -> None:
    replay = Replay(UNKNOWN)
    replay.dialect = REPETIER
    assert replay.dialect is REPETIER
    log = r"""
        1.1 > N2 M114*35\n
        1.1 < ok 2
        1.1 < X:1.00 Y:2.00 Z:3.000 E:0.0000
        1.2 > N3 M105*36\n
    """
    said = [replay.take(entry) for entry in read_log(log.splitlines())]
    assert said == [[], [], [], ["done: M114"]]


def test_a_firmware_that_asks_for_ever_is_given_up() -> None:
    log = "1.0 > N7 G28*17\\n\n" + "1.1 < Resend: 3\n1.1 < ok\n" * 3
    assert told(log) == [
        "the link is given up: the printer asks for line 3, which is no longer kept"
    ]


def test_an_empty_log_and_an_empty_line_are_nothing() -> None:
    assert told("") == []
    assert told("1.0 > \\n") == []
