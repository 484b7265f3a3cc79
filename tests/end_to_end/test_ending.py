"""However the bridge ends, nobody is left believing that the printer is there."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto
from tests.support.daemons import daemon
from tests.support.mqtt_client import connected
from tests.support.printers import SimulatedPrinter, scripted, simulated
from tests.support.stages import Stage, config_of, stage
from tests.support.waiting import until

PROMPTLY = 10.0  # seconds; it takes two at the most, on a machine with nothing to do


@pytest.fixture
def own(
    broker: Mosquitto, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Stage[SimulatedPrinter]]:
    base = f"ending-{request.node.name.translate(str.maketrans('[]', '--'))}"
    with (
        simulated("simulator://marlin", tmp_path / "printer") as printer,
        # A will that is published late enough not to be taken for our own word.
        stage(broker, printer, tmp_path, base, {"mqtt": {"will_delay": 300}}) as run,
    ):
        yield run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal(
    own: Stage[SimulatedPrinter], broker: Mosquitto, number: signal.Signals
) -> None:
    own.daemon.signal(number)
    assert own.daemon.ended(PROMPTLY) == 0
    assert "Traceback" not in own.daemon.log
    await own.client.hears(own.topic("availability"), b"offline")
    with connected(broker.port, f"{own.base}/#", host=broker.host) as later:
        availability = await later.hears(own.topic("availability"))
        connection = await later.hears(own.topic("connection"))
        assert (availability.payload, availability.retain) == (b"offline", True)
        assert (connection.payload, connection.retain) == (b"offline", True)
        temperature = await later.hears(own.topic("temperature"))
        state = await later.hears(own.topic("state"))
    heaters = json.loads(temperature.payload)
    for heater in ("tool0", "bed"):
        assert heaters[heater] == {"actual": None, "target": None, "offset": 0.0}
    assert json.loads(state.payload)["state"] == "offline"
    assert "disconnected" in own.event_names()


async def test_what_the_printer_is_not_told_any_more_is_answered(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "ending-waiting") as own,
    ):
        printer.held.add("G28")
        running = await own.send("head", {"command": "home", "axes": []})
        await until(lambda: "G28" in printer.wire.sent())
        waiting = await own.send("head", {"command": "jog", "x": 5})
        # A question is answered past them: so both are in the queue.
        await own.call("request/info")
        own.daemon.signal(signal.SIGTERM)
        assert own.daemon.ended(PROMPTLY) == 0
        first, second = await own.answer(running), await own.answer(waiting)
        assert (first["status"], first["error"]) == ("failed", "disconnected")
        assert first["gcode"] == ["G91", "G28"]
        assert (second["status"], second["error"]) == ("failed", "disconnected")
        assert second["gcode"] == []


async def test_killed(broker: Mosquitto, tmp_path: Path) -> None:
    with (
        simulated("simulator://marlin", tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "killed", {"mqtt": {"will_delay": 0}}) as own,
    ):
        own.daemon.signal(signal.SIGKILL)
        assert own.daemon.ended(PROMPTLY) == -signal.SIGKILL
        await own.client.hears("killed/availability", b"offline")
        with connected(broker.port, "killed/#", host=broker.host) as later:
            heard = await later.hears("killed/availability")
        assert (heard.payload, heard.retain) == (b"offline", True)


async def test_a_signal_before_anything_is_there(tmp_path: Path) -> None:
    nowhere = {"mqtt": {"host": "127.0.0.1", "port": 1}}
    config = {**nowhere, "printers": [{"serial": {"port": str(tmp_path / "none")}}]}
    with daemon(tmp_path, config) as process:
        await until(lambda: "127.0.0.1:1" in process.log)
        process.signal(signal.SIGTERM)
        assert process.ended(PROMPTLY) == 0


async def test_a_signal_while_the_printer_says_nothing(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        scripted(tmp_path / "printer", silent=True) as printer,
        connected(broker.port, "mute/#", host=broker.host) as client,
        daemon(tmp_path, config_of(broker, printer.link, "mute")) as process,
    ):
        await client.hears("mute/availability", b"online")
        await until(lambda: bool(printer.wire.chunks))
        process.signal(signal.SIGINT)
        await asyncio.to_thread(process.ended, PROMPTLY)
        assert process.ended() == 0
        await client.hears("mute/availability", b"offline")
