"""All printers of the process: started, stopped and changed while the others go on."""

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge import logs
from bridge.app import retained_cleanup
from bridge.app.publish_scheduler import PublishScheduler
from bridge.app.retained_cleanup import Share, owner_of
from bridge.app.scripts_folder import read_folder
from bridge.app.station import Station, client_id
from bridge.config import Config, Log, Metrics
from bridge.config import Printer as PrinterConfig
from bridge.errors import BridgeError
from bridge.mqtt.broker_checks import exposed
from bridge.state_files import TopicRecord, all_records, default_folder, exclusive

log = logging.getLogger("bridge.app")

Watch = Callable[[Sequence[Station]], None]


@dataclass(frozen=True, slots=True)
class StationSettings:
    """Everything that decides how one printer is served.

    When the configuration is read again, a station whose settings are the same is not
    touched, whatever else has changed.

    Attributes:
        config: the configuration with this printer alone, and without what concerns
            only the process.
        base: the printer's base topic, which depends on how many printers there are.
        client_id: likewise.
        scripts: what is in its folder of scripts.

    """

    config: Config
    base: str
    client_id: str
    scripts: Mapping[str, str]


def station_settings(config: Config) -> dict[str, StationSettings]:
    """Return each printer's settings by its id.

    Raises:
        ConfigError: A scripts folder cannot be read.

    """
    found: dict[str, StationSettings] = {}
    for printer in config.printers:
        alone = {"printers": (printer,), "log": Log(), "metrics": Metrics()}
        found[printer.id] = StationSettings(
            config.model_copy(update=alone),
            config.base(printer),
            client_id(config, printer),
            read_folder(printer.scripts_folder),
        )
    return found


@dataclass(frozen=True, slots=True)
class _StateFolder:
    """Where the state files are, and which of them belong to this configuration."""

    folder: Path
    owner: str


@dataclass(frozen=True, slots=True)
class _Served:
    """A printer that is served now."""

    settings: StationSettings
    station: Station
    task: asyncio.Task[None]


class Supervisor:
    """Serves all configured printers.

    Each printer has its own connection to the broker, so that its availability is its
    own last will, and one that is stuck does not affect the others.

    Args:
        config: what to serve.
        origin: the file it was read from. What printers of that file have left at the
            broker is cleared when they are removed from it.
        on_stations: is called with new stations before they run.

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
        self._state_folder: _StateFolder | None = None
        self._lock = ExitStack()
        self._scheduler = PublishScheduler()
        self._alone = False
        self._records: dict[str, TopicRecord] = {}
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
        """Serve another configuration; leave printers alone that it does not change.

        Those that it removes or changes say ``offline`` first. A base topic also
        changes if there are now several printers, or only one.

        Returns:
            What was done, for the log.

        Raises:
            ConfigError: A scripts folder cannot be read; nothing was changed.

        """
        wanted = station_settings(config)
        state_folder = self._state_folder_of(config)
        served = self._served
        leaving = [
            name
            for name, one in served.items()
            if state_folder != self._state_folder or wanted.get(name) != one.settings
        ]
        done = _summary(served, leaving, wanted)
        await self._stop(leaving)
        if state_folder != self._state_folder:
            self._use(state_folder)
        self._config = config
        self._start(config, wanted, state_folder)
        if warning := exposed(config.mqtt, raw=config.rights.raw):
            log.warning("%s", warning)
        return done

    def _state_folder_of(self, config: Config) -> _StateFolder:
        given = config.mqtt.state_folder
        folder = given or default_folder(os.environ)
        return _StateFolder(folder, owner_of(self._origin, config.mqtt))

    def _use(self, state_folder: _StateFolder) -> None:
        self._lock.close()
        self._alone = self._lock.enter_context(
            exclusive(state_folder.folder, state_folder.owner)
        )
        found = (
            all_records(state_folder.folder, state_folder.owner) if self._alone else {}
        )
        self._records = found
        self._state_folder = state_folder

    async def _stop(self, names: Collection[str]) -> None:
        tasks = [self._served.pop(name).task for name in names]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _start(
        self,
        config: Config,
        wanted: Mapping[str, StationSettings],
        state_folder: _StateFolder,
    ) -> None:
        """Serve new printers; each of the others clears its share of what is left."""
        tasks = self._tasks
        assert tasks is not None  # noqa: S101 - only called while running
        shares = self._settle(config, state_folder)
        for station in self.stations:
            station.clear_removed(shares[station.name].gone)
        new = [
            self._build(config, printer, shares[printer.id], state_folder)
            for printer in config.printers
            if printer.id not in self._served
        ]
        if self._on_stations is not None:
            self._on_stations(new)
        for station in new:
            task = tasks.create_task(_serve(station), name=station.name)
            served = _Served(wanted[station.name], station, task)
            self._served[station.name] = served

    def _settle(self, config: Config, state_folder: _StateFolder) -> dict[str, Share]:
        present = {printer.id for printer in config.printers}
        if not self._alone:
            former = self._records.keys() - present
            for name in former:
                del self._records[name]
        for name in present - self._records.keys():
            self._records[name] = TopicRecord(
                state_folder.folder, name, state_folder.owner
            )
        return retained_cleanup.settle(config, self._records)

    def _build(
        self,
        config: Config,
        printer: PrinterConfig,
        share: Share,
        state_folder: _StateFolder,
    ) -> Station:
        return Station(
            config,
            printer,
            instance=self._instance,
            taken=partial(self._taken, printer.id),
            record=self._records[printer.id],
            removed=share.gone,
            folder=state_folder.folder,
            scheduler=self._scheduler,
        )

    def _taken(self, name: str) -> list[str]:
        """Return the ports of the other printers, which ``port: auto`` must not try."""
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


@contextmanager
def first_failure() -> Iterator[None]:
    """Raise the first of several expected errors alone; a bug stays as it is.

    A TaskGroup raises an ExceptionGroup, but the operator needs one sentence.

    Raises:
        BridgeError: The first of a group that holds nothing else.

    """
    try:
        yield
    except BaseExceptionGroup as group:
        expected, bugs = group.split(BridgeError)
        if expected is None or bugs is not None:
            raise
        raise _first(expected) from None


def _first(group: BaseExceptionGroup[BridgeError]) -> BridgeError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BridgeError)  # noqa: S101 - the group holds nothing else
    return error
