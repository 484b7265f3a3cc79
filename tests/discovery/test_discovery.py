"""What Home Assistant is told of a printer, and what its controls send."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest

from bridge.commands import Context, Request, parse
from bridge.commands.base import Question
from bridge.commands.scripts import Scripts
from bridge.config import Preset, Profile
from bridge.home_assistant.discovery import EVENTS, config_topic, discovery, render
from bridge.home_assistant.entities import Device
from bridge.printer.knowledge import state as known
from bridge.printer.knowledge.model import Problem, Word
from bridge.printer.knowledge.print_table import Outcome
from bridge.printer.published import documents
from bridge.printer.published.documents import Attention
from bridge.topics import Topics
from tests.support import home_assistant as ha
from tests.support.announced import (
    PROFILE,
    components,
    device,
    documents_of,
)
from tests.support.knowing import Knowing

MACHINES = [
    device(tools, bed=bed, chamber=chamber)
    for tools in (1, 2, 8)
    for bed in (True, False)
    for chamber in (True, False)
]


def name_of(machine: Device) -> str:
    return "-".join(machine.heaters)


@pytest.mark.parametrize("machine", MACHINES, ids=name_of)
def test_the_payload_is_what_home_assistant_takes(machine: Device) -> None:
    payload = json.loads(render(discovery(machine)))
    assert set(payload) >= ha.ROOT_REQUIRED
    assert set(payload) <= ha.ROOT
    assert set(payload["device"]) <= ha.DEVICE
    assert set(payload["origin"]) <= ha.ORIGIN
    assert payload["availability_mode"] == "all"
    listed = payload["components"]
    for fields in listed.values():
        platform = fields["platform"]
        assert set(fields) <= ha.FIELDS[platform], fields
        assert set(fields) >= ha.REQUIRED[platform], fields
        assert fields["qos"] == 1
    entities = [c for c in listed.values() if c["platform"] != "device_automation"]
    for name in ("unique_id", "default_entity_id", "name"):
        values = [entity[name] for entity in entities]
        assert len(set(values)) == len(values), name
    assert len([e for e in entities if e.get("enabled_by_default", True)]) >= 30


def test_the_smallest_printer_has_no_entity_of_what_it_has_not() -> None:
    listed = components(device(bed=False))
    assert not [key for key in listed if "bed" in key or "chamber" in key]
    assert "tool" not in listed
    assert listed["tool0_temperature"]["name"] == "Nozzle temperature"
    assert components(device(2))["tool1_target"]["name"] == "Nozzle 1 target"
    assert components(device(2))["tool"]["options"] == ["tool0", "tool1"]


MY_ENDER = replace(device(chamber=True), id="my-ender", scripts={"x y": False})


def test_ids_never_change() -> None:
    """Who changes one of these takes away people's automations and their history."""
    listed = components(
        replace(device(chamber=True), id="my-ender", scripts={"x y": False})
    )
    entities = {
        key: fields
        for key, fields in listed.items()
        if fields["platform"] != "device_automation"
    }
    assert {f["unique_id"] for f in entities.values()} == {
        f"gcode2mqtt_my-ender_{key}" for key in entities
    }
    assert sorted(f["default_entity_id"] for f in entities.values()) == [
        "binary_sensor.my_ender_attention",
        "binary_sensor.my_ender_connected",
        "binary_sensor.my_ender_heating",
        "binary_sensor.my_ender_hot",
        "binary_sensor.my_ender_printing",
        "binary_sensor.my_ender_problem",
        "binary_sensor.my_ender_queue_held",
        "binary_sensor.my_ender_released",
        "binary_sensor.my_ender_safe_to_power_off",
        "binary_sensor.my_ender_unsafe_to_power_off",
        "button.my_ender_acknowledge",
        "button.my_ender_answer_1",
        "button.my_ender_answer_2",
        "button.my_ender_answer_3",
        "button.my_ender_answer_4",
        "button.my_ender_babystep_down",
        "button.my_ender_babystep_up",
        "button.my_ender_cancel",
        "button.my_ender_connect",
        "button.my_ender_cool_down",
        "button.my_ender_disconnect",
        "button.my_ender_emergency_stop",
        "button.my_ender_extrude",
        "button.my_ender_home",
        "button.my_ender_jog_x_minus",
        "button.my_ender_jog_x_plus",
        "button.my_ender_jog_y_minus",
        "button.my_ender_jog_y_plus",
        "button.my_ender_jog_z_minus",
        "button.my_ender_jog_z_plus",
        "button.my_ender_motors_off",
        "button.my_ender_pause",
        "button.my_ender_plan_recovery",
        "button.my_ender_preset_it_s_hot",
        "button.my_ender_preset_pla",
        "button.my_ender_queue_release",
        "button.my_ender_reconnect",
        "button.my_ender_recover",
        "button.my_ender_reprint",
        "button.my_ender_resume",
        "button.my_ender_retract",
        "button.my_ender_script_x_y",
        "button.my_ender_start",
        "climate.my_ender_bed_thermostat",
        "climate.my_ender_chamber_thermostat",
        "climate.my_ender_tool0_thermostat",
        "event.my_ender_event",
        "event.my_ender_refused",
        "fan.my_ender_fan_1",
        "fan.my_ender_part_fan",
        "image.my_ender_thumbnail",
        "light.my_ender_light",
        "notify.my_ender_display",
        "number.my_ender_bed_target",
        "number.my_ender_chamber_target",
        "number.my_ender_feedrate",
        "number.my_ender_flowrate",
        "number.my_ender_tool0_target",
        "number.my_ender_z_offset",
        "select.my_ender_choose_file",
        "select.my_ender_extrude_length",
        "select.my_ender_jog_distance",
        "select.my_ender_preset",
        "sensor.my_ender_attention_reason",
        "sensor.my_ender_bed_temperature",
        "sensor.my_ender_bridge_started",
        "sensor.my_ender_bridge_version",
        "sensor.my_ender_chamber_temperature",
        "sensor.my_ender_error",
        "sensor.my_ender_fan",
        "sensor.my_ender_filament",
        "sensor.my_ender_file",
        "sensor.my_ender_finish",
        "sensor.my_ender_firmware",
        "sensor.my_ender_heat_reason",
        "sensor.my_ender_heaters_off",
        "sensor.my_ender_last_duration",
        "sensor.my_ender_last_ended",
        "sensor.my_ender_last_file",
        "sensor.my_ender_last_reason",
        "sensor.my_ender_last_result",
        "sensor.my_ender_layer",
        "sensor.my_ender_layers",
        "sensor.my_ender_machine",
        "sensor.my_ender_mqtt_reconnects",
        "sensor.my_ender_port",
        "sensor.my_ender_position_x",
        "sensor.my_ender_position_y",
        "sensor.my_ender_position_z",
        "sensor.my_ender_print_hours",
        "sensor.my_ender_print_time",
        "sensor.my_ender_prints_cancelled",
        "sensor.my_ender_prints_done",
        "sensor.my_ender_prints_failed",
        "sensor.my_ender_progress",
        "sensor.my_ender_question",
        "sensor.my_ender_queue",
        "sensor.my_ender_reconnects",
        "sensor.my_ender_recovery",
        "sensor.my_ender_resends",
        "sensor.my_ender_sensor_pinda",
        "sensor.my_ender_started",
        "sensor.my_ender_state",
        "sensor.my_ender_status",
        "sensor.my_ender_time_left",
        "sensor.my_ender_timeouts",
        "sensor.my_ender_tool0_temperature",
        "sensor.my_ender_total_filament",
    ]


def test_what_the_printer_asks_is_shown_even_if_its_words_are_not_known() -> None:
    """The bridge was started while it waited, or the firmware says only that."""
    fields = components(device())["question"]
    for prompt, shown in (
        (None, "none"),
        ({"text": "Nozzle Parked"}, "Nozzle Parked"),
        ({"text": ""}, "The printer waits for a person"),
        ({"text": "x" * 300}, "x" * 255),
    ):
        document = {"prompt": prompt}
        assert ha.shown(fields["value_template"], document) == shown
    # It may ask before it has answered the bridge.
    assert [at["topic"] for at in fields["availability"]] == ["printer/availability"]


def test_how_a_print_could_go_on_is_shown_or_why_not() -> None:
    fields = components(device())["recovery"]
    plan = {"file": "a.gco", "layer": 41, "height": 8.2, "lines": ["G90"]}
    for recovery, shown, told in (
        (None, "none", [None, []]),
        (
            {**plan, "refused": ""},
            "a.gco from layer 41; the nozzle must stand at 8.2 mm",
            [41, ["G90"]],
        ),
        (
            {**plan, "layer": None, "lines": [], "refused": "measure it" + "!" * 300},
            ("Not possible: measure it" + "!" * 300)[:255],
            [None, []],
        ),
    ):
        document = {"recovery": recovery}
        assert ha.shown(fields["value_template"], document) == shown
        told_of = json.loads(ha.shown(fields["json_attributes_template"], document))
        assert [told_of["layer"], told_of["lines"]] == told


def test_an_id_without_letters_still_gives_an_entity_id() -> None:
    listed = components(replace(device(), id="_"))
    assert listed["state"]["default_entity_id"] == "sensor.printer_state"
    assert listed["state"]["unique_id"] == "gcode2mqtt___state"


def test_where_it_is_announced() -> None:
    topic = config_topic("homeassistant", "my-ender")
    assert topic == "homeassistant/device/gcode2mqtt_my-ender/config"


def test_what_must_not_vanish_with_the_printer_asks_for_the_bridge_alone() -> None:
    listed = components(device())
    bridge = [{"topic": "printer/availability"}]
    for key in ("state", "problem", "emergency_stop", "attention", "connected"):
        assert listed[key]["availability"] == bridge
    assert "availability" not in listed["tool0_temperature"]
    topics = [entry["topic"] for entry in listed["pause"]["availability"]]
    assert topics == ["printer/availability", "printer/connection", "printer/state"]
    assert listed["pause"]["availability_mode"] == "all"


def test_thermostats_wait_for_somebody_who_wants_them() -> None:
    listed = components(device(2, chamber=True))
    thermostats = [f for f in listed.values() if f["platform"] == "climate"]
    assert len(thermostats) == 4
    assert not any(fields["enabled_by_default"] for fields in thermostats)


def test_long_names_are_cut() -> None:
    payload: Any = discovery(replace(device(), firmware="x" * 300, model=None))
    assert len(payload["device"]["sw_version"]) == 255
    assert "model" not in payload["device"]


@pytest.mark.parametrize(
    ("rights", "platforms"),
    [
        ({"read"}, set[str]()),
        ({"read", "safe"}, {"button"}),
        (
            {"control"},
            {"button", "number", "climate", "select", "fan", "light", "notify"},
        ),
        ({"raw"}, set[str]()),
    ],
)
def test_there_is_no_control_without_its_right(
    rights: set[str], platforms: set[str]
) -> None:
    listed = components(replace(device(2), rights=frozenset(rights)))
    commanding = {f["platform"] for f in listed.values() if set(f) & COMMANDS}
    assert commanding == platforms


# What the controls send.

COMMANDS = {
    "command_topic",
    "temperature_command_topic",
    "mode_command_topic",
}


def values_of(fields: ha.Json) -> Iterator[object]:
    match fields["platform"]:
        case "number":
            yield from (fields["min"], fields["max"], fields["min"] + fields["step"])
            yield (fields["min"] + fields["max"]) / 3
        case "select":
            yield from fields["options"]
        case "notify":
            yield from ("", "Hello", '50 % of "it\'s" <done> ; {x} %(y)s ä', "x" * 60)
        case "fan":
            yield from (fields["payload_on"], fields["payload_off"])
        case "button":
            yield "PRESS"


def sent(fields: ha.Json) -> Iterator[tuple[str, str]]:
    """Yield topic and payload of all that a component can send."""
    if "payload_press" in fields:
        yield fields["command_topic"], fields["payload_press"]
        return
    match fields["platform"]:
        case "climate":
            yield from sent_by_thermostat(fields)
            return
        case "light":
            yield from sent_by_light(fields)
            return
        case "fan":
            template = fields["percentage_command_template"]
            for percent in (1, 50, 100):
                yield fields["percentage_command_topic"], ha.rendered(template, percent)
    for value in values_of(fields):
        yield fields["command_topic"], ha.rendered(fields["command_template"], value)


def sent_by_thermostat(fields: ha.Json) -> Iterator[tuple[str, str]]:
    topic = fields["temperature_command_topic"]
    for value in (fields["min_temp"], fields["max_temp"], 60.5):
        yield topic, ha.rendered(fields["temperature_command_template"], value)
    for mode in fields["modes"]:
        template = fields["mode_command_template"]
        yield fields["mode_command_topic"], ha.rendered(template, mode)
    for preset in (*fields.get("preset_modes", ()), "none"):
        if "preset_mode_command_template" in fields:
            template = fields["preset_mode_command_template"]
            yield fields["preset_mode_command_topic"], ha.rendered(template, preset)


def sent_by_light(fields: ha.Json) -> Iterator[tuple[str, str]]:
    topic = fields["command_topic"]
    yield topic, ha.rendered(fields["command_off_template"])
    color = {"red": 9, "green": 0, "blue": 255}
    for values in ({}, {"brightness": 128}, color, {"brightness": 1, **color}):
        yield topic, ha.rendered(fields["command_on_template"], **values)


def understood(topic: str, payload: str) -> Request:
    rest = Topics("printer").split(topic)
    assert rest is not None
    return parse(rest, payload.encode())


@pytest.mark.parametrize("machine", MACHINES, ids=name_of)
def test_every_payload_of_an_entity_is_a_valid_command(
    machine: Device,
) -> None:
    context = Context(
        profile=PROFILE.model_copy(update={"extruders": machine.tools}),
        phase="paused",
        file="X.GCO",
        last_print=("card", "X.GCO"),
        question=Question("Go on?", tuple("abcd")),
        presets={name: Preset(**celsius) for name, celsius in machine.presets.items()},
        scripts=Scripts(dict.fromkeys(machine.scripts, "G28"), offered=machine.scripts),
    )
    commanding = [f for f in components(machine).values() if set(f) & COMMANDS]
    assert len(commanding) > 15
    for fields in commanding:
        for topic, payload in sent(fields):
            request = understood(topic, payload)
            assert request.command.program(context) is not None


def gcode(key: str, value: object = None, *, tools: int = 1) -> tuple[str, ...]:
    fields = components(device(tools, chamber=True))[key]
    payload = fields.get("payload_press")
    if payload is None:
        payload = ha.rendered(fields["command_template"], value)
    request = understood(fields["command_topic"], payload)
    profile = Profile(extruders=tools, heated_chamber=True)
    return request.command.program(Context(profile=profile, phase="paused")).gcode


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [
        ("tool0_target", 210, ("M104 S210",)),
        ("bed_target", 60.5, ("M140 S60.5",)),
        ("chamber_target", 0, ("M141 S0",)),
        ("feedrate", 1, ("M220 S1",)),
        ("feedrate", 150.0, ("M220 S150",)),
        ("flowrate", 95, ("M221 S95",)),
        ("display", "50 % done", ("M117 50 % done",)),
        ("home", None, ("G91", "G28 X0 Y0 Z0", "G90")),
        ("motors_off", None, ("M18",)),
        ("cool_down", None, ("M104 S0", "M140 S0", "M141 S0")),
        ("resume", None, ("M24",)),
        ("cancel", None, ("M524",)),
        ("emergency_stop", None, ("M112",)),
        ("reconnect", None, ()),
        ("disconnect", None, ()),
        ("connect", None, ()),
    ],
)
def test_what_a_control_does(key: str, value: object, lines: tuple[str, ...]) -> None:
    assert gcode(key, value) == lines


def test_the_tool_is_selected() -> None:
    assert gcode("tool", "tool1", tools=2) == ("T1",)
    assert gcode("tool1_target", 200, tools=2) == ("M104 T1 S200",)


@pytest.mark.parametrize("heater", ["tool0", "bed", "chamber"])
def test_a_thermostat_turns_off_and_heats_only_to_a_temperature(heater: str) -> None:
    fields = components(device(chamber=True))[f"{heater}_thermostat"]
    topic, template = fields["mode_command_topic"], fields["mode_command_template"]
    off = understood(topic, ha.rendered(template, "off"))
    (line,) = off.command.program(Context(profile=Profile(heated_chamber=True))).gcode
    assert line.endswith(" S0")
    assert not off.envelope.dry_run
    assert understood(topic, ha.rendered(template, "heat")).envelope.dry_run


def test_scripts_whose_names_look_alike_stay_apart() -> None:
    listed = components(device())
    buttons = {k: f for k, f in listed.items() if k.startswith("script")}
    assert {k: json.loads(f["payload_press"]) for k, f in buttons.items()} == {
        "script_preheat": {"command": "run", "script": "preheat"},
        "script_pre_heat": {"command": "run", "script": "Pre heat"},
        "script_len": {"command": "run", "script": "Ölen"},
    }
    twins = components(
        replace(device(), scripts=dict.fromkeys(("a b", "a-b", "ä"), False))
    )
    assert {"script_a_b", "script_a_b_2", "script"} <= set(twins)


# What the entities show.


def situations() -> Iterator[Knowing]:
    away = Knowing()
    away.become(known.disconnected(away.state, now=0))
    yield away
    yield Knowing()
    yield printing()
    failed = Knowing()
    failed.become(known.failed(failed.state, problem()))
    yield failed


def printing() -> Knowing:
    printer = Knowing()
    printer.says("FIRMWARE_NAME:Marlin 2.1.2 MACHINE_TYPE:Ender-3")
    printer.says(" T:210.04 /210.00 B:60.02 /60.00 C:30.0 /0.0 P:25.5")
    printer.says("X:10.0 Y:-5.0 Z:0.02 E:0.0", "FR:100%", "File opened: a.gco Size: 99")
    printer.sends("M221 S95", "M24", "M106 S255")
    printer.at(60).says(
        "SD printing byte 33/99", "echo:M73 Progress: 33%; Time left: 2m"
    )
    return printer


def problem() -> Problem:
    return Problem(error="Thermal", reason="thermal_runaway", consequence="halted")


def shows(key: str, printer: Knowing, *, template: str = "value_template") -> str:
    machine = replace(device(chamber=True), sensors=("P",))
    fields = components(machine)[key]
    other = template.replace("template", "topic")
    topic: str = fields.get("state_topic") or fields[other]
    return ha.shown(fields[template], documents_of(printer)[topic])


@pytest.mark.parametrize("machine", [device(), device(2, chamber=True)], ids=name_of)
def test_no_template_trips_over_what_is_not_known(machine: Device) -> None:
    for printer in situations():
        told = documents_of(printer)
        for fields in components(machine).values():
            for entry in fields.get("availability", ()):
                if "value_template" in entry:
                    document = told[entry["topic"]]
                    shown = ha.shown(entry["value_template"], document)
                    assert shown in {"online", "offline"}
            for name, template in fields.items():
                if name.endswith("template") and "command" not in name:
                    topic = fields.get(name.replace("template", "topic"))
                    topic = topic or fields.get("state_topic", "printer/event")
                    assert ha.shown(template, told[topic]) is not None


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("tool0_temperature", "210.0"),
        ("tool0_target", "210.0"),
        ("bed_temperature", "60.0"),
        ("sensor_p", "25.5"),
        ("state", "printing"),
        ("printing", "ON"),
        ("progress", "33.0"),
        ("print_time", "1"),
        ("time_left", "2"),
        ("started", "2025-11-22T17:03:20.000Z"),
        ("finish", "2025-11-22T17:06:20.000Z"),
        ("file", "a.gco"),
        ("last_result", "None"),
        ("position_y", "-5.0"),
        ("fan", "100"),
        ("feedrate", "100"),
        ("flowrate", "95"),
        ("hot", "ON"),
        ("problem", "OFF"),
        ("attention", "OFF"),
        ("attention_reason", "none"),
        ("unsafe_to_power_off", "ON"),
        ("firmware", "Marlin 2.1.2"),
        ("machine", "Ender-3"),
        ("resends", "2"),
        ("mqtt_reconnects", "1"),
        ("bridge_started", "2025-11-22T17:03:20.000Z"),
    ],
)
def test_what_an_entity_shows_of_a_print(key: str, shown: str) -> None:
    assert shows(key, printing()) == shown


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("state", "error"),
        ("problem", "ON"),
        ("attention", "ON"),
        ("attention_reason", "error"),
        ("tool0_temperature", "None"),
        ("tool0_target", "None"),
        ("progress", "None"),
        ("hot", "None"),
        ("unsafe_to_power_off", "None"),
    ],
)
def test_what_an_entity_shows_of_a_printer_that_stopped(key: str, shown: str) -> None:
    failed = Knowing()
    failed.become(known.failed(failed.state, problem()))
    assert shows(key, failed) == shown


def test_a_thermostat_shows_what_the_heater_does() -> None:
    printer = Knowing()

    def action() -> tuple[str, str]:
        return (
            shows("bed_thermostat", printer, template="mode_state_template"),
            shows("bed_thermostat", printer, template="action_template"),
        )

    printer.says("T:20 /0 B:20 /60")
    assert action() == ("heat", "heating")
    printer.says("T:20 /0 B:59.5 /60")
    assert action() == ("heat", "idle")
    printer.says("T:20 /0 B:59.5 /0")
    assert action() == ("off", "off")


def test_a_target_beyond_the_profile_is_not_known_rather_than_wrong() -> None:
    printer = Knowing()
    printer.says("T:20 /400 B:20 /60")
    assert shows("tool0_target", printer) == "None"


def test_the_problem_tells_what_it_is_but_not_the_whole_log() -> None:
    failed = Knowing()
    failed.become(known.failed(failed.state, problem()))
    told = shows("problem", failed, template="json_attributes_template")
    assert json.loads(told) == {
        "error": "Thermal",
        "reason": "thermal_runaway",
        "consequence": "halted",
        "severity": "critical",
        "time": "2025-11-22T17:03:20.000Z",
    }


def test_a_file_name_fits() -> None:
    template = components(device())["file"]["value_template"]
    assert ha.shown(template, {"display": "x" * 300, "file": "X~1.GCO"}) == "x" * 255
    assert ha.shown(template, {"display": None, "file": None}) == "None"


def test_an_event_says_its_type_and_what_it_knows() -> None:
    fields = components(device())["event"]
    document = {"event": "home", "axes": ["x"], "seq": 1}
    shown = json.loads(ha.shown(fields["value_template"], document))
    assert shown == {**document, "event_type": "home"}
    assert ha.shown(fields["value_template"], {"event": "position"}) == ""
    assert fields["event_types"] == list(EVENTS)


def words_of(form: object) -> list[str]:
    """Return the words of a literal, or of a union of literals."""
    if isinstance(form, str):
        return [form]
    return [word for part in get_args(form) for word in words_of(part)]


def test_words_are_those_of_the_documents() -> None:
    listed = components(device())
    assert set(listed["state"]["options"]) == set(words_of(Word))
    assert listed["attention_reason"]["options"] == words_of(Attention)
    assert listed["last_result"]["options"] == words_of(Outcome)
    conditions = {
        name
        for f in listed.values()
        for name in re.findall(r"value_json\.can\.(\w+)", json.dumps(f))
    }
    assert conditions == set(documents.Can.model_fields)


def test_a_plain_printer_has_no_control_of_what_it_has_not() -> None:
    plain = replace(
        device(), light=None, fans={}, presets={}, files=(), babysteps=0.0, scripts={}
    )
    listed = components(replace(plain, thumbnail=False))
    for key in ("light", "fan_1", "preset", "choose_file", "z_offset", "thumbnail"):
        assert key not in listed
    for light, dimmable in (("switch", False), ("dim", True)):
        fields = components(replace(plain, light=light))["light"]
        assert ("brightness_template" in fields) is dimmable
        assert "red_template" not in fields
