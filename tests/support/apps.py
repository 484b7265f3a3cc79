"""The whole bridge in the test's own event loop, with printers of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bridge import app
from bridge.app.station import Station
from bridge.config import Config
from tests.support.waiting import DEADLINE, until


@dataclass(slots=True)
class App:
    """A bridge that runs.

    Attributes:
        task: ends when it does.
        stations: one for each printer.

    """

    task: asyncio.Task[None]
    stations: list[Station] = field(default_factory=list)

    async def online(self, within: float = DEADLINE) -> None:
        """Wait until everything known about each printer has been published."""
        await until(lambda: all(map(self._settled, self.stations)), within)

    def _settled(self, station: Station) -> bool:
        if self.task.done():
            self.task.result()
        operational = station.printer.state.link == "operational"
        return operational and self._said(station)

    @staticmethod
    def _said(station: Station) -> bool:
        return station.broker.connected and station.broker.waiting == 0


@asynccontextmanager
async def running(config: Config, origin: Path | None = None) -> AsyncIterator[App]:
    """Run the bridge for the duration of the block."""
    stations: list[Station] = []

    def take(built: Sequence[Station]) -> None:
        stations.extend(built)

    task = asyncio.create_task(app.run(config, origin=origin, on_stations=take))
    await until(lambda: bool(stations) or task.done())
    try:
        yield App(task, stations)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
