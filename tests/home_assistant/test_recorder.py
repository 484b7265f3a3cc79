"""How many rows Home Assistant's recorder writes."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.simulator.card import CardFile
from tests.home_assistant.conftest import BROKER, Home
from tests.support.brokers import Spec, mosquitto
from tests.support.daemons import wait_for
from tests.support.hass import home_assistant
from tests.support.printers import SimulatedPrinter

pytestmark = pytest.mark.home_assistant

MINUTES = 5
SLOW = "simulator://marlin?speed=1&outputs=1&extruders=2"
PRINT = ("sensor.ender_progress", "sensor.ender_print_time", "sensor.ender_time_left")
HEATERS = ("sensor.ender_tool0_temperature", "sensor.ender_bed_temperature")
SWINGS = {0.0: 0, 0.1: 400, 0.3: 1200, 0.5: 1800}
"""°C by which the hotend swings around its target, the bed a third of that, and how
many rows an hour the temperatures may make with the default settings."""
FILE = "LONG.GCO"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with mosquitto(Spec(options=BROKER)) as broker:
        printer = SimulatedPrinter(SLOW, folder / "printer")
        moves = "".join(f"G1 X{100 + n % 2 * 50} F600\n" for n in range(2000))
        heat = "G28\nM140 S60\nM109 S200\nM190 S60\n"
        card = printer.firmware.machine.card
        card.files = {**card.files, FILE: CardFile(FILE, (heat + moves).encode())}
        recorder = "recorder: {commit_interval: 1}\n"
        with home_assistant((broker.host, broker.port), recorder) as hass:
            home = Home(broker, hass, folder, printer, chamber=False, telemetry={})
            home.start("bridge")
            hass.becomes("sensor.ender_state", "operational", within=60)
            yield home
        home.daemon.close()
        home.printer.close()


def an_hour(home: Home, minutes: float, *entities: str) -> float:
    """Return how many rows these entities make in an hour, counted for some minutes."""
    begun = time.time()
    time.sleep(minutes * 60 + 2)  # it is what is measured; then the last are committed
    rows = home.hass.rows(begun)
    return sum(rows[entity] for entity in entities) * 60 / minutes


def test_a_print_makes_few_rows_and_idling_none(slow: Home, tmp_path: Path) -> None:
    hass = slow.hass
    hass.enable("sensor.ender_print_time")
    wait_for(lambda: not hass.rows(time.time() - 15), "nothing happens", 120)
    assert an_hour(slow, 1, *PRINT, *HEATERS) == 0
    slow.printer.press("start", FILE)
    hass.becomes("sensor.ender_state", "printing", within=60)
    hass.becomes("binary_sensor.ender_heating", "on", within=60)
    for entity, target in zip(HEATERS, ("200.0", "60.0"), strict=True):
        hass.becomes(entity, target, within=300)
    hass.becomes("binary_sensor.ender_heating", "off", within=60)
    counted = {}
    for swing, most in SWINGS.items():
        for heater in slow.printer.firmware.machine.heaters.values():
            heater.swing = swing
        begun = time.time()
        temperatures = an_hour(slow, MINUTES, *HEATERS)
        rows = hass.rows(begun)
        prints = sum(rows[entity] for entity in PRINT) * 60 / MINUTES
        counted[swing] = (prints, temperatures, rows.most_common(8))
        (tmp_path / "rows").write_text("\n".join(map(str, counted.items())))
        assert hass.state("sensor.ender_state") == "printing"
        assert prints < 200, counted
        assert temperatures <= most, counted
