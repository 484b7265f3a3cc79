"""The Marlin-like machine: it moves, heats and breaks."""

from typing import Unpack

import pytest

from bridge.simulator.firmware import Firmware
from bridge.simulator.options import Options
from tests.support.talk import Talk


def marlin(**options: Unpack[Options]) -> Talk:
    return Talk(Firmware("marlin", **options))


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
    talk.ask("G92 Y0")
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


def test_two_extruders_are_reported_beside_the_current_one() -> None:
    talk = marlin(extruders=2)
    talk.ask("M104 T1 S50")
    talk.ask("T1")
    assert talk.ask("M105")[0].startswith("ok T:21.00 /50.00 B:21.00 /0.00 T0:")
    assert talk.ask("T2") == ["echo:T2 Invalid extruder", "ok"]


def test_m410_stops_where_the_head_is() -> None:
    talk = marlin()
    talk.ask("G1 X100 F600")
    talk.send("M400")
    talk.wait(5)
    assert "ok" in talk.send("M410")
    assert talk.firmware.position["x"] == pytest.approx(50, abs=1)


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
    talk.press("fix", "bed")
    assert talk.wait(600) == []
    assert talk.firmware.heaters["bed"].actual == pytest.approx(60)


@pytest.mark.parametrize(
    ("action", "what"), [("mintemp", "MINTEMP"), ("maxtemp", "MAXTEMP")]
)
def test_a_sensor_out_of_its_range_stops_everything(action: str, what: str) -> None:
    heard = marlin().press(action, "bed")
    assert heard[0] == f"Error:{what} triggered, system stopped! Heater_ID: bed"
    assert "Error:Printer halted. kill() called!" in heard


def test_cold_extrusion_may_be_allowed_for_good() -> None:
    talk = marlin()
    talk.ask("M302 P1")
    enabled = "echo:Cold extrudes are enabled (min temp 0C)"
    assert talk.ask("M302") == [enabled, "ok"]
    assert talk.ask("G1 E5 F300") == ["ok"]


def test_a_wait_for_a_temperature_below_the_room_gives_up() -> None:
    talk = marlin()
    talk.ask("M109 S60")
    talk.ask("M109 R5")
    assert talk.firmware.heaters["tool0"].actual < 26


def test_what_was_planned_happens_also_when_nobody_looks() -> None:
    talk = marlin()
    talk.ask("M155 S1")
    talk.ask("G1 X100 F600")
    talk.ask("G1 X0")
    talk.send("M400")
    heard = talk.firmware.handle_time(1000.0)
    assert heard.count(b"ok\n") == 1
    assert talk.firmware.machine.motion.actual(1000.0)["X"] == 0.0


def test_a_move_of_no_length_takes_no_time() -> None:
    talk = marlin()
    talk.ask("G1 X0 F600")
    assert talk.firmware.machine.motion.ends_at(5.0) == 5.0


def test_a_stop_between_two_moves() -> None:
    talk = marlin()
    for line in ("G1 X100 F6000", "G1 X0 F6000", "G1 X50 F6000"):
        talk.ask(line)
    talk.wait(1.5)
    talk.ask("M410")
    assert talk.firmware.position["x"] == pytest.approx(50, abs=1)
