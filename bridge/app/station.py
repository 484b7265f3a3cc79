"""One printer and its broker, tied together: messages in, answers and states out."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

from bridge.app import retained_cleanup
from bridge.app.publish_scheduler import PublishScheduler
from bridge.app.publisher import Publisher
from bridge.app.query_responses import response_data
from bridge.app.request_handler import RequestHandler, Sender
from bridge.app.scripts_folder import read_folder
from bridge.backoff import offset
from bridge.commands import Request, Response
from bridge.commands.link import Acknowledge, Reconnect
from bridge.commands.requests import RefreshRequest
from bridge.commands.scripts import Scripts
from bridge.config import Config
from bridge.config import Printer as PrinterConfig
from bridge.home_assistant.announcer import Announcer
from bridge.mqtt import duplicate_bridge
from bridge.mqtt.broker import Broker
from bridge.mqtt.in_flight import LARGE
from bridge.mqtt.messages import Lane, Message, Version
from bridge.mqtt.session import Presence
from bridge.printer.control.command_queue import Run
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.link.events import Place
from bridge.printer.link.wire_file import WireFile
from bridge.printer.link.wire_log import Entry
from bridge.printer.printer import Listeners, Printer
from bridge.state_files import PLACE, KnownPort, TopicRecord, recall, remember
from bridge.topics import COMMANDS, RESPONSE, Topics

log = logging.getLogger("bridge.printer")

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
"""Events that belong into the daemon's log as well."""

GRACE = 10.0
"""Seconds by which something may be late, on a machine that has much to do."""

TICK = 1.0
LAST_ANSWERS = 0.5  # seconds for what still waits when the bridge ends


class Station:
    """Serves one printer to one broker."""

    def __init__(  # noqa: PLR0913 - what it shares with the other stations
        self,
        config: Config,
        printer: PrinterConfig,
        *,
        instance: str,
        taken: Callable[[], Collection[str]] = tuple,
        record: TopicRecord | None = None,
        gone: Mapping[str, AbstractSet[str]] | None = None,
        folder: Path | None = None,
        scheduler: PublishScheduler | None = None,
    ) -> None:
        self.name = printer.id
        self._gone = gone or {}
        guessed = "auto" in {printer.serial.port, printer.serial.baudrate}
        self._folder = folder if guessed else None
        self.topics = Topics(config.base(printer))
        self._config = config
        self.printer = Printer(
            printer,
            Listeners(self._changed, self._happened, self._wired),
            telemetry=config.telemetry,
            limits=config.limits,
            scripts=Scripts(printer.scripts, read_folder(printer.scripts_folder)),
            taken=taken,
            found=self._recalled(printer),
        )
        self._presence = Presence(
            client_id=client_id(config, printer),
            topics=self.topics,
            instance=instance,
            subscriptions=(*self.topics.commands, *Announcer.subscriptions(config)),
            optional=self.topics.near_misses,
            record=record,
        )
        self._met = asyncio.Event()
        self.broker = Broker(
            config.mqtt, self._presence, self._received, on_connected=self._met.set
        )
        self.publisher = Publisher(
            config,
            self.printer,
            self.topics,
            self.broker,
            instance=instance,
            problem=self.problem,
        )
        self._announcer = Announcer(
            config, self.printer, self.topics, self.broker, folder=folder
        )
        self._handler = RequestHandler(
            config,
            self.topics,
            execute=self._execute,
            respond=self._respond,
            clear=self.broker.clear_command,
            refused=self.publisher.refused,
        )
        log_file = printer.serial.log_file
        self._wire_file = WireFile(log_file) if log_file else None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._answers: asyncio.TaskGroup | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._scheduler = scheduler or PublishScheduler()
        self._dirty = False
        self._tidied = False

    @property
    def port(self) -> str | None:
        """The port it has or was given; ``None``: it is still looked for."""
        if self.printer.observer.place is not None:
            return self.printer.observer.place.port
        given = self.printer.config.serial.port
        return None if given == "auto" else given

    async def run(self) -> None:
        """Serve until cancelled: then the printer's port is freed, then ``offline``."""
        async with asyncio.TaskGroup() as broker:
            connection = broker.create_task(self.broker.run())
            self._running["broker"] = connection
            try:
                async with asyncio.TaskGroup() as answers:
                    await self._serve(answers)
            finally:
                self._announcer.close()
                self.publisher.closing()
                connection.cancel()
                if self._wire_file is not None:
                    self._wire_file.close()

    def problem(self, now: float) -> str | None:
        """Return what keeps this printer from being served, or ``None``.

        Nothing does while every task that must not end still runs, and nothing that is
        due is late: a timeout is handled in time, a line that waits has a timeout, a
        port is opened or given up in time. A printer that is switched off, silent or
        halted is no problem: then the next attempt to connect is what is due.

        Args:
            now: the event loop's time, in seconds.

        """
        for task, running in self._running.items():
            if running.done():
                return f"the {task} task of {self.name} has ended"
        late = self.printer.link.late(now)
        if late > GRACE:
            return f"the link to {self.name} has been stuck for {late:.0f} s"
        return None

    def inherit(self, gone: Mapping[str, AbstractSet[str]]) -> None:
        """Clear what printers have left that are served no more."""
        if gone and self._answers is not None:
            self._answers.create_task(self._clear(gone))

    async def _serve(self, answers: asyncio.TaskGroup) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._answers = answers
                self._changed()
                self._running["printer"] = tasks.create_task(self.printer.run())
                self._running["publisher"] = tasks.create_task(self._tick())
                tasks.create_task(self._clear(self._gone))
        finally:
            self._running.clear()
            self._answers = None
            self._handler.close()
            if self._answering:
                # The printer is away now, and what waited for it fails.
                await asyncio.wait(self._answering, timeout=LAST_ANSWERS)

    async def _tick(self) -> None:
        pause = offset(self.name, TICK)  # or a hundred printers speak at once
        while True:
            self.publisher.tick()
            self._announcer.tick()
            await asyncio.sleep(pause)
            pause = TICK

    async def _clear(self, gone: Mapping[str, AbstractSet[str]]) -> None:
        await self._met.wait()
        presence, version = self._presence, self.broker.statistics.protocol
        find = partial(
            duplicate_bridge.find,
            self._config.mqtt,
            client_id=presence.client_id,
            instance=presence.instance,
            version=Version(version),
        )
        await retained_cleanup.clear_gone(gone, self.broker, find)

    def _received(self, message: Message) -> None:
        rest = self.topics.split(message.topic)
        if rest is None or rest not in COMMANDS:
            birth = self._announcer.heard(message)
            retained = message.retain
            if birth or not self.topics.is_asked(message.topic, retained=retained):
                return
        if rest is None:
            return
        if self._answers is None:
            self._handler.decline(message, rest)
            return
        interrupted = self.printer.queue.arrival()
        task = self._answers.create_task(
            self._handler.handle(message, rest, interrupted)
        )
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _execute(
        self, request: Request, run: Run, expires: float | None
    ) -> object:
        """Carry a request out; see :data:`Execute`."""
        command, envelope = request.command, request.envelope
        if envelope.dry_run:
            run.gcode.extend(self.printer.plan(command).program.gcode)
            return None
        if isinstance(command, RefreshRequest):
            self.broker.republish()
            return None
        if isinstance(command, Reconnect | Acknowledge):
            self._change_link(command)
            return None
        await self.printer.execute(
            command, run, expires=expires, within=envelope.timeout
        )
        return response_data(command, self.printer, self.publisher)

    def _change_link(self, command: Reconnect | Acknowledge) -> None:
        """Do what concerns the line to the printer.

        Raises:
            RejectedError: It must not be done now.

        """
        self.printer.plan(command)
        if isinstance(command, Acknowledge):
            self.printer.observer.acknowledge_problem()
        else:
            self.printer.link.reconnect()

    def _recalled(self, printer: PrinterConfig) -> Place | None:
        if self._folder is None:
            return None
        known = recall(self._folder / f"{printer.id}{PLACE}", KnownPort)
        given = printer.serial.port
        if known is None or given not in {"auto", known.port}:
            return None
        return Place(known.port, known.baudrate)

    def _remember(self) -> None:
        place = self.printer.observer.place
        if self._folder is not None and place is not None:
            known = KnownPort(port=place.port, baudrate=place.baudrate)
            remember(self._folder / f"{self.name}{PLACE}", known)

    def _respond(self, response: Response, sender: Sender) -> None:
        payload = response.model_dump_json().encode()
        short = response.shortened(len(payload)) if len(payload) > LARGE else None
        self.broker.publish(
            sender.topic,
            payload,
            qos=RESPONSE.qos,
            retain=RESPONSE.retained,
            correlation=sender.correlation,
            lane=Lane.RESPONSE,
            short=short.model_dump_json().encode() if short else b"",
        )

    def _changed(self) -> None:
        """Publish after the present bytes are digested, once for all changes."""
        if not self._dirty:
            self._dirty = True
            self._scheduler.schedule(self._publish)

    def _publish(self) -> None:
        self._dirty = False
        self.publisher.changed()
        if self.printer.state.link == "operational" and not self._tidied:
            self._tidied = True  # its heaters, and so its topics, are known now
            self.broker.clear_leftovers()
            self._remember()

    def _happened(self, event: StateEvent) -> None:
        if event.name in LOGGED:
            told = {name: value for name, value in event.data.items() if value != ""}
            words = " ".join(f"{name}={value}" for name, value in told.items())
            log.info("%s", f"{event.name} {words}".rstrip())
        self.publisher.happened(event)

    def _wired(self, entry: Entry) -> None:
        if self._wire_file is not None:
            self._wire_file.write(entry)
        if self._config.mqtt.console:
            self.publisher.console(entry)


def client_id(config: Config, printer: PrinterConfig) -> str:
    """Return a printer's client id: the same after a restart, so that it is known."""
    named = config.mqtt.client_id
    if named is None:
        return f"gcode2mqtt-{printer.id}"
    return named if len(config.printers) == 1 else f"{named}-{printer.id}"
