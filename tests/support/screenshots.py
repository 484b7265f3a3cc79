"""Pictures of the dashboards in docs/images, with a simulated printer in each state.

Run as a program by ``scripts/screenshots``; the environment says where Home Assistant
and Node-RED are installed, as for their tests. With a folder as its argument, it writes
there pictures of every state, on a phone and on a desktop, light and dark.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.browser import DESKTOP, PHONE, Browser, Page, browser
from tests.support.daemons import Daemon
from tests.support.hass import HomeAssistant, home_assistant
from tests.support.node_red import node_red
from tests.support.printers import SimulatedPrinter, simulated

ROOT = Path(__file__).parent.parent.parent
DASHBOARD = ROOT / "deploy" / "home-assistant" / "dashboard.yaml"
SCREEN = "frontend:\nhistory:\nlogbook:\n"
PRINTER = "simulator://marlin?speed=4"
FILE = "ARATHE~1.GCO"
SIZES = {"desktop": DESKTOP, "phone": PHONE}
STATES = ("idle", "printing", "filament", "error", "printer-gone", "bridge-gone")
HEAT = 8.0
"""Seconds in which the graph gets something to show."""


class Scene:
    """A printer, its bridge, and what looks at it.

    Args:
        broker: the real Mosquitto.
        printer: the simulated printer.
        folder: of the bridge.

    """

    def __init__(
        self, broker: Mosquitto, printer: SimulatedPrinter, folder: Path
    ) -> None:
        self.broker, self.printer = broker, printer
        self._presets = {
            "PLA": {"tool": 205, "bed": 60},
            "PETG": {"tool": 235, "bed": 80},
        }
        self._config: dict[str, object] = {
            "mqtt": {
                "host": broker.host,
                "port": broker.port,
                "will_delay": 0,
                "state_folder": str(folder / "state"),
            },
            "telemetry": {"interval": 1},
            "printers": [
                {
                    "id": "printer",
                    "name": "Ender 3",
                    "presets": self._presets,
                    "serial": {"port": str(printer.link), "baudrate": 115200},
                }
            ],
        }
        self._folder = folder
        self.bridge = Daemon(folder, self._config)

    def show(self, state: str) -> None:
        """Bring everything into one of the ``STATES``, in their order."""
        match state:
            case "printing":
                self.printer.press("target", "tool0", 205)
                self.printer.press("target", "bed", 60)
                self.printer.press("start", FILE)
                time.sleep(HEAT)
            case "filament":
                self.printer.press("runout")
                time.sleep(HEAT)
            case "error":
                self.printer.press("kill")
            case "printer-gone":
                self.printer.unplug()
            case "bridge-gone":
                self.bridge.close()


def hass_page(hass: HomeAssistant, chromium: Browser, *, dark: bool) -> Page:
    """Return a page that is logged in."""
    page = chromium.page(dark=dark)
    tokens = {
        "access_token": hass.token,
        "token_type": "Bearer",
        "refresh_token": "",
        "expires_in": 10**9,
        "expires": 10**13,
        "hassUrl": hass.url,
        "clientId": f"{hass.url}/",
    }
    stored = json.dumps(json.dumps(tokens))
    page.before(
        f"try {{ localStorage.hassTokens = {stored};"
        """ localStorage.dockedSidebar = '"always_hidden"' } catch (e) {}"""
    )
    return page


def install(hass: HomeAssistant) -> str:
    """Install the dashboard; return its address."""
    made = {"url_path": "three-d", "title": "3D printer", "mode": "storage"}
    shown = {"show_in_sidebar": True, "require_admin": False}
    config = yaml.safe_load(DASHBOARD.read_text())
    answers = hass.ask(
        {"type": "lovelace/dashboards/create", **made, **shown},
        {"type": "lovelace/config/save", "url_path": "three-d", "config": config},
    )
    assert all(one["success"] for one in answers), answers
    return f"{hass.url}/three-d/printer"


def pictures(
    pages: dict[str, Page], folder: Path, name: str, state: str
) -> Iterator[Path]:
    """Write a picture of each page in each size; yield the paths."""
    for look, page in pages.items():
        for size, pixels in SIZES.items():
            page.call("Page.bringToFront")
            page.look(pixels, dark=look == "dark")
            if name == "node-red":
                # Its columns are those of the size in which it was opened.
                page.call("Page.reload")
                page.until("!!document.querySelector('.g2m-title')")
            time.sleep(2)
            path = folder / f"{name}-{state}-{size}-{look}.png"
            page.screenshot(path)
            yield path


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Scene, Browser, HomeAssistant]]:
    """Run everything but Node-RED."""
    with (
        mosquitto(Spec(options="allow_anonymous true")) as broker,
        simulated(PRINTER, folder / "tty") as printer,
        browser() as chromium,
        home_assistant((broker.host, broker.port), SCREEN) as hass,
    ):
        scene = Scene(broker, printer, folder)
        try:
            hass.becomes("sensor.printer_state", "operational", within=60)
            yield scene, chromium, hass
        finally:
            scene.bridge.close()


def every_state(target: Path, note: Callable[[str], None] = print) -> None:
    """Write the pictures of every state to a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "red").mkdir()
        with (
            opened(folder) as (scene, chromium, hass),
            node_red(scene.broker, folder / "red") as flow,
        ):
            address = install(hass)
            pages = {
                "home-assistant": {
                    look: hass_page(hass, chromium, dark=look == "dark")
                    for look in ("light", "dark")
                },
                "node-red": {
                    look: chromium.page(dark=look == "dark")
                    for look in ("light", "dark")
                },
            }
            for look in ("light", "dark"):
                pages["home-assistant"][look].open(address)
                pages["node-red"][look].open(flow.url)
            time.sleep(8)
            for state in STATES:
                scene.show(state)
                time.sleep(3)
                for name, looks in pages.items():
                    for path in pictures(looks, target, name, state):
                        note(path.name)


def main() -> None:
    """Write the pictures, and copy those that the documents show."""
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
        target.mkdir(parents=True, exist_ok=True)
        every_state(target)
        return
    images = ROOT / "docs" / "images"
    with tempfile.TemporaryDirectory() as temporary:
        every_state(Path(temporary))
        for name in ("home-assistant", "node-red"):
            for made, shown in (
                ("printing-desktop-light", name),
                ("printing-desktop-dark", f"{name}-dark"),
                ("filament-phone-light", f"{name}-phone"),
            ):
                shutil.copy(
                    Path(temporary) / f"{name}-{made}.png", images / f"{shown}.png"
                )


if __name__ == "__main__":
    main()
