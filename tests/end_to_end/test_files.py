"""Stored files on MQTT: listed, asked for, moved, deleted, and found in the folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import corpus
from tests.support.printers import SimulatedPrinter
from tests.support.stages import Stage
from tests.support.waiting import until

PRINTER = "simulator://marlin?speed=1000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "files"


@pytest.fixture(scope="module")
def sections(folder: Path) -> Mapping[str, Any]:
    return {"files": {"folder": str(folder), "keep_free": 0}}


async def test_files_are_listed_asked_for_and_changed(
    bridge: Stage[SimulatedPrinter], folder: Path
) -> None:
    await until(lambda: bool(bridge.client.payloads(bridge.topic("files/state"))))
    await until(lambda: not bridge.latest("files/state")["checking"])
    state = bridge.latest("files/state")
    assert (state["count"], state["files"], state["problem"]) == (0, [], "")
    assert state["free"] > 0

    here = folder / bridge.base.lower()
    here.joinpath("parts").mkdir(parents=True)
    here.joinpath("cube.gcode").write_bytes(corpus.printable()["ps_mk3"])
    here.joinpath("parts/bad.gcode").write_bytes(b"G28\nG1 F{travel_speed}\nG1 X999\n")
    since = len(bridge.events())
    answer = await bridge.call("files", {"command": "rescan"})
    assert answer["status"] == "finished", answer
    listed = (await bridge.call("request/files", {"origin": "local"}))["data"]
    assert (listed["count"], listed["next"]) == (2, None)
    cube, bad = listed["files"]
    assert (cube["path"], cube["slicer"]) == ("cube.gcode", "PrusaSlicer 2.5.0")
    assert cube["filament"][0]["material"] == "PLA"
    assert cube["report"]["printable"]
    assert (bad["report"]["printable"], bad["report"]["errors"]) == (False, 1)
    page = await bridge.call("request/files", {"origin": "local", "limit": 1})
    assert page["data"]["next"] == "cube.gcode"
    added = [one for one in bridge.events(since) if one["event"] == "file_added"]
    assert [one["path"] for one in added] == ["cube.gcode", "parts/bad.gcode"]

    report = (await bridge.call("request/file", {"path": "parts/bad.gcode"}))["data"]
    assert report["report"]["first_errors"] == [
        {
            "line": 2,
            "code": "placeholder",
            "text": "{travel_speed} was not replaced by the slicer; correct its start, "
            "end or layer G-code there",
        }
    ]

    moved = await bridge.call(
        "files", {"command": "move", "path": "cube.gcode", "to": "parts/Würfel.gcode"}
    )
    assert moved["data"] == {"path": "parts/Würfel.gcode"}
    deleted = await bridge.call(
        "files", {"command": "delete", "path": "parts/bad.gcode"}
    )
    assert deleted["status"] == "finished"
    await until(lambda: bridge.latest("files/state")["count"] == 1)
    state = bridge.latest("files/state")
    assert state["files"] == ["parts/Würfel.gcode"]
    assert state["recent"][0]["path"] == "parts/Würfel.gcode"
    assert bridge.event_names(since).count("file_removed") == 2

    for payload, error in (
        ({"command": "delete", "path": "cube.gcode"}, "not_found"),
        ({"command": "delete", "path": "../x.gcode"}, "invalid_name"),
        ({"command": "move", "path": "cube.gcode", "to": "x.gcode"}, "not_found"),
    ):
        refused = await bridge.call("files", payload)
        assert (refused["status"], refused["error"]) == ("rejected", error)
    card = await bridge.call("request/files")
    assert card["data"][0]["path"] == "SMALL.GCO"
    assert (await bridge.call("request/file", {"path": "x"}))["error"] == "not_found"
