"""The logs of real firmware, told to the state: what a person would have noted down."""

from pathlib import Path

import pytest

from bridge.gcode.reply_types import FileEntry
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.heaters import HeaterState
from tests.support.knowing import Knowing
from tests.support.wire_logs import FOLDER, dialect_of, logs, read


def replay(name: str, until: float = float("inf")) -> Knowing:
    """Return the printer as it is known after a log; a restart is met anew."""
    log = FOLDER / name
    printer = Knowing(dialect=dialect_of(log))
    for line in read(log):
        if line.time > until:
            break
        printer.at(line.time)
        if line.by_host:
            printer.begins(line.text.removesuffix("\\n"))
        elif line.text.strip() == "start":
            printer.become(known.reset(printer.state, now=line.time))
            printer.become(known.connected(printer.state, dialect=printer.dialect))
        else:
            printer.says(line.text)
        if "Klipper state: Ready" in line.text and printer.state.halted:
            printer.become(known.connecting(printer.state))
            printer.become(known.connected(printer.state, dialect=printer.dialect))
    return printer


def told(printer: Knowing, *names: str) -> list[str]:
    return [event.name for event in printer.events if event.name in names]


PRINT = (
    "print_started",
    "print_paused",
    "print_resumed",
    "print_done",
    "print_cancelled",
    "print_failed",
)


@pytest.mark.parametrize("log", logs(), ids=lambda log: log.stem)
def test_every_log_can_be_followed(log: Path) -> None:
    printer = replay(f"{log.parent.name}/{log.name}")
    assert set(printer.state.heaters) <= {"tool0", "tool1", "bed"}
    assert printer.state.sensors == {}


def test_marlin_is_known_after_a_short_talk() -> None:
    state = replay("marlin/m21-basic.txt").state
    assert state.firmware is not None
    assert state.firmware.name.startswith("Marlin bugfix-2.1.x")
    assert state.capabilities["EMERGENCY_PARSER"]
    assert state.card
    assert state.heaters == {
        "tool0": HeaterState(19.37, 0),
        "bed": HeaterState(19.37, 0),
    }


def test_two_extruders_become_two_tools() -> None:
    state = replay("marlin/m21-2e.txt").state
    assert set(state.heaters) == {"tool0", "tool1", "bed"}


def test_prints_from_marlins_card_are_seen() -> None:
    printer = replay("marlin/m21-sd.txt", until=84)
    assert told(printer, *PRINT) == [
        "print_started",
        "print_done",
        "print_started",
        "print_paused",
        "print_resumed",
        "print_cancelled",
        "print_started",
    ]
    assert printer.state.phase in {"starting", "printing"}
    assert printer.state.job.file == "ARATHE~1.GCO"


def test_a_card_pulled_from_marlin_ends_the_print() -> None:
    printer = replay("marlin/m21-sd.txt", until=100.7)
    assert told(printer, *PRINT)[-1] == "print_failed"
    assert printer.state.job.result is not None
    assert printer.state.job.result.reason == "card_removed"
    assert printer.state.phase == "operational"
    assert printer.state.files == (
        FileEntry("SMALL.GCO", 51, "SMALL.GCO"),
        FileEntry("ARATHE~1.GCO", 668934, "ARATHE~1.GCO"),
        FileEntry("SUB/PARTON~1.GCO", 51, "PARTON~1.GCO"),
    )


def test_long_names_come_with_the_extended_list() -> None:
    printer = replay("marlin/m21-sd.txt", until=0.3)
    assert {file.display for file in printer.state.files} == {
        "SMALL.GCO",
        "A rather long file name.gc",
        "Sub/part one.gcode",
    }


def test_a_parked_marlin_waits_for_somebody() -> None:
    printer = replay("marlin/m21-sd-M25-park-blocks.txt", until=74)
    assert printer.state.phase == "paused"
    assert printer.state.waiting
    assert printer.state.prompt is not None
    assert printer.state.prompt.text == "Nozzle Parked"
    assert printer.state.prompt.choices == ("Continue",)
    asked = [e.data for e in printer.events if e.name == "waiting_for_user"]
    assert asked[-1] == {"prompt": "Nozzle Parked", "choices": ["Continue"]}


def test_a_heater_that_does_not_heat_is_the_reason_and_not_the_kill() -> None:
    state = replay("marlin/m21-heating-failed.txt").state
    assert state.phase == "error"
    assert state.problem is not None
    assert state.problem.reason == "heating_failed"
    assert state.problem.error == (
        "Heating failed, system stopped! Heater_ID: E0 Printer halted. kill() called!"
    )


def test_klippers_files_and_print_are_seen() -> None:
    printer = replay("klipper/07_sdcard.txt")
    assert [file.path for file in printer.state.files][-1] == "With Space Name.gcode"
    assert printer.state.refused >= {"M22", "M32"}
    assert "print_done" in told(printer, *PRINT)


def test_klippers_pauses_and_cancels_are_seen() -> None:
    printer = replay("klipper/07b_sd_pause_resume_cancel.txt")
    assert told(printer, *PRINT) == [
        "print_started",
        "print_paused",
        "print_resumed",
        "print_paused",
        "print_resumed",
        "print_paused",
        "print_cancelled",
        "print_started",
        "print_failed",
    ]


def test_klippers_shutdown_gets_its_reason_late() -> None:
    before = replay("klipper/10_mcu_lost_async.txt", until=12.5).state
    assert before.phase == "error"
    assert before.problem is not None
    assert before.problem.error == "the firmware has shut down"
    assert before.heaters["bed"] == HeaterState()
    after = replay("klipper/10_mcu_lost_async.txt", until=13).state
    assert after.problem is not None
    assert after.problem.error == (
        "Lost communication with MCU 'mcu'. Once the underlying issue is corrected, "
        'use the "FIRMWARE_RESTART" command to reset the firmware, reload the config, '
        "and restart the host software."
    )
    assert replay("klipper/10_mcu_lost_async.txt").state.phase == "operational"


def test_a_klipper_that_is_not_ready_is_not_operational() -> None:
    state = replay("klipper/09b_not_ready_no_mcu.txt", until=1.4).state
    assert state.link == "error"
    assert state.problem is not None
    assert state.problem.error.startswith("Printer is not ready. The klippy host")
    assert state.problem.reason == "not_ready"
