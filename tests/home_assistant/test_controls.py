"""Each control does on the wire what it says, and shows the result within 2 s."""

from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import wait_for

if TYPE_CHECKING:
    from tests.home_assistant.conftest import Home

pytestmark = pytest.mark.home_assistant

SOON = 2.0


def does(
    home: "Home", lines: list[str], service: str, entity: str, **data: object
) -> None:
    """Use a control; these lines must go over the wire, and no others."""
    before = len(home.printer.wire.chunks)
    home.hass.call(service, entity, **data)
    wait_for(lambda: len(home.printer.wire.sent(before)) >= len(lines), entity, SOON)
    assert home.printer.wire.sent(before) == lines


@pytest.mark.parametrize(
    ("key", "value", "line", "shown"),
    [
        ("tool0_target", 200, "M104 T0 S200", "200.0"),
        ("tool1_target", 190, "M104 T1 S190", "190.0"),
        ("bed_target", 60, "M140 S60", "60.0"),
        ("chamber_target", 40, "M141 S40", "40.0"),
        ("feedrate", 120, "M220 S120", "120"),
        ("flowrate", 95, "M221 S95", "95"),
        ("tool1_target", 0, "M104 T1 S0", "0.0"),
    ],
)
def test_a_number(home: "Home", key: str, value: int, line: str, shown: str) -> None:
    entity = f"number.ender_{key}"
    does(home, [line], "number.set_value", entity, value=value)
    assert home.hass.becomes(entity, shown, within=SOON) < SOON


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("home", ["G91", "G28 X0 Y0 Z0", "G90"]),
        ("motors_off", ["M18"]),
        ("cool_down", ["M104 T0 S0", "M104 T1 S0", "M140 S0", "M141 S0"]),
        ("script_preheat", ["M140 S60", "M104 T0 S200"]),
    ],
)
def test_a_button(home: "Home", key: str, lines: list[str]) -> None:
    does(home, lines, "button.press", f"button.ender_{key}")


def test_the_tool(home: "Home") -> None:
    for tool, line in (("tool1", "T1"), ("tool0", "T0")):
        does(home, [line], "select.select_option", "select.ender_tool", option=tool)
        home.hass.becomes("select.ender_tool", tool, within=SOON)


def test_a_message_on_the_display(home: "Home") -> None:
    text = '50 % of it\'s "done" {x}'
    does(home, [f"M117 {text}"], "text.set_value", "text.ender_display", value=text)


def test_a_print_is_started_paused_and_cancelled(home: "Home") -> None:
    home.printer.press("start", "ARATHE~1.GCO")
    home.hass.becomes("sensor.ender_state", "printing", within=10)
    home.hass.becomes("binary_sensor.ender_printing", "on", within=SOON)
    home.hass.becomes("button.ender_pause", "unknown", within=SOON)
    does(home, ["M25"], "button.press", "button.ender_pause")
    home.hass.becomes("sensor.ender_state", "paused", within=SOON)
    home.hass.becomes("button.ender_resume", "unknown", within=SOON)
    does(home, ["M24"], "button.press", "button.ender_resume")
    home.hass.becomes("sensor.ender_state", "printing", within=10)
    does(home, ["M524"], "button.press", "button.ender_cancel")
    home.hass.becomes("sensor.ender_state", "operational", within=30)
    home.hass.becomes("sensor.ender_last_result", "cancelled", within=SOON)
    home.hass.becomes("button.ender_pause", "unavailable", within=SOON)


def test_a_thermostat_that_somebody_enabled(home: "Home") -> None:
    entity = "climate.ender_bed_thermostat"
    home.hass.call("number.set_value", "number.ender_bed_target", value=0)
    (answer,) = home.hass.ask(
        {
            "type": "config/entity_registry/update",
            "entity_id": entity,
            "disabled_by": None,
        }
    )
    assert answer["success"], answer
    home.hass.becomes(entity, "off", within=60)  # it comes after half a minute
    does(home, ["M140 S50"], "climate.set_temperature", entity, temperature=50)
    home.hass.becomes(entity, "heat", within=SOON)
    does(home, ["M140 S0"], "climate.set_hvac_mode", entity, hvac_mode="off")
    home.hass.becomes(entity, "off", within=SOON)
    before = len(home.printer.wire.chunks)
    home.hass.call("climate.turn_on", entity)
    does(home, ["M117 fence"], "text.set_value", "text.ender_display", value="fence")
    assert home.printer.wire.sent(before) == ["M117 fence"]


def test_stop_and_reconnect(home: "Home") -> None:
    hass = home.hass
    hass.call("button.press", "button.ender_emergency_stop")
    hass.becomes("sensor.ender_state", "error", within=SOON)
    hass.becomes("binary_sensor.ender_problem", "on", within=SOON)
    hass.becomes("sensor.ender_attention_reason", "error", within=SOON)
    home.printer.reset()
    hass.becomes("sensor.ender_state", "operational", within=30)
    hass.becomes("binary_sensor.ender_problem", "off", within=SOON)
    hass.call("button.press", "button.ender_reconnect")
    hass.becomes("binary_sensor.ender_connected", "off", within=10)
    hass.becomes("sensor.ender_state", "operational", within=30)


def test_an_event_is_shown(home: "Home") -> None:
    home.hass.call("button.press", "button.ender_home")

    def kind() -> object:
        return home.hass.states()["event.ender_event"]["attributes"]["event_type"]

    wait_for(lambda: kind() == "home", "event", SOON)


def test_it_complained_about_nothing(home: "Home") -> None:
    assert not home.hass.complaints()
