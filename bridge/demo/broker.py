"""A broker for the demo, which listens on a free local port.

It is mosquitto if that is installed, or else iotcore from the ``demo`` extra. Both run
as child processes that end with this process, even if it is killed, because their
standard input is closed then.
"""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from bridge.errors import BrokerError

LOOPBACK = "127.0.0.1"
START_TIMEOUT = 10.0
"""Timeout in seconds for the start of a broker."""

# Debian installs the broker in a folder that is only on root's PATH.
_MORE_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")

_MOSQUITTO = """\
listener {port} {host}
allow_anonymous true
persistence false
set_tcp_nodelay true
"""

# The shell waits for the end of its input, which is closed even if we are killed.
_GUARD = '"$0" "$@" & read -r _; kill $!; wait $!'

_IOTCORE = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 1000
max_segment_size = 104857600
max_segment_count = 10
"""
_IOTCORE_LISTENER = """\
[{version}.1]
name = "{version}"
listen = "{host}:{port}"
next_connection_delay_ms = 1
    [{version}.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 1048576
    max_inflight_count = 100
    dynamic_filters = true
"""


class Embedded(Protocol):
    """The methods of iotcore's broker, which block."""

    def start(self, timeout: float = ...) -> object:
        """Start the child process and wait until it listens."""

    def stop(self) -> None:
        """End the child process."""


class Address:
    """The ports of a running broker.

    Attributes:
        name: the broker's own name.
        port: for MQTT 5, and for 3.1.1 too unless that has a port of its own.
        old_port: for MQTT 3.1.1.

    """

    def __init__(self, name: str, port: int, old_port: int | None = None) -> None:
        self.name = name
        self.port = port
        self.old_port = old_port or port


def find_mosquitto() -> str | None:
    """Return the path of the broker mosquitto, if it is installed."""
    folders = [os.environ.get("PATH", os.defpath), *_MORE_FOLDERS]
    return shutil.which("mosquitto", path=os.pathsep.join(folders))


@asynccontextmanager
async def embedded_broker(*, prefer_mosquitto: bool = True) -> AsyncIterator[Address]:
    """Run a broker during the context.

    Raises:
        BrokerError: No broker is installed, or it does not start.

    """
    mosquitto = find_mosquitto() if prefer_mosquitto else None
    with tempfile.TemporaryDirectory(prefix="gcode2mqtt-") as folder:
        if mosquitto is not None:
            running = _mosquitto(mosquitto, Path(folder))
        elif importlib.util.find_spec("iotcore") is not None:
            running = _iotcore(Path(folder))
        else:
            raise BrokerError(
                "no MQTT broker for the demo was found: install mosquitto, install the "
                "extra with pip install 'gcode2mqtt[demo]', or use your own broker "
                "with --broker HOST:PORT"
            )
        async with running as address:
            yield address


@asynccontextmanager
async def _mosquitto(program: str, folder: Path) -> AsyncIterator[Address]:
    (port,) = _free_ports(1)
    config = folder / "mosquitto.conf"
    text = _MOSQUITTO.format(port=port, host=LOOPBACK)
    # Without this, a broker started by root changes to a user that may not exist.
    config.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", _GUARD, program, "-c", str(config)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not end the broker before the bridge
    )
    try:
        await _listens(port, "mosquitto")
        yield Address("mosquitto", port)
    finally:
        await process.communicate(b"")  # closes its input


@asynccontextmanager
async def _iotcore(folder: Path) -> AsyncIterator[Address]:
    from iotcore import Broker  # noqa: PLC0415 - an optional dependency

    port, old_port = _free_ports(2)
    config = folder / "iotcore.toml"
    listeners = [
        _IOTCORE_LISTENER.format(version="v5", host=LOOPBACK, port=port),
        _IOTCORE_LISTENER.format(version="v4", host=LOOPBACK, port=old_port),
    ]
    config.write_text(_IOTCORE + "".join(listeners))
    broker: Embedded = Broker(config_path=str(config))
    try:
        await asyncio.to_thread(_without_interrupts, broker.start)
    except (OSError, RuntimeError) as error:
        raise BrokerError(f"iotcore does not start: {error}") from error
    try:
        yield Address("iotcore", port, old_port)
    finally:
        await asyncio.to_thread(broker.stop)


def _without_interrupts(start: Callable[[], object]) -> None:
    """Start a child that ignores Ctrl-C: it inherits this thread's signal mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


async def _listens(port: int, name: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_TIMEOUT
    while not await _connects(port):
        if loop.time() > deadline:
            raise BrokerError(f"{name} does not start within {START_TIMEOUT:g} s")
        await asyncio.sleep(0.02)


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
