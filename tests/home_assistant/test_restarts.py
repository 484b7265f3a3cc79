"""Whatever is killed and comes back, in whatever order: every entity is true."""

import time
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from tests.home_assistant.test_entities import SHOWN
from tests.support.daemons import wait_for

if TYPE_CHECKING:
    from tests.home_assistant.conftest import Home

pytestmark = pytest.mark.home_assistant

PARTS = ("broker", "bridge", "printer", "hass")
ORDERS = list(permutations(PARTS))
SOON = 10.0
"""Seconds within which everything has to be true, once all are there."""

TRUE = {
    "sensor.ender_state": "operational",
    "binary_sensor.ender_connected": "on",
    "binary_sensor.ender_printing": "off",
    "binary_sensor.ender_problem": "off",
    "binary_sensor.ender_attention": "off",
    "number.ender_bed_target": "0.0",
    "sensor.ender_bed_temperature": "21.0",
    "sensor.ender_tool0_temperature": "21.0",
    "select.ender_tool": "tool0",
    "button.ender_home": "unknown",
    "button.ender_pause": "unavailable",
}


def untrue(home: "Home") -> dict[str, str]:
    """Return what an entity shows that is not so."""
    states = home.hass.states()
    shown = {entity: states.get(entity, {"state": ""})["state"] for entity in TRUE}
    wrong = {entity: state for entity, state in shown.items() if state != TRUE[entity]}
    gone = {
        entity: entry["state"]
        for entity, entry in states.items()
        if ".ender_" in entity
        and entry["state"] == "unavailable"
        and SHOWN.get(entity, ("",))[0] != "unavailable"
    }
    return wrong | gone


def all_true(home: "Home", within: float) -> None:
    deadline = time.monotonic() + within
    while wrong := untrue(home):
        assert time.monotonic() < deadline, f"{wrong}\n{home.daemon.log[-1000:]}"
        time.sleep(0.1)


@pytest.mark.parametrize("part", PARTS)
def test_one_is_restarted(home: "Home", part: str) -> None:
    connects = home.hass.connects
    home.kill(part)
    home.start(part)
    if part == "hass":
        home.hass.started()
    if part == "broker":  # Home Assistant tries again every 10 s
        wait_for(lambda: home.hass.connects > connects, "its connection", 30)
    all_true(home, SOON)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_all_are_killed_and_come_back(home: "Home", order: tuple[str, ...]) -> None:
    for part in order:
        home.kill(part)
    for part in order:
        home.start(part)
    home.hass.started()
    all_true(home, SOON)
    assert not [said for said in home.hass.complaints() if "onnect" not in said], (
        home.hass.text
    )


def test_a_fault_is_told_while_the_printer_is_away(home: "Home") -> None:
    home.printer.press("maxtemp", "tool0")
    home.hass.becomes("binary_sensor.ender_problem", "on", within=SOON)
    home.kill("printer")
    home.hass.becomes("binary_sensor.ender_connected", "off", within=SOON)
    assert home.hass.state("binary_sensor.ender_problem") == "on"
    assert home.hass.state("sensor.ender_bed_temperature") == "unavailable"
    entry = home.hass.states()["binary_sensor.ender_problem"]
    assert entry["attributes"]["reason"] == "maxtemp"
    home.start("printer")
    home.hass.becomes("binary_sensor.ender_problem", "off", within=30)


def test_a_component_that_is_gone_leaves_nothing(home: "Home") -> None:
    home.kill("bridge")
    home.chamber = False
    home.start("bridge")
    wait_for(
        lambda: not home.hass.state("number.ender_chamber_target"), "the removal", 30
    )
    home.kill("bridge")
    home.chamber = True
    home.start("bridge")
    home.hass.becomes("number.ender_chamber_target", "0.0", within=30)
