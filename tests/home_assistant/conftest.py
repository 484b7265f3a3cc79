"""A broker, a simulated printer, the bridge, and the real Home Assistant."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.daemons import Daemon
from tests.support.hass import HomeAssistant, home_assistant
from tests.support.printers import SimulatedPrinter

PRINTER = "simulator://marlin?speed=20&extruders=2&chamber=1&outputs=1"
BROKER = "allow_anonymous true\nset_tcp_nodelay true"


@dataclass
class Home:
    """All that can be killed, and started again.

    Attributes:
        broker: the real Mosquitto; what it retains is gone when it is killed.
        hass: the real Home Assistant.
        folder: of the bridge and the printer.
        printer: the simulated printer.
        daemon: the bridge.
        chamber: whether its configuration has a heated chamber.

    """

    broker: Mosquitto
    hass: HomeAssistant
    folder: Path
    printer: SimulatedPrinter
    daemon: Daemon = field(init=False)
    chamber: bool = True

    @property
    def config(self) -> dict[str, object]:
        """The bridge's configuration."""
        return {
            "mqtt": {
                "host": self.broker.host,
                "port": self.broker.port,
                "will_delay": 0,
                "state_folder": str(self.folder / "state"),
            },
            "telemetry": {"interval": 1, "heartbeat": 30},
            "home_assistant": {"scripts": ["preheat", "dance"]},
            "printers": [
                {
                    "id": "ender",
                    "name": "Ender 3",
                    "serial": {
                        "port": str(self.folder / "printer"),
                        "baudrate": 115200,
                    },
                    "manufacturer": "Creality",
                    "serial_number": "E3-1",
                    "area": "Workshop",
                    "profile": {
                        "extruders": 2,
                        "heated_chamber": self.chamber,
                        "fans": {"1": "Chamber fan"},
                        "light": {"kind": "rgb"},
                    },
                    "presets": {"PLA": {"tool": 215, "bed": 60}},
                    "scripts": {
                        "preheat": "M140 S60\nM104 T0 S200",
                        "dance": "G91\nG0 X5\nG90",
                    },
                }
            ],
        }

    def kill(self, name: str) -> None:
        """Take one away, as a power cut does."""
        match name:
            case "broker":
                self.broker.stop()
            case "bridge":
                self.daemon.close()
            case "printer":
                self.printer.close()
            case "hass":
                self.hass.stop()

    def start(self, name: str) -> None:
        """Bring it back."""
        match name:
            case "broker":
                self.broker.start()
            case "bridge":
                self.daemon = Daemon(self.folder, self.config)
            case "printer":
                self.printer = SimulatedPrinter(PRINTER, self.folder / "printer")
            case "hass":
                self.hass.launch()


@pytest.fixture(autouse=True)
def _no_leaks() -> None:
    """What a test starts here outlives it: those of a file share one Home Assistant."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("home")
    with mosquitto(Spec(options=BROKER)) as broker:
        printer = SimulatedPrinter(PRINTER, folder / "printer")
        with home_assistant((broker.host, broker.port)) as hass:
            home = Home(broker, hass, folder, printer)
            home.start("bridge")
            hass.becomes("sensor.ender_state", "operational", within=30)
            yield home
        home.daemon.close()
        home.printer.close()
