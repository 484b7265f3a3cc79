"""Dialogues with the Marlin-like firmware."""

from typing import Unpack

import pytest

from bridge.gcode.framing import encode
from bridge.simulator.card import CardFile
from bridge.simulator.firmware import Firmware
from bridge.simulator.options import Options
from tests.support.talk import Talk

IDLE = "ok T:21.00 /0.00 B:21.00 /0.00 @:0 B@:0"


def marlin(**options: Unpack[Options]) -> Talk:
    return Talk(Firmware("marlin", **options))


def test_the_banner_begins_with_start_and_ends_with_the_card() -> None:
    banner = Firmware().reset(0.0).decode().splitlines()
    assert banner[0] == "start"
    assert banner[-1] == "echo:SD card ok"
    assert "echo:SD card ok" not in Firmware(card=False).reset(0.0).decode()


def test_m115_says_what_it_can() -> None:
    talk = marlin(extruders=2, chamber=True, emergency_parser=False)
    first, *capabilities, area, ok = talk.ask("M115")
    assert "EXTRUDER_COUNT:2" in first
    assert "Cap:CHAMBER_TEMPERATURE:1" in capabilities
    assert "Cap:EMERGENCY_PARSER:0" in capabilities
    assert "Cap:AUTOREPORT_TEMP:1" in capabilities
    assert area.startswith("area:{full:")
    assert ok == "ok"


def test_a_light_and_babysteps_are_an_option() -> None:
    talk = marlin(outputs=True)
    assert "Cap:TOGGLE_LIGHTS:1" in talk.ask("M115")
    assert talk.ask("M355 S1 P99") == ["echo:Case light: 99", "ok"]
    assert talk.ask("M355 S0") == ["echo:Case light: OFF", "ok"]
    assert talk.ask("M42 P4 S255") == ["ok"]
    assert 'Unknown command: "M42' in marlin().ask("M42 P4 S255")[0]


def test_a_bad_line_is_asked_for_again_and_then_taken_once() -> None:
    talk = marlin()
    assert talk.send("M110 N0") == ["ok"]
    assert talk.send("G91", 1) == ["ok"]
    assert talk.send_bytes(b"N2 G90*99\n") == [
        "Error:checksum mismatch, Last Line: 1",
        "Resend: 2",
        "ok",
    ]
    assert talk.send("G90", 2) == ["ok"]
    assert talk.firmware.executed == ["M110 N0", "G91", "G90"]


def test_a_line_it_has_is_dropped_in_silence_and_an_older_one_is_not() -> None:
    talk = marlin()
    for number in range(1, 5):
        talk.send("M117 x", number)
    assert talk.send("M117 x", 4) == []
    assert talk.send("M117 x", 3) == []
    assert talk.send("M117 x", 1) == [
        "Error:Line Number is not Last Line Number+1, Last Line: 4",
        "Resend: 5",
        "ok",
    ]
    assert len(talk.firmware.executed) == 4


def test_a_burst_behind_a_bad_line_is_flushed() -> None:
    talk = marlin()
    burst = b"".join(encode(f"M117 {n}", n) for n in (1, 2))
    burst += b"N3 M117 3*1\n"
    burst += b"".join(encode(f"M117 {n}", n) for n in (4, 5, 6))
    assert talk.send_bytes(burst) == [
        "Error:checksum mismatch, Last Line: 2",
        "Resend: 3",
        "ok",
        "ok",
        "ok",
    ]
    assert talk.firmware.executed == ["M117 1", "M117 2"]


def test_without_the_ok_after_a_resend() -> None:
    talk = marlin(resend_ok=False)
    assert talk.send_bytes(b"N1 G90*1\n")[-1] == "Resend: 1"


@pytest.mark.parametrize("line", ["; a comment", "", ";", "\r"])
def test_nothing_is_answered_by_nothing(line: str) -> None:
    assert marlin().send_bytes(line.encode() + b"\n") == []


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_any_line_end_will_do(end: bytes) -> None:
    assert marlin().send_bytes(b"M105" + end) == [IDLE]


def test_a_line_in_pieces_is_one_line() -> None:
    talk = marlin()
    assert talk.send_bytes(b"M1") == []
    assert talk.send_bytes(b"05") == []
    assert talk.send_bytes(b"\nM10") == [IDLE]
    assert talk.send_bytes(b"5\n") == [IDLE]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"foo", 'echo:Unknown command: "foo"'),
        (b"g28", 'echo:Unknown command: "g28"'),
        (b"   ", 'echo:Unknown command: ""'),
        (b"\0M105", 'echo:Unknown command: ""'),
        (b"3 F6000*0", 'echo:Unknown command: "3 F6000"'),
    ],
)
def test_what_it_does_not_know_it_says_and_forgets(sent: bytes, said: str) -> None:
    talk = marlin()
    assert talk.send_bytes(sent + b"\n") == [said, "ok"]
    assert talk.firmware.executed == []


def test_a_long_line_is_cut() -> None:
    talk = marlin()
    said, ok = talk.send_bytes(b"M118 " + b"x" * 300 + b"\n")
    assert (len(said.rstrip("\r")), ok) == (90, "ok")


def test_a_question_for_a_tool_that_is_not_there_is_never_acknowledged() -> None:
    talk = marlin()
    assert talk.send("M105 T9") == ["echo:M105 Invalid extruder 9"]
    assert talk.wait(60) == []
    assert talk.send("M105") == [IDLE]


def test_homing_says_busy_every_two_seconds() -> None:
    talk = marlin()
    assert talk.send("G28") == []
    busy = "echo:busy: processing"
    heard = talk.wait(30)
    assert heard[:2] == [busy, busy]
    assert heard[-2:] == ["X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0", "ok"]
    talk.ask("M113 S0")
    assert "busy" not in " ".join(talk.ask("G28"))


def test_what_comes_while_it_is_busy_waits() -> None:
    talk = marlin()
    talk.send("G28")
    assert talk.send("M105") == []
    heard = talk.wait(30)
    assert heard[-2:] == ["ok", IDLE]


def test_more_than_the_receive_buffer_holds_is_lost() -> None:
    talk = marlin(room=64)
    talk.send("G28")
    for number in range(1, 20):
        talk.send("M117 12345678", number)
    talk.wait(30)
    assert 1 <= len(talk.firmware.executed) - 1 < 5


def test_autoreports_come_by_themselves() -> None:
    talk = marlin()
    talk.ask("M155 S1")
    talk.ask("M154 S2")
    talk.ask("M27 S2")
    heard = talk.wait(4.5)
    assert heard.count(" T:21.00 /0.00 B:21.00 /0.00 @:0 B@:0") == 4
    assert sum(line.startswith("X:") for line in heard) == 2
    assert heard.count("Not SD printing") == 2
    for line in ("M155 S0", "M154 S0", "M27 S0"):
        talk.ask(line)
    assert talk.wait(10) == []


def test_m112_kills_it_and_it_is_deaf_until_a_reset() -> None:
    talk = marlin()
    talk.ask("M104 S200")
    assert talk.send("M112") == [
        "echo:M112 Shutdown",
        "Error:Printer halted. kill() called!",
        "//action:poweroff",
    ]
    assert talk.firmware.halted
    assert talk.firmware.heaters["tool0"].target == 0.0
    assert talk.send("M105") == []
    assert talk.send("M999") == []
    assert talk.wait(100) == []
    assert talk.firmware.reset(talk.now).startswith(b"start\n")
    assert talk.ask("M105")[0].startswith("ok T:")


@pytest.mark.parametrize("stop", [b"M112\n", b"N1 M112*1\n", b"M112 ; stop\n"])
def test_m112_is_seen_past_a_running_command(stop: bytes) -> None:
    talk = marlin()
    talk.send("G28")
    assert "Error:Printer halted. kill() called!" in talk.send_bytes(stop)
    assert talk.firmware.halted


def test_m112_behind_the_command_that_begins_to_run() -> None:
    talk = marlin()
    assert "Error:Printer halted. kill() called!" in talk.send_bytes(b"G28\nM112\n")


def test_m112_with_a_wrong_checksum_asks_again_first() -> None:
    heard = marlin().send_bytes(b"N1 M112*1\n")
    assert heard[:3] == ["Error:checksum mismatch, Last Line: 0", "Resend: 1", "ok"]
    assert heard[3] == "echo:M112 Shutdown"


def test_without_an_emergency_parser_m112_waits_for_its_turn() -> None:
    talk = marlin(emergency_parser=False)
    talk.send("G4 S5")
    assert talk.send("M112") == []
    assert "Error:Printer halted. kill() called!" in talk.wait(10)


def test_m0_asks_a_person() -> None:
    talk = marlin()
    assert talk.send("M0 hello") == [
        "echo:hello\r",
        "//action:prompt_end",
        "//action:prompt_begin hello",
        "//action:prompt_button Continue",
        "//action:prompt_show",
    ]
    assert talk.wait(4.5) == ["echo:busy: paused for user"] * 2
    assert talk.send("M876 S0") == ["ok", "ok"]
    talk.send("M1 S3")
    assert talk.wait(4)[-1] == "ok"


def test_m600_parks_and_waits() -> None:
    talk = marlin()
    talk.send("M600")
    heard = talk.wait(60)
    assert "echo:Send M108 to resume" in heard
    assert heard[-1] == "echo:busy: paused for user"
    talk.send("M108")
    assert "//action:resumed" in talk.wait(60)
    fixed = marlin(filament_change=False)
    assert fixed.ask("M600")[0] == 'echo:Unknown command: "M600"'


def test_a_reset_forgets_all_but_the_heat() -> None:
    talk = marlin()
    for line in ("M109 S50", "G91", "M155 S1", "M23 small.gco"):
        talk.ask(line)
    talk.send("M117 x", 1)
    talk.firmware.reset(talk.now)
    assert talk.firmware.heaters["tool0"].actual == pytest.approx(50, abs=1)
    assert talk.firmware.heaters["tool0"].target == 0.0
    assert talk.firmware.modal["relative"] is False
    assert talk.firmware.selected is None
    assert talk.wait(10) == []
    assert "Resend: 1" in talk.send("M117 x", 2)


def test_it_may_need_time_to_boot() -> None:
    talk = marlin(boot=3.0)
    assert talk.firmware.reset(0.0) == b""
    assert talk.send("M105") == []
    assert talk.wait(4)[0] == "start"
    assert talk.send("M105") == [IDLE]


def test_advanced_ok_tells_how_much_room_there_is() -> None:
    talk = marlin(advanced_ok=True)
    assert talk.send("G91", 1) == ["ok N1 P15 B3"]
    assert talk.send("G1 X1 F600") == ["ok P14 B3"]
    assert talk.send("M105", 2)[0].startswith("ok T:")


def test_a_report_that_is_long_overdue_is_not_made_up_for() -> None:
    talk = marlin()
    talk.ask("M155 S1")
    heard = talk.firmware.handle_time(1e9)
    assert heard.count(b"T:") <= 62


def test_only_so_many_lines_are_remembered() -> None:
    firmware = Firmware()
    firmware.executed.extend(["x"] * 100_000)
    firmware.receive_data(b"G90\n", 0.0)
    assert len(firmware.executed) < 100_000
    assert firmware.executed[-1] == "G90"


def test_files_of_ones_own() -> None:
    talk = marlin(files=(CardFile("A.GCO", b"G90\n", display="Ä long.gcode"),))
    assert talk.ask("M20 L")[1] == "A.GCO 4 Ä long.gcode"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("M104 T3 S50", ["echo:M104 Invalid extruder 3"]),
        ("M109 T3 S50", ["echo:M109 Invalid extruder 3"]),
        ("M109", []),
        ("M104", []),
        ("M140", []),
        ("M155", []),
        ("M154", []),
        ("M107 P1", []),
        ("M106 P1 S5", []),
        ("M110", []),
        ("M141 S40", ['echo:Unknown command: "M141 S40"']),
        ("G4 S0", []),
        ("G2 X5", ["Error:G2/G3 bad parameters"]),
        ("M118 A1 P0 hello", ["//hello\r"]),
        ("M118 E0 hello", ["hello\r"]),
        ("M92 X80", []),
        ("M92", ["  M92 X80.00 Y80.00 Z400.00 E500.00"]),
        ("M302", ["echo:Cold extrudes are disabled (min temp 170C)"]),
        ("M220", ["FR:100%"]),
        ("M221", ["echo:E0 Flow: 100%"]),
        ("M33 none.gco", []),
        ("M26 S5", []),
    ],
)
def test_small_talk(line: str, said: list[str]) -> None:
    assert marlin().ask(line) == [*said, "ok"]


def test_nobody_answers_m876_before_it_is_asked() -> None:
    talk = marlin()
    talk.send("M0")
    assert talk.send("M876") == []
    assert talk.send("M876 S1") == ["ok", "ok", "ok"]


def test_a_prompt_ends_by_the_button_too() -> None:
    talk = marlin()
    talk.send("M0")
    assert talk.press("press") == ["ok"]
    talk.send("M1 S60")
    assert talk.press("press") == ["ok"]


def test_killed_before_it_has_booted() -> None:
    talk = marlin(boot=3.0)
    talk.firmware.reset(0.0)
    talk.press("kill")
    assert talk.wait(10) == []
    assert talk.send("M105") == []
