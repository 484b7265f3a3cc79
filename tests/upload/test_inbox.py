"""Files that are copied into the watched folder."""
# ruff: noqa: ASYNC240 - nothing else waits for the event loop of a test

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.files.stored import FileError
from bridge.upload import inbox
from bridge.upload.inbox import REASON, REFUSED, Inbox, scan
from tests.support.waiting import until


class Printers:
    """Printers that note which files they get."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.stored: list[tuple[str, str, bytes]] = []
        self.problem: Exception | None = None
        self.tries = 0

    async def adopt(self, printer: str, path: str, file: Path) -> None:
        self.tries += 1
        if self.problem is not None:
            raise self.problem
        self.stored.append((printer, path, file.read_bytes()))
        file.unlink()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LOOK_INTERVAL", 0.01), ("SETTLED", 0.05)):
        monkeypatch.setattr(inbox, name, seconds)


@asynccontextmanager
async def watched(folder: Path, printers: Printers) -> AsyncIterator[None]:
    watching = Inbox(folder, lambda: printers.names, printers.adopt)
    task = asyncio.create_task(watching.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_copied_file_is_stored_for_its_printer(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    printers = Printers("left", "right")
    async with watched(folder, printers):
        await until((folder / "right").is_dir)
        (folder / "right/parts").mkdir()
        (folder / "right/parts/a.gcode").write_bytes(b"G28")
        (folder / "left/b.gcode").write_bytes(b"G29")
        await until(lambda: len(printers.stored) == 2)
    assert sorted(printers.stored) == [
        ("left", "b.gcode", b"G29"),
        ("right", "parts/a.gcode", b"G28"),
    ]


async def test_one_printer_needs_no_folder(tmp_path: Path) -> None:
    printers = Printers("left")
    (tmp_path / "left").mkdir()
    for name in ("a.gcode", "x/b.gcode", "left/c.gcode"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"G28")
    async with watched(tmp_path, printers):
        await until(lambda: len(printers.stored) == 3)
    assert {path for _, path, _ in printers.stored} == {
        "a.gcode",
        "x/b.gcode",
        "c.gcode",
    }


async def test_a_copy_that_goes_on_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "SETTLED", 0.6)
    printers = Printers("left")
    copy = tmp_path / "a.gcode"
    async with watched(tmp_path, printers):
        for step in range(12):
            with copy.open("ab") as stream:
                stream.write(b"G28\n")
            os.utime(copy, (step, step))
            await asyncio.sleep(0.05)
            assert not printers.stored
        await until(lambda: len(printers.stored) == 1)
    assert printers.stored[0][2] == b"G28\n" * 12


async def test_a_refused_file_says_why(tmp_path: Path) -> None:
    printers = Printers("left", "right")
    (tmp_path / "top.gcode").write_bytes(b"G28")
    async with watched(tmp_path, printers):
        await until((tmp_path / f"top.gcode{REFUSED}").exists)
        reason = (tmp_path / f"top.gcode{REASON}").read_text()
        assert reason == "put it into a printer's folder: left, right\n"
        printers.problem = FileError.unsupported_type("a.stl", "it is a model")
        (tmp_path / "left/a.stl").write_bytes(b"solid")
        await until((tmp_path / f"left/a.stl{REFUSED}").exists)
        assert "it is a model" in (tmp_path / f"left/a.stl{REASON}").read_text()
    assert printers.tries == 1


async def test_a_file_that_cannot_be_stored_now_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "RETRY_INTERVAL", 0.05)
    printers = Printers("left")
    printers.problem = FileError.in_use("a.gcode")
    (tmp_path / "a.gcode").write_bytes(b"G28")
    async with watched(tmp_path, printers):
        await until(lambda: printers.tries >= 2)
        printers.problem = ZeroDivisionError()  # a bug ends nothing either
        tries = printers.tries
        await until(lambda: printers.tries >= tries + 2)
        printers.problem = None
        await until(lambda: len(printers.stored) == 1)


async def test_a_folder_that_cannot_be_used_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    printers = Printers("left")
    (tmp_path / "in").write_text("no folder")
    async with watched(tmp_path / "in", printers):
        await until(lambda: "cannot be used" in caplog.text)
        await asyncio.sleep(0.1)
        (tmp_path / "in").unlink()
        (tmp_path / "in").mkdir()
        (tmp_path / "in/a.gcode").write_bytes(b"G28")
        await until(lambda: len(printers.stored) == 1)
    assert caplog.text.count("cannot be used") == 1


def test_what_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        ".hidden.gcode", "~lock.gcode", "a.gcode.part", "a.gcode.filepart",
        "a.GCODE.TMP", "a.gcode~", f"a.gcode{REFUSED}", f"a.gcode{REASON}",
    ):  # fmt: skip
        (tmp_path / name).write_bytes(b"G28")
    (tmp_path / "link.gcode").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe.gcode")
    deep = tmp_path.joinpath(*"abcdefghij")
    deep.mkdir(parents=True)
    (deep / "deep.gcode").write_bytes(b"G28")
    assert scan(tmp_path, ["left"]) == []
    for number in range(5):
        (tmp_path / f"{number}.gcode").write_bytes(b"G28")
    monkeypatch.setattr(inbox, "MOST_FILES", 3)
    assert len(scan(tmp_path, ["left"])) == 3
