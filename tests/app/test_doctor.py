"""The doctor finds each deficit, names the remedy and disturbs nobody."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from bridge.app.doctor import examine
from bridge.config import Config
from bridge.findings import Finding
from bridge.mqtt import duplicate_bridge, own_topics
from bridge.mqtt.broker_checks import exposed
from tests.support.apps import running
from tests.support.brokers import Mosquitto, Spec, mosquitto, password_line
from tests.support.certificates import authority, stranger
from tests.support.closing import closing
from tests.support.daemons import run_script
from tests.support.mqtt_client import Account, TestClient, connected
from tests.support.servers import picky, server
from tests.support.waiting import until

SIMULATOR = "simulator://marlin"


@pytest.fixture(autouse=True)
def _nobody_answers_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge is asked in each test, and there is none in most."""
    monkeypatch.setattr(duplicate_bridge, "RESPONSE_TIMEOUT", 0.2)


def configured(
    broker: Mosquitto, port: str = SIMULATOR, port_at: int = 0, **mqtt: object
) -> Config:
    where = {"host": broker.host, "port": port_at or broker.port, **mqtt}
    return Config.model_validate(
        {"mqtt": where, "printers": [{"serial": {"port": port}}]}
    )


async def diagnosed(config: Config, *, printers: bool = True) -> list[Finding]:
    return [finding async for finding in examine(config, printers=printers)]


def only(findings: Sequence[Finding], check: str) -> Finding:
    """Return the one finding of a check."""
    (found,) = [finding for finding in findings if finding.check == check]
    return found


def wrong(findings: Sequence[Finding]) -> list[str]:
    return [finding.check for finding in findings if finding.verdict == "wrong"]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_where_all_is_well(protocol: str) -> None:
    with mosquitto() as broker:
        findings = await diagnosed(configured(broker, protocol=protocol))
    assert wrong(findings) == []
    assert only(findings, "broker").text.endswith(f"with MQTT {protocol}")
    assert "family marlin" in only(findings, "firmware").text
    assert only(findings, "firmware").printer == "printer"
    needed = only(findings, "home assistant")
    assert needed.verdict == "note"
    topics = needed.text.partition("printer/ ")[2].partition(";")[0].split(", ")
    assert sorted(topics) == [
        *("bed", "chamber", "display", "emergency", "fan", "head", "job", "light"),
        *("link", "queue", "script", "tool"),
    ]


async def test_a_broker_that_closes_on_version_5_without_a_word() -> None:
    with mosquitto() as broker:
        old_only = picky(
            broker.host, broker.port, unwanted=lambda first: b"MQTT\x04" not in first
        )
        async with server(old_only) as port:
            config = configured(broker, SIMULATOR)
            mqtt = config.mqtt.model_copy(update={"port": port})
            config = config.model_copy(update={"mqtt": mqtt})
            findings = await diagnosed(config, printers=False)
    assert wrong(findings) == []
    assert only(findings, "broker").text.endswith("with MQTT 3.1.1")


async def test_it_leaves_nothing_and_changes_nothing() -> None:
    with mosquitto() as broker, connected(broker.port) as others:
        for topic in ("state", "temperature/bed"):
            await others.publish(f"printer/{topic}", b"as it was", retain=True)
        assert wrong(await diagnosed(configured(broker))) == []
        await others.publish("the/end", b"x", retain=True)
        with connected(broker.port, "#") as late:
            await late.hears("the/end")
            assert {heard.topic: heard.payload for heard in late.heard} == {
                "printer/state": b"as it was",
                "printer/temperature/bed": b"as it was",
                "the/end": b"x",
            }


async def test_a_broker_that_is_away_does_not_keep_it_from_the_printer() -> None:
    with mosquitto(start=False) as broker:
        findings = await diagnosed(configured(broker))
    assert wrong(findings) == ["broker"]
    assert "is the broker running" in only(findings, "broker").text
    assert only(findings, "firmware").verdict == "ok"


async def test_a_printer_that_is_away(tmp_path: Path) -> None:
    with mosquitto() as broker:
        findings = await diagnosed(configured(broker, str(tmp_path / "ttyUSB9")))
    assert wrong(findings) == ["port"]
    assert "is the printer plugged in" in only(findings, "port").text


async def test_a_port_with_nothing_behind_it_is_not_opened_unasked() -> None:
    with mosquitto() as broker:
        findings = await diagnosed(configured(broker), printers=False)
    assert not any(finding.check in {"port", "firmware"} for finding in findings)


async def test_a_wrong_password() -> None:
    files = {"passwords": password_line("bridge", "right").encode()}
    options = "allow_anonymous false\npassword_file {folder}/passwords"
    with mosquitto(Spec(options=options, files=files)) as broker:
        findings = await diagnosed(
            configured(broker, username="bridge", password=SecretStr("wrong"))
        )
    assert wrong(findings) == ["account"]
    assert only(findings, "broker").verdict == "ok"
    assert "mqtt.password" in only(findings, "account").text


@pytest.mark.parametrize(
    ("trusted", "problem"),
    [(True, None), (False, "add the certificate authority to mqtt.tls.ca_file")],
)
async def test_encryption(
    tmp_path: Path, *, trusted: bool, problem: str | None
) -> None:
    pair = authority().issue("localhost", "127.0.0.1")
    options = "allow_anonymous true\ncertfile {folder}/pem\nkeyfile {folder}/key"
    signer = authority() if trusted else stranger()
    (tmp_path / "ca.pem").write_bytes(signer.certificate)
    files = {"pem": pair.certificate, "key": pair.key}
    with mosquitto(Spec(options=options, files=files)) as broker:
        tls = {"enabled": True, "ca_file": tmp_path / "ca.pem"}
        findings = await diagnosed(configured(broker, tls=tls))
    if problem is None:
        assert "is trusted" in only(findings, "TLS").text
    else:
        assert problem in only(findings, "broker").text


FORMER = Account(username="former", password="x")  # noqa: S106  # no secret
"""An account with all rights, such as that of a bridge that is stopped."""

READABLE = "topic read #\n"
WRITABLE = "topic write homeassistant/#\n"


@pytest.mark.parametrize("forbidden", ["state", "info", "temperature", "health"])
async def test_a_topic_that_must_not_be_written(forbidden: str) -> None:
    every = ("availability", "connection", "state", "temperature", "sd/files")
    more = ("job/state", "job/result", "error", "info", "health", "event", "response")
    lines = [f"topic write printer/{x}\n" for x in (*every, *more) if x != forbidden]
    acl = "".join([READABLE, WRITABLE, *lines]).encode()
    acl += b"user former\ntopic write #\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with (
        mosquitto(Spec(options=options, files={"acl": acl})) as broker,
        connected(broker.port, account=FORMER) as former,
    ):
        await former.publish(f"printer/{forbidden}", b"{}", retain=True)
        findings = await diagnosed(configured(broker), printers=False)
    (finding,) = [finding for finding in findings if finding.verdict == "wrong"]
    assert finding.check == "publish"
    assert f"publish on printer/{forbidden} (not authorised)" in finding.text
    assert "give it the right to write" in finding.text


ACLS = {
    "may write, but not read": "topic write printer/#\ntopic write homeassistant/#\n",
    "may write some": "topic read #\ntopic write printer/availability\n"
    "topic write homeassistant/#\n",
    "may do everything": "topic readwrite #\n",
    "may do nothing": "topic read nothing\n",
}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("acl", ACLS.values(), ids=ACLS)
async def test_whatever_it_may_do_it_replaces_nothing(acl: str, protocol: str) -> None:
    """Also what the account cannot see, of a bridge that is stopped."""
    kept = {
        f"printer/{name}": b'{"as": "it was"}' for name in ("state", "info", "error")
    }
    kept["printer/availability"] = b"offline"
    acl += "user former\ntopic readwrite #\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with (
        mosquitto(Spec(options=options, files={"acl": acl.encode()})) as broker,
        connected(broker.port, "printer/#", account=FORMER) as former,
    ):
        for topic, payload in kept.items():
            await former.publish(topic, payload, retain=True)
            await former.hears(topic, payload)
        former.heard.clear()
        await diagnosed(configured(broker, protocol=protocol), printers=False)
        await former.publish("printer/end", b"x")
        await former.hears("printer/end")
        assert [message for message in former.heard if not message.payload] == []
        with connected(broker.port, "printer/#", account=FORMER) as late:
            for topic, payload in kept.items():
                await late.hears(topic, payload)
            await late.publish("printer/end", b"x")
            await late.hears("printer/end")
            seen = {heard.topic for heard in late.heard} - {"printer/end"}
            assert seen == set(kept)


async def test_what_cannot_be_known_is_said() -> None:
    acl = b"topic read #\ntopic write homeassistant/#\n"
    options = "allow_anonymous true\nacl_file {folder}/acl"
    with mosquitto(Spec(options=options, files={"acl": acl})) as broker:
        findings = await diagnosed(configured(broker), printers=False)
    notes = [finding.text for finding in findings if finding.check == "publish"]
    assert any("printer/doctor is not allowed, so " in text for text in notes)


async def test_topics_that_must_not_be_heard() -> None:
    pattern = b"topic write #\n"
    options = (
        "allow_anonymous true\nacl_file {folder}/acl\n"
        "plugin {plugins}/mosquitto_dynamic_security.so\n"
        "plugin_opt_config_file {folder}/roles.json"
    )
    roles = {
        "defaultACLAccess": {
            "publishClientSend": True,
            "publishClientReceive": True,
            "subscribe": True,
            "unsubscribe": True,
        },
        "anonymousGroup": "all",
        "groups": [{"groupname": "all", "roles": [{"rolename": "deaf"}]}],
        "roles": [
            {
                "rolename": "deaf",
                "acls": [
                    {
                        "acltype": "subscribeLiteral",
                        "topic": topic,
                        "priority": 1,
                        "allow": False,
                    }
                    for topic in ("printer/head", "homeassistant/status")
                ],
            }
        ],
    }
    files = {"acl": pattern, "roles.json": json.dumps(roles).encode()}
    with mosquitto(
        Spec(options=options.replace("acl_file {folder}/acl\n", ""), files=files)
    ) as broker:
        findings = await diagnosed(configured(broker), printers=False)
    assert wrong(findings) == ["birth", "subscribe"]
    assert "subscribe to homeassistant/status" in only(findings, "birth").text
    texts = [finding.text for finding in findings if finding.check == "subscribe"]
    assert any("subscribe to printer/head" in text for text in texts)


async def test_a_message_left_on_a_command_topic() -> None:
    with mosquitto() as broker, connected(broker.port) as careless:
        await careless.publish("printer/head", b"{}", retain=True)
        findings = await diagnosed(configured(broker), printers=False)
    assert wrong(findings) == ["retained"]
    assert "mosquitto_pub -r -n -t printer/head" in only(findings, "retained").text


async def test_while_the_bridge_runs_it_is_left_alone(tmp_path: Path) -> None:
    with mosquitto() as broker:
        config = configured(broker, state_folder=tmp_path)
        async with running(config) as app:
            await app.online()
            with connected(broker.port, "printer/event", "printer/state") as watcher:
                findings = await diagnosed(config)
                watcher.heard.clear()
            assert app.stations[0].broker.statistics.reconnects == 0
    assert wrong(findings) == []
    note = only(findings, "bridge")
    assert note.verdict == "note"
    assert "is serving printer/…" in note.text
    assert only(findings, "port").text == "not opened: the running bridge uses it"
    assert not any(finding.check == "publish" for finding in findings)


async def test_a_running_bridge_without_its_printer_is_a_finding(
    tmp_path: Path,
) -> None:
    with mosquitto() as broker:
        config = configured(broker, str(tmp_path / "none"), state_folder=tmp_path)
        async with running(config) as app:
            (station,) = app.stations
            await until(lambda: station.broker.connected and not station.broker.waiting)
            findings = await diagnosed(config)
            assert wrong(findings) == ["connection"]
            found = only(findings, "connection")
            assert found.printer == "printer"
            assert found.text.startswith("printer/connection is offline")


async def test_what_a_running_bridge_reports_of_itself_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else the bridge replaces what the test reports in its name.
    monkeypatch.setattr(own_topics, "REPEAT_DELAY", 60.0)
    with mosquitto() as broker:
        config = configured(broker, state_folder=tmp_path)
        async with running(config) as app:
            await app.online()
            with connected(broker.port, "printer/health") as other:
                settled = b'"emergency_connection":true'
                await until(
                    lambda: settled in b"".join(other.payloads("printer/health"))
                )
                told = b'{"problem": "the printer task of printer has ended"}'
                await other.publish("printer/health", told, retain=True)
                await other.publish("printer/error", b"no json", retain=True)
                await other.publish("printer/connection", b"offline", retain=True)
            findings = await diagnosed(config)
    assert wrong(findings) == ["health", "connection"]
    assert only(findings, "health").text == (
        "the bridge reports: the printer task of printer has ended"
    )


@pytest.mark.parametrize(
    ("mqtt", "raw", "warned"),
    [
        ({"host": "broker.lan"}, True, True),
        ({"host": "192.0.2.1"}, True, True),
        ({"host": "broker.lan"}, False, False),
        ({"host": "broker.lan", "username": "bridge"}, True, False),
        ({"host": "broker.lan", "tls": {"cert_file": "my.pem"}}, True, False),
        ({"host": "localhost"}, True, False),
        ({"host": "127.0.0.1"}, True, False),
        ({"host": "::1"}, True, False),
        ({"host": "/run/mqtt", "transport": "unix"}, True, False),
    ],
)
def test_an_open_broker_is_worth_a_warning(
    mqtt: dict[str, Any], *, raw: bool, warned: bool
) -> None:
    config = Config.model_validate({"mqtt": mqtt, "printers": [{}]})
    assert (exposed(config.mqtt, raw=raw) is not None) == warned


def written(folder: Path, broker: Mosquitto, port: str) -> Path:
    file = folder / "config.yaml"
    document = {
        "mqtt": {"host": broker.host, "port": broker.port},
        "printers": [{"serial": {"port": port}}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


PROTOCOLS = ("5", "3.1.1")
KEPT = {
    "printer/availability": b"offline",
    "printer/state": b'{"n": 1}',
    "printer/info": b'{"instance": "former"}',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("way", ["closes", "refuses", "says why"])
async def test_a_broker_that_closes_over_a_topic(protocol: str, way: str) -> None:
    """As aedes and RabbitMQ: the topic is found, and everything else is checked."""
    forbidden = ("subscribe printer/head", "subscribe printer/job", "publish printer/x")
    with mosquitto() as broker, connected(broker.port, "printer/#") as former:
        for topic, payload in KEPT.items():
            await former.publish(topic, payload, retain=True)
            await former.hears(topic, payload)
        async with closing(broker, *forbidden) as relay:
            relay.says, relay.refuses = way == "says why", way == "refuses"
            config = configured(broker, port_at=relay.port, protocol=protocol)
            findings = await diagnosed(config, printers=False)
        with connected(broker.port, "printer/#") as late:
            for topic, payload in KEPT.items():
                await late.hears(topic, payload)
        assert b"" not in [message.payload for message in former.heard]
    assert wrong(findings) == ["subscribe", "subscribe"]
    texts = [finding.text for finding in findings if finding.verdict == "wrong"]
    for topic, text in zip(("printer/head", "printer/job"), texts, strict=True):
        assert topic in text
        assert "the right to read that topic" in text
    assert only(findings, "retained").verdict == "ok"
    assert only(findings, "account").verdict != "wrong"


async def test_a_broker_that_closes_over_a_publication() -> None:
    """It is found where something is retained, and replaces nothing where not."""
    with mosquitto() as broker, connected(broker.port) as former:
        for topic, payload in KEPT.items():
            await former.publish(topic, payload, retain=True)
        async with closing(broker, "publish printer/state") as relay:
            config = configured(broker, port_at=relay.port)
            findings = await diagnosed(config, printers=False)
            # Twice, because a connection breaks for other reasons too.
            assert relay.seen["publish printer/state"] == 3
    (finding,) = [finding for finding in findings if finding.verdict == "wrong"]
    assert "closes the connection when an anonymous client publishes on" in finding.text
    assert "printer/state, so that is left out" in finding.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_broker_that_closes_over_everything(protocol: str) -> None:
    """An account without rights costs a few connections, not a hundred."""
    with mosquitto() as broker:
        everything = ("subscribe *", "publish *")
        async with closing(broker, *everything) as relay:
            config = configured(broker, port_at=relay.port, protocol=protocol)
            findings = await diagnosed(config, printers=False)
            assert len(relay.ids) < 40
    assert {"birth", "subscribe"} <= set(wrong(findings))
    assert only(findings, "account").verdict != "wrong"


async def test_a_connection_that_breaks_once_is_blamed_on_no_topic() -> None:
    with mosquitto() as broker:
        async with closing(broker) as relay:
            relay.cut = "subscribe homeassistant/status"
            config = configured(broker, port_at=relay.port)
            task = asyncio.create_task(diagnosed(config, printers=False))
            await until(lambda: bool(relay.cuts))
            relay.cut = ""
            findings = await task
    assert wrong(findings) == []


async def test_a_broker_that_goes_away_meanwhile() -> None:
    with mosquitto() as broker:
        async with closing(broker, "subscribe printer/head") as relay:
            config = configured(broker, port_at=relay.port)
            task = asyncio.create_task(diagnosed(config, printers=False))
            await until(lambda: bool(relay.seen["subscribe printer/head"]))
            broker.stop()
            findings = await task
    assert wrong(findings)[-1] == "broker"


@pytest.mark.parametrize("running", [True, False])
async def test_what_a_bridge_found_out_about_its_rights(running: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Nothing is retained on a topic that it may not write: only it can know."""
    health = json.dumps({"missing_rights": ["publish on printer/state"]}).encode()
    with mosquitto() as broker, connected(broker.port) as bridge:
        await bridge.publish("printer/health", health, retain=True)
        async with answering(broker if running else None):
            findings = await diagnosed(configured(broker), printers=False)
    finding = only(findings, "rights")
    assert finding.verdict == ("wrong" if running else "note")
    assert "an anonymous client publish on printer/state; grant these" in finding.text


async def test_a_bridge_at_another_node_of_a_cluster_is_noticed() -> None:
    """Here ``availability`` says offline, and what is retained is old."""
    with mosquitto() as broker, connected(broker.port, "printer/state") as others:
        for topic, payload in KEPT.items():
            await others.publish(topic, payload, retain=True)
        await others.hears("printer/state")
        others.heard.clear()
        async with answering(broker):
            findings = await diagnosed(configured(broker), printers=False)
        assert "is serving printer/…" in only(findings, "bridge").text
        assert not others.heard


@asynccontextmanager
async def answering(broker: Mosquitto | None) -> AsyncIterator[None]:
    """Answer as a bridge does whose retained topics are not seen."""
    if broker is None:
        yield
        return

    async def answer(client: TestClient) -> None:
        question = await client.hears("printer/request/info")
        await client.publish("printer/response", question.payload)

    with connected(broker.port, "printer/request/info") as client:
        task = asyncio.create_task(answer(client))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def test_on_the_command_line(tmp_path: Path) -> None:
    with mosquitto() as broker:
        done = run_script("doctor", "--config", written(tmp_path, broker, SIMULATOR))
        assert done.returncode == 0, done.stdout
        assert all(line.startswith(("ok", "note")) for line in done.stdout.splitlines())
        bad = written(tmp_path, broker, "/dev/no\x07thing")
        done = run_script("doctor", "--config", bad)
        assert done.returncode == 1
        assert "WRONG printer port: there is no serial port /dev/no" in done.stdout
        assert "\x07" not in done.stdout
        done = run_script("doctor", "--config", bad, "--json", "--no-printer")
        assert done.returncode == 0
        findings = [json.loads(line) for line in done.stdout.splitlines()]
        assert {finding["verdict"] for finding in findings} <= {"ok", "note"}
        assert findings[0]["check"] == "broker"
