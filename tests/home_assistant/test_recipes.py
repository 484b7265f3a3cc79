"""The blueprints, as the real Home Assistant carries them out."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import wait_for

if TYPE_CHECKING:
    from tests.home_assistant.conftest import Home

pytestmark = pytest.mark.home_assistant

BLUEPRINTS = (
    Path(__file__).parent.parent.parent / "deploy" / "home-assistant" / "blueprints"
)
INPUTS: dict[str, dict[str, object]] = {
    "notify": {"attention": "sensor.ender_attention_reason"},
    "power-off": {
        "unsafe": "binary_sensor.ender_unsafe_to_power_off",
        "result": "sensor.ender_last_result",
        "outlet": "switch.outlet",
    },
    "preheat": {
        "at": "03:00:00",
        "state": "sensor.ender_state",
        "nozzle": "number.ender_tool0_target",
        "bed": "number.ender_bed_target",
    },
    "smoke-alarm": {
        "smoke": ["binary_sensor.kitchen"],
        "stop": "button.ender_emergency_stop",
    },
}


MORNING: dict[str, object] = {
    "id": "morning",
    "triggers": {"trigger": "state", "entity_id": "binary_sensor.sun", "to": "on"},
    "actions": {
        "action": "automation.trigger",
        "target": {"entity_id": "automation.preheat"},
    },
}
"""Begins what would begin at a time; a call would wait until it has ended."""


def entity_of(name: str) -> str:
    return f"automation.{name.replace('-', '_')}"


@pytest.fixture(autouse=True)
def _automations(home: "Home") -> None:
    """Home Assistant has one automation of each blueprint."""
    home.hass.automate(
        BLUEPRINTS,
        [
            {
                "id": name,
                "alias": name,
                "use_blueprint": {
                    "path": f"{BLUEPRINTS.parent.name}/{name}.yaml",
                    "input": inputs,
                },
            }
            for name, inputs in INPUTS.items()
        ]
        + [MORNING],
    )


def test_every_blueprint_becomes_an_automation(home: "Home") -> None:
    assert set(INPUTS) == {path.stem for path in BLUEPRINTS.glob("*.yaml")}
    for name in INPUTS:
        home.hass.becomes(entity_of(name), "on")
    assert not home.hass.complaints()


def test_preheating_outlasts_a_bridge_that_restarts(home: "Home") -> None:
    """Else nothing would turn the heaters off again."""

    def running() -> int:
        shown = home.hass.states()[entity_of("preheat")]
        return int(shown["attributes"]["current"])

    home.hass.pretend("binary_sensor.sun", "off")
    home.hass.pretend("binary_sensor.sun", "on")
    home.hass.becomes("number.ender_tool0_target", "150.0")
    home.hass.becomes("number.ender_bed_target", "60.0")
    home.kill("bridge")
    home.hass.becomes("sensor.ender_state", "unavailable")
    home.start("bridge")
    home.hass.becomes("sensor.ender_state", "operational", within=30)
    assert running() == 1
    home.printer.press("start", "ARATHE~1.GCO")
    wait_for(lambda: running() == 0, "the end of the automation")


def test_smoke_stops_the_printer_and_somebody_is_told(home: "Home") -> None:
    home.hass.pretend("binary_sensor.kitchen", "off")
    home.hass.pretend("binary_sensor.kitchen", "on")
    home.hass.becomes("sensor.ender_state", "error")

    def told() -> object:
        shown = home.hass.states()[entity_of("notify")]
        return shown["attributes"]["last_triggered"]

    wait_for(told, "the notification")
