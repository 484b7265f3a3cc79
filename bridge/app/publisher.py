"""Publishes the documents of one printer, each when it has changed or is due."""

import asyncio
import time
from collections.abc import Callable
from statistics import median, quantiles

from pydantic import BaseModel

from bridge import __version__, topics
from bridge.commands import Response
from bridge.config import Config
from bridge.files.documents import files_state
from bridge.files.library import Library
from bridge.files.stored import NO_FILES
from bridge.jobs.queue import (
    QueueState,
)
from bridge.mqtt.broker import Broker
from bridge.mqtt.messages import Lane
from bridge.printer.knowledge.events import StateEvent
from bridge.printer.knowledge.model import PrinterState, evolve
from bridge.printer.link.wire_log import WireLogEntry
from bridge.printer.printer import Printer
from bridge.printer.published import about, documents, safety_flags, views
from bridge.printer.published.telemetry import JobGate, TemperatureGate, steady
from bridge.topics import Topic, Topics

HEARTBEATS = 3
"""Heartbeats after which the broker drops retained temperatures (MQTT 5.0, 3.3.2.3.3),
so that those of a bridge that has crashed do not look current forever."""

SETTLE_TIME = 0.5
"""Seconds after a new connection until its counters are meaningful."""

CLOCK_STEP = 0.05
"""Seconds by which the clock must change, or drift, until published times follow. With
less, one moment would have two times."""

_TIME = {"time"}

_NOTHING = PrinterState()
ONLY_IN_STATE = {
    name: getattr(_NOTHING, name)
    for name in ("modal", "accessories", "position", "moved", "displaced")
}
"""Fields of the printer's state that no document but ``state`` shows. Commands change
them all the time, and what follows a command must not delay the next one."""


class Publisher:
    """Publishes one printer's documents when their content has changed.

    Args:
        config: the whole configuration.
        printer: whose documents.
        topics: its topics.
        broker: where to publish.
        instance: the id of this process.
        problem: returns at a time why the printer is not served, if it is not.
        receives_stops: returns whether the separate connection for emergency stops is
            up.

    """

    def __init__(  # noqa: PLR0913 - a printer, its topics and where to publish
        self,
        config: Config,
        printer: Printer,
        topics: Topics,
        broker: Broker,
        *,
        instance: str,
        problem: Callable[[float], str | None],
        receives_stops: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config = config
        self._printer = printer
        self._topics = topics
        self._broker = broker
        self._instance = instance
        self._problem = problem
        self._receives_stops = receives_stops
        self._published: dict[str, object] = {}
        self._seen: dict[str, object] = {}
        self._temperatures = TemperatureGate(config.telemetry)
        self._jobs = JobGate(config.telemetry)
        self._state: documents.State | None = None
        self._seq = 0
        self._started = self.now()
        self._started_at = time.time()
        self._health_due = 0.0
        self._pending: tuple[str, ...] = ()
        self._epoch = 0.0

    @staticmethod
    def now() -> float:
        """Return the time of the printer's clock, in seconds."""
        return asyncio.get_running_loop().time()

    def epoch(self) -> float:
        """Return what to add to :meth:`now` to get Unix time.

        It stays the same until the clock is set, so that a moment has one time wherever
        it is published. Event loops read :func:`time.monotonic`, some of them once for
        each pass.
        """
        exact = time.time() - time.monotonic()
        if abs(exact - self._epoch) > CLOCK_STEP:
            self._epoch = exact
        return self._epoch

    def changed(self) -> None:
        """Publish what has changed in the printer's state."""
        state, observer = self._printer.state, self._printer.observer
        # Most changes are temperatures and lines sent. Building the other documents for
        # those would cost a hundred printers thousands of documents a second.
        rest = evolve(state, line="", tool_before=0, heaters={}, sensors={})
        names = tuple(state.heaters), tuple(state.sensors)
        slow = self._is_new("", (rest, names, observer.place, observer.dialect))
        if slow:
            facts = evolve(rest, **ONLY_IN_STATE)
            about = facts, names, observer.place, observer.dialect
            if self._is_new("facts", about):
                self._facts(state)
                self._job(state)
        if slow or self._is_new("state", self._thermal(state)):
            document = views.state(state, now=self.now(), epoch=self.epoch())
            self._state = steady(self._state, document)
            self._document(topics.STATE, self._state)
        if state.job.active:
            self._job(state)
        self._telemetry()

    def _thermal(self, state: PrinterState) -> object:
        """Return the fields of ``state`` that depend on temperatures and the clock."""
        return (
            safety_flags.status(state),
            safety_flags.hot(state),
            safety_flags.safe_to_power_off(state),
            round(self.epoch()),
        )

    def _facts(self, state: PrinterState) -> None:
        online = "online" if state.link == "operational" else "offline"
        self._publish(topics.CONNECTION, online.encode())
        self._document(topics.INFO, self.info())
        self._document(topics.ERROR, views.error(state, epoch=self.epoch()))
        self._document(topics.SD_FILES, views.files(state))
        self._document(topics.TOTALS, views.totals(state))
        if self._is_new("result", state.job.result):
            result = views.job_result(state.job.result, epoch=self.epoch())
            self._document(topics.JOB_RESULT, result)

    def _job(self, state: PrinterState) -> None:
        now = self.now()
        exact = views.job_state(state, now=now, epoch=self.epoch())
        if (job := self._jobs.due(exact, now)) is not None:
            self._publish(topics.JOB_STATE, _json(job))

    def _is_new(self, what: str, facts: object) -> bool:
        known = what in self._seen and self._seen[what] == facts
        self._seen[what] = facts
        return not known

    @property
    def next_due(self) -> float:
        """When :meth:`tick` has something to publish if nothing changes before."""
        return min(self._temperatures.next_due(), self._health_due)

    def tick(self) -> None:
        """Publish what is due although nothing changed."""
        self._telemetry()
        now = self.now()
        here = self._printer.state.link == "operational"
        connects = self._printer.link.connects, self._broker.statistics.connects
        stuck = self._problem(now) is not None
        others = (
            self._broker.conflict,
            self._broker.missing_rights,
            self._receives_stops(),
        )
        if self._is_new("health", (here, connects, stuck, others)):
            self._health_due = min(self._health_due, now + SETTLE_TIME)
        if now >= self._health_due:
            self._health_due = now + self._config.telemetry.heartbeat
            self._publish(topics.HEALTH, _json(self.health()))

    def files(self, library: Library | None) -> None:
        """Publish the list of stored files; ``None``: files are not stored."""
        if library is None:
            document = files_state((), free=0, checking=False, problem=NO_FILES)
        else:
            document = files_state(
                library.list(),
                free=library.free,
                checking=library.checking,
                problem=library.problem,
            )
        self._document(topics.FILES_STATE, document)

    def thumbnail(self, picture: bytes) -> None:
        """Publish the picture of the selected file; empty: there is none."""
        self._publish(topics.THUMBNAIL, picture)

    def queue(self, document: QueueState) -> None:
        """Publish the waiting prints."""
        self._document(topics.QUEUE_STATE, document)

    def configure(self, config: Config) -> None:
        """Apply other settings, and publish again what depends on them."""
        telemetry = self._config.telemetry
        self._config = config
        if config.telemetry != telemetry:
            self._temperatures = TemperatureGate(config.telemetry)
            self._jobs = JobGate(config.telemetry)
        self._seen.clear()  # such as the limits in `info`

    def pending(self, settings: tuple[str, ...]) -> None:
        """Publish which settings wait for the end of a print."""
        self._pending = settings
        self._health_due = 0.0
        if settings:
            self.event("settings_pending", settings=list(settings))

    def announced(self) -> None:
        """Publish the temperatures again, because the device was announced."""
        self._temperatures.announced(self.now())
        self._telemetry()

    def event(self, name: str, **data: object) -> None:
        """Publish that something happened."""
        self._seq += 1
        document = documents.Event.model_validate(
            {**data, "event": name, "seq": self._seq, "time": time.time()}
        )
        self._publish(topics.EVENT, _json(document))

    def happened(self, happening: StateEvent) -> None:
        """Publish what happened to the printer."""
        self.event(happening.name, **happening.data)

    def refused(self, response: Response) -> None:
        """Publish that a command was rejected, for clients that did not send it."""
        told = {"id", "topic", "command", "code", "error", "message"}
        self.event("command_rejected", **response.model_dump(include=told))

    def console(self, entry: WireLogEntry) -> None:
        """Publish a line of the serial traffic."""
        self._publish(topics.CONSOLE, entry.console.encode(), lane=Lane.CONSOLE)

    def info(self) -> about.Info:
        """Return what ``info`` holds."""
        printer = self._printer
        place = printer.observer.place
        link = about.InfoContext(
            version=__version__,
            instance=self._instance,
            family=printer.observer.dialect.name,
            topics=self._topics.table(),
            port=place.port if place else None,
            baudrate=place.baudrate if place else None,
        )
        return about.info(
            printer.state, printer.config, link, now=self.now(), epoch=self.epoch()
        )

    def health(self) -> about.Health:
        """Return what ``health`` holds."""
        printer, broker = self._printer, self._broker
        link, statistics = printer.link, broker.statistics
        trips = sorted(link.counters.round_trips)
        return about.Health(
            uptime=int(self.now() - self._started),
            started_at=self._started_at,
            problem=self._problem(self.now()),
            conflict=broker.conflict,
            missing_rights=broker.missing_rights,
            emergency_connection=self._receives_stops(),
            broker=self._broker.endpoint,
            pending=self._pending,
            mqtt={
                "reconnects": statistics.reconnects,
                "failovers": self._broker.failovers,
                "received": statistics.received,
                "sent": statistics.sent,
                "refused": statistics.refused,
                "dropped": sum(broker.dropped.values()),
                "waiting": broker.waiting,
            },
            serial={
                "reconnects": max(link.connects - 1, 0),
                "lines": link.counters.lines,
                "resends": link.counters.resends,
                "timeouts": link.counters.timeouts,
                "restarts": link.counters.restarts,
            },
            queue=printer.queue.waiting,
            round_trip=about.RoundTrip(
                median=_seconds(median(trips)) if trips else None,
                p99=_seconds(quantiles(trips, n=100)[98]) if len(trips) > 1 else None,
                age=_seconds(self.now() - link.counters.answered_at) if trips else None,
            ),
            time=time.time(),
        )

    def closing(self) -> None:
        """Publish that the printer was disconnected, while there is a connection."""
        self.changed()

    def _telemetry(self) -> None:
        state, now = self._printer.state, self.now()
        if not self._temperatures.due(state, now):
            return
        epoch = self.epoch()
        document = views.temperatures(state, now=now, epoch=epoch)
        lifetime = round(HEARTBEATS * self._config.telemetry.heartbeat)
        self._publish(topics.TEMPERATURE, _json(document), expiry=lifetime)
        if self._config.mqtt.per_heater_topics:
            for name in state.heaters:
                entry = views.timed_heater(state, name, epoch=epoch)
                self._publish(
                    topics.HEATER,
                    _json(entry),
                    topic=self._topics.heater(name),
                    expiry=lifetime,
                )

    def _document(self, row: Topic, document: BaseModel) -> None:
        """Publish a document unless only its time has changed."""
        exclude = _TIME if "time" in type(document).model_fields else None
        content = document.model_dump(exclude=exclude)
        if self._published.get(row.suffix) != content:
            self._published[row.suffix] = content
            self._publish(row, _json(document))

    def _publish(
        self,
        row: Topic,
        payload: bytes,
        *,
        topic: str | None = None,
        expiry: int | None = None,
        lane: Lane = Lane.EVENT,
    ) -> None:
        """Publish with the QoS and RETAIN flag of the table of topics.

        Args:
            row: the row of the table.
            payload: what to publish.
            topic: the whole topic, if the row is one of several.
            expiry: in seconds.
            lane: the queue of a message that is not retained.

        """
        self._broker.publish(
            topic or self._topics.of(row),
            payload,
            qos=row.qos,
            retain=row.retained,
            expiry=expiry,
            lane=lane,
        )


def _json(document: BaseModel) -> bytes:
    return document.model_dump_json().encode()


def _seconds(value: float) -> float:
    return round(value, 4)
