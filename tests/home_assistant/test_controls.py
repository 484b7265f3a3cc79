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
        ("preset_pla", ["M140 S60", "M104 T0 S215"]),
        ("script_dance", ["G91", "G0 X5", "G90"]),
    ],
)
def test_a_button(home: "Home", key: str, lines: list[str]) -> None:
    does(home, lines, "button.press", f"button.ender_{key}")


def test_the_tool(home: "Home") -> None:
    for tool, line in (("tool1", "T1"), ("tool0", "T0")):
        does(home, [line], "select.select_option", "select.ender_tool", option=tool)
        home.hass.becomes("select.ender_tool", tool, within=SOON)


def test_a_message_on_the_display(home: "Home") -> None:
    text, entity = '50 % of it\'s "done" {x}', "notify.ender_display"
    does(home, [f"M117 {text}"], "notify.send_message", entity, message=text)


def test_fans_and_the_light(home: "Home") -> None:
    hass = home.hass

    def shows(entity: str, state: str, **attributes: object) -> None:
        hass.becomes(entity, state, within=SOON)
        wait_for(
            lambda: all(attribute(home, entity, k) == v for k, v in attributes.items()),
            f"{entity}: {attributes}",
            SOON,
        )

    for entity, which in (("fan.ender_part_fan", ""), ("fan.ender_fan_1", " P1")):
        does(home, [f"M106{which} S76"], "fan.set_percentage", entity, percentage=30)
        shows(entity, "on", percentage=30)
        does(home, [f"M106{which} S0"], "fan.turn_off", entity)
        shows(entity, "off")
        does(home, [f"M106{which} S255"], "fan.turn_on", entity)
        shows(entity, "on", percentage=100)
    light = "light.ender_light"
    does(
        home,
        ["M150 R255 U0 B0 P128"],
        *("light.turn_on", light),
        rgb_color=[255, 0, 0],
        brightness=128,
    )
    shows(light, "on", brightness=128, rgb_color=[255, 0, 0])
    does(home, ["M150 R0 U0 B0 P128"], "light.turn_off", light)
    shows(light, "off")


def attribute(home: "Home", entity: str, name: str) -> object:
    return home.hass.states()[entity]["attributes"].get(name)


def test_presets_and_babysteps(home: "Home") -> None:
    entity = "select.ender_preset"
    lines = ["M140 S60", "M104 T0 S215"]
    does(home, lines, "select.select_option", entity, option="PLA")
    home.hass.becomes(entity, "PLA", within=SOON)
    lines = ["M104 T0 S0", "M104 T1 S0", "M140 S0", "M141 S0"]
    does(home, lines, "select.select_option", entity, option="Off")
    home.hass.becomes(entity, "Off", within=SOON)
    offset = "number.ender_z_offset"  # comes with the second message
    home.hass.becomes(offset, "0.0", within=30)
    does(home, ["M290 Z0.05"], "number.set_value", offset, value=0.05)
    home.hass.becomes(offset, "0.05", within=SOON)
    does(home, ["M290 Z-0.05"], "number.set_value", offset, value=0)
    home.hass.becomes(offset, "0.0", within=SOON)


def test_buttons_that_somebody_enabled(home: "Home") -> None:
    keys = ("select.ender_jog_distance", "button.ender_jog_x_plus")
    answers = home.hass.ask(
        *(
            {
                "type": "config/entity_registry/update",
                "entity_id": key,
                "disabled_by": None,
            }
            for key in keys
        )
    )
    assert all(answer["success"] for answer in answers), answers
    home.hass.becomes(keys[0], "1 mm", within=60)  # it comes after half a minute
    home.hass.call("select.select_option", keys[0], option="10 mm")
    home.hass.becomes(keys[0], "10 mm", within=SOON)
    home.hass.becomes(keys[1], "unknown", within=SOON)
    does(home, ["G91", "G0 X10 F6000", "G90"], "button.press", keys[1])


def test_a_refusal_is_an_event_with_its_reason(home: "Home") -> None:
    entity = "event.ender_refused"
    home.hass.call("number.set_value", "number.ender_z_offset", value=0)
    home.hass.call("notify.send_message", "notify.ender_display", message="x" * 200)
    wait_for(
        lambda: attribute(home, entity, "event_type") == "rejected", "refused", SOON
    )
    assert "shorter than" in str(attribute(home, entity, "message"))
    assert attribute(home, entity, "topic") == "display"


def test_a_file_is_chosen_and_printed_and_printed_again(home: "Home") -> None:
    hass, entity = home.hass, "select.ender_choose_file"
    hass.becomes(entity, "unknown", within=30)  # ten seconds are between two messages
    options = attribute(home, entity, "options")
    assert isinstance(options, list)
    name = options[0]
    hass.call("select.select_option", entity, option=name)
    hass.becomes(entity, name, within=SOON)
    hass.becomes("button.ender_start", "unknown", within=SOON)
    hass.call("button.press", "button.ender_start")
    hass.becomes("sensor.ender_state", "printing", within=10)
    for gone in ("script_dance", "preset_pla", "home"):
        hass.becomes(f"button.ender_{gone}", "unavailable", within=SOON)
    hass.becomes("select.ender_tool", "unavailable", within=SOON)
    assert hass.state("button.ender_script_preheat") != "unavailable"
    hass.call("button.press", "button.ender_cancel")
    hass.becomes("sensor.ender_state", "operational", within=30)
    hass.becomes("sensor.ender_last_result", "cancelled", within=SOON)
    hass.becomes("sensor.ender_prints_cancelled", "1", within=SOON)
    hass.becomes("button.ender_reprint", "unknown", within=SOON)
    hass.call("button.press", "button.ender_reprint")
    hass.becomes("sensor.ender_state", "printing", within=10)
    hass.call("button.press", "button.ender_cancel")
    hass.becomes("sensor.ender_state", "operational", within=30)


def test_a_question_is_answered(home: "Home") -> None:
    for said in ("begin Go on?", "button Yes", "button No", "show"):
        home.printer.press("say", f"//action:prompt_{said}")
    home.hass.becomes("sensor.ender_question", "Go on?", within=SOON)
    assert attribute(home, "sensor.ender_question", "choices") == ["Yes", "No"]
    home.hass.becomes("button.ender_answer_3", "unavailable", within=SOON)
    home.hass.becomes("button.ender_answer_2", "unknown", within=SOON)
    does(home, ["M876 S1"], "button.press", "button.ender_answer_2")
    home.hass.becomes("sensor.ender_question", "none", within=SOON)


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
    display = "notify.ender_display"
    does(home, ["M117 fence"], "notify.send_message", display, message="fence")
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
