"""When a discovery message is published: with a pause, and removals in two steps."""

from dataclasses import replace
from typing import Any, cast

import pytest

from bridge.gcode.reply_types import FirmwareReport
from bridge.home_assistant.discovery import (
    PAUSE,
    Announcements,
    KnownDevice,
    Payload,
    components,
)
from bridge.printer.knowledge.model import PrinterState
from tests.support.knowing import Knowing


def payload(name: str = "Ender", **platforms: str) -> Payload:
    listed = {key: {"platform": p, "name": key} for key, p in platforms.items()}
    return {"device": {"name": name}, "components": listed}


def listed(said: Payload | None) -> dict[str, Any]:
    assert said is not None
    return cast("dict[str, Any]", said["components"])


def due(said: Announcements, device: Payload, now: float) -> Payload | None:
    said.change(device)
    return said.due(now)


def test_the_first_is_said_at_once_and_the_same_never_again() -> None:
    said = Announcements({})
    device = payload(state="sensor")
    assert due(said, device, 0) == device
    assert due(said, payload(state="sensor"), 1000) is None
    assert said.known == {"state": "sensor"}


def test_changes_wait_until_the_last_one_is_digested() -> None:
    said = Announcements({})
    due(said, payload("a", state="sensor"), 100)
    assert due(said, payload("b", state="sensor"), 100 + PAUSE - 0.1) is None
    third = payload("c", state="sensor")
    assert due(said, third, 100 + PAUSE) == third


def test_a_component_is_removed_and_then_left_out() -> None:
    said = Announcements({})
    due(said, payload(state="sensor", bed="number"), 0)
    less = payload(state="sensor")
    step = listed(due(said, less, PAUSE))
    assert step["bed"] == {"platform": "number"}
    assert step["state"] == {"platform": "sensor", "name": "state"}
    assert due(said, less, PAUSE + 1) is None
    assert due(said, less, 2 * PAUSE) == less
    assert due(said, less, 3 * PAUSE) is None


def test_what_an_earlier_run_announced_is_removed_too() -> None:
    said = Announcements({"state": "sensor", "bed": "number"})
    device = payload(state="sensor")
    assert listed(due(said, device, 0))["bed"] == {"platform": "number"}
    assert due(said, device, PAUSE) == device


def test_a_component_of_another_kind_goes_before_it_comes() -> None:
    said = Announcements({"fan": "sensor"})
    device = payload(fan="number")
    assert listed(due(said, device, 0)) == {"fan": {"platform": "sensor"}}
    assert said.known == {}
    assert due(said, device, PAUSE) == device
    assert said.known == components(device) == {"fan": "number"}


def test_a_change_is_compared_once_and_said_when_the_pause_is_over() -> None:
    said = Announcements({})
    assert said.due(0) is None
    said.change(payload("a", state="sensor"))
    assert said.due(0) is not None
    assert said.due(5 * PAUSE) is None
    said.change(payload("b", state="sensor"))
    assert said.due(5 * PAUSE) == payload("b", state="sensor")
    said.change(payload("c", state="sensor"))
    assert said.due(5.5 * PAUSE) is None
    assert said.due(6 * PAUSE) == payload("c", state="sensor")


def test_a_removal_is_completed_without_another_change() -> None:
    said = Announcements({"bed": "number"})
    said.change(payload(state="sensor"))
    assert listed(said.due(0))["bed"] == {"platform": "number"}
    assert said.due(PAUSE - 1) is None
    assert said.due(PAUSE) == payload(state="sensor")
    assert said.due(2 * PAUSE) is None


MARLIN = "FIRMWARE_NAME:Marlin 2.1.2 MACHINE_TYPE:Ender-3"


def test_nothing_new_is_the_same_object() -> None:
    printer = Knowing()
    known = KnownDevice()
    assert known.learn(printer.state, "marlin") is known
    printer.says(MARLIN)
    learned = known.learn(printer.state, "marlin")
    assert (learned.family, learned.firmware) == ("marlin", "Marlin 2.1.2")
    assert learned.model == "Ender-3"
    printer.says("T:20.0 /0.0 B:20.0 /0.0 @:0 B@:0")
    assert learned.learn(printer.state, "marlin") is learned


def test_a_sensor_stays_known_until_another_firmware_answers() -> None:
    printer = Knowing()
    printer.says(MARLIN, "T:20.0 /0.0 P:31.0 A:25.0")
    known = KnownDevice().learn(printer.state, "marlin")
    assert known.sensors == tuple(printer.state.sensors) != ()
    fewer = replace(printer.state, sensors={})
    assert known.learn(fewer, "marlin") is known
    assert known.learn(fewer, "klipper").sensors == ()


def test_a_printer_that_is_away_teaches_nothing() -> None:
    printer = Knowing()
    printer.says(MARLIN)
    known = KnownDevice(family="klipper", firmware="Klipper", sensors=("mcu",))
    away = replace(printer.state, link="offline")
    assert known.learn(away, "marlin") is known


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("FIRMWARE_NAME:Marlin 2.1.3 MACHINE_TYPE:Ender-3", "firmware", "Marlin 2.1.3"),
        ("FIRMWARE_NAME:Marlin 2.1.2 MACHINE_TYPE:Prusa", "model", "Prusa"),
        ("FIRMWARE_NAME:Marlin 2.1.2", "model", None),
    ],
)
def test_what_the_firmware_says_anew_is_learned(
    line: str, field: str, value: str | None
) -> None:
    printer = Knowing()
    printer.says(MARLIN)
    known = KnownDevice().learn(printer.state, "marlin")
    printer.says(line)
    learned = known.learn(printer.state, "marlin")
    assert learned is not known
    assert getattr(learned, field) == value


@pytest.mark.parametrize("bad", ["\x1b[2J", "\x00", "\x7f", "\x9b31m", "\u202e", "\t"])
def test_control_characters_in_the_firmware_s_name_are_removed(bad: str) -> None:
    fields = {"MACHINE_TYPE": f"Ender{bad} 3"}
    report = FirmwareReport(name=f"Marlin{bad} 2", fields=fields)
    state = PrinterState(link="operational", firmware=report)
    known = KnownDevice().learn(state, "marlin")
    assert known.firmware is not None
    assert known.model is not None
    assert (known.firmware + known.model).isprintable()
    assert known.firmware.startswith("Marlin")
    assert known.learn(state, "marlin") is known
