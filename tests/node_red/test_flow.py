"""The flow in the real Node-RED, with its dashboard in a real browser."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.brokers import Mosquitto, mosquitto
from tests.support.browser import Page, browser
from tests.support.daemons import daemon, wait_for
from tests.support.node_red import NodeRed, node_red
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Stage, stage

pytestmark = pytest.mark.node_red

PRINTER = "simulator://marlin?speed=10&chamber=1"
FILE = "ARATHE~1.GCO"
UNKNOWN = "\N{EN DASH}"
SERIES = "window.uiCharts['g2m-temperatures'].chart.getOption().series"
"""The chart's lines, each a list of points; a gap is a point without a value."""

BUTTONS = {
    "Home": ["G91", "G28 X0 Y0 Z0", "G90"],
    "X +10": ["G91", "G0 X10 F6000", "G90"],
    "Motors off": ["M18"],
    "Cool down": ["M104 S0", "M140 S0", "M141 S0"],
}


@dataclass
class Screen:
    """All that a test interacts with."""

    broker: Mosquitto
    bridge: Stage[SimulatedPrinter]
    flow: NodeRed
    page: Page

    @property
    def printer(self) -> SimulatedPrinter:
        """The simulated printer."""
        return self.bridge.printer

    def field(self, heater: str) -> str:
        """Return what the field of a target shows."""
        return str(self.page.run(f"document.getElementById('target-{heater}').value"))

    def disabled(self) -> set[str]:
        """Return the labels of the buttons that cannot be pressed."""
        script = (
            "[...document.querySelectorAll('button:disabled')]"
            ".map((it) => it.textContent.trim())"
        )
        return set(self.page.run(script))

    def type(self, heater: str, text: str, key: str = "Enter") -> None:
        """Replace what the field of a target shows, as a person does it."""
        self.page.click(f"#target-{heater}")
        self.page.run(f"document.getElementById('target-{heater}').select()")
        self.page.type(text)
        self.page.key(key)


async def sends(screen: Screen, lines: list[str], since: int) -> None:
    """Wait until these lines went over the wire, and check that no others did."""
    wire = screen.printer.wire
    wait_for(lambda: len(wire.sent(since)) >= len(lines), f"{lines}")
    await screen.bridge.fence()
    assert wire.sent(since)[:-1] == lines


@contextmanager
def screen_of(folder: Path) -> Iterator[Screen]:
    with (
        mosquitto() as broker,
        simulated(PRINTER, folder / "tty") as printer,
        stage(
            *(broker, printer, folder, "printer"), profile={"heated_chamber": True}
        ) as bridge,
        browser() as chromium,
    ):
        (folder / "red").mkdir()
        with node_red(broker, folder / "red") as flow:
            page = chromium.page()
            # The dashboard shows its charts to tests that say what they are.
            page.before("window.Cypress = true")
            page.open(flow.url)
            page.shows("Operational", "EMERGENCY STOP")
            page.until("!!document.getElementById('target-bed')")
            yield Screen(broker, bridge, flow, page)
            assert not page.errors
        assert "[error]" not in flow.log.read_text()


async def test_a_target_is_sent_once_and_whole(tmp_path: Path) -> None:
    with screen_of(tmp_path) as screen:
        wire, page = screen.printer.wire, screen.page
        for text, key, line, shown in (
            ("62.5", "Enter", "M140 S62.5", "62.5"),
            ("60", "Tab", "M140 S60", "60"),
            ("55,5", "Enter", "M140 S55.5", "55.5"),
            ("0", "Tab", "M140 S0", "0"),
        ):
            before = len(wire.chunks)
            screen.type("bed", text, key)
            await sends(screen, [line], before)
            page.until(f"document.getElementById('target-bed').value === '{shown}'")
        # Nothing of these is sent, and the field shows the target in force again.
        before = len(wire.chunks)
        screen.type("bed", "300")
        page.shows("300 °C is beyond the bed's limit of 120 °C")
        screen.type("bed", "warm", "Tab")
        page.shows('"warm" is not a temperature.')
        screen.type("bed", "44", "Escape")
        screen.type("bed", " ", "Tab")
        await sends(screen, [], before)
        assert screen.field("bed") == "0"


async def test_a_target_that_others_set_is_shown(tmp_path: Path) -> None:
    with screen_of(tmp_path) as screen:
        await screen.bridge.call(
            "tool", {"command": "target", "targets": {"tool0": 210}}
        )
        screen.page.until("document.getElementById('target-tool0').value === '210'")
        # But what somebody is typing is left alone.
        screen.page.click("#target-tool0")
        screen.page.run("document.getElementById('target-tool0').select()")
        screen.page.type("19")
        await screen.bridge.call(
            "tool", {"command": "target", "targets": {"tool0": 180}}
        )
        screen.page.until(f"{SERIES}.some((it) => it.data.some((at) => at[1] === 180))")
        assert screen.field("tool0") == "19"
        screen.page.key("Escape")
        screen.page.until("document.getElementById('target-tool0').value === '180'")


async def test_buttons_work_when_the_bridge_accepts_them(tmp_path: Path) -> None:
    with screen_of(tmp_path) as screen:
        wire, page = screen.printer.wire, screen.page
        for label, lines in BUTTONS.items():
            before = len(wire.chunks)
            page.click("button", label)
            await sends(screen, lines, before)
        page.click("button", "Where is the head?")
        page.shows("X 10 Y 0 Z 0 at ")
        moves = {"Home", "X +10", "Motors off", "Cool down"}
        assert {"Pause", "Resume", "Cancel", "Start"} <= screen.disabled()
        assert not moves & screen.disabled()
        screen.printer.press("start", FILE)
        page.shows("Printing from SD", "A rather long file name")
        wait_for(lambda: moves <= screen.disabled(), "moves are disabled")
        page.click("button", "Pause")
        page.shows("Paused")
        page.click("button", "Resume")
        page.shows("Printing from SD")
        page.click("button", "Cancel")
        page.click("button", "Keep printing")
        page.hides("Keep printing")
        assert screen.bridge.latest("state")["flags"]["printing"]
        page.click("button", "Cancel")
        page.click("button", "Cancel the print")
        page.shows("Operational", "cancelled")
        page.click(".g2m-stop")
        page.shows("emergency stop", "Acknowledge")
        assert any("M112" in line for line in wire.sent())


async def test_nothing_outdated_is_shown_and_nothing_is_lost_unsaid(
    tmp_path: Path,
) -> None:
    """While the printer, the bridge or the broker is gone, and when it is back."""
    with screen_of(tmp_path) as screen:
        page, bridge = screen.page, screen.bridge
        page.click("button", "Where is the head?")
        page.shows("at ")
        gaps = f"{SERIES}.every((it) => it.data.at(-1)[1] === null)"
        screen.printer.unplug()
        page.shows("No temperatures are known.", "Offline")
        page.until(gaps)
        screen.printer.plug()
        page.shows("Operational")
        page.until(f"!{gaps}")

        # A bridge that hangs is not offline yet, but does not answer either.
        bridge.daemon.signal(signal.SIGSTOP)
        page.click("button", "Home")
        page.shows("Home: the bridge does not answer; it may not have received this.")
        bridge.daemon.signal(signal.SIGCONT)

        config = yaml.safe_load(bridge.daemon.config.read_text())
        bridge.daemon.close()
        page.shows(
            "Bridge offline", "No temperatures are known.", f"Position {UNKNOWN}"
        )
        page.until(gaps)
        page.click(".g2m-stop")
        page.shows(
            "Emergency stop: the bridge is offline. Use the switch at the printer"
        )
        with daemon(tmp_path, config):
            page.shows("Operational")
            screen.broker.stop()
            page.shows("No connection to the broker", f"Position {UNKNOWN}")
            page.click(".g2m-stop")
            page.shows("not sent, because Node-RED is not connected to the broker.")
            page.click("button", "Where is the head?")
            page.shows("Position: not sent, because Node-RED is not connected")
            screen.broker.start()
            page.shows("Operational", within=90)
            page.until("!!document.getElementById('target-bed')")
        assert not any("M112" in line for line in screen.printer.wire.sent())


async def test_the_target_in_the_chart_is_a_step(tmp_path: Path) -> None:
    with screen_of(tmp_path) as screen:
        screen.type("bed", "90")
        screen.page.until(f"{SERIES}.some((it) => it.data.some((at) => at[1] === 90))")
        lines = {one["name"]: one["data"] for one in screen.page.run(SERIES)}
        assert set(lines) == {
            f"{heater}{what}"
            for heater in ("Nozzle", "Bed", "Chamber")
            for what in ("", " target")
        }
        target = lines["Bed target"]
        rise = next(i for i, (_, y) in enumerate(target) if y == 90)
        assert target[rise - 1] == [target[rise][0], 0]


async def test_a_question_is_shown_with_its_answers(tmp_path: Path) -> None:
    with screen_of(tmp_path) as screen:
        screen.printer.press("start", FILE)
        screen.page.shows("Printing from SD")
        screen.printer.press("runout")
        screen.page.shows("The filament has run out.", "Nozzle Parked")
        screen.page.click(".g2m-choices button", "Continue")
        wire = screen.printer.wire
        wait_for(lambda: "M876 S0" in wire.sent(), "the answer")
        screen.page.hides("Nozzle Parked")
