"""Questions, and the printer's own words as answers."""

from collections.abc import Iterator, Sized
from datetime import datetime

import pytest

from bridge.simulator.host_commands import SETTINGS as STORED
from tests.support.brokers import Mosquitto
from tests.support.printers import ScriptedPrinter, SimulatedPrinter, scripted
from tests.support.stages import Stage, stage
from tests.support.waiting import until

PRINTER = "simulator://marlin?extruders=2&speed=1000"
SECTIONS = {"telemetry": {"interval": 1}}
SETTINGS: dict[str, dict[str, object]] = {
    "profile": {"extruders": 2},
    "scripts": {
        "warm": "M140 S{{ parameters.bed }} ; the bed\nM117 {{ context.word }}",
        "broken": "M117 a\nM117 {{ 1 / 0 }}",
        "peeping": "M117 {{ ''.__class__ }}",
        "breaking": "M117 {{ 'a\\nM112' }}",
        "endless": "{% for i in range(99999999) %}M117\n{% endfor %}",
    },
}
HEATERS = {"tool0", "tool1", "bed"}


async def test_the_full_state(bridge: Stage[SimulatedPrinter]) -> None:
    answer = await bridge.call("request/state", {"id": "s"})
    assert (answer["id"], answer["topic"], answer["command"]) == (
        "s",
        "request/state",
        "state",
    )
    data = answer["data"]
    assert set(data) == {"temperature", "sd", "state"}
    assert set(data["temperature"]) == HEATERS
    assert data["sd"] == {"ready": True}
    assert data["state"]["flags"]["operational"]


@pytest.mark.parametrize("exclude", ["temperature,sd", ["sd", "temperature"]])
async def test_leaving_parts_out(
    bridge: Stage[SimulatedPrinter], exclude: object
) -> None:
    answer = await bridge.call("request/state", {"exclude": exclude})
    assert set(answer["data"]) == {"state"}


async def test_the_history(bridge: Stage[SimulatedPrinter]) -> None:
    for _ in range(100):  # it grows by one point a second
        answer = await bridge.call("request/temperature", {"history": True})
        points = answer["data"]["history"]
        if len(points) >= 3:
            break
        await more(bridge.printer.wire.chunks)
    assert len(points) >= 3
    times = [point["time"] for point in points]
    assert times == sorted(times, reverse=True)
    assert set(points[0]) == {"time", *HEATERS}
    assert set(points[0]["bed"]) == {"actual", "target"}
    newest = await bridge.call("request/state", {"history": True, "limit": 2})
    assert len(newest["data"]["temperature"]["history"]) == 2
    tools = await bridge.call("request/tool", {"history": True, "limit": 1})
    assert set(tools["data"]) == {"tool0", "tool1", "history"}
    assert set(tools["data"]["history"][0]) == {"time", "tool0", "tool1"}


async def more(growing: Sized) -> None:
    """Wait until there is more of it."""
    before = len(growing)
    await until(lambda: len(growing) > before)


async def test_one_heater(bridge: Stage[SimulatedPrinter]) -> None:
    answer = await bridge.call("request/bed")
    assert set(answer["data"]) == {"bed"}
    assert set(answer["data"]["bed"]) == {"actual", "target", "offset"}
    refused = await bridge.call("request/chamber")
    assert (refused["code"], refused["error"]) == (409, "no_heated_chamber")


async def test_the_position_is_asked_for(bridge: Stage[SimulatedPrinter]) -> None:
    await bridge.call("head", {"command": "jog", "x": 12.5, "y": 3, "absolute": True})
    answer = await bridge.call("request/position")
    assert answer["gcode"] == ["M114"]
    assert answer["data"]["x"] == 12.5
    assert answer["data"].pop("time")
    assert answer["data"] == bridge.printer.firmware.position


async def test_what_the_bridge_knows_by_itself(
    bridge: Stage[SimulatedPrinter],
) -> None:
    await bridge.fence()
    before = len(bridge.printer.wire.chunks)
    assert (await bridge.call("request/sd"))["data"] == {"ready": True}
    assert (await bridge.call("request/error"))["data"]["error"] == ""
    assert (await bridge.call("request/files"))["data"] == bridge.latest("sd/files")
    assert (await bridge.call("request/scripts"))["data"] == sorted(SETTINGS["scripts"])
    info = (await bridge.call("request/info"))["data"]
    assert info["instance"] == bridge.latest("info")["instance"]
    assert bridge.printer.wire.sent(before) == []


async def test_a_ping_goes_through_the_printer(
    bridge: Stage[SimulatedPrinter],
) -> None:
    answer = await bridge.call("request/ping")
    assert (answer["status"], answer["gcode"]) == ("finished", ["M105"])
    assert answer["duration"] > 0
    assert datetime.fromisoformat(answer["time"]).utcoffset() is not None


async def test_everything_is_published_again(bridge: Stage[SimulatedPrinter]) -> None:
    topics = ("connection", "state", "temperature", "temperature/bed", "info", "error")
    names = {bridge.topic(topic) for topic in topics}
    before = len(bridge.client.heard)
    await bridge.call("request/refresh")
    await until(
        lambda: names <= {heard.topic for heard in bridge.client.heard[before:]}
    )


# Raw commands come back with what the printer said to them.


async def test_the_output_of_a_command(bridge: Stage[SimulatedPrinter]) -> None:
    settings = await bridge.call("command", {"command": "M503"})
    assert settings["output"] == [f"echo:{line}" for line in STORED]
    place = await bridge.call("command", {"command": "M114"})
    assert len(place["output"]) == 1
    assert place["output"][0].startswith("X:")
    files = await bridge.call("command", {"command": "M20"})
    assert files["output"][0] == "Begin file list"
    assert files["output"][-1] == "End file list"
    assert len(files["output"]) == 2 + len(bridge.latest("sd/files"))
    assert bridge.printer.firmware.machine.temperature_report.interval == 1


REPORT = " T:21.00 /0.00 B:21.00 /0.00 @:0 B@:0"


@pytest.fixture
def chatty(
    broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage[ScriptedPrinter]]:
    folder = tmp_path_factory.mktemp("chatty")
    answers = {
        "M115": "FIRMWARE_NAME:Marlin 2.1\nCap:AUTOREPORT_TEMP:1",
        "M503": f"echo:a\n{REPORT}\necho:b\n{REPORT}\n//action:notification Hello",
    }
    with (
        scripted(folder / "printer", answers) as printer,
        stage(broker, printer, folder, "chatty") as running,
    ):
        yield running


async def test_reports_are_not_mixed_in(chatty: Stage[ScriptedPrinter]) -> None:
    answer = await chatty.call("command", {"command": "M503"})
    assert answer["output"] == ["echo:a", "echo:b"]


async def test_a_line_that_the_firmware_does_not_know(
    bridge: Stage[SimulatedPrinter],
) -> None:
    answer = await bridge.call("command", {"commands": ["M9999", "M117 not reached"]})
    assert (answer["status"], answer["error"]) == ("failed", "firmware_error")
    assert answer["code"] == 500
    assert answer["gcode"] == ["M9999"]
    assert "M9999" in answer["message"]


# Scripts


async def test_a_script(bridge: Stage[SimulatedPrinter]) -> None:
    call = {"script": "warm", "parameters": {"bed": 40}, "context": {"word": "Hello"}}
    answer = await bridge.call("command", call)
    assert (answer["status"], answer["command"]) == ("finished", "script")
    assert answer["gcode"] == ["M140 S40", "M117 Hello"]


@pytest.mark.parametrize("name", ["broken", "peeping", "breaking", "endless"])
async def test_a_bad_script(bridge: Stage[SimulatedPrinter], name: str) -> None:
    before = len(bridge.printer.wire.chunks)
    answer = await bridge.call("command", {"script": name})
    assert (answer["status"], answer["gcode"]) == ("rejected", []), answer
    assert name in answer["message"]
    await bridge.fence()
    assert len(bridge.printer.wire.sent(before)) == 1
