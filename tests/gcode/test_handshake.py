"""The start of a conversation, as dialogues."""

from dataclasses import replace

from bridge.gcode.dialects import KLIPPER, MARLIN, REPETIER, UNKNOWN
from bridge.gcode.events import Connected, Event, LinkFailed, Restarted
from bridge.gcode.protocol import Protocol
from tests.support.cases import case
from tests.support.dialogue import Dialogue, connected

MET = [Connected()]


def test_nothing_is_sent_before_the_link_is_open() -> None:
    talk = Dialogue(UNKNOWN)
    talk.hears("start", "ok", "Resend: 1", "wait", "Error:checksum mismatch")
    assert talk.sends() == "M110 N1000"


def test_an_ok_from_before_does_not_count_as_an_answer() -> None:
    talk = Dialogue(UNKNOWN)
    talk.sends()
    assert talk.hears("ok") == []
    assert talk.hears("ok") == [], "another one, for a greeting that came twice"
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.hears("ok") == []
    assert talk.sends() == "M105", "this may still have been an old one"
    assert talk.hears("ok") == MET


def test_each_repeated_greeting_has_its_own_ok() -> None:
    talk = Dialogue(UNKNOWN)
    for _ in range(2):
        assert talk.sends() == "M110 N1000"
        talk.waits(2)
    assert talk.sends() == "M110 N1000"
    talk.hears("ok")
    talk.waits(1)
    for _ in range(3):
        assert talk.sends() == "M105"
        assert talk.hears("ok") == []
    assert talk.sends() == "M105"
    assert talk.hears("ok") == MET


def test_a_numbered_ok_belongs_to_its_line() -> None:
    talk = Dialogue(REPETIER)
    talk.sends()
    assert talk.hears("ok 57") == []
    assert talk.hears("ok 1000") == []
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.hears("ok 1000") == []
    assert talk.hears("ok 1001") == MET


def test_a_boot_restarts_the_handshake() -> None:
    talk = Dialogue(MARLIN)
    talk.sends()
    talk.hears("start", "echo:Marlin")
    assert talk.sends() == "M110 N1000"
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    talk.hears("start")
    assert talk.sends() == "M110 N2002", (
        "the probe went unheard, and its number with it"
    )


def test_a_board_that_boots_slowly_has_its_time_after_its_start() -> None:
    talk = Dialogue(MARLIN, connect_timeout=7.0)
    talk.sends()
    for _ in range(3):
        assert talk.waits(2) == []
        talk.sends()
    talk.hears("start")
    for _ in range(3):
        talk.sends()
        assert talk.waits(2) == []
    talk.sends()
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.hears("ok T:20.0 /0.0")[-1:] == MET


def test_a_board_that_boots_for_ever_is_given_up() -> None:
    talk = Dialogue(MARLIN, connect_timeout=7.0)
    talk.sends()
    events: list[Event] = []
    while not events and talk.now < 60:
        talk.hears("start")
        talk.sends()
        events = talk.waits(1)
    assert events == [LinkFailed("the printer does not answer; wrong baud rate?")]
    assert talk.now < 9


def test_numbering_restarts_before_numbers_get_too_long() -> None:
    protocol = Protocol(MARLIN, first_number=10**8 - 1500)
    assert protocol.data_to_send(0).startswith(b"N99998500 ")
    protocol.receive_data(b"ok\n", 0)
    protocol.handle_timeout(1)
    protocol.data_to_send(1)
    protocol.receive_data(b"ok T:20.0 /0.0\n", 1)
    for begins in (b"N99999502 ", b"N1000 "):
        protocol.receive_data(b"start\n", 2)
        assert protocol.data_to_send(2).startswith(begins)
        protocol.receive_data(b"ok\n", 2)
        protocol.handle_timeout(3)
        protocol.data_to_send(3)
        protocol.receive_data(b"ok T:20.0 /0.0\n", 3)


def test_a_damaged_greeting_is_repeated_after_a_moment() -> None:
    talk = Dialogue(MARLIN)
    talk.sends()
    talk.hears("Error:checksum mismatch, Last Line: 0", "Resend: 1", "ok")
    assert talk.sends() == ""
    talk.waits(1)
    assert talk.sends() == "M110 N1000"


def test_one_who_asks_for_ever_is_not_listened_to_for_ever() -> None:
    talk = Dialogue(MARLIN, connect_timeout=5.0)
    talk.sends()
    events = talk.hears("Resend: 1")
    while not events and talk.now < 60:
        events = talk.waits(1)
        talk.sends()
        events += talk.hears("Resend: 1") if not events else []
    assert events == [LinkFailed("the printer does not answer; wrong baud rate?")]
    assert talk.now < 7


def test_a_firmware_that_counts_from_its_own_start_is_followed() -> None:
    talk = Dialogue(MARLIN)
    assert talk.sends() == "M110 N1000"
    for number in (2002, 0):
        talk.hears("ok")
        talk.waits(1)
        assert talk.sends() == "M105"
        talk.hears("Resend: 1", "ok")
        talk.waits(1)
        assert talk.sends() == f"M110 N{number}"
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.hears("ok T:20.0 /0.0")[-1:] == MET
    talk.protocol.send("G28")
    assert talk.sends() == "G28"
    talk.hears("ok")
    assert Restarted() in talk.hears(
        "Error:Line Number is not Last Line Number+1, Last Line: 0", "Resend: 1"
    ), "line 1 was answered before, so this is a reset"


def test_the_greeting_is_never_sent_again_among_other_lines() -> None:
    talk = connected(replace(MARLIN, resend_ok=False))
    talk.protocol.send("G28")
    assert talk.sends() == "G28"
    talk.hears("rs N1000")
    talk.waits(1)
    assert talk.sends() == "M105", "the request was damaged; a probe brings another"


def test_a_late_answer_to_the_first_probe_is_waited_for() -> None:
    talk = Dialogue(UNKNOWN)
    talk.sends()
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    talk.waits(2)
    assert talk.sends().startswith("M110")


def test_klipper_has_no_banner_and_answers_at_once() -> None:
    talk = Dialogue(KLIPPER)
    talk.sends()
    assert talk.hears("ok") == []
    talk.waits(1)
    talk.sends()
    assert talk.hears("ok T:0") == MET, "it is not ready, but it is there"


def test_a_late_answer_to_a_probe_is_not_that_of_the_next_one() -> None:
    """A greeting that was answered once is not taken for one that never is."""
    talk = Dialogue(MARLIN)
    assert talk.sends().startswith("M110")
    talk.hears("ok")
    talk.waits(1)
    assert talk.sends() == "M105"
    for _ in range(5):
        talk.waits(3)
        assert talk.sends().startswith("M110"), "the probe was not answered in time"
    assert Connected() not in talk.hears("ok T:20.0 /0.0")


def test_where_two_probes_were_sent_in_silence_a_single_answer_is_not_enough() -> None:
    talk = Dialogue(MARLIN)
    probes = 0
    while probes < 2:
        probes += talk.sends() == "M105"
        talk.waits(2)
    assert talk.sends().startswith("M110") or probes
    talk.hears("ok T:20.0 /0.0")
    assert not talk.protocol.connected


GIVEN_UP = LinkFailed("the printer does not answer; wrong baud rate?")
BUSY = {
    "a filament change": ("echo:busy: paused for user", 2.0),
    "probing the bed": ("echo:busy: processing", 2.0),
    "a forced M109": (" T:31.00 /200.00 B:21.00 /0.00 @:127 B@:0 W:?", 1.0),
    "a slow keepalive": ("busy: processing", 9.0),
    "Prusa's input": ("echo:busy: paused for input", 2.0),
}


def test_a_firmware_at_work_is_waited_for_as_long_as_it_says_so() -> None:
    for name, (said, every) in BUSY.items():
        with case(name):
            is_waited_for(said, every)


def is_waited_for(said: str, every: float) -> None:
    talk = Dialogue(MARLIN, connect_timeout=15.0)
    assert talk.sends() == "M110 N1000"
    for _ in range(int(1200 / every)):
        talk.hears(said)
        assert talk.waits(every) == [], talk.now
        assert talk.sends() == "", "it has the greeting"
    talk.hears("ok")  # of what it was busy with, or of the greeting
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.hears("ok T:200.0 /200.0")[-1:] == MET


def test_a_greeting_is_repeated_when_the_work_has_ended_without_an_answer() -> None:
    talk = Dialogue(MARLIN, connect_timeout=15.0)
    talk.sends()
    talk.hears("echo:busy: processing")
    assert talk.waits(9) == []
    assert talk.sends() == ""
    talk.waits(2)
    assert talk.sends() == "M110 N1000"
    events: list[Event] = []
    while not events and talk.now < 100:
        events = talk.waits(2)
        talk.sends()
    assert events == [GIVEN_UP]
    assert talk.now < 40


def test_automatic_reports_extend_the_handshake_up_to_a_limit() -> None:
    for said in ("T:31.0 /200.0 B:21.0 /0.0 @:127", "SD printing byte 123/45678"):
        talk = Dialogue(MARLIN, connect_timeout=15.0)
        greetings = [talk.sends()]
        events: list[Event] = []
        while not events and talk.now < 2 * MARLIN.long_timeout:
            talk.hears(said)
            events = talk.waits(1)
            greetings += [line] if (line := talk.sends()) else []
        assert events == [
            LinkFailed("the printer reports its state, but does not answer")
        ]
        assert talk.now >= MARLIN.long_timeout
        assert len(greetings) < 45, "they would fill its receive buffer"
        assert set(greetings) <= {"M110 N1000", "M105"} | {
            line for line in greetings if line.startswith("M110 N")
        }


def test_an_urgent_line_in_the_handshake_has_an_ok_of_its_own() -> None:
    talk = Dialogue(MARLIN)
    talk.sends()
    talk.hears("echo:busy: paused for user")
    talk.protocol.send_now("M108")
    assert talk.protocol.urgent_data(talk.now) == b"M108\n"
    talk.hears("ok", "ok", "ok")  # of the filament change, of M108, of the greeting
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.hears("ok") == []  # a late one: it says no temperatures
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.hears("ok T:200.0 /200.0")[-1:] == MET
