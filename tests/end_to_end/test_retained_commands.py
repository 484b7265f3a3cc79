"""A retained command would be executed again after every restart: it never is."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.topics import COMMANDS
from tests.support.brokers import Mosquitto
from tests.support.daemons import daemon
from tests.support.mqtt_client import TestClient, connected
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Json, Stage, config_of, stage
from tests.support.waiting import DEADLINE, until

STOP = "emergency"
TOPICS = (*(topic for topic in COMMANDS if topic != STOP), "request/state")
PAYLOADS: dict[str, Json] = {
    "head": {"command": "home", "axes": []},
    "tool": {"command": "target", "targets": {"tool0": 200}},
    "bed": {"command": "target", "target": 60},
    "chamber": {"command": "target", "target": 40},
    "sd": {"command": "refresh"},
    "job": {"command": "start"},
    "command": {"command": "M106"},
}


def payload_for(topic: str) -> bytes:
    return json.dumps({"id": f"kept on {topic}", **PAYLOADS.get(topic, {})}).encode()


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[SimulatedPrinter]:
    with simulated("simulator://marlin?speed=1000", tmp_path / "printer") as running:
        yield running


async def is_kept(broker: Mosquitto, topic: str) -> bool:
    """Tell whether the broker keeps a message there."""
    with connected(broker.port, topic, "end", host=broker.host) as client:
        await client.publish("end", b"")
        await client.hears("end")
        return any(heard.topic == topic and heard.retain for heard in client.heard)


async def is_cleared(broker: Mosquitto, topic: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while await is_kept(broker, topic):
            pass


@pytest.mark.parametrize("topic", TOPICS)
async def test_while_it_runs(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto, topic: str
) -> None:
    before = len(bridge.printer.wire.chunks)
    answer = await bridge.call(topic, payload_for(topic), retain=True)
    assert (answer["status"], answer["error"]) == ("rejected", "retained")
    assert (answer["code"], answer["topic"]) == (400, topic)
    assert "RETAIN" in answer["message"]
    await bridge.fence()
    assert len(bridge.printer.wire.sent(before)) == 1
    assert not await is_kept(broker, bridge.topic(topic))
    assert f"retained command on {bridge.topic(topic)}" in bridge.daemon.log


async def test_on_mqtt_3_it_is_carried_out_once_and_its_copy_is_cleared(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    """Nothing shows the flag but a repeated subscription, a moment later."""
    topics = ("head", "request/state", "command")
    sections = {"mqtt": {"protocol": "3.1.1"}}
    with stage(broker, printer, tmp_path, "live-3", sections) as bridge:
        await bridge.operational()
        before = len(printer.wire.chunks)
        for topic in topics:
            await bridge.client.publish(
                bridge.topic(topic), payload_for(topic), retain=True
            )
        for topic in topics:
            await is_cleared(broker, bridge.topic(topic))
            named = bridge.topic(topic.replace("state", "+"))
            said = f"a command on {named} was sent with the RETAIN flag"
            assert said in bridge.daemon.log
        await bridge.client.publish(bridge.topic("request/info"), b'{"id": "end"}')
        responses = bridge.topic("response")
        await until(lambda: b'"end"' in b"".join(bridge.client.payloads(responses)))
        answers = [json.loads(one) for one in bridge.client.payloads(responses)]
        told = sorted((one["topic"], one["status"]) for one in answers)
        assert told == [(one, "finished") for one in sorted((*topics, "request/info"))]
        sent = printer.wire.sent(before)
        assert sum(line.startswith(("G28", "M106")) for line in sent) == 2


async def test_somebody_elses_clearing_is_no_command(
    bridge: Stage[SimulatedPrinter],
) -> None:
    before = len(bridge.printer.wire.chunks)
    await bridge.client.publish(bridge.topic("head"), b"", retain=True)
    fence = await bridge.fence()
    assert bridge.printer.wire.sent(before) == [fence]


@pytest.mark.parametrize("payload", [b"now", b"", b'{"id": "x"}', b"\xff"])
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_an_emergency_stop_is_carried_out_and_cleared(
    broker: Mosquitto,
    printer: SimulatedPrinter,
    tmp_path: Path,
    protocol: str,
    payload: bytes,
) -> None:
    base = f"stop-{protocol[0]}"
    sections = {"mqtt": {"protocol": protocol}}
    with stage(broker, printer, tmp_path, base, sections) as bridge:
        await until(lambda: "emergency stops are received" in bridge.daemon.log)
        topic = bridge.topic(STOP)
        await bridge.client.publish(topic, payload, retain=True)
        await until(lambda: printer.firmware.halted)
        await bridge.becomes("error")
        await is_cleared(broker, topic)
        if payload:
            await until(lambda: f"RETAIN flag on {topic}" in bridge.daemon.log)
        await bridge.client.publish(bridge.topic("request/info"), b'{"id": "end"}')
        responses = bridge.topic("response")
        await until(lambda: b'"end"' in b"".join(bridge.client.payloads(responses)))
        answers = map(json.loads, bridge.client.payloads(responses))
        told = [(answer["topic"], answer["status"]) for answer in answers]
        assert told == [(STOP, "finished"), ("request/info", "finished")]


async def test_an_emergency_stop_that_is_retained_before_the_start(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    """MQTT 5 lets us ask the broker not to send it: it may be weeks old."""
    with connected(broker.port, host=broker.host) as client:
        await client.publish("old-5/emergency", b"now", retain=True)
    with stage(broker, printer, tmp_path, "old-5") as bridge:
        await bridge.fence()
        assert bridge.latest("state")["state"] == "operational"
    with connected(broker.port, host=broker.host) as client:
        await client.publish("old-5/emergency", b"", retain=True)


async def test_a_stop_retained_before_the_start_is_carried_out_once_on_mqtt_3(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    with connected(broker.port, "old-3/#", host=broker.host) as client:
        await client.publish("old-3/emergency", b"now", retain=True)
        config = config_of(
            broker, printer.link, "old-3", {"mqtt": {"protocol": "3.1.1"}}
        )
        with daemon(tmp_path, config) as process:
            await client.hears("old-3/response")
            await is_cleared(broker, "old-3/emergency")
            assert "RETAIN flag on old-3/emergency" in process.log
            assert process.running


async def keep(client: TestClient, base: str) -> None:
    for topic in TOPICS:
        await client.publish(f"{base}/{topic}", payload_for(topic), retain=True)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_is_retained_before_it_starts_is_refused_and_cleared(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path, protocol: str
) -> None:
    base = f"kept-{protocol[0]}"
    with connected(broker.port, host=broker.host) as client:
        await keep(client, base)
    sections = {"mqtt": {"protocol": protocol}}
    with stage(broker, printer, tmp_path, base, sections) as bridge:
        responses = bridge.topic("response")
        await until(lambda: len(bridge.client.payloads(responses)) >= len(TOPICS))
        answers = [json.loads(one) for one in bridge.client.payloads(responses)]
        assert {one["topic"] for one in answers} == set(TOPICS)
        assert {one["error"] for one in answers} == {"retained"}
        assert len(answers) == len(TOPICS)
        assert bridge.printer.wire.sent() == setup_lines(bridge)
        for topic in TOPICS:
            await is_cleared(broker, f"{base}/{topic}")
        assert bridge.latest("state")["state"] == "operational"
        assert len(bridge.client.payloads(responses)) == len(TOPICS)


def setup_lines(bridge: Stage[SimulatedPrinter]) -> list[str]:
    """Return what the bridge sends by itself when it meets the printer."""
    lines = bridge.printer.wire.sent()
    return [line for line in lines if line.split()[0] in {"M110", "M876", "M21", "M20"}]
