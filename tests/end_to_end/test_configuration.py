"""A configuration that cannot be used: exit code 2, one line that names the place."""

from pathlib import Path

import pytest

from tests.support.daemons import run_script

BAD: dict[str, tuple[str, str]] = {
    # what is bad: the file, what the line says
    "unknown key": ("mqtt:\n  hots: x\nprinters: [{}]\n", "hots"),
    "wrong type": ("mqtt: {port: many}\nprinters: [{}]\n", "mqtt.port"),
    "no YAML": ("mqtt: {host: [\n", "config.yaml:2"),
    "duplicate id": ("printers: [{id: a}, {id: a}]\n", "id"),
    "one topic": (
        "printers: [{id: a, topic: x}, {id: b, topic: x}]\n",
        "topic",
    ),
    "one port": (
        "printers: [{id: a, serial: {port: /x}}, {id: b, serial: {port: /x}}]\n",
        "serial.port",
    ),
    "a missing password file": (
        "mqtt: {username: a, password_file: nowhere}\nprinters: [{}]\n",
        "password_file",
    ),
    "a missing scripts folder": (
        "printers: [{scripts_folder: nowhere}]\n",
        "scripts_folder",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_configuration(tmp_path: Path, case: str) -> None:
    text, place = BAD[case]
    file = tmp_path / "config.yaml"
    file.write_text(text)
    refuses(file, place)


def test_a_missing_file(tmp_path: Path) -> None:
    refuses(tmp_path / "absent.yaml", "absent.yaml")


def test_an_unreadable_file(tmp_path: Path) -> None:
    # Root may read everything, but nobody can read a folder as a file.
    refuses(tmp_path, str(tmp_path))


def refuses(file: Path, place: str) -> None:
    ended = run_script("run", "--config", file)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("gcode2mqtt: ")
    assert place in ended.stderr
