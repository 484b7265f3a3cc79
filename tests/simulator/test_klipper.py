"""Dialogues with the Klipper-like firmware."""

from typing import Unpack

import pytest

from bridge.simulator.firmware import Firmware
from bridge.simulator.machine import Options
from tests.support.talk import Talk

STOPPED = [
    "// Shutdown due to M112 command",
    "// Once the underlying issue is corrected, use the",
    '// "FIRMWARE_RESTART" command to reset the firmware, reload the',
    "// config, and restart the host software.",
    "// Printer is shutdown",
    "!! Shutdown due to M112 command",
    "ok",
]
IDLE = "ok B:21.0 /0.0 T0:21.0 /0.0"


def klipper(**options: Unpack[Options]) -> Talk:
    return Talk(Firmware("klipper", **options))


def test_it_says_nothing_when_it_is_reset() -> None:
    assert Firmware("klipper").reset(0.0) == b""


@pytest.mark.parametrize("line", [b"\n", b"; comment\n", b"  \r\n"])
def test_an_empty_line_is_acknowledged(line: bytes) -> None:
    talk = klipper()
    assert talk.send_bytes(line) == ["ok"]
    assert talk.firmware.executed == []


def test_a_bare_cr_does_not_end_a_line() -> None:
    talk = klipper()
    assert talk.send_bytes(b"M105\r") == []
    assert talk.send_bytes(b"\n") == [IDLE]


def test_numbers_and_checksums_are_nobodys_concern() -> None:
    talk = klipper()
    for line in (b"N5 G90*99\n", b"N5 G90*99\n", b"N20G90\n", b"G90*1\n"):
        assert talk.send_bytes(line) == ["ok"]
    assert [line.split("*")[0] for line in talk.firmware.executed] == ["G90"] * 4


def test_a_chunk_that_is_not_utf8_is_lost() -> None:
    talk = klipper()
    assert talk.send_bytes(b"\xff\xfe M105\n") == []
    assert talk.send_bytes(b"M105\n") == [IDLE]


def test_a_refusal_is_acknowledged_and_not_carried_out() -> None:
    talk = klipper()
    assert talk.send("G1 X10 F3000") == [
        "!! Must home axis first: 10.000 0.000 0.000 [0.000]",
        "ok",
    ]
    assert talk.send("FOO") == ['// Unknown command:"FOO"', "ok"]
    assert talk.firmware.executed == []


def test_a_wait_reports_each_second_and_says_nothing_else() -> None:
    talk = klipper()
    talk.send("M109 S60")
    assert talk.send("M105") == []
    heard = talk.wait(60)
    assert heard[-2] == "ok"
    assert heard[-1].startswith("ok B:21.0 /0.0 T0:")
    assert len(heard) > 6
    assert all(line.startswith("B:21.0 /0.0 T0:") for line in heard[:-2])
    assert "busy" not in " ".join(heard)


def test_a_bare_m112_is_seen_past_a_running_command() -> None:
    talk = klipper()
    talk.send("G28")
    assert talk.send("M112") == [
        "// Klipper state: Shutdown",
        "!! Homing failed due to printer shutdown",
        "ok",
        "ok",
    ]
    assert talk.firmware.halted


def test_a_checksummed_m112_is_not() -> None:
    talk = klipper()
    talk.send("M109 S90")
    assert talk.send_bytes(b"N7 M112*38\n") == []
    assert talk.send_bytes(b"N8 M112\n")[0] == "// Klipper state: Shutdown"


def test_behind_twenty_lines_even_a_bare_one_is_not() -> None:
    talk = klipper()
    talk.send("G4 P12000")
    talk.send_bytes(b"M105\n" * 25)
    assert talk.send("M112") == []
    heard = talk.wait(15)
    assert heard[:2] == ["ok", IDLE]
    assert heard[-2:] == ["// Klipper state: Shutdown", "ok"]


def test_after_m112_some_go_on_and_all_others_are_refused() -> None:
    talk = klipper()
    talk.ask("M104 S60")
    talk.wait(2)
    assert talk.send("M112") == ["// Klipper state: Shutdown", "ok"]
    assert talk.firmware.heaters["tool0"].target == 0.0
    stale = talk.ask("M105")
    assert stale[0].endswith("/60.0")
    talk.wait(60)
    assert talk.ask("M105") == stale
    assert talk.ask("M114")[-1] == "ok"
    assert talk.ask("M115")[0].startswith("ok FIRMWARE_NAME:Klipper")
    assert talk.ask("M110 N0") == ["ok"]
    assert talk.ask("M21") == ["ok"]
    assert talk.ask("M112") == ["ok"]
    assert talk.ask("RESPOND MSG=x") == ["echo: x", "ok"]
    for line in ("M20", "G28", "FOO", "M999"):
        assert talk.ask(line) == STOPPED
    status = [*STOPPED[:5], "// Klipper state: Not ready", *STOPPED[5:]]
    assert talk.ask("STATUS") == status


def test_firmware_restart_brings_it_back() -> None:
    talk = klipper()
    talk.send("M112")
    assert talk.send("FIRMWARE_RESTART") == ["ok"]
    assert talk.wait(0.5) == ["// Klipper state: Disconnect"]
    assert talk.send("M105") == []
    assert talk.wait(0.8) == ["ok T:0"]
    assert talk.ask("G28")[0] == "// Printer is not ready"
    assert talk.wait(1) == ["// Klipper state: Ready"]
    assert talk.ask("STATUS") == ["// Klipper state: Ready", "ok"]


def test_restart_alone_does_not() -> None:
    talk = klipper()
    talk.send("M112")
    talk.send("RESTART")
    assert talk.wait(5) == ["// Klipper state: Disconnect"]
    assert "!! Can not update MCU 'mcu' config as it is shutdown" in talk.ask("STATUS")


def test_restart_from_ready_does() -> None:
    talk = klipper()
    talk.send("RESTART")
    assert talk.wait(5)[-1] == "// Klipper state: Ready"


def test_a_silent_shutdown_tells_its_reason_late() -> None:
    talk = klipper()
    talk.ask("M104 S50")
    lost = "Lost communication with MCU 'mcu'"
    assert talk.press("shutdown", lost) == ["// Klipper state: Shutdown"]
    assert talk.ask("M105")[0].endswith("/50.0")
    assert f"!! {lost}" in talk.ask("G28")
    assert talk.press("shutdown", "again") == []


def test_a_shutdown_ends_what_runs() -> None:
    talk = klipper()
    talk.send("M109 S60")
    assert talk.press("shutdown", "lost") == ["// Klipper state: Shutdown", "ok"]


def test_a_heater_that_does_not_heat_shuts_it_down() -> None:
    talk = klipper()
    talk.press("break", "tool0")
    talk.ask("M104 S200")
    assert talk.wait(60) == ["// Klipper state: Shutdown"]
    reason = "!! Heater extruder not heating at expected rate"
    assert reason in talk.ask("STATUS")


def test_it_may_not_be_ready() -> None:
    talk = klipper(ready=False)
    assert talk.ask("M105") == ["ok T:0"]
    assert "!! Printer is not ready" in talk.ask("G28")
    assert talk.ask("M112") == ["ok"]
    assert talk.ask("G28") == STOPPED
    helped = talk.ask("HELP")
    assert helped[0] == "// Printer is not ready - not all commands available."
    assert "// STATUS    : Status" in helped


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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("G1 X", "!! Unable to parse move 'G1 X'"),
        ("G1 X1 F0", "!! Invalid speed in 'G1 X1 F0'"),
        ("M104 S", "!! Error on 'M104 S': unable to parse"),
        ("SET_GCODE_OFFSET Z=nan", "!! Error on 'SET_GCODE_OFFSET Z=nan': unable"),
        ("M104 T1 S60", "!! Extruder not configured"),
        ("M104 S999", "!! Requested temperature (999.0) out of range (0.0:300.0)"),
        ("T0", '// Unknown command:"T0"'),
        ("M28 x", "!! SD write not supported"),
        ("G 28", '// Unknown command:"G 28"'),
        ("RESPOND TYPE=zzz MSG=x", "!! RESPOND TYPE 'zzz' is invalid."),
        ('RESPOND MSG="unterminated', "!! Malformed command 'RESPOND MSG=\"unt"),
        ("SET_HEATER_TEMPERATURE HEATER=foo TARGET=1", "!! The value 'foo' is not"),
    ],
)
def test_what_it_refuses_it_says(line: str, said: str) -> None:
    talk = klipper()
    heard = talk.ask(line)
    assert heard[-1] == "ok"
    assert heard[-2].startswith(said)


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
