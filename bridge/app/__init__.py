"""The composition root: builds each printer with its broker, and runs them together."""

import asyncio
import os
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bridge.app.station import Station
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.mqtt.memory import Memory, default_folder

Watch = Callable[[Sequence[Station]], None]


async def run(config: Config, *, on_stations: Watch | None = None) -> None:
    """Serve all configured printers until cancelled.

    Each printer has its own connection to the broker, so that its availability is its
    own last will, and one that hangs harms no other.

    Args:
        config: what to serve.
        on_stations: gets what was built, before it runs.

    Raises:
        BridgeError: A printer cannot be served at all, such as when another bridge
            owns its topics; the others are stopped as well.

    """
    stations = build(config)
    if on_stations is not None:
        on_stations(stations)
    try:
        async with asyncio.TaskGroup() as tasks:
            for station in stations:
                tasks.create_task(station.run(), name=station.name)
    except BaseExceptionGroup as group:
        expected, bugs = group.split(BridgeError)
        if expected is None or bugs is not None:
            raise
        raise _first(expected) from None


def build(config: Config) -> list[Station]:
    """Return a station for each printer; nothing is connected yet.

    Raises:
        ConfigError: A scripts folder cannot be read.

    """
    instance = uuid.uuid4().hex
    folder = config.mqtt.state_folder or default_folder(os.environ, Path.home())
    stations: list[Station] = []
    for printer in config.printers:
        station = Station(
            config,
            printer,
            instance=instance,
            taken=partial(_taken, stations, printer.id),
            memory=Memory(folder, printer.id),
            folder=folder,
        )
        stations.append(station)
    return stations


def _taken(stations: Sequence[Station], name: str) -> list[str]:
    """Return the ports of the other printers, which one on ``auto`` must not try."""
    return [
        port
        for station in stations
        if station.name != name and (port := station.port) is not None
    ]


def _first(group: BaseExceptionGroup[BridgeError]) -> BridgeError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BridgeError)  # noqa: S101 - the group holds nothing else
    return error
