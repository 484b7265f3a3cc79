import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from bridge.cli.replay import Summary, explained, replay
from bridge.errors import ConfigError
from bridge.gcode.reply_types import OtherText
from bridge.printer.link.replay import read_any
from bridge.printer.link.wire_log import LogFormatError, read_log
from tests.support.daemons import run_script
from tests.support.users import without_rights
from tests.support.waiting import DEADLINE

PRINT = """\
    0.1000 > N1 M23 small.gco*1\\n
    0.2000 < File opened: small.gco Size: 51
    0.3000 < ok
    0.4000 > N2 M24*19\\n
    0.5000 < ok
    9.0000 < Done printing file
"""


def test_each_line_is_told_with_what_it_means() -> None:
    lines = list(explained(read_log(PRINT.splitlines()), "marlin"))
    assert lines[0] == "     0.100 > N1 M23 small.gco*1"
    assert "FileOpened(name='small.gco', size=51" in lines[1]
    assert lines[2] == "           = sdReady: true"
    started = lines.index("           = printing: true")
    assert started > lines.index("     0.400 > N2 M24*19")
    assert "           = printing: false" in lines[started:]
    assert "           = done: M24" in lines


def test_the_firmware_is_known_from_what_it_says() -> None:
    log = ["1.0 < FIRMWARE_NAME:Klipper", "2.0 < !! Move out of range"]
    assert "Refusal" in list(explained(read_log(log)))[1]
    (as_marlin, *_) = explained(read_log(log[1:]), "marlin")
    assert "Fatal" in as_marlin


def test_a_log_is_replayed(tmp_path: Path) -> None:
    log = tmp_path / "wire.log"
    log.write_text(PRINT)
    done = run_script("replay", log)
    assert done.returncode == 0
    assert "FileOpened" in done.stdout


@pytest.mark.parametrize(
    ("content", "arguments", "code", "problem"),
    [
        (None, [], 2, "No such file or directory"),
        (b"PK\x03\x04...", [], 1, "wire.log: this is a zip archive, not a log"),
        (b"\0" * 1_100_000, [], 1, "wire.log: there is no line end in the first"),
        (
            b"1.0 < ok",
            ["--firmware", "x"],
            2,
            '--firmware: there is no "x" (known: auto, ',
        ),
        (b"what is this", [], 1, "wire.log: line 1 of the log is not an entry"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(
    tmp_path: Path,
    content: bytes | None,
    arguments: list[str],
    code: int,
    problem: str,
) -> None:
    log = tmp_path / "wire.log"
    if content is not None:
        log.write_bytes(content)
    done = run_script("replay", log, *arguments)
    assert done.returncode == code
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_one_byte_that_is_no_text_refuses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "wire.log"
    log.write_bytes(
        b"Recv: ok T:20.1 /0.0\r\nRecv: \xff\xfe\0\r\n1.0 >> '\r\n2.0 < ok\n"
    )
    done = run_script("replay", "--summary", log)
    assert done.returncode == 0, done.stderr
    assert "1 TemperatureReport" in done.stdout
    assert "2 Ok" in done.stdout
    assert "1 line of the log could not be read\n" in done.stdout
    assert "line 3: 1.0 >> '" in done.stdout


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    command = "printf 'Recv: ok\\nRecv: wait\\n' | \"$0\" -m bridge replay --summary -"
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    assert "2 understood" in done.stdout
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "replay", "--summary", pipe],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as reads:
        pipe.write_text("Recv: ok\n")  # opens as soon as somebody reads
        out, notes = reads.communicate(timeout=DEADLINE)
    assert "1 understood" in out
    assert "reading from a named pipe until it is closed" in notes


def chosen(path: Path) -> argparse.Namespace:
    return argparse.Namespace(file=path, firmware="auto", summary=True)


def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "wire.log").write_text("Recv: ok\n")
    for path, why in (
        (tmp_path, "Is a directory"),
        (Path("/dev/zero"), "this is a device, not a log"),
        (tmp_path / "none", "No such file or directory"),
    ):
        with pytest.raises(ConfigError, match=why):
            replay(chosen(path))
    with without_rights(locked), pytest.raises(ConfigError, match="Permission denied"):
        replay(chosen(locked / "wire.log"))


def test_a_long_log_is_read_piece_by_piece() -> None:
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "Recv: ok"

    entries = read_any(lines())
    for _ in range(1000):
        next(entries)
    assert taken < 1010


def test_a_log_has_to_show_early_that_it_is_one() -> None:
    with pytest.raises(LogFormatError, match="line 1 of the log is not an entry"):
        list(read_any(repeat("blah")))
    late = ["blah"] * 9_000 + ["Recv: ok"]
    assert len(list(read_any(late))) == 9_001


def test_noise_does_not_fill_the_memory() -> None:
    summary = Summary()
    letters = str.maketrans("0123456789", "abcdefghij")
    texts = (OtherText(str(n).translate(letters)) for n in range(12_000))
    summary.received(texts)
    *_, last = summary.lines()
    assert last.strip() == "and over 9970 other texts"
