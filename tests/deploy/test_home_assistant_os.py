"""The app for Home Assistant OS fits the code, and the Supervisor's rules."""

import os
import re
from pathlib import Path
from typing import Any, get_args

import yaml

from bridge import __version__
from bridge.cli.parser import APP_PORT, APP_USER, build
from bridge.config import Log, PrinterConfig
from bridge.config.printer import Serial
from bridge.home_assistant import app_options
from tests.support import icons
from tests.support.halves import ROOT

FOLDER = ROOT / "deploy" / "home-assistant-os"
APP: dict[str, Any] = yaml.safe_load((FOLDER / "config.yaml").read_text())
SCHEMA: dict[str, Any] = APP["schema"]
(PRINTER,) = SCHEMA["printers"]

ELEMENT = re.compile(
    r"(str|bool|url|port|password|email|device(\(subsystem=[a-z]+\))?"
    r"|(int|float)(\((-?[\d.]+)?,(-?[\d.]+)?\))?|match\(.*\)|list\(.+\))\??"
)
"""A type in a schema (https://developers.home-assistant.io/docs/apps/configuration)."""

SKIPPED = {".git", ".venv", "node_modules", "config"}


def words(element: str) -> set[str]:
    """Return the choices of ``list(a|b)``."""
    return set(element.rstrip("?").removeprefix("list(").removesuffix(")").split("|"))


def labels() -> dict[str, str]:
    text = (FOLDER / "Dockerfile").read_text()
    return dict(re.findall(r'([\w.]+)="([^"]*)"', text))


def test_the_repository_is_one() -> None:
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text())
    assert repository.keys() == {"name", "url", "maintainer"}
    assert repository["url"] == APP["url"]


def test_nothing_else_is_called_as_the_app_s_configuration() -> None:
    """The Supervisor takes every such file in the repository for an app."""
    found = []
    for place, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in SKIPPED]
        found += [Path(place, name) for name in files if name.startswith("config.")]
    apps = [path for path in found if path.suffix in {".yaml", ".yml", ".json"}]
    assert [path for path in apps if path.stem == "config"] == [FOLDER / "config.yaml"]


def test_the_version_is_the_package_s() -> None:
    assert APP["version"] == __version__


def test_the_options_are_those_that_the_bridge_reads() -> None:
    assert PRINTER.keys() == app_options.PRINTER.keys()
    assert SCHEMA.keys() == {"printers", *app_options.OTHERS}
    assert APP["options"].keys() <= SCHEMA.keys()
    for element in [*PRINTER.values(), *(SCHEMA[name] for name in app_options.OTHERS)]:
        assert ELEMENT.fullmatch(element), element


def test_each_option_accepts_what_its_setting_accepts() -> None:
    firmware = Serial.model_fields["firmware"].annotation
    assert words(PRINTER["firmware"]) == set(get_args(firmware))
    level = Log.model_fields["level"].annotation
    assert words(SCHEMA["log_level"]) == set(get_args(level))
    schema = PrinterConfig.model_json_schema()["$defs"] | {"Printer": {}}
    temperature = schema["MaxTemperature"]["properties"]["tool"]
    most = f"({temperature['minimum']:g},{temperature['maximum']:g})"
    for name in ("max_tool", "max_bed", "max_chamber"):
        assert PRINTER[name] == f"float{most}?"
    extruders = schema["Profile"]["properties"]["extruders"]
    assert (
        PRINTER["extruders"] == f"int({extruders['minimum']},{extruders['maximum']})?"
    )
    _, rate = schema["Serial"]["properties"]["baudrate"]["anyOf"]
    assert PRINTER["baudrate"] == f"int({rate['minimum']},{rate['maximum']})?"
    identifier = PrinterConfig.model_json_schema()["properties"]["id"]["pattern"]
    assert PRINTER["id"] == f"match({identifier})"


def test_the_defaults_are_a_configuration() -> None:
    tree, _ = app_options.settings(APP["options"], "/data", "/config")
    (printer,) = tree["printers"]
    assert PrinterConfig.model_validate(printer) == PrinterConfig()


def test_the_ports_are_the_bridge_s() -> None:
    assert APP["watchdog"] == f"http://[HOST]:{APP_PORT}/healthz"
    assert APP["ingress"] is True
    assert (APP["ingress_port"], APP["ingress_entry"]) == (
        APP_PORT,
        "doctor",
    )
    assert list(APP["ports"]) == [f"{app_options.UPLOAD_PORT}/tcp"]
    # Nothing is offered to the network until the user enters a port.
    assert list(APP["ports"].values()) == [None]


def test_it_gets_what_it_needs_and_no_more() -> None:
    assert APP["services"] == ["mqtt:need"]
    assert (APP["uart"], APP["udev"]) == (True, True)
    assert APP["map"] == [{"type": "app_config", "read_only": False}]
    privileges = {
        *("privileged", "full_access", "host_network", "host_pid", "docker_api"),
        *("hassio_api", "homeassistant_api", "auth_api", "usb", "gpio", "devices"),
    }
    assert not privileges & APP.keys()


def test_each_option_is_explained_in_each_language() -> None:
    for file in (FOLDER / "translations").iterdir():
        said = yaml.safe_load(file.read_text())
        assert said["configuration"].keys() == SCHEMA.keys(), file
        fields = said["configuration"]["printers"]["fields"]
        assert fields.keys() == PRINTER.keys(), file
        assert said["network"].keys() == APP["ports"].keys(), file
        for entry in [*said["configuration"].values(), *fields.values()]:
            assert entry["name"], file
            assert entry["description"], file


def test_the_manual_has_every_option() -> None:
    text = (FOLDER / "DOCS.md").read_text()
    rows = re.findall(r"(?m)^\| `(\w+)` \|", text)
    assert sorted(rows) == sorted([*SCHEMA, *PRINTER])


def test_the_image_says_what_it_is_and_runs_the_app() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    assert labels()["io.hass.type"] == "app"
    assert labels()["io.hass.version"] == "${BUILD_VERSION}"
    assert labels()["io.hass.arch"].split("|") == APP["arch"]
    base = APP["image"].removesuffix("-app")
    assert f"FROM {base}:${{BUILD_VERSION}}" in text
    (command,) = re.findall(r'(?m)^CMD \["(.*)"\]$', text)
    chosen = build().parse_args([command])
    assert (chosen.command, chosen.user) == ("app", APP_USER)
    assert (chosen.data, chosen.folder) == (Path("/data"), Path("/config"))
    assert (chosen.supervisor, chosen.ingress) == (("supervisor", 80), "172.30.32.2")
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    assert f"--uid {APP_USER} " in image
    assert f"USER {APP_USER}\n" in image


def test_the_apparmor_profile_is_the_app_s() -> None:
    text = (FOLDER / "apparmor.txt").read_text()
    assert f"profile {APP['slug']} " in text
    for needed in (
        "capability setuid",
        "capability setgid",
        "/data/** rwkl",
        "/dev/tty*",
    ):
        assert needed in text
    assert text.count("{\n") == text.count("\n}")


def test_the_pictures_are_those_of_the_script(tmp_path: Path) -> None:
    icons.write(tmp_path)
    for name, (width, height, _) in icons.PICTURES.items():
        drawn = (tmp_path / name).read_bytes()
        assert drawn == (FOLDER / name).read_bytes(), f"run scripts/icons for {name}"
        size = drawn[16:24]
        assert size == width.to_bytes(4, "big") + height.to_bytes(4, "big")
