"""OctoPrint's virtual printer as a peer, with each of its quirks; see CONTRIBUTING."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.live import live
from tests.support.waiting import until

PYTHON = os.environ.get("GCODE2MQTT_VIRTUAL_PRINTER", "")
PEER = Path(__file__).parent.parent / "support" / "virtual_printer_peer.py"

pytestmark = pytest.mark.virtual_printer

QUIRKS: Mapping[str, Mapping[str, object]] = {
    "none": {},
    "ok before output": {"okBeforeCommandOutput": True},
    "ok after resend": {"okAfterResend": True},
    "checksum required": {"forceChecksum": True},
    "two tools": {"numExtruders": 2},
    "no current tool in reports": {"includeCurrentToolInTemps": False},
    "klipper's reports": {"klipperTemperatureReporting": True},
    "smoothie's reports": {"smoothieTemperatureReporting": True, "numExtruders": 2},
    "repetier's targets": {"repetierStyleTargetTemperature": True},
    "no wait": {"sendWait": False},
    "busy": {"sendBusy": True},
    "no reset on opening": {"simulateReset": False},
    "no bed": {"hasBed": False},
    "chamber": {"hasChamber": True},
    "shared nozzle": {"numExtruders": 2, "sharedNozzle": True},
    "numbered ok": {"okFormatString": "ok N{lastN} P{buffer}"},
    "no name in opened": {"includeFilenameInOpened": False},
    "echo of M117": {"echoOnM117": True},
    "small buffer": {"rxBuffer": 32, "commandBuffer": 1},
    "no M112": {"supportM112": False},
    "feedrates": {"supportF": True},
    "long names": {"sdFiles": {"size": True, "longname": True}},
    "resend ratio": {"resend_ratio": 20},
}


@contextmanager
def virtual(link: Path, quirks: Mapping[str, object]) -> Iterator[None]:
    """Run a virtual printer."""
    assert PYTHON, "set GCODE2MQTT_VIRTUAL_PRINTER to a Python with OctoPrint"
    command = [PYTHON, str(PEER), str(link), json.dumps(quirks)]
    with subprocess.Popen(command) as peer:
        try:
            yield
        finally:
            peer.kill()


@pytest.mark.parametrize("quirks", QUIRKS.values(), ids=QUIRKS)
async def test_each_quirk_is_lived_with(
    tmp_path: Path, quirks: Mapping[str, object]
) -> None:
    link = tmp_path / "port"
    with virtual(link, quirks):
        await until(link.is_symlink)
        async with live(str(link), connected=False) as it:
            await until(lambda: it.printer.state.link == "operational", within=60)
            assert it.printer.state.trouble is None
            run = await it.does("tool", command="target", targets={"tool0": 60})
            assert run.gcode in (["M104 T0 S60"], ["M104 S60"])
            await it.does("head", command="home", axes=["x", "y"])
            await it.does("head", command="jog", x=5)
            heated = it.printer.state.heaters
            await until(lambda: it.printer.state.heaters["tool0"].target == 60.0)
            assert set(it.printer.state.sensors) == set()
            assert "tool0" in heated
