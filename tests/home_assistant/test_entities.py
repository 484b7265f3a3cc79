"""What the real Home Assistant makes of the announcement."""

from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import wait_for
from tests.support.hass import Json

if TYPE_CHECKING:
    from tests.home_assistant.conftest import Home

pytestmark = pytest.mark.home_assistant

SHOWN: dict[str, tuple[str, str | None, str | None]] = {
    "binary_sensor.ender_attention": ("off", None, "problem"),
    "binary_sensor.ender_connected": ("on", None, "connectivity"),
    "binary_sensor.ender_heating": ("off", None, None),
    "binary_sensor.ender_hot": ("off", None, "heat"),
    "binary_sensor.ender_printing": ("off", None, "running"),
    "binary_sensor.ender_problem": ("off", None, "problem"),
    "binary_sensor.ender_queue_held": ("on", None, None),
    "binary_sensor.ender_released": ("off", None, None),
    "binary_sensor.ender_safe_to_power_off": ("on", None, None),
    "button.ender_acknowledge": ("unknown", None, None),
    "button.ender_answer_1": ("unavailable", None, None),
    "button.ender_answer_2": ("unavailable", None, None),
    "button.ender_answer_3": ("unavailable", None, None),
    "button.ender_answer_4": ("unavailable", None, None),
    "button.ender_queue_release": ("unknown", None, None),
    "button.ender_cancel": ("unavailable", None, None),
    "button.ender_connect": ("unknown", None, None),
    "button.ender_cool_down": ("unknown", None, None),
    "button.ender_disconnect": ("unknown", None, None),
    "button.ender_emergency_stop": ("unknown", None, None),
    "button.ender_home": ("unknown", None, None),
    "button.ender_motors_off": ("unknown", None, None),
    "button.ender_pause": ("unavailable", None, None),
    "button.ender_plan_recovery": ("unavailable", None, None),
    "button.ender_preset_pla": ("unknown", None, None),
    "button.ender_reconnect": ("unknown", None, "restart"),
    "button.ender_recover": ("unavailable", None, None),
    "button.ender_reprint": ("unavailable", None, None),
    "button.ender_resume": ("unavailable", None, None),
    "button.ender_script_dance": ("unknown", None, None),
    "button.ender_script_preheat": ("unknown", None, None),
    "button.ender_start": ("unavailable", None, None),
    "fan.ender_fan_1": ("unknown", None, None),
    "fan.ender_part_fan": ("unknown", None, None),
    "image.ender_thumbnail": ("unknown", None, None),
    "light.ender_light": ("unknown", None, None),
    "notify.ender_display": ("unknown", None, None),
    "number.ender_bed_target": ("0.0", "°C", "temperature"),
    "number.ender_chamber_target": ("0.0", "°C", "temperature"),
    "number.ender_feedrate": ("unknown", "%", None),
    "number.ender_flowrate": ("unknown", "%", None),
    "number.ender_tool0_target": ("0.0", "°C", "temperature"),
    "number.ender_tool1_target": ("0.0", "°C", "temperature"),
    "number.ender_z_offset": ("0.0", "mm", "distance"),
    "select.ender_choose_file": ("unknown", None, None),
    "select.ender_preset": ("Off", None, None),
    "select.ender_tool": ("tool0", None, None),
    "sensor.ender_attention_reason": ("none", None, "enum"),
    "sensor.ender_bed_temperature": ("21.0", "°C", "temperature"),
    "sensor.ender_chamber_temperature": ("21.0", "°C", "temperature"),
    "sensor.ender_error": ("none", None, None),
    "sensor.ender_filament": ("unknown", "m", "distance"),
    "sensor.ender_file": ("unknown", None, None),
    "sensor.ender_finish": ("unknown", None, "timestamp"),
    "sensor.ender_heat_reason": ("unknown", None, "enum"),
    "sensor.ender_heaters_off": ("unknown", None, "timestamp"),
    "sensor.ender_last_duration": ("unknown", "min", "duration"),
    "sensor.ender_last_ended": ("unknown", None, "timestamp"),
    "sensor.ender_last_file": ("unknown", None, None),
    "sensor.ender_last_reason": ("unknown", None, None),
    "sensor.ender_last_result": ("unknown", None, "enum"),
    "sensor.ender_layer": ("unknown", None, None),
    "sensor.ender_layers": ("unknown", None, None),
    "sensor.ender_print_hours": ("0.0", "h", "duration"),
    "sensor.ender_prints_cancelled": ("0", None, None),
    "sensor.ender_prints_done": ("0", None, None),
    "sensor.ender_prints_failed": ("0", None, None),
    "sensor.ender_progress": ("unknown", "%", None),
    "sensor.ender_question": ("none", None, None),
    "sensor.ender_queue": ("0", None, None),
    "sensor.ender_recovery": ("none", None, None),
    "sensor.ender_started": ("unknown", None, "timestamp"),
    "sensor.ender_state": ("operational", None, "enum"),
    "sensor.ender_status": ("Ready", None, None),
    "sensor.ender_time_left": ("unknown", "min", "duration"),
    "sensor.ender_tool0_temperature": ("21.0", "°C", "temperature"),
    "sensor.ender_tool1_temperature": ("21.0", "°C", "temperature"),
    "sensor.ender_total_filament": ("0.0", "m", "distance"),
}
"""State, unit and class of what is enabled, at a printer that was just switched on."""

LATER = {"event.ender_event", "event.ender_refused"}


def test_every_entity_is_there_with_its_state_unit_and_class(home: "Home") -> None:
    def shown() -> dict[str, tuple[str, str | None, str | None]]:
        return {
            entity: (
                entry["state"],
                entry["attributes"].get("unit_of_measurement"),
                entry["attributes"].get("device_class"),
            )
            for entity, entry in home.hass.states().items()
            if ".ender_" in entity and entity not in LATER
        }

    home.hass.becomes("sensor.ender_tool0_temperature", "21.0")
    wait_for(lambda: shown() == SHOWN, f"{shown()}")
    assert len(SHOWN) >= 70


def test_what_is_for_the_few_is_there_but_disabled(home: "Home") -> None:
    (answer,) = home.hass.ask({"type": "config/entity_registry/list"})
    listed = [e for e in answer["result"] if e["platform"] == "mqtt"]
    disabled = {e["entity_id"] for e in listed if e["disabled_by"]}
    assert "climate.ender_bed_thermostat" in disabled
    assert "sensor.ender_position_z" in disabled
    for key in ("print_time", "firmware", "bridge_version", "fan"):
        assert f"sensor.ender_{key}" in disabled
    for key in ("jog_x_plus", "extrude", "babystep_up"):
        assert f"button.ender_{key}" in disabled
    assert {e["unique_id"] for e in listed} == {
        f"gcode2mqtt_{e['entity_id'].partition('.')[2]}" for e in listed
    }
    assert disabled | set(SHOWN) | LATER == {e["entity_id"] for e in listed}


def device_of(home: "Home") -> Json:
    (answer,) = home.hass.ask({"type": "config/device_registry/list"})
    (device,) = [
        entry
        for entry in answer["result"]
        if ["mqtt", "gcode2mqtt_ender"] in entry["identifiers"]
    ]
    found: Json = device
    return found


def test_the_device_has_a_name_a_firmware_and_triggers(home: "Home") -> None:
    # The firmware is known only after the first announcement, and 10 s are between two.
    wait_for(lambda: device_of(home)["sw_version"], "the firmware")
    device = device_of(home)
    assert device["name"] == "Ender 3"
    assert device["manufacturer"] == "Creality"
    assert device["serial_number"] == "E3-1"
    assert device["area_id"] == "workshop"
    assert device["sw_version"].startswith("Marlin")
    asked = {"type": "device_automation/trigger/list", "device_id": device["id"]}
    (answer,) = home.hass.ask(asked)
    mqtt = [entry for entry in answer["result"] if entry["domain"] == "mqtt"]
    assert {"print_done", "error", "filament_runout"} <= {e["type"] for e in mqtt}


def test_it_complains_about_nothing(home: "Home") -> None:
    assert not home.hass.complaints()
