from pathlib import Path

import pytest

from bridge.cli.replay import explained
from bridge.printer.link.wire_log import read_log
from tests.support.daemons import run_script

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
        (b"\xff\xfe", [], 2, "this is not a text in UTF-8"),
        (
            b"1.0 < ok",
            ["--firmware", "x"],
            2,
            "--firmware: no 'x'; there are auto, ",
        ),
        (b"what is this", [], 1, "line 1 of the log is no entry"),
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
