"""Dialogues with the Klipper-like firmware."""

from typing import Unpack

import pytest

from bridge.simulator.firmware import Firmware
from bridge.simulator.options import Options
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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("G1 X", "!! Unable to parse move 'G1 X'"),
        ("G1 X1 F0", "!! Invalid speed in 'G1 X1 F0'"),
        ("M104 S", "!! Error on 'M104 S': unable to parse"),
        ("SET_GCODE_OFFSET Z=nan", "!! Error on 'SET_GCODE_OFFSET Z=nan': unable"),
        ("M104 T1 S60", "!! Extruder not configured"),
        ("M104 S999", "!! Requested temperature (999.0) out of range (0.0:300.0)"),
        ("M23 nosuch", "!! Unable to open file"),
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


@pytest.mark.parametrize(
    ("action", "arguments", "reason"),
    [
        ("kill", (), "!! Shutdown due to M112 command"),
        ("mintemp", ("bed",), "!! ADC out of range"),
        ("maxtemp", ("tool0",), "!! ADC out of range"),
    ],
)
def test_what_goes_wrong_at_the_printer_shuts_it_down(
    action: str, arguments: tuple[str, ...], reason: str
) -> None:
    talk = klipper()
    assert talk.press(action, *arguments) == ["// Klipper state: Shutdown"]
    assert reason in talk.ask("G28")
