"""The broker and the printer come and go; the bridge stays."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.daemons import daemon
from tests.support.mqtt_client import connected
from tests.support.printers import SimulatedPrinter, scripted, simulated
from tests.support.stages import Stage, config_of, stage
from tests.support.waiting import until

ABSENT = 30.0
"""Seconds until the bridge must have tried again; its pauses grow."""


@pytest.fixture
def own_broker() -> Iterator[Mosquitto]:
    with mosquitto(Spec(), start=False) as prepared:
        yield prepared


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[SimulatedPrinter]:
    with simulated("simulator://marlin", tmp_path / "printer") as running:
        yield running


# The broker


async def test_the_broker_comes_later_and_comes_back(
    own_broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    config = config_of(own_broker, printer.link, "early")
    with daemon(tmp_path, config) as process:
        await until(lambda: "nothing listens there" in process.log)
        own_broker.start()
        await table_is_there(own_broker)
        own_broker.stop()
        own_broker.start()  # without what it had retained
        await table_is_there(own_broker)
        process.signal(signal.SIGTERM)
        assert process.ended() == 0


async def table_is_there(broker: Mosquitto) -> None:
    with connected(broker.port, "early/#", host=broker.host) as client:
        await until(
            lambda: client.payloads("early/availability")[-1:] == [b"online"],
            ABSENT,
        )
        await until(lambda: client.payloads("early/connection")[-1:] == [b"online"])
        for rest in ("state", "temperature", "temperature/bed", "info", "error"):
            await client.hears(f"early/{rest}")
        assert json.loads(client.payloads("early/state")[-1])["state"] == "operational"
        await client.publish("early/request/ping", b'{"id": "there"}')
        heard = await client.hears("early/response")
        assert json.loads(heard.payload)["status"] == "finished"


async def test_commands_are_not_kept_for_an_absent_bridge(
    broker: Mosquitto, tmp_path: Path, printer: SimulatedPrinter
) -> None:
    with connected(broker.port, host=broker.host) as client:
        await client.publish("absent/command", b'{"command": "M106"}')
    with stage(broker, printer, tmp_path, "absent") as bridge:
        await bridge.fence()
        assert "M106" not in printer.wire.sent()


# The printer


async def test_the_printer_comes_later(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    printer.unplug()
    with (
        connected(broker.port, "later/#", "reply/#", host=broker.host) as client,
        daemon(tmp_path, config_of(broker, printer.link, "later")) as process,
    ):
        bridge = Stage("later", client, process, printer)
        await client.hears("later/availability", b"online")
        await bridge.becomes("offline")
        assert client.payloads("later/connection")[-1] == b"offline"
        bed = bridge.latest("temperature")["bed"]
        assert bed == {"actual": None, "target": None, "offset": 0.0}
        await until(lambda: str(printer.link) in process.log)
        await until(lambda: str(printer.link) in bridge.latest("state")["error"])
        assert bridge.latest("error")["error"] == "", "it may just be switched off"
        refused = await bridge.call("bed", {"command": "target", "target": 60})
        assert (refused["code"], refused["error"]) == (409, "not_operational")
        printer.plug()
        await bridge.operational(ABSENT)
        assert client.payloads("later/connection")[-1] == b"online"
        assert bridge.latest("state")["error"] == ""


async def test_the_cable_is_pulled(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    with stage(broker, printer, tmp_path, "pulled") as bridge:
        before = len(printer.wire.chunks)
        lines = ["G4 S600", "M106 S255"]
        running = await bridge.send("command", {"commands": lines})
        await until(lambda: printer.wire.sent(before) == lines[:1])
        waiting = await bridge.send("bed", {"command": "target", "target": 60})
        await bridge.call("request/info")
        printer.unplug()

        first, second = await bridge.answer(running), await bridge.answer(waiting)
        assert (first["status"], first["error"]) == ("failed", "disconnected")
        assert (first["code"], first["gcode"]) == (503, lines[:1])
        assert (second["error"], second["gcode"]) == ("disconnected", [])
        state = await bridge.becomes("offline")
        assert (state["text"], state["attention"]) == ("Offline", "none"), "it is cold"
        assert bridge.client.payloads("pulled/connection")[-1] == b"offline"
        unknown = {"actual": None, "target": None, "offset": 0.0}
        await until(lambda: bridge.latest("temperature")["bed"] == unknown)
        await until(lambda: bridge.latest("temperature/bed")["target"] is None)
        told = bridge.client.payloads("pulled/temperature/bed")
        assert {json.loads(one)["target"] for one in told} == {0.0, None}
        assert bridge.latest("info")["firmware"] is None
        await until(lambda: "disconnected" in bridge.event_names())
        assert "error" not in bridge.event_names()
        assert bridge.latest("error")["error"] == ""

        printer.plug()
        printer.reset()
        await bridge.operational(ABSENT)
        await until(lambda: bridge.latest("error")["error"] == "")
        await bridge.fence()
        sent = printer.wire.sent(before)
        assert sent.count("G4 S600") == 1
        assert "M106 S255" not in sent
        assert "M140 S60" not in sent


async def test_the_cable_is_pulled_while_the_bed_is_hot(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    with stage(broker, printer, tmp_path, "hot") as bridge:
        await bridge.call("bed", {"command": "target", "target": 60})
        await until(lambda: bridge.latest("temperature")["bed"]["target"] == 60)
        printer.unplug()
        state = await bridge.becomes("offline")
        assert (state["text"], state["attention"]) == ("Offline after error", "error")
        await until(lambda: bridge.latest("error")["error"] != "")
        error = bridge.latest("error")
        assert (error["reason"], error["consequence"]) == ("connection", "disconnected")
        assert error["severity"] == "error"
        printer.plug()
        await bridge.operational(ABSENT)
        await until(lambda: bridge.latest("error")["error"] == "")


async def test_a_printer_that_says_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    with (
        scripted(tmp_path / "printer", silent=True) as printer,
        connected(broker.port, "silent/#", "reply/#", host=broker.host) as client,
        daemon(
            tmp_path,
            config_of(
                broker, printer.link, "silent", {"serial": {"connect_timeout": 0.5}}
            ),
        ) as process,
    ):
        bridge = Stage("silent", client, process, printer)
        await bridge.becomes("connecting")
        await bridge.becomes("offline")
        await until(lambda: "WARNING" in process.log)
        assert client.payloads("silent/connection")[-1] == b"offline"
        printer.silent = False
        await bridge.operational(ABSENT)


async def test_a_printer_that_falls_silent(broker: Mosquitto, tmp_path: Path) -> None:
    sections = {"serial": {"ok_timeout": 0.5}}
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "fallen", sections) as bridge,
    ):
        printer.mute_at = "M106"
        answer = await bridge.call("command", {"commands": ["M106 S1", "M107"]})
        assert answer["status"] == "failed"
        assert answer["error"] in {"timeout", "disconnected"}
        assert answer["gcode"] == ["M106 S1"]
        await until(
            lambda: bridge.client.payloads("fallen/connection")[-1] == b"offline"
        )
        printer.mute_at, printer.silent = "", False
        await bridge.operational(ABSENT)


# Two bridges


async def test_two_bridges_on_one_topic(
    broker: Mosquitto, printer: SimulatedPrinter, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    with stage(broker, printer, tmp_path, "shared") as bridge:
        nowhere = config_of(broker, tmp_path / "nowhere", "shared")
        nowhere["printers"][0]["id"] = "another"
        with daemon(folder, nowhere) as second:
            await until(lambda: "another bridge" in second.log)
            assert "shared/" in second.log
            assert second.running
        await bridge.fence()
        assert bridge.client.payloads("shared/availability")[-1] == b"online"
        assert bridge.latest("state")["state"] == "operational"


async def test_a_busy_bridge_is_not_overlooked(
    broker: Mosquitto, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "busy") as bridge,
    ):
        printer.held.add("G28")
        running = await bridge.send("head", {"command": "home", "axes": []})
        await until(lambda: any("G28" in line for line in printer.wire.sent()))
        nowhere = config_of(broker, tmp_path / "nowhere", "busy")
        nowhere["printers"][0]["id"] = "another"
        with daemon(folder, nowhere) as second:
            await until(lambda: "another bridge" in second.log)
            assert second.running
        printer.release()
        assert (await bridge.answer(running))["status"] == "finished"


async def test_two_bridges_on_one_port(broker: Mosquitto, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    with (
        scripted(tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, "first") as bridge,
        connected(broker.port, "second/#", host=broker.host) as client,
    ):
        await bridge.fence()
        before = len(printer.wire.chunks)
        with daemon(folder, config_of(broker, printer.link, "second")) as second:
            await until(lambda: "WARNING" in second.log)
            assert str(printer.link) in second.log
            assert "in use" in second.log
            await client.hears("second/connection", b"offline")
        assert printer.wire.sent(before) == []
        await bridge.fence()
