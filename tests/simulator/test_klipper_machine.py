"""The Klipper-like machine: it moves, heats and prints from its card."""

from typing import Unpack

from hypothesis import given
from hypothesis import strategies as st

from bridge.simulator import klipper_commands
from bridge.simulator.firmware import Firmware
from bridge.simulator.klipper import parse
from bridge.simulator.options import Options
from tests.support.talk import Talk


def klipper(**options: Unpack[Options]) -> Talk:
    return Talk(Firmware("klipper", **options))


def test_a_print_at_the_panel() -> None:
    talk = klipper()
    heard = talk.press("start", "square.gcode")
    assert heard == ["File opened:square.gcode Size:313", "File selected"]
    talk.wait(7)
    talk.press("pause")
    assert talk.ask("M27")[0].startswith("SD printing byte ")
    assert talk.press("resume") == []
    assert talk.press("runout") == []
    assert not talk.firmware.printing
    assert talk.press("resume") == []
    assert talk.wait(60) == ["Done printing file"]
    talk.press("start", "square.gcode")
    assert talk.press("cancel") == []
    talk.wait(20)
    assert talk.firmware.selected is None


def test_an_error_in_a_file_stops_it_where_it_is() -> None:
    talk = klipper()
    talk.press("start", "bad.gcode")
    heard = talk.wait(20)
    assert heard == ["!! Move out of range: 999.000 0.000 0.000 [0.000]"]
    assert talk.ask("M27") == ["SD printing byte 4/24", "ok"]


def test_files_with_their_ways() -> None:
    talk = klipper()
    assert talk.ask("M26") == ["!! Error on 'M26': missing S", "ok"]
    talk.ask("M23 square.gcode")
    talk.ask("M26 S3")
    assert talk.ask("M27 S2") == ["SD printing byte 3/313", "ok"]
    talk.ask("G28")
    talk.ask("M24")
    assert talk.ask("M26 S0") == ["!! SD busy", "ok"]
    talk.ask("SDCARD_RESET_FILE")
    assert talk.ask("M27") == ["Not SD printing.", "ok"]
    assert talk.ask("SDCARD_PRINT_FILE FILENAME=square.gcode")[-1] == "ok"
    assert talk.firmware.printing


def test_moves_wait_when_too_much_is_planned() -> None:
    talk = klipper()
    talk.ask("G28")
    assert talk.send("G1 X100 F1200") == ["ok"]
    assert talk.send("G1 X0 F1200") == []
    assert talk.wait(4) == ["ok"]


@given(
    now=st.floats(0, 1e6),
    speed=st.floats(1, 1000),
    feedrate=st.floats(60, 30_000),
)
def test_a_move_that_waits_for_room_goes_on_when_it_said(
    now: float, speed: float, feedrate: float
) -> None:
    machine = Firmware("klipper", speed=speed).machine
    machine.now = now
    machine.motion.home("XYZ")
    for target in (100, 0, 100):
        steps = klipper_commands.move(machine, parse(f"G1 X{target} F{feedrate:f}"))
        if steps is not None:
            machine.now = next(steps)
            assert next(steps, None) is None


def test_modes_of_its_own() -> None:
    talk = klipper(extruders=2)
    for line in ("M83", "G91", "M220 S50", "M221", "M106 S64", "T1"):
        assert talk.ask(line) == ["ok"]
    assert talk.firmware.modal["relative"] is True
    assert talk.firmware.modal["relative_e"] is True
    talk.ask("G90")
    assert talk.firmware.modal["relative_e"] is True, "G90 leaves the extruder alone"
    assert talk.firmware.modal["speed_factor"] == 50.0
    assert talk.firmware.modal["tool"] == 1
    assert talk.ask("T5") == ['// Unknown command:"T5"', "ok"]


def test_heaters_by_their_own_names() -> None:
    talk = klipper(chamber=True, bed=False)
    talk.ask("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=40")
    assert talk.firmware.heaters["tool0"].target == 40.0
    assert talk.ask("TURN_OFF_HEATERS") == ["ok"]
    assert talk.firmware.heaters["tool0"].target == 0.0
    assert talk.ask("M105") == ["ok C:21.0 /0.0 T0:21.0 /0.0"]
    assert talk.ask("M140 S40") == ['// Unknown command:"M140"', "ok"]


def test_kinematics_can_be_forced() -> None:
    talk = klipper()
    talk.ask("SET_KINEMATIC_POSITION X=10 Y=10 Z=10")
    assert talk.ask("G1 X12 F3000") == ["ok"]
    assert talk.ask("SET_GCODE_OFFSET Z=abc")[0].startswith("!! Error on")


def test_pausing_without_a_print_is_an_action() -> None:
    talk = klipper()
    assert talk.ask("PAUSE") == ["// action:paused", "ok"]
    assert talk.ask("PAUSE") == ["// Print already paused", "ok"]
    assert talk.ask("RESUME") == ["// action:resumed", "ok"]
    assert talk.ask("RESUME") == ["// Print is not paused, resume aborted", "ok"]
    talk.ask("PAUSE")
    talk.ask("CLEAR_PAUSE")
    assert talk.ask("CANCEL_PRINT") == ["// action:cancel", "ok"]


def test_the_card_is_busy_while_it_prints() -> None:
    talk = klipper()
    talk.ask("G28")
    assert talk.ask("M24") == ["ok"]
    assert talk.ask("M25") == ["ok"]
    assert talk.ask("M26 S5") == ["ok"]
    assert talk.ask("M21") == ["SD card ok", "ok"]
    talk.ask("SDCARD_PRINT_FILE FILENAME=long_job.gcode")
    for line in ("M24", "M23 square.gcode", "M26 S0"):
        assert talk.ask(line) == ["!! SD busy", "ok"]
    assert talk.ask("CANCEL_PRINT") == ["ok"]
    assert talk.ask("SDCARD_PRINT_FILE")[0].endswith("missing FILENAME")


def test_g92_without_a_word() -> None:
    talk = klipper()
    talk.ask("G28")
    talk.ask("G1 X10 F6000")
    assert talk.ask("G92 X3 E7") == ["ok"]
    assert talk.ask("M114")[0] == "X:3.000 Y:0.000 Z:0.000 E:7.000"


def test_extrusion_is_counted_either_way() -> None:
    talk = klipper()
    talk.ask("M109 S200")
    talk.ask("G1 E5 F300")
    talk.ask("G1 E7")
    talk.ask("M83")
    talk.ask("G1 E-2")
    assert talk.firmware.position["e"] == 5.0


def test_a_dwell_of_no_time_is_over() -> None:
    assert klipper().send("G4 P0") == ["ok"]
