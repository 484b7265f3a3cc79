"""The bridge runs on uvloop as it does on asyncio's event loop."""

import http.client
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.cli import run
from bridge.errors import ConfigError
from tests.support import uploads
from tests.support.brokers import Mosquitto
from tests.support.ports import held_port
from tests.support.printers import simulated
from tests.support.stages import Json, stage
from tests.support.waiting import DEADLINE, until

pytest.importorskip("uvloop")

LOG = {"log": {"level": "debug"}}


async def test_commands_faults_and_the_end(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_EVENT_LOOP", "uvloop")
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


async def test_slicers_and_probes_are_served(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event loop has transports of its own."""
    monkeypatch.setenv("TEST_EVENT_LOOP", "uvloop")
    (tmp_path / "keys").write_text(f"{uploads.KEY}\n")
    with (
        held_port() as port,
        held_port() as metrics,
        simulated("simulator://marlin?speed=1000", tmp_path / "printer") as printer,
    ):
        sections: Json = {
            "upload": {
                "listen": f"127.0.0.1:{port}",
                "keys_file": str(tmp_path / "keys"),
            },
            "files": {"folder": str(tmp_path / "files")},
            "metrics": {"port": metrics},
        }
        with stage(broker, printer, tmp_path, "served", sections) as bridge:
            await bridge.operational()
            kind = f"multipart/form-data; boundary={uploads.BOUNDARY}"
            headers = {"X-Api-Key": uploads.KEY, "Content-Type": kind}
            body = uploads.form(b"G28\nG1 X5 F3000\n" * 9000, print="true")
            path = "/served/api/files/local"
            assert answered(port, "POST", path, body, headers) == 201
            assert answered(port, "GET", path) == 403
            for probe in ("/healthz", "/metrics"):
                assert answered(metrics, "GET", probe) == 200
            await until(lambda: "print_started" in bridge.event_names())
            answer = await bridge.call("job", {"command": "cancel"})
            assert answer["status"] == "finished"
            await until(lambda: "print_cancelled" in bridge.event_names())


def answered(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Return the status of an answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        client.request(method, path, body, headers or {})
        return client.getresponse().status
    finally:
        client.close()


def test_uvloop_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run.event_loop("asyncio") is None
    with pytest.raises(ConfigError, match=r'pip install "gcode2mqtt\[uvloop\]"'):
        run.event_loop("uvloop")
