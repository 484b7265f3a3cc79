"""The bridge tells Home Assistant of its printer, and again when that has started."""

import json
from pathlib import Path

from tests.support.brokers import Mosquitto
from tests.support.mqtt_client import connected
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Json, Stage, stage
from tests.support.waiting import until

SETTINGS = {"scripts": {"preheat": "M104 S200"}}
SECTIONS: Json = {
    "home_assistant": {
        "prefix": "announced",
        "birth_topic": "announced/born",
        "birth_payload": "here",
        "scripts": ["preheat", "of another printer"],
    }
}
TOPIC = "announced/device/gcode2mqtt_announcement/config"


async def test_it_is_announced_and_the_firmware_follows(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto
) -> None:
    del bridge
    with connected(broker.port, TOPIC, host=broker.host) as client:

        def firmware() -> str:
            told = json.loads(client.payloads(TOPIC)[-1])
            return str(told["device"].get("sw_version", ""))

        await client.hears(TOPIC)
        assert client.heard[0].retain
        await until(lambda: firmware().startswith("Marlin"), 20)
        components = json.loads(client.payloads(TOPIC)[-1])["components"]
    assert json.loads(components["script_preheat"]["payload_press"]) == {
        "command": "run",
        "script": "preheat",
    }
    assert len([key for key in components if key.startswith("script")]) == 1
    assert components["state"]["state_topic"].endswith("/state")


async def test_everything_is_said_again_when_home_assistant_has_started(
    bridge: Stage[SimulatedPrinter],
) -> None:
    def count(rest: str) -> int:
        return len(bridge.client.payloads(bridge.topic(rest)))

    topics = ("state", "info", "error", "job/state", "temperature", "availability")
    before = {rest: count(rest) for rest in topics}
    await bridge.client.publish("announced/born", b"gone")
    await bridge.fence()
    assert count("info") == before["info"]
    await bridge.client.publish("announced/born", b"here")
    await bridge.client.publish("announced/born", b"here")
    await until(lambda: all(count(rest) > n for rest, n in before.items()), 10)
    assert count("info") == before["info"] + 1


async def test_temperatures_follow_each_announcement(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """A sensor whose configuration has changed is unavailable until its next value."""
    topic = "homeassistant/device/gcode2mqtt_followed/config"
    slow: Json = {"telemetry": {"heartbeat": 3600, "deadband": 50}}
    with (
        simulated("simulator://marlin", tmp_path / "printer") as printer,
        connected(broker.port, topic, host=broker.host) as announced,
        stage(broker, printer, tmp_path, "followed", slow) as bridge,
    ):
        client = bridge.client

        def told(rest: str) -> int:
            return len(client.payloads(f"followed/{rest}"))

        # What changes last is the firmware, once the printer is known.
        await until(lambda: b"Marlin" in announced.payloads(topic)[-1], 20)
        rests = ("temperature", "temperature/tool0", "temperature/bed")
        before = {rest: told(rest) for rest in rests}
        await until(lambda: all(told(x) > n for x, n in before.items()), 15)


async def test_what_is_switched_off_is_cleared(
    broker: Mosquitto, tmp_path: Path
) -> None:
    sections: Json = {"mqtt": {"state_folder": str(tmp_path / "state")}}
    topic = "homeassistant/device/gcode2mqtt_announcing/config"
    with (
        simulated("simulator://marlin", tmp_path / "printer") as printer,
        connected(broker.port, topic, host=broker.host) as client,
    ):
        with stage(broker, printer, tmp_path, "announcing", sections):
            await client.hears(topic)
        off = {**sections, "home_assistant": {"enabled": False}}
        with stage(broker, printer, tmp_path, "announcing", off):
            await until(lambda: client.payloads(topic)[-1] == b"")


async def test_the_line_is_opened_again_on_request(
    bridge: Stage[SimulatedPrinter],
) -> None:
    before = len(bridge.events())
    answer = await bridge.call("link", {"command": "reconnect", "dry_run": True})
    assert (answer["status"], answer["gcode"]) == ("finished", [])
    assert len(bridge.events()) == before
    answer = await bridge.call("link", {"command": "reconnect"})
    assert answer["status"] == "finished"
    await until(lambda: "connected" in bridge.event_names(before), 15)
    assert bridge.event_names(before)[0] == "disconnected"


async def test_a_problem_is_acknowledged(bridge: Stage[SimulatedPrinter]) -> None:
    await bridge.operational()
    bridge.printer.press("maxtemp", "tool0")
    await until(lambda: bridge.latest("error")["reason"] == "maxtemp")
    await until(lambda: bridge.latest("state")["attention"] == "error")
    answer = await bridge.call("link", {"command": "acknowledge"})
    assert answer["status"] == "finished"
    await until(lambda: bridge.latest("error")["error"] == "")
    bridge.printer.reset()
    await bridge.operational(30)
