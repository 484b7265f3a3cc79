"""Conversations with firmwares that keep to the protocol in their own way."""

import pytest

from bridge.gcode.dialects import MALYAN, MARLIN, REPETIER, UNKNOWN
from bridge.gcode.events import Connected, Done, LinkFailed
from bridge.gcode.framing import MAX_REPLY, LineReceiver
from bridge.gcode.line_output import mark_damaged
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import Refusal, TransferError
from bridge.gcode.window import QueuedLine
from bridge.printer.link.identity import identify
from tests.support.dialogue import Dialogue, connected

# M110 that is ignored, or obeyed in silence


@pytest.mark.parametrize("wanted", [1, 2, 7, 57, 4711, 99_999])
def test_a_firmware_that_ignores_m110_is_sent_the_line_that_it_wants(
    wanted: int,
) -> None:
    talk = Dialogue(UNKNOWN)
    greetings = 0
    while (line := talk.sends()) != f"M110 N{wanted}":
        assert line.startswith("M110 N")
        greetings += 1
        assert greetings < 5, "the same line again and again"
        assert talk.hears(f"Resend: {wanted}", "ok") == []
        talk.waits(1)
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert Connected() in talk.hears("ok T:20.0 /0.0")
    assert talk.protocol.next_number == wanted + 2


def test_one_request_in_the_handshake_may_be_noise() -> None:
    talk = Dialogue(UNKNOWN)
    first = talk.sends()
    talk.hears("Resend: 7", "ok")
    talk.waits(1)
    assert talk.sends() == first
    talk.hears("ok")
    talk.waits(1)
    assert Connected() in talk.hears("ok T:20.0 /0.0") or talk.sends() == "M105"


def test_nobody_waits_for_line_0() -> None:
    """However often noise asks for it, the greeting keeps its number."""
    talk = Dialogue(UNKNOWN)
    first = talk.sends()
    for _ in range(4):
        talk.hears("Resend: 0", "ok")
        talk.waits(1)
        assert talk.sends() == first


def test_m110_may_be_obeyed_without_a_word() -> None:
    talk = Dialogue(UNKNOWN)
    for _ in range(6):
        line = talk.sends()
        if line == "M105":
            break
        assert line.startswith("M110")
        talk.waits(2.5)
    assert line == "M105"
    assert Connected() in talk.hears("ok T:20.0 /0.0")


def test_a_silent_port_is_given_up_all_the_same() -> None:
    talk = Dialogue(UNKNOWN, connect_timeout=20)
    events = []
    for _ in range(40):
        talk.sends()
        events += talk.waits(2.5)
        if events:
            break
    assert events == [LinkFailed("the printer does not answer; wrong baud rate?")]


# Another kind of firmware


@pytest.mark.parametrize(
    ("greeting", "name"),
    [
        (("Grbl 1.1h ['$' for help]",), "grbl"),
        (("Grbl 0.9j ['$' for help]", "error:20"), "grbl"),
        (("GrblHAL 1.1f ['$' or '$HELP' for help]",), "grblHAL"),
        (("Grbl 3.7 [FluidNC v3.7.8 (wifi) '$' for help]",), "FluidNC"),
        (("error:20", "error:20"), "grbl"),
        (("error:3", "error:20", "error:20"), "grbl"),
    ],
)
def test_a_firmware_of_another_kind_is_named(
    greeting: tuple[str, ...], name: str
) -> None:
    talk = Dialogue(UNKNOWN)
    talk.sends()
    talk.hears(*greeting)
    events = talk.waits(10)
    assert events == [LinkFailed(f"this is {name}, which gcode2mqtt does not support")]


@pytest.mark.parametrize(
    "line",
    ["error:20", "Error:20 is no temperature", "grbl", 'echo:Unknown command: "M84"'],
)
def test_one_error_in_the_handshake_names_nobody(line: str) -> None:
    talk = Dialogue(UNKNOWN)
    talk.sends()
    talk.hears(line, "ok")
    talk.waits(1)
    talk.sends()
    assert Connected() in talk.hears("ok T:20.0 /0.0")


# "wait" through a long line


@pytest.mark.parametrize("line", ["M190 S60", "M109 S200", "G28", "G4 S900", "M400"])
@pytest.mark.parametrize("dialect", [MALYAN, REPETIER], ids=lambda d: d.name)
def test_a_firmware_that_says_wait_is_alive(line: str, dialect: object) -> None:
    talk = connected(dialect)  # type: ignore[arg-type] # pytest's parameters
    ticket = talk.protocol.send(line)
    assert talk.sends() == line
    asked = 0
    for _ in range(900):
        assert talk.hears("wait") == []
        events = talk.waits(1)
        assert not any(isinstance(event, LinkFailed) for event in events)
        asked += talk.sends() == "M105"
    assert 1 <= asked <= 4, "what waits is asked for, and not flooded"
    events = talk.hears("ok", *["ok T:60.0 /60.0"] * asked)
    assert Done(ticket) in events or Done(ticket) in talk.waits(1)


@pytest.mark.parametrize("line", ["M104 S200", "G1 X5", "M106 S255"])
def test_a_short_line_that_is_lost_is_not_waited_for_for_ever(line: str) -> None:
    talk = connected(MALYAN)
    talk.protocol.send(line)
    assert talk.sends() == line
    events = []
    for _ in range(900):
        talk.hears("wait")
        events += talk.waits(1)
        if any(isinstance(event, LinkFailed) for event in events):
            return
        talk.sends()
    raise AssertionError("no end")


# A line that noise made another


def test_a_refusal_of_what_was_never_sent_is_damage() -> None:
    talk = connected(MARLIN)
    ticket = talk.protocol.send("M117 hello")
    assert talk.sends() == "M117 hello"
    number = talk.protocol.next_number - 1
    damaged = f'echo:Unknown command: "O{number} M117 hello"'
    assert not any(isinstance(event, Done) for event in talk.hears(damaged, "ok"))
    talk.waits(1)
    assert talk.sends() == "M105"
    talk.hears(f"Error:Line Number is not Last Line Number+1, Last Line: {number - 1}")
    talk.hears(f"Resend: {number}", "ok")
    assert talk.sends() == "M117 hello"
    assert talk.hears("ok") == [Done(ticket)]


@pytest.mark.parametrize(
    ("text", "damaged"),
    [
        ('Unknown command: "O1111 M117 hello"', True),
        ('Unknown command: "_1111 M117 hello*97"', True),
        ("Unknown command:O1111 M117 hello", True),
        ('Unknown command: "n1111M117 hello"', True),
        ('Unknown command: "N111X M117 hello"', True),
        ('Unknown command: "M117 hello"', False),
        ('Unknown command: "M117"', False),
        ('Unknown command: "N1111 M117 hello*97"', False),
        ('Unknown command: "M900 K0"', False),
        ("cold extrusion prevented", False),
    ],
)
def test_what_is_damage_shows_by_what_is_quoted(text: str, *, damaged: bool) -> None:
    line = QueuedLine("M117 hello", ticket=1, number=1111)
    (reply,) = mark_damaged([Refusal(text)], line)
    assert isinstance(reply, TransferError) is damaged
    assert mark_damaged([Refusal(text)], None) == [Refusal(text)]


# A refusal after the "ok", and echoes


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("M9876", "Unknown command:N{n} M9876"),
        ("M9876", "Unknown command: N{n} M9876"),
        ("M9876", "Unknown command:N{n} M9876 *33"),
        ("M9876", "unknown command:M9876"),
        ("G9876 X1", "Unknown command:N{n} G9876 X1.00"),
        ("M9877 S1 P2", "Unknown command:N{n} M9877 S1 P2"),
    ],
)
def test_a_refusal_that_comes_after_the_ok_belongs_to_its_line(
    line: str, refusal: str
) -> None:
    talk = connected(REPETIER)
    ticket = talk.protocol.send(line)
    assert talk.sends() == line
    number = talk.protocol.next_number - 1
    assert talk.hears(f"ok {number}") == [], "it is awaited"
    talk.hears(refusal.format(n=number))
    (done,) = talk.waits(1)
    assert isinstance(done, Done)
    assert (done.ticket, len(done.errors)) == (ticket, 1)


def test_a_code_that_was_accepted_once_is_not_waited_for_again() -> None:
    talk = connected(REPETIER)
    for first in (True, False):
        ticket = talk.protocol.send("M9877 S1")
        assert talk.sends() == "M9877 S1"
        events = talk.hears(f"ok {talk.protocol.next_number - 1}")
        assert (events == []) is first
        assert Done(ticket) in (events or talk.waits(1))
    ticket = talk.protocol.send("M106 S1")
    assert talk.sends() == "M106 S1"
    assert talk.hears(f"ok {talk.protocol.next_number - 1}") == [Done(ticket)]


@pytest.mark.parametrize(
    "echo",
    [
        "Echo:N1002 M114",
        "echo: N1002 M114",
        "ECHO:N1002 M114*33",
        "Echo:N-1 M1",
        "Echo:N1002 M114 *33",
        "echo:N1002 G1 X5.00 F1500",
    ],
)
def test_echoes_are_no_output(echo: str) -> None:
    talk = connected(REPETIER)
    talk.protocol.send("M114")
    assert talk.sends() == "M114"
    talk.hears(echo, f"ok {talk.protocol.next_number - 1}", "X:1.00 Y:2.00 Z:3.000 E:0")
    (done,) = talk.waits(1)
    assert isinstance(done, Done)
    assert done.output == ("X:1.00 Y:2.00 Z:3.000 E:0",)


# Answers of many lines, and endless lines


@pytest.mark.parametrize(
    ("lines", "name", "machine"),
    [
        (("FIRMWARE_NAME:Marlin 2.1", "MACHINE_TYPE:Ender"), "Marlin 2.1", "Ender"),
        (("MACHINE_TYPE:Ender", "FIRMWARE_NAME:Marlin 2.1"), "Marlin 2.1", "Ender"),
        (("FIRMWARE_NAME:Marlin 2.1 MACHINE_TYPE:Ender",), "Marlin 2.1", "Ender"),
        (
            ("FIRMWARE_NAME:Marlin", "Cap:EEPROM:1", "MACHINE_TYPE:My printer"),
            "Marlin",
            "My printer",
        ),
        (
            ("FIRMWARE_NAME:Repetier_1.0.4", " T:20 /0", "MACHINE_TYPE:Mendel"),
            "Repetier_1.0.4",
            "Mendel",
        ),
        (("NAME: Malyan", "VER: 3.5", "MACHINE_TYPE:M200"), "Malyan 3.5", "M200"),
    ],
)
def test_an_answer_over_many_lines_is_one(
    lines: tuple[str, ...], name: str, machine: str
) -> None:
    identity = identify(lines, None)
    assert (identity.firmware, identity.fields["MACHINE_TYPE"]) == (name, machine)


@pytest.mark.parametrize("chunk", [1, 100, 4096, 5000, 10_000])
def test_a_very_long_line_keeps_its_beginning_and_counts_the_rest(
    chunk: int,
) -> None:
    receiver = LineReceiver()
    data = b"FIRMWARE_NAME:Marlin " + b"x" * 6000 + b"\nok\n"
    found: list[str] = []
    for at in range(0, len(data), chunk):
        found += receiver.feed(data[at : at + chunk])
    head, ok = found
    assert ok == "ok"
    assert head.startswith("FIRMWARE_NAME:Marlin xxx")
    missing = len("FIRMWARE_NAME:Marlin ") + 6000 - MAX_REPLY
    assert head.endswith(f" [{missing} more bytes]")
    assert parse_reply(head) != []
