"""From a slicer to the printer's files, with the real daemon and real clients."""

import hashlib
import http.client
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import uploads
from tests.support.file_server import files, ok
from tests.support.ports import held_port
from tests.support.printers import SimulatedPrinter
from tests.support.stages import Json, Stage
from tests.support.waiting import DEADLINE, until

PRINTER = "simulator://marlin?speed=1000"
KEY = "0123456789abcdef0123456789abcdef"
GCODE = b"; by hand\nG28\nG1 X5 Y5 F3000\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with held_port() as held:
        yield held


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("uploads")
    (made / "keys").write_text(f"{KEY}\n")
    return made


@pytest.fixture(scope="module")
def file_port() -> Iterator[int]:
    with held_port() as held:
        yield held


@pytest.fixture(scope="module")
def sections(port: int, file_port: int, folder: Path) -> Json:
    return {
        "upload": {
            "listen": f"127.0.0.1:{port}",
            "keys_file": str(folder / "keys"),
        },
        "files": {
            "folder": str(folder / "files"),
            "inbox": str(folder / "inbox"),
            "fetch_hosts": [f"localhost:{file_port}"],
            "fetch_ca_file": str(folder / "ca.pem"),
        },
    }


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    """Return the status and the content of an answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    given = {"X-Api-Key": KEY, "Accept": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        client.request(method, f"/uploads/{path}", body, given)
        answer = client.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None
    finally:
        client.close()


def send(
    port: int, content: bytes, name: str = "cube.gcode", **fields: str
) -> tuple[int, Any]:
    kind = f"multipart/form-data; boundary={uploads.BOUNDARY}"
    body = uploads.form(content, name, **fields)
    return ask(port, "POST", "api/files/local", body, Content_Type=kind)


def post(port: int, path: str, **document: object) -> tuple[int, Any]:
    return ask(port, "POST", path, json.dumps(document).encode())


async def test_an_upload_is_stored_and_told_on_mqtt(
    bridge: Stage[SimulatedPrinter], port: int, folder: Path
) -> None:
    since = len(bridge.events())
    status, answer = send(port, GCODE, path="parts", print="false")
    assert (status, answer["done"], answer["effectivePrint"]) == (201, True, False)
    assert (folder / "files/uploads/parts/cube.gcode").read_bytes() == GCODE
    await until(lambda: "file_added" in bridge.event_names(since))
    assert "parts/cube.gcode" in json.dumps(bridge.events(since))
    status, answer = send(port, GCODE + b"M104 S999\n")
    assert (status, "line 4" in answer["error"]) == (422, True)
    assert ask(port, "DELETE", "api/files/local/parts/cube.gcode") == (204, None)


async def test_commands_pass_the_gates_of_mqtt(
    bridge: Stage[SimulatedPrinter], port: int
) -> None:
    assert ask(port, "GET", "api/printer")[1]["state"]["text"] == "Operational"
    heat = {"command": "target", "targets": {"tool0": 205}}
    assert post(port, "api/printer/tool", **heat) == (204, None)
    await until(lambda: bridge.latest("temperature")["tool0"]["target"] == 205)
    status, answer = post(
        port, "api/printer/tool", command="target", targets={"tool0": 999}
    )
    assert (status, "999" in answer["error"]) == (400, True)
    assert post(port, "api/printer/command", command="G28") == (204, None)
    assert post(port, "api/job", command="pause")[0] == 409
    assert ask(port, "GET", "api/job")[1]["state"] == "Operational"
    assert (
        post(port, "api/printer/tool", command="target", targets={"tool0": 0})[0] == 204
    )


async def test_upload_and_print(bridge: Stage[SimulatedPrinter], port: int) -> None:
    since = len(bridge.events())
    # It is under way until somebody resumes it, however slow this machine is.
    status, answer = send(port, GCODE + b"M0\nG1 X9\n", "long.gcode", print="true")
    assert (status, answer["effectivePrint"]) == (201, True)
    status, answer = send(port, GCODE, "next.gcode", print="true")
    assert (status, answer["effectivePrint"]) == (201, False)
    assert answer["gcode2mqtt"]["state"] == "queued"
    assert answer["gcode2mqtt"]["position"] == 1
    assert answer["gcode2mqtt"]["reason"]
    await until(lambda: "print_paused" in bridge.event_names(since))
    assert (await bridge.call("job", {"command": "resume"}))["status"] == "finished"
    await until(lambda: "print_done" in bridge.event_names(since))
    assert ask(port, "GET", "api/job")[0] == 200
    assert (await bridge.call("queue", {"command": "clear"}))["status"] == "finished"


async def test_a_print_for_a_printer_that_is_off_begins_when_it_is_released(
    bridge: Stage[SimulatedPrinter], port: int
) -> None:
    """OrcaSlicer#15032: a start of its own came while the printer powered up.

    It is switched on after the upload, by an automation for example.
    """
    since = len(bridge.events())
    bridge.printer.unplug()
    await bridge.becomes("offline")
    assert ask(port, "GET", "api/printer")[0] == 409
    status, answer = send(port, GCODE, "later.gcode", print="true")
    assert (status, answer["effectivePrint"]) == (201, False)
    assert answer["gcode2mqtt"]["state"] == "queued"
    assert "not operational" in answer["gcode2mqtt"]["reason"]
    # It may be released before it is switched on.
    assert (await bridge.call("queue", {"command": "release"}))["status"] == "finished"
    assert bridge.latest("queue/state")["length"] == 1
    bridge.printer.plug()
    await until(lambda: "print_done" in bridge.event_names(since))
    assert bridge.event_names(since).count("print_started") == 1
    await until(lambda: bridge.latest("queue/state")["length"] == 0)
    await bridge.becomes("operational")


async def test_what_is_copied_into_the_inbox_is_stored(
    bridge: Stage[SimulatedPrinter], folder: Path
) -> None:
    since = len(bridge.events())
    await until((folder / "inbox").is_dir)
    (folder / "inbox/copied.gcode").write_bytes(GCODE)
    await until(lambda: "file_added" in bridge.event_names(since))
    assert (folder / "files/uploads/copied.gcode").read_bytes() == GCODE
    await until(lambda: not (folder / "inbox/copied.gcode").exists())


async def test_a_file_is_fetched(
    bridge: Stage[SimulatedPrinter], folder: Path, file_port: int
) -> None:
    answers = {"/parts/far.gcode": ok(GCODE)}
    url = f"https://localhost:{file_port}/parts/far.gcode"
    digest = hashlib.sha256(GCODE).hexdigest()
    async with files(folder, answers, file_port):
        wanted = {"command": "fetch", "url": url, "sha256": digest, "path": "a/b.gcode"}
        answer = await bridge.call("files", wanted)
        assert answer["status"] == "finished", answer
        assert answer["data"]["path"] == "a/b.gcode"
        assert (folder / "files/uploads/a/b.gcode").read_bytes() == GCODE
        answer = await bridge.call("files", {**wanted, "sha256": "0" * 64, "path": ""})
        assert (answer["code"], answer["error"]) == (400, "fetch_failed")
        assert not (folder / "files/uploads/far.gcode").exists()
        elsewhere = {**wanted, "url": "https://127.0.0.1/a.gcode"}
        assert (await bridge.call("files", elsewhere))["code"] == 403


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.usefixtures("bridge")
def test_libcurl_as_in_prusaslicer(port: int, folder: Path) -> None:
    """PrusaSlicer, SuperSlicer and OrcaSlicer are libcurl at this point."""
    large = folder / "large.gcode"
    large.write_bytes(GCODE + b";" * 2_000_000 + b"\n")
    url = f"http://127.0.0.1:{port}/uploads/api/files/local"
    for key, status in ((KEY, "201"), ("wrong", "403")):
        done = subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--max-time", str(DEADLINE)),
                *("-H", f"X-Api-Key: {key}", "-H", "Expect: 100-continue"),
                *("-F", "print=false", "-F", "path="),
                *("-F", f"file=@{large};filename=Würfel.gcode"),
                *("-o", "/dev/null", "-w", "%{http_code} %{size_upload}", url),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        answered, sent = done.stdout.split()
        assert answered == status
        assert (int(sent) > 2_000_000) is (status == "201")
    assert (
        folder / "files/uploads/Würfel.gcode"
    ).stat().st_size == large.stat().st_size


async def test_other_keys_and_no_server_after_a_reload(
    bridge: Stage[SimulatedPrinter], port: int, folder: Path, sections: Json
) -> None:
    (folder / "keys").write_text("uploads: " + "f" * 32 + "\n")
    bridge.daemon.signal(signal.SIGHUP)
    await until(lambda: ask(port, "GET", "api/version")[0] == 403)
    assert ask(port, "GET", "api/version", X_Api_Key="f" * 32)[0] == 200
    (folder / "keys").write_text("short\n")
    bridge.daemon.signal(signal.SIGHUP)
    await until(lambda: "slicers cannot upload" in bridge.daemon.log)
    with pytest.raises(OSError, match="refused"):
        ask(port, "GET", "api/version")
    (folder / "keys").write_text(f"{KEY}\n")
    bridge.daemon.signal(signal.SIGHUP)
    await until(lambda: bridge.daemon.log.count("slicers can upload to") == 2)
    assert ask(port, "GET", "api/version")[0] == 200
    assert sections["upload"]["keys_file"] in bridge.daemon.log
    assert KEY not in bridge.daemon.log
    await bridge.fence()
