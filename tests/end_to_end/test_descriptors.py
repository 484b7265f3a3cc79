"""A process that has run out of file descriptors serves what it has open."""

import json
import resource
import signal
import socket
from functools import partial
from pathlib import Path

from tests.support.brokers import Mosquitto, mosquitto
from tests.support.daemons import Daemon, daemon, none_left
from tests.support.mqtt_client import TestClient, connected
from tests.support.ports import held_port
from tests.support.printers import ScriptedPrinter, scripted
from tests.support.stages import config_of
from tests.support.waiting import until


def test_the_limit_is_raised_at_the_start(broker: Mosquitto, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        config = config_of(broker, tmp_path / "none", "limit")
        with (
            connected(broker.port, "limit/#", host=broker.host) as client,
            daemon(tmp_path, config) as process,
        ):
            while not client.payloads("limit/availability"):
                assert process.running
            limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert limits == (hard, hard)


def latest(client: TestClient, name: str, what: str) -> bytes:
    return client.payloads(f"printers/{name}/{what}")[-1]


async def is_served(client: TestClient, name: str, printer: ScriptedPrinter) -> None:
    before = len(printer.wire.chunks)
    heat = {"command": "target", "target": 50, "id": f"{name} {before}"}
    await client.publish(f"printers/{name}/bed", json.dumps(heat).encode())
    await until(lambda: "M140 S50" in printer.wire.sent(before))


def is_turned_away(visitor: socket.socket, process: Daemon) -> bool:
    """Return whether a client of HTTP waits (asyncio) or was disconnected (uvloop)."""
    if "out of system resource" in process.log:
        return True
    visitor.settimeout(0)
    try:
        return visitor.recv(1) == b""
    except BlockingIOError:
        return False


async def test_running_out_of_descriptors_costs_few_log_lines_and_no_stop(
    tmp_path: Path,
) -> None:
    with (
        mosquitto() as broker,
        scripted(tmp_path / "one") as one,
        held_port() as port,
        connected(broker.port, "printers/#", host=broker.host) as client,
    ):
        config = config_of(broker, one.link, "printers/one")
        serial = config["printers"][0]["serial"]
        two = {**serial, "port": str(tmp_path / "two")}
        config["printers"] = [{"id": "one", "serial": serial}]
        config["printers"] += [{"id": "two", "serial": two}]
        config["metrics"] = {"port": port}
        with daemon(tmp_path, config) as process:
            await client.hears("printers/one/connection", b"online")
            with none_left(process):
                with scripted(tmp_path / "two"):
                    await until(lambda: "Too many open files" in process.log)
                    await is_served(client, "one", one)
                process.signal(signal.SIGHUP)
                await until(lambda: "the old configuration remains" in process.log)
                with socket.create_connection(("127.0.0.1", port)) as visitor:
                    await until(partial(is_turned_away, visitor, process))
                await is_served(client, "one", one)
            with scripted(tmp_path / "two") as two_again:
                await client.hears("printers/two/connection", b"online")
                await is_served(client, "two", two_again)
            assert latest(client, "one", "availability") == b"online"
            lines = [x for x in process.log.splitlines() if "Too many" in x]
            assert len(lines) <= 12, lines
            before = len(one.wire.chunks)
            with none_left(process):
                await client.publish("printers/one/emergency")
                await until(lambda: "M112" in one.wire.sent(before))
            assert process.running


async def test_a_broker_that_is_back_is_reached_as_soon_as_there_are_descriptors(
    tmp_path: Path,
) -> None:
    with (
        mosquitto() as broker,
        scripted(tmp_path / "one") as one,
        daemon(tmp_path, config_of(broker, one.link, "back")) as process,
    ):
        with connected(broker.port, "back/#", host=broker.host) as client:
            await client.hears("back/connection", b"online")
        broker.kill()
        await until(lambda: "nothing listens there" in process.log)
        with none_left(process):
            broker.start()
            await until(lambda: "Too many open files" in process.log)
            assert process.running
        with connected(broker.port, "back/#", host=broker.host) as client:
            await client.hears("back/availability", b"online")
