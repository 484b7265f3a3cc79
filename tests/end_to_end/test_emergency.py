"""When the firmware refuses, stops, is stopped, and is reset."""

from pathlib import Path

import pytest_asyncio

from bridge.printer.published import documents
from tests.support.brokers import Mosquitto
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Stage, reset, stage
from tests.support.waiting import until

PRINTER = "simulator://marlin"
LONG = {"command": "G4 S120"}
JOG = {"command": "jog", "x": 5}


@pytest_asyncio.fixture
async def fresh(bridge: Stage[SimulatedPrinter]) -> Stage[SimulatedPrinter]:
    """The bridge, with a printer that was just reset."""
    await reset(bridge)
    return bridge


async def test_a_line_that_the_firmware_refuses(
    fresh: Stage[SimulatedPrinter],
) -> None:
    """Whatever happens, the modes are given back."""
    before = len(fresh.printer.wire.chunks)
    answer = await fresh.call("tool", {"command": "extrude", "amount": 5})
    assert (answer["status"], answer["error"]) == ("failed", "firmware_error")
    assert answer["code"] == 500
    assert "cold extrusion" in answer["message"]
    assert any("cold extrusion" in line for line in answer["output"])
    assert answer["gcode"] == ["G91", "M83", "G1 E5 F300", "M82", "G90"]
    await fresh.fence()
    assert fresh.printer.wire.sent(before)[:-1] == answer["gcode"]
    assert fresh.printer.firmware.modal["relative"] is False
    assert fresh.printer.firmware.modal["relative_e"] is False


async def test_an_emergency_stop(fresh: Stage[SimulatedPrinter]) -> None:
    await fresh.call("bed", {"command": "target", "target": 60})
    before, events = len(fresh.printer.wire.chunks), len(fresh.events())
    running = await fresh.send("command", LONG)
    await until(lambda: fresh.printer.wire.sent(before) == ["G4 S120"])
    waiting = await fresh.send("head", JOG)
    await fresh.call("request/info")

    stopped = await fresh.call("emergency", b"whatever \xff")
    assert (stopped["status"], stopped["gcode"]) == ("finished", ["M112"])
    for reply in (running, waiting):
        answer = await fresh.answer(reply)
        assert (answer["status"], answer["code"]) == ("failed", 503)
        assert answer["error"] == "emergency_stopped"
    assert answer["gcode"] == []
    await until(lambda: fresh.printer.firmware.halted)
    assert fresh.printer.firmware.machine.heaters["bed"].target == 0

    state = await fresh.becomes("error")
    assert state["flags"]["error"]
    assert state["flags"]["closedOrError"]
    assert fresh.client.payloads(fresh.topic("connection"))[-1] == b"offline"
    temperature = fresh.latest("temperature")
    assert temperature["bed"] == {"actual": None, "target": None, "offset": 0.0}
    error = fresh.latest("error")
    assert set(error) == set(documents.Error.model_fields)
    assert error["consequence"] == "stopped"
    assert any("M112" in line for line in error["logs"])
    assert "error" in fresh.event_names(events)

    refused = await fresh.call("head", JOG)
    assert (refused["code"], refused["error"]) == (409, "not_operational")
    data = (await fresh.call("request/error"))["data"]
    # Late lines may have been added to the log since.
    await until(lambda: fresh.latest("error") == data)
    assert data["error"] == error["error"]
    again = await fresh.call("emergency")
    assert again["status"] == "finished"
    # Each of the two arrives on two connections, and is answered once.
    await until(lambda: fresh.printer.wire.sent(before).count("M112") == 4)
    assert set(fresh.printer.wire.sent(before)) == {"G4 S120", "M112"}

    names = await reset(fresh)
    assert names.index("printer_reset") < names.index("connected")
    assert (await fresh.call("head", JOG))["status"] == "finished"


async def test_an_emergency_stop_by_raw_gcode(
    fresh: Stage[SimulatedPrinter],
) -> None:
    before = len(fresh.printer.wire.chunks)
    running = await fresh.send("command", LONG)
    await until(lambda: fresh.printer.wire.sent(before) == ["G4 S120"])
    stopped = await fresh.call("command", {"commands": ["G28", "M112"]})
    assert (stopped["status"], stopped["gcode"]) == ("finished", ["M112"])
    assert (await fresh.answer(running))["error"] == "emergency_stopped"
    await fresh.becomes("error")
    await until(lambda: fresh.printer.firmware.halted)
    await reset(fresh)


async def test_a_firmware_that_stops_by_itself(
    fresh: Stage[SimulatedPrinter],
) -> None:
    before, events = len(fresh.printer.wire.chunks), len(fresh.events())
    running = await fresh.send("command", LONG)
    await until(lambda: fresh.printer.wire.sent(before) == ["G4 S120"])
    waiting = await fresh.send("head", JOG)
    await fresh.call("request/info")
    fresh.printer.press("maxtemp", "tool0")
    for reply in (running, waiting):
        answer = await fresh.answer(reply)
        assert (answer["status"], answer["error"]) == ("failed", "firmware_error")
        assert answer["code"] == 500
        assert "MAXTEMP" in answer["message"]
    state = await fresh.becomes("error")
    assert "MAXTEMP" in state["error"]
    await until(lambda: bool(fresh.latest("error")["logs"]))
    error = fresh.latest("error")
    assert (error["reason"], error["consequence"]) == ("maxtemp", "halted")
    assert any("MAXTEMP" in line for line in error["logs"])
    event = next(e for e in fresh.events(events) if e["event"] == "error")
    assert event["reason"] == "maxtemp"
    await reset(fresh)


async def test_a_reset_while_a_command_runs(fresh: Stage[SimulatedPrinter]) -> None:
    """Lines of before are never sent to the firmware of afterwards."""
    before, events = len(fresh.printer.wire.chunks), len(fresh.events())
    running = await fresh.send("command", {"commands": ["G4 S120", "M106 S1"]})
    await until(lambda: fresh.printer.wire.sent(before) == ["G4 S120"])
    waiting = await fresh.send("head", JOG)
    await fresh.call("request/info")
    fresh.printer.reset()
    first, second = await fresh.answer(running), await fresh.answer(waiting)
    assert (first["error"], first["gcode"]) == ("disconnected", ["G4 S120"])
    assert (second["error"], second["gcode"]) == ("disconnected", [])
    await until(lambda: "connected" in fresh.event_names(events))
    await fresh.fence()
    sent = fresh.printer.wire.sent(before)
    assert sent.count("G4 S120") == 1
    assert "M106 S1" not in sent
    assert "G91" not in sent


async def test_a_stop_while_the_printer_is_unplugged(
    fresh: Stage[SimulatedPrinter],
) -> None:
    """It is kept, said so, and sent before anything else."""
    fresh.printer.unplug()
    await until(
        lambda: fresh.client.payloads(fresh.topic("connection"))[-1] == b"offline"
    )
    answer = await fresh.call("emergency")
    assert (answer["status"], answer["code"]) == ("failed", 503)
    assert answer["error"] == "disconnected"
    assert "kept" in answer["message"]
    await until(lambda: "kept" in fresh.latest("error")["error"])
    assert fresh.latest("error")["reason"] == "emergency_stop"
    before = len(fresh.printer.wire.chunks)
    fresh.printer.plug()
    await until(lambda: fresh.printer.firmware.halted)
    assert fresh.printer.wire.sent(before)[0] == "M112"
    await until(lambda: "was sent when it was back" in fresh.latest("error")["error"])
    await reset(fresh)
    assert (await fresh.call("head", JOG))["status"] == "finished"


async def test_klipper_is_brought_back_by_a_command(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        simulated("simulator://klipper?speed=100", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "klipper") as bridge,
    ):
        refused = await bridge.call("head", JOG)
        assert (refused["status"], refused["error"]) == ("failed", "firmware_error")
        assert "home" in refused["message"].lower()
        assert refused["gcode"][-1] == "G90"  # and is where it was

        assert (await bridge.call("emergency"))["status"] == "finished"
        await bridge.becomes("error")
        blocked = await bridge.call("command", {"command": "M106 S1"})
        assert blocked["error"] == "not_operational"
        back = await bridge.call("command", {"command": "FIRMWARE_RESTART"})
        assert back["status"] == "finished"
        await bridge.operational()
        assert (await bridge.call("head", {"command": "home", "axes": []}))[
            "status"
        ] == "finished"
