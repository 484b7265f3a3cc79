"""Broker, simulated printer and bridge for as long as a play lasts."""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge import app
from bridge.app.retained_cleanup import Purge
from bridge.config import Config, Mqtt, Printer, Serial, Telemetry
from bridge.demo.broker import LOOPBACK, Address, embedded_broker
from bridge.mqtt.one_shot import OneShotClient, subscribed_to
from bridge.simulator.firmware import Firmware
from bridge.simulator.serve import Wire, tcp_server
from bridge.state_files import TopicRecord

SPEED = 20.0
"""How much faster than a real one the simulated printer heats and moves."""

_FOREIGN_TOPIC = "gcode2mqtt-demo/printer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a play needs to know.

    Attributes:
        broker: the broker's name.
        mqtt: how to reach it.
        base: the printer's topic.
        client: a client that is subscribed to everything below it.

    """

    broker: str
    mqtt: Mqtt
    base: str
    client: OneShotClient


Play = Callable[[Stage], Awaitable[bool]]


async def present(
    play: Play, wire: Wire, broker: tuple[str, int] | None = None
) -> bool:
    """Set everything up, play, clear everything away; return what the play returns.

    Args:
        play: what happens.
        wire: is shown what goes over the line to the printer.
        broker: a broker of the user's own; without one there is an embedded one.

    Raises:
        BridgeError: Something could not be started, or failed on the way.

    """
    async with (
        _broker(broker) as (name, mqtt),
        tcp_server(Firmware("marlin", speed=SPEED), LOOPBACK, 0, wire=wire) as server,
    ):
        base = "printer" if broker is None else _FOREIGN_TOPIC
        config = _config(mqtt, base, f"socket://{LOOPBACK}:{server.port}")
        try:
            async with subscribed_to(mqtt, [f"{base}/#"]) as client:
                stage = Stage(broker=name, mqtt=mqtt, base=base, client=client)
                return await _with_bridge(config, play(stage))
        finally:
            if broker is not None:
                await _clear_away(config)


async def _with_bridge(config: Config, play: Awaitable[bool]) -> bool:
    bridge = asyncio.ensure_future(app.run(config))
    playing = asyncio.ensure_future(play)
    try:
        await asyncio.wait({bridge, playing}, return_when=asyncio.FIRST_COMPLETED)
        if bridge.done():
            bridge.result()
        return await playing
    finally:
        playing.cancel()
        bridge.cancel()
        await asyncio.gather(playing, bridge, return_exceptions=True)


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


def _config(mqtt: Mqtt, base: str, port: str) -> Config:
    printer = Printer(
        id="demo",
        name="Demo printer",
        topic=base,
        serial=Serial(port=port, baudrate=115_200),
    )
    return Config(mqtt=mqtt, telemetry=Telemetry(interval=1.0), printers=(printer,))


async def _clear_away(config: Config) -> None:
    """Leave nothing retained on somebody else's broker."""
    folder = config.mqtt.state_folder
    assert folder is not None  # noqa: S101 - every demo has a folder of its own
    records = [TopicRecord(folder, printer.id) for printer in config.printers]
    await Purge(records).run(config.mqtt, client_id=f"gcode2mqtt-{uuid.uuid4().hex}")
