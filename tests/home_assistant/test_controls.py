"""Each control does on the wire what it says, and shows the result within 2 s.

Those that are disabled by default are enabled first. The last tests compare what was
used with what was announced, so the module runs as a whole.
"""

import json
from typing import TYPE_CHECKING

import pytest

from bridge.home_assistant.discovery import config_topic
from tests.home_assistant.conftest import PICTURE, STORED, TOWER
from tests.support.daemons import wait_for
from tests.support.mqtt_client import connected

if TYPE_CHECKING:
    from tests.home_assistant.conftest import Home

pytestmark = pytest.mark.home_assistant

SOON = 2.0
OFF = ["M104 T0 S0", "M104 T1 S0", "M140 S0", "M141 S0"]
USES: dict[tuple[str, str], set[str]] = {
    ("button", ""): {"button.press"},
    ("number", ""): {"number.set_value"},
    ("select", ""): {"select.select_option"},
    ("notify", ""): {"notify.send_message"},
    ("light", ""): {"light.turn_on", "light.turn_off"},
    ("fan", ""): {"fan.turn_on", "fan.turn_off"},
    ("fan", "percentage_"): {"fan.set_percentage"},
    ("climate", "mode_"): {"climate.set_hvac_mode"},
    ("climate", "temperature_"): {"climate.set_temperature"},
    ("climate", "preset_mode_"): {"climate.set_preset_mode"},
}
"""The actions that belong to a command topic, by platform and the topic's field."""


@pytest.fixture(scope="module")
def home(home: "Home") -> "Home":
    """Everything is enabled, as if somebody had wanted it all."""
    # It comes with the second message, when the firmware is known.
    home.hass.becomes("number.ender_z_offset", "0.0", within=60)
    home.hass.enable()
    home.hass.becomes("sensor.ender_state", "operational", within=60)
    return home


def does(
    home: "Home", lines: list[str], service: str, entity: str, **data: object
) -> None:
    """Use a control; these lines must go over the wire, and no others.

    A button then shows when it was pressed.
    """
    before, shown = len(home.printer.wire.chunks), home.hass.state(entity)
    assert shown not in {"", "unavailable"}, f"{entity}: {shown}"
    home.hass.call(service, entity, **data)
    wait_for(lambda: len(home.printer.wire.sent(before)) >= len(lines), entity, SOON)
    if service == "button.press":
        wait_for(lambda: home.hass.state(entity) != shown, entity, SOON)
    assert home.printer.wire.sent(before) == lines


def able(home: "Home", entity: str) -> None:
    wait_for(lambda: home.hass.state(entity) not in {"", "unavailable"}, entity, SOON)


def pressed(home: "Home", key: str, *lines: str) -> None:
    """Press a button; see :func:`does`."""
    entity = f"button.ender_{key}"
    able(home, entity)
    does(home, list(lines), "button.press", entity)


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


def chosen(home: "Home", entity: str, option: str) -> None:
    home.hass.call("select.select_option", entity, option=option)
    home.hass.becomes(entity, option, within=SOON)


def test_every_jog_goes_as_far_as_is_chosen(home: "Home") -> None:
    distance = "select.ender_jog_distance"
    home.hass.becomes(distance, "1 mm", within=SOON)
    pressed(home, "home", "G91", "G28 X0 Y0 Z0", "G90")
    for option, mm in (("10 mm", "10"), ("0.1 mm", "0.1")):
        chosen(home, distance, option)
        for axis, speed in (("x", 6000), ("y", 6000), ("z", 200)):
            # The feedrate in force, which is the first one, is restored.
            after = ("G90",) if speed == 6000 else ("G90", "G0 F6000")
            for sign, word in (("", "plus"), ("-", "minus")):
                move = f"G0 {axis.upper()}{sign}{mm} F{speed}"
                pressed(home, f"jog_{axis}_{word}", "G91", move, *after)


def test_filament_is_pushed_and_pulled_as_far_as_is_chosen(home: "Home") -> None:
    length = "select.ender_extrude_length"
    home.hass.becomes(length, "5 mm", within=SOON)
    heat = "number.ender_tool0_target"
    does(home, ["M104 T0 S200"], "number.set_value", heat, value=200)
    entity = "sensor.ender_tool0_temperature"
    wait_for(lambda: float(home.hass.state(entity)) > 190, entity)
    for option, mm in (("1 mm", "1"), ("10 mm", "10")):
        chosen(home, length, option)
        for key, sign in (("extrude", ""), ("retract", "-")):
            move = f"G1 E{sign}{mm} F300"
            lines = ("G91", "M83", move, "M82", "G90", "G1 F6000")
            pressed(home, key, *lines)
    does(home, ["M104 T0 S0"], "number.set_value", heat, value=0)


def test_babysteps_add_up(home: "Home") -> None:
    offset = "number.ender_z_offset"
    for key, line, shown in (
        ("babystep_up", "M290 Z0.02", "0.02"),
        ("babystep_up", "M290 Z0.02", "0.04"),
        ("babystep_down", "M290 Z-0.02", "0.02"),
        ("babystep_down", "M290 Z-0.02", "0.0"),
    ):
        pressed(home, key, line)
        home.hass.becomes(offset, shown, within=SOON)


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
    name = next(option for option in options if option != STORED)
    hass.call("select.select_option", entity, option=name)
    hass.becomes(entity, name, within=SOON)
    hass.becomes("button.ender_start", "unknown", within=SOON)
    hass.call("button.press", "button.ender_start")
    hass.becomes("sensor.ender_state", "printing", within=10)
    for gone in (
        *("button.ender_script_dance", "button.ender_preset_pla", "button.ender_home"),
        *("button.ender_jog_x_plus", "button.ender_jog_z_minus"),
        *("button.ender_extrude", "button.ender_cool_down", "button.ender_motors_off"),
        *("button.ender_start", "button.ender_reprint"),
        *("select.ender_tool", "select.ender_preset", "select.ender_choose_file"),
    ):
        hass.becomes(gone, "unavailable", within=SOON)
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


def test_a_stored_file_is_chosen_seen_and_printed(home: "Home") -> None:
    hass, entity = home.hass, "select.ender_choose_file"
    hass.becomes("sensor.ender_state", "operational", within=30)
    options = attribute(home, entity, "options")
    assert isinstance(options, list)
    assert STORED in options
    picture = "image.ender_thumbnail"
    shown = hass.state(picture)
    chosen(home, entity, STORED)
    # A process of its own reads it, which may have to start first.
    wait_for(lambda: hass.state(picture) != shown, picture)
    wait_for(lambda: hass.image(picture) == PICTURE, "the picture itself")
    hass.becomes("sensor.ender_file", STORED, within=SOON)
    before = len(home.printer.wire.chunks)
    able(home, "button.ender_start")
    hass.call("button.press", "button.ender_start")
    sent = home.printer.wire.sent
    wait_for(lambda: "M117 printed" in sent(before), "the print", SOON * 5)
    hass.becomes("sensor.ender_last_file", STORED, within=30)
    hass.becomes("sensor.ender_last_result", "done", within=SOON)


def test_what_waits_is_printed_when_the_bed_is_clear(home: "Home") -> None:
    hass = home.hass
    hass.becomes("sensor.ender_state", "operational", within=30)
    hass.becomes("binary_sensor.ender_queue_held", "on", within=SOON)
    hass.publish("printer/queue", {"command": "add", "file": STORED})
    hass.becomes("sensor.ender_queue", "1", within=SOON)
    before = len(home.printer.wire.chunks)
    hass.call("button.press", "button.ender_queue_release")
    hass.becomes("sensor.ender_queue", "0", within=SOON)
    sent = home.printer.wire.sent
    wait_for(lambda: "M117 printed" in sent(before), "the print")
    hass.becomes("sensor.ender_state", "operational", within=30)


ANSWERS = ("Yes", "No", "Later", "Never")


def test_a_question_is_answered(home: "Home") -> None:
    """By each of the buttons, which are there for as many answers as there are."""
    question = "sensor.ender_question"
    for number in (*range(len(ANSWERS)), 0):
        offered = ANSWERS[: number + 1]
        for said in ("begin Go on?", *(f"button {it}" for it in offered), "show"):
            home.printer.press("say", f"//action:prompt_{said}")
        home.hass.becomes(question, "Go on?", within=SOON)
        wait_for(
            lambda wanted=list(offered): (  # type: ignore[misc]  # mypy infers no type
                attribute(home, question, "choices") == wanted
            ),
            "the choices",
            SOON,
        )
        for missing in range(number + 2, len(ANSWERS) + 1):
            home.hass.becomes(
                f"button.ender_answer_{missing}", "unavailable", within=SOON
            )
        pressed(home, f"answer_{number + 1}", f"M876 S{number}")
        home.hass.becomes(question, "none", within=SOON)


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


@pytest.mark.parametrize(
    ("heater", "code"),
    [
        ("tool0", "M104 T0"),
        ("tool1", "M104 T1"),
        ("bed", "M140"),
        ("chamber", "M141"),
    ],
)
def test_a_thermostat(home: "Home", heater: str, code: str) -> None:
    entity = f"climate.ender_{heater}_thermostat"
    number = f"number.ender_{heater}_target"
    does(home, [f"{code} S0"], "number.set_value", number, value=0)
    home.hass.becomes(entity, "off", within=SOON)
    does(home, [f"{code} S50"], "climate.set_temperature", entity, temperature=50)
    home.hass.becomes(entity, "heat", within=SOON)
    does(home, [f"{code} S0"], "climate.set_hvac_mode", entity, hvac_mode="off")
    home.hass.becomes(entity, "off", within=SOON)
    before = len(home.printer.wire.chunks)
    home.hass.call("climate.turn_on", entity)
    display = "notify.ender_display"
    does(home, ["M117 fence"], "notify.send_message", display, message="fence")
    assert home.printer.wire.sent(before) == ["M117 fence"]
    preset = {"tool0": 215, "tool1": 215, "bed": 60}.get(heater)
    if preset is not None:
        line = f"{code} S{preset}"
        does(home, [line], "climate.set_preset_mode", entity, preset_mode="PLA")
        wait_for(lambda: attribute(home, entity, "preset_mode") == "PLA", entity, SOON)
        does(home, [f"{code} S0"], "climate.set_hvac_mode", entity, hvac_mode="off")


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


def test_the_port_is_released_and_used_again(home: "Home") -> None:
    hass = home.hass
    hass.call("button.press", "button.ender_cool_down")
    for entity in ("tool0", "tool1", "bed", "chamber"):
        hass.becomes(f"number.ender_{entity}_target", "0.0", within=SOON)
    hass.call("button.press", "button.ender_disconnect")
    hass.becomes("binary_sensor.ender_released", "on", within=SOON)
    hass.becomes("binary_sensor.ender_connected", "off", within=SOON)
    hass.call("button.press", "button.ender_connect")
    hass.becomes("binary_sensor.ender_released", "off", within=SOON)
    hass.becomes("sensor.ender_state", "operational", within=30)


def test_a_problem_is_acknowledged(home: "Home") -> None:
    """A print has failed because the printer was gone, and somebody has seen it."""
    hass = home.hass
    home.printer.press("start", "ARATHE~1.GCO")
    hass.becomes("sensor.ender_state", "printing", within=10)
    home.kill("printer")
    hass.becomes("sensor.ender_attention_reason", "error", within=30)
    home.start("printer")
    hass.becomes("binary_sensor.ender_connected", "on", within=60)
    hass.becomes("binary_sensor.ender_problem", "on", within=SOON)
    hass.call("button.press", "button.ender_acknowledge")
    hass.becomes("binary_sensor.ender_problem", "off", within=SOON)
    hass.becomes("sensor.ender_attention_reason", "none", within=SOON)


def in_a_layer(home: "Home") -> int | None:
    """Return which layer of the tower is printed, if it began long ago enough."""
    sent = home.printer.wire.sent()
    rises = [at for at, line in enumerate(sent) if line.startswith("G1 Z")]
    if len(rises) < 3 or not 80 < len(sent) - rises[-1] < 200:
        return None
    return round(float(sent[rises[-1]].removeprefix("G1 Z")) * 5)


def test_a_print_that_broke_off_is_planned_and_goes_on(home: "Home") -> None:
    hass, plan = home.hass, "sensor.ender_recovery"
    hass.becomes("sensor.ender_state", "operational", within=30)
    hass.publish("printer/job", {"command": "start", "file": TOWER})
    wait_for(lambda: in_a_layer(home) is not None, "the middle of a layer", 120)
    layer = in_a_layer(home)
    home.kill("printer")
    hass.becomes("sensor.ender_attention_reason", "error", within=30)
    home.start("printer")
    hass.becomes("sensor.ender_state", "operational", within=60)
    assert hass.state("button.ender_recover") == "unavailable"
    hass.becomes("button.ender_plan_recovery", "unknown", within=SOON)
    pressed(home, "plan_recovery")
    assert layer is not None
    z = layer / 5
    goes_on = f"{TOWER} from layer {layer}; the nozzle must stand at"
    hass.becomes(plan, f"{goes_on} {z} mm", within=SOON)
    lines = attribute(home, plan, "lines")
    assert isinstance(lines, list)
    assert f"G92 Z{z:g}" in lines
    assert "G28 X Y" in lines
    # Whoever moves the head has to measure.
    hass.becomes("button.ender_recover", "unknown", within=SOON)
    hass.call("button.press", "button.ender_jog_z_plus")
    hass.becomes("button.ender_recover", "unavailable", within=SOON)
    hass.becomes(plan, "none", within=SOON)
    pressed(home, "plan_recovery")
    wait_for(lambda: "moved since" in hass.state(plan), plan, SOON)
    refusal = "event.ender_refused"
    wait_for(lambda: "measure" in str(attribute(home, refusal, "message")), "it", SOON)
    hass.publish("printer/job", {"command": "plan_recovery", "z": 1.0})
    hass.becomes(plan, f"{goes_on} 1.0 mm", within=SOON)
    hass.call("button.press", "button.ender_recover")
    hass.becomes("sensor.ender_state", "printing", within=10)
    hass.becomes(plan, "none", within=SOON)
    wait_for(lambda: "G28 X Y" in home.printer.wire.sent(), "it homes", 120)
    hass.call("button.press", "button.ender_cancel")
    hass.becomes("sensor.ender_state", "operational", within=60)


def test_every_control_that_is_announced_was_used(home: "Home") -> None:
    topic = config_topic("homeassistant", "ender")
    with connected(home.broker.port, topic, host=home.broker.host) as client:
        wait_for(lambda: client.payloads(topic), topic)
        announced = json.loads(client.payloads(topic)[-1])["components"].values()
    owed = {
        (action, fields["default_entity_id"])
        for fields in announced
        for name in fields
        if name.endswith("command_topic")
        for action in USES[fields["platform"], name.removesuffix("command_topic")]
    }
    assert len(owed) > 60
    assert not sorted(owed - home.hass.used)


def test_it_complained_about_nothing(home: "Home") -> None:
    assert not home.hass.complaints()
