"""When Home Assistant is told: debounced, and removals in two steps."""

from typing import Any, cast

from bridge.home_assistant.announcing import PAUSE, Announcements, components
from bridge.home_assistant.discovery import Payload


def payload(name: str = "Ender", **platforms: str) -> Payload:
    listed = {key: {"platform": p, "name": key} for key, p in platforms.items()}
    return {"device": {"name": name}, "components": listed}


def listed(said: Payload | None) -> dict[str, Any]:
    assert said is not None
    return cast("dict[str, Any]", said["components"])


def test_the_first_is_said_at_once_and_the_same_never_again() -> None:
    said = Announcements({})
    device = payload(state="sensor")
    assert said.due(device, 0) == device
    assert said.due(payload(state="sensor"), 1000) is None
    assert said.known == {"state": "sensor"}


def test_changes_wait_until_the_last_one_is_digested() -> None:
    said = Announcements({})
    said.due(payload("a", state="sensor"), 100)
    assert said.due(payload("b", state="sensor"), 100 + PAUSE - 0.1) is None
    third = payload("c", state="sensor")
    assert said.due(third, 100 + PAUSE) == third


def test_a_component_is_removed_and_then_left_out() -> None:
    said = Announcements({})
    said.due(payload(state="sensor", bed="number"), 0)
    less = payload(state="sensor")
    step = listed(said.due(less, PAUSE))
    assert step["bed"] == {"platform": "number"}
    assert step["state"] == {"platform": "sensor", "name": "state"}
    assert said.due(less, PAUSE + 1) is None
    assert said.due(less, 2 * PAUSE) == less
    assert said.due(less, 3 * PAUSE) is None


def test_what_an_earlier_run_announced_is_removed_too() -> None:
    said = Announcements({"state": "sensor", "bed": "number"})
    device = payload(state="sensor")
    assert listed(said.due(device, 0))["bed"] == {"platform": "number"}
    assert said.due(device, PAUSE) == device


def test_a_component_of_another_kind_goes_before_it_comes() -> None:
    said = Announcements({"fan": "sensor"})
    device = payload(fan="number")
    assert listed(said.due(device, 0)) == {"fan": {"platform": "sensor"}}
    assert said.known == {}
    assert said.due(device, PAUSE) == device
    assert said.known == components(device) == {"fan": "number"}
