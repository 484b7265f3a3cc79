"""How many rows Home Assistant's recorder gets: one for each change of a state."""

import time
from collections import Counter
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
SLOW = "simulator://marlin?speed=1&extruders=2&chamber=1&outputs=1"
PRINT = ("sensor.ender_progress", "sensor.ender_print_time", "sensor.ender_time_left")
FILE = "LONG.GCO"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with mosquitto(Spec(options=BROKER)) as broker:
        printer = SimulatedPrinter(SLOW, folder / "printer")
        moves = "".join(f"G1 X{100 + n % 2 * 50} F600\n" for n in range(2000))
        heat = "G28\nM104 S200\nM140 S60\n"
        card = printer.firmware.machine.card
        card.files = {**card.files, FILE: CardFile(FILE, (heat + moves).encode())}
        with home_assistant((broker.host, broker.port)) as hass:
            home = Home(broker, hass, folder, printer)
            home.start("bridge")
            hass.becomes("sensor.ender_state", "operational", within=60)
            yield home
        home.daemon.close()
        home.printer.close()


def changes(home: Home, seconds: float) -> Counter[str]:
    """Count the changes of each entity's state or attributes."""
    seen: dict[str, set[str]] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for entity, entry in home.hass.states().items():
            seen.setdefault(entity, set()).add(str(entry["last_updated"]))
        time.sleep(0.3)
    return Counter({entity: len(times) - 1 for entity, times in seen.items()})


def test_a_print_makes_few_rows_and_idling_none(slow: Home, tmp_path: Path) -> None:
    hass = slow.hass
    hass.enable("sensor.ender_print_time")
    # Home Assistant sets up everything again, half a minute later.
    wait_for(lambda: changes(slow, 10)["sensor.ender_state"], "the change", 120)
    wait_for(lambda: not changes(slow, 15)["sensor.ender_state"], "its end", 120)
    idle = changes(slow, 60)
    assert not [name for name in PRINT if idle[name]], +idle
    slow.printer.press("start", FILE)
    hass.becomes("sensor.ender_state", "printing", within=60)
    counted = changes(slow, MINUTES * 60)
    rows = sum(counted[name] for name in PRINT) * 60 / MINUTES
    told = [f"{name}: {count}" for name, count in counted.most_common(12) if count]
    report = (f"{rows:.0f} rows an hour", f"idle: {idle.most_common(4)}", *told)
    (tmp_path / "rows").write_text("\n".join(report))
    assert hass.state("sensor.ender_state") == "printing"
    assert rows < 200, told
