"""Printing from the card, at the printer or from the host."""

import pytest

from bridge.simulator.card import Card, CardFile
from bridge.simulator.firmware import Firmware
from tests.support.talk import Talk

LONG = CardFile("LONG.GCO", b"G28\n" + b"G1 X100 F3000\nG1 X0\n" * 50)
SHORT = CardFile(
    "SHORT.GCO", b"M117 a ; b\n\nG1 X10 F6000\n", "A short one.gcode", "0x5a2b"
)


def marlin(*, park: bool = False) -> Talk:
    return Talk(Firmware("marlin", files=(SHORT, LONG), park=park))


def test_a_print_from_start_to_end() -> None:
    talk = marlin()
    assert talk.ask("M23 short.gco") == [
        "echo:Now fresh file: short.gco",
        "File opened: short.gco Size: 25",
        "File selected",
        "//action:notification A short one.gcode\r",
        "ok",
    ]
    assert talk.firmware.selected == "SHORT.GCO"
    assert talk.ask("M24") == ["//action:resume", "ok"]
    assert talk.firmware.printing
    assert talk.wait(1) == ["Done printing file"]
    assert not talk.firmware.printing
    assert talk.firmware.position["x"] == 10.0
    assert talk.firmware.executed == ["M23 short.gco", "M24"]


def test_progress_rises_and_is_told() -> None:
    talk = marlin()
    for line in ("M23 LONG.GCO", "M27 S1", "M24"):
        talk.ask(line)
    heard = [line for line in talk.wait(60) if line.startswith("SD printing")]
    bytes_done = [int(line.split()[3].split("/")[0]) for line in heard]
    assert bytes_done == sorted(bytes_done)
    assert len(set(bytes_done)) > 10
    assert heard[0].endswith("/1004\r")


def test_it_can_be_paused_resumed_and_ended() -> None:
    talk = marlin()
    for line in ("M23 LONG.GCO", "M24"):
        talk.ask(line)
    talk.wait(20)
    assert talk.ask("M25") == ["//action:pause", "ok"]
    before = talk.ask("M27")
    talk.wait(60)
    assert talk.ask("M27") == before
    talk.ask("M24")
    talk.wait(20)
    assert talk.ask("M27") != before
    assert talk.ask("M31")[1].startswith("echo:Print time: ")
    assert talk.ask("M524")[-2].startswith("X:0.00 Y:0.00 Z:5.00")
    assert talk.ask("M27") == ["Not SD printing", "ok"]
    assert talk.ask("M524") == ["ok"]


def test_the_host_waits_while_the_card_homes() -> None:
    talk = marlin()
    for line in ("M23 LONG.GCO", "M24"):
        talk.ask(line)
    assert talk.send("M105") == []
    assert talk.wait(10)[-1].startswith("ok T:")


def test_a_person_prints_at_the_panel() -> None:
    talk = marlin()
    heard = talk.press("start", "short.gco")
    assert "File opened: short.gco Size: 25" in heard
    assert "ok" not in heard
    assert talk.wait(5)[-1] == "Done printing file"
    talk.press("start", "LONG.GCO")
    talk.wait(10)
    assert talk.press("pause") == ["//action:pause"]
    assert not talk.firmware.printing
    assert talk.press("resume") == ["//action:resume"]
    assert talk.press("cancel")[0] == "//action:cancel"
    talk.wait(60)
    assert talk.firmware.selected is None
    assert talk.firmware.executed == []


def test_the_filament_runs_out() -> None:
    talk = marlin()
    talk.press("start", "LONG.GCO")
    talk.wait(10)
    assert talk.press("runout")[0] == "//action:pause filament_runout"
    assert "echo:busy: paused for user" in talk.wait(60)
    assert talk.press("press") == []
    assert "//action:resumed" in talk.wait(60)


def test_a_parking_pause_hears_nothing_but_m108() -> None:
    talk = marlin(park=True)
    for line in ("M23 LONG.GCO", "M24"):
        talk.ask(line)
    talk.wait(20)
    heard = talk.send("M25") + talk.wait(60)
    assert "//action:paused" in heard
    assert "//action:prompt_begin Nozzle Parked" in heard
    assert heard[-1] == "echo:busy: paused for user"
    assert talk.send("M105") == []
    talk.send("M108")
    heard = [line for line in talk.wait(20) if line != "echo:busy: processing"]
    assert [line.split(" ")[0] for line in heard] == [
        "//action:resumed",
        "ok",  # of M25
        "ok",  # of M105
        "ok",  # of M108
    ]
    assert talk.firmware.printing


def test_the_card_is_pulled_while_idle() -> None:
    talk = marlin()
    assert talk.press("pull")[0] == "echo:SD card released"
    assert talk.ask("M20") == ["echo:No media", "ok"]
    assert talk.ask("M21") == ["echo:No SD card", "ok"]
    assert talk.ask("M23 short.gco") == ["open failed, File: short.gco.", "ok"]
    assert talk.ask("M24") == ["//action:resume", "ok"]
    assert talk.press("insert")[0] == "echo:SD card ok"
    assert "SHORT.GCO 25" in talk.ask("M20")


def test_the_card_is_pulled_while_it_prints() -> None:
    talk = marlin()
    talk.press("start", "LONG.GCO")
    talk.wait(20)
    talk.press("pull")
    talk.wait(20)
    talk.send("M105")
    heard = talk.wait(1)
    assert heard.count("Error:SD read error") > 900
    assert not any(line.startswith("ok") for line in heard)
    noise = {"Error:SD read error", "echo:busy: processing"}
    heard = talk.press("insert") + talk.wait(60)
    heard = [line for line in heard if line not in noise]
    assert heard[0] == "echo:SD card released"
    assert heard[-1].startswith("ok T:")
    assert not talk.firmware.printing


def test_m22_releases_and_m21_takes_it_again() -> None:
    talk = marlin()
    assert talk.ask("M22") == ["echo:SD card released", "ok"]
    assert talk.ask("M20") == ["echo:No media", "ok"]
    assert talk.ask("M21") == ["echo:SD card ok", "ok"]


def test_the_list_has_long_names_and_dates_when_asked() -> None:
    talk = marlin()
    assert talk.ask("M20")[1] == "SHORT.GCO 25"
    assert talk.ask("M20 L")[1] == "SHORT.GCO 25 A short one.gcode"
    assert talk.ask("M20 T")[1] == "SHORT.GCO 25 0x5a2b"
    assert talk.ask("M20 L T")[1] == "SHORT.GCO 25 0x5a2b A short one.gcode"
    assert talk.ask("M33 short.gco") == ["/A short one.gcode", "ok"]
    assert talk.ask("M33 long.gco") == ["/LONG.GCO", "ok"]
    assert talk.ask("M33 none.gco") == ["ok"]


def test_one_can_seek_and_ask_which_file() -> None:
    talk = marlin()
    assert talk.ask("M27 C") == ["Current file: (no file)", "ok"]
    talk.ask("M26 S5")
    talk.ask("M23 short.gco")
    talk.ask("M26 S99999")
    assert talk.ask("M27") == ["SD printing byte 25/25\r", "ok"]
    assert talk.ask("M27 C") == ["Current file: SHORT.GCO", "ok"]


def test_m32_selects_and_starts() -> None:
    talk = marlin()
    talk.ask("M32 short.gco")
    assert talk.firmware.printing
    assert talk.ask("M32 none.gco")[-2] == "open failed, File: none.gco."


def test_a_file_is_written_and_read_again() -> None:
    talk = marlin()
    assert "Writing to file: up.gco" in talk.ask("M28 sub/up.gco")
    assert talk.send("G1 X1") == [
        "Error:No Checksum with line number, Last Line: 0",
        "Resend: 1",
        "ok",
    ]
    assert talk.send("G1 X1", 1) == ["ok"]
    assert talk.firmware.position["x"] == 0.0
    assert talk.send("M29") == ["Done saving file.", "ok"]
    assert "SUB/UP.GCO 6" in talk.ask("M20")
    talk.ask("M32 sub/up.gco")
    assert "Done printing file" in talk.wait(5)
    assert talk.firmware.position["x"] == 1.0
    assert talk.ask("M30 sub/up.gco") == ["File deleted:sub/up.gco", "ok"]
    assert talk.ask("M30 sub/up.gco")[0] == "Deletion failed, File: sub/up.gco."
    assert talk.ask("M29") == ["ok"]


def test_a_file_needs_a_name() -> None:
    assert marlin().ask("M28")[-2] == "open failed, File: ."


@pytest.mark.parametrize(
    ("action", "arguments", "message"),
    [
        ("start", ("none.gco",), 'no file "none.gco" on the card'),
        ("start", (), "needs an argument"),
        ("target", ("tool7", 200.0), r'no heater "tool7" \(known: tool0, bed'),
        ("dance", (), r'no action "dance" \(known: start, '),
    ],
)
def test_what_a_person_cannot_do(
    action: str, arguments: tuple[str | float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        marlin().press(action, *arguments)


def test_a_person_sets_a_target_and_stops_the_machine() -> None:
    talk = marlin()
    talk.press("target", "bed", 50.0)
    assert talk.firmware.heaters["bed"].target == 50.0
    assert talk.press("say", "hello") == ["hello"]
    assert talk.press("kill")[-1] == "//action:poweroff"
    assert talk.press("say", "hello") == []


def test_what_the_card_says_has_no_ok_of_its_own() -> None:
    asks = CardFile("ASKS.GCO", b"M105\nM114\nfoo\n")
    talk = Talk(Firmware("marlin", files=(asks,)))
    heard = talk.press("start", "asks.gco")[-1:] + talk.wait(5)
    assert [line[:9] for line in heard] == [
        "T:21.00 /",
        "X:0.00 Y:",
        "echo:Unkn",
        "Done prin",
    ]


def test_a_file_may_fill_the_card() -> None:
    card = Card.of(())
    for _ in range(5):
        card.write("x" * 1_000_000)
    assert len(card.written) <= 5_000_000
    before = len(card.written)
    card.write("more")
    assert len(card.written) == before


def test_nothing_is_read_where_nothing_is_selected() -> None:
    assert Card.of(()).next_line() is None


def test_old_firmwares_have_no_long_names() -> None:
    talk = Talk(Firmware("marlin1", files=(SHORT,)))
    assert talk.ask("M20 L")[1] == "SHORT.GCO 25"
    assert talk.ask("M33 short.gco")[0] == 'echo:Unknown command: "M33 short.gco"'
    talk.press("start", "SHORT.GCO")
    talk.wait(1)
    assert talk.ask("M27") == ["Not SD printing", "ok"]


def test_a_cancel_by_hand_of_a_firmware_without_actions() -> None:
    talk = Talk(Firmware("marlin1", files=(LONG,)))
    talk.press("start", "LONG.GCO")
    talk.wait(10)
    assert talk.press("cancel") == []
    assert talk.wait(60) == []
    assert talk.firmware.position["z"] == 5.0


def test_the_end_of_a_print_comes_after_its_last_move() -> None:
    slow = CardFile("SLOW.GCO", b"G1 X100 F600\n")
    talk = Talk(Firmware("marlin", files=(slow,)))
    talk.press("start", "slow.gco")
    talk.wait(5)
    assert talk.ask("M27") == ["SD printing byte 13/13\r", "ok"]
    assert talk.wait(6) == ["Done printing file"]


def test_a_printer_can_be_locked_and_unlocked_at_its_panel() -> None:
    talk = marlin()
    assert "Unknown command" in talk.ask("M511 P1")[0]  # built without the feature
    talk.press("lock")
    assert "locked" in talk.ask("G28")[0]
    talk.press("unlock")
    assert talk.ask("M84") == ["ok"]
