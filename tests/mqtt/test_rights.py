"""Who may do what, with the broker's configuration that we ship."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import SecretStr

from bridge.config import Mqtt
from tests.support.announced import components, device
from tests.support.bridges import TOPICS, bridge
from tests.support.brokers import Mosquitto, Spec, hashed, mosquitto, password_line
from tests.support.certificates import authority
from tests.support.mqtt_client import Account, connected
from tests.support.waiting import until

DEPLOY = Path(__file__).parent.parent.parent / "deploy" / "mosquitto"
BLUEPRINTS = DEPLOY.parent / "home-assistant" / "blueprints"
ROLES = ("homeassistant", "dashboard", "panic")
CONTROL = (
    *("head", "tool", "bed", "chamber", "fan", "light", "display", "script"),
    *("sd", "job", "queue", "link"),
)
MAY_WRITE: dict[str, set[str]] = {
    "homeassistant": {*CONTROL, "request/state", "emergency"},
    "dashboard": set(),
    "panic": {"emergency"},
}
V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
LEVELS = (
    *CONTROL,
    "command",
    "files",
    "emergency",
    "request/state",
    "state",
    "response",
)


@pytest.fixture(scope="module")
def shipped() -> Iterator[Mosquitto]:
    """The shipped configuration, with passwords and an authority for this test."""
    text = (DEPLOY / "mosquitto.conf").read_text()
    for ours, theirs in {
        "listener 1884 127.0.0.1": "listener {third_port}",
        "listener 1883 127.0.0.1": "listener {port}",
        "listener 8883": "listener {second_port}",
        "/var/lib/mosquitto": "{folder}",
        "/etc/mosquitto": "{folder}",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    server = authority().issue("localhost", "127.0.0.1")
    files = {
        "acl": (DEPLOY / "acl").read_bytes(),
        "passwords": "".join(
            password_line(role, f"{role}!") for role in ROLES
        ).encode(),
        "bridge-password": password_line("bridge", "bridge!").encode(),
        "ca.pem": authority().certificate,
        "server.pem": server.certificate,
        "server.key": server.key,
    }
    with mosquitto(Spec(whole=text, files=files)) as broker:
        yield broker


def account(role: str, version: MQTTProtocolVersion = V5) -> Account:
    return Account(username=role, password=f"{role}!", version=version)


@pytest.mark.parametrize("base", ["printer", "printers/ender"])
@pytest.mark.parametrize("role", ["homeassistant", "dashboard", "panic"])
async def test_a_role_writes_what_it_may_and_nothing_else(
    shipped: Mosquitto, role: str, base: str
) -> None:
    with (
        connected(
            shipped.third_port, f"{base}/#", account=account("bridge")
        ) as watcher,
        connected(shipped.port, account=account(role)) as client,
        connected(shipped.third_port, account=account("bridge")) as printer,
    ):
        for level in LEVELS:
            await client.publish(f"{base}/{level}", role.encode())
        await printer.publish(f"{base}/event", b"last")
        await watcher.hears(f"{base}/event", b"last")
        assert len(client.refused) == len(LEVELS) - len(MAY_WRITE[role])
        assert set(client.refused) <= {0x87}
    assert {
        heard.topic.removeprefix(f"{base}/")
        for heard in watcher.heard
        if heard.payload == role.encode()
    } == MAY_WRITE[role]


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        ("homeassistant", {"state", "temperature/bed", "response", "availability"}),
        ("dashboard", {"state", "temperature/bed", "response", "availability"}),
        ("panic", {"state", "response", "availability"}),
    ],
)
async def test_a_role_reads_what_it_may_and_nothing_else(
    shipped: Mosquitto, role: str, sees: set[str]
) -> None:
    levels = ("state", "temperature/bed", "response", "availability")
    with (
        connected(shipped.port, "#", account=account(role)) as reader,
        connected(shipped.third_port, account=account("bridge")) as printer,
    ):
        await printer.publish("somebody/else", b"x")
        for level in levels:
            await printer.publish(f"printer/{level}", b"x")
        await printer.publish("printer/state", b"last")
        await reader.hears("printer/state", b"last")
        topics = {heard.topic for heard in reader.heard}
    assert topics == {f"printer/{level}" for level in sees}


async def test_home_assistant_may_use_all_that_it_is_offered(
    shipped: Mosquitto,
) -> None:
    """A broker drops what an account may not send, and nobody would be told."""
    texts = [path.read_text() for path in BLUEPRINTS.glob("*.yaml")]
    sent = {f"printer/{t}" for text in texts for t in re.findall(r"\}\}/(\w+)", text)}
    assert sent == {"printer/tool", "printer/bed"}
    heard = {"printer/response"}
    for fields in components(device(2, chamber=True)).values():
        for name, value in fields.items():
            if name == "topic" or name.endswith("_topic"):
                (sent if "command" in name else heard).add(value)
        heard |= {entry["topic"] for entry in fields.get("availability", ())}
    heard |= {TOPICS.availability, TOPICS.connection}
    assert sent >= {f"printer/{level}" for level in (*CONTROL, "emergency")} - {
        "printer/sd"
    }
    with (
        connected(
            shipped.third_port, "printer/#", account=account("bridge")
        ) as watcher,
        connected(shipped.port, *heard, account=account("homeassistant")) as home,
        connected(shipped.third_port, account=account("bridge")) as printer,
    ):
        for topic in sent:
            await home.publish(topic, b"used")
            await watcher.hears(topic, b"used")
        for topic in heard:
            await printer.publish(topic, b"shown")
            await home.hears(topic, b"shown")
        assert not home.refused


async def test_nobody_comes_in_without_an_account(
    shipped: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridge(Mqtt(host=shipped.host, port=shipped.port)) as printer:
        await until(lambda: bool(caplog.records))
        assert not printer.broker.connected
    assert "not authorised" in caplog.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_the_bridge_has_all_rights_that_it_needs(
    shipped: Mosquitto, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    mqtt = Mqtt.model_validate(
        {
            "host": shipped.host,
            "port": shipped.third_port,
            "protocol": protocol,
            "username": "bridge",
            "password": SecretStr("bridge!"),
        }
    )
    async with bridge(mqtt) as printer:
        await printer.online()
        with connected(shipped.port, account=account("homeassistant")) as home:
            await home.publish("printer/head", b"{}")
        await until(lambda: bool(printer.heard))
        topic = "homeassistant/device/printer/config"
        printer.broker.publish(topic, b"{}", qos=1, retain=True)
        printer.broker.publish(topic, b"", qos=1, retain=True)
        printer.broker.publish("reply/me", b"{}", qos=1)
        await printer.online()
        assert printer.broker.statistics.refused == 0
    assert not caplog.records


async def test_a_certificate_is_an_account(shipped: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(authority().certificate)
    pair = authority().issue(common_name="panic")
    (tmp_path / "panic.pem").write_bytes(pair.certificate)
    (tmp_path / "panic.key").write_bytes(pair.key)
    button = Account(
        authority_file=str(tmp_path / "ca.pem"),
        certificate_file=str(tmp_path / "panic.pem"),
        key_file=str(tmp_path / "panic.key"),
    )
    async with bridge(bridge_account(shipped)) as printer:
        await printer.online()
        with connected(shipped.second_port, account=button) as panic:
            await panic.publish("printer/head", b"{}")
            await panic.publish("printer/emergency")
            assert panic.refused == [0x87]
        await until(lambda: bool(printer.heard))
    assert [message.topic for message in printer.heard] == ["printer/emergency"]


def bridge_account(shipped: Mosquitto, protocol: str = "5") -> Mqtt:
    return Mqtt.model_validate(
        {
            "host": shipped.host,
            "port": shipped.third_port,
            "protocol": protocol,
            "username": "bridge",
            "password": SecretStr("bridge!"),
        }
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_no_other_account_can_use_the_client_id_of_the_bridge(
    shipped: Mosquitto, protocol: str, role: str
) -> None:
    """Their client ids are replaced with their names."""
    async with bridge(bridge_account(shipped, protocol)) as printer:
        await printer.online()
        own = "gcode2mqtt-printer"
        rival = Account(client_id=own, username=role, password=f"{role}!")
        for _ in range(3):
            with connected(shipped.port, account=rival):
                pass
        with connected(shipped.port, account=account("homeassistant")) as home:
            await home.publish("printer/head", b"{}")
            await until(lambda: bool(printer.heard))
        assert printer.broker.statistics.connects == 1


@pytest.mark.parametrize("role", [*ROLES, None])
async def test_no_other_account_is_let_in_where_the_bridge_is(
    shipped: Mosquitto, role: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    mqtt = bridge_account(shipped).model_copy(
        update={
            "username": role,
            "password": SecretStr(f"{role}!") if role else None,
        }
    )
    async with bridge(mqtt) as printer:
        await until(lambda: "not authorised" in caplog.text)
        assert not printer.broker.connected


async def test_a_packet_that_is_too_large_keeps_the_connection(
    shipped: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridge(bridge_account(shipped)) as printer:
        await printer.online()
        printer.broker.publish(TOPICS.response, b"r" * 2_000_000, qos=1, short=b"short")
        with connected(
            shipped.port, TOPICS.response, account=account("homeassistant")
        ) as home:
            printer.broker.publish(TOPICS.response, b"r" * 2_000_000, qos=1, short=b"s")
            await home.hears(TOPICS.response, b"s")
        assert printer.broker.statistics.connects == 1
    assert "was larger than the broker accepts (it announces" in caplog.text


async def test_a_missing_right_to_publish_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    acl = b"topic readwrite printer/#\ntopic deny printer/state\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with mosquitto(Spec(options=options, files={"acl": acl})) as broker:
        async with bridge(Mqtt(host=broker.host, port=broker.port)) as printer:
            await printer.online()
            for number in range(3):
                printer.broker.publish(TOPICS.state, b"%d" % number, qos=1, retain=True)
                await printer.online()
    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        "the broker does not let an anonymous client publish on printer/state (not "
        "authorised): give it the right to write that topic"
    )


@pytest.mark.parametrize("refused", TOPICS.commands)
async def test_a_missing_right_to_subscribe_is_named(
    caplog: pytest.LogCaptureFixture, refused: str
) -> None:
    [line] = await refusals(refused, caplog)
    assert line == (
        f'the broker does not let "bridge" subscribe to {refused} (not authorised): '
        "give it the right to read that topic"
    )


async def test_nobody_needs_the_right_to_what_is_no_command(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await refusals(TOPICS.near_misses[0], caplog) == []


async def refusals(refused: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what is logged where one subscription is refused.

    Mosquitto's plain ACL file never refuses one; its plugin does.
    """
    options = (
        "allow_anonymous false\nplugin {plugins}/mosquitto_dynamic_security.so\n"
        "plugin_opt_config_file {folder}/security.json"
    )
    files = {"security.json": _security(refused)}
    with mosquitto(Spec(options=options, files=files)) as broker:
        mqtt = Mqtt(
            host=broker.host,
            port=broker.port,
            username="bridge",
            password=SecretStr("bridge!"),
        )
        async with bridge(mqtt) as printer:
            await printer.online()
    return [record.getMessage() for record in caplog.records]


def _security(refused: str) -> bytes:
    salt, digest = hashed("bridge!")
    allowed = [
        {"acltype": kind, "topic": topic, "priority": priority, "allow": allow}
        for kind, topic, priority, allow in (
            ("subscribePattern", "#", 0, True),
            ("subscribeLiteral", refused, 1, False),
            ("publishClientSend", "#", 0, True),
            ("publishClientReceive", "#", 0, True),
        )
    ]
    document = {
        "clients": [
            {
                "username": "bridge",
                "password": digest,
                "salt": salt,
                "iterations": 101,
                "roles": [{"rolename": "bridge"}],
            }
        ],
        "roles": [{"rolename": "bridge", "acls": allowed}],
        "groups": [],
    }
    return json.dumps(document).encode()


async def test_an_old_client_has_the_same_rights(shipped: Mosquitto) -> None:
    with (
        connected(
            shipped.third_port, "printer/#", account=account("bridge")
        ) as watcher,
        connected(shipped.port, account=account("dashboard", V311)) as dashboard,
        connected(shipped.third_port, account=account("bridge")) as printer,
    ):
        await dashboard.publish("printer/head", b"{}")
        await printer.publish("printer/state", b"last")
        await watcher.hears("printer/state", b"last")
        assert not watcher.payloads("printer/head")
