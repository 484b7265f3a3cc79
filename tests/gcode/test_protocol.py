"""The conversation, as dialogues: bytes in, events out, time as a number."""

from dataclasses import replace

import pytest

from bridge.gcode.dialects import KLIPPER, MARLIN, Dialect
from bridge.gcode.events import Connected, Done, Event, Failed, LinkFailed, Restarted
from bridge.gcode.protocol import Protocol
from bridge.gcode.reply_types import Busy, Reading, Refusal, TemperatureReport

QUICK = replace(MARLIN, ok_timeout=10.0)


def ready(dialect: Dialect = QUICK) -> Protocol:
    protocol = Protocol(dialect)
    assert protocol.data_to_send(0) == b"N1000 M110 N1000*125\n"
    assert protocol.receive_data(b"ok\n", 0) == []
    assert protocol.handle_timeout(0.3) == []
    assert b"M105" in protocol.data_to_send(0.3)
    events = protocol.receive_data(b"ok T:20.0 /0.0\n", 0.3)
    assert events[-1] == Connected()
    return protocol


def said(protocol: Protocol, data: bytes, now: float) -> list[Event]:
    return protocol.receive_data(data, now)


def test_one_line_at_a_time() -> None:
    protocol = ready()
    first, second = protocol.send("G28"), protocol.send("M84")
    assert protocol.data_to_send(1) == b"N1002 G28*32\n"
    assert protocol.data_to_send(1) == b""
    assert said(protocol, b"ok\n", 2) == [Done(first)]
    assert protocol.data_to_send(2) == b"N1003 M84*45\n"
    assert said(protocol, b"ok\n", 3) == [Done(second)]


def test_a_query_goes_before_what_waits() -> None:
    protocol = ready()
    protocol.send("G28")
    protocol.send("M84")
    protocol.data_to_send(1)
    protocol.send("M105", ahead=True)
    said(protocol, b"ok\n", 2)
    assert b"M105" in protocol.data_to_send(2)


def test_a_line_can_be_withdrawn_until_it_is_sent() -> None:
    protocol = ready()
    plain = protocol.send("G0 X5")
    query = protocol.send("M114", ahead=True)
    last = protocol.send("M84")
    assert b"M114" in protocol.data_to_send(1)
    assert not protocol.withdraw(query)
    assert protocol.withdraw(plain)
    assert not protocol.withdraw(plain)
    assert said(protocol, b"ok\n", 2) == [Done(query)]
    assert b"M84" in protocol.data_to_send(2)
    assert said(protocol, b"ok\n", 3) == [Done(last)]


def test_the_answer_of_a_line_is_its_output_and_reports_are_not() -> None:
    protocol = ready()
    ticket = protocol.send("M114")
    protocol.data_to_send(1)
    events = said(
        protocol,
        b"X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0\n"
        b" T:21.5 /200.0 B:20.0 /0.0 @:0 B@:0\n//action:notification hi\nok\n",
        2,
    )
    output = ("X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0",)
    assert events[-1] == Done(ticket, output)
    assert TemperatureReport({"T": Reading(21.5, 200), "B": Reading(20, 0)}) in events


def test_an_answer_in_the_line_of_the_ok_is_output_too() -> None:
    protocol = ready()
    ticket = protocol.send("M105")
    protocol.data_to_send(1)
    events = said(protocol, b"ok T:19.37 /0.00 B:19.37 /0.00 @:0 B@:0\n", 2)
    assert events[-1] == Done(ticket, ("T:19.37 /0.00 B:19.37 /0.00 @:0 B@:0",))


def test_a_refusal_belongs_to_the_line_that_caused_it() -> None:
    protocol = ready()
    ticket = protocol.send("foo")
    protocol.data_to_send(1)
    events = said(protocol, b'echo:Unknown command: "foo"\nok\n', 2)
    assert isinstance(events[0], Refusal)
    done = events[-1]
    assert isinstance(done, Done)
    assert done.ticket == ticket
    assert done.errors == (events[0].text,)


def test_resend_repeats_the_line_and_its_ok_acknowledges_nothing() -> None:
    protocol = ready()
    ticket = protocol.send("G28")
    line = protocol.data_to_send(1)
    noise = b"Error:checksum mismatch, Last Line: 1001\nResend: 1002\n"
    assert said(protocol, noise, 2) == []
    assert protocol.data_to_send(2) == b""  # its "ok" is still to come
    assert said(protocol, b"ok\n", 2) == []
    assert protocol.data_to_send(2) == line
    assert said(protocol, b"ok\n", 3) == [Done(ticket)]


def test_a_resend_without_ok_is_not_waited_for_long() -> None:
    protocol = ready()
    protocol.send("G28")
    line = protocol.data_to_send(1)
    said(protocol, b"Resend: 1002\n", 2)
    assert protocol.next_timeout() == 2.5
    assert protocol.handle_timeout(2.5) == []
    assert protocol.data_to_send(2.5) == line


def test_a_resend_of_the_next_line_acknowledges_the_one_in_flight() -> None:
    protocol = ready()
    ticket = protocol.send("G28")
    protocol.data_to_send(1)
    assert said(protocol, b"Resend: 1003\nok\n", 2) == [Done(ticket)]
    protocol.send("M84")
    assert protocol.data_to_send(2) == b"N1003 M84*45\n"


def test_a_line_acknowledged_by_mistake_is_sent_again_and_those_after_it() -> None:
    protocol = ready()
    first, second = protocol.send("G28"), protocol.send("M84")
    lost = protocol.data_to_send(1)
    assert said(protocol, b"ok\n", 1) == [Done(first)]  # meant for something else
    after = protocol.data_to_send(1)
    assert said(protocol, b"Resend: 1002\nok\n", 2) == []
    assert protocol.data_to_send(2) == lost
    assert said(protocol, b"ok\n", 2) == []
    assert protocol.data_to_send(2) == after
    assert said(protocol, b"ok\n", 2) == [Done(second)]


def test_the_last_line_is_confirmed_by_a_probe() -> None:
    protocol = ready()
    protocol.send("G28")
    protocol.data_to_send(1)
    said(protocol, b"ok\n", 2)
    assert protocol.next_timeout() == 3
    protocol.handle_timeout(3)
    assert protocol.data_to_send(3).startswith(b"N1003 M105*")
    said(protocol, b"ok T:20.0 /0.0\n", 3)
    assert protocol.next_timeout() is None


def test_busy_buys_time_but_a_temperature_report_does_not() -> None:
    protocol = ready()
    protocol.send("G1 X1")
    protocol.data_to_send(1)
    assert said(protocol, b"echo:busy: processing\n", 8) == [Busy("processing")]
    assert protocol.next_timeout() == 18
    said(protocol, b" T:21.5 /200.0 B:20.0 /0.0\n", 9)
    assert protocol.next_timeout() == 18


def test_bytes_may_come_one_by_one() -> None:
    protocol = ready()
    ticket = protocol.send("G28")
    protocol.data_to_send(1)
    events = [e for byte in b"ok\r\n" for e in said(protocol, bytes([byte]), 1)]
    assert events == [Done(ticket)]


def test_after_a_silence_a_probe_finds_the_line_lost() -> None:
    protocol = ready()
    ticket = protocol.send("G1 X1")
    line = protocol.data_to_send(1)
    assert protocol.handle_timeout(11) == []
    assert protocol.data_to_send(11).startswith(b"N1003 M105*")
    said(protocol, b"Resend: 1002\nok\n", 11)
    assert protocol.data_to_send(11) == line
    assert said(protocol, b"ok\n", 12) == [Done(ticket)]


def test_after_a_silence_a_probe_finds_the_ok_lost() -> None:
    protocol = ready()
    ticket = protocol.send("G1 X1")
    protocol.data_to_send(1)
    protocol.handle_timeout(11)
    protocol.data_to_send(11)
    assert Done(ticket) in said(protocol, b"ok T:20.0 /0.0\n", 11)


def test_a_silence_that_lasts_is_the_end() -> None:
    protocol = ready()
    protocol.send("G1 X1")
    protocol.data_to_send(1)
    for now in (11, 21, 31):
        assert protocol.handle_timeout(now) == []
        assert b"M105" in protocol.data_to_send(now)
    assert protocol.handle_timeout(41) == [LinkFailed("the printer stopped answering")]


def test_a_start_fails_what_waits_and_nothing_is_repeated() -> None:
    protocol = ready()
    first, second = protocol.send("G28"), protocol.send("M84")
    protocol.data_to_send(1)
    message = "the printer was reset"
    assert said(protocol, b"start\n", 2) == [
        Failed(first, "disconnected", message, sent=True),
        Failed(second, "disconnected", message, sent=False),
        Restarted(),
    ]
    assert protocol.data_to_send(2) == b"N2003 M110 N2003*125\n"


def test_a_reset_is_found_out_without_its_start() -> None:
    protocol = ready()
    protocol.send("G28")
    protocol.data_to_send(1)
    lost_count = b"Error:Line Number is not Last Line Number+1, Last Line: 0\nResend: 1"
    assert Restarted() in said(protocol, lost_count + b"\nok\n", 2)


def test_a_greeting_is_repeated_until_it_is_answered() -> None:
    protocol = Protocol(QUICK, connect_timeout=30)
    hello = protocol.data_to_send(0)
    assert protocol.handle_timeout(2) == []
    assert protocol.data_to_send(2) == hello
    assert said(protocol, b"\xff\xfe\x00start\nstart\necho:hi\n", 3)
    assert protocol.data_to_send(3) == hello
    said(protocol, b"ok\nok\n", 4)
    protocol.handle_timeout(4.3)
    assert b"M105" in protocol.data_to_send(4.3)
    assert said(protocol, b"ok T:20.0 /0.0\n", 5)[-1] == Connected()


def test_an_unanswered_handshake_is_given_up() -> None:
    protocol = Protocol(QUICK, connect_timeout=5)
    events: list[Event] = []
    now = 0.0
    while not events:
        protocol.data_to_send(now)
        now = protocol.next_timeout() or 99
        events = protocol.handle_timeout(now)
    assert events == [LinkFailed("the printer does not answer; wrong baud rate?")]
    assert now == 5


def test_an_urgent_line_goes_bare_and_at_once() -> None:
    protocol = ready()
    protocol.send("G28")
    protocol.data_to_send(1)
    protocol.send_now("M112")
    assert protocol.urgent_data(1) == b"M112\n"


def test_halted_means_silent_until_the_reset() -> None:
    protocol = ready()
    first, second = protocol.send("G28"), protocol.send("M84")
    protocol.data_to_send(1)
    stopped = "stopped"
    assert protocol.halt("emergency_stopped", stopped) == [
        Failed(first, "emergency_stopped", stopped, sent=True),
        Failed(second, "emergency_stopped", stopped, sent=False),
    ]
    protocol.send("M84")
    assert protocol.data_to_send(9) == b""
    assert Restarted() in said(protocol, b"start\n", 10)
    assert b"M110" in protocol.data_to_send(10)


def test_without_line_numbers_an_unanswered_line_is_reported() -> None:
    protocol = ready(replace(KLIPPER, ok_timeout=5.0))
    ticket = protocol.send("M84")
    assert protocol.data_to_send(1) == b"M84\n"
    protocol.handle_timeout(6)
    assert protocol.data_to_send(6) == b"M105\n"
    failed = said(protocol, b"ok B:21.5 /0.0 T0:21.5 /0.0\n", 7)[-1]
    assert isinstance(failed, Failed)
    assert (failed.ticket, failed.error, failed.sent) == (ticket, "timeout", True)


@pytest.mark.parametrize(
    "line", ["", " ", "G1\nM112", "M117 \0", "N5 G28", "M117 " + "x" * 90, "M117 ü"]
)
def test_a_line_that_cannot_be_sent_is_refused_at_once(line: str) -> None:
    protocol = ready()
    with pytest.raises(ValueError, match="a line must"):
        protocol.send(line)
    assert protocol.data_to_send(1) == b""
