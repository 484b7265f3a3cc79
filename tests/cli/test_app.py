"""``gcode2mqtt app``: options and the Supervisor's broker become a running daemon."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.app import (
    TOKEN,
    NoBrokerError,
    _config,
    _options,
    _wait_for_broker,
    ask_for_broker,
    groups_of,
)
from bridge.cli.parser import APP_USER
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.findings import Finding, page
from bridge.home_assistant import app_options
from tests.support.brokers import mosquitto
from tests.support.daemons import SCRIPT, wait_for
from tests.support.halves import ROOT
from tests.support.ports import held_port
from tests.support.waiting import DEADLINE

BROKER = {
    "addon": "core_mosquitto",
    "host": "core-mosquitto",
    "password": "secret",
    "port": 1883,
    "protocol": "3.1.1",
    "ssl": False,
    "username": "addons",
}
NONE = (400, {"result": "error", "message": "Service not enabled"})


def ok(data: object) -> tuple[int, object]:
    return 200, {"result": "ok", "data": data}


@contextmanager
def supervisor(*responses: tuple[int, object]) -> Iterator[tuple[str, int]]:
    """Serve as the Supervisor does: the responses in turn, the last one forever."""
    left = list(responses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = left.pop(0) if len(left) > 1 else left[0]
            if self.path != "/services/mqtt":
                status, document = 404, {"result": "error"}
            if self.headers["Authorization"] != "Bearer t0ken":
                status, document = 401, {"result": "error"}
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield "127.0.0.1", server.server_port
        finally:
            server.shutdown()
            thread.join()


def config(
    folder: Path, options: object, mqtt: app_options.Tree | None = None
) -> Config:
    endpoint = app_options.endpoint(9464)
    return _config(options, mqtt or {}, endpoint, Path("/data"), folder)


def test_options_and_the_supervisor_s_broker_become_a_configuration(
    tmp_path: Path,
) -> None:
    with supervisor(ok(BROKER)) as address:
        mqtt = app_options.broker(ask_for_broker(address, "t0ken"))
    printer = {
        "id": "ender",
        "name": "Ender",
        "port": "/dev/serial/by-id/usb-1",
        "topic": "workshop/ender",
        "baudrate": 250000,
        "firmware": "marlin",
        "extruders": 2,
        "heated_bed": False,
        "heated_chamber": True,
        "max_tool": 250.0,
        "max_bed": 90.0,
        "max_chamber": 50.0,
    }
    options = {"printers": [printer], "log_level": "debug", "upload": True}
    found = config(tmp_path, options, mqtt)
    assert (found.mqtt.host, found.mqtt.port) == ("core-mosquitto", 1883)
    assert found.mqtt.username == "addons"
    assert found.mqtt.password is not None
    assert found.mqtt.password.get_secret_value() == "secret"
    assert not found.mqtt.tls.enabled
    assert found.mqtt.state_folder == Path("/data/state")
    assert (found.metrics.host, found.metrics.port) == ("0.0.0.0", 9464)  # noqa: S104
    assert (found.upload.enabled, found.upload.listen) == (True, "0.0.0.0:5000")
    assert found.upload.keys_file == tmp_path / "upload-keys"
    assert found.log.level == "debug"
    (one,) = found.printers
    assert (one.id, one.name, one.topic) == ("ender", "Ender", "workshop/ender")
    serial, profile = one.serial, one.profile
    assert (serial.port, serial.baudrate) == ("/dev/serial/by-id/usb-1", 250000)
    assert serial.firmware == "marlin"
    assert (profile.extruders, profile.heated_bed) == (2, False)
    assert profile.heated_chamber
    limits = profile.max_temperature
    assert (limits.tool, limits.bed, limits.chamber) == (250, 90, 50)


def test_what_is_empty_is_not_given(tmp_path: Path) -> None:
    options = {"printers": [{"id": "a", "url": "", "topic": None}], "log_level": ""}
    found = config(tmp_path, options)
    assert found.printers[0].serial.port == "auto"
    assert found.base(found.printers[0]) == "printer"
    assert found.log.level == "info"
    assert not found.upload.enabled


def test_a_broker_with_tls_and_without_an_account() -> None:
    service = {"host": "h", "port": 8883, "ssl": True, "username": "", "password": ""}
    assert app_options.broker(service) == {
        "host": "h",
        "port": 8883,
        "tls": {"enabled": True},
    }


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    one = {"id": "a"}
    for options, words in (
        ([], "options are not an object"),
        ({"printers": ["a"]}, "option printers[0] is not an object"),
        ({"printers": []}, "the app's options: printers"),
        (
            {"printers": [one, {"id": "b", "port": "/dev/x", "url": "socket://h:1"}]},
            "option printers[1].url: port and url are both given",
        ),
        (
            {"printers": [one | {"baudrate": 1}]},
            "the app's option printers[0].baudrate: printers[0].serial.baudrate",
        ),
        ({"printers": [one], "log_level": "loud"}, "the app's option log_level: "),
    ):
        with pytest.raises(ConfigError) as caught:
            config(tmp_path, options)
        assert words in str(caught.value)


def test_a_file_of_one_s_own_replaces_options(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(
        "mqtt: {host: other}\nlog:\nmetrics: {port: 1}\nprinters:\n"
        "  - {id: x, scripts_folder: scripts}\n"
    )
    options = {
        "printers": [{"id": "a"}],
        "log_level": "error",
        "config_file": "my.yaml",
    }
    found = config(tmp_path, options)
    assert [printer.id for printer in found.printers] == ["x"]
    assert found.printers[0].scripts_folder == tmp_path / "scripts"
    assert found.mqtt.host == "other"
    assert found.mqtt.state_folder == Path("/data/state")
    assert found.log.level == "error"
    # The watchdog asks there.
    assert found.metrics.port == 9464
    file.write_text("printers:\n  - {id: x}\n  - {id: x, naem: y}\n")
    with pytest.raises(ConfigError, match=r"my\.yaml.*3: printers\[1\]\.naem"):
        config(tmp_path, options)
    file.write_text("just words")
    with pytest.raises(ConfigError, match=r"my\.yaml"):
        config(tmp_path, options)
    # Without printers of its own, those of the options are used.
    file.write_text("limits: {queue: 7}\n")
    found = config(tmp_path, options)
    assert (found.limits.queue, found.printers[0].id) == (7, "a")


def test_only_a_file_with_a_host_names_a_broker() -> None:
    assert app_options.has_broker({"mqtt": {"host": "h"}})
    for written in (None, "words", {}, {"mqtt": None}, {"mqtt": {"port": "1"}}):
        assert not app_options.has_broker(written)


def test_the_broker_is_waited_for() -> None:
    with supervisor(NONE, (200, ["?"]), ok({"host": "h"}), ok(BROKER)) as address:
        assert _wait_for_broker(address, "t0ken", 0.01)["host"] == "core-mosquitto"


def test_what_the_supervisor_refuses_ends_the_app() -> None:
    with supervisor(NONE) as address:
        with pytest.raises(NoBrokerError, match="install and start the app Mosquitto"):
            ask_for_broker(address, "t0ken")
        with pytest.raises(ConfigError, match="does not accept the app's token"):
            ask_for_broker(address, "other")
        with pytest.raises(ConfigError, match="use gcode2mqtt run"):
            ask_for_broker(address, None)
    with held_port() as closed, pytest.raises(NoBrokerError, match="does not answer"):
        ask_for_broker(("127.0.0.1", closed), "t0ken")


def test_without_options_it_says_where_it_belongs(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    with pytest.raises(ConfigError, match="gcode2mqtt run is for all other machines"):
        _options(file)
    file.write_text("{")
    with pytest.raises(ConfigError, match="this is not JSON"):
        _options(file)


def test_the_groups_of_ports(tmp_path: Path) -> None:
    file = tmp_path / "port"
    file.touch()
    group = file.stat().st_gid
    found = groups_of([str(file), str(tmp_path / "unplugged")])
    assert found == ({group} if group else set())


DROP = """
import os, sys
from pathlib import Path
from bridge.cli.app import drop_rights
drop_rights({18, 20}, [Path(sys.argv[1])], 10001)
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))
try:
    os.setuid(0)
except PermissionError:
    print("for good")
Path(sys.argv[1], "new").touch()
"""


def dropped(folder: Path) -> Sequence[str]:
    done = subprocess.run(
        [sys.executable, "-c", DROP, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that other users can reach; pytest's are closed to them."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def test_it_joins_the_ports_groups_and_drops_the_rest(shared: Path) -> None:
    state = shared / "state"
    if os.geteuid() == 0:
        state.mkdir()
        (state / "old").touch(0o600)
        ids = "(10001, 10001, 10001)"
        assert dropped(state) == [f"{ids} {ids} [18, 20]", "for good"]
        assert (state / "old").stat().st_uid == 10001
    else:
        state.mkdir()
        same = f"{os.getresuid()} {os.getresgid()} {sorted(os.getgroups())}"
        assert dropped(state) == [same, "for good"]
    assert (state / "new").exists()


def test_the_report_is_a_page() -> None:
    good = Finding("broker", "ok", "connected")
    text = page([good, Finding("port", "wrong", "<b> & more", "ender")])
    assert "1 of 2 checks failed." in text
    assert "<td>ender<td>port<td>&lt;b&gt; &amp; more" in text
    assert "All is well." in page([good, Finding("topics", "note", "left over")])


def arguments(port: int) -> list[str]:
    return ["--port", str(port), "--ingress", "127.0.0.1", "--user", user()]


def user() -> str:
    """Return the user to continue as: root where only root can read this Python."""
    places = [Path(sys.base_prefix), Path(sys.prefix), ROOT]
    readable = all(
        folder.stat().st_mode & 0o001
        for place in places
        for folder in (place, *place.parents)
    )
    return str(APP_USER) if readable else "0"


def get(port: int, path: str) -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        client.request("GET", path)
        response = client.getresponse()
        return response.status, response.read().decode()
    finally:
        client.close()


@contextmanager
def started(
    data: Path, address: tuple[str, int], *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    folder = data / "user"
    folder.mkdir()
    command: list[Any] = [SCRIPT, "app", "--data", data, "--folder", folder]
    command += ["--supervisor", "{}:{}".format(*address), *arguments]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, TOKEN: "t0ken"},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)


def test_the_app_serves_the_printer_the_watchdog_and_the_report(shared: Path) -> None:
    options = {"printers": [{"id": "a", "url": "simulator://marlin?speed=1000"}]}
    (shared / "options.json").write_text(json.dumps(options))

    def healthy(port: int) -> bool:
        try:
            status, text = get(port, "/healthz")
        except OSError:
            return False
        return status == 200 and '"broker": true' in text and '"operational"' in text

    with held_port() as port, mosquitto() as broker:
        service = {"host": broker.host, "port": broker.port, "ssl": False}
        with (
            supervisor(ok(service)) as address,
            started(shared, address, *arguments(port)) as process,
        ):
            wait_for(lambda: process.poll() is not None or healthy(port), "the app")
            status, text = get(port, "/doctor")
            assert process.poll() is None, (shared / "log").read_text()
    log = (shared / "log").read_text()
    assert status == 200, log
    assert "<td>a<td>printer<td>" in text
    assert "failed." in text or "All is well." in text
    assert "Traceback" not in log
    assert process.returncode == 0
    assert list((shared / "state").iterdir())
