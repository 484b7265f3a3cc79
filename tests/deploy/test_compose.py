"""The composition fits what it mounts, and its configurations can be used."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from bridge.config import Mqtt
from tests.support.bridges import bridge
from tests.support.brokers import Mosquitto, Spec, mosquitto, password_line
from tests.support.configs import load_text
from tests.support.halves import ROOT
from tests.support.mqtt_client import Account, connected
from tests.support.waiting import until

FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BROKER: str = COMPOSE["configs"]["broker"]["content"]
SHIPPED = ROOT / "deploy" / "mosquitto"
LIMIT = re.compile(r"^((?:max|message)_\w+) (\d+)$", re.MULTILINE)


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


@pytest.fixture(scope="module")
def composed() -> Iterator[Mosquitto]:
    """The broker's configuration, with passwords for this test."""
    text = BROKER
    for ours, theirs in {
        "listener 1884": "listener {third_port}",
        "listener 1883": "listener {port}",
        "/mosquitto/config": "{folder}",
        "/mosquitto/data": "{folder}",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    files = {
        "acl": (SHIPPED / "acl").read_bytes(),
        "passwords": password_line("homeassistant", "homeassistant!").encode(),
        "bridge-password": password_line("bridge", "bridge!").encode(),
    }
    with mosquitto(Spec(whole=text, files=files)) as broker:
        yield broker


def client_of(broker: Mosquitto, port: int, account: str) -> Mqtt:
    return Mqtt.model_validate(
        {
            "host": broker.host,
            "port": port,
            "username": account,
            "password": SecretStr(f"{account}!"),
        }
    )


def test_the_broker_has_the_limits_of_the_other_configuration() -> None:
    shipped = (SHIPPED / "mosquitto.conf").read_text()
    assert len(LIMIT.findall(BROKER)) == 8
    assert set(LIMIT.findall(BROKER)) == set(LIMIT.findall(shipped))
    system = (SHIPPED / "memory.conf").read_text()
    assert SERVICES["broker"]["mem_limit"] == "256m"
    assert "MemoryMax=256M" in system
    assert SERVICES["broker"]["restart"] == "unless-stopped"
    assert "Restart=always" in system


@pytest.mark.parametrize("text", [BROKER, (SHIPPED / "mosquitto.conf").read_text()])
def test_no_broker_counts_its_memory_itself(text: str) -> None:
    """Mosquitto 2.0.11 miscounts it, and refuses every client in the end."""
    assert not re.search(r"^\s*memory_limit", text, re.MULTILINE)


def test_the_bridge_has_a_listener_that_is_offered_to_nobody_else() -> None:
    port = SERVICES["bridge"]["environment"]["BRIDGE_MQTT__PORT"]
    assert f"listener {port}\n" in BROKER
    assert not [one for one in SERVICES["broker"]["ports"] if one.endswith(f":{port}")]


async def test_the_broker_serves_the_bridge_and_its_clients(
    composed: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else can use its client id."""
    async with bridge(client_of(composed, composed.third_port, "bridge")) as printer:
        await printer.online()
        name = "homeassistant"
        own = Account(
            client_id="gcode2mqtt-printer", username=name, password=f"{name}!"
        )
        for _ in range(3):
            with connected(composed.port, account=own) as home:
                await home.publish("printer/head", b"{}")
        await until(lambda: len(printer.heard) == 3)
        assert printer.broker.statistics.connects == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("account", "internal"), [("bridge", False), ("homeassistant", True)]
)
async def test_an_account_has_one_listener(
    composed: Mosquitto,
    caplog: pytest.LogCaptureFixture,
    account: str,
    internal: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    port = composed.third_port if internal else composed.port
    async with bridge(client_of(composed, port, account)) as printer:
        await until(lambda: "not authorised" in caplog.text)
        assert not printer.broker.connected
