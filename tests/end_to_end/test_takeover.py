"""Other clients that use the bridge's client id or topics: nothing of ours ends."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bridge.home_assistant.discovery import config_topic
from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon, daemon, wait_for
from tests.support.mqtt_client import Account, TestClient, connected
from tests.support.printers import ScriptedPrinter, SimulatedPrinter, scripted
from tests.support.printers import simulated as simulated_printer
from tests.support.stages import Stage, config_of, stage
from tests.support.waiting import DEADLINE, until

TIMES = 8


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[SimulatedPrinter]:
    url = "simulator://marlin?speed=1000"
    with simulated_printer(url, tmp_path / "printer") as running:
        yield running


def replaced(client: TestClient, topic: str) -> bool:
    """Tell whether the latest value of a topic is not the forged one."""
    return client.payloads(topic)[-1] != b"forged"


def client_ids(log: str) -> list[str]:
    """Return the client ids that a bridge says it connected with."""
    return re.findall(r"connected as (\S+),", log)


def connected_again(process: Daemon, before: int) -> bool:
    """Tell whether a bridge has connected since it had done so a number of times."""
    return len(client_ids(process.log)) > before


def rivals(broker: Mosquitto, client_id: str, times: int = TIMES) -> None:
    """Connect with a client id, again and again."""
    for _ in range(times):
        with connected(
            broker.port, account=Account(client_id=client_id), host=broker.host
        ):
            pass


async def stops(bridge: Stage[SimulatedPrinter], *, connected_too: bool) -> None:
    """Stop the printer, and reset it.

    If the printer's own connection is up as well, a copy of the stop comes on it, which
    must not come after the reset.
    """
    await bridge.client.publish(bridge.topic("emergency"))
    await until(lambda: bridge.printer.firmware.halted)
    if connected_too:
        await bridge.call("request/info")  # it comes after the copy of the stop
    events = len(bridge.events())
    bridge.printer.reset()
    await until(lambda: "connected" in bridge.event_names(events))


@pytest.mark.parametrize("named", ["gcode2mqtt", "gcode2mqtt-{id}", "{id}", "printer"])
async def test_client_ids_that_can_be_guessed_are_not_ours(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path, named: str
) -> None:
    base = f"guessed-{len(named)}"
    with stage(broker, printer, tmp_path, base) as bridge:
        rivals(broker, named.format(id=base))
        await stops(bridge, connected_too=True)
        assert bridge.client.payloads(bridge.topic("availability")) == [b"online"]
        assert len(client_ids(bridge.daemon.log)) == 1


async def test_a_client_id_is_the_same_after_a_restart(
    broker: Mosquitto, tmp_path: Path
) -> None:
    used = []
    config = config_of(broker, tmp_path / "nothing", "again")
    for _ in range(2):
        with daemon(tmp_path, config) as process:
            wait_for(partial(connected_again, process, 0), "connecting", 2 * DEADLINE)
            used += client_ids(process.log)
    assert len(set(used)) == 1
    assert re.fullmatch("gcode2mqtt-again-[0-9a-f]{16}", used[0])


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_whoever_knows_the_client_id_ends_nothing_either(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path, protocol: str
) -> None:
    base = f"known-{protocol[0]}"
    sections = {"mqtt": {"protocol": protocol, "client_id": f"workshop-{base}"}}
    with stage(broker, printer, tmp_path, base, sections) as bridge:
        log = bridge.daemon
        availability = bridge.topic("availability")
        await until(lambda: "emergency stops are received" in log.log)
        await bridge.client.hears(availability, b"online")
        for _ in range(2):
            known = len(client_ids(log.log))
            online = bridge.client.payloads(availability).count(b"online")
            rivals(broker, f"workshop-{base}", 1)
            await stops(bridge, connected_too=False)
            await until(partial(connected_again, log, known))
            # Until then it may as well have been a topic that the bridge has no right
            # to: they are tried one at a time.
            await until(
                lambda: bridge.client.payloads(availability).count(b"online") > online  # noqa: B023 - called at once
            )
        await until(lambda: bridge.client.payloads(availability)[-1] == b"online")
        assert client_ids(log.log)[-1] != f"workshop-{base}"
        connections = len(client_ids(log.log))
        rivals(broker, f"workshop-{base}")
        await bridge.client.publish(bridge.topic("emergency"))
        await until(lambda: bridge.printer.firmware.halted)
        assert len(client_ids(log.log)) == connections
        assert log.running
        errors = [one for one in bridge.events() if one["event"] == "error"]
        reasons = [one["reason"] for one in errors]
        assert reasons.count("client_conflict") == 1
        await until(lambda: "took over" in str(bridge.latest("health")["conflict"]))
        assert bridge.latest("health")["problem"] is None
        assert bridge.latest("health")["emergency_connection"]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[ScriptedPrinter]:
    with scripted(tmp_path / "newcomer") as other:
        yield other


@pytest.mark.parametrize("same_topic", [True, False])
async def test_a_newcomer_does_not_open_the_port(
    broker: Mosquitto,
    printer: SimulatedPrinter,
    line: ScriptedPrinter,
    tmp_path: Path,
    same_topic: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """It serves the same topics, or the same device in Home Assistant."""
    base = f"first-{same_topic}".lower()
    with stage(broker, printer, tmp_path, base, id="shared") as bridge:
        await until(lambda: bridge.daemon.running)
        with connected(broker.port, "homeassistant/#", host=broker.host) as watcher:
            await watcher.hears(config_topic("homeassistant", "shared"))
        folder = tmp_path / "second"
        folder.mkdir()
        other = base if same_topic else f"{base}-elsewhere"
        config = config_of(broker, line.link, other, id="shared")
        config["mqtt"]["state_folder"] = str(folder)
        with daemon(folder, config) as newcomer:
            await until(lambda: "another bridge" in newcomer.log)
            await bridge.fence()
            assert newcomer.running
            assert line.wire.sent() == []
            assert bridge.client.payloads(bridge.topic("availability")) == [b"online"]
            bridge.daemon.close()
            await until(lambda: bool(line.wire.sent()))


async def test_a_printer_is_used_without_a_broker(
    line: ScriptedPrinter, tmp_path: Path, broker: Mosquitto
) -> None:
    config = config_of(broker, line.link, "alone")
    config["mqtt"]["port"] = 1  # nothing listens there
    with daemon(tmp_path, config):
        await until(lambda: bool(line.wire.sent()))


async def test_forged_documents_are_replaced(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    with stage(broker, printer, tmp_path, "forged") as bridge:
        client = bridge.client
        for rest in ("state", "connection", "info", "error", "temperature"):
            topic = bridge.topic(rest)
            await client.publish(topic, b"forged", retain=True)
            await client.hears(topic, b"forged")
            await until(partial(replaced, client, topic))
