"""What is concluded of the card and its print where the firmware tells little."""

import pytest

from bridge.gcode.dialects import KLIPPER, MARLIN, PRUSA, REPRAPFIRMWARE, Dialect
from bridge.printer.control.polling import wanted_polls
from tests.support.knowing import Knowing


def printing(dialect: Dialect) -> Knowing:
    """Return a printer on which somebody has started a print."""
    printer = Knowing(dialect=dialect)
    printer.says("File opened:a.gcode Size:1000", "File selected")
    printer.at(1.0).says("SD printing byte 10/1000")
    assert phase(printer) == "printing"
    printer.happened()
    return printer


def phase(printer: Knowing) -> str:
    """Return what it is doing."""
    return printer.state.phase


def stands(printer: Knowing, times: int, at: int = 10) -> None:
    """Have it answer with the same byte, once a second."""
    for _ in range(times):
        printer.at(printer.now + 1.0).says(f"SD printing byte {at}/1000")


def test_bytes_that_stand_still_tell_of_a_pause() -> None:
    printer = printing(KLIPPER)
    stands(printer, 2)
    assert phase(printer) == "printing"
    stands(printer, 1)
    assert phase(printer) == "paused"
    stands(printer, 5)
    assert printer.happened() == ["print_paused"]
    printer.says("SD printing byte 20/1000", "SD printing byte 30/1000")
    assert phase(printer) == "printing"
    assert printer.happened() == ["print_resumed"]


def test_a_slow_print_is_not_paused() -> None:
    printer = printing(KLIPPER)
    for position in range(11, 30):
        stands(printer, 2, position)
    assert printer.happened() == []


def test_a_print_whose_last_byte_is_read_is_not_paused() -> None:
    printer = printing(KLIPPER)
    stands(printer, 9, 1000)
    assert phase(printer) == "finishing"


def test_reports_during_a_long_move_tell_of_no_pause() -> None:
    """They come by themselves, not between two lines of the print."""
    printer = printing(MARLIN)
    printer.sends("M27 S1")
    stands(printer, 30)
    assert phase(printer) == "printing"
    elsewhere = printing(REPRAPFIRMWARE)
    stands(elsewhere, 30)
    assert phase(elsewhere) == "printing"


def test_a_firmware_that_says_it_is_paused() -> None:
    printer = printing(PRUSA)
    printer.says("SD print paused")
    assert phase(printer) == "paused"
    printer.says("// action:resumed")
    assert phase(printer) == "printing"


def test_a_print_that_is_paused_when_we_come_has_no_known_start() -> None:
    printer = Knowing(dialect=PRUSA)
    printer.says("SD print paused")
    assert phase(printer) == "paused"
    assert not printer.state.job.start_seen
    assert printer.state.card


def test_what_a_pause_began_with_is_its_reason() -> None:
    printer = printing(MARLIN)
    printer.says("//action:pause filament_runout", "//action:paused filament_change 0")
    assert printer.state.job.reason == "filament_runout"
    assert printer.happened() == ["print_paused", "filament_runout"]
    printer.says("//action:resumed", "//action:paused filament_change 0")
    assert printer.state.job.reason == "filament_change 0"


def asked(printer: Knowing) -> list[str]:
    """Return what the printer is asked again and again."""
    polls = wanted_polls(
        printer.state, dialect=printer.dialect, interval=5.0, now=printer.now
    )
    return [poll.line for poll in polls]


def test_a_card_that_came_is_listed_once() -> None:
    printer = Knowing()
    assert "M20" not in asked(printer)
    printer.says("echo:SD card ok")
    assert "M20" in asked(printer)
    printer.says("Begin file list", "End file list")  # it may be empty
    assert "M20" not in asked(printer)
    printer.says("echo:SD card released", "echo:SD card ok")
    assert "M20" in asked(printer)


def test_no_list_is_read_during_a_print() -> None:
    printer = printing(MARLIN)
    assert printer.state.card
    assert not any(line.startswith("M20") for line in asked(printer))


@pytest.mark.parametrize(("enabled", "line"), [(1, "M20 L T"), (0, "M20")])
def test_long_names_and_dates_are_asked_for_where_there_are_any(
    enabled: int, line: str
) -> None:
    printer = Knowing()
    printer.says(f"Cap:EXTENDED_M20:{enabled}", "echo:SD card ok")
    assert line in asked(printer)


def test_a_release_that_the_firmware_does_not_know_costs_no_files() -> None:
    printer = Knowing(dialect=KLIPPER)
    printer.says("SD card ok", "Begin file list", "a.gcode 10", "End file list")
    printer.begins("M22")
    printer.says('// Unknown command:"M22"', "ok")
    assert printer.state.card
    assert "M20" in asked(printer)
