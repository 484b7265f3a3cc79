"""What Prometheus and probes read over HTTP, and what cannot harm the printer."""

import http.client
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.brokers import Mosquitto, mosquitto
from tests.support.daemons import daemon
from tests.support.mqtt_client import connected
from tests.support.ports import held_port
from tests.support.printers import ScriptedPrinter, SimulatedPrinter, scripted
from tests.support.stages import Stage, config_of, stage
from tests.support.waiting import DEADLINE, until

Json = dict[str, Any]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


PRINTER = "simulator://marlin?speed=1000"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with held_port() as held:
        yield held


@pytest.fixture(scope="module")
def sections(port: int) -> Json:
    return {"metrics": {"port": port}}


def get(path: str, port: int, method: str = "GET") -> tuple[int, str, str]:
    """Return status, type and content of a page."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        client.request(method, path)
        answer = client.getresponse()
        kind = answer.getheader("Content-Type", "")
        return answer.status, kind, answer.read().decode()
    finally:
        client.close()


def samples(port: int) -> Samples:
    status, kind, text = get("/metrics", port)
    assert status == 200
    assert kind.startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Samples, name: str, **labels: str) -> float:
    return found[f"gcode2mqtt_{name}", frozenset(labels.items())]


async def test_temperatures_state_and_what_is_counted(
    bridge: Stage[SimulatedPrinter], port: int
) -> None:
    printer = "metrics"
    before = samples(port)
    await bridge.call("tool", {"command": "target", "targets": {"tool0": 205}})
    await bridge.fence()
    after = samples(port)
    assert of(after, "target_celsius", printer=printer, heater="tool0") == 205
    assert of(after, "temperature_celsius", printer=printer, heater="bed") > 0
    assert of(after, "state", printer=printer, state="operational") == 1
    assert of(after, "state", printer=printer, state="printing") == 0
    assert of(after, "mqtt_connected", printer=printer) == 1
    assert of(after, "queue_lines", printer=printer) == 0
    assert of(after, "late_seconds", printer=printer) == 0
    for name in ("lines_total", "mqtt_received_total", "mqtt_sent_total"):
        assert of(after, name, printer=printer) > of(before, name, printer=printer)
    for name in ("resends", "timeouts", "restarts", "reconnects", "mqtt_reconnects"):
        assert of(after, f"{name}_total", printer=printer) == 0
    count = of(after, "round_trip_seconds_count", printer=printer)
    assert count > of(before, "round_trip_seconds_count", printer=printer)
    assert of(after, "round_trip_seconds_bucket", printer=printer, le="+Inf") == count
    assert of(after, "round_trip_seconds_sum", printer=printer) > 0
    assert after["process_resident_memory_bytes", frozenset()] > 1e6
    assert after["process_cpu_seconds_total", frozenset()] > 0


async def test_health_of_a_bridge_that_is_well(
    bridge: Stage[SimulatedPrinter], port: int
) -> None:
    assert bridge.daemon.running
    status, kind, text = get("/healthz", port)
    assert (status, kind) == (200, "application/json")
    assert json.loads(text) == {
        "status": "ok",
        "printers": {"metrics": {"state": "operational", "broker": True}},
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/", 404, "there are /metrics and /healthz\n"),
        ("GET", "/doctor", 404, "there are /metrics and /healthz\n"),
        ("GET", "/healthz?verbose", 200, None),
        ("HEAD", "/metrics", 200, ""),
        ("POST", "/metrics", 405, "only GET and HEAD\n"),
    ],
)
@pytest.mark.usefixtures("bridge")
def test_other_requests(
    port: int, method: str, path: str, status: int, text: str
) -> None:
    found, _, content = get(path, port, method=method)
    assert found == status
    assert text in {None, content}


async def test_clients_that_say_nothing_or_nonsense_hold_up_nobody(
    bridge: Stage[SimulatedPrinter], port: int
) -> None:
    with sockets(port, 20) as clients:
        for client in clients[:8]:
            client.sendall(b"\x00" * 20_000)
        await bridge.fence()
    await until(lambda: status_of(port) == 200)


async def test_health_is_answered_although_many_hold_connections(
    bridge: Stage[SimulatedPrinter], port: int
) -> None:
    """The oldest of those who say nothing lose theirs."""
    for sent in (b"", b"GET /metrics HTTP/1.1\r\n"):
        with sockets(port, 200) as slow:
            for one in slow:
                with suppress(OSError):
                    one.sendall(sent)
            assert get("/healthz", port)[0] == 200
    await bridge.fence()


def status_of(port: int) -> int:
    try:
        return get("/healthz", port)[0]
    except (OSError, http.client.HTTPException):
        return 0


@contextmanager
def sockets(port: int, count: int) -> Iterator[list[socket.socket]]:
    made = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_a_port_in_use_costs_one_line_and_no_printer(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        taken_port() as port,
        scripted(tmp_path / "printer") as printer,
        stage(
            broker, printer, tmp_path, "taken", {"metrics": {"port": port}}
        ) as running,
    ):
        await running.fence()
        said = [x for x in running.daemon.log.splitlines() if "metrics" in x]
        assert len(said) == 1
        assert f"no metrics at 127.0.0.1:{port} (" in said[0]
        # The other program ends, and a reload is all it takes.
        with held_port() as free:
            await reload(running, broker, printer, {"metrics": {"port": free}})
            assert of(samples(free), "lines_total", printer="taken") > 0
            await reload(running, broker, printer, {})
            with pytest.raises(ConnectionRefusedError):
                get("/healthz", free)
        assert running.client.payloads("taken/availability")[-1] == b"online"


async def reload(
    running: Stage[ScriptedPrinter],
    broker: Mosquitto,
    printer: ScriptedPrinter,
    sections: Json,
) -> None:
    before = running.daemon.log.count("read again")
    running.daemon.write(config_of(broker, printer.link, running.base, sections))
    running.daemon.signal(signal.SIGHUP)
    await until(lambda: running.daemon.log.count("read again") > before)


async def test_the_broker_in_use_and_the_failovers_are_counted(
    tmp_path: Path,
) -> None:
    """In ``health`` and the metrics, when the first of ``mqtt.hosts`` is killed."""
    with mosquitto() as first, mosquitto() as second, held_port() as held:
        config = config_of(first, "simulator://marlin?speed=1000", "moved")
        config["mqtt"]["hosts"] = [f"{second.host}:{second.port}"]
        config["metrics"] = {"port": held}
        with daemon(tmp_path, config):
            for broker, failovers in ((first, 0), (second, 1)):
                where = broker.host, f"{broker.host}:{broker.port}"
                with connected(broker.port, "moved/+", host=where[0]) as client:
                    await client.hears("moved/connection", b"online")
                    await client.publish("moved/request/health", b"")
                    response = json.loads(
                        (await client.hears("moved/response")).payload
                    )
                    health = response["data"]
                    assert health["broker"] == where[1]
                    assert health["mqtt"]["failovers"] == failovers
                name = "mqtt_failovers_total"
                assert of(samples(held), name, printer="moved") == failovers
                broker.kill()
