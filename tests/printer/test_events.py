"""What happened, told from one state to the next."""

from dataclasses import replace

import pytest

from bridge.gcode.dialects import KLIPPER, MARLIN
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.events import (
    BURST,
    EVERY,
    EventLimiter,
    StateEvent,
    diff,
)
from bridge.printer.knowledge.state import Problem
from tests.support.knowing import Knowing


@pytest.fixture
def printer() -> Knowing:
    return Knowing()


def test_nothing_new_is_no_event(printer: Knowing) -> None:
    assert diff(printer.state, printer.state) == []
    printer.says("T:20 /0", "Cap:EEPROM:1", "echo:busy: processing")
    assert printer.events == []


def test_a_connection_comes_and_goes(printer: Knowing) -> None:
    printer.become(known.disconnected(printer.state, now=0))
    printer.become(known.connecting(printer.state))
    printer.says("FIRMWARE_NAME:Marlin 2")
    printer.become(known.connected(printer.state, dialect=MARLIN))
    broke = Problem(error="unplugged", reason="link", consequence="disconnected")
    printer.become(known.disconnected(printer.state, broke, word="link", now=0))
    assert printer.events == [
        StateEvent("disconnected", {"reason": ""}),
        StateEvent("connected", {"firmware": "Marlin 2"}),
        StateEvent("disconnected", {"reason": "link"}),
        StateEvent(
            "error",
            {
                "error": "unplugged",
                "reason": "link",
                "consequence": "disconnected",
                "severity": "error",
            },
        ),
    ]


def test_a_firmware_may_have_no_name(printer: Knowing) -> None:
    printer.become(known.reset(printer.state, now=1))
    printer.become(known.connected(printer.state, dialect=MARLIN))
    assert printer.events == [
        StateEvent("printer_reset"),
        StateEvent("connected", {"firmware": None}),
    ]


def test_the_machine_moves(printer: Knowing) -> None:
    printer.sends("G28 X0", "T1")
    printer.says("X:1 Y:2 Z:3 E:4", "X:1 Y:2 Z:3 E:4")
    assert printer.events == [
        StateEvent("home", {"axes": ["x"]}),
        StateEvent("tool_change", {"old": 0, "new": 1}),
        StateEvent("position", {"x": 1, "y": 2, "z": 3, "e": 4}),
    ]


def test_a_tool_that_is_forgotten_is_no_tool_change(printer: Knowing) -> None:
    printer.sends("T1")
    printer.events.clear()
    printer.become(known.connecting(printer.state))
    assert printer.events == []


def test_a_print_from_its_start_to_its_end(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 100")
    printer.sends("M24")
    printer.at(5).says("SD printing byte 10/100", "//action:pause filament_runout")
    printer.at(65).says("//action:resumed")
    printer.at(70).says("SD printing byte 100/100", "Done printing file")
    assert printer.events == [
        StateEvent("print_started", {"file": "a.gco", "size": 100}),
        StateEvent("print_paused", {"file": "a.gco", "reason": "filament_runout"}),
        StateEvent("filament_runout", {"file": "a.gco"}),
        StateEvent("print_resumed", {"file": "a.gco"}),
        StateEvent("print_done", {"file": "a.gco", "elapsed": 10}),
    ]


def test_a_print_fails_with_a_reason(printer: Knowing) -> None:
    printer.says("File opened: a.gco Size: 100")
    printer.sends("M24")
    printer.events.clear()
    printer.at(3).says("Error:MAXTEMP triggered")
    assert printer.events == [
        StateEvent(
            "print_failed", {"file": "a.gco", "elapsed": 3, "reason": "maxtemp"}
        ),
        StateEvent(
            "error",
            {
                "error": "MAXTEMP triggered",
                "reason": "maxtemp",
                "consequence": "halted",
                "severity": "critical",
            },
        ),
    ]


def test_the_printer_asks_and_says_what(printer: Knowing) -> None:
    printer.says("//action:prompt_begin Nozzle Parked")
    printer.says("//action:prompt_button Continue", "//action:prompt_show")
    printer.says("echo:busy: paused for user", "echo:busy: paused for user")
    printer.says("//action:prompt_begin Heater Timeout", "//action:prompt_show")
    printer.says("//action:prompt_end")
    assert printer.events == [
        StateEvent(
            "waiting_for_user", {"prompt": "Nozzle Parked", "choices": ["Continue"]}
        ),
        StateEvent("waiting_for_user", {"prompt": "Heater Timeout", "choices": []}),
    ]


def test_the_printer_waits_without_a_word(printer: Knowing) -> None:
    printer.says("echo:busy: paused for user", "echo:busy: paused for user")
    assert printer.events == [
        StateEvent("waiting_for_user", {"prompt": "", "choices": []})
    ]


def test_an_error_is_told_again_when_its_reason_is_known() -> None:
    printer = Knowing(dialect=KLIPPER)
    printer.says("// Klipper state: Shutdown", "// Printer is shutdown")
    printer.says("!! Shutdown due to M112 command")
    printer.become(known.with_logs(printer.state, ["x"]))
    printer.become(known.acknowledged(printer.state))
    assert [(event.name, event.data["error"]) for event in printer.events] == [
        ("error", "the firmware has shut down"),
        ("error", "Shutdown due to M112 command"),
    ]


def test_several_changes_at_once_are_told_once_each(
    printer: Knowing,
) -> None:
    before = printer.state
    printer.sends("G28", "G28")
    assert [event.name for event in diff(before, printer.state)] == ["home"]
    assert diff(before, replace(before, message="x")) == []


def test_a_flood_of_questions_is_a_bounded_number_of_events() -> None:
    limiter = EventLimiter()
    asks = [StateEvent("waiting_for_user", {"prompt": str(n)}) for n in range(10_000)]
    admitted = [limiter.admit(event, 100 + n / 1000) for n, event in enumerate(asks)]
    published = [event for event in admitted if event is not None]
    assert published == asks[:BURST], "the first ones, as they are"
    later = limiter.admit(asks[0], 200 + EVERY)
    assert later == StateEvent(
        "waiting_for_user", {"prompt": "0", "left_out": 10_000 - BURST}
    )
    assert limiter.admit(asks[1], 1000) == asks[1], "they were counted once"


def test_each_kind_of_event_has_its_own_bound() -> None:
    limiter = EventLimiter()
    for _ in range(100):
        limiter.admit(StateEvent("printer_reset"), 1.0)
    assert limiter.admit(StateEvent("printer_reset"), 1.0) is None
    asks = StateEvent("waiting_for_user", {"prompt": "a"})
    assert limiter.admit(asks, 1.0) == asks


@pytest.mark.parametrize("name", ["error", "heaters_off", "print_failed", "connected"])
def test_what_matters_is_never_left_out(name: str) -> None:
    limiter = EventLimiter()
    event = StateEvent(name)
    assert all(limiter.admit(event, 1.0) == event for _ in range(1000))
