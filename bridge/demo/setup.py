"""Starts the broker, the simulated printer and the bridge for a demo session."""

import asyncio
import secrets
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.app.retained_cleanup import Purge
from bridge.app.service import Service
from bridge.config import (
    Config,
    FileSettings,
    Mqtt,
    PrinterConfig,
    Serial,
    Telemetry,
    Upload,
)
from bridge.demo.broker import LOOPBACK, Address, embedded_broker
from bridge.mqtt.one_shot import OneShotClient, subscribed_to
from bridge.notify import Notifier
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import Wire, tcp_server
from bridge.state_files import TopicRecord

SPEED = 20.0
"""Speed of the simulated printer's heating and motion relative to a real one."""

_FOREIGN_TOPIC = "gcode2mqtt-demo/printer"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSetup:
    """A running demo.

    Attributes:
        broker: the broker's name.
        mqtt: how to reach it.
        base: the printer's topic.
        client: a client that is subscribed to everything below it.
        upload: the TCP port to which slicers can upload.
        key: their API key.

    """

    broker: str
    mqtt: Mqtt
    base: str
    client: OneShotClient
    upload: int
    key: str


Session = Callable[[DemoSetup], Awaitable[bool]]


async def run_demo(
    session: Session, wire: Wire, broker: tuple[str, int] | None = None
) -> bool:
    """Start everything, run the session, and remove everything; return its result.

    Args:
        session: what to do while everything runs.
        wire: is called with the data on the serial line.
        broker: the user's own broker; without it one is started.

    Raises:
        BridgeError: Something could not be started, or failed later.

    """
    async with (
        _broker(broker) as (name, mqtt),
        tcp_server(Firmware("marlin", speed=SPEED), LOOPBACK, 0, wire=wire) as server,
    ):
        base = "printer" if broker is None else _FOREIGN_TOPIC
        port, key = free_port(), secrets.token_hex(8)
        config = _config(mqtt, base, f"socket://{LOOPBACK}:{server.port}", port, key)
        try:
            async with subscribed_to(mqtt, [f"{base}/#"]) as client:
                setup = DemoSetup(
                    broker=name,
                    mqtt=mqtt,
                    base=base,
                    client=client,
                    upload=port,
                    key=key,
                )
                return await _with_bridge(config, session(setup))
        finally:
            if broker is not None:
                await _clear_away(config)


async def _with_bridge(config: Config, session: Awaitable[bool]) -> bool:
    service = Service(lambda: config, None, Notifier({}))
    bridge = asyncio.ensure_future(service.run(config))
    task = asyncio.ensure_future(session)
    try:
        await asyncio.wait({bridge, task}, return_when=asyncio.FIRST_COMPLETED)
        if bridge.done():
            bridge.result()
        return await task
    finally:
        task.cancel()
        bridge.cancel()
        await asyncio.gather(task, bridge, return_exceptions=True)


@asynccontextmanager
async def _broker(own: tuple[str, int] | None) -> AsyncIterator[tuple[str, Mqtt]]:
    with tempfile.TemporaryDirectory(prefix="gcode2mqtt-") as folder:
        if own is not None:
            yield "your broker", _mqtt(own[0], own[1], folder)
        else:
            async with embedded_broker() as address:
                yield _name(address), _mqtt(LOOPBACK, address.port, folder)


def _mqtt(host: str, port: int, folder: str) -> Mqtt:
    return Mqtt(host=host, port=port, will_delay=0, state_folder=Path(folder))


def _name(address: Address) -> str:
    if address.old_port == address.port:
        return address.name
    return f"{address.name} (for MQTT 3.1.1 at port {address.old_port})"


def free_port() -> int:
    """Return an unused TCP port."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _config(mqtt: Mqtt, base: str, port: str, upload: int, key: str) -> Config:
    folder = mqtt.state_folder
    assert folder is not None  # noqa: S101 - every demo has a folder of its own
    keys = folder / "keys"
    keys.write_text(f"{key}\n")
    printer = PrinterConfig(
        id="demo",
        name="Demo printer",
        topic=base,
        serial=Serial(port=port, baudrate=115_200),
    )
    return Config(
        mqtt=mqtt,
        telemetry=Telemetry(interval=1.0),
        files=FileSettings(keep_free=0),
        upload=Upload(enabled=True, listen=f"{LOOPBACK}:{upload}", keys_file=keys),
        printers=(printer,),
    )


async def _clear_away(config: Config) -> None:
    """Delete the retained messages from the user's own broker."""
    folder = config.mqtt.state_folder
    assert folder is not None  # noqa: S101 - every demo has a folder of its own
    records = [TopicRecord(folder, printer.id) for printer in config.printers]
    await Purge(records).run(config.mqtt, client_id=f"gcode2mqtt-{uuid.uuid4().hex}")
