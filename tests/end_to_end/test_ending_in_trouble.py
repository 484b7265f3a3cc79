"""SIGTERM in bad moments: something that the bridge waits for never comes.

The process that ends is the real one. Several of these moments are tried at once; each
of them would keep it from ending by itself.
"""

import asyncio
import fcntl
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.support import uploads
from tests.support.brokers import Mosquitto
from tests.support.daemons import SCRIPT, wait_for
from tests.support.file_server import files
from tests.support.ports import held_port
from tests.support.printers import scripted
from tests.support.proxy import proxied
from tests.support.stages import Json, config_of, stage
from tests.support.waiting import until

WITHIN = 50.0
"""Seconds for the end. It takes two, and twelve more for a print that is cancelled and
whose printer says nothing; service managers kill after 90."""

GCODE = b"G28\nG1 X5 Y5 F3000\n"
STALLED = """
import os, time
from pathlib import Path

FLAG = Path(os.environ["STALLED"])
really = os.fsync


def fsync(descriptor):
    while FLAG.exists():  # as a disk that does not answer
        time.sleep(0.1)
    really(descriptor)


os.fsync = fsync
"""
"""What Python carries out at its start (``sitecustomize``)."""


@contextmanager
def client_of(port: int, request: bytes) -> Iterator[socket.socket]:
    """Send a request, or its beginning, and stay connected."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(request)
        yield client


def upload(base: str, content: bytes, name: str, missing: int = 0) -> bytes:
    """Return an upload, without so many bytes of its end."""
    body = uploads.form(content, name)
    head = uploads.upload_head(len(body), path=f"/{base}/api/files/local")
    return head + body[: len(body) - missing]


def settings(folder: Path, port: int) -> Json:
    (folder / "keys").write_text(f"{uploads.KEY}\n")
    (folder / "keys").chmod(0o600)
    return {
        "upload": {
            "listen": f"127.0.0.1:{port}",
            "keys_file": str(folder / "keys"),
        },
        "files": {"folder": str(folder / "files"), "keep_free": 0},
        "mqtt": {"state_folder": str(folder / "state")},
    }


def worker_of(pid: int) -> int | None:
    """Return the process that checks files, once it is that program.

    One that is stopped before would stop the bridge, too: its parent waits in vfork(2).
    """
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            if b"bridge.files.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


async def test_files_are_on_their_way(broker: Mosquitto, tmp_path: Path) -> None:
    """An upload half-way, one that is checked, one that waits, a fetch, an inbox."""
    base = "ending-files"
    with (
        held_port() as port,
        held_port() as file_port,
        scripted(tmp_path / "printer") as printer,
        ExitStack() as stack,
    ):
        sections = settings(tmp_path, port)
        sections["files"] |= {
            "inbox": str(tmp_path / "inbox"),
            "fetch_hosts": [f"localhost:{file_port}"],
            "fetch_ca_file": str(tmp_path / "ca.pem"),
        }
        async with files(tmp_path, {"/hangs": b""}, file_port):
            own = stack.enter_context(stage(broker, printer, tmp_path, base, sections))
            pid = own.daemon.pid
            begun = client_of(port, upload(base, GCODE * 9, "half.gcode", 99))
            stack.enter_context(begun)
            stored = tmp_path / "files" / base
            await until(lambda: len([*stored.glob(".*.upload")]) == 1)
            # Its check takes long enough to be stopped in it.
            content = b"G1 X5 Y5 F3000\n" * 300_000
            begun = client_of(port, upload(base, content, "checked.gcode"))
            checked = stack.enter_context(begun)
            await until(lambda: worker_of(pid) is not None)
            worker = worker_of(pid)
            assert worker is not None
            os.kill(worker, signal.SIGSTOP)
            stack.callback(_kill, worker)
            begun = client_of(port, upload(base, GCODE, "waits.gcode"))
            stack.enter_context(begun)
            await until(lambda: len([*stored.glob(".*.upload")]) == 3)
            (tmp_path / "inbox" / "new.gcode").write_bytes(GCODE)
            url = f"https://localhost:{file_port}/hangs"
            fetch = {"command": "fetch", "url": url, "sha256": "0" * 64}
            await own.send("files", fetch)
            await own.call("request/info")
            assert _nothing_came(checked), "it is still being checked"
            own.daemon.signal(signal.SIGTERM)
            assert await asyncio.to_thread(own.daemon.ended, WITHIN) == 0
        assert [*stored.rglob("*.gcode")] == []
        assert [*stored.glob(".*.upload")] == [], "nothing is left behind"


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _nothing_came(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    return False


async def test_the_disk_stands_still(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two uploads are forced onto it, and so are the state files."""
    base, flag = "ending-disk", tmp_path / "stalled"
    (tmp_path / "python").mkdir()
    (tmp_path / "python/sitecustomize.py").write_text(STALLED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "python"))
    monkeypatch.setenv("STALLED", str(flag))
    with (
        held_port() as port,
        scripted(tmp_path / "printer") as printer,
        ExitStack() as stack,
    ):
        sections = settings(tmp_path, port)
        own = stack.enter_context(stage(broker, printer, tmp_path, base, sections))
        flag.touch()
        stack.callback(flag.unlink)
        for name in ("a.gcode", "b.gcode"):
            stack.enter_context(client_of(port, upload(base, GCODE, name)))
        stored = tmp_path / "files" / base
        await until(lambda: sum(p.stat().st_size for p in stored.glob(".*.upload")) > 0)
        await own.call("queue", {"command": "hold"})
        own.daemon.signal(signal.SIGTERM)
        assert await asyncio.to_thread(own.daemon.ended, WITHIN) == 0
        assert [*stored.rglob("*.gcode")] == []


async def test_neither_the_printer_nor_the_broker_says_anything(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """A print is to be cancelled, and its last move is never acknowledged."""
    base = "ending-silent"
    place = tmp_path / "files" / base
    place.mkdir(parents=True)
    (place / "a.gcode").write_bytes(b"M104 S200\n" + GCODE * 200)
    with held_port() as port, scripted(tmp_path / "printer") as printer:
        sections = settings(tmp_path, port)
        async with proxied(broker.host, broker.port) as proxy:
            sections["mqtt"] |= {"host": "127.0.0.1", "port": proxy.port}
            running = stage(broker, printer, tmp_path, base, sections, on_exit="cancel")
            own = await asyncio.to_thread(running.__enter__)
            try:
                await until(lambda: own.latest("files/state")["count"] == 1)
                printer.held.add("G1")
                await own.call("job", {"command": "start", "file": "a.gcode"})
                await until(lambda: "G1 X5 Y5 F3000" in printer.wire.sent())
                await own.send("head", {"command": "home", "axes": []})
                printer.silent = proxy.stalled = True
                own.daemon.signal(signal.SIGTERM)
                assert await asyncio.to_thread(own.daemon.ended, WITHIN) == 0
            finally:
                proxy.stalled = False
                await asyncio.to_thread(running.__exit__, None, None, None)


def test_nobody_reads_the_log(broker: Mosquitto, tmp_path: Path) -> None:
    base = "ending-log"
    with scripted(tmp_path / "printer") as printer:
        config = config_of(broker, printer.link, base, {"log": {"level": "debug"}})
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        read, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        with subprocess.Popen(
            [SCRIPT, "run", "--config", tmp_path / "config.yaml"],
            stdin=subprocess.DEVNULL,
            stderr=write,
            start_new_session=True,
        ) as process:
            try:
                wait_for(lambda: "M115" in str(printer.wire.heard()), "the handshake")
                full = partial(select.select, [], [write], [], 0)
                wait_for(lambda: full() == ([], [], []), "a full pipe")
                process.send_signal(signal.SIGTERM)
                assert process.wait(WITHIN) == 0
            finally:
                process.kill()
                os.close(read)
                os.close(write)
