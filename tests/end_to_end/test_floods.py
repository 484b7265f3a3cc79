"""Too much at once, too large, or into nowhere: answered, bounded, and never late."""

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from paho.mqtt.enums import MQTTProtocolVersion

from bridge.config import Config
from tests.support.apps import running
from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon
from tests.support.mqtt_client import Account, connected
from tests.support.printers import ScriptedPrinter, scripted
from tests.support.proxy import Proxy, proxied
from tests.support.stages import Stage, stage
from tests.support.waiting import until

MANY = 10_000
MEGABYTE = 1_000_000
HOLE = 30.0
"""Seconds of standstill after which nothing may come out that went in."""


@pytest.fixture
def slow(broker: Mosquitto, tmp_path: Path) -> Iterator[Stage[ScriptedPrinter]]:
    """A printer that acknowledges nothing of what it is told to wait for."""
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "slow") as own,
    ):
        printer.held.add("M400")
        yield own
        printer.release()


def memory(process: Daemon) -> float:
    """Return the resident memory of the bridge, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmRSS")]
    return 1024 * int(line.split()[1])


async def test_ten_thousand_commands_at_once(slow: Stage[ScriptedPrinter]) -> None:
    before = memory(slow.daemon)
    for number in range(MANY):
        payload = json.dumps({"command": "M400", "id": f"n{number}"}).encode()
        slow.client.send(slow.topic("command"), payload)
    # A question goes past the queue, so when it is answered all has been heard.
    answer = await slow.answer(await slow.send("request/info"), 60)
    assert answer["status"] == "finished"
    assert memory(slow.daemon) - before < 60 * MEGABYTE
    stopped = await slow.call("emergency")
    assert stopped["status"] == "finished"
    await until(lambda: "M112" in slow.printer.wire.sent())
    responses = slow.topic("response")
    await until(lambda: len(slow.client.payloads(responses)) == MANY, 60)
    answers = [json.loads(one) for one in slow.client.payloads(responses)]
    assert len({answer["id"] for answer in answers}) == MANY
    outcomes = Counter(answer["error"] for answer in answers)
    assert set(outcomes) <= {"rate_limited", "queue_full", "emergency_stopped"}
    assert outcomes["emergency_stopped"] <= 256
    assert slow.printer.wire.sent().count("M400") == 1


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_fifty_megabytes(
    broker: Mosquitto, tmp_path: Path, protocol: str
) -> None:
    base = f"large-{protocol[0]}"
    sections = {"mqtt": {"protocol": protocol}}
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, base, sections) as own,
        connected(
            broker.port,
            account=Account(version=MQTTProtocolVersion.MQTTv5),
            host=broker.host,
        ) as sender,
    ):
        before = memory(own.daemon)
        await sender.publish(own.topic("command"), b" " * 50 * MEGABYTE)
        if protocol == "3.1.1":
            heard = await own.client.hears(own.topic("response"))
            answer = json.loads(heard.payload)
            assert (answer["status"], answer["code"]) == ("rejected", 400)
            assert "65536" in answer["message"]
        await sender.publish(own.topic("command"), b'{"command": "M117 next"}')
        await until(lambda: "M117 next" in printer.wire.sent())
        if protocol == "5":
            # The broker keeps to the largest packet that the bridge announced.
            assert memory(own.daemon) - before < 20 * MEGABYTE


@pytest_asyncio.fixture
async def proxy(broker: Mosquitto) -> AsyncIterator[Proxy]:
    async with proxied(broker.host, broker.port) as between:
        yield between


def through(proxy: Proxy, printer: ScriptedPrinter, folder: Path) -> Config:
    config = Config.model_validate(
        {
            "mqtt": {
                "host": "127.0.0.1",
                "port": proxy.port,
                "will_delay": 0,
                "state_folder": folder,
            },
            "printers": [{"topic": "hole", "serial": {"port": str(printer.link)}}],
        }
    )
    # Shorter than the configuration allows, for the test's sake.
    mqtt = config.mqtt.model_copy(update={"keepalive": 1})
    return config.model_copy(update={"mqtt": mqtt})


async def test_nothing_sent_into_a_black_hole_comes_out_later(
    broker: Mosquitto, proxy: Proxy, tmp_path: Path
) -> None:
    with (
        scripted(tmp_path / "printer") as printer,
        connected(broker.port, "hole/#", host=broker.host) as client,
    ):
        async with running(through(proxy, printer, tmp_path)) as app:
            await app.online()
            proxy.swallowing = True
            for number in range(10):
                payload = json.dumps({"command": f"M117 lost {number}"}).encode()
                await client.publish("hole/command", payload)
            await client.hears("hole/availability", b"offline")
            proxy.swallowing = False
            proxy.reset()
            station = app.stations[0]
            await until(lambda: station.broker.statistics.reconnects > 0)
            await app.online()
            await client.publish("hole/command", b'{"command": "M117 after"}')
            await client.hears("hole/response")
            assert "M117 after" in printer.wire.sent()
            assert not [line for line in printer.wire.sent() if "lost" in line]
            assert client.payloads("hole/availability")[-1] == b"online"
            assert client.payloads("hole/connection")[-1] == b"online"


async def test_what_a_frozen_network_held_is_not_carried_out(
    broker: Mosquitto, proxy: Proxy, tmp_path: Path
) -> None:
    """As over half a minute without radio, with the keepalive that is usual."""
    usual = Config.model_validate({"printers": [{}]}).mqtt.keepalive
    assert 2 * usual < HOLE
    with (
        scripted(tmp_path / "printer") as printer,
        connected(broker.port, "hole/#", host=broker.host) as client,
    ):
        config = through(proxy, printer, tmp_path)
        mqtt = config.mqtt.model_copy(update={"keepalive": usual})
        async with running(config.model_copy(update={"mqtt": mqtt})) as app:
            await app.online()
            proxy.thawed.clear()
            await client.publish("hole/command", b'{"command": "M117 late"}')
            own = app.stations[0].broker
            await until(lambda: not own.connected, 2 * HOLE)
            proxy.thawed.set()
            await until(lambda: own.statistics.reconnects > 0)
            await app.online()
            await client.publish("hole/command", b'{"command": "M117 after"}')
            await until(lambda: "M117 after" in printer.wire.sent())
            assert "M117 late" not in printer.wire.sent()
            assert client.payloads("hole/availability")[-1] == b"online"


async def test_a_stop_behind_a_flood_of_questions(slow: Stage[ScriptedPrinter]) -> None:
    waiting = await slow.send("command", {"command": "M400"})
    await until(lambda: "M400" in slow.printer.wire.sent())
    slow.daemon.signal(signal.SIGSTOP)  # or it may keep up with who asks
    for _ in range(MANY):
        slow.client.send(slow.topic("request/info"), b"")
    cancel = await slow.send("job", {"command": "cancel"})
    stop = await slow.send("emergency")
    slow.daemon.signal(signal.SIGCONT)
    await until(lambda: "M112" in slow.printer.wire.sent())
    responses = slow.topic("response")
    assert (await slow.answer(stop))["status"] == "finished"
    assert (await slow.answer(waiting))["error"] == "emergency_stopped"
    # The stop overtakes it on the connection for emergency stops.
    assert (await slow.answer(cancel))["error"] == "emergency_stopped"
    await until(lambda: len(slow.client.payloads(responses)) == MANY)
    answers = map(json.loads, slow.client.payloads(responses))
    outcomes = Counter(answer.get("error", answer["status"]) for answer in answers)
    assert set(outcomes) == {"finished", "queue_full"}
    topics = [one.topic for one in slow.client.heard]
    assert responses in topics[topics.index(stop) :], "some were still unanswered"


async def test_a_stop_behind_texts_that_contain_its_letters(
    slow: Stage[ScriptedPrinter],
) -> None:
    """It is sent on the same topic, so that only its class makes it go first."""
    slow.daemon.signal(signal.SIGSTOP)  # so that it finds all of them at once
    for _ in range(MANY // 2):
        slow.client.send(slow.topic("command"), b'{"command": "M117 not M112"}')
    stop = await slow.send("command", {"command": "M112"})
    slow.daemon.signal(signal.SIGCONT)
    await until(lambda: "M112" in slow.printer.wire.sent())
    assert (await slow.answer(stop))["status"] == "finished"
    responses = slow.topic("response")
    await until(lambda: len(slow.client.payloads(responses)) == MANY // 2)
    answers = map(json.loads, slow.client.payloads(responses))
    outcomes = Counter(answer.get("error", answer["status"]) for answer in answers)
    assert set(outcomes) <= {"finished", "rate_limited", "emergency_stopped"}
    assert outcomes["rate_limited"] > MANY // 4


async def test_nothing_that_waits_to_be_read_outlives_a_stop(
    slow: Stage[ScriptedPrinter],
) -> None:
    slow.daemon.signal(signal.SIGSTOP)  # so that it finds all of them at once
    for number in range(90):
        payload = json.dumps({"command": f"M117 {number}"}).encode()
        slow.client.send(slow.topic("command"), payload)
    late = await slow.send("link", {"command": "reconnect"})
    stop = await slow.send("emergency")
    slow.daemon.signal(signal.SIGCONT)
    assert (await slow.answer(stop))["status"] == "finished"
    assert (await slow.answer(late))["error"] == "emergency_stopped"
    responses = slow.topic("response")
    await until(lambda: len(slow.client.payloads(responses)) == 90)
    answers = map(json.loads, slow.client.payloads(responses))
    outcomes = Counter(answer.get("error", answer["status"]) for answer in answers)
    assert set(outcomes) <= {"finished", "emergency_stopped"}
    assert outcomes["emergency_stopped"] > 0
    assert slow.latest("state")["state"] == "error", "it was not connected anew"
    # The answer can be quicker than the printer, which has to read the line.
    await until(lambda: slow.printer.wire.sent()[-1] == "M112")
