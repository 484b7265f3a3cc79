"""Several faults at once: each line has one fate, whatever they are tangled into."""

from bridge.gcode.dialects import KLIPPER, MARLIN
from bridge.gcode.events import Connected, Done, Failed, Restarted
from tests.support.dialogue import connected


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
