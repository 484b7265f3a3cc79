"""One printer and its connection to the broker: messages in, responses out."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bridge.app import retained_cleanup
from bridge.app.file_service import StationFiles
from bridge.app.message_router import MessageRouter, Recipients
from bridge.app.print_service import PrintService, Surroundings
from bridge.app.printer_state_files import PrinterStateFiles
from bridge.app.publish_scheduler import PublishScheduler
from bridge.app.publisher import Publisher
from bridge.app.scripts_folder import read_folder
from bridge.backoff import next_turn
from bridge.commands.deduplication import Receipts
from bridge.commands.scripts import Scripts
from bridge.config import Config, PrinterConfig
from bridge.home_assistant.announcer import Announcer
from bridge.mqtt import duplicate_bridge
from bridge.mqtt.broker import Broker
from bridge.mqtt.emergency import EmergencyConnection
from bridge.mqtt.messages import Message, Version
from bridge.mqtt.session import Presence
from bridge.printer.control.heater_control import limits_of
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.link.wire_file import WireFile
from bridge.printer.link.wire_log import WireLogEntry
from bridge.printer.printer import Listeners, Printer
from bridge.state_files import TopicRecord
from bridge.timeout import timeout
from bridge.topics import COMMANDS, EMERGENCY, Topics

log = logging.getLogger("bridge.printer")
wire_log = logging.getLogger("bridge.wire")

LOGGED = {
    "connected",
    "disconnected",
    "printer_reset",
    "error",
    "complaint",
    "print_started",
    "print_paused",
    "print_resumed",
    "print_done",
    "print_cancelled",
    "print_failed",
}
"""Events of the printer that are logged as well."""

GRACE = 10.0
"""Seconds by which something may be late, to allow for a busy machine."""

CLEAR_TIMEOUT = 10.0
"""Seconds to wait for the broker at the start, before the printer is used without it.
"""

TICK, LOOK = 0.25, 2.0
"""Minimum and maximum seconds between two checks of what must be published although
nothing has changed."""

LAST_COMMANDS = 5.0
"""Seconds for running commands to finish when the station of their printer is replaced.
"""

LAST_RESPONSES = 0.5
"""Seconds for the responses to waiting commands when the bridge ends."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A printer that continues while the station that serves it is replaced."""

    printer: Printer
    task: asyncio.Task[None]


class Station:
    """Serves one printer to one broker.

    Args:
        config: the whole configuration.
        printer: this printer's part of it.
        client_id: the client id of its connection to the broker.
        instance: the id of this process, which distinguishes it from other bridges.
        taken: returns the ports of the other printers.
        record: the topics that this printer has left retained, now or in earlier runs.
        removed: the retained topics of printers that are no longer configured, by the
            id of the printer that left them.
        folder: where state files are.
        scheduler: runs what may wait; shared by all stations, so that they take turns.
        emergency: the connection for emergency stops.
        carried: the printer of the station that this one replaces.
        receipts: of the commands that earlier stations of this printer have executed.

    """

    def __init__(  # noqa: PLR0913 - what it shares with the other stations
        self,
        config: Config,
        printer: PrinterConfig,
        *,
        client_id: str = "gcode2mqtt",
        instance: str,
        taken: Callable[[], Collection[str]] = tuple,
        record: TopicRecord | None = None,
        removed: Mapping[str, AbstractSet[str]] | None = None,
        folder: Path | None = None,
        scheduler: PublishScheduler | None = None,
        emergency: EmergencyConnection | None = None,
        carried: Carried | None = None,
        receipts: Receipts[Any] | None = None,
    ) -> None:
        self.name = printer.id
        self._set_initial_state()
        self._emergency = emergency
        self.topics = Topics(config.base(printer))
        self._config = config
        self._removed = removed or {}
        self._state_files = PrinterStateFiles(folder, printer)
        self.printer_task = carried.task if carried is not None else None
        """Runs the printer; it may continue when :meth:`run` has ended."""
        self.printer = self._take_or_build_printer(carried, printer, taken)
        self._presence = self._build_presence(client_id, instance, record)
        self.broker = self._build_broker(config)
        parts = (config, self.printer, self.topics, self.broker)
        self.publisher = Publisher(
            *parts,
            instance=instance,
            problem=self.problem,
            receives_stops=self._receives_stops,
        )
        self.print_service = self._build_print_service(printer, folder)
        self.files = self._build_files(config)
        self._announcer = Announcer(
            *parts, folder=folder, stored=lambda: self.files.paths
        )
        self.messages = self._build_router(config, receipts)
        self._wire_file = _wire_file_of(printer)
        self._scheduler = scheduler or PublishScheduler()

    def _set_initial_state(self) -> None:
        """Set what changes while the station runs to what it is before."""
        self._connected = asyncio.Event()
        self.pending: tuple[str, ...] = ()
        """Changed settings that wait for the end of a print."""
        self._on_print_end: Callable[[], None] | None = None
        self._carried_over = False
        self._failure: asyncio.Future[None] = asyncio.Future()
        self._failure_published = False
        self._ending_since: float | None = None
        self._endless: dict[str, asyncio.Task[None]] = {}
        self._handling: asyncio.TaskGroup | None = None  # None: it is not served
        self._publish_scheduled = False
        self._was_operational = False

    def _build_print_service(
        self, printer: PrinterConfig, folder: Path | None
    ) -> PrintService:
        return PrintService(
            self.printer,
            lambda: self.files.library,
            printer.queue,
            Surroundings(
                on_queue=self.publisher.queue,
                on_event=self.publisher.event,
                epoch=self.publisher.epoch,
                may_control=lambda: self._config.rights.control,
                max_thumbnail=self._max_thumbnail,
                on_thumbnail=self.publisher.thumbnail,
            ),
            folder=folder,
        )

    def _build_files(self, config: Config) -> StationFiles:
        files = StationFiles(
            self.printer,
            self.publisher,
            self._state_files,
            self.print_service,
            self._on_change,
        )
        files.settings = config.files
        return files

    def _take_or_build_printer(
        self,
        carried: Carried | None,
        printer: PrinterConfig,
        taken: Callable[[], Collection[str]],
    ) -> Printer:
        if carried is not None:
            return self._take(carried.printer, printer)
        return self._build_printer(printer, taken)

    def _build_printer(
        self,
        printer: PrinterConfig,
        taken: Callable[[], Collection[str]],
    ) -> Printer:
        return Printer(
            printer,
            Listeners(self._on_change, self._on_event, self._on_entry),
            telemetry=self._config.telemetry,
            limits=self._config.limits,
            scripts=self._scripts(printer),
            taken=taken,
            found=self._state_files.last_place(),
            kept=self._state_files.last_record(),
            heat=limits_of(printer, self._config.mqtt),
            heat_file=self._state_files.heat,
            print_file=self._state_files.print,
            broker=lambda: self.broker.connected,
        )

    def _scripts(self, printer: PrinterConfig) -> Scripts:
        folder = read_folder(printer.scripts_folder)
        offered = self._config.home_assistant.scripts
        return Scripts(printer.scripts, folder, offered=offered)

    def _build_broker(self, config: Config) -> Broker:
        return Broker(
            config.mqtt,
            self._presence,
            self._received,
            on_connected=self._on_connected,
            between=self._emergency.poll if self._emergency else None,
            on_conflict=partial(self._on_broker_problem, "client_conflict"),
            on_missing_right=partial(self._on_broker_problem, "missing_right"),
        )

    def _build_router(
        self, config: Config, receipts: Receipts[Any] | None
    ) -> MessageRouter:
        recipients = Recipients(
            files=self.files,
            prints=self.print_service,
            publisher=self.publisher,
            remember=self._remember_job,
            poll=self._emergency.poll if self._emergency else _nothing,
            receipts=receipts,
        )
        return MessageRouter(config, self.topics, self.printer, self.broker, recipients)

    def _take(self, printer: Printer, settings: PrinterConfig) -> Printer:
        """Return the printer of another station, which serves this one from now on."""
        self._configure_printer(printer, settings)
        printer.listen(
            Listeners(self._on_change, self._on_event, self._on_entry),
            broker=lambda: self.broker.connected,
            heat_file=self._state_files.heat,
        )
        return printer

    def _configure_printer(self, printer: Printer, settings: PrinterConfig) -> None:
        printer.configure(
            settings,
            telemetry=self._config.telemetry,
            limits=self._config.limits,
            scripts=self._scripts(settings),
            heat=limits_of(settings, self._config.mqtt),
        )

    def configure(self, config: Config, printer: PrinterConfig) -> None:
        """Apply settings that need no new connection.

        Raises:
            ConfigError: The scripts folder cannot be read.

        """
        if printer.serial.log_file != self.printer.config.serial.log_file:
            if self._wire_file is not None:
                self._wire_file.close()
            self._wire_file = _wire_file_of(printer)
        self._config = config
        self._configure_printer(self.printer, printer)
        self.print_service.settings = printer.queue
        self.publisher.configure(config)
        self._announcer.configure(config)
        self.messages.configure(config)
        self.files.settings = config.files
        self.files.configured()
        self._on_change()

    def wait_for_print(
        self, settings: tuple[str, ...], on_end: Callable[[], None] | None
    ) -> None:
        """Note which settings wait for the end of a print; then ``on_end`` is called.

        ``None``: the print is another printer's.
        """
        self._on_print_end = on_end
        if settings == self.pending:
            return
        self.pending = settings
        self.publisher.pending(settings)
        if settings:
            names = ", ".join(settings)
            log.warning("%s: applied when the print has ended", names)

    @property
    def prints(self) -> bool:
        """Whether a print is under way that a new link to the printer would end."""
        state = self.printer.state
        return state.link == "operational" and state.job.active

    def carry_over(self) -> Carried | None:
        """Return the printer, which continues when :meth:`run` is cancelled.

        ``None``: it is not running, and so cannot continue.
        """
        task = self.printer_task
        if task is None or task.done() or "printer" not in self._endless:
            return None
        self._carried_over = True
        return Carried(self.printer, task)

    def _build_presence(
        self, client_id: str, instance: str, record: TopicRecord | None
    ) -> Presence:
        more = Announcer.subscriptions(self._config)
        return Presence(
            client_id=client_id,
            topics=self.topics,
            instance=instance,
            subscriptions=(*self.topics.commands, *more),
            optional=self.topics.near_misses,
            record=record,
            discovery=Announcer.topic(self._config, self.name),
            turn=self.name,
        )

    @property
    def port(self) -> str | None:
        """The port that it uses or will open; ``None``: it is still being searched."""
        if self.printer.observer.place is not None:
            return self.printer.observer.place.port
        given = self.printer.config.serial.port
        return None if given == "auto" else given

    async def run(self) -> None:
        """Serve until cancelled; then close the port, and publish ``offline``.

        Raises:
            Exception: A bug. It was published as ``error`` if that was possible.

        """
        async with asyncio.TaskGroup() as broker:
            connection = broker.create_task(self.broker.run())
            self._endless["broker"] = connection
            try:
                async with asyncio.TaskGroup() as handling:
                    await self._serve(handling)
            except Exception as error:
                await self._publish_failure(error)
                raise
            finally:
                if self._wire_file is not None:
                    self._wire_file.close()
                self._announcer.close()
                self.publisher.closing()
                self._remember_job()
                connection.cancel()

    def fail(self, error: Exception) -> None:
        """End :meth:`run` with an exception that none of its tasks has caught."""
        if not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # it may come too late for anybody to await it

    def hand_over(self, successor: "Station", error: BaseException) -> None:
        """Hand over to the station that replaces this one.

        Args:
            successor: has not run yet.
            error: why this one ended.

        """
        if not self._failure_published:
            successor.printer.observer.bridge_failed(_internal_error(error))
        if self.printer.stop_owed:
            successor.printer.keep_stop()

    async def _publish_failure(self, error: BaseException) -> None:
        with suppress(TimeoutError):
            async with timeout(LAST_RESPONSES):
                await self._connected.wait()  # it may fail as it starts
        self.printer.observer.bridge_failed(_internal_error(error))
        self.publisher.changed()
        self._failure_published = self.broker.connected

    def problem(self, now: float) -> str | None:
        """Return what prevents this printer from being served, or ``None``.

        Nothing does as long as every task that must not end is running, and nothing is
        late: timeouts are handled in time, each waiting line has a timeout, and ports
        are opened or given up in time. A printer that is switched off, silent or halted
        is not a problem: the next thing that is due is then another attempt to connect.

        Args:
            now: the event loop's time, in seconds.

        """
        for task, running in self._endless.items():
            if running.done() and not self._is_ending(running, now):
                return f"the {task} task of {self.name} has ended"
        late = self.printer.link.late(now)
        if late > GRACE:
            return f"the link to {self.name} has been stuck for {late:.0f} s"
        return None

    def _is_ending(self, task: asyncio.Task[None], now: float) -> bool:
        """Return whether a task has just failed, which ends :meth:`run`."""
        if task.cancelled() or task.exception() is None:
            return False
        if self._ending_since is None:
            self._ending_since = now
        return now - self._ending_since <= GRACE

    def clear_removed(self, removed: Mapping[str, AbstractSet[str]]) -> None:
        """Clear the retained topics of printers that are no longer configured."""
        if removed and self._handling is not None:
            self._handling.create_task(self._clear(removed))

    async def _serve(self, handling: asyncio.TaskGroup) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._handling = handling
                self.messages.open(handling)
                self._on_change()
                self._endless["printer"] = tasks.create_task(self._run_printer())
                self._endless["publisher"] = tasks.create_task(self._tick())
                self._endless["queue"] = tasks.create_task(self.print_service.run())
                tasks.create_task(self._clear(self._removed))
                await asyncio.shield(self._failure)
        finally:
            self._endless.clear()
            self._handling = None
            # The printer is disconnected now, so its waiting commands fail. A printer
            # that is handed over finishes what it is doing.
            await self.messages.close(
                LAST_COMMANDS if self._carried_over else LAST_RESPONSES
            )

    async def _run_printer(self) -> None:
        """Run the printer, in a task that may continue without this station."""
        if self.printer_task is None:
            await self._clear_to_serve()
            name = f"printer {self.name}"
            self.printer_task = asyncio.create_task(self.printer.run(), name=name)
        task = self.printer_task
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not self._carried_over and not task.done():
                task.cancel()
                await asyncio.wait({task})
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error from None
            raise

    async def _clear_to_serve(self) -> None:
        """Wait until no other bridge is known to serve the printer.

        The port is not opened before, because the other bridge may be printing. If the
        broker does not answer in time, the printer is used without it, so that its
        heaters are monitored.
        """
        clear = self.broker.clear_to_serve
        while not clear.is_set():
            try:
                async with timeout(CLEAR_TIMEOUT):
                    await clear.wait()
            except TimeoutError:
                if self.broker.conflict is None:
                    break

    async def _tick(self) -> None:
        while True:
            self.publisher.tick()
            self._announce()
            now = asyncio.get_running_loop().time()
            turn = next_turn(now, LOOK, self.name)
            due = min(turn, max(now + TICK, self.publisher.next_due))
            await asyncio.sleep(due - now)

    async def _clear(self, removed: Mapping[str, AbstractSet[str]]) -> None:
        await self._connected.wait()
        presence, version = self._presence, self.broker.statistics.protocol
        find = partial(
            duplicate_bridge.find,
            self._config.mqtt,
            client_id=presence.client_id,
            instance=presence.instance,
            version=Version(version),
        )
        await retained_cleanup.clear_gone(removed, self.broker, find)

    def _received(self, message: Message) -> None:
        rest = self.topics.split(message.topic)
        if rest is None or rest not in COMMANDS:
            birth = self._announcer.on_message(message)
            retained = message.retain
            if birth or not self.topics.is_asked(message.topic, retained=retained):
                return
        if rest is None:
            return
        if rest == EMERGENCY.suffix:
            self.messages.stop(message)
            return
        self.messages.handle(message, rest)

    def _remember_job(self) -> None:
        now, epoch = self.publisher.now(), self.publisher.epoch()
        self._state_files.remember_job(self.printer.state, now=now, epoch=epoch)

    def _max_thumbnail(self) -> int:
        files = self._config.files
        wanted = files.thumbnails or self._config.home_assistant.thumbnails
        return files.max_thumbnail * 1024 if wanted else 0

    def _receives_stops(self) -> bool:
        topic, connection = self.topics.emergency, self._emergency
        return connection is not None and connection.receives(topic)

    def _on_connected(self) -> None:
        self._connected.set()
        if self._emergency is not None:
            self._emergency.account_accepted()

    def _on_broker_problem(self, reason: str, text: str) -> None:
        """Publish that another client interferes with the bridge, or a missing right.

        This is not a :meth:`problem`: otherwise the service manager would restart the
        bridge whenever another client wants it to.
        """
        self.publisher.event(
            "error",
            error=text,
            reason=reason,
            consequence="",
            severity="warning",
        )

    def _on_change(self) -> None:
        """Publish once for all changes caused by the received bytes."""
        if not self._publish_scheduled:
            self._publish_scheduled = True
            self._scheduler.schedule(self._publish)

    def _announce(self) -> None:
        if self._announcer.tick():
            self.publisher.announced()

    def _publish(self) -> None:
        self._publish_scheduled = False
        self.print_service.changed()
        self.publisher.changed()
        self.files.publish()
        self._announce()
        if self.pending and not self.prints and self._on_print_end is not None:
            self._on_print_end()
        self._remember_job()
        if self.printer.state.link == "operational" and not self._was_operational:
            self._was_operational = True
            # Its heaters are known now, and with them the topics that an earlier run
            # may have left.
            self.broker.clear_leftovers()
            self._state_files.remember_place(self.printer.observer.place)

    def _on_event(self, event: StateEvent) -> None:
        if event.name in LOGGED:
            data = [
                f"{name}={value}" for name, value in event.data.items() if value != ""
            ]
            log.info("%s", " ".join([event.name, *data]))
        self.publisher.happened(event)

    def _on_entry(self, entry: WireLogEntry) -> None:
        if self._wire_file is not None:
            self._wire_file.write(entry)
        if self._config.mqtt.console:
            self.publisher.console(entry)
        if wire_log.isEnabledFor(logging.DEBUG):
            wire_log.debug("%s", entry.console)


def _internal_error(error: BaseException) -> str:
    """Return the message about a bug; the traceback is in the log."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (
        f"an unexpected error in the bridge ({type(error).__name__}); its log has the "
        "details, and the printer is served again shortly"
    )


def _wire_file_of(printer: PrinterConfig) -> WireFile | None:
    log_file = printer.serial.log_file
    return WireFile(log_file) if log_file else None


def _nothing() -> None:
    """Do nothing."""
