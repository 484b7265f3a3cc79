"""What people do at printers that say little, and what the bridge makes of it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto
from tests.support.printers import SimulatedPrinter, simulated
from tests.support.stages import Stage, stage
from tests.support.waiting import until

LONG = {"klipper": "long_job.gcode"}
QUESTIONS = 3  # one a second, and one on its way: a print shows within two seconds


@asynccontextmanager
async def at(
    broker: Mosquitto, folder: Path, url: str
) -> AsyncIterator[Stage[SimulatedPrinter]]:
    base = url.partition("?")[0]
    with (
        simulated(f"simulator://{url}", folder / "printer") as printer,
        stage(broker, printer, folder, base) as bridge,
    ):
        await bridge.operational()
        yield bridge


async def refused(bridge: Stage[SimulatedPrinter]) -> str:
    """Try to jog; return the error word, or nothing."""
    answer = await bridge.call("head", {"command": "jog", "z": 1})
    return str(answer.get("error", ""))


@pytest.mark.parametrize("family", ["klipper", "repetier", "marlin1"])
async def test_a_print_on_a_firmware_that_is_polled(
    broker: Mosquitto, tmp_path: Path, family: str
) -> None:
    file = LONG.get(family, "ARATHE~1.GCO")
    async with at(broker, tmp_path, f"{family}?speed=5") as bridge:
        assert bridge.latest("info")["firmware"]["family"] == family
        begun, wire = time.monotonic(), bridge.printer.wire
        before = len(wire.chunks)
        bridge.printer.press("start", file)
        await bridge.becomes("printing")
        assert b"".join(wire.heard(before)).count(b"M27") <= QUESTIONS
        assert await refused(bridge) == "printing"
        await until(lambda: bridge.latest("job/state")["file"] == file)
        job = bridge.latest("job/state")
        assert 0 < job["position"] < job["size"]
        for topic, payload in (
            ("head", {"command": "feedrate", "factor": 100}),
            ("tool", {"command": "target", "targets": {"tool0": 50}}),
            ("bed", {"command": "target", "target": 40}),
        ):
            assert (await bridge.call(topic, payload))["status"] == "finished"

        bridge.printer.press("pause")
        await bridge.becomes("paused")
        paused = time.monotonic()
        assert await refused(bridge) == ""
        bridge.printer.press("resume")
        await bridge.becomes("printing")
        resumed = time.monotonic()

        hurry = await bridge.call("head", {"command": "feedrate", "factor": 10.0})
        assert hurry["status"] == "finished"
        await until(lambda: "print_done" in bridge.event_names(), within=60)
        lasted = time.monotonic() - begun - (resumed - paused)
        done = next(e for e in bridge.events() if e["event"] == "print_done")
        assert done["file"] == file
        # Both ends are seen up to a second late, the pause up to four.
        assert done["elapsed"] == pytest.approx(lasted, abs=4.0)
        await bridge.becomes("operational")
        assert await refused(bridge) != "printing"


async def test_a_card_that_comes_and_goes(broker: Mosquitto, tmp_path: Path) -> None:
    async with at(broker, tmp_path, "marlin?speed=100") as bridge:
        files = bridge.latest("sd/files")
        assert [file["display"] for file in files if file["date"]]
        bridge.printer.press("pull")
        await until(lambda: bridge.latest("state")["sd"] == {"ready": False})
        await until(lambda: bridge.latest("sd/files") == [])
        for command in ("refresh", "release"):
            answer = await bridge.call("sd", {"command": command})
            assert (answer["code"], answer["error"]) == (409, "sd_not_ready")
            assert answer["gcode"] == []
        missing = await bridge.call("sd", {"command": "init"})
        assert (missing["status"], missing["error"]) == ("failed", "firmware_error")
        assert (missing["code"], missing["message"]) == (500, "No SD card")
        assert missing["gcode"] == ["M21"]
        bridge.printer.press("insert")
        await until(lambda: bridge.latest("sd/files") == files)
        await until(lambda: bridge.latest("state")["sd"] == {"ready": True})


async def test_filament_runs_out_and_the_prompt_is_answered(
    broker: Mosquitto, tmp_path: Path
) -> None:
    url = "marlin?speed=20&emergency_parser=1&filament_change=1"
    async with at(broker, tmp_path, url) as bridge:
        heated = await bridge.call("command", {"command": "M109 S200"})
        assert heated["status"] == "finished", heated
        bridge.printer.press("start", "ARATHE~1.GCO")
        await bridge.becomes("printing")
        bridge.printer.press("runout")
        await until(lambda: "waiting_for_user" in bridge.event_names())
        assert "filament_runout" in bridge.event_names()
        asked = next(e for e in bridge.events() if e["event"] == "waiting_for_user")
        assert asked["prompt"]
        assert (await bridge.becomes("paused"))["attention"] == "filament_runout"
        for number in range(1, 11):  # it asks several things, one after the other
            await until(
                lambda: (
                    bridge.latest("state")["prompt"] is not None
                    or bridge.latest("state")["state"] == "printing"
                )
            )
            if bridge.latest("state")["state"] == "printing":
                break
            await take_the_first_choice(bridge, number)
        await bridge.becomes("printing")
        assert "print_resumed" in bridge.event_names()


async def take_the_first_choice(bridge: Stage[SimulatedPrinter], number: int) -> None:
    """Answer the prompt, for the time that is given."""
    answer = await bridge.call("command", {"command": "M876 S0"})
    assert answer["status"] == "finished", answer
    # An urgent line is finished as soon as it is on its way.
    await until(lambda: bridge.printer.wire.sent().count("M876 S0") == number)
