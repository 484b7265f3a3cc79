"""The console script as a process: what it prints, and its exit codes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge import __version__
from tests.support.daemons import SCRIPT, run_script
from tests.support.waiting import DEADLINE

ONE_PRINTER = "printers: [{serial: {port: 'simulator://marlin'}}]\n"


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run the script; whatever happens it ends."""
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_version_is_the_package_s() -> None:
    done = run_script("--version")
    assert (done.returncode, done.stdout) == (0, f"gcode2mqtt {__version__}\n")


def test_the_module_is_the_script() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"gcode2mqtt {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["run", "--speed", "2"], ["replay"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    done = run_script(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: gcode2mqtt")


def test_help_loads_neither_models_nor_clients() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", SCRIPT, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "exit codes:" in done.stdout
    for heavy in ("pydantic", "paho", "serial", "asyncio", "yaml"):
        assert f" {heavy}\n" not in done.stderr


def test_check_prints_what_is_in_force(tmp_path: Path) -> None:
    config = tmp_path / "my.yaml"
    config.write_text("mqtt: {host: broker.lan, password: hunter2}\n" + ONE_PRINTER)
    done = run_script("check", "--config", config)
    assert done.returncode == 0
    assert "  host: broker.lan\n" in done.stdout
    assert "hunter2" not in done.stdout
    config.write_text(done.stdout)
    assert run_script("check", "--config", config).returncode == 0


@pytest.mark.parametrize("command", ["check", "run", "health"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "my.yaml: cannot be read: No such file or directory"),
        (ONE_PRINTER + "mqtt:\n  prot: 1", "my.yaml:3: mqtt.prot is not a known key"),
        (
            ONE_PRINTER + "mqtt: {port: x}",
            "my.yaml:2: mqtt.port must be a whole number",
        ),
        ("printers: [{id: a}, {id: a}]", "my.yaml:1: two printers have the same id: a"),
        ('"a\\u001b": 1\n' + ONE_PRINTER, "a� is not a known key"),
    ],
)
def test_a_wrong_configuration_ends_with_2_and_one_line(
    tmp_path: Path, command: str, text: str | None, problem: str
) -> None:
    config = tmp_path / "my.yaml"
    if text is not None:
        config.write_text(text)
    done = run_script(command, "--config", config)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gcode2mqtt: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_ports_are_listed_or_their_absence_explained() -> None:
    done = run_script("ports")
    assert done.returncode == 0
    assert (
        done.stdout.startswith("/dev/") or "is the printer switched on" in done.stdout
    )


def test_the_schema_describes_the_commands() -> None:
    done = run_script("schema")
    assert done.returncode == 0
    jog = json.loads(done.stdout)["head"]["jog"]
    assert (
        jog["properties"]["command"] == {"const": "jog"} | jog["properties"]["command"]
    )


def test_the_asyncapi_document_has_both_directions() -> None:
    document = json.loads(run_script("schema", "asyncapi").stdout)
    assert document["asyncapi"].startswith("3.")
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert {"{base}/head", "{base}/state", "{base}/response"} <= addresses


def test_a_reader_that_has_seen_enough_is_no_traceback() -> None:
    with started("schema") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(DEADLINE) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_simulated_printer_behind_a_pty_ends_with_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "printer"
    with started("simulate", "--pty", path) as process:
        assert first_line(process) == f"marlin at {path}, until Ctrl-C"
        assert path.is_symlink()
        os.kill(process.pid, number)
        assert process.wait(DEADLINE) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert not path.is_symlink()


def test_a_simulated_printer_behind_tcp() -> None:
    arguments = ("--tcp", "127.0.0.1:0", "--firmware", "klipper", "--speed", "10")
    with started("simulate", *arguments) as process:
        line = first_line(process)
        assert line.startswith("klipper at socket://127.0.0.1:")
        assert not line.startswith("klipper at socket://127.0.0.1:0,")
        process.terminate()
        assert process.wait(DEADLINE) == 0


def test_a_simulated_printer_that_nobody_knows() -> None:
    done = run_script("simulate", "--pty", "/nowhere/printer", "--firmware", "fantasy")
    assert done.returncode == 2
    assert '--firmware: there is no firmware "fantasy" (known: marlin' in done.stderr


def test_a_simulated_printer_where_nothing_can_be() -> None:
    done = run_script("simulate", "--pty", "/proc/printer")
    assert done.returncode == 1
    assert "/proc/printer" in done.stderr
    assert done.stderr.count("\n") == 1
