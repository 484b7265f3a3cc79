"""The composition root: builds each printer with its broker, and runs them together."""

import asyncio
import uuid
from collections.abc import Callable

from bridge.app.station import Station
from bridge.config import Config


async def run(
    config: Config, *, on_stations: Callable[[list[Station]], None] | None = None
) -> None:
    """Serve all configured printers until cancelled.

    Each printer has its own connection to the broker, so that its availability is its
    own last will, and one that hangs harms no other.

    ``on_stations`` gets what was built, before it runs.

    Raises:
        BridgeError: A printer cannot be served at all, such as when another bridge
            owns its topics; the others are stopped as well.

    """
    instance = uuid.uuid4().hex
    taken = {
        printer.serial.port
        for printer in config.printers
        if printer.serial.port != "auto"
    }
    stations = [
        Station(config, printer, instance=instance, taken=lambda: taken)
        for printer in config.printers
    ]
    if on_stations is not None:
        on_stations(stations)
    async with asyncio.TaskGroup() as tasks:
        for station in stations:
            tasks.create_task(station.run(), name=station.name)
