"""A heater that failed while the firmware continues, and errors of nobody's command."""

from pathlib import Path

import pytest

from bridge.config import Profile
from bridge.errors import FailedError
from bridge.gcode.dialects import MARLIN, REPETIER, REPRAPFIRMWARE
from bridge.printer.control.command_queue import Run
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.model import Problem
from bridge.printer.published import views
from bridge.printer.published.safety_flags import attention, hot, safe_to_power_off
from tests.support.knowing import Knowing
from tests.support.live import command_of, live
from tests.support.printers import scripted
from tests.support.waiting import until

EXCURSION = "Heating fault on heater 1, temperature excursion exceeded 15.0C"
SLOW = "Heater 0 fault: temperature rising too slowly"


@pytest.fixture
def printer() -> Knowing:
    return Knowing(Profile(), REPRAPFIRMWARE, now=7.0)


def broken(printer: Knowing) -> Problem:
    problem = printer.state.trouble
    assert problem is not None
    return problem


def test_a_heaters_fault_is_an_error_and_the_printer_goes_on(printer: Knowing) -> None:
    printer.says("T:200.0 /200.0 B:60.0 /60.0", f"Error: {EXCURSION}")
    assert broken(printer) == Problem(
        error=EXCURSION, reason="heater_fault", consequence="heater_off", time=7
    )
    told = {
        "error": EXCURSION,
        "reason": "heater_fault",
        "consequence": "heater_off",
        "severity": "error",
    }
    assert printer.events == [StateEvent("error", told)]
    assert (printer.state.phase, printer.state.halted) == ("operational", False)
    assert printer.state.heaters["bed"].target == 60
    state = views.state(printer.state, now=7, epoch=0)
    assert (state.state, state.error, state.attention) == (
        "operational",
        EXCURSION,
        "error",
    )
    assert (state.flags.error, state.flags.operational) == (False, True)
    assert views.error(printer.state, epoch=0).consequence == "heater_off"


def test_a_sensor_that_may_have_failed_calms_nobody(printer: Knowing) -> None:
    printer.says("T:20.0 /0.0 B:20.0 /0.0")
    assert (hot(printer.state), safe_to_power_off(printer.state)) == (False, True)
    printer.says(f"Error: {SLOW}")
    assert (hot(printer.state), safe_to_power_off(printer.state)) == (None, None)
    printer.says("T:20.0 /0.0 B:60.0 /60.0")
    assert (hot(printer.state), safe_to_power_off(printer.state)) == (True, False)
    printer.says("T:20.0 /0.0 B:20.0 /0.0")
    printer.become(known.acknowledged(printer.state))
    assert (hot(printer.state), safe_to_power_off(printer.state)) == (False, True)


def test_a_print_goes_on_as_far_as_the_firmware_says(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 99")
    printer.sends("M24")
    printer.at(9).says("SD printing byte 5/99", "SD printing byte 9/99")
    printer.says(f"Error: {SLOW}")
    assert printer.state.phase == "printing"


def test_what_is_said_each_second_is_one_error(printer: Knowing) -> None:
    for second in range(10):
        printer.at(second).says(f"Error: {SLOW}: expected 2.{second} measured 0.50")
    assert printer.happened() == ["error"]
    assert broken(printer).time == 0
    printer.says(f"Error: {EXCURSION}")
    assert printer.happened() == ["error"]
    assert broken(printer).error == f"{SLOW}: expected 2.0 measured 0.50 {EXCURSION}"


def test_an_error_that_grows_has_an_end(printer: Knowing) -> None:
    for number in range(200):
        printer.says(f"Heater {number} fault: failed to read sensor")
    assert len(broken(printer).error) == 1000


def test_it_is_over_when_somebody_takes_note(printer: Knowing) -> None:
    printer.says(f"Error: {SLOW}")
    printer.become(known.acknowledged(printer.state))
    assert printer.state.trouble is None
    assert attention(printer.state) == "none"


def test_it_is_over_when_the_printer_is_met_anew(printer: Knowing) -> None:
    printer.says(f"Error: {SLOW}")
    gone = Problem(error="gone", reason="connection", consequence="disconnected")
    printer.become(known.disconnected(printer.state, gone, now=0))
    assert broken(printer) == gone
    printer.become(known.connecting(printer.state))
    printer.become(known.connected(printer.state, dialect=MARLIN))
    assert printer.state.trouble is None


def test_what_is_said_at_the_start_counts() -> None:
    printer = Knowing(dialect=REPETIER)
    printer.become(known.reset(printer.state, now=1))
    printer.says("Error:Temp sensor defect")
    printer.become(known.connected(printer.state, dialect=REPETIER))
    assert broken(printer).reason == "sensor_defect"


def test_a_stop_matters_more(printer: Knowing) -> None:
    printer.says(f"Error: {SLOW}", "Error:MAXTEMP triggered", f"Error: {EXCURSION}")
    assert broken(printer).reason == "maxtemp"
    assert printer.state.phase == "error"


async def test_the_other_heaters_can_be_turned_off(tmp_path: Path) -> None:
    answers = {"M115": "FIRMWARE_NAME: RepRapFirmware for Duet 2 FIRMWARE_VERSION: 3.5"}
    with scripted(tmp_path / "port", answers) as printer:
        async with live(str(printer.link)) as it:
            printer.says(f"Error: {EXCURSION}\n")
            await until(lambda: it.printer.state.trouble is not None)
            problem = it.printer.state.trouble
            assert problem is not None
            assert f"<<< Error: {EXCURSION}" in problem.logs
            await it.does("bed", command="target", target=0)
            assert "M140 S0" in it.sent
            assert it.printer.state.link == "operational"


async def test_an_error_that_belongs_to_nobody_is_told(tmp_path: Path) -> None:
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.says("Error:SD read error\n" * 100)
            await until(lambda: "complaint" in it.event_names)
            printer.says("Error:another\n")
            await until(lambda: it.event_names.count("complaint") == 2)
            told = [e.data for e in it.events if e.name == "complaint"]
            assert told == [
                {"error": "SD read error", "left_out": 0},
                {"error": "another", "left_out": 99},
            ]
            assert it.printer.state.link == "operational"
            assert it.printer.state.trouble is None


async def test_an_error_to_a_command_that_nobody_waits_for_any_more_is_told(
    tmp_path: Path,
) -> None:
    with scripted(tmp_path / "port") as printer:
        printer.held.add("M400")
        async with live(str(printer.link)) as it:
            command = command_of("command", command="M400")
            with pytest.raises(FailedError, match="the line in flight continues"):
                await it.printer.execute(command, Run(), within=0.05)
            assert "complaint" not in it.event_names
            printer.says("Error:endstop hit\nok\n")
            await until(lambda: "complaint" in it.event_names)
            told = [e.data["error"] for e in it.events if e.name == "complaint"]
            assert told == ["endstop hit"]


async def test_an_error_to_a_question_of_our_own_is_told(tmp_path: Path) -> None:
    answers = {
        "M115": "FIRMWARE_NAME:Marlin 2.1 (Scripted)",
        "M27": "Error:SD read error",
        "M114": 'echo:Unknown command: "M114"',
    }
    with scripted(tmp_path / "port", answers) as printer:
        async with live(str(printer.link)) as it:
            await until(lambda: "complaint" in it.event_names)
            told = [e.data["error"] for e in it.events if e.name == "complaint"]
            assert told == ["SD read error"]


async def test_an_error_behind_a_stop_is_a_part_of_it(tmp_path: Path) -> None:
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.says("Error:Printer halted. kill() called!\nError:and so on\n")
            await until(lambda: any(b"so on" in x.data for x in it.entries))
            await it.end()
            assert "complaint" not in it.event_names
