"""The bridge runs on uvloop as it does on asyncio's event loop."""

import signal
import sys
from pathlib import Path

import pytest

from bridge.cli import run
from bridge.errors import ConfigError
from tests.support.brokers import Mosquitto
from tests.support.printers import simulated
from tests.support.stages import stage
from tests.support.waiting import until

pytest.importorskip("uvloop")

LOG = {"log": {"level": "debug"}}


async def test_commands_faults_and_the_end(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_EVENT_LOOP", "auto")
    base = "loop"
    with (
        simulated("simulator://marlin", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, base, LOG) as bridge,
    ):
        assert "event loop: uvloop" in bridge.daemon.log
        lines = [f"G1 X{n} F3000" for n in range(1, 101)]
        answer = await bridge.call("command", {"commands": ["G28", *lines]})
        assert (answer["status"], len(answer["gcode"])) == ("finished", 101)
        await bridge.call("bed", {"command": "target", "target": 60})

        bridge.daemon.signal(signal.SIGHUP)
        await until(lambda: "configuration read again" in bridge.daemon.log)
        printer.unplug()
        await until(lambda: "disconnected" in bridge.event_names())
        before = len(bridge.events())
        printer.plug()
        await until(lambda: "connected" in bridge.event_names(before))
        await bridge.operational()

        answer = await bridge.call("emergency")
        assert (answer["status"], answer["gcode"]) == ("finished", ["M112"])
        await bridge.becomes("error")
        bridge.daemon.signal(signal.SIGTERM)
        assert bridge.daemon.ended(30) == 0
        await bridge.client.hears(bridge.topic("availability"), b"offline")


def test_uvloop_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run.event_loop("auto") is None
    assert run.event_loop("asyncio") is None
    with pytest.raises(ConfigError, match=r'pip install "gcode2mqtt\[uvloop\]"'):
        run.event_loop("uvloop")
