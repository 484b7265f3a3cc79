"""Lines, acknowledgements and what can go wrong with them, as dialogues."""

from dataclasses import replace

from bridge.gcode.dialects import KLIPPER, MARLIN, REPETIER, TEACUP, UNKNOWN
from bridge.gcode.events import Connected, Done, Failed, LinkFailed, Restarted
from bridge.gcode.reply_types import Ok
from bridge.gcode.window import HISTORY
from tests.support.dialogue import connected

HURRIED = replace(MARLIN, ok_timeout=10.0)
CHECKSUM = "Error:checksum mismatch, Last Line: 1001"


def test_the_ok_of_an_urgent_line_does_not_acknowledge_the_next_line() -> None:
    talk = connected(HURRIED)
    first, second = talk.protocol.send("M109 S200"), talk.protocol.send("G28")
    assert talk.sends() == "M109 S200"
    talk.protocol.send_now("M108")
    assert talk.protocol.urgent_data(talk.now) == b"M108\n"
    assert talk.hears("ok") == [Done(first)]
    assert talk.sends() == ""
    assert talk.hears("ok") == [], "that of M108 itself"
    talk.waits(1)
    assert talk.sends() == "G28"
    assert talk.hears("ok") == [Done(second)]


def test_an_urgent_line_is_sent_before_the_handshake_too() -> None:
    talk = connected(HURRIED)
    talk.protocol.halt("emergency_stopped", "stopped")
    talk.protocol.send_now("M112")
    assert talk.protocol.urgent_data(talk.now) == b"M112\n"
    assert talk.protocol.urgent_data(talk.now) == b""


def test_a_halted_protocol_listens_but_sends_nothing() -> None:
    talk = connected(HURRIED)
    talk.protocol.halt("emergency_stopped", "stopped")
    assert talk.hears("Resend: 1", "wait", "Error:checksum mismatch") == []
    assert talk.hears("ok") == [Ok()], "it answers what was sent past everything"
    assert talk.hears("echo:hello") != []
    assert talk.sends() == ""
    assert talk.protocol.next_timeout() is None


def test_only_the_complaint_arrives() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("G28")
    talk.sends()
    assert talk.hears(CHECKSUM, "ok") == [], "the ok is that of the request"
    assert talk.sends() == "G28"


def test_a_complaint_without_a_number_leads_to_a_probe() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("G28")
    talk.sends()
    talk.hears("Error:No Checksum with line number", "ok")
    talk.waits(1)
    assert talk.sends() == "M105"


def test_of_two_numbers_the_smaller_one_counts() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("G28")
    talk.sends()
    assert talk.hears(CHECKSUM, "Resend: 1003", "ok") == []
    assert talk.sends() == "G28"


def test_a_damaged_request_is_corrected_by_its_complaint() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("G28")
    talk.sends()
    assert talk.hears(CHECKSUM, "Resend: 9003", "ok") == []
    assert talk.sends() == "G28"


def test_two_requests_for_one_line_repeat_it_once() -> None:
    talk = connected(HURRIED)
    ticket = talk.protocol.send("G28")
    talk.sends()
    talk.hears("Resend: 1002", "Resend: 1002", "ok", "ok")
    assert talk.sends() == "G28"
    assert talk.sends() == ""
    assert talk.hears("ok") == [Done(ticket)]


def test_a_late_request_costs_nothing_but_a_dropped_line() -> None:
    talk = connected(HURRIED)
    first, second = talk.protocol.send("G28"), talk.protocol.send("M84")
    talk.sends()
    assert talk.hears("ok") == [Done(first)]
    assert talk.sends() == "M84"
    assert talk.hears("Resend: 1002", "ok") == []
    assert talk.sends() == "G28", "the firmware has it and drops it by its number"
    talk.hears("Error:Line Number is not Last Line Number+1, Last Line: 1002")
    talk.hears("Resend: 1003", "ok")
    assert talk.sends() == "M84"
    assert talk.hears("ok") == [Done(second)]


def test_a_request_for_a_line_that_is_gone_ends_the_link() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("G28")
    talk.sends()
    for _ in range(2):
        assert talk.hears("Resend: 77", "ok") == []
    assert talk.hears("Resend: 77", "ok") == [
        LinkFailed("the printer asks for line 77, which is no longer kept")
    ]


def test_an_endless_request_ends_the_link() -> None:
    talk = connected(TEACUP)
    talk.protocol.send("G28")
    for _ in range(10):
        assert talk.sends() == "G28"
        assert talk.hears("rs N1002 expected checksum 24") == []
    assert talk.hears("rs N1002 expected checksum 24") == [
        LinkFailed('the printer keeps asking for line 1002, which is "G28"')
    ]


def test_an_unknown_firmware_is_reset_if_it_requests_line_1_twice() -> None:
    talk = connected(replace(UNKNOWN, resend_ok=False))
    talk.protocol.send("G28")
    talk.sends()
    assert talk.hears("Resend:1") == []
    talk.waits(1)
    assert talk.sends() == "M105"
    assert Restarted() in talk.hears("Resend:1")


def test_a_burst_that_was_flushed_is_sent_again_in_order() -> None:
    talk = connected(replace(HURRIED, resend_ok=False))
    ticket = talk.protocol.send("G1 X1")
    talk.sends()
    for _ in range(2):
        talk.waits(10)
        assert talk.sends() == "M105"
    talk.hears("Resend: 1002")
    assert [talk.sends(), talk.hears("ok")] == ["G1 X1", [Done(ticket)]]
    for _ in range(2):
        assert talk.sends() == "M105"
        talk.hears("ok T:20.0 /0.0")
    assert talk.sends() == ""


def test_the_answer_of_a_second_probe_is_not_waited_for_for_ever() -> None:
    talk = connected(HURRIED)
    ticket = talk.protocol.send("G1 X1")
    talk.sends()
    for _ in range(2):
        talk.waits(10)
        assert talk.sends() == "M105"
    assert Done(ticket) in talk.hears("ok T:20.0 /0.0")
    assert talk.waits(10) == []
    talk.waits(1)
    assert talk.sends() == "M105", "one more, to be sure"
    talk.hears("ok T:20.0 /0.0")
    assert talk.protocol.next_timeout() is None


def test_an_idle_line_is_confirmed_until_it_is_certain() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("G28")
    talk.sends()
    talk.hears("ok")
    for answer in ("ok", "ok"):
        talk.waits(2)
        assert talk.sends() == "M105"
        talk.hears(answer)
    assert talk.protocol.next_timeout() is None


def test_a_line_that_comes_meanwhile_is_confirmation_enough_for_now() -> None:
    talk = connected(replace(HURRIED, resend_wait=5.0))
    talk.protocol.send("G28")
    talk.sends()
    talk.hears("ok")
    talk.hears("Resend: 1002")
    assert talk.protocol.handle_timeout(talk.now + 1) == []
    talk.waits(6)
    assert talk.sends() == "G28"


def test_a_numbered_ok_acknowledges_its_line_and_no_other() -> None:
    talk = connected(MARLIN)
    ticket = talk.protocol.send("G28")
    talk.sends()
    assert talk.hears("ok N1001 P15 B3", "ok N1003 P15 B3") == []
    assert talk.hears("ok N1002 P15 B3") == [Done(ticket)]


def test_an_answer_to_a_query_acknowledges_no_other_line() -> None:
    talk = connected(MARLIN)
    ticket = talk.protocol.send("G28")
    talk.sends()
    assert Done(ticket) not in talk.hears("ok T:20.0 /0.0")
    assert talk.hears("ok") == [Done(ticket)]


def test_output_after_the_ok_is_the_lines_output() -> None:
    talk = connected(REPETIER)
    first, second = talk.protocol.send("M114"), talk.protocol.send("M119")
    talk.sends()
    talk.hears("ok 1002")
    assert talk.sends() == ""
    talk.hears("X:0.00 Y:0.00 Z:0.000 E:0.0000")
    (done,) = talk.waits(1)
    assert done == Done(first, ("X:0.00 Y:0.00 Z:0.000 E:0.0000",))
    assert talk.sends() == "M119"
    talk.hears("ok 1003", "endstops hit: x_min:L")
    talk.hears("ok 9", "ok")
    talk.protocol.halt("disconnected", "gone")
    assert second == 2


def test_a_reset_finishes_the_line_that_only_waited_for_its_output() -> None:
    talk = connected(REPETIER)
    ticket = talk.protocol.send("M114")
    talk.sends()
    talk.hears("ok 1002")
    assert talk.hears("start")[0] == Done(ticket)


def test_a_second_answer_finishes_the_line_whose_output_was_waited_for() -> None:
    talk = connected(replace(REPETIER, ok_timeout=10.0))
    ticket = talk.protocol.send("M114")
    talk.sends()
    talk.waits(10)
    assert talk.sends() == "M105"
    talk.hears("ok 1002", "X:0.00 Y:0.00 Z:0.000 E:0.0000")
    assert talk.hears("ok 1003") == [Done(ticket, ("X:0.00 Y:0.00 Z:0.000 E:0.0000",))]


def test_a_complaint_about_a_line_that_cannot_exist_is_ignored() -> None:
    """The minus sign is damage, and the request behind the complaint was lost."""
    talk = connected(HURRIED)
    ticket = talk.protocol.send("G28")
    assert talk.sends() == "G28"
    assert talk.hears("Error:checksum mismatch, Last Line: -1001", "ok") == []
    assert talk.sends() == "", "no line of ours has such a number"
    talk.waits(10)
    assert talk.sends() == "M105"
    talk.hears("Error:Line Number is not Last Line Number+1, Last Line: 1001")
    talk.hears("Resend: 1002", "ok")
    assert talk.sends() == "G28"
    assert talk.hears("ok") == [Done(ticket)]


def test_without_counting_nothing_but_the_line_in_flight_is_repeated() -> None:
    talk = connected(replace(UNKNOWN, resend_ok=False))
    ticket = talk.protocol.send("G28")
    talk.sends()
    talk.hears("Resend: 1002")
    assert talk.sends() == "G28"
    talk.waits(UNKNOWN.long_timeout)
    assert talk.sends() == "M105"
    assert talk.hears("Resend: 1002") == []
    assert talk.sends() == "", "it may have been carried out since"
    talk.waits(1)
    assert talk.sends() == "M105"
    failed = talk.hears("ok T:20.0 /0.0")[-1]
    assert isinstance(failed, Failed)
    assert (failed.ticket, failed.error, failed.sent) == (ticket, "timeout", True)


def test_a_firmware_that_reports_its_last_line_checks_the_sequence() -> None:
    talk = connected(replace(UNKNOWN, ok_timeout=10.0))
    ticket = talk.protocol.send("G1 X1")
    talk.sends()
    talk.hears(CHECKSUM, "Resend: 1002", "ok")
    assert talk.sends() == "G1 X1"
    talk.waits(10)
    assert talk.sends() == "M105"
    assert Done(ticket) in talk.hears("ok T:20.0 /0.0")


def test_a_long_line_may_be_silent_for_minutes() -> None:
    for line in ("G28", "G29", "M109 S200", "M400", "M600"):
        talk = connected(KLIPPER)
        ticket = talk.protocol.send(line)
        assert talk.sends() == line
        assert talk.waits(KLIPPER.long_timeout - 1) == []
        assert talk.hears("ok") == [Done(ticket)]


def test_a_dwell_may_last_as_long_as_it_says() -> None:
    talk = connected(MARLIN)
    ticket = talk.protocol.send("G4 S600")
    talk.sends()
    assert talk.waits(605) == []
    assert talk.hears("ok") == [Done(ticket)]


def test_any_reply_is_a_sign_of_life_without_busy() -> None:
    talk = connected(replace(KLIPPER, ok_timeout=10.0))
    talk.protocol.send("M109 S200")
    talk.sends()
    for _ in range(10):
        talk.waits(800)
        talk.hears("B:22.8 /40.0 T0:33.9 /70.0")
    assert talk.sends() == ""


def test_a_line_that_waits_for_the_user_never_times_out() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("M0")
    talk.sends()
    for _ in range(500):
        talk.waits(2)
        talk.hears("echo:busy: paused for user")
    assert talk.sends() == ""
    assert talk.protocol.counters.timeouts == 0


def test_a_temperature_report_does_not_hide_a_lost_ok() -> None:
    talk = connected(replace(UNKNOWN, ok_timeout=10.0))
    talk.protocol.send("G1 X1")
    talk.sends()
    for _ in range(5):
        talk.waits(2)
        talk.hears(" T:20.0 /0.0 B:20.0 /0.0")
    assert talk.sends() == "M105"


def test_an_idle_firmware_with_a_line_in_flight_has_lost_something() -> None:
    talk = connected(REPETIER)
    talk.hears("wait")
    ticket = talk.protocol.send("G1 X1")
    talk.sends()
    talk.hears("wait")
    talk.waits(0)
    assert talk.sends() == "M105"
    talk.hears("wait")
    talk.waits(0)
    assert talk.sends() == "", "once is enough"
    talk.hears("Error:expected line 1002 got 1003", "Resend:1002", "ok")
    assert talk.sends() == "G1 X1"
    assert talk.hears("ok 1002") == [Done(ticket)]


def test_wait_means_nothing_to_a_firmware_that_is_not_known_for_it() -> None:
    talk = connected(MARLIN)
    talk.protocol.send("G1 X1")
    talk.sends()
    talk.hears("wait")
    talk.waits(0)
    assert talk.sends() == ""


def test_two_oks_for_one_line_do_no_harm() -> None:
    talk = connected(MARLIN)
    first, second = talk.protocol.send("M876 S0"), talk.protocol.send("G28")
    talk.sends()
    assert talk.hears("ok", "ok") == [Done(first)]
    assert talk.sends() == "G28"
    assert talk.hears("ok") == [Done(second)]


def test_a_line_without_any_ok_is_done_when_the_next_is_answered() -> None:
    talk = connected(HURRIED)
    ticket = talk.protocol.send("M105 T9")
    talk.sends()
    talk.hears("echo:M105 Invalid extruder 9")
    talk.waits(10)
    assert talk.sends() == "M105"
    done = talk.hears("ok T:20.0 /0.0")[-1]
    assert isinstance(done, Done)
    assert done.ticket == ticket
    assert done.errors == ("M105 Invalid extruder 9",)


def test_unsolicited_reports_are_no_output() -> None:
    talk = connected(HURRIED)
    first = talk.protocol.send("M119")
    talk.sends()
    talk.hears("Not SD printing", "x_min: open", "//action:notification hi")
    assert talk.hears("ok") == [Done(first, ("x_min: open",))]
    second = talk.protocol.send("M27")
    talk.sends()
    talk.hears("SD printing byte 17/107")
    assert talk.hears("ok") == [Done(second, ("SD printing byte 17/107",))]


def test_a_reply_while_nothing_is_in_flight_is_an_event_only() -> None:
    talk = connected(HURRIED)
    assert len(talk.hears("echo:hello")) == 1
    assert talk.hears("wait", "ok", "Resend: 4000000") == []


def test_after_a_repeat_too_many_the_next_line_is_tried_before_a_probe() -> None:
    talk = connected(HURRIED)
    first, second = talk.protocol.send("G1 X1"), talk.protocol.send("G1 X2")
    talk.sends()
    assert talk.hears("ok") == [Done(first)]
    assert talk.sends() == "G1 X2"
    talk.hears("Resend: 1002", "ok")
    assert talk.sends() == "G1 X1"
    talk.waits(10)  # it was dropped in silence
    assert talk.sends() == "G1 X2"
    assert talk.hears("ok") == []
    talk.waits(10)
    assert talk.sends() == "M105"
    assert Done(second) in talk.hears("ok T:20.0 /0.0")


def test_only_so_much_history_is_kept() -> None:
    talk = connected(HURRIED)
    for _ in range(HISTORY + 6):
        talk.protocol.send("G1 X1")
        talk.sends()
        talk.hears("ok")
    talk.protocol.send("G28")
    talk.sends()
    talk.hears("Resend: 1005", "ok")
    talk.waits(1)
    assert talk.sends() == "M105"


def test_silences_and_requests_are_counted() -> None:
    talk = connected(HURRIED)
    talk.protocol.send("G1 X1")
    talk.sends()
    talk.waits(10)
    talk.hears("Resend: 1002", "ok")
    counters = talk.protocol.counters
    assert (counters.timeouts, counters.resends) == (1, 1)


def test_a_protocol_reports_its_own_state() -> None:
    talk = connected(HURRIED)
    protocol = talk.protocol
    assert (protocol.connected, protocol.halted, protocol.noise) == (True, False, 0)
    assert protocol.next_number == 1002
    assert protocol.dialect is HURRIED
    assert protocol.counters.lines == 2
    protocol.dialect = TEACUP
    protocol.halt("emergency_stopped", "stopped")
    assert (protocol.connected, protocol.halted) == (False, True)
    assert protocol.next_number > 2000


def test_a_line_asked_for_while_a_probe_waits_to_be_sent() -> None:
    """The request is damaged: it asks for a number that no line has yet."""
    talk = connected(HURRIED)
    ticket = talk.protocol.send("G1 X1")
    talk.sends()
    talk.now += HURRIED.ok_timeout - 0.1
    talk.protocol.send_now("M108")
    assert talk.protocol.urgent_data(talk.now) == b"M108\n"
    talk.now += 0.1
    assert talk.protocol.handle_timeout(talk.now) == []
    assert talk.sends() == "", "the probe waits for the ok of M108"
    assert talk.hears("Resend: 1004", "ok") == [Done(ticket)]
    assert talk.sends() == ""
    following = talk.protocol.send("G1 X2")
    assert talk.sends() == "G1 X2"
    talk.hears("Error:Line Number is not Last Line Number+1, Last Line: 1001")
    assert talk.hears("Resend: 1002", "ok") == []
    assert [talk.sends(), talk.hears("ok")] == ["G1 X1", []]
    talk.waits(1)
    assert talk.sends() == "M105"
    assert len(talk.hears("ok T:20.0 /0.0")) == 1
    assert talk.sends() == "G1 X2"
    assert talk.hears("ok") == [Done(following)]


def test_a_later_answer_ends_the_wait_for_output() -> None:
    talk = connected(replace(REPETIER, ok_timeout=10.0))
    first, second = talk.protocol.send("M114"), talk.protocol.send("G1 X1")
    talk.sends()
    assert talk.hears("ok 1002") == []
    assert talk.waits(1) == [Done(first)]
    assert talk.sends() == "G1 X1"
    talk.hears("Resend: 1002", "ok")
    assert talk.sends() == "M114"
    talk.waits(10)
    assert talk.sends() == "G1 X1"
    assert talk.hears("ok 1002", "X:0.00 Y:0.00 Z:0.000 E:0.0000") != []
    assert talk.hears("ok 1003") == [Done(second)]
    third = talk.protocol.send("G1 X2")
    assert talk.sends() == "G1 X2", "nothing more is to come"
    assert talk.hears("ok") == [Done(third)]


def test_a_late_ok_and_then_the_answer_of_the_probe() -> None:
    talk = connected(MARLIN)
    first, second = talk.protocol.send("G1 X1"), talk.protocol.send("G1 X2")
    talk.sends()
    talk.waits(MARLIN.ok_timeout)
    assert talk.sends() == "M105"
    assert talk.hears("ok") == [Done(first)]
    assert talk.sends() == "", "the probe is still to be answered"
    talk.hears("ok T:20.0 /0.0")
    assert talk.sends() == "G1 X2"
    assert talk.hears("ok") == [Done(second)]


def test_an_urgent_line_while_a_request_waits_for_its_ok() -> None:
    talk = connected(MARLIN)
    ticket = talk.protocol.send("G28")
    talk.sends()
    talk.hears("Error:checksum mismatch, Last Line: 1001", "Resend: 1002")
    talk.protocol.send_now("M108")
    assert talk.protocol.urgent_data(talk.now) == b"M108\n"
    assert talk.hears("ok") == [], "that of the request"
    assert talk.sends() == "G28"
    assert Done(ticket) in talk.hears("ok") + talk.waits(1) + talk.hears("ok")


def test_a_reset_while_a_line_is_to_be_repeated() -> None:
    talk = connected(MARLIN)
    ticket = talk.protocol.send("G28")
    talk.sends()
    talk.hears("Resend: 1002")
    failed, restarted = talk.hears("start")
    assert isinstance(failed, Failed)
    assert (failed.ticket, failed.sent) == (ticket, True)
    assert restarted == Restarted()
    assert talk.sends().startswith("M110")
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert Connected() in talk.hears("ok T:20.0 /0.0")
    assert talk.sends() == "", "G28 is not sent again"


def test_an_ok_in_the_middle_of_the_output_costs_no_line() -> None:
    for dialect in (MARLIN, KLIPPER):
        talk = connected(dialect)
        first, second = talk.protocol.send("M503"), talk.protocol.send("M114")
        talk.sends()
        assert talk.hears("echo:a", "ok", "echo:b")[1] == Done(first, ("echo:a",))
        assert talk.sends() == "M114"
        assert talk.hears("ok") == [Done(second)]
        talk.hears("X:0.00 Y:0.00 Z:0.00", "ok")
        third = talk.protocol.send("G28")
        assert talk.sends() == "G28"
        assert talk.hears("ok") == [Done(third)]


def test_surplus_oks_behind_a_busy_line() -> None:
    talk = connected(MARLIN)
    first, second = talk.protocol.send("G28"), talk.protocol.send("M84")
    talk.sends()
    talk.hears("echo:busy: processing")
    assert talk.hears("ok", "ok", "ok") == [Done(first)]
    assert talk.sends() == "M84"
    assert talk.hears("ok") == [Done(second)]
