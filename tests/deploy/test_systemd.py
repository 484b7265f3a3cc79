"""The units and the udev rule are what their readers take."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bridge import state_files
from bridge.app import station
from bridge.mqtt import session
from bridge.printer import printer
from bridge.printer.control import heater_control, hook_runner
from bridge.printer.printing import runner
from tests.support.daemons import SCRIPT, run_script
from tests.support.halves import ROOT

DEPLOY = ROOT / "deploy"
UNITS = ("gcode2mqtt.service", "gcode2mqtt@.service")
ANALYZE = shutil.which("systemd-analyze")
EXPOSED = 30
"""Tenths: what systemd calls OK."""

_KEY = r"[A-Z]+(?:\{\w+\})?"
_RULE = re.compile(rf'{_KEY}(?:==|!=|\+=|=)"[^"]*"(?:, {_KEY}(?:==|!=|\+=|=)"[^"]*")*')


def unit(name: str) -> str:
    return (DEPLOY / "systemd" / name).read_text()


def analyze(folder: Path, name: str, *arguments: str) -> tuple[int, str]:
    """Return the exit code, and what is said of a unit that is installed."""
    if ANALYZE is None:
        pytest.fail("systemd-analyze is not here; as root: apt-get install systemd")
    file = folder / name
    installed = unit(name).replace("/opt/gcode2mqtt/bin/gcode2mqtt", str(SCRIPT))
    file.write_text(installed)
    done = subprocess.run(
        [ANALYZE, *arguments, file], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_to_say(tmp_path: Path, name: str) -> None:
    assert analyze(tmp_path, name, "verify") == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_exposes_little(tmp_path: Path, name: str) -> None:
    limit = f"--threshold={EXPOSED}"
    code, said = analyze(tmp_path, name, "security", "--offline=true", limit)
    assert code == 0, said


@pytest.mark.parametrize("name", UNITS)
def test_the_drop_in_for_klipper_is_accepted(tmp_path: Path, name: str) -> None:
    folder = tmp_path / f"{name}.d"
    folder.mkdir()
    (folder / "klipper.conf").write_text(unit("klipper.conf"))
    assert analyze(tmp_path, name, "verify") == (0, "")
    (folder / "klipper.conf").write_text("[Service]\nPrivateTmps=no\n")
    assert "PrivateTmps" in analyze(tmp_path, name, "verify")[1]


def test_the_drop_in_for_the_broker_is_accepted(tmp_path: Path) -> None:
    assert ANALYZE is not None
    file = tmp_path / "mosquitto.service"
    file.write_text("[Service]\nExecStart=/bin/true\nRestart=on-failure\n")
    folder = tmp_path / f"{file.name}.d"
    folder.mkdir()
    shutil.copy(DEPLOY / "mosquitto" / "memory.conf", folder)
    command = [ANALYZE, "verify", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_a_reload_with_a_mistake_fails_before_the_bridge_is_told(
    tmp_path: Path, name: str
) -> None:
    """systemd runs the commands of ExecReload in turn, until one fails."""
    commands = re.findall(r"^ExecReload=(.*)$", unit(name), re.MULTILINE)
    check, kill = commands
    assert "kill -HUP" in kill
    file = tmp_path / "config.yaml"
    words = check.split()
    words[words.index("--config") + 1] = str(file)
    for text, code, sentence in (
        ("printers: [{}]\n", 0, ""),
        ("printers: [{}]\nlog: {level: loud}\n", 2, "log.level must be debug"),
        ("printers: [{}]\ncolour: red\n", 2, "colour is not a known key"),
        ("printers:\n\t- {}\n", 2, "begins with a tab"),
        ("", 2, "printers is missing"),
        ("printers: [{id: a}, {id: a}]\n", 2, "two printers have the same id"),
    ):
        file.write_text(text)
        done = run_script(*words[1:])
        assert done.returncode == code, text
        assert sentence in done.stderr
        assert done.stdout == ""


def test_a_key_that_systemd_does_not_know_would_be_found(tmp_path: Path) -> None:
    name = "wrong.service"
    (tmp_path / name).write_text(unit(UNITS[0]).replace("WatchdogSec", "WatchdogSecs"))
    assert ANALYZE is not None
    done = subprocess.run(
        [ANALYZE, "verify", tmp_path / name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "WatchdogSecs" in done.stderr


def test_the_template_differs_only_in_whose_it_is() -> None:
    alone, template = (settings(unit(name)) for name in UNITS)
    assert template == [
        line.replace("for 3D printers", "for %i")
        .replace("/config.password", "/%i.password")
        .replace("/config.yaml", "/%i.yaml")
        .replace("StateDirectory=gcode2mqtt", "StateDirectory=gcode2mqtt/%i")
        for line in alone
    ]


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_everything_waits_until_the_bridge_has_ended() -> None:
    """A process that is killed earlier leaves the heaters on."""
    longest = sum(
        (
            *(runner.LAYER_TIME, runner.SETTLED, hook_runner.LEAVE),
            *(heater_control.EXIT, printer.LAST_COMMANDS, station.LAST_RESPONSES),
            *(2 * session.DISCONNECT_TIMEOUT, state_files.FLUSH_TIMEOUT),
        )
    )
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    app = yaml.safe_load((DEPLOY / "home-assistant-os" / "config.yaml").read_text())
    given = [
        *(re.findall(r"\nTimeoutStopSec=(\d+)\n", unit(name)) for name in UNITS),
        re.findall(r"^(\d+)s$", compose["services"]["bridge"]["stop_grace_period"]),
        [app["timeout"]],
    ]
    assert all(int(seconds) > longest for (seconds,) in given), (longest, given)


def test_udev_can_read_every_line() -> None:
    rules = (DEPLOY / "udev" / "90-gcode2mqtt.rules").read_text().splitlines()
    told = [line.removeprefix("#") for line in rules if "==" in line or "=" in line]
    lines = [line for line in told if not line.startswith(" ")]
    assert len(lines) >= 8
    for line in lines:
        assert _RULE.fullmatch(line), line


def test_udev_jumps_to_where_there_is_something() -> None:
    text = (DEPLOY / "udev" / "90-gcode2mqtt.rules").read_text()
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(
        re.findall(r'LABEL="(\w+)"', text)
    )
