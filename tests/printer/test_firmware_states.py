"""Printers that are not ready, locked, halted or waiting."""

from pathlib import Path

import pytest

from bridge.errors import FailedError, RejectedError
from bridge.printer.control import stopped_firmware
from bridge.simulator.card import LONG_FILE
from tests.support.live import Live, live
from tests.support.printers import SimulatedPrinter, scripted, simulated, unframed
from tests.support.waiting import until

FAST = "simulator://marlin?speed=1000"
PRINTS = "simulator://marlin?speed=5"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopped_firmware, "INQUIRY", 0.2)


def error(it: Live) -> str:
    """Return the printer's error, or an empty text."""
    trouble = it.printer.state.trouble
    return trouble.error if trouble else ""


def sent_to(printer: SimulatedPrinter, line: str) -> int:
    """Return how often the printer was sent a line."""
    data = b"".join(printer.wire.heard())
    return [unframed(text) for text in data.splitlines()].count(line)


async def test_a_klipper_that_is_not_ready_is_one_error_until_it_is(
    tmp_path: Path,
) -> None:
    url = "simulator://klipper?speed=1000&ready=0"
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link), connected=False) as it:
            await until(
                lambda: error(it).startswith("Printer is not ready. The klippy")
            )
            asked = sent_to(printer, "STATUS")
            await until(lambda: sent_to(printer, "STATUS") > asked + 2)
            assert it.printer.state.link == "error"
            assert it.event_names.count("error") == 1
            assert not {"connected", "printer_reset", "position"} & set(it.event_names)
            with pytest.raises(RejectedError):
                await it.does("command", command="G28")
            printer.press("ready")
            await it.operational()
            assert it.event_names.count("connected") == 1
            assert error(it) == ""


@pytest.mark.parametrize("restart", ["RESTART", "FIRMWARE_RESTART"])
async def test_a_wrong_configuration_is_named_with_the_way_out(
    tmp_path: Path, restart: str
) -> None:
    url = "simulator://klipper?speed=1000&config_error=1&kalico=1"
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link), connected=False) as it:
            await until(lambda: error(it).startswith("Section 'nonsense'"))
            assert '"RESTART"' in error(it)
            before = len(it.entries)
            await it.does("command", command=restart)
            await until(
                lambda: any(b"Disconnect" in x.data for x in it.entries[before:])
            )
            await until(lambda: any(b"nonsense" in x.data for x in it.entries[before:]))
            assert it.printer.state.link == "error", "the new answer is the same"
            printer.press("ready")
            await it.does("command", command=restart)
            await it.operational()


async def test_after_a_stop_only_the_other_restart_helps_and_it_says_so(
    tmp_path: Path,
) -> None:
    url = "simulator://klipper?speed=1000"
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            await it.does("emergency")
            await until(lambda: it.printer.state.readiness == "shutdown")
            await it.does("command", command="RESTART")
            await until(lambda: error(it).startswith("Can not update MCU"))
            assert '"FIRMWARE_RESTART"' in error(it)
            await it.does("command", command="FIRMWARE_RESTART")
            await it.operational()


async def test_a_shut_down_firmware_is_not_operational_after_a_reconnect(
    tmp_path: Path,
) -> None:
    url = "simulator://klipper?speed=1000&kalico=1"
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.press("shutdown", "Lost communication with MCU 'mcu'")
            await until(lambda: "Lost communication" in error(it))
            it.printer.reconnect()
            await until(lambda: sent_to(printer, "M115") > 1)
            await until(lambda: "Lost communication" in error(it))
            assert it.printer.state.link == "error"
            assert it.event_names.count("connected") == 1


async def test_a_halted_firmware_that_answers_turns_its_heaters_off(
    tmp_path: Path,
) -> None:
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.says("Error:Printer stopped due to errors. Use M999\n")
            await until(lambda: it.printer.state.halted)
            run = await it.does("tool", command="cool_down")
            assert run.gcode
            assert all(line.endswith("S0") for line in run.gcode)
            assert it.sent[-len(run.gcode) :] == run.gcode
            for refused in ("G28", "M104 S50"):
                with pytest.raises(RejectedError):
                    await it.does("command", command=refused)


async def test_one_that_does_not_answer_is_said_to_be_still_hot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopped_firmware, "STOPPED_ANSWERS", 0.2)
    with scripted(tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.says("Error:Printer halted. kill() called!\n")
            await until(lambda: it.printer.state.halted)
            printer.silent = True
            with pytest.raises(FailedError, match="disconnect its power"):
                await it.does("tool", command="cool_down")


async def test_a_failed_probing_leaves_the_printer_usable(tmp_path: Path) -> None:
    answers = {
        "M115": "FIRMWARE_NAME:Marlin 2.1 (Scripted)",
        "G29": "echo:busy: processing\nError:Probing Failed",
    }
    with scripted(tmp_path / "port", answers) as printer:
        async with live(str(printer.link)) as it:
            with pytest.raises(FailedError, match="Probing Failed"):
                await it.does("command", command="G29")
            run = await it.does("tool", command="cool_down")
            assert run.gcode
            assert it.printer.state.link == "operational"


async def test_a_wait_for_a_person_ends_before_the_print_is_cancelled(
    tmp_path: Path,
) -> None:
    with simulated(PRINTS, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.press("start", LONG_FILE.name)
            await until(lambda: it.printer.state.printing)
            printer.press("run", "M600")
            await until(lambda: it.printer.state.asks)
            await until(lambda: any(b"Not SD printing" in x.data for x in it.entries))
            assert "print_cancelled" not in it.event_names
            run = await it.does("job", command="cancel")
            assert run.gcode == ["M876 S0", "M524"]
            await until(lambda: "print_cancelled" in it.event_names)
            assert not printer.firmware.printing


async def test_a_resume_ends_the_wait_of_a_filament_change(tmp_path: Path) -> None:
    with simulated(PRINTS, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.press("start", LONG_FILE.name)
            await until(lambda: it.printer.state.printing)
            printer.press("run", "M600")
            await until(lambda: it.printer.state.asks)
            await until(lambda: it.printer.state.waiting)
            run = await it.does("job", command="resume")
            assert run.gcode == ["M876 S0"]
            await until(lambda: printer.firmware.printing)
            assert "print_cancelled" not in it.event_names


async def test_without_an_emergency_parser_the_answer_is_at_once(
    tmp_path: Path,
) -> None:
    url = f"{PRINTS}&emergency_parser=0"
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.press("start", LONG_FILE.name)
            await until(lambda: it.printer.state.printing)
            printer.press("run", "M600")
            await until(lambda: it.printer.state.waiting)
            for command in ("cancel", "resume", "answer"):
                with pytest.raises(RejectedError, match="Nozzle Parked") as refused:
                    await it.does("job", command=command)
                assert (refused.value.code, refused.value.error) == (
                    409,
                    "waiting_for_user",
                )
            printer.press("press")
            await until(lambda: printer.firmware.printing)


async def test_a_print_with_a_dialog_of_its_start_needs_nobody(tmp_path: Path) -> None:
    url = f"{PRINTS}&resume_dialog=1"
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            await it.does("command", command=f"M23 {LONG_FILE.name}")
            await it.does("job", command="start")
            await until(lambda: it.printer.state.phase == "printing")
            assert not it.printer.state.asks
            assert "waiting_for_user" not in it.event_names


@pytest.mark.parametrize(
    ("url", "choice", "line"),
    [
        ("simulator://klipper?speed=1000", 0, "LOAD_FILAMENT TEMP=200"),
        ("simulator://klipper?speed=1000", 1, "LOAD_FILAMENT TEMP=250"),
        ("simulator://klipper?speed=1000", 2, "CANCEL_LOAD"),
        (FAST, 0, "M876 S0"),
        (FAST, 1, "M876 S1"),
    ],
)
async def test_the_buttons_of_a_dialog_can_be_pressed(
    tmp_path: Path, url: str, choice: int, line: str
) -> None:
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            with pytest.raises(RejectedError, match="is not asking anything"):
                await it.does("job", command="answer")
            printer.press("dialog")
            await until(lambda: it.printer.state.asks)
            with pytest.raises(RejectedError, match="no button 7"):
                await it.does("job", command="answer", choice=7)
            run = await it.does("job", command="answer", choice=choice)
            assert run.gcode == [line]
            await until(lambda: not it.printer.state.asks)


async def test_klipper_refuses_marlins_answer_and_the_dialog_stays(
    tmp_path: Path,
) -> None:
    url = "simulator://klipper?speed=1000"
    with simulated(url, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.press("dialog")
            await until(lambda: it.printer.state.asks)
            with pytest.raises(FailedError):
                await it.does("command", command="M876 S0")
            assert it.printer.state.asks


async def test_a_locked_printer_says_so_until_it_is_unlocked(tmp_path: Path) -> None:
    with simulated(FAST, tmp_path / "port") as printer:
        async with live(str(printer.link)) as it:
            printer.press("lock")
            with pytest.raises(FailedError, match="Printer locked"):
                await it.does("command", command="G28")
            assert it.printer.state.locked
            assert it.printer.state.link == "operational"
            await it.does("command", command="M511 P1234")
            await it.does("command", command="M105")
            await until(lambda: not it.printer.state.locked)


async def test_what_was_not_reported_for_three_intervals_is_not_known(
    tmp_path: Path,
) -> None:
    answers = {"M115": "FIRMWARE_NAME:Marlin 2.1", "M105": "ok T:20.0 /0.0 B:30.0 /0.0"}
    with scripted(tmp_path / "port", answers) as printer:
        async with live(str(printer.link)) as it:
            it.printer._poller.configure(1.0)  # noqa: SLF001 - 3 instead of 6 s
            await until(lambda: it.printer.state.heaters["bed"].actual == 30.0)
            measured = it.printer.state.heaters["bed"].measured_at
            assert measured is not None
            printer.answers["M105"] = "ok T:20.0 /0.0"
            await until(lambda: it.printer.state.heaters["bed"].actual is None)
            assert it.printer.state.heaters["bed"].target == 0.0
