"""Heaters without a reason to be on are turned off, by the real daemon."""

import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import cycle
from pathlib import Path

import yaml

from tests.support.brokers import Mosquitto
from tests.support.daemons import Daemon
from tests.support.printers import SimulatedPrinter, Wire, simulated
from tests.support.stages import Json, Stage, stage
from tests.support.waiting import until

SECONDS = 6.0
FILE = "ARATHE~1.GCO"
OFF = ["M104 S0", "M140 S0"]
Hot = Stage[SimulatedPrinter]


@asynccontextmanager
async def watched(
    broker: Mosquitto,
    folder: Path,
    base: str,
    seconds: float = SECONDS,
    **settings: object,
) -> AsyncIterator[Hot]:
    """Run a printer whose heaters must not be idle for long."""
    profile = {"idle_heaters": seconds / 60}
    state = {"mqtt": {"state_folder": str(folder / "state")}}
    url = "simulator://marlin?speed=30"
    with (
        simulated(url, folder / "printer") as printer,
        stage(
            broker, printer, folder, base, state, profile=profile, **settings
        ) as bridge,
    ):
        await bridge.operational()
        yield bridge


async def heat(bridge: Hot) -> None:
    """Turn the bed and the nozzle on."""
    answer = await bridge.call("command", {"commands": ["M140 S60", "M104 S200"]})
    assert answer["code"] == 200


def named(bridge: Hot, name: str) -> list[Json]:
    return [event for event in bridge.events() if event["event"] == name]


def moment(event: Json, field: str = "time") -> float:
    return datetime.fromisoformat(event[field]).timestamp()


def off_at(bridge: Hot) -> str | None:
    told: str | None = bridge.latest("state")["heaters_off_at"]
    return told


def is_off(bridge: Hot) -> bool:
    said = bridge.latest("temperature")
    return [said[name]["target"] for name in ("tool0", "bed")] == [0, 0]


def has_moved(bridge: Hot, since: int) -> bool:
    return "position" in bridge.event_names(since)


async def test_a_warning_and_then_the_end(broker: Mosquitto, tmp_path: Path) -> None:
    async with watched(broker, tmp_path, "unused") as bridge:
        await heat(bridge)
        await until(lambda: off_at(bridge) is not None)
        states = len(bridge.client.payloads("unused/state"))
        await until(lambda: bool(named(bridge, "heaters_idle")))
        warning = named(bridge, "heaters_idle")[0]
        assert warning["heaters"] == ["tool0", "bed"]
        assert moment(warning, "off_at") > moment(warning)
        await until(lambda: bool(named(bridge, "heaters_off")))
        end = named(bridge, "heaters_off")[0]
        assert end["heaters"] == ["tool0", "bed"]
        assert moment(end) >= moment(warning, "off_at") - 1.0  # it is in whole seconds
        assert [x for x in bridge.printer.wire.sent() if x in OFF] == OFF
        await until(lambda: is_off(bridge) and off_at(bridge) is None)
        assert len(named(bridge, "heaters_idle")) == len(named(bridge, "heaters_off"))
        log = bridge.daemon.log
        assert log.count("turned off tool0, bed: nobody used it for 0.1 minutes") == 1
        told = [
            json.loads(state)["heaters_off_at"]
            for state in bridge.client.payloads("unused/state")[states:]
        ]
        assert len(set(told)) <= 3  # as it is, exact, and null
        assert told[-1] is None


async def test_who_jogs_keeps_them_on(broker: Mosquitto, tmp_path: Path) -> None:
    async with watched(broker, tmp_path, "jogged", seconds=12.0) as bridge:
        await heat(bridge)
        await until(lambda: off_at(bridge) is not None)
        first = moment(bridge.latest("state"), "heaters_off_at")
        for x in cycle((1, -1)):
            events = len(bridge.events())
            jog = await bridge.call("head", {"command": "jog", "x": x})
            assert jog["code"] == 200
            await until(partial(has_moved, bridge, events))
            if time.time() > first + 1.0:
                break
        assert not named(bridge, "heaters_off")
        await until(lambda: bool(named(bridge, "heaters_idle")))


async def test_a_print_keeps_them_on(broker: Mosquitto, tmp_path: Path) -> None:
    async with watched(broker, tmp_path, "printed", seconds=2.0) as bridge:
        bridge.printer.press("start", FILE)
        await bridge.becomes("printing")
        await heat(bridge)
        bridge.printer.press("pause")
        await bridge.becomes("paused")
        await until(lambda: bridge.latest("state")["heat_reason"] == "pause")
        bridge.printer.press("resume")
        await until(lambda: "print_done" in bridge.event_names())
        assert named(bridge, "print_done")[0]["elapsed"] > 3 * 2.0
        end = bridge.event_names().index("print_done")
        assert not {"heaters_idle", "heaters_off"} & set(bridge.event_names()[:end])


async def test_a_lease_is_in_the_command_that_heats(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with watched(broker, tmp_path, "leased", seconds=3600) as bridge:
        target = {"command": "target", "target": 60, "hold": 2}
        answer = await bridge.call("bed", target)
        assert answer["status"] == "finished"
        await until(lambda: bridge.latest("state")["heat_reason"] == "hold")
        assert off_at(bridge) is not None
        await until(lambda: bool(named(bridge, "heaters_off")))
        assert named(bridge, "heaters_off")[0]["cause"] == "hold"
        await until(lambda: bridge.latest("state")["heat_reason"] is None)
        answer = await bridge.call("bed", target | {"hold": 0})
        assert answer["error"] == "invalid_payload"


async def test_a_signal_turns_them_off(broker: Mosquitto, tmp_path: Path) -> None:
    async with watched(broker, tmp_path, "signalled", seconds=3600) as bridge:
        await heat(bridge)
        bridge.daemon.signal(signal.SIGTERM)
        assert bridge.daemon.ended() == 0
        assert [x for x in bridge.printer.wire.sent() if x in OFF] == OFF[::-1]
        await until(lambda: bool(named(bridge, "heaters_off")))
        assert named(bridge, "heaters_off")[0]["cause"] == "exit"
        assert "turned off bed, tool0" in bridge.daemon.log or (
            "turned off tool0, bed" in bridge.daemon.log
        )


async def test_a_bridge_that_is_killed_all_the_time_still_turns_them_off(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """The printer keeps heating: nothing resets it when its port is opened."""
    seconds = 20.0
    async with watched(broker, tmp_path, "killed", seconds=seconds) as bridge:
        await heat(bridge)
        config = yaml.safe_load(bridge.daemon.config.read_text())
        wire = bridge.printer.wire
        begun = time.monotonic()
        process = bridge.daemon
        try:
            while not is_told(wire):
                assert time.monotonic() < begun + 6 * seconds
                # Long enough to find out that no other bridge serves the printer.
                await until(partial(told_or_later, wire, time.monotonic() + 15), 30)
                process.signal(signal.SIGKILL)
                process.ended()
                process = Daemon(tmp_path, config)
        finally:
            process.close()
        assert time.monotonic() > begun + seconds / 2


def is_told(wire: Wire) -> bool:
    return any(line in OFF for line in wire.sent())


def told_or_later(wire: Wire, moment: float) -> bool:
    return is_told(wire) or time.monotonic() > moment
