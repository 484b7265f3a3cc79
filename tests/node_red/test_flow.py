"""The flow commands the simulated printer and shows what it says."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.brokers import mosquitto
from tests.support.daemons import daemon
from tests.support.mqtt_client import connected
from tests.support.node_red import NodeRed, node_red
from tests.support.printers import simulated
from tests.support.stages import stage
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.mqtt_client import TestClient
    from tests.support.printers import SimulatedPrinter
    from tests.support.stages import Stage

pytestmark = pytest.mark.node_red

PRESSED = {
    "home": ["G91", "G28 X0 Y0 Z0", "G90"],
    "x-plus": ["G91", "G0 X10 F6000", "G90"],
    "motors": ["M18"],
    "target-tool0": ["M104 S200"],
    "cool": ["M104 S0", "M140 S0"],
}


async def presses(
    bridge: "Stage[SimulatedPrinter]", flow: NodeRed, name: str, lines: list[str]
) -> None:
    """Press a button; these lines must go over the wire, and no others."""
    wire = bridge.printer.wire
    before = len(wire.chunks)
    flow.press(name)
    await until(lambda: len(wire.sent(before)) >= len(lines))
    await bridge.fence()
    assert wire.sent(before)[:-1] == lines


async def leaves_and_returns(
    bridge: "Stage[SimulatedPrinter]", screen: "TestClient", folder: Path
) -> None:
    """End the bridge; what the broker still keeps must not be shown as true."""

    def shows(name: str, payload: str) -> bool:
        return screen.payloads(f"shown/{name}")[-1] == payload.encode()

    config = yaml.safe_load(bridge.daemon.config.read_text())
    bridge.daemon.close()
    await until(lambda: shows("Printer link", "bridge offline"))
    await until(lambda: shows("State", "\N{EN DASH}") and shows("Nozzle", ""))
    with daemon(folder, config):
        await until(lambda: shows("Printer link", "online"))
        await until(lambda: shows("State", "Operational") and not shows("Nozzle", ""))


async def test_the_flow(tmp_path: Path) -> None:
    with (
        mosquitto() as broker,
        simulated("simulator://marlin?speed=100", tmp_path / "tty") as printer,
        connected(broker.port, "shown/#", host=broker.host) as screen,
        stage(broker, printer, tmp_path, "printer") as bridge,
    ):
        (tmp_path / "red").mkdir()
        with node_red(broker, tmp_path / "red") as flow:
            await screen.hears("shown/State", b"Operational")
            await screen.hears("shown/Printer link", b"online")
            await screen.hears("shown/Nozzle")
            for name, lines in PRESSED.items():
                await presses(bridge, flow, name, lines)
            flow.press("ask")
            await until(lambda: b"X 10" in b"".join(screen.payloads("shown/Position")))
            flow.press("pause")
            refused = await screen.hears("shown/what was not done")
            assert b"nothing is printed" in refused.payload
            await leaves_and_returns(bridge, screen, tmp_path)
            assert "[error]" not in flow.log.read_text()
