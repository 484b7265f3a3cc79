"""Dialogues with the Marlin-like firmware."""

from typing import Unpack

import pytest

from bridge.gcode.codec import encode
from bridge.simulator.card import File
from bridge.simulator.firmware import Firmware
from bridge.simulator.machine import Options
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


def test_a_move_is_acknowledged_when_it_is_planned() -> None:
    talk = marlin(speed=1.0)
    assert talk.send("G1 X100 F600") == ["ok"]
    assert talk.send("M114")[0].startswith("X:100.00 Y:0.00")
    talk.ask("M400")
    assert talk.now == pytest.approx(10.0)


def test_a_full_planner_waits_for_room() -> None:
    talk = marlin()
    replies = [talk.send(f"G1 X{n % 2 * 10} F600") for n in range(1, 20)]
    assert replies[:15] == [["ok"]] * 15
    assert replies[-1] == []
    assert talk.wait(30).count("ok") == replies.count([])


def test_cold_filament_does_not_move() -> None:
    talk = marlin()
    assert talk.send("G1 E5") == ["echo: cold extrusion prevented", "ok"]
    talk.send("M302 S0")
    assert talk.send("G1 E6 F100") == ["ok"]


def test_the_software_endstops_clamp_homed_axes() -> None:
    talk = marlin()
    talk.ask("G28")
    talk.ask("G1 X1000 Y-5 F6000")
    assert talk.firmware.position["x"] == 200.0
    assert talk.firmware.position["y"] == 0.0


def test_the_modes_can_be_looked_at() -> None:
    talk = marlin(extruders=2)
    for line in (
        "G91", "M82", "G1 X5 F1234", "M106 S128", "M220 S90", "M221 S95", "T1",
    ):  # fmt: skip
        talk.ask(line)
    assert talk.firmware.modal == {
        "relative": True,
        "relative_e": False,
        "feedrate": 1234.0,
        "tool": 1,
        "fan": 128.0,
        "speed_factor": 90.0,
        "flow_factor": 95.0,
    }
    talk.ask("G90")
    talk.ask("M107")
    assert talk.firmware.modal["relative"] is False
    assert talk.firmware.modal["fan"] == 0.0


def test_g92_names_the_position() -> None:
    talk = marlin()
    talk.ask("G1 X10 F6000")
    assert talk.ask("G92 X3 E7")[0].startswith("X:3.00 Y:0.00 Z:0.00 E:7.00")
    talk.ask("G1 X5")
    assert talk.firmware.position == {"x": 5.0, "y": 0.0, "z": 0.0, "e": 7.0}
    assert talk.ask("G92.1")[0].startswith("X:12.00")


def test_waiting_for_a_hotend() -> None:
    talk = marlin()
    heard = talk.ask("M109 S60")
    assert heard[0] == " T:21.00 /60.00 B:21.00 /0.00 @:127 B@:0 W:?"
    assert "echo:busy: processing" in heard
    assert any(line.endswith("W:5") for line in heard)
    assert heard[-1] == "ok"
    assert talk.firmware.heaters["tool0"].actual == pytest.approx(60, abs=1)


def test_waiting_downwards_needs_r() -> None:
    talk = marlin()
    talk.ask("M109 S80")
    assert talk.ask("M109 S40") == ["ok"]
    talk.ask("M109 R40")
    assert talk.firmware.heaters["tool0"].actual == pytest.approx(40, abs=1.1)


def test_bed_and_chamber_can_be_waited_for() -> None:
    talk = marlin(chamber=True, speed=100.0)
    assert talk.ask("M190 S60")[-1] == "ok"
    assert talk.ask("M191 S40")[-1] == "ok"
    assert talk.firmware.heaters["bed"].actual == pytest.approx(60, abs=1)
    assert talk.firmware.heaters["chamber"].actual == pytest.approx(40, abs=1)
    without = marlin(bed=False)
    assert without.ask("M140 S50")[0] == 'echo:Unknown command: "M140 S50"'
    assert without.ask("M190 S50")[0] == 'echo:Unknown command: "M190 S50"'
    assert without.ask("M105") == ["ok T:21.00 /0.00 @:0"]


def test_m108_ends_a_wait_and_gives_two_oks() -> None:
    talk = marlin()
    talk.send("M109 S240")
    talk.wait(3)
    assert talk.send("M108") == ["ok", "ok"]
    assert talk.firmware.heaters["tool0"].target == 240.0
    talk.send("G4 S5")
    assert talk.send("M108") == [], "a dwell goes on"


def test_targets_are_clamped_to_what_the_heater_may() -> None:
    talk = marlin()
    talk.ask("M104 S999")
    talk.ask("M140 S-5")
    assert talk.firmware.heaters["tool0"].target == 260.0
    assert talk.firmware.heaters["bed"].target == 0.0


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


def test_two_extruders_are_reported_beside_the_current_one() -> None:
    talk = marlin(extruders=2)
    talk.ask("M104 T1 S50")
    talk.ask("T1")
    assert talk.ask("M105")[0].startswith("ok T:21.00 /50.00 B:21.00 /0.00 T0:")
    assert talk.ask("T2") == ["echo:T2 Invalid extruder", "ok"]


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


def test_m410_stops_where_the_head_is() -> None:
    talk = marlin()
    talk.ask("G1 X100 F600")
    talk.send("M400")
    talk.wait(5)
    assert "ok" in talk.send("M410")
    assert talk.firmware.position["x"] == pytest.approx(50, abs=1)


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


def test_a_heater_that_does_not_heat_stops_everything() -> None:
    talk = marlin()
    talk.press("break", "tool0")
    talk.ask("M155 S2")
    talk.ask("M104 S200")
    heard = talk.wait(60)
    assert 15 <= sum(line.startswith(" T:21.00 /200.00") for line in heard) <= 20
    end = heard.index("Error:Heating failed, system stopped! Heater_ID: E0")
    assert heard[end + 1] == ""
    assert heard[-2:] == ["Error:Printer halted. kill() called!", "//action:poweroff"]
    assert talk.send("M105") == []


def test_a_heater_that_dies_runs_away() -> None:
    talk = marlin(speed=50.0)
    talk.ask("M109 S200")
    talk.press("break", "tool0")
    heard = talk.wait(60)
    assert "Error:Thermal Runaway, system stopped! Heater_ID: E0" in heard


def test_a_mended_heater_goes_on() -> None:
    talk = marlin()
    talk.press("break", "bed")
    talk.ask("M140 S60")
    talk.wait(30)
    talk.press("mend", "bed")
    assert talk.wait(600) == []
    assert talk.firmware.heaters["bed"].actual == pytest.approx(60)


@pytest.mark.parametrize(
    ("action", "what"), [("mintemp", "MINTEMP"), ("maxtemp", "MAXTEMP")]
)
def test_a_sensor_out_of_its_range_stops_everything(action: str, what: str) -> None:
    heard = marlin().press(action, "bed")
    assert heard[0] == f"Error:{what} triggered, system stopped! Heater_ID: bed"
    assert "Error:Printer halted. kill() called!" in heard


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
    talk = marlin(files=(File("A.GCO", b"G90\n", display="Ä long.gcode"),))
    assert talk.ask("M20 L")[1] == "A.GCO 4 Ä long.gcode"
