"""WebSocket, Unix socket and TLS carry the same."""

import ssl
from pathlib import Path

import pytest

from bridge.config import Mqtt, Tls
from tests.support.bridges import TOPICS, bridge, presence
from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.certificates import authority
from tests.support.mqtt_client import connected
from tests.support.proxy import proxied
from tests.support.servers import saying, server
from tests.support.waiting import until


async def exchange(mqtt: Mqtt, broker: Mosquitto, size: int = 300_000) -> None:
    """Send a large message each way, and disconnect."""
    large = b"z" * size
    with connected(broker.port, "printer/#") as client:
        async with bridge(mqtt) as printer:
            await printer.online()
            await client.publish("printer/command", large)
            await until(lambda: bool(printer.heard))
            assert printer.heard[0].payload == large
            printer.broker.publish(TOPICS.response, large, qos=1)
            heard = await client.hears(TOPICS.response)
            assert heard.payload == large
        await client.hears(TOPICS.availability, b"offline")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_websocket(protocol: str) -> None:
    with mosquitto(Spec(websockets=True)) as broker:
        mqtt = Mqtt.model_validate(
            {
                "host": broker.host,
                "port": broker.second_port,
                "transport": "websockets",
                "protocol": protocol,
            }
        )
        # Mosquitto takes a tenth of a second for every 4 kB of a WebSocket.
        await exchange(mqtt, broker, size=12_000)


async def test_no_websocket_there(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    mqtt = Mqtt(host=broker.host, port=broker.port, transport="websockets")
    async with bridge(mqtt):
        await until(lambda: bool(caplog.records))
    assert "check mqtt.port and mqtt.path" in caplog.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_unix_socket(broker: Mosquitto, tmp_path: Path, protocol: str) -> None:
    path = tmp_path / "socket"
    mqtt = Mqtt.model_validate(
        {"host": str(path), "transport": "unix", "protocol": protocol}
    )
    async with proxied(broker.host, broker.port, path):
        await exchange(mqtt, broker)


async def test_no_unix_socket_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with bridge(Mqtt(host=str(tmp_path / "nothing"), transport="unix")):
        await until(lambda: bool(caplog.records))
    assert "there is no such socket; is the broker running" in caplog.text


async def test_tls(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority().certificate)
    pair = authority().issue("127.0.0.1")
    spec = Spec(
        options="allow_anonymous true\ncertfile {folder}/pem\nkeyfile {folder}/key",
        files={"pem": pair.certificate, "key": pair.key},
    )
    with mosquitto(spec) as broker:
        mqtt = Mqtt(
            host=broker.host, port=broker.port, tls=Tls(enabled=True, ca_file=ca_file)
        )
        async with bridge(mqtt) as printer:
            await printer.online()
            assert printer.broker.statistics.sent == 3


async def test_many_messages_in_one_tls_record_all_arrive(tmp_path: Path) -> None:
    """The event loop sees only that the socket is empty; TLS has the rest."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority().certificate)
    pair = authority().issue("127.0.0.1")
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    messages = b"\x30\x0f\x00\x0cprinter/head!" * 200
    async with server(saying(b"\x20\x02\x00\x00" + messages), tls=context) as port:
        mqtt = Mqtt(
            host="127.0.0.1",
            port=port,
            protocol="3.1.1",
            tls=Tls(enabled=True, ca_file=ca_file),
        )
        async with bridge(mqtt, presence("")) as printer:
            await until(lambda: len(printer.heard) == 200)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 101 Yes\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept\r\n\r\n",
        b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: \xff\r\n\r\n",
    ],
)
async def test_a_server_that_knows_no_websocket(
    caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    async with server(saying(answer)) as port:
        mqtt = Mqtt(
            host="127.0.0.1", port=port, transport="websockets", connect_timeout=5
        )
        async with bridge(mqtt) as printer:
            await until(lambda: bool(caplog.records))
            assert not printer.task.done()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"broker 127.0.0.1:{port}/mqtt: no WebSocket there")


async def test_a_server_that_is_silent_about_websocket(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with server(saying(b"220 mail.example\r\n")) as port:
        mqtt = Mqtt(
            host="127.0.0.1", port=port, transport="websockets", connect_timeout=0.3
        )
        async with bridge(mqtt):
            await until(lambda: bool(caplog.records))
    assert "is it a WebSocket? Check mqtt.port and mqtt.path" in caplog.text
