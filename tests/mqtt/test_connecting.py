"""Each way in which connecting fails has one line that says what to do."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge.config import Mqtt, Tls
from bridge.mqtt.one_shot import OneShotClient
from tests.support.bridges import TOPICS, bridge
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.certificates import Pair, authority, stranger
from tests.support.mqtt_client import Account, connected
from tests.support.servers import picky, saying, server
from tests.support.sockets import sockets
from tests.support.waiting import DEADLINE, until

TLS_OPTIONS = """allow_anonymous true
certfile {folder}/server.pem
keyfile {folder}/server.key
cafile {folder}/ca.pem"""
CLIENT_CERTIFICATE = "require_certificate true\nuse_identity_as_username true"


def tls_spec(server: Pair, more: str = "") -> Spec:
    return Spec(
        options=f"{TLS_OPTIONS}\n{more}",
        files={
            "server.pem": server.certificate,
            "server.key": server.key,
            "ca.pem": authority().certificate,
        },
    )


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority().certificate)
    return path


@pytest.fixture
def secure() -> Iterator[Mosquitto]:
    with mosquitto(tls_spec(authority().issue("localhost", "127.0.0.1"))) as running:
        yield running


def config(port: int, **more: object) -> Mqtt:
    return Mqtt.model_validate(
        {"host": "127.0.0.1", "port": port, "connect_timeout": 5.0, **more}
    )


async def complaint(caplog: pytest.LogCaptureFixture, mqtt: Mqtt) -> str:
    """Return the one line in the log after several attempts."""
    async with bridge(mqtt) as printer:
        await until(lambda: bool(caplog.records))
        # More attempts fail alike, and are not worth another line.
        await asyncio.sleep(0.3)
        assert not printer.broker.connected
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert all(record.exc_info is None for record in caplog.records)
    return lines[0]


async def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with mosquitto(start=False) as broker:
        line = await complaint(caplog, config(broker.port))
    assert line.startswith(f"broker 127.0.0.1:{broker.port}: nothing listens there")


async def test_the_name_is_not_known(caplog: pytest.LogCaptureFixture) -> None:
    line = await complaint(caplog, config(1883, host="broker.invalid"))
    assert "the host name broker.invalid is not known; check mqtt.host" in line


async def test_the_password_is_wrong(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("guess\n")
    # An unusable line of the password file: nobody can log in as printer.
    options = "allow_anonymous false\npassword_file {folder}/passwords"
    with mosquitto(Spec(options=options, files={"passwords": b""})) as broker:
        line = await complaint(
            caplog, config(broker.port, username="printer", password_file=secret)
        )
    assert "guess" not in line
    assert '"printer"' in line
    assert "check mqtt.username" in line


async def test_anonymous_clients_are_not_welcome(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with mosquitto(Spec(options="allow_anonymous false")) as broker:
        line = await complaint(caplog, config(broker.port))
    assert "an anonymous client is not authorised; check mqtt.username" in line


async def test_the_password_file_is_missing(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    file = tmp_path / "nothing"
    mqtt = config(1883, username="printer", password_file=file)
    line = await complaint(caplog, mqtt)
    assert line == (
        f"mqtt.password_file cannot be read: {file}: No such file or directory"
    )


async def test_the_authority_is_a_stranger(
    caplog: pytest.LogCaptureFixture, ca_file: Path
) -> None:
    with mosquitto(tls_spec(stranger().issue("127.0.0.1"))) as broker:
        tls = Tls(enabled=True, ca_file=ca_file)
        line = await complaint(caplog, config(broker.port, tls=tls))
    assert "its certificate is not trusted" in line
    assert "mqtt.tls.ca_file" in line


async def test_the_systems_authorities_do_not_know_ours(
    caplog: pytest.LogCaptureFixture, secure: Mosquitto
) -> None:
    line = await complaint(caplog, config(secure.port, tls=Tls(enabled=True)))
    assert "its certificate is not trusted" in line


async def test_the_certificate_has_expired(
    caplog: pytest.LogCaptureFixture, ca_file: Path
) -> None:
    with mosquitto(tls_spec(authority().issue("127.0.0.1", days=-1))) as broker:
        tls = Tls(enabled=True, ca_file=ca_file)
        line = await complaint(caplog, config(broker.port, tls=tls))
    assert "its certificate has expired; renew it" in line


async def test_the_certificate_is_not_valid_yet(
    caplog: pytest.LogCaptureFixture, ca_file: Path
) -> None:
    with mosquitto(tls_spec(authority().issue("127.0.0.1", days=60))) as broker:
        tls = Tls(enabled=True, ca_file=ca_file)
        line = await complaint(caplog, config(broker.port, tls=tls))
    assert "its certificate is not valid yet; set this machine's clock" in line


async def test_the_certificate_is_for_another_name(
    caplog: pytest.LogCaptureFixture, ca_file: Path
) -> None:
    with mosquitto(tls_spec(authority().issue("broker.lan"))) as broker:
        tls = Tls(enabled=True, ca_file=ca_file)
        line = await complaint(caplog, config(broker.port, tls=tls))
        caplog.clear()
        named = tls.model_copy(update={"server_name": "broker.lan"})
        async with bridge(config(broker.port, tls=named)) as printer:
            await printer.online()
    assert "its certificate is not for 127.0.0.1" in line
    assert "mqtt.tls.server_name" in line


async def test_a_client_certificate_is_wanted(
    caplog: pytest.LogCaptureFixture, ca_file: Path, tmp_path: Path
) -> None:
    server = authority().issue("127.0.0.1")
    with mosquitto(tls_spec(server, CLIENT_CERTIFICATE)) as broker:
        bare = Tls(enabled=True, ca_file=ca_file)
        line = await complaint(caplog, config(broker.port, tls=bare))
        ours = authority().issue(common_name="bridge")
        (tmp_path / "us.pem").write_bytes(ours.certificate)
        (tmp_path / "us.key").write_bytes(ours.key)
        files = {"cert_file": tmp_path / "us.pem", "key_file": tmp_path / "us.key"}
        with_one = bare.model_copy(update=files)
        async with bridge(config(broker.port, tls=with_one)) as printer:
            await printer.online()
    assert "it may require a client certificate (mqtt.tls.cert_file)" in line


@pytest.mark.parametrize("field", ["ca_file", "cert_file"])
@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_a_file_for_tls_cannot_be_used(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, field: str, content: bytes | None
) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)
    tls = Tls.model_validate({"enabled": True, field: path})
    line = await complaint(caplog, config(1883, tls=tls))
    assert line.startswith(f"mqtt.tls.{field}")
    assert ("cannot be used" if content is not None else "cannot be read") in line


async def test_tls_meets_a_port_without(
    caplog: pytest.LogCaptureFixture, broker: Mosquitto, ca_file: Path
) -> None:
    tls = Tls(enabled=True, ca_file=ca_file)
    line = await complaint(caplog, config(broker.port, tls=tls))
    assert "use TLS (usually 8883)? If not, turn mqtt.tls.enabled" in line


async def test_a_port_with_tls_meets_us_without(
    caplog: pytest.LogCaptureFixture, secure: Mosquitto
) -> None:
    line = await complaint(caplog, config(secure.port))
    assert "use TLS (mqtt.tls.enabled)" in line


async def test_a_silent_server(caplog: pytest.LogCaptureFixture) -> None:
    async with server(saying()) as port:
        line = await complaint(caplog, config(port, connect_timeout=0.2))
    assert "did not answer within 0.2 s: does the port use TLS" in line


async def test_a_server_that_is_silent_about_tls(
    caplog: pytest.LogCaptureFixture, ca_file: Path
) -> None:
    async with server(saying()) as port:
        # The system's authorities would take a slow machine a part of the timeout.
        tls = Tls(enabled=True, ca_file=ca_file)
        line = await complaint(caplog, config(port, tls=tls, connect_timeout=1))
    assert "does the port use TLS (usually 8883)?" in line


async def test_a_host_that_is_off(caplog: pytest.LogCaptureFixture) -> None:
    """A full queue of connections: nothing answers, as from a host that is off."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)  # noqa: FBT003 - the standard library's
            one.connect_ex(address)
        line = await complaint(caplog, config(address[1], connect_timeout=0.3))
        for one in filling:
            one.close()
    assert "is it switched on, and does a firewall block it?" in line


async def test_a_server_that_talks_something_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def talk_smtp(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    async with server(talk_smtp) as port:
        line = await complaint(caplog, config(port, protocol="5"))
    assert "closed the connection without an answer" in line
    assert "is it an MQTT broker" in line


@pytest.mark.parametrize("answer", [b"", b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"])
async def test_a_broker_that_only_takes_3_1_1(broker: Mosquitto, answer: bytes) -> None:
    """It closes the connection, or refuses the version in one of the two ways."""
    old_only = picky(
        broker.host,
        broker.port,
        unwanted=lambda connect: b"MQTT\x04" not in connect,
        answer=answer,
    )
    async with server(old_only) as port, bridge(config(port)) as printer:
        await printer.online()
        assert printer.broker.statistics.protocol == "3.1.1"


async def test_a_failure_that_changes_is_said_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with mosquitto(Spec(options="allow_anonymous false"), start=False) as broker:
        async with bridge(config(broker.port)):
            await until(lambda: "nothing listens" in caplog.text)
            broker.start()
            await until(lambda: "not authorised" in caplog.text)


async def test_a_name_lookup_that_hangs_keeps_nobody_from_leaving() -> None:
    """A listener that never accepts: TCP connects, TLS never comes to an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        tls = Tls(enabled=True)
        async with bridge(config(port, tls=tls, connect_timeout=0.5)) as printer:
            await asyncio.sleep(0)
            async with asyncio.timeout(DEADLINE):
                await printer.end()
            printer.failed = True


async def test_a_takeover_check_that_hangs_keeps_no_connection_open(
    broker: Mosquitto,
) -> None:
    waits = asyncio.Event()
    way = picky(
        broker.host,
        broker.port,
        unwanted=lambda connect: b"-witness" in connect,
        waits=waits,
    )
    other = Account(client_id="gcode2mqtt-printer")
    with connected(broker.port, TOPICS.availability) as watcher:
        async with (
            server(way) as port,
            bridge(config(port, will_delay=0)) as printer,
        ):
            await printer.online()
            with connected(broker.port, account=other):
                await until(lambda: not printer.broker.connected)
            async with asyncio.timeout(DEADLINE):
                await waits.wait()
                before = len(watcher.payloads(TOPICS.availability))
                await printer.end()
            printer.failed = True
            # The last will of the connection that had just been made.
            await until(lambda: len(watcher.payloads(TOPICS.availability)) > before)


async def test_the_password_is_not_shown(broker: Mosquitto) -> None:
    mqtt = config(broker.port, username="printer", password=SecretStr("secret"))
    async with bridge(mqtt) as printer:
        await printer.online()
    assert "secret" not in repr(mqtt)
    assert "secret" not in broker.log()


@pytest.mark.parametrize("cycles", range(8))
async def test_a_cancelled_attempt_leaves_no_socket_open(cycles: int) -> None:
    """Also when it is cancelled in the moment in which the broker accepts it."""

    async def accept(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(4096)
        writer.write(b"\x20\x03\x00\x00\x00")
        await writer.drain()
        for _ in range(cycles):
            await asyncio.sleep(0)
        connecting.cancel()
        await reader.read()

    async with server(accept) as port:
        before = sockets()
        client = OneShotClient(config(port))
        connecting = asyncio.create_task(client.connect())
        await asyncio.wait([connecting])
        if not connecting.cancelled():
            client.close()
        await until(lambda: sockets() == before, within=10)
