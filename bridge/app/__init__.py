"""The composition root: builds each printer with its broker, and runs them together."""

import asyncio
import os
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bridge.app import leftovers
from bridge.app.leftovers import owner_of
from bridge.app.station import Station
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.mqtt.memory import Memory, all_memories, default_folder, exclusive

Watch = Callable[[Sequence[Station]], None]


async def run(
    config: Config, *, origin: Path | None = None, on_stations: Watch | None = None
) -> None:
    """Serve all configured printers until cancelled.

    Each printer has its own connection to the broker, so that its availability is its
    own last will, and one that hangs harms no other.

    Args:
        config: what to serve.
        origin: the file it was read from: what that file's printers, also former ones,
            have left at the broker is ours to clear.
        on_stations: gets what was built, before it runs.

    Raises:
        BridgeError: A printer cannot be served at all, such as when another bridge
            owns its topics; the others are stopped as well.

    """
    folder = config.mqtt.state_folder or default_folder(os.environ, Path.home())
    owner = owner_of(origin, config.mqtt)
    with exclusive(folder, owner) as alone:
        await _serve(build(config, folder, owner, inherits=alone), on_stations)


async def _serve(stations: Sequence[Station], on_stations: Watch | None) -> None:
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


def build(
    config: Config, folder: Path, owner: str = "", *, inherits: bool = True
) -> list[Station]:
    """Return a station for each printer; nothing is connected yet.

    Args:
        config: what to serve.
        folder: where the process remembers things.
        owner: whose memories there are ours.
        inherits: clear what its former printers left.

    Raises:
        ConfigError: A scripts folder cannot be read.

    """
    instance = uuid.uuid4().hex
    memories = all_memories(folder, owner) if inherits else {}
    for printer in config.printers:
        memories.setdefault(printer.id, Memory(folder, printer.id, owner))
    shares = leftovers.settle(config, memories)
    stations: list[Station] = []
    for printer in config.printers:
        station = Station(
            config,
            printer,
            instance=instance,
            taken=partial(_taken, stations, printer.id),
            memory=memories[printer.id],
            gone=shares[printer.id].gone,
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
