"""All printers of the process: begun, ended and changed while the others go on."""

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge import logs
from bridge.app import retained_cleanup
from bridge.app.blueprints import Blueprint, blueprints
from bridge.app.failures import first_failure
from bridge.app.retained_cleanup import Share, owner_of
from bridge.app.spare import Spare
from bridge.app.station import Station
from bridge.config import Config
from bridge.config import Printer as PrinterConfig
from bridge.mqtt.broker_checks import exposed
from bridge.state_files import Memory, all_memories, default_folder, exclusive

log = logging.getLogger("bridge.app")

Watch = Callable[[Sequence[Station]], None]


@dataclass(frozen=True, slots=True)
class _Home:
    """Where the process remembers things, and whose they are."""

    folder: Path
    owner: str


@dataclass(frozen=True, slots=True)
class _Served:
    """A printer that is served now."""

    blueprint: Blueprint
    station: Station
    task: asyncio.Task[None]


class Fleet:
    """Serves all configured printers.

    Each printer has its own connection to the broker, so that its availability is its
    own last will, and one that hangs harms no other.

    Args:
        config: what to serve.
        origin: the file it was read from: what that file's printers, also former ones,
            have left at the broker is ours to clear.
        on_stations: gets the stations that were built, before they run.

    """

    def __init__(
        self,
        config: Config,
        *,
        origin: Path | None = None,
        on_stations: Watch | None = None,
    ) -> None:
        self._config = config
        self._origin = origin
        self._on_stations = on_stations
        self._instance = uuid.uuid4().hex
        self._served: dict[str, _Served] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._home: _Home | None = None
        self._lock = ExitStack()
        self._spare = Spare()
        self._inherits = False
        self._memories: dict[str, Memory] = {}
        self.begun = asyncio.Event()
        """Set when all printers are being served."""

    @property
    def stations(self) -> tuple[Station, ...]:
        """One for each printer that is served now."""
        return tuple(served.station for served in self._served.values())

    def problem(self, now: float) -> str | None:
        """Return what keeps a printer from being served, or ``None``.

        Args:
            now: the event loop's time, in seconds.

        """
        for name, served in self._served.items():
            if served.task.done():
                return f"nothing serves {name} any more"
            if problem := served.station.problem(now):
                return problem
        return None

    async def run(self) -> None:
        """Serve all printers until cancelled.

        Raises:
            BridgeError: A printer cannot be served at all, such as when another bridge
                owns its topics; the others are stopped as well.

        """
        with self._lock, first_failure():
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await self.change(self._config)
                self.begun.set()
                await asyncio.Event().wait()

    async def change(self, config: Config) -> str:
        """Serve what a configuration says; printers that it leaves alone go on.

        Those that it removes or changes say ``offline``, also those whose base topic
        changes because there are now several, or only one.

        Returns:
            What was done, in a few words.

        Raises:
            ConfigError: A scripts folder cannot be read; nothing was changed.

        """
        wanted = blueprints(config)
        home = self._home_of(config)
        served = self._served
        leaving = [
            name
            for name, one in served.items()
            if home != self._home or wanted.get(name) != one.blueprint
        ]
        done = _summary(served, leaving, wanted)
        await self._end(leaving)
        if home != self._home:
            self._move(home)
        self._config = config
        self._begin(config, wanted, home)
        if warning := exposed(config.mqtt, raw=config.rights.raw):
            log.warning("%s", warning)
        return done

    def _home_of(self, config: Config) -> _Home:
        given = config.mqtt.state_folder
        folder = given or default_folder(os.environ)
        return _Home(folder, owner_of(self._origin, config.mqtt))

    def _move(self, home: _Home) -> None:
        self._lock.close()
        self._inherits = self._lock.enter_context(exclusive(home.folder, home.owner))
        found = all_memories(home.folder, home.owner) if self._inherits else {}
        self._memories = found
        self._home = home

    async def _end(self, names: Collection[str]) -> None:
        tasks = [self._served.pop(name).task for name in names]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(
        self, config: Config, wanted: Mapping[str, Blueprint], home: _Home
    ) -> None:
        """Serve those that are not served yet; the others get their inheritance."""
        tasks = self._tasks
        assert tasks is not None  # noqa: S101 - only called while running
        shares = self._settle(config, home)
        for station in self.stations:
            station.inherit(shares[station.name].gone)
        new = [
            self._build(config, printer, shares[printer.id], home)
            for printer in config.printers
            if printer.id not in self._served
        ]
        if self._on_stations is not None:
            self._on_stations(new)
        for station in new:
            task = tasks.create_task(_serve(station), name=station.name)
            served = _Served(wanted[station.name], station, task)
            self._served[station.name] = served

    def _settle(self, config: Config, home: _Home) -> dict[str, Share]:
        present = {printer.id for printer in config.printers}
        if not self._inherits:
            former = self._memories.keys() - present
            for name in former:
                del self._memories[name]
        for name in present - self._memories.keys():
            self._memories[name] = Memory(home.folder, name, home.owner)
        return retained_cleanup.settle(config, self._memories)

    def _build(
        self, config: Config, printer: PrinterConfig, share: Share, home: _Home
    ) -> Station:
        return Station(
            config,
            printer,
            instance=self._instance,
            taken=partial(self._taken, printer.id),
            memory=self._memories[printer.id],
            gone=share.gone,
            folder=home.folder,
            spare=self._spare,
        )

    def _taken(self, name: str) -> list[str]:
        """Return the ports of the other printers: one on ``auto`` must not try them."""
        return [
            port
            for station in self.stations
            if station.name != name and (port := station.port) is not None
        ]


async def _serve(station: Station) -> None:
    logs.about(station.name)
    await station.run()


def _summary(
    served: Mapping[str, object],
    leaving: Collection[str],
    wanted: Mapping[str, object],
) -> str:
    counts = {
        "added": [name for name in wanted if name not in served],
        "changed": [name for name in leaving if name in wanted],
        "removed": [name for name in leaving if name not in wanted],
    }
    kept = len(served) - len(leaving)
    named = [f"{verb}: {', '.join(names)}" for verb, names in counts.items() if names]
    return "; ".join([*named, f"{kept} left alone"])
