"""What the broker is told, how often, and on which topics."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bridge.app.publisher import ONLY_IN_STATE
from bridge.app.station import Station
from bridge.commands.accessories import Accessories
from bridge.config import Config, PrinterConfig
from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import PositionReport
from bridge.printer.knowledge.model import PrinterState, evolve
from bridge.printer.knowledge.print_table import PrintJob
from bridge.printer.published import views
from bridge.printer.published.about import InfoContext, info
from tests.support.apps import running
from tests.support.brokers import Mosquitto, mosquitto
from tests.support.mqtt_client import TestClient, connected
from tests.support.waiting import until


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as server:
        yield server


@asynccontextmanager
async def published(
    broker: Mosquitto, folder: Path, base: str, **sections: dict[str, Any]
) -> AsyncIterator[tuple[Station, TestClient]]:
    """Run a bridge with a simulated printer, and hear what it publishes."""
    own = {"host": broker.host, "port": broker.port, "state_folder": str(folder)}
    printer = {"id": base, "topic": base, "serial": {"port": "simulator://marlin"}}
    config = Config.model_validate(
        {**sections, "mqtt": own | sections.get("mqtt", {}), "printers": [printer]}
    )
    with connected(broker.port, f"{base}/#", host=broker.host) as client:
        async with running(config) as bridge:
            await bridge.online()
            await client.hears(f"{base}/availability", b"online")
            yield bridge.stations[0], client


async def asked(client: TestClient, base: str, what: str) -> None:
    """Ask a question until it is answered, so that all before has arrived."""
    before = len(client.payloads(f"{base}/response"))
    await client.publish(f"{base}/request/{what}", b"")
    await until(lambda: len(client.payloads(f"{base}/response")) > before)


async def test_what_says_nothing_new_is_not_published_again(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with published(broker, tmp_path, "still") as (station, client):
        await asked(client, "still", "ping")
        topics = [f"still/{rest}" for rest in ("state", "info", "error", "connection")]
        before = [len(client.payloads(topic)) for topic in topics]
        temperatures = len(client.payloads("still/temperature"))
        for _ in range(3):
            station.publisher.changed()
            await asked(client, "still", "ping")
        assert [len(client.payloads(topic)) for topic in topics] == before
        assert len(client.payloads("still/temperature")) == temperatures


async def test_a_dead_bridge_leaves_no_living_temperatures(
    broker: Mosquitto, tmp_path: Path
) -> None:
    telemetry = {"heartbeat": 5}
    async with published(broker, tmp_path, "dead", telemetry=telemetry) as (_, client):
        for topic in ("dead/temperature", "dead/temperature/bed"):
            heard = await client.hears(topic)
            assert heard.expiry is not None
            assert 0 < heard.expiry <= 15


async def test_no_topics_for_single_heaters(broker: Mosquitto, tmp_path: Path) -> None:
    off = {"per_heater_topics": False}
    async with published(broker, tmp_path, "few", mqtt=off) as (_, client):
        await client.hears("few/temperature")
        await asked(client, "few", "ping")
        assert not any("temperature/" in heard.topic for heard in client.heard)


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_console(broker: Mosquitto, tmp_path: Path, *, wanted: bool) -> None:
    base = f"console-{wanted}".lower()
    on = {"console": wanted}
    async with published(broker, tmp_path, base, mqtt=on) as (_, client):
        await asked(client, base, "position")
        lines = [line.decode() for line in client.payloads(f"{base}/console")]
    assert any(line.startswith(">>> ") and "M114" in line for line in lines) is wanted
    assert any(line.startswith("<<< ok") for line in lines) is wanted


async def test_events_are_numbered(broker: Mosquitto, tmp_path: Path) -> None:
    async with published(broker, tmp_path, "told") as (station, client):
        station.publisher.event("first", more=1)
        await client.publish("told/head", b"{}")
        await asked(client, "told", "ping")
        events = [json.loads(event) for event in client.payloads("told/event")]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        first = next(event for event in events if event["event"] == "first")
        assert first["more"] == 1
        refused = next(e for e in events if e["event"] == "command_rejected")
        assert (refused["topic"], refused["error"]) == ("head", "invalid_payload")


async def test_the_health_counts(broker: Mosquitto, tmp_path: Path) -> None:
    async with published(broker, tmp_path, "well") as (station, client):
        await asked(client, "well", "ping")
        health = station.publisher.health()
        assert (health.serial["lines"] or 0) >= 3
        assert health.serial["reconnects"] == 0
        assert health.mqtt["received"] == 1
        assert health.mqtt["refused"] == 0
        trip = health.round_trip
        assert trip.median is not None
        assert trip.p99 is not None
        assert trip.median <= trip.p99


async def test_the_health_is_told_anew_when_the_printer_comes_back(
    broker: Mosquitto, tmp_path: Path
) -> None:
    rare = {"heartbeat": 3600}
    async with published(broker, tmp_path, "fresh", telemetry=rare) as (
        station,
        client,
    ):
        await until(lambda: figure(client, "fresh", "serial", "lines") > 0)
        station.printer.link.reconnect()
        await until(lambda: figure(client, "fresh", "serial", "reconnects") == 1)


async def test_the_health_is_told_anew_when_the_broker_comes_back(
    tmp_path: Path,
) -> None:
    rare = {"heartbeat": 3600}
    with mosquitto() as own:
        async with published(own, tmp_path, "back", telemetry=rare) as (station, _):
            own.kill()
            await until(lambda: not station.broker.connected)
            own.start()
            await until(lambda: station.broker.statistics.reconnects == 1)
            with connected(own.port, "back/#", host=own.host) as late:
                await until(lambda: figure(late, "back", "mqtt", "reconnects") == 1)


def figure(client: TestClient, base: str, side: str, name: str) -> int:
    """Return a figure of the latest ``health``; -1: there is none yet."""
    documents = client.payloads(f"{base}/health")
    return int(json.loads(documents[-1])[side][name]) if documents else -1


@pytest.mark.parametrize("job", [PrintJob(), PrintJob(phase="printing", file="a.gco")])
def test_what_is_only_in_state_changes_no_other_document(job: PrintJob) -> None:
    def others(state: PrinterState) -> list[BaseModel]:
        about = InfoContext(version="1", instance="x", family="marlin", topics={})
        return [
            info(state, PrinterConfig(), about, now=5.0, epoch=9.0),
            views.error(state, epoch=9.0),
            views.files(state),
            views.totals(state),
            views.job_state(state, now=5.0, epoch=9.0),
        ]

    state = PrinterState(link="operational", job=job)
    changes = {
        "modal": Modal(relative=True, tool=1, fan=50.0, speed_factor=2.0),
        "accessories": Accessories(display="Hello", z_offset=0.2),
        "position": PositionReport(x=1.0, y=2.0, z=3.0),
        "moved": True,
        "displaced": True,
    }
    assert set(changes) == set(ONLY_IN_STATE)
    for name, value in changes.items():
        changed = evolve(state, **{name: value})
        assert changed != state, name
        assert others(changed) == others(state), name
