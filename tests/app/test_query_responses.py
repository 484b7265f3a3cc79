"""What questions are answered with, also while the printer is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.app.query_responses import response_data
from bridge.app.station import Station
from bridge.config import Config
from tests.support.live import command_of
from tests.support.waiting import until


def station_of(folder: Path, **printer: object) -> Station:
    own = {"serial": {"port": "simulator://marlin?chamber=1"}, **printer}
    profile = {"heated_chamber": True}
    config = Config.model_validate(
        {
            "mqtt": {"state_folder": str(folder)},
            "printers": [{"profile": profile, **own}],
        }
    )
    return Station(config, config.printers[0], instance="one")


@pytest_asyncio.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """A station whose printer runs; its broker never does."""
    built = station_of(tmp_path, scripts={"b": "M117 b", "a": "M117 a"})
    printing = asyncio.create_task(built.printer.run())
    await until(lambda: built.printer.state.link == "operational")
    yield built
    printing.cancel()
    await asyncio.wait([printing])


def asked(station: Station, what: str, **payload: object) -> Any:  # noqa: ANN401 - JSON
    command = command_of(f"request/{what}", **payload)
    return response_data(command, station.printer, station.publisher)


async def test_every_question(station: Station) -> None:
    assert set(asked(station, "state")) == {"temperature", "sd", "state"}
    assert set(asked(station, "state", exclude="sd,state")) == {"temperature"}
    assert set(asked(station, "temperature")) == {"tool0", "bed", "chamber"}
    assert set(asked(station, "tool")) == {"tool0"}
    assert set(asked(station, "bed")) == {"bed"}
    assert set(asked(station, "chamber")) == {"chamber"}
    assert asked(station, "sd") == {"ready": True}
    assert set(asked(station, "position")) == {"x", "y", "z", "e", "time"}
    assert asked(station, "error")["error"] == ""
    assert asked(station, "info")["instance"] == "one"
    assert asked(station, "files")[0]["path"] == "SMALL.GCO"
    assert asked(station, "scripts") == ["a", "b"]
    assert asked(station, "ping") is None
    assert (
        response_data(
            command_of("head", command="feedrate", factor=100),
            station.printer,
            station.publisher,
        )
        is None
    )


async def test_the_history(station: Station) -> None:
    assert "history" not in asked(station, "temperature")
    points = asked(station, "temperature", history=True)["history"]
    assert len(points) >= 1
    assert set(points[0]) == {"time", "tool0", "bed", "chamber"}
    only = asked(station, "bed", history=True, limit=1)["history"]
    assert [set(point) for point in only] == [{"time", "bed"}]
    full = asked(station, "state", history=True)
    assert len(full["temperature"]["history"]) >= 1


@pytest.mark.parametrize("what", ["temperature", "error", "info", "files", "scripts"])
async def test_while_the_printer_is_away(tmp_path: Path, what: str) -> None:
    station = station_of(tmp_path)
    known = asked(station, what)
    assert known is not None
    if what == "temperature":
        assert known["bed"] == {"actual": None, "target": None, "offset": 0.0}
    assert asked(station, "position") is None
    assert asked(station, "sd") == {"ready": False}
