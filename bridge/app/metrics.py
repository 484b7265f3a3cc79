"""The metrics for Prometheus, read from the printers when it asks for them."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.app.station import Station
from bridge.app.supervisor import Supervisor
from bridge.gcode.counters import BUCKETS, Counters
from bridge.printer.knowledge.model import Link
from bridge.printer.knowledge.print_table import Active

KIND = CONTENT_TYPE_LATEST
PREFIX = "gcode2mqtt"
WORDS = (*get_args(Link), *get_args(Active))

_COUNTERS = {
    "lines": "Lines sent to the printer, repeated ones included.",
    "resends": "Requests of the printer to repeat a line.",
    "timeouts": "Lines that were not acknowledged in time.",
    "restarts": "Resets of the firmware.",
    "reconnects": "Times the printer was found again.",
    "mqtt_received": "Messages from the broker.",
    "mqtt_sent": "Messages that the broker has acknowledged.",
    "mqtt_refused": "Messages that the broker has rejected.",
    "mqtt_dropped": "Messages dropped because they were too many or too old.",
    "mqtt_reconnects": "Connections to the broker after the first.",
    "mqtt_failovers": "Connections to another broker than the one before.",
}
_GAUGES = {
    "queue_lines": "Lines that wait for the printer or are being executed.",
    "mqtt_waiting": "Messages that the broker does not have yet.",
    "mqtt_connected": "1: connected to the broker.",
    "late_seconds": "How late a task of the link is; over 10 means that it is stuck.",
}


def render(supervisor: Supervisor) -> bytes:
    """Return the page that Prometheus reads."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_PrinterCollector(supervisor.stations))
    return generate_latest(registry)


class _PrinterCollector(Collector):
    """Makes metrics of what is counted for other purposes as well."""

    def __init__(self, stations: Iterable[Station]) -> None:
        self._stations = list(stations)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry does not need the names beforehand."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, each with all printers."""
        info = GaugeMetricFamily(f"{PREFIX}_info", "The bridge.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        numbers = {station.name: _numbers(station) for station in self._stations}
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=["printer"])
            for printer, values in numbers.items():
                counter.add_metric([printer], values[name])
            yield counter
        for name, text in _GAUGES.items():
            gauge = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["printer"])
            for printer, values in numbers.items():
                gauge.add_metric([printer], values[name])
            yield gauge
        yield from self._temperatures()
        yield self._states()
        yield self._round_trips()

    def _temperatures(self) -> Iterator[Metric]:
        labels = ["printer", "heater"]
        actual = GaugeMetricFamily(
            f"{PREFIX}_temperature_celsius", "Measured temperatures.", labels=labels
        )
        target = GaugeMetricFamily(
            f"{PREFIX}_target_celsius", "Wanted temperatures; 0: off.", labels=labels
        )
        for station in self._stations:
            for name, heater in station.printer.state.heaters.items():
                if heater.actual is not None:
                    actual.add_metric([station.name, name], heater.actual)
                if heater.target is not None:
                    target.add_metric([station.name, name], heater.target)
        yield actual
        yield target

    def _states(self) -> Metric:
        states = GaugeMetricFamily(
            f"{PREFIX}_state", "1: it is in this state.", labels=["printer", "state"]
        )
        for station in self._stations:
            present = station.printer.state.phase
            for word in WORDS:
                states.add_metric([station.name, word], float(word == present))
        return states

    def _round_trips(self) -> Metric:
        trips = HistogramMetricFamily(
            f"{PREFIX}_round_trip_seconds",
            "Time from a line to its acknowledgement.",
            labels=["printer"],
        )
        for station in self._stations:
            counters = station.printer.link.counters
            trips.add_metric(
                [station.name], _buckets(counters), counters.round_trip_total
            )
        return trips


def _buckets(counters: Counters) -> list[tuple[str, float]]:
    bounds = [*map(str, BUCKETS), "+Inf"]
    return list(zip(bounds, accumulate(counters.round_trip_buckets), strict=True))


def _numbers(station: Station) -> Mapping[str, float]:
    link, broker = station.printer.link, station.broker
    statistics, counters = broker.statistics, link.counters
    return {
        "lines": counters.lines,
        "resends": counters.resends,
        "timeouts": counters.timeouts,
        "restarts": counters.restarts,
        "reconnects": max(link.connects - 1, 0),
        "mqtt_received": statistics.received,
        "mqtt_sent": statistics.sent,
        "mqtt_refused": statistics.refused,
        "mqtt_dropped": sum(broker.dropped.values()),
        "mqtt_reconnects": statistics.reconnects,
        "mqtt_failovers": broker.failovers,
        "queue_lines": station.printer.queue.waiting,
        "mqtt_waiting": broker.waiting,
        "mqtt_connected": float(broker.connected),
        "late_seconds": link.late(asyncio.get_running_loop().time()),
    }
