"""The blueprints, as the real Home Assistant carries them out.

Each runs to its end, and again while the broker, the bridge and Home Assistant are
restarted in between.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.home_assistant.conftest import (
    BROKER,
    PICTURE,
    PRINTER,
    STORED,
    Home,
    sliced,
)
from tests.support.brokers import Spec, mosquitto
from tests.support.daemons import wait_for
from tests.support.hass import home_assistant
from tests.support.phone import EVENT, Phone, phone
from tests.support.printers import SimulatedPrinter

pytestmark = pytest.mark.home_assistant

BLUEPRINTS = (
    Path(__file__).parent.parent.parent / "deploy" / "home-assistant" / "blueprints"
)
FILE = "ARATHE~1.GCO"
OUTLET = """\
mobile_app:
input_boolean: {relay: {name: Relay}, smoke: {name: Smoke}}
template:
  - binary_sensor:
      - name: Kitchen
        unique_id: kitchen
        device_class: smoke
        state: "{{ is_state('input_boolean.smoke', 'on') }}"
  - switch:
      - name: Outlet
        unique_id: outlet
        state: "{{ is_state('input_boolean.relay', 'on') }}"
        turn_on:
          - action: input_boolean.turn_on
            target: {entity_id: input_boolean.relay}
        turn_off:
          - action: input_boolean.turn_off
            target: {entity_id: input_boolean.relay}
"""
SENSOR, BUTTON = "sensor.ender_", "button.ender_"
INPUTS: dict[str, dict[str, object]] = {
    "print-finished": {
        "ended": f"{SENSOR}last_ended",
        "result": f"{SENSOR}last_result",
        "file": f"{SENSOR}last_file",
        "duration": f"{SENSOR}last_duration",
        "reason": f"{SENSOR}last_reason",
        "picture": "image.ender_thumbnail",
    },
    "notify": {
        "attention": f"{SENSOR}attention_reason",
        "error": f"{SENSOR}error",
        "question": f"{SENSOR}question",
        "file": f"{SENSOR}file",
        "refused": "event.ender_refused",
        "reasons": ["error", "paused"],
    },
    "filament-runout": {
        "attention": f"{SENSOR}attention_reason",
        "file": f"{SENSOR}file",
        "resume": f"{BUTTON}resume",
    },
    "answer": {
        "question": f"{SENSOR}question",
        "answers": [f"{BUTTON}answer_1", f"{BUTTON}answer_2"],
    },
    "power-off": {
        "safe": "binary_sensor.ender_safe_to_power_off",
        "ended": f"{SENSOR}last_ended",
        "outlet": "switch.outlet",
        "minutes": 0,
    },
    "print-queue": {
        "waiting": f"{SENSOR}queue",
        "held": "binary_sensor.ender_queue_held",
        "clear": f"{BUTTON}queue_release",
        "printing": "binary_sensor.ender_printing",
        "outlet": "switch.outlet",
    },
    "preheat": {"at": "03:00:00", "state": f"{SENSOR}state", "topic": "printer"},
    "smoke-alarm": {
        "smoke": ["binary_sensor.kitchen"],
        "stop": f"{BUTTON}emergency_stop",
        "outlet": ["switch.outlet"],
    },
}
PHONELESS = {"power-off", "preheat"}


def entity_of(name: str) -> str:
    return f"automation.{name.replace('-', '_')}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("recipes")
    with mosquitto(Spec(options=BROKER)) as broker:
        printer = SimulatedPrinter(PRINTER, folder / "printer")
        with home_assistant((broker.host, broker.port), OUTLET) as hass:
            home = Home(broker, hass, folder, printer)
            home.store(STORED, sliced())
            home.start("bridge")
            hass.becomes("sensor.ender_state", "operational", within=30)
            yield home
        home.daemon.close()
        home.printer.close()


@pytest.fixture(scope="module")
def pocket(home: Home) -> Iterator[Phone]:
    """Home Assistant has one automation of each blueprint, and a phone."""
    with phone(home.hass, "Pocket") as owned:
        install(home, owned)
        yield owned


def install(home: Home, owned: Phone, **changed: dict[str, object]) -> None:
    automations = []
    for name, inputs in INPUTS.items():
        extra: dict[str, Any] = {} if name in PHONELESS else {"phones": [owned.device]}
        use = {
            "path": f"{BLUEPRINTS.parent.name}/{name}.yaml",
            "input": {**inputs, **extra, **changed.get(name, {})},
        }
        automations.append({"id": name, "alias": name, "use_blueprint": use})
    home.hass.automate(BLUEPRINTS, automations)


def prints(home: Home, outcome: str) -> None:
    """Print, and let it end so."""
    home.hass.becomes("sensor.ender_state", "operational", within=60)
    home.printer.press("start", FILE)
    home.hass.becomes("sensor.ender_state", "printing", within=30)
    if outcome == "cancelled":
        home.hass.call("button.press", "button.ender_cancel")
    home.hass.becomes("sensor.ender_state", "operational", within=120)


def restart(home: Home, *names: str) -> None:
    """Take parts away as a power cut does, and bring them back."""
    for name in names:
        home.kill(name)
    for name in names:
        home.start(name)
        if name == "hass":
            home.hass.started()
    home.hass.becomes("sensor.ender_state", "operational", within=120)


def test_every_blueprint_becomes_an_automation(home: Home, pocket: Phone) -> None:
    assert set(INPUTS) == {path.stem for path in BLUEPRINTS.glob("*.yaml")}
    for name in INPUTS:
        home.hass.becomes(entity_of(name), "on")
    assert pocket.device
    assert not home.hass.complaints()


def test_each_print_is_reported_once(home: Home, pocket: Phone) -> None:
    prints(home, "cancelled")
    shown = pocket.shows("was cancelled")
    assert re.fullmatch(rf"{FILE} was cancelled after \d+ min\.", shown["message"])
    assert shown["title"] == "Ender 3"
    # Its picture is that of the file, which the bridge has stored.
    for part in ("bridge", "broker", "hass"):
        restart(home, part)
    home.hass.publish("printer/job", {"command": "start", "file": STORED})
    shown = pocket.shows(f"{STORED} is finished")
    assert shown["data"]["image"] == "/api/image_proxy/image.ender_thumbnail"
    # A process of its own reads it, which may have to start first.
    picture = "image.ender_thumbnail"
    wait_for(lambda: home.hass.image(picture) == PICTURE, picture)
    for part in ("bridge", "broker", "hass"):
        restart(home, part)
    # Home Assistant is not there when this one ends.
    home.printer.press("start", FILE)
    home.hass.becomes("sensor.ender_state", "printing", within=30)
    home.kill("hass")
    home.printer.press("cancel")
    time.sleep(5)
    home.start("hass")
    home.hass.started()
    wait_for(lambda: len(pocket.messages("was cancelled")) > 1, "the second", 60)
    assert len(pocket.messages("was cancelled")) == 2


def test_the_outlet_is_switched_off_after_a_print(home: Home, pocket: Phone) -> None:
    assert pocket.device
    home.hass.call("switch.turn_on", "switch.outlet")
    prints(home, "cancelled")
    home.hass.becomes("binary_sensor.ender_safe_to_power_off", "on", within=60)
    for part in ("broker", "bridge", "hass"):
        restart(home, part)
    home.hass.becomes("switch.outlet", "off", within=90)
    # Whoever switches it on again wants it on.
    home.hass.call("switch.turn_on", "switch.outlet")
    begun = datetime.now(UTC)
    wait_for(lambda: datetime.now(UTC) > begun + timedelta(seconds=65), "a minute", 90)
    assert home.hass.state("switch.outlet") == "on"


def test_a_refusal_is_shown(home: Home, pocket: Phone) -> None:
    """A message of one's own, in the middle of a print, after restarts."""
    for part in ("bridge", "broker", "hass"):
        restart(home, part)
    home.printer.press("start", FILE)
    home.hass.becomes("sensor.ender_state", "printing", within=30)
    home.hass.publish("printer/head", {"command": "home", "axes": []})
    pocket.shows("A command was not carried out: ")
    home.hass.call("button.press", "button.ender_cancel")
    home.hass.becomes("sensor.ender_state", "operational", within=60)


def test_filament_and_answers(home: Home, pocket: Phone) -> None:
    home.printer.press("start", FILE)
    home.hass.becomes("sensor.ender_state", "printing", within=30)
    home.printer.press("runout")
    runout = pocket.shows("The filament has run out while printing")
    assert [one["title"] for one in runout["data"]["actions"]] == ["Resume"]
    question = pocket.shows("Nozzle Parked")
    # An answer to another question is ignored.
    home.hass.fire(EVENT, action="GCODE2MQTT_ANSWER_sensor.ender_question_0_0")
    before = len(home.printer.wire.sent())
    for part in ("broker", "hass"):
        home.kill(part)
        home.start(part)
    home.hass.started()
    home.hass.becomes("sensor.ender_question", "Nozzle Parked", within=60)
    assert "M876 S0" not in home.printer.wire.sent()[before:]
    pocket.press(question, "Continue")
    wait_for(lambda: "M876 S0" in home.printer.wire.sent(), "the answer", 60)
    pocket.shows("clear_notification")
    home.hass.becomes(f"{SENSOR}attention_reason", "none", within=60)


def test_an_answer_reaches_a_printer_that_asked_another_bridge(
    home: Home, pocket: Phone
) -> None:
    """What it asked is not known any more, only that it waits."""
    home.hass.becomes("sensor.ender_state", "printing", within=60)
    old = len(pocket.messages("Nozzle Parked"))
    home.printer.press("runout")
    wait_for(lambda: len(pocket.messages("Nozzle Parked")) > old, "the question", 60)
    outdated = pocket.shows("Nozzle Parked")
    home.kill("bridge")
    home.start("bridge")
    question = pocket.shows("The printer waits for a person")
    assert [one["title"] for one in question["data"]["actions"]] == ["Continue"]
    before = len(home.printer.wire.sent())
    pocket.press(outdated, "Continue")
    for part in ("broker", "hass"):
        home.kill(part)
        home.start(part)
    home.hass.started()
    home.hass.becomes("sensor.ender_question", question["message"], within=60)
    assert "M108" not in home.printer.wire.sent()[before:]
    pocket.press(question, "Continue")
    wait_for(lambda: "M108" in home.printer.wire.sent()[before:], "the answer", 60)
    home.hass.becomes("sensor.ender_question", "none", within=60)
    home.hass.becomes("sensor.ender_state", "printing", within=60)


def test_a_filament_change_continues_from_the_phone_after_a_restart(
    home: Home, pocket: Phone
) -> None:
    """Also if the bridge finds the printer waiting for the person."""
    hass, reason = home.hass, "sensor.ender_attention_reason"
    if hass.state("sensor.ender_state") != "printing":
        hass.becomes("sensor.ender_state", "operational", within=120)
        home.printer.press("start", FILE)
        hass.becomes("sensor.ender_state", "printing", within=30)
    shown = len(pocket.messages("The filament has run out"))
    home.printer.press("runout")
    wait_for(lambda: len(pocket.messages("The filament has run out")) > shown, "it", 60)
    runout = pocket.shows("The filament has run out")
    for part in ("hass", "broker", "bridge"):
        home.kill(part)
        home.start(part)
        if part == "hass":
            hass.started()
    hass.becomes("sensor.ender_state", "connecting", within=120)
    wait_for(
        lambda: "waits for a person" in hass.state("sensor.ender_status").lower(),
        "the status",
        60,
    )
    assert hass.state(reason) in {"prompt", "filament_runout"}
    hass.becomes("button.ender_resume", "unknown")
    hass.becomes("button.ender_home", "unavailable")
    pocket.press(runout, "Resume")
    wait_for(lambda: "M108" in home.printer.wire.sent(), "the release", 60)
    hass.becomes("sensor.ender_state", "printing", within=60)
    hass.becomes(reason, "none", within=30)


def test_a_print_that_waits_is_printed_when_the_bed_is_clear(
    home: Home, pocket: Phone
) -> None:
    """The printer is switched off; Home Assistant and the bridge restart meanwhile."""
    home.hass.becomes("sensor.ender_state", "operational", within=120)
    home.kill("printer")
    home.hass.becomes("binary_sensor.ender_connected", "off", within=120)
    home.hass.call("switch.turn_off", "switch.outlet")
    home.hass.publish("printer/queue", {"command": "add", "file": STORED})
    home.hass.becomes("sensor.ender_queue", "1", within=60)
    asked = pocket.shows("1 print waiting. Is the bed clear?")
    assert home.hass.state("switch.outlet") == "off"
    for part in ("bridge", "broker", "hass"):
        home.kill(part)
        home.start(part)
    home.hass.started()
    home.hass.becomes("sensor.ender_queue", "1", within=120)
    pocket.press(asked, "Bed is clear")
    home.hass.becomes("switch.outlet", "on", within=60)
    home.start("printer")  # its wire is a new one
    wait_for(lambda: "M117 printed" in home.printer.wire.sent(), "the print", 120)
    home.hass.becomes("sensor.ender_queue", "0", within=60)
    home.hass.becomes("sensor.ender_last_result", "done", within=60)


def test_attention_names_the_question_and_the_file(home: Home, pocket: Phone) -> None:
    """Whatever the reason is, and once, whatever is restarted."""
    hass, reason = home.hass, f"{SENSOR}attention_reason"
    hass.becomes(reason, "none", within=120)
    reasons = ["error", "prompt", "filament_runout", "paused"]
    install(home, pocket, notify={"reasons": reasons})
    hass.becomes(f"{SENSOR}state", "operational", within=120)
    for said in ("begin Level the bed?", "button Yes", "show"):
        home.printer.press("say", f"//action:prompt_{said}")
    asked = "It asks a question: Level the bed?"
    assert pocket.shows(asked)["message"].startswith(asked)
    home.printer.press("say", "//action:prompt_end")
    hass.becomes(reason, "none", within=60)
    home.printer.press("start", FILE)
    hass.becomes(f"{SENSOR}state", "printing", within=30)
    home.printer.press("runout")
    told = "The filament has run out: Nozzle Parked (printing "
    pocket.shows(told)
    count = len(pocket.messages(told))
    for part in ("hass", "broker"):
        home.kill(part)
        home.start(part)
    hass.started()
    hass.becomes(f"{SENSOR}question", "Nozzle Parked", within=120)
    assert hass.state(reason) == "filament_runout"
    hass.call("button.press", f"{BUTTON}answer_1")
    hass.becomes(reason, "none", within=60)
    assert len(pocket.messages(told)) <= count + 1, "a restart replaces it at most"
    hass.becomes(f"{SENSOR}state", "printing", within=60)
    hass.call("button.press", f"{BUTTON}cancel")
    hass.becomes(f"{SENSOR}state", "operational", within=60)
    install(home, pocket)


def test_preheating_ends_by_itself(home: Home, pocket: Phone) -> None:
    """Even if everything is restarted in between."""
    home.hass.becomes("sensor.ender_state", "operational", within=120)
    soon = datetime.now(UTC) + timedelta(seconds=4)
    at = {"at": soon.strftime("%H:%M:%S"), "minutes": 0.7}
    install(home, pocket, preheat=at)
    home.hass.becomes("number.ender_tool0_target", "150.0", within=30)
    home.hass.becomes("number.ender_bed_target", "60.0", within=30)
    for part in ("broker", "bridge", "hass"):
        restart(home, part)
    home.hass.becomes("number.ender_tool0_target", "0.0", within=120)
    home.hass.becomes("number.ender_bed_target", "0.0", within=30)


def smoke(home: Home, state: str) -> None:
    home.hass.call(f"input_boolean.turn_{state}", "input_boolean.smoke")
    home.hass.becomes("binary_sensor.kitchen", state)


def stops(home: Home) -> int:
    return home.printer.wire.sent().count("M112")


def test_smoke_stops_the_printer_and_somebody_is_told(
    home: Home, pocket: Phone
) -> None:
    home.hass.call("switch.turn_on", "switch.outlet")
    smoke(home, "on")
    home.hass.becomes("sensor.ender_state", "error", within=30)
    home.hass.becomes("switch.outlet", "off")
    pocket.shows(
        "Smoke alarm. The emergency stop was sent. The outlet was switched off."
    )
    pocket.shows("It has stopped with an error: ")


@pytest.mark.parametrize("away", ["bridge", "broker"])
def test_smoke_while_the_way_to_the_printer_is_interrupted(
    home: Home, pocket: Phone, away: str
) -> None:
    """The outlet goes off at once, nobody is misled, and the stop follows.

    Also if Home Assistant is restarted while it waits for the bridge.
    """
    smoke(home, "off")
    home.printer.reset()
    home.hass.becomes("sensor.ender_state", "operational", within=60)
    home.hass.call("switch.turn_on", "switch.outlet")
    told = "Smoke alarm. The emergency stop could not be sent"
    before, sent = len(pocket.messages(told)), stops(home)
    home.kill(away)
    home.hass.becomes("button.ender_emergency_stop", "unavailable", within=60)
    smoke(home, "on")
    home.hass.becomes("switch.outlet", "off", within=30)
    wait_for(lambda: len(pocket.messages(told)) > before, told, 60)
    home.kill("hass")
    home.start("hass")
    home.start(away)
    home.hass.started()
    home.hass.becomes("sensor.ender_state", "error", within=120)
    wait_for(lambda: stops(home) > sent, "the stop", 30)
    assert home.hass.state("switch.outlet") == "off"
