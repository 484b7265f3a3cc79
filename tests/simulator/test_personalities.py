"""What the other firmwares do their own way."""

from typing import Unpack

import pytest

from bridge.gcode.framing import encode
from bridge.simulator.firmware import Firmware
from bridge.simulator.options import Options
from bridge.simulator.personalities import PERSONALITIES
from tests.support.talk import Talk

NAMES = list(PERSONALITIES)


def talk_to(name: str, **options: Unpack[Options]) -> Talk:
    return Talk(Firmware(name, **options))


def test_there_are_ten() -> None:
    assert list(PERSONALITIES) == [
        "marlin", "marlin1", "prusa", "klipper", "reprapfirmware", "repetier",
        "smoothieware", "malyan", "teacup", "unknown",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_one_acknowledges_what_it_is_told(name: str) -> None:
    talk = talk_to(name)
    for line in ("G28", "G91", "G1 X5 F3000", "M104 S50", "M105", "M106 S9", "M400"):
        talk.ask(line)
    talk.wait(60)
    assert talk.firmware.executed[0] == "G28"
    assert talk.firmware.position["x"] == 5.0
    assert talk.firmware.heaters["tool0"].target == 50.0


@pytest.mark.parametrize("name", NAMES)
def test_each_one_takes_numbered_lines_once_and_in_order(name: str) -> None:
    talk = talk_to(name)
    talk.send("M110 N0")
    for number in range(1, 6):
        talk.send(f"M117 {number}", number)
        if name not in {"klipper", "unknown"}:
            talk.send(f"M117 {number}", number)
    texts = [line for line in talk.firmware.executed if line.startswith("M117")]
    assert texts == [f"M117 {number}" for number in range(1, 6)]


def test_marlin1_asks_for_the_next_line_when_one_is_repeated() -> None:
    talk = talk_to("marlin1")
    talk.send("G90", 1)
    assert talk.send("G90", 1) == [
        "Error:Line Number is not Last Line Number+1, Last Line: 1",
        "Resend: 2",
        "ok",
    ]


def test_marlin1_never_says_busy_and_knows_no_autoreport() -> None:
    talk = talk_to("marlin1")
    assert "busy" not in " ".join(talk.ask("G28"))
    assert talk.ask("M155 S1") == ['echo:Unknown command: "M155 S1"', "ok"]
    assert talk.ask("M154 S1")[0] == 'echo:Unknown command: "M154 S1"'
    assert "Cap:" not in " ".join(talk.ask("M115"))


def test_marlin1_may_leave_out_the_ok_after_a_resend() -> None:
    talk = talk_to("marlin1", resend_ok=False)
    assert talk.send_bytes(b"N1 G90*1\n")[-1] == "Resend: 1"


def test_marlin1_tells_heater_errors_on_two_lines() -> None:
    assert talk_to("marlin1").press("maxtemp", "tool0")[:2] == [
        "Error:0",
        ": MAXTEMP triggered, system stopped! Heater_ID: E0",
    ]
    assert talk_to("marlin1").press("maxtemp", "bed")[0] == "Error:-1"


def test_waiting_lines_of_old_show_the_tool_only() -> None:
    heard = talk_to("marlin1").ask("M109 S50")
    assert heard[0] == "T:21.0 E:0 W:?"


def test_prusa_reports_its_own_sensors_and_names_files_in_lower_case() -> None:
    talk = talk_to("prusa")
    report = "ok T:21.0 /0.0 B:21.0 /0.0 T0:21.0 /0.0 @:0 B@:0 P:0.0 A:26.4"
    assert talk.ask("M105") == [report]
    assert talk.ask("M20")[1].startswith("small.gco ")
    assert talk.ask("Tx") == ["ok"]
    assert talk.ask("M117 hi") == ["LCD status changed", "ok"]


def test_others_do_not_know_prusas_tools() -> None:
    assert talk_to("marlin").ask("Tx")[0] == 'echo:Unknown command: "Tx"'


def test_reprapfirmware_has_a_position_for_each_extruder() -> None:
    talk = talk_to("reprapfirmware", extruders=2)
    position = "X:0.000 Y:0.000 Z:0.000 E0:0.0 E1:0.0 Count 0 0 0 Machine "
    assert talk.ask("M114")[0].startswith(position)


def test_repetier_acknowledges_first_and_with_the_number() -> None:
    talk = talk_to("repetier")
    assert talk.send("M105", 1) == [
        "ok 1",
        "T:21.00 /0.00 B:21.00 /0.00 @:0 B@:0",
    ]
    assert talk.send("M104 S60", 2) == ["ok 2", "TargetExtr0:60"]
    assert talk.send("M140 S50", 3) == ["ok 3", "TargetBed:50"]


def test_repetier_asks_without_a_blank() -> None:
    talk = talk_to("repetier")
    assert talk.send_bytes(b"N1 G90*1\n") == [
        "Error:checksum mismatch",
        "Resend:1",
        "ok",
    ]


def test_repetier_says_wait_while_it_is_idle() -> None:
    talk = talk_to("repetier")
    assert talk.wait(3.5) == ["wait"] * 3
    talk.send("G4 S5")
    assert talk.wait(4.5) == [], "it dwells, acknowledged long ago"
    assert talk.send("M117 x") == []
    assert talk.wait(2)[0] == "ok"


def test_repetier_restarts_at_m112_and_dies_of_a_fatal_error() -> None:
    talk = talk_to("repetier")
    assert talk.send("M112")[0] == "start"
    assert not talk.firmware.halted
    heard = talk.press("mintemp", "tool0")
    assert any(line.startswith("fatal:") for line in heard)
    assert talk.firmware.halted


def test_smoothieware_has_no_t0_beside_t1() -> None:
    talk = talk_to("smoothieware", extruders=2)
    report = "ok T:21.0 /0.0 @0 B:21.0 /0.0 @0 T1:21.0 /0.0 @0"
    assert talk.ask("M105") == [report]
    assert talk.ask("M114") == ["ok C: X:0.0000 Y:0.0000 Z:0.0000 E:0.0000"]


def test_smoothieware_does_not_acknowledge_words() -> None:
    talk = talk_to("smoothieware")
    assert talk.send("version") == []
    assert talk.send("G999") == ["ok"]


def test_smoothieware_answers_bangs_when_it_is_halted() -> None:
    talk = talk_to("smoothieware")
    stopped = "ok Emergency Stop Requested - reset or M999 required to exit HALT state"
    assert talk.send("M112") == [stopped]
    assert talk.send_bytes(b"G28\nM105\n\n") == ["!!", "!!"]
    assert talk.send("M999") == ["!!"]
    assert talk.ask("M105")[0].startswith("ok T:")


def test_smoothieware_asks_in_short() -> None:
    assert talk_to("smoothieware").send_bytes(b"N1 G90*1\n") == ["rs N1"]


def test_malyan_has_a_name_and_rounds() -> None:
    talk = talk_to("malyan")
    assert talk.ask("M115")[0] == "NAME: Malyan VER: 3.5 MODEL: M200 HW: HG01"
    assert talk.ask("M105") == ["ok T:21 /0 B:21 /0 @:0 B@:0"]


def test_teacup_asks_with_more_than_one_number() -> None:
    talk = talk_to("teacup")
    talk.send("M110 N22")
    heard = talk.send_bytes(b"N23 M105*1\n")
    assert heard == ["rs N23 expected checksum 22"]
    assert talk.send("M105", 23) == ["ok T:21.0/0.0 B:21.0/0.0"]


def test_the_unknown_one_says_ok_and_nothing_else() -> None:
    talk = talk_to("unknown")
    heard = talk.firmware.reset(0.0).decode().splitlines()
    for line in ("M115", "M105", "M114", "FOO", "M20", "G28"):
        heard += talk.ask(line)
    heard += talk.send_bytes(encode("G90", 7))
    heard += talk.send_bytes(b"N8 G90*1\n")
    assert set(heard) == {"ok"}
    assert talk.firmware.executed[-2:] == ["G90", "G90"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "klipper"])
def test_each_one_can_be_killed(name: str) -> None:
    talk = talk_to(name)
    talk.ask("M140 S60")
    talk.wait(1)
    talk.send("M112")
    assert talk.firmware.heaters["bed"].target == 0.0


@pytest.mark.parametrize("name", ["marlin1", "prusa", "malyan", "teacup"])
def test_without_an_emergency_parser_a_wait_ends_by_m108_only_in_its_turn(
    name: str,
) -> None:
    talk = talk_to(name)
    talk.send("M109 S240")
    talk.wait(3)
    assert talk.send("M108") == []
    assert talk.send("M112") == []


def test_there_is_no_other_one() -> None:
    with pytest.raises(ValueError, match=r'no firmware "sprinter" \(known: marlin,'):
        Firmware("sprinter")


def test_the_machine_must_be_possible() -> None:
    with pytest.raises(ValueError, match="extruders must be 1 to 8"):
        Firmware(extruders=0)
    with pytest.raises(ValueError, match="speed must be above 0"):
        Firmware(speed=0.0)


def test_a_firmware_that_is_quiet_keeps_factors_and_tools_to_itself() -> None:
    talk = talk_to("marlin1", extruders=2)
    for line in ("M220", "M221", "T1", "M106 S5", "G92 E1"):
        assert talk.ask(line)[-1] == "ok"
    assert talk.firmware.modal["tool"] == 1
    assert talk_to("repetier").send("G92 E1") == ["ok"]
