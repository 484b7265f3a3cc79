"""A print that somebody starts at the printer, not through the bridge."""

from datetime import datetime

import pytest

from bridge.printer.published import documents
from tests.support.printers import SimulatedPrinter
from tests.support.stages import Json, Stage, reset
from tests.support.waiting import until

PRINTER = "simulator://marlin?speed=30"
FILE = "ARATHE~1.GCO"

REFUSED: list[tuple[str, Json]] = [
    ("head", {"command": "jog", "x": 1}),
    ("head", {"command": "home", "axes": ["x"]}),
    ("tool", {"command": "extrude", "amount": 1}),
    ("sd", {"command": "init"}),
    ("sd", {"command": "refresh"}),
    ("sd", {"command": "release"}),
]
ALLOWED: list[tuple[str, Json]] = [
    ("head", {"command": "feedrate", "factor": 100}),
    ("tool", {"command": "flowrate", "factor": 100}),
    ("tool", {"command": "target", "targets": {"tool0": 50}}),
    ("bed", {"command": "target", "target": 40}),
    ("command", {"command": "M117 Hello"}),
    ("request/position", {}),
]


async def test_a_print_from_beginning_to_end(bridge: Stage[SimulatedPrinter]) -> None:
    events = len(bridge.events())
    bridge.printer.press("start", FILE)
    state = await bridge.becomes("printing")
    assert state["text"] == "Printing from SD"
    assert state["flags"]["printing"]
    assert not state["flags"]["ready"]
    await until(lambda: bridge.latest("job/state")["state"] == "printing")
    job = bridge.latest("job/state")
    assert set(job) == set(documents.Job.model_fields)
    assert job["file"] == FILE
    assert job["size"] > 0
    assert "print_started" in bridge.event_names(events)

    for topic, payload in REFUSED:
        answer = await bridge.call(topic, payload)
        assert (answer["code"], answer["error"]) == (409, "printing"), answer
        assert answer["gcode"] == []
    for topic, payload in ALLOWED:
        answer = await bridge.call(topic, payload)
        assert answer["status"] == "finished", answer

    await pause_and_resume(bridge)

    hurry = await bridge.call("head", {"command": "feedrate", "factor": 10.0})
    assert hurry["gcode"] == ["M220 S1000"]
    await until(lambda: "print_done" in bridge.event_names(events))
    happened = {event["event"]: event for event in bridge.events(events)}
    done = happened["print_done"]
    assert done["file"] == FILE
    pause = between(happened, "print_paused", "print_resumed")
    lasted = between(happened, "print_started", "print_done") - pause
    assert done["elapsed"] == pytest.approx(lasted, abs=1.0)  # it is in whole seconds
    await bridge.becomes("operational")
    await until(lambda: bridge.latest("job/state")["result"] is not None)
    result = bridge.latest("job/state")["result"]
    assert (result["outcome"], result["elapsed"]) == ("done", done["elapsed"])
    await bridge.call("head", {"command": "feedrate", "factor": 1.0})
    after = await bridge.call("head", {"command": "jog", "x": 1})
    assert after["status"] == "finished"


def between(happened: dict[str, Json], first: str, second: str) -> float:
    """Return the seconds between two events."""
    begun, ended = (
        datetime.fromisoformat(happened[name]["time"]) for name in (first, second)
    )
    return (ended - begun).total_seconds()


async def pause_and_resume(bridge: Stage[SimulatedPrinter]) -> None:
    """While paused it may be moved; that is what people pause for."""
    events = len(bridge.events())
    bridge.printer.press("pause")
    state = await bridge.becomes("paused")
    assert state["flags"]["paused"]
    assert not state["flags"]["printing"]
    moved = await bridge.call("head", {"command": "jog", "z": 1})
    assert moved["status"] == "finished"
    refused = await bridge.call("sd", {"command": "release"})
    assert refused["error"] == "printing"
    bridge.printer.press("resume")
    await bridge.becomes("printing")
    names = bridge.event_names(events)
    assert names.index("print_paused") < names.index("print_resumed")


async def test_a_print_that_is_cancelled(bridge: Stage[SimulatedPrinter]) -> None:
    await reset(bridge)
    events = len(bridge.events())
    bridge.printer.press("start", FILE)
    await bridge.becomes("printing")
    bridge.printer.press("cancel")
    await until(lambda: "print_cancelled" in bridge.event_names(events))
    await bridge.becomes("operational")
    assert "print_done" not in bridge.event_names(events)


async def test_a_print_that_an_emergency_ends(
    bridge: Stage[SimulatedPrinter],
) -> None:
    await reset(bridge)
    events = len(bridge.events())
    bridge.printer.press("start", FILE)
    await bridge.becomes("printing")
    assert (await bridge.call("emergency"))["status"] == "finished"
    await bridge.becomes("error")
    await until(lambda: bridge.printer.firmware.halted)
    assert "print_failed" in bridge.event_names(events)
    await reset(bridge)
