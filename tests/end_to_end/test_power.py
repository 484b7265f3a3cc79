"""Power, cables and restarts in a print, with a real bridge and its state folder."""

import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.brokers import Mosquitto, Spec, mosquitto
from tests.support.daemons import Daemon, daemon
from tests.support.mqtt_client import connected
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Json, Stage, config_of, stage
from tests.support.waiting import until

ABSENT = 30.0
"""Seconds until the bridge must have tried again; its pauses grow."""

FILES = {"marlin": "ARATHE~1.GCO", "klipper": "long_job.gcode"}
LASTING = {"print_started", "print_done", "print_cancelled", "print_failed"}


@pytest.fixture(params=FILES)
def bridge(
    request: pytest.FixtureRequest, broker: Mosquitto, tmp_path: Path
) -> Iterator[Stage[SimulatedPrinter]]:
    url = f"simulator://{request.param}?speed=5"
    base = f"power-{request.param}-{request.node.name.partition('[')[0][5:25]}"
    with (
        simulated(url, tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, base, state_in(tmp_path)) as running,
    ):
        yield running


def state_in(folder: Path) -> dict[str, Any]:
    return {"mqtt": {"state_folder": str(folder / "state"), "will_delay": 0}}


def file_of(bridge: Stage[SimulatedPrinter]) -> str:
    return FILES[bridge.base.split("-")[1]]


@asynccontextmanager
async def killed_and_restarted(
    bridge: Stage[SimulatedPrinter],
    broker: Mosquitto,
    folder: Path,
    *,
    online: bool = True,
) -> AsyncIterator[Daemon]:
    """Kill the bridge, and run another one with its state folder."""
    former = bridge.latest("info")["instance"]
    topic = bridge.topic("connection")
    heard = len(bridge.client.payloads(topic))
    bridge.daemon.signal(signal.SIGKILL)
    bridge.daemon.ended()
    config = config_of(broker, bridge.printer.link, bridge.base, state_in(folder))
    with daemon(folder, config) as process:
        await until(lambda: bridge.latest("info")["instance"] != former)
        if online:
            await until(
                lambda: b"online" in bridge.client.payloads(topic)[heard:], ABSENT
            )
        yield process


async def kept(
    bridge: Stage[SimulatedPrinter], folder: Path, condition: Callable[[Json], bool]
) -> None:
    """Wait until the state file says so; it is written by a thread."""
    file = folder / "state" / f"{bridge.base}.job.json"
    await until(lambda: file.exists() and condition(json.loads(file.read_text())))


def _is_kept_as_printing(it: Json) -> bool:
    return it["running"] is not None and it["running"]["phase"] == "printing"


async def prints(bridge: Stage[SimulatedPrinter]) -> None:
    bridge.printer.press("start", file_of(bridge))
    await bridge.becomes("printing")


def lasting(bridge: Stage[SimulatedPrinter], since: int = 0) -> list[str]:
    return [name for name in bridge.event_names(since) if name in LASTING]


def result_of(bridge: Stage[SimulatedPrinter]) -> Json:
    result: Json = bridge.latest("job/result")
    return result


async def test_the_bridge_is_killed_in_a_print(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto, tmp_path: Path
) -> None:
    assert result_of(bridge)["outcome"] is None
    await prints(bridge)
    assert lasting(bridge) == ["print_started"]
    await until(lambda: bridge.latest("job/state")["started_at"] is not None)
    started = bridge.latest("job/state")["started_at"]
    await kept(bridge, tmp_path, _is_kept_as_printing)
    async with killed_and_restarted(bridge, broker, tmp_path):
        await bridge.becomes("printing", ABSENT)
        await until(lambda: bridge.latest("job/state")["state"] == "printing")
        assert abs_seconds(bridge.latest("job/state")["started_at"], started) <= 1
        assert (await bridge.call("job", {"command": "cancel"}))["code"] == 200
        await until(lambda: lasting(bridge) == ["print_started", "print_cancelled"])
        await until(lambda: result_of(bridge)["outcome"] == "cancelled")
        result = result_of(bridge)
        assert abs_seconds(result["started_at"], started) <= 1
        assert result["elapsed"] is not None
        asked = (await bridge.call("request/job"))["data"]
        assert asked["state"] == "Operational"
        assert asked["progress"]["printTime"] is None


def abs_seconds(one: str, other: str) -> float:
    moments = datetime.fromisoformat(one), datetime.fromisoformat(other)
    return abs((moments[0] - moments[1]).total_seconds())


@pytest.mark.parametrize("paused", [False, True], ids=["printing", "paused"])
async def test_the_power_is_cut(
    bridge: Stage[SimulatedPrinter],
    broker: Mosquitto,
    tmp_path: Path,
    *,
    paused: bool,
) -> None:
    await prints(bridge)
    if paused:
        bridge.printer.press("pause")
        await bridge.becomes("paused")
    bridge.printer.unplug()
    bridge.printer.reset()
    away = await bridge.becomes("offline")
    assert away["attention"] == "error"
    bridge.printer.plug()
    await until(lambda: "print_failed" in bridge.event_names(), ABSENT)
    state = await bridge.becomes("operational")
    assert state["attention"] == "error"
    assert lasting(bridge) == ["print_started", "print_failed"]
    result = result_of(bridge)
    assert result["outcome"] == "failed"
    assert result["reason"] in {"connection_lost", "printer_reset"}
    await kept(bridge, tmp_path, lambda it: it["unacknowledged"])
    async with killed_and_restarted(bridge, broker, tmp_path):
        state = await bridge.becomes("operational", ABSENT)
        assert state["attention"] == "error", "nobody has acknowledged it"
        assert result_of(bridge) == result
        await bridge.call("link", {"command": "acknowledge"})
        await until(lambda: bridge.latest("state")["attention"] == "none")
        assert result_of(bridge)["outcome"] == "failed"
    assert lasting(bridge) == ["print_started", "print_failed"]


async def test_a_restart_while_the_power_is_off_hides_nothing(
    broker: Mosquitto, tmp_path: Path
) -> None:
    base, url = "power-marlin-off", "simulator://marlin?speed=5"
    with (
        simulated(url, tmp_path / "printer") as printer,
        stage(broker, printer, tmp_path, base, state_in(tmp_path)) as bridge,
    ):
        await prints(bridge)
        await kept(bridge, tmp_path, _is_kept_as_printing)
        printer.unplug()
        printer.reset()
        assert (await bridge.becomes("offline"))["attention"] == "error"
        await kept(bridge, tmp_path, lambda it: it["lost"])
        states = len(bridge.client.payloads(f"{base}/state"))
        async with killed_and_restarted(bridge, broker, tmp_path, online=False):
            await until(lambda: len(bridge.client.payloads(f"{base}/state")) > states)
            assert bridge.latest("state")["attention"] == "error"
            assert bridge.event_names().count("error") == 1
            printer.plug()
            await until(lambda: "print_failed" in bridge.event_names(), 3 * ABSENT)
            assert bridge.latest("state")["attention"] == "error"


async def test_the_cable_is_pulled_in_a_print(
    bridge: Stage[SimulatedPrinter],
) -> None:
    await prints(bridge)
    bridge.printer.unplug()
    assert (await bridge.becomes("offline"))["attention"] == "error"
    bridge.printer.plug()
    await bridge.becomes("printing", ABSENT)
    await until(lambda: bridge.latest("state")["attention"] == "none")
    assert lasting(bridge) == ["print_started"]


async def test_the_process_is_frozen_in_a_print(
    bridge: Stage[SimulatedPrinter],
) -> None:
    await prints(bridge)
    card = bridge.printer.firmware.machine.card
    bridge.daemon.signal(signal.SIGSTOP)
    place = card.position
    await until(lambda: card.position > place + 200)
    bridge.daemon.signal(signal.SIGCONT)
    answer = await bridge.call("request/ping")
    assert answer["code"] == 200
    assert lasting(bridge) == ["print_started"]
    assert "error" not in bridge.event_names()


async def test_the_configuration_is_read_again_in_a_print(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto, tmp_path: Path
) -> None:
    await prints(bridge)
    sections = {**state_in(tmp_path), "telemetry": {"progress_step": 5}}
    config = config_of(broker, bridge.printer.link, bridge.base, sections)
    bridge.daemon.write(config)
    bridge.daemon.signal(signal.SIGHUP)
    await until(lambda: "left alone" in bridge.daemon.log)
    await bridge.becomes("printing", ABSENT)
    assert lasting(bridge) == ["print_started"]


async def test_the_broker_is_away_in_a_print(tmp_path: Path) -> None:
    with (
        mosquitto(Spec(), start=False) as own,
        simulated("simulator://marlin?speed=5", tmp_path / "printer") as printer,
    ):
        own.start()
        with stage(
            own, printer, tmp_path, "power-marlin", state_in(tmp_path)
        ) as bridge:
            await prints(bridge)
            own.stop()
            printer.press("cancel")
            await until(lambda: not printer.firmware.printing)
            await until(lambda: "print_cancelled" in bridge.daemon.log)
            own.start()  # without what it had retained
            with connected(own.port, "power-marlin/#", host=own.host) as late:
                heard = await late.hears("power-marlin/job/result")
                assert json.loads(heard.payload)["outcome"] == "cancelled"
        assert bridge.daemon.log.count("print_started") == 1


async def test_the_printer_is_switched_off_after_a_good_print(
    bridge: Stage[SimulatedPrinter],
) -> None:
    """What the blueprints do: off when it is cold, and a message if something is."""
    short = {"marlin": "SMALL.GCO", "klipper": "square.gcode"}
    bridge.printer.press("start", short[bridge.base.split("-")[1]])
    await until(lambda: "print_done" in bridge.event_names(), ABSENT)
    await until(lambda: bridge.latest("state")["safe_to_power_off"])
    bridge.printer.unplug()
    await bridge.becomes("offline")
    states = bridge.client.payloads(bridge.topic("state"))
    assert {json.loads(state)["attention"] for state in states} == {"none"}
    assert "error" not in bridge.event_names()
    assert result_of(bridge)["outcome"] == "done"
    assert result_of(bridge)["ended_at"] is not None


async def test_a_port_that_is_released_stays_so(
    bridge: Stage[SimulatedPrinter], broker: Mosquitto, tmp_path: Path
) -> None:
    assert (await bridge.call("link", {"command": "disconnect"}))["code"] == 200
    state = await bridge.becomes("offline")
    await until(lambda: bridge.latest("state")["released"])
    assert (state["attention"], bridge.latest("error")["error"]) == ("none", "")
    async with killed_and_restarted(bridge, broker, tmp_path, online=False):
        await until(
            lambda: (
                bridge.client.payloads(bridge.topic("availability"))[-1] == b"online"
            )
        )
        refused = await bridge.call("link", {"command": "reconnect"})
        assert (refused["code"], refused["error"]) == (409, "released")
        assert bridge.latest("state")["released"]
        assert (await bridge.call("link", {"command": "connect"}))["code"] == 200
        await bridge.becomes("operational", ABSENT)
        assert not bridge.latest("state")["released"]
    assert "error" not in bridge.event_names()
