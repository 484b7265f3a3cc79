"""What the operator does not allow, and how much of the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto
from tests.support.printers import ScriptedPrinter, scripted
from tests.support.stages import Json, Stage, stage

OFF = {"rights": {"read": False, "safe": False, "control": False, "raw": False}}
EVERY_TIER: list[tuple[str, Json, str]] = [
    ("request/info", {}, "read"),
    ("emergency", {}, "safe"),
    ("head", {"command": "jog", "x": 1}, "control"),
    ("tool", {"command": "target", "targets": {"tool0": 0}}, "control"),
    ("bed", {"command": "target", "target": 0}, "control"),
    ("sd", {"command": "init"}, "control"),
    ("command", {"command": "M105"}, "raw"),
    ("command", {"command": "M112"}, "raw"),
]


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[ScriptedPrinter]:
    with scripted(tmp_path / "printer") as running:
        yield running


async def test_every_tier_can_be_switched_off(
    broker: Mosquitto, printer: ScriptedPrinter, tmp_path: Path
) -> None:
    with stage(broker, printer, tmp_path, "mute", OFF) as bridge:
        before = len(printer.wire.chunks)
        for topic, payload, tier in EVERY_TIER:
            answer = await bridge.call(topic, payload)
            assert (answer["status"], answer["code"]) == ("rejected", 403)
            assert answer["error"] == "forbidden"
            assert f"rights.{tier}" in answer["message"]
        assert printer.wire.sent(before) == []


async def test_too_many_messages(
    broker: Mosquitto, printer: ScriptedPrinter, tmp_path: Path
) -> None:
    sections = {"limits": {"rate": 0.01}}
    with stage(broker, printer, tmp_path, "slow", sections) as bridge:
        assert (await head(bridge))["status"] == "finished"
        answer = await head(bridge)
        assert (answer["status"], answer["code"]) == ("rejected", 429)
        assert answer["error"] == "rate_limited"
        assert "limits.rate" in answer["message"]
        # A flood on one topic holds up no other, no question and no emergency.
        for topic in ("request/ping", "request/ping", "emergency", "emergency"):
            assert (await bridge.call(topic))["status"] == "finished"
        other = await bridge.call("command", {"command": "M84"})
        assert other["error"] == "not_operational"


async def head(bridge: Stage[ScriptedPrinter]) -> Json:
    return await bridge.call("head", {"command": "feedrate", "factor": 100})
