"""The discovery message is put together when something has changed, and only then."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bridge.config import Config
from bridge.home_assistant.announcer import Announcer
from bridge.home_assistant.discovery import PAUSE, config_topic, discovery
from bridge.mqtt.broker import Broker
from bridge.mqtt.session import Presence
from bridge.printer.printer import Listeners
from bridge.printer.printer import Printer as Served
from bridge.state_files import DEVICE
from bridge.topics import Topics
from tests.support.apps import running
from tests.support.brokers import Mosquitto, mosquitto
from tests.support.mqtt_client import connected
from tests.support.waiting import until

SECONDS = 100


BUILD, TICK = discovery.__code__, Announcer.tick.__code__


@contextmanager
def counted() -> Iterator[Counter[CodeType]]:
    """Count the calls of each function while the block runs."""
    calls: Counter[CodeType] = Counter()

    def notice(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def announcer(*, enabled: bool, folder: Path | None) -> Announcer:
    config = Config.model_validate(
        {"home_assistant": {"enabled": enabled}, "printers": [{}]}
    )
    printer, topics = config.printers[0], Topics("printer")
    presence = Presence(client_id="printer", topics=topics, instance="1")
    return Announcer(
        config,
        Served(
            printer,
            Listeners(*[lambda *_: None] * 3),
            telemetry=config.telemetry,
            limits=config.limits,
        ),
        topics,
        Broker(config.mqtt, presence, lambda _message: None),
        folder=folder,
    )


async def test_a_printer_that_does_not_change_is_described_once(tmp_path: Path) -> None:
    quiet = announcer(enabled=True, folder=tmp_path)
    with counted() as calls:
        for _second in range(SECONDS):
            quiet.tick()
    assert calls[BUILD] == 1


async def test_without_discovery_it_is_never_described(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    off = announcer(enabled=False, folder=folder)
    with counted() as calls:
        for _second in range(SECONDS):
            off.tick()
    assert calls[BUILD] == 0
    assert not folder.exists()


def config_of(broker: Mosquitto, folder: Path, **printer: object) -> Config:
    return Config.model_validate(
        {
            "mqtt": {
                "host": broker.host,
                "port": broker.port,
                "state_folder": folder,
            },
            "printers": [{"serial": {"port": "simulator://marlin"}, **printer}],
        }
    )


async def test_a_running_printer_is_described_once_for_each_change(
    tmp_path: Path,
) -> None:
    file = tmp_path / f"printer{DEVICE}"
    with mosquitto() as broker:
        config = config_of(broker, tmp_path)
        with counted() as calls:
            async with running(config) as app:
                await app.online()
                await until(lambda: file.exists() and "Marlin" in file.read_text(), 20)
                await until(lambda: "ARATHE" in file.read_text(), PAUSE + 20)
                ticks = calls[TICK]
                await until(lambda: calls[TICK] > ticks + 2, 20)
        # At the start, when the firmware was known, and when the card was listed; they
        # may be one.
        assert 1 <= calls[BUILD] <= 3
        with counted() as calls:
            async with running(config) as app:
                await app.online()
                await until(lambda: calls[TICK] > 2, 20)
        assert calls[BUILD] == 1


async def test_a_new_name_and_a_new_heater_are_published(tmp_path: Path) -> None:
    changed = {"name": "The large one", "profile": {"heated_chamber": True}}
    topic = config_topic("homeassistant", "printer")
    with mosquitto() as broker, connected(broker.port, topic) as client:

        def said() -> dict[str, Any]:
            return dict(json.loads(client.payloads(topic)[-1]))

        async with running(config_of(broker, tmp_path)) as app:
            await app.online()
            await client.hears(topic)
        assert "chamber_temperature" not in said()["components"]
        async with running(config_of(broker, tmp_path, **changed)):
            await until(lambda: said()["device"]["name"] == "The large one")
            assert "chamber_temperature" in said()["components"]
        async with running(config_of(broker, tmp_path)):
            # It is removed first, and left out of the message after that one.
            gone = {"platform": "sensor"}
            await until(lambda: said()["components"].get("chamber_temperature") == gone)
            await until(
                lambda: "chamber_temperature" not in said()["components"], PAUSE + 10
            )
