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
    "no echo of M117": {"echoOnM117": False},
    "small buffer": {"rxBuffer": 32, "commandBuffer": 1},
    "no M112": {"supportM112": False},
    "feedrates": {"supportF": True},
    "long names": {"sdFiles": {"size": True, "longname": True}},
    "resend ratio": {"resend_ratio": 20},
    "errors at some lines": {
        "simulated_errors": ["3:resend", "5:missing_lineno", "7:checksum_mismatch"]
    },
    "broken resend": {"brokenResend": True},
    "reprapfirmware's M114": {"reprapfwM114": True, "numExtruders": 2},
    "pinned tools": {"numExtruders": 2, "pinnedExtruders": {"1": 20.0}},
    "ok only at the end of an upload": {"brokenM29": False},
    "prepared oks": {"preparedOks": ["ok", "ok P1 B1"]},
    "numbered ok with a colon": {"okFormatString": "ok N:{lastN}"},
    "no capabilities": {"m115ReportCapabilities": False},
    "all capabilities": {
        "capabilities": {
            "AUTOREPORT_TEMP": True,
            "AUTOREPORT_SD_STATUS": True,
            "AUTOREPORT_POS": True,
            "EMERGENCY_PARSER": False,
            "EXTENDED_M20": True,
            "LFN_WRITE": True,
        }
    },
    "area": {"m115ReportArea": True},
    "another position": {"m114FormatString": "X:{x} Y:{y} Z:{z} E:{e[current]}"},
    "targets without a blank": {
        "m105TargetFormatString": "{heater}:{actual:.1f}/{target:.1f}"
    },
    "targets with blanks": {
        "m105TargetFormatString": "{heater}: {actual:.2f} / {target:.2f}"
    },
    "no eeprom": {"enable_eeprom": False, "support_M503": False},
    "no sizes": {"sdFiles": {"size": False}},
    "names in upper case": {"sdFiles": {"size": True, "upper_case": True}},
    "long names without quotes": {
        "sdFiles": {"size": True, "longname": True, "longname_quoted": False}
    },
    "slow": {"throttle": 0.2},
    "busy all the time": {"sendBusy": True, "busyInterval": 0.2},
    "wait all the time": {"waitInterval": 0.1},
    "another greeting": {
        "resetLines": ["start", "echo:Marlin 2.1", "echo:SD init fail"]
    },
    "a greeting without start": {
        "resetLines": ["Marlin: Virtual Marlin!", "SD card ok"]
    },
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


async def test_a_locked_printer_says_so_until_it_is_unlocked(tmp_path: Path) -> None:
    link = tmp_path / "port"
    with virtual(link, {"locked": True, "passcode": "1234"}):
        await until(link.is_symlink)
        async with live(str(link), connected=False) as it:
            await until(lambda: it.printer.state.link == "operational", within=60)
            await until(lambda: bool(it.printer.state.locked), within=60)
            await it.does("command", command="M511 P1234")
            await until(lambda: not it.printer.state.locked, within=60)
            await it.does("head", command="home", axes=["x", "y"])
