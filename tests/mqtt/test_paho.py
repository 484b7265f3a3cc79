"""What we rely on in paho beyond its public interface: docs/adr/0022-paho-bounds.md."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.config import Mqtt
from bridge.mqtt.connect import ConnectAttempt, close_socket
from bridge.mqtt.error_text import AttemptError, ConnectStage
from bridge.mqtt.fallbacks import BrokerAddresses
from bridge.mqtt.messages import Version
from tests.support.servers import saying, server
from tests.support.sockets import sockets
from tests.support.waiting import until


def attempt(**config: object) -> ConnectAttempt:
    mqtt = Mqtt.model_validate({"connect_timeout": 5.0, **config})
    addresses = BrokerAddresses(mqtt)
    return ConnectAttempt(addresses, client_id="test", version=Version.V5, will=None)


@asynccontextmanager
async def no_websocket() -> AsyncIterator[int]:
    async with server(saying(b"HTTP/1.1 404 Not Found\r\n\r\n")) as port:
        yield port


@pytest.mark.parametrize(
    "options",
    [
        {"transport": "websockets"},
        {"transport": "websockets", "tls": {"enabled": True}},
        {"tls": {"enabled": True}},
    ],
    ids=["WebSocket", "WebSocket with TLS", "TLS"],
)
async def test_a_failed_handshake_leaves_no_socket_open(
    options: dict[str, object],
) -> None:
    async with no_websocket() as port:
        before = sockets()
        failed: AttemptError | None = None
        try:
            await asyncio.to_thread(
                attempt(host="127.0.0.1", port=port, **options).open
            )
        except AttemptError as error:
            failed = error  # with its traceback, which would keep the socket alive
        assert failed is not None
        await until(lambda: sockets() == before)


def test_a_unix_socket_nobody_listens_on_leaves_no_socket_open(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.touch()
    before = sockets()
    with pytest.raises(AttemptError) as caught:
        attempt(host=str(path), transport="unix").open()
    assert caught.value.message
    assert sockets() == before


async def test_paho_connects_by_way_of_the_methods_that_we_override(
    tmp_path: Path,
) -> None:
    """Otherwise a later version would leave sockets open without anybody noticing."""
    path = tmp_path / "socket"
    taken: list[asyncio.StreamWriter] = []
    unix = await asyncio.start_unix_server(lambda _, end: taken.append(end), path)
    async with unix, server(saying()) as port:
        for options in (
            {"host": "127.0.0.1", "port": port},
            {"host": str(path), "transport": "unix"},
        ):
            connecting = attempt(**options)
            stages = [connecting.stage]
            client = await asyncio.to_thread(connecting.open)
            stages.append(connecting.stage)
            close_socket(client)
            assert stages == [ConnectStage.NOTHING, ConnectStage.TCP]
        # A connection that is still being accepted would outlive its server.
        await until(lambda: bool(taken))
        taken[0].close()
        await taken[0].wait_closed()
