"""Starts, stops and changes the printers of the process while the others continue."""

import asyncio
import errno
import logging
import os
import random
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bridge import logs
from bridge.app import retained_cleanup
from bridge.app.file_service import FileService
from bridge.app.printer_state_files import hand_down
from bridge.app.publish_scheduler import PublishScheduler
from bridge.app.retained_cleanup import Share, owner_of
from bridge.app.station import Carried, Station
from bridge.app.station_settings import (
    Need,
    Postponed,
    StationSettings,
    emergency_id,
    former_ids,
    need_of,
    postpone,
    station_settings,
)
from bridge.backoff import Backoff
from bridge.commands.deduplication import Receipts
from bridge.config import Config
from bridge.errors import BridgeError, ConfigError
from bridge.mqtt.broker_checks import exposed
from bridge.mqtt.emergency import EmergencyConnection
from bridge.mqtt.messages import Message
from bridge.state_files import (
    TopicRecord,
    all_records,
    default_folder,
    exclusive,
    flushed,
    installation_digest,
)
from bridge.threads import in_thread

log = logging.getLogger("bridge.app")

Watch = Callable[[Sequence[Station]], None]

_AGAIN = {"broker", "link"}
"""Needs for which a station is rebuilt."""

FIRST_RESTART, LONGEST_RESTART = 1.0, 60.0
"""Bounds of the back-off, in seconds, between two starts of a station that failed."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Errors that a restart of the station does not solve."""

PENDING_RETRY = 60.0
"""Seconds until settings that waited for the end of a print are applied again."""

STABLE_AFTER = 300.0
"""Seconds that a station must run until its back-off is reset."""


@dataclass(frozen=True, slots=True)
class _StateFolder:
    """The folder of the state files, and which files belong to this configuration."""

    folder: Path
    owner: str


@dataclass(slots=True)
class _Served:
    """A printer that is served now.

    Attributes:
        settings: what decides how.
        build: builds its station again after a failure, or around a printer that goes
            on.
        station: the present one.
        task: runs it, and starts it again; ended only by a cancellation.
        run: the present run of the station; ``None`` between two of them.

    """

    settings: StationSettings
    build: Callable[..., Station]
    station: Station
    task: asyncio.Task[None] | None = None
    run: asyncio.Task[None] | None = None


class _StopRouter:
    """Passes emergency stops to the station that currently serves a printer."""

    def __init__(self, served: Mapping[str, _Served], name: str) -> None:
        self._served = served
        self._name = name

    def on_stop(self, message: Message) -> None:
        if (served := self._served.get(self._name)) is not None:
            served.station.messages.on_stop(message)

    def on_retained_stop(self, message: Message) -> None:
        if (served := self._served.get(self._name)) is not None:
            served.station.messages.on_retained_stop(message)


class Supervisor:
    """Serves all configured printers.

    Each printer has its own connection to the broker, so that its availability is its
    own last will, and one that is stuck does not affect the others. A station that ends
    with an unexpected exception is built and started again after a back-off, while the
    others continue.

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
        self._config = config  # without what waits for the end of a print
        self._wanted = config
        self._origin = origin
        self._on_stations = on_stations
        self._instance = uuid.uuid4().hex
        self._served: dict[str, _Served] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._state_folder: _StateFolder | None = None
        self._lock = ExitStack()
        self._scheduler = PublishScheduler(self._poll)
        self._emergency: EmergencyConnection | None = None
        self._emergency_task: asyncio.Task[None] | None = None
        self._files = FileService()
        self._alone = False
        self._records: dict[str, TopicRecord] = {}
        self._stops_owed: set[str] = set()
        self._receipts: dict[str, Receipts[Any]] = {}
        self._carried: dict[str, Carried] = {}
        self._changing = asyncio.Lock()
        self._print_ended = asyncio.Event()
        self.begun = asyncio.Event()
        """Set when all printers are being served."""

    @property
    def stations(self) -> tuple[Station, ...]:
        """One for each printer that is served now."""
        return tuple(served.station for served in self._served.values())

    def problem(self, now: float) -> str | None:
        """Return what prevents a printer from being served, or ``None``.

        Args:
            now: the event loop's time, in seconds.

        """
        for name, served in self._served.items():
            if served.task is None or served.task.done():
                return f"{name} is no longer served"
            # Between two runs, only the next run can be late.
            if served.run is not None and (problem := served.station.problem(now)):
                return problem
        return None

    async def run(self) -> None:
        """Serve all printers until cancelled.

        Raises:
            BridgeError: A printer cannot be served at all, such as when another bridge
                owns its topics; the others are stopped as well.

        """
        with self._lock, flushed(), first_failure(), self._catching_callbacks():
            try:
                async with asyncio.TaskGroup() as tasks:
                    self._tasks = tasks
                    await self.change(self._config)
                    self.begun.set()
                    await self._apply_pending()
            finally:
                await self._end_carried()
                await self._files.close()

    async def change(self, config: Config) -> str:
        """Serve another configuration; leave printers alone that it does not change.

        Most changes only replace settings. The connection to the broker is made again
        if its settings, the topics or the heaters change; ``offline`` is published
        first, and the link to the printer is kept. A base topic also changes if there
        are now several printers, or only one. Settings that need a new link wait for
        the end of a print.

        Returns:
            What was done, for the log.

        Raises:
            ConfigError: A scripts folder cannot be read; nothing was changed.

        """
        async with self._changing:
            self._print_ended.clear()
            now = self._without_pending(config)
            done = await self._change(now)
            self._wanted = config
            return done

    async def _change(self, now: Postponed) -> str:
        config = now.config
        state_folder = self._state_folder_of(config)
        digest = installation_digest(state_folder.folder, state_folder.owner)
        wanted = station_settings(config, digest)
        needs = {
            name: self._need(one, wanted.get(name), state_folder)
            for name, one in self._served.items()
        }
        done = _summary(needs, wanted, now)
        self._carried = self._carry_over(needs)
        heirs = self._heirs(config)
        await self._stop([name for name, need in needs.items() if need in _AGAIN])
        if heirs:
            write = partial(hand_down, state_folder.folder, heirs)
            await in_thread(write, lambda _: None, name="bridge-state-files")
        await self._replace_emergency_connection(config)
        if state_folder != self._state_folder:
            self._use(state_folder)
        self._config = config
        await self._files.apply(config, state_folder.folder)
        self._start(config, wanted, state_folder)
        self._give_files()
        for name, one in self._served.items():
            if needs.get(name) == "settings":
                one.station.configure(config, wanted[name].printer)
            one.settings = wanted[name]
            waits = now.settings.get(name, ())
            # A printer that needs another printer's port waits for that printer's
            # print.
            on_end = self._print_ended.set if name in now.printing else None
            one.station.wait_for_print(waits, on_end)
        if warning := exposed(config.mqtt, raw=config.rights.raw):
            log.warning("%s", warning)
        return done

    def _without_pending(self, config: Config) -> Postponed:
        """Return the part of a configuration that does not end a print.

        Raises:
            ConfigError: Nothing of it can be applied before a print has ended.

        """
        served = {name: one.settings.printer for name, one in self._served.items()}
        stations = [station for station in self.stations if station.prints]
        printing = {station.name: station.port for station in stations}
        return postpone(config, served, printing)

    def _heirs(self, config: Config) -> dict[str, str]:
        """Return the former ids of printers with a new id, by the new id."""
        served = {name: one.settings.printer for name, one in self._served.items()}
        ports = {station.name: station.port for station in self.stations}
        return former_ids(config, served, ports)

    def _need(
        self, one: _Served, wanted: StationSettings | None, folder: _StateFolder
    ) -> Need:
        if wanted is None:
            return "link"
        need = need_of(one.settings, wanted)
        elsewhere = folder != self._state_folder
        return "broker" if elsewhere and need != "link" else need

    def _carry_over(self, needs: Mapping[str, Need]) -> dict[str, Carried]:
        """Return the printers whose links are kept while stations are replaced."""
        found = (
            (name, self._served[name].station.carry_over())
            for name, need in needs.items()
            if need == "broker"
        )
        return {name: carried for name, carried in found if carried is not None}

    async def _apply_pending(self) -> None:
        """Apply settings when the print that they wait for has ended; never returns."""
        while True:
            await self._print_ended.wait()
            self._print_ended.clear()
            try:
                log.info("a print has ended; %s", await self.change(self._wanted))
            except ConfigError as error:  # such as a folder that has gone meanwhile
                log.error("the settings that wait are not applied yet: %s", error)  # noqa: TRY400 - the message says it all
                await asyncio.sleep(PENDING_RETRY)

    async def _end_carried(self) -> None:
        """End printers whose stations were being replaced when the process ended."""
        left = [carried.task for carried in self._carried.values()]
        left += [task for station in self.stations if (task := station.printer_task)]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

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
        leaving = [self._served.pop(name) for name in names]
        tasks = [served.task for served in leaving if served.task]
        # Their successors must send an emergency stop that waits for the printer.
        stations = [served.station for served in leaving]
        self._stops_owed = {one.name for one in stations if one.printer.stop_owed}
        for station in stations:
            station.wait_for_print((), None)
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
        """Serve new printers; the others clear their shares of retained topics."""
        tasks = self._tasks
        assert tasks is not None  # noqa: S101 - only called while running
        shares = self._settle(config, state_folder)
        for station in self.stations:
            station.clear_removed(shares[station.name].gone)
        for name, settings in wanted.items():
            build = partial(self._build, settings, shares[name], state_folder)
            if name in self._served:
                self._served[name].build = build
            else:
                station = self._built(name, build)
                self._served[name] = _Served(settings, build, station)
        new = [served for served in self._served.values() if served.task is None]
        if self._on_stations is not None:
            self._on_stations([served.station for served in new])
        for served in new:
            name = served.station.name
            served.task = tasks.create_task(self._keep_served(served), name=name)
        self._listen_for_stops()

    def _give_files(self) -> None:
        """Let each station serve the files of its printer."""
        for station in self.stations:
            library = self._files.libraries.get(station.name)
            if library is not station.files.library:
                station.files.use(library)

    def _built(self, name: str, build: Callable[..., Station]) -> Station:
        """Return a new station that takes over the printer and a pending stop."""
        carried = self._carried.pop(name, None)
        station = build(carried=carried)
        if carried is None and name in self._stops_owed:
            station.printer.keep_stop()
        return station

    async def _keep_served(self, served: _Served) -> None:
        """Run a printer's station, and restart it after each failure."""
        name = served.station.name
        logs.about(name)
        clock = asyncio.get_running_loop().time
        pauses = Backoff(FIRST_RESTART, LONGEST_RESTART)
        while True:
            begun = clock()
            served.run = asyncio.create_task(served.station.run(), name=f"run {name}")
            try:
                error = await _failure(served.run)
            finally:
                served.run = None
            if clock() - begun >= STABLE_AFTER:
                pauses.reset()
            await self._rebuild(served, error, pauses)

    async def _rebuild(
        self, served: _Served, error: BaseException, pauses: Backoff
    ) -> None:
        """Rebuild a station that failed, after a back-off."""
        while True:
            pause = pauses.next_delay(random.random())  # noqa: S311 - no secret
            log.error(
                "an unexpected error: this printer is not served for %.1f s; the "
                "others are not affected. Please report it with the traceback",
                pause,
                exc_info=error,
            )
            await asyncio.sleep(pause)
            try:
                station = served.build()
                break
            except Exception as again:  # noqa: BLE001 - it must not end the others
                error = again
        if served.station.pending:
            self._print_ended.set()  # its link is closed
        served.station.hand_over(station, error)
        served.station = station
        self._give_files()
        if self._on_stations is not None:
            self._on_stations([station])

    @contextmanager
    def _catching_callbacks(self) -> Iterator[None]:
        """Let an exception in a callback of the event loop end only its station.

        No task awaits a timer or a callback of a socket. The context of the callback
        says which printer it belongs to (:func:`bridge.logs.about`). If it belongs to
        none, the previous handler is called, which ends the process.
        """
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, found: dict[str, Any]) -> None:
            served = self._served.get(_printer_of(found) or "")
            error = found.get("exception")
            if isinstance(error, OSError) and error.errno in _EXHAUSTED:
                # asyncio tries again after a second to accept a client.
                log.warning("%s: %s", found["message"], error.strerror)
            elif served is not None and served.run and isinstance(error, Exception):
                served.station.fail(error)
            elif before is not None:
                before(loop, found)
            else:
                loop.default_exception_handler(found)

        loop.set_exception_handler(handle)
        try:
            yield
        finally:
            loop.set_exception_handler(before)

    async def _replace_emergency_connection(self, config: Config) -> None:
        """Replace the connection for emergency stops if its settings changed."""
        if self._emergency is not None and config.mqtt == self._config.mqtt:
            return
        if self._emergency_task is not None:
            self._emergency_task.cancel()
            await asyncio.wait([self._emergency_task])
        assert self._tasks is not None  # noqa: S101 - only called while running
        self._emergency = EmergencyConnection(
            config.mqtt, emergency_id(config), turn=config.printers[0].id
        )
        self._emergency_task = self._tasks.create_task(
            self._emergency.run(), name="emergency"
        )

    def _poll(self) -> None:
        """Check for emergency stops before something that takes long."""
        if self._emergency is not None:
            self._emergency.poll()

    def _listen_for_stops(self) -> None:
        assert self._emergency is not None  # noqa: S101 - only called while running
        self._emergency.listen(
            {
                served.station.topics.emergency: _StopRouter(self._served, name)
                for name, served in self._served.items()
            }
        )

    def _settle(self, config: Config, state_folder: _StateFolder) -> dict[str, Share]:
        present = {printer.id for printer in config.printers}
        for name in self._receipts.keys() - present:
            del self._receipts[name]
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
        settings: StationSettings,
        share: Share,
        state_folder: _StateFolder,
        *,
        carried: Carried | None = None,
    ) -> Station:
        printer = settings.printer
        return Station(
            self._config,
            printer,
            client_id=settings.client_id,
            instance=self._instance,
            taken=partial(self._taken, printer.id),
            record=self._records[printer.id],
            removed=share.gone,
            folder=state_folder.folder,
            scheduler=self._scheduler,
            emergency=self._emergency,
            carried=carried,
            receipts=self._receipts.setdefault(printer.id, Receipts()),
        )

    def _taken(self, name: str) -> list[str]:
        """Return the ports of the other printers, which ``port: auto`` must not try."""
        return [
            port
            for station in self.stations
            if station.name != name and (port := station.port) is not None
        ]


async def _failure(run: asyncio.Task[None]) -> BaseException:
    """Wait until a station's run ends, and return the reason; if cancelled, cancel it.

    A TaskGroup that is cancelled at the moment at which it fails reports only the
    failure (CPython before 3.13), so the run has its own task: a cancellation of the
    caller cannot get lost.
    """
    try:
        await asyncio.wait({run})
    except asyncio.CancelledError:
        run.cancel()
        await asyncio.wait({run})
        error = None if run.cancelled() else run.exception()
        if error is not None:
            log.exception("an unexpected error while the bridge stops", exc_info=error)
        raise
    if run.cancelled():
        return RuntimeError("its task was cancelled")
    return run.exception() or RuntimeError("its task has ended")


def _printer_of(found: dict[str, Any]) -> str | None:
    """Return the id of the printer that a failed callback belongs to."""
    handle = found.get("handle")
    # Handle.get_context() is public from CPython 3.12 on.
    context: Any = getattr(handle, "_context", None)
    return None if context is None else logs.printer(context)


def _summary(
    needs: Mapping[str, Need], wanted: Mapping[str, object], now: Postponed
) -> str:
    waiting = [*now.settings, *now.added]
    kept = [name for name in needs if needs[name] == "nothing" and name not in waiting]
    changed = [name for name in needs if name in wanted and name not in kept]
    counts = {
        "added": [name for name in wanted if name not in needs],
        "changed": changed,
        "removed": [name for name in needs if name not in wanted],
        "waiting for the end of a print": waiting,
    }
    named = [f"{verb}: {', '.join(names)}" for verb, names in counts.items() if names]
    return "; ".join([*named, f"{len(kept)} left alone"])


@contextmanager
def first_failure() -> Iterator[None]:
    """Raise the first of several expected errors by itself; a bug is raised as it is.

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
