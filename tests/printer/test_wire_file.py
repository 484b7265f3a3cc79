"""The file with the log of the wire; nothing that happens to it stops the printer."""

import logging
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.printer.link.wire_file import WireFile
from bridge.printer.link.wire_log import Direction, WireLog, WireLogEntry, read_log


def line(time: float, text: str = "ok") -> WireLogEntry:
    return WireLogEntry(time, Direction.RECEIVED, f"{text}\n".encode())


def texts(path: Path) -> list[str]:
    with path.open() as lines:
        return [entry.data.decode().strip() for entry in read_log(lines)]


def test_what_is_logged_can_be_read_again(tmp_path: Path) -> None:
    file = WireFile(tmp_path / "wire.log")
    log = WireLog(file.write)
    log.sent(b"M105\n", 1000.0)
    log.received(b"ok T:20\n", 1000.25)
    file.close()
    with (tmp_path / "wire.log").open() as lines:
        assert list(read_log(lines)) == [
            WireLogEntry(0.0, Direction.SENT, b"M105\n"),
            WireLogEntry(0.25, Direction.RECEIVED, b"ok T:20\n"),
        ]


def test_it_begins_with_the_date(tmp_path: Path) -> None:
    file = WireFile(tmp_path / "wire.log")
    file.write(line(5.0))
    file.close()
    first = (tmp_path / "wire.log").read_text().splitlines()[0]
    assert first.startswith("    0.0000 # 20")
    assert first.endswith("+00:00")


def test_a_second_start_adds_to_the_file(tmp_path: Path) -> None:
    for text in ("first", "second"):
        file = WireFile(tmp_path / "wire.log")
        file.write(line(5.0, text))
        file.close()
    assert texts(tmp_path / "wire.log") == ["first", "second"]


def test_large_files_are_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    file = WireFile(tmp_path / "wire.log", largest=100, keep=2)
    for number in range(20):
        file.write(line(float(number), f"line {number} {'x' * 40}"))
    file.close()
    paths = [tmp_path / name for name in ("wire.log.2", "wire.log.1", "wire.log")]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    kept = [text for path in paths for text in texts(path)]
    assert [text.split()[1] for text in kept] == list(
        map(str, range(20 - len(kept), 20))
    )
    assert all(path.stat().st_size < 200 for path in paths)


def test_a_full_disk_costs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    file = WireFile(Path("/dev/full"))
    for number in range(200):
        file.write(line(float(number)))
    file.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "/dev/full cannot be written (No space left" in caplog.text


def test_a_folder_that_is_not_there_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = WireFile(tmp_path / "logs" / "wire.log")
    file.write(line(0.0))
    file.write(line(1.0))
    assert "No such file or directory" in caplog.text
    (tmp_path / "logs").mkdir()
    file.write(line(59.0))
    assert not (tmp_path / "logs" / "wire.log").exists()
    file.write(line(61.0, "again"))
    file.close()
    assert texts(tmp_path / "logs" / "wire.log") == ["again"]
    text = (tmp_path / "logs" / "wire.log").read_text()
    assert "# 3 entries are missing: the file could not be written" in text
    assert len(caplog.records) == 1


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_half_line_stays_where_the_disk_got_full(tmp_path: Path) -> None:
    path = tmp_path / "wire.log"
    file = WireFile(path)
    with files_of_at_most(100):
        for number in range(5):
            file.write(line(0.0, f"line {number} {'x' * 30}"))
    assert path.stat().st_size < 100
    assert path.read_text().endswith("x\n")
    file.write(line(61.0, "again"))
    file.close()
    assert [text.split()[0] for text in texts(path)] == ["line", "again"]


def test_a_second_failure_is_warned_about_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "logs"
    file = WireFile(folder / "wire.log", largest=1)
    file.write(line(0.0))
    folder.mkdir()
    file.write(line(100.0))
    (folder / "wire.log").unlink()
    folder.rmdir()
    file.write(line(101.0))
    assert len(caplog.records) == 2
    file.close()


@pytest.mark.parametrize("read", [False, True], ids=["nobody", "somebody"])
def test_a_named_pipe_is_refused_whoever_reads_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, read: bool
) -> None:
    """Opening it would wait for a reader, and writing for one that is slow."""
    path = tmp_path / "wire.log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if read else None
    file = WireFile(path)
    for number in range(1000):
        file.write(line(number / 1000))
    file.close()
    if reader is not None:
        os.close(reader)
    (record,) = caplog.records
    assert "cannot be written" in record.message


def test_a_terminal_that_takes_nothing_does_not_block(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    master, slave = os.openpty()
    path = tmp_path / "wire.log"
    path.symlink_to(os.ttyname(slave))
    file = WireFile(path)
    for number in range(5000):
        file.write(line(number / 1000, "x" * 100))
    file.close()
    os.close(master)
    os.close(slave)
    assert "cannot be written" in caplog.records[0].message
