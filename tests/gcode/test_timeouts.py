"""How long a line may go unanswered, and what extends that time, as dialogues."""

from dataclasses import replace

import pytest

from bridge.gcode.dialects import (
    KLIPPER,
    MARLIN,
    MARLIN1,
    PRUSA,
    REPETIER,
    REPRAPFIRMWARE,
    UNKNOWN,
    Dialect,
)
from bridge.gcode.events import Done, Event, LinkFailed
from bridge.gcode.timeouts import busy_until
from tests.support.dialogue import Dialogue, connected

HEATING = "B:22.8 /40.0 T0:33.9 /70.0"


def working(dialect: Dialect, line: str) -> tuple[Dialogue, int]:
    talk = connected(dialect)
    ticket = talk.protocol.send(line)
    assert talk.sends() == line
    return talk, ticket


@pytest.mark.parametrize("macro", ["PRINT_START BED=60", "T1", "BED_MESH_CALIBRATE"])
def test_a_macro_may_heat_for_as_long_as_it_takes(macro: str) -> None:
    talk, ticket = working(KLIPPER, macro)
    for _ in range(20):
        assert talk.waits(60) == []
        talk.hears(HEATING)
    assert talk.sends() == ""
    assert talk.hears("ok") == [Done(ticket)]


def test_a_change_of_the_tool_may_run_macros() -> None:
    talk, ticket = working(REPRAPFIRMWARE, "T1")
    assert talk.waits(300) == []
    assert talk.sends() == ""
    assert talk.hears("ok") == [Done(ticket)]


def test_the_question_for_the_state_is_no_macro() -> None:
    assert KLIPPER.timeout_for("STATUS") == KLIPPER.ok_timeout
    assert KLIPPER.timeout_for("M105") == KLIPPER.ok_timeout
    assert MARLIN.timeout_for("T1") == MARLIN.ok_timeout


def test_tuning_a_heater_takes_long_without_a_busy() -> None:
    talk, ticket = working(MARLIN, "M303 E0 S210 C8")
    for _ in range(10):
        for _ in range(30):
            assert talk.waits(2) == []
            talk.hears(" T:200.0 /210.0 B:20.0 /0.0 @:0 B@:0")
        talk.hears(" bias: 92 d: 92 min: 196.56 max: 203.75")
    assert talk.sends() == ""
    (done,) = talk.hears("ok")
    assert isinstance(done, Done)
    assert done.ticket == ticket


@pytest.mark.parametrize(
    ("line", "cycles"),
    [
        ("M303 E-1 S100", 5),
        ("M303 E0 S210 C8", 8),
        ("M303 E-1 S100 C3", 5),
        ("M303 P0 S200 R10", 10),
    ],
)
@pytest.mark.parametrize("dialect", [MARLIN, MARLIN1])
def test_tuning_a_slow_bed_takes_twenty_silent_minutes_a_cycle(
    dialect: Dialect, line: str, cycles: int
) -> None:
    talk, ticket = working(dialect, line)
    assert talk.waits(cycles * 20 * 60 - 1) == []
    assert talk.sends() == ""
    assert talk.hears("ok") == [Done(ticket)]


def test_the_configuration_may_give_tuning_more_time() -> None:
    assert replace(MARLIN, long_timeout=9000.0).timeout_for("M303 S100") == 9000


@pytest.mark.parametrize("dialect", [UNKNOWN, REPETIER, MARLIN1])
@pytest.mark.parametrize(
    "report",
    [HEATING, "SD printing byte 17/107", "Not SD printing", "X:0.00 Y:0.00 Z:0.00"],
)
def test_no_report_hides_a_lost_ok(dialect: Dialect, report: str) -> None:
    talk, _ = working(dialect, "G1 X1")
    for _ in range(5):
        talk.waits(2)
        talk.hears(report)
    assert talk.sends() == "M105"


@pytest.mark.parametrize(
    ("dialect", "report"),
    [
        (MARLIN, " T:53.64 /100.00 B:19.37 /60.00 @:36 B@:0 W:?"),
        (MARLIN1, "T:60.4 E:0 W:?"),
        (PRUSA, "T:21.5 E:0 B:24.1"),
        (KLIPPER, HEATING),
    ],
)
@pytest.mark.parametrize("line", ["M105", "M190 S110", "G28"])
def test_a_heater_that_somebody_waits_for_is_a_sign_of_life(
    dialect: Dialect, report: str, line: str
) -> None:
    talk, ticket = working(dialect, line)
    for _ in range(1200):
        assert talk.waits(1) == []
        talk.hears(report)
    assert talk.sends() == ""
    (done,) = talk.hears("ok")
    assert isinstance(done, Done)
    assert done.ticket == ticket


def test_a_lost_ok_shows_soon_after_the_heating() -> None:
    talk, _ = working(MARLIN, "M190 S110")
    for _ in range(400):
        talk.waits(1)
        talk.hears(" T:20.0 /0.0 B:53.64 /110.00 @:36 B@:0 W:?")
    talk.waits(MARLIN.ok_timeout)
    assert talk.sends() == "M105"


def test_heating_does_not_cut_the_time_of_the_next_line_short() -> None:
    talk, ticket = working(MARLIN, "G28")
    talk.hears(" T:20.0 /0.0 B:110.0 /110.00 @:36 B@:0 W:0")
    assert talk.waits(MARLIN.long_timeout - 1) == []
    assert talk.sends() == ""
    assert isinstance(talk.hears("ok")[0], Done)
    assert ticket


def test_reports_do_not_hide_a_lost_ok_where_busy_is_sent() -> None:
    talk, _ = working(MARLIN, "G28")
    for _ in range(150):
        talk.waits(2)
        talk.hears("SD printing byte 17/107")
    assert talk.sends() == "M105"


def test_a_probe_does_not_cut_the_time_of_a_long_line_short() -> None:
    talk = connected(REPRAPFIRMWARE)
    talk.protocol.send("M104 S1")
    talk.sends()
    talk.hears("ok")
    ticket = talk.protocol.send("G28")
    assert talk.sends() == "G28"
    talk.hears("Resend: 1002")  # late: that line was acknowledged
    talk.waits(1)
    assert talk.sends() == "M105"
    assert talk.waits(500) == []
    assert talk.hears("ok") == [Done(ticket)]


def test_a_probe_to_an_idle_firmware_is_answered_soon_or_lost() -> None:
    talk, _ = working(REPETIER, "G28")
    talk.hears("wait")
    talk.waits(0)
    assert talk.sends() == "M105"
    talk.hears("wait")
    talk.waits(REPETIER.ok_timeout - 1)
    assert talk.sends() == ""
    talk.waits(1)
    assert talk.sends() == "M105"


def test_a_firmware_that_is_dead_during_a_long_line_is_given_up() -> None:
    talk, _ = working(MARLIN, "G28")
    for _ in range(MARLIN.max_probes):
        talk.waits(MARLIN.long_timeout)
        assert talk.sends() == "M105"
    (event,) = talk.waits(MARLIN.ok_timeout)
    assert isinstance(event, LinkFailed)
    assert talk.now < MARLIN.long_timeout + 60


def given_up(talk: Dialogue) -> float:
    begun = talk.now
    events: list[Event] = []
    while not any(isinstance(event, LinkFailed) for event in events):
        events = talk.waits(10_000)
        talk.sends()
    return talk.now - begun


@pytest.mark.parametrize("dialect", [MARLIN1, KLIPPER, REPETIER])
def test_a_print_from_the_card_may_home_in_silence(dialect: Dialect) -> None:
    talk, _ = working(dialect, "M27")
    talk.hears("SD printing byte 17/107", "ok")
    talk.waits(0.5)
    ticket = talk.protocol.send("M114")
    talk.sends()
    probed = dialect.ok_timeout * (1 + dialect.max_probes)
    end = talk.now + probed + dialect.long_timeout - 2
    while talk.now < end:
        assert talk.waits(end - talk.now) == []
        assert talk.sends() in {"M105", ""}
    told = talk.hears("X:0.00 Y:0.00 Z:0.00", "ok") + talk.waits(1)
    assert Done(ticket, ("X:0.00 Y:0.00 Z:0.00",)) in told


@pytest.mark.parametrize(
    ("dialect", "said", "seconds"),
    [
        (MARLIN1, ["SD printing byte 17/107"], 640),
        (MARLIN1, ["SD printing byte 17/107", "Not SD printing"], 40),
        (MARLIN1, ["SD printing byte 17/107", "Done printing file"], 40),
        (MARLIN1, [], 40),
        (MARLIN, ["SD printing byte 17/107"], 40),
    ],
)
def test_only_a_print_without_a_busy_buys_more_time(
    dialect: Dialect, said: list[str], seconds: float
) -> None:
    talk, _ = working(dialect, "M105")
    talk.hears(*said)
    assert given_up(talk) == pytest.approx(seconds)


@pytest.mark.parametrize("line", ["M24", "M32 A.GCO"])
def test_a_print_that_we_start_may_home_before_we_ask_how_far_it_is(line: str) -> None:
    talk, _ = working(MARLIN1, line)
    talk.hears("ok")
    talk.protocol.send("M27")
    assert talk.sends() == "M27"
    assert given_up(talk) == pytest.approx(640)


@pytest.mark.parametrize("said", ["File opened: A.GCO Size: 9", "File selected"])
def test_so_may_one_that_is_started_at_the_display(said: str) -> None:
    talk, _ = working(MARLIN1, "M27")
    talk.hears(said)
    assert given_up(talk) == pytest.approx(640)


def test_behind_an_ok_that_comes_first_the_next_line_waits_as_long() -> None:
    talk, first = working(REPETIER, "G28")
    assert talk.hears("ok") == [Done(first)]
    second = talk.protocol.send("G29")
    assert talk.sends() == "G29"
    assert talk.waits(500) == []
    assert talk.hears("ok") == [Done(second)], "the homing is done, the probing begins"
    third = talk.protocol.send("G1 X1")
    assert talk.sends() == "G1 X1"
    assert talk.waits(REPETIER.long_timeout - 1) == []
    assert talk.sends() == ""
    assert talk.hears("ok") == [Done(third)]
    talk.protocol.send("G1 X2")
    assert talk.sends() == "G1 X2"
    talk.waits(REPETIER.ok_timeout)
    assert talk.sends() == "M105", "behind a short line nothing is waited for"


def test_a_probe_behind_such_a_line_does_not_cut_its_time_short() -> None:
    talk, _ = working(REPETIER, "G1 X1")
    talk.waits(REPETIER.ok_timeout)
    assert talk.sends() == "M105"
    talk.hears("ok")
    assert talk.waits(REPETIER.ok_timeout - 1) == []


def test_an_ok_that_comes_late_ends_its_line() -> None:
    talk, first = working(UNKNOWN, "G28")
    talk.waits(20)
    assert talk.hears("ok") == [Done(first)]
    talk.protocol.send("G1 X1")
    assert talk.sends() == "G1 X1"
    talk.waits(UNKNOWN.ok_timeout)
    assert talk.sends() == "M105"


def test_a_dwell_that_is_answered_at_once_is_waited_for() -> None:
    talk, first = working(MARLIN1, "G4 S60")
    assert talk.hears("ok") == [Done(first)]
    talk.protocol.send("G1 X1")
    assert talk.sends() == "G1 X1"
    assert talk.waits(60) == []
    assert talk.sends() == ""


@pytest.mark.parametrize("dialect", [MARLIN, MARLIN1])
def test_a_dwell_that_is_over_adds_no_time(dialect: Dialect) -> None:
    talk, first = working(dialect, "G4 S60")
    talk.waits(61)
    assert talk.hears("ok") == [Done(first)]
    talk.protocol.send("G1 X1")
    assert talk.sends() == "G1 X1"
    talk.waits(dialect.ok_timeout)
    assert talk.sends() == "M105"


def test_a_quick_line_keeps_nobody_busy() -> None:
    assert busy_until("G1 X1", MARLIN, sent_at=1.0, before=0.0, now=2.0) == 2.0
