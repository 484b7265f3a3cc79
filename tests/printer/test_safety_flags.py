"""What people around a printer should know."""

from dataclasses import replace

import pytest

from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.model import Problem, evolve
from bridge.printer.published.safety_flags import (
    attention,
    can,
    hot,
    safe_to_power_off,
    status,
)
from tests.support.knowing import Knowing

STOPPED = Problem(error="Thermal", reason="thermal_runaway", consequence="halted")


@pytest.fixture
def printer() -> Knowing:
    return Knowing()


def printing() -> Knowing:
    printer = Knowing()
    printer.says("File opened: a.gco Size: 99", "T:20 /0 B:20 /0")
    printer.sends("M24")
    printer.at(5).says("SD printing byte 5/99", "SD printing byte 9/99")
    return printer


def allowed(printer: Knowing) -> set[str]:
    return {name for name, able in can(printer.state).model_dump().items() if able}


def test_what_can_be_asked_follows_the_print(printer: Knowing) -> None:
    assert allowed(printer) == {"select", "move"}
    printer.says("File opened: a.gco Size: 99")
    assert allowed(printer) == {"select", "move", "start"}
    printer.sends("M24")
    assert allowed(printer) == {"pause", "cancel"}
    printer.says("//action:paused")
    assert allowed(printer) == {"resume", "cancel", "move"}
    printer.sends("M24")
    assert allowed(printer) == {"pause", "cancel"}
    printer.sends("M524")
    assert allowed(printer) == set()
    printer.says("Not SD printing")
    assert allowed(printer) == {"select", "move", "start", "reprint"}


def test_nothing_can_be_asked_of_a_printer_that_is_away(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 99")
    printer.become(known.disconnected(printer.state, now=0))
    assert allowed(printer) == set()


def test_nothing_is_started_without_a_card(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 99", "echo:SD card released")
    assert "start" not in allowed(printer)


def test_why_a_person_has_to_come(printer: Knowing) -> None:
    assert attention(printer.state) == "none"
    printer.says("//action:prompt_begin Nozzle clean?", "//action:prompt_show")
    assert attention(printer.state) == "prompt"
    printer.become(known.failed(printer.state, STOPPED))
    assert attention(printer.state) == "error"


@pytest.mark.parametrize(
    ("reason", "word"),
    [("", "none"), (" filament_runout", "filament_runout"), (" door open", "paused")],
)
def test_a_pause_of_the_printer_s_own_has_a_reason(reason: str, word: str) -> None:
    printer = printing()
    printer.says(f"//action:paused{reason}")
    assert attention(printer.state) == word
    printer.says("//action:resumed")
    assert attention(printer.state) == "none"


@pytest.mark.parametrize(
    ("report", "burns"),
    [
        ("T:20 /0 B:20 /0", False),
        ("T:44.9 /0 B:20 /0", False),
        ("T:45 /0 B:20 /0", True),
        ("T:20 /0 B:45 /0", True),
        ("T:20 /210 B:20 /0", True),
        ("T:20 /0 B:39.8 /40", True),
        ("T:20 /0 B:38 /39", False),
    ],
)
def test_what_burns(printer: Knowing, report: str, *, burns: bool) -> None:
    printer.says(report)
    assert hot(printer.state) is burns


def test_a_printer_that_is_away_may_be_hot(printer: Knowing) -> None:
    assert hot(printer.state) is None
    printer.says("T:210 /0 B:20 /0")
    printer.become(known.disconnected(printer.state, now=0))
    assert hot(printer.state) is None
    assert safe_to_power_off(printer.state) is None


@pytest.mark.parametrize(
    ("report", "safe"),
    [
        ("T:20 /0 B:20 /0", True),
        ("T:50 /0 B:90 /0", True),
        ("T:50.1 /0 B:20 /0", False),
        ("T:20 /0 B:20 /50", False),
        ("T:20 /30 B:20 /0", False),
    ],
)
def test_when_it_can_be_switched_off(
    printer: Knowing, report: str, *, safe: bool
) -> None:
    assert safe_to_power_off(printer.state) is None
    printer.says(report)
    assert safe_to_power_off(printer.state) is safe


def test_a_print_is_not_switched_off() -> None:
    printer = printing()
    assert safe_to_power_off(printer.state) is False
    printer.says("//action:paused")
    assert safe_to_power_off(printer.state) is False


def test_the_status_says_what_it_does_and_why_not(printer: Knowing) -> None:
    assert status(printer.state) == "Ready"
    printer.says("T:20 /200 B:20 /0")
    assert status(printer.state) == "Heating"
    printer.says("T:199 /200 B:20 /0")
    assert status(printer.state) == "Ready"
    printer.says("//action:prompt_begin Nozzle clean?", "//action:prompt_show")
    assert status(printer.state) == "Needs an answer: Nozzle clean?"
    printer.says("//action:prompt_end", "echo:busy: paused for user")
    assert status(printer.state) == "Waits for a person"
    locked = Knowing()
    locked.says("echo:Printer locked! (Unlock with M511 or LCD)")
    assert status(locked.state) == "Locked with a password"


def test_the_status_of_a_print() -> None:
    printer = printing()
    assert status(printer.state) == "Printing"
    printer.says("T:20 /200 B:20 /0 W:?")
    assert status(printer.state) == "Heating for the print"
    printer.says("//action:paused filament_runout")
    assert status(printer.state) == "Paused: out of filament"
    printer = printing()
    printer.says("//action:paused door_open")
    assert status(printer.state) == "Paused: door open"
    printer.says("//action:resumed")
    printer.sends("M524")
    assert status(printer.state) == "Cancelling the print"


def test_the_status_of_a_printer_that_does_not_work(printer: Knowing) -> None:
    state = printer.state
    for link, changes, words in (
        ("connecting", {}, "Connecting"),
        ("error", {"problem": STOPPED}, "Stopped: Thermal"),
        ("offline", {}, "Not connected"),
        ("offline", {"away": "no such port"}, "Not connected: no such port"),
        ("offline", {"released": True}, "Disconnected on request"),
        ("operational", {"fault": STOPPED}, "Ready, but there was a problem: Thermal"),
    ):
        assert status(evolve(state, link=link, **changes)) == words
    long = evolve(state, link="offline", away="x" * 999)
    assert len(status(long)) == 251


def test_a_stored_file_needs_no_card(printer: Knowing) -> None:
    printer.says("echo:SD card released")
    job = replace(printer.state.job, origin="local", file="a.gcode")
    printer.become(replace(printer.state, job=job))
    assert "start" in allowed(printer)
