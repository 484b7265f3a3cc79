"""The composition fits what it mounts, and its configurations can be used."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.configs import load_text
from tests.support.halves import ROOT

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    mounts = [mount.split(":") for mount in SERVICES[name].get("volumes", ())]
    for source, target, *_ in mounts:
        if source.startswith("./deploy/"):
            assert (ROOT / source).exists(), source
        elif not source.startswith("./"):
            assert source in COMPOSE["volumes"], source
        assert target.startswith("/")
    for config in SERVICES[name].get("configs", ()):
        assert config["source"] in COMPOSE["configs"]


@pytest.mark.parametrize("profile", ["demo", "node-red", "home-assistant"])
def test_a_profile_has_all_that_its_services_need(profile: str) -> None:
    inside = {
        name
        for name, service in SERVICES.items()
        if profile in service.get("profiles", ())
    }
    needed = {
        other for name in inside for other in SERVICES[name].get("depends_on", ())
    }
    assert profile in inside
    assert needed <= inside


def test_nothing_is_offered_to_the_network() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_simulated_printer_s_configuration_can_be_used(tmp_path: Path) -> None:
    config = load_text(tmp_path, COMPOSE["configs"]["simulated"]["content"])
    assert config.mqtt.host in SERVICES
    assert config.base(config.printers[0]) == "printer"


def test_the_bridge_s_variables_are_settings(tmp_path: Path) -> None:
    environ = dict(SERVICES["bridge"]["environment"])
    secret = environ.pop("BRIDGE_MQTT__PASSWORD_FILE")
    assert secret == f"/run/secrets/{SERVICES['bridge']['secrets'][0]}"
    config = load_text(tmp_path, "printers: [{}]", environ)
    assert config.mqtt.host in SERVICES
    devices = [device.split(":")[-1] for device in SERVICES["bridge"]["devices"]]
    assert config.printers[0].serial.port in devices


def test_the_flow_gets_the_broker_of_its_profile() -> None:
    (script,) = SERVICES["node-red"]["command"]
    (rule,) = re.findall(r"sed 's/(.*)/(.*)/'", script)
    flow = (ROOT / "deploy" / "node-red" / "flow.json").read_text()
    assert flow.count(rule[0]) == 1
    assert rule[1] == '"broker": "demo-broker"'
