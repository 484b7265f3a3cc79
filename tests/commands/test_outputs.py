"""Fans, the light, the display, babysteps and steps: what is sent, and what is kept."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.commands import Context, accessories, parse
from bridge.commands.accessories import Accessories, LightState
from bridge.commands.scripts import Scripts
from bridge.config import LightSettings, Preset, Profile
from bridge.errors import RejectedError
from bridge.gcode.dialects import DIALECTS, KLIPPER, MARLIN
from bridge.gcode.line import read

FANS = Profile(fans={"1": "Chamber", "exhaust": "Exhaust"})


def gcode(topic: str, payload: Mapping[str, Any], context: Context) -> tuple[str, ...]:
    request = parse(topic, json.dumps(payload).encode())
    return request.command.program(context).gcode


def refusal(topic: str, payload: Mapping[str, Any], context: Context) -> str:
    with pytest.raises(RejectedError) as caught:
        gcode(topic, payload, context)
    return f"{caught.value.code} {caught.value.error}"


def lit(kind: str, *, name: str | None = None, dimmable: bool = True) -> Profile:
    light = {"kind": kind, "name": name, "dimmable": dimmable}
    return Profile.model_validate({"light": light})


OFF, UNDIMMED = (False, None, None), lit("case", dimmable=False)
LIGHTS: tuple[tuple[str, Profile, dict[str, Any], tuple[str, ...]], ...] = (
    ("marlin", lit("case"), {"on": True}, ("M355 S1",)),
    ("marlin", lit("case"), {"on": True, "brightness": 50}, ("M355 S1 P128",)),
    (
        "marlin",
        lit("case", dimmable=False),
        {"on": True, "brightness": 5},
        ("M355 S1",),
    ),
    ("marlin", lit("case"), {"on": False, "brightness": 5}, ("M355 S0",)),
    ("marlin", lit("rgb"), {"on": True, "color": [1, 2, 3]}, ("M150 R1 U2 B3 P255",)),
    ("marlin", lit("pin", name="7"), {"on": True}, ("M42 P7 S255",)),
    ("marlin", lit("pin", name="7"), {"on": False}, ("M42 P7 S0",)),
    ("klipper", lit("pin", name="lamp"), {"on": True}, ("SET_PIN PIN=lamp VALUE=1",)),
    (
        "klipper",
        lit("pin", name="lamp"),
        {"on": True, "brightness": 25},
        ("SET_PIN PIN=lamp VALUE=0.25",),
    ),
    (
        "klipper",
        lit("pin", name="lamp", dimmable=False),
        {"on": True, "brightness": 25},
        ("SET_PIN PIN=lamp VALUE=1",),
    ),
    (
        "klipper",
        lit("led", name="bar"),
        {"on": True, "brightness": 50, "color": [255, 0, 51]},
        ("SET_LED LED=bar RED=0.5 GREEN=0 BLUE=0.1",),
    ),
    (
        "klipper",
        lit("led", name="bar"),
        {"on": False},
        ("SET_LED LED=bar RED=0 GREEN=0 BLUE=0",),
    ),
)


def test_each_kind_of_light() -> None:
    for family, profile, payload, lines in LIGHTS:
        context = Context(profile=profile, dialect=DIALECTS[family])
        sent = gcode("light", {"command": "set", **payload}, context)
        assert sent == lines, (family, payload)
    reports = Context(capabilities=frozenset({"TOGGLE_LIGHTS"}))
    assert gcode("light", {"command": "set", "on": True}, reports) == ("M355 S1",)


def test_a_light_goes_on_as_it_was() -> None:
    known = Accessories(light=LightState(on=False, brightness=20.0, color=(1, 2, 3)))
    context = Context(profile=lit("rgb"), accessories=known)
    on = {"command": "set", "on": True}
    assert gcode("light", on, context) == ("M150 R1 U2 B3 P51",)


def test_a_light_goes_on_as_it_was_after_it_was_turned_off() -> None:
    """Home Assistant's switch says nothing but on and off."""
    on, off = {"command": "set", "on": True}, {"command": "set", "on": False}
    for family, profile, look in (
        ("marlin", lit("rgb"), {"brightness": 20, "color": [1, 2, 3]}),
        ("marlin", lit("rgb"), {"color": [0, 0, 9]}),
        ("marlin", lit("pin", name="7"), {"brightness": 20}),
        ("klipper", lit("pin", name="lamp"), {"brightness": 20}),
        ("klipper", lit("led", name="bar"), {"brightness": 20, "color": [0, 255, 0]}),
    ):
        known, sent = Accessories(), []
        for payload in ({**on, **look}, off, off, on):
            context = Context(
                profile=profile, dialect=DIALECTS[family], accessories=known
            )
            (line,) = gcode("light", payload, context)
            known = accessories.after(known, read(line, family), profile)
            sent.append(line)
        assert sent[0] == sent[3] != sent[1] == sent[2], sent
    white = Context(
        profile=lit("rgb"),
        accessories=after(lit("rgb"), "M150 W9 P51", "M150 R0 U0 B0 P51"),
    )
    assert gcode("light", on, white) == ("M150 R255 U255 B255 P51",)


def test_a_light_that_there_is_not() -> None:
    on = {"command": "set", "on": True}
    for profile, dialect, error in (
        (Profile(), MARLIN, "409 no_light"),
        (lit("none"), MARLIN, "409 no_light"),
        (lit("led", name="bar"), MARLIN, "409 not_supported"),
        (lit("pin", name="lamp"), MARLIN, "409 not_supported"),
    ):
        assert refusal("light", on, Context(profile=profile, dialect=dialect)) == error
    with pytest.raises(ValueError, match="needs the name of the output"):
        LightSettings(kind="pin")


def test_fans() -> None:
    marlin, klipper = (Context(profile=FANS, dialect=d) for d in (MARLIN, KLIPPER))
    half = {"command": "speed", "percent": 50}
    for context, fan, lines in (
        (marlin, 0, ("M106 S128",)),
        (marlin, "1", ("M106 P1 S128",)),
        (marlin, 1, ("M106 P1 S128",)),
        (klipper, "exhaust", ("SET_FAN_SPEED FAN=exhaust SPEED=0.5",)),
    ):
        assert gcode("fan", {**half, "fan": fan}, context) == lines
    assert refusal("fan", {**half, "fan": 3}, marlin) == "400 no_such_fan"
    assert refusal("fan", {**half, "fan": "exhaust"}, marlin) == "409 not_supported"
    on = {"command": "on", "fan": "1"}
    running = replace(marlin, accessories=Accessories(fans={"1": 30.0}))
    assert (gcode("fan", on, marlin), gcode("fan", on, running)) == (
        ("M106 P1 S255",),
        (),
    )


def test_babysteps_are_bounded_and_never_long() -> None:
    profile = Profile(max_z_offset=2.5)
    at = Context(profile=profile, accessories=Accessories(z_offset=-1.5))
    to = {"command": "z_offset", "offset": 1.0}
    assert gcode("head", to, at) == ("M290 Z1", "M290 Z1", "M290 Z0.5")
    assert gcode("head", {**to, "offset": -1.5}, at) == ()
    step = {"command": "babystep", "z": -1.0}
    assert gcode("head", step, at) == ("M290 Z-1",)
    assert refusal("head", {**step, "z": -1.01}, at) == "400 out_of_limits"
    assert refusal("head", {**to, "offset": 2.6}, at) == "400 out_of_limits"


def test_a_step_moves_as_far_as_was_chosen() -> None:
    far = Context(accessories=Accessories(jog_distance=0.1, extrude_length=2.0))
    step = {"command": "jog_step", "x": -1, "z": 1}
    assert gcode("head", step, far)[1] == "G0 X-0.1 Z0.1 F200"
    with pytest.raises(RejectedError, match="at least one of x, y, z"):
        gcode("head", {"command": "jog_step"}, far)
    back = {"command": "extrude_step", "direction": -1}
    assert "G1 E-2 F300" in gcode("tool", back, far)


def test_a_preset_that_there_is_not() -> None:
    known = Context(presets={"PLA": Preset(tool=215, bed=60), "PETG": Preset(bed=80)})
    preset = {"command": "preset", "preset": "PETG"}
    assert gcode("tool", preset, known) == ("M140 S80",)
    shared = replace(known, profile=Profile(extruders=3, shared_nozzle=True))
    both = {**preset, "preset": "PLA"}
    assert gcode("tool", both, shared) == ("M140 S60", "M104 S215")
    assert refusal("tool", {**preset, "preset": "PLB"}, known) == "404 unknown_preset"


def test_a_script_must_be_listed() -> None:
    run = {"command": "run", "script": "heat"}
    for scripts, error in (
        (None, "403 forbidden"),
        (Scripts({"heat": "M140 S60"}), "403 forbidden"),
        (Scripts({"heat": "M140 S60"}, offered=["other"]), "403 forbidden"),
    ):
        assert refusal("script", run, Context(scripts=scripts)) == error
    listed = Context(scripts=Scripts({"heat": "M140 S60"}, offered=["heat"]))
    assert gcode("script", run, listed) == ("M140 S60",)


def test_what_a_script_may_do_in_a_print() -> None:
    for lines, fits in (
        ("M140 S60\nM106 S9", True),
        ("M25", True),
        ("M600", True),
        ("M290 Z0.01", True),
        ("G28", False),
        ("M106 S9\nG91\nM106 S0\nG90", False),
        ("T0", False),
        ("M83", False),
    ):
        printing = Context(phase="printing", scripts=Scripts({"s": lines}))
        payload = {"script": "s"}
        if fits:
            assert gcode("command", payload, printing)
        else:
            assert refusal("command", payload, printing) == "409 printing", lines


# What is known afterwards.


def after(profile: Profile, *lines: str, family: str = "marlin") -> Accessories:
    known = Accessories()
    for line in lines:
        known = accessories.after(known, read(line, family), profile)
    return known


def test_what_lines_say_of_the_light() -> None:
    for profile, family, lines, state in (
        (lit("case"), "marlin", ("M355",), None),
        (lit("case"), "marlin", ("M355 S1",), (True, None, None)),
        (lit("case"), "marlin", ("M355 S1 P51", "M355 S0"), (False, 20.0, None)),
        (lit("auto"), "marlin", ("M355 P255",), (True, 100.0, None)),
        (lit("none"), "marlin", ("M355 S1",), None),
        (lit("rgb"), "marlin", ("M150 R9",), (True, 100.0, (9, 0, 0))),
        (lit("rgb"), "marlin", ("M150 W9 P51",), (True, 20.0, (0, 0, 0))),
        (lit("rgb"), "marlin", ("M150 R9 P0",), (False, 0.0, (9, 0, 0))),
        (lit("rgb"), "marlin", ("M150",), (False, 100.0, (0, 0, 0))),
        (lit("pin", name="7"), "marlin", ("M42 P7 S51",), (True, 20.0, None)),
        (lit("pin", name="7"), "marlin", ("M42 P7",), None),
        (lit("pin", name="7"), "marlin", ("M42 P8 S51",), None),
        (lit("pin", name="a"), "klipper", ("SET_PIN PIN=a VALUE=0",), OFF),
        (lit("pin", name="a"), "klipper", ("SET_PIN PIN=b VALUE=1",), None),
        (lit("pin", name="a"), "klipper", ("SET_PIN PIN=a VALUE=x",), None),
        (
            lit("led", name="a"),
            "klipper",
            ("SET_LED LED=a RED=0.5 BLUE=0.1",),
            (True, 50.0, (255, 0, 51)),
        ),
        (lit("led", name="a"), "klipper", ("SET_LED LED=a RED=0",), OFF),
    ):
        light = after(profile, *lines, family=family).light
        found = light and (light.on, light.brightness, light.color)
        assert found == state, lines


def test_what_lines_say_of_fans_babysteps_and_the_display() -> None:
    for family, lines, fans, offset in (
        ("marlin", ("M106 P1 S51", "M106 S9"), {"1": 20.0}, 0.0),
        ("marlin", ("M106 P1", "M107 P1"), {"1": 0.0}, 0.0),
        ("klipper", ("SET_FAN_SPEED FAN=exhaust SPEED=0.3",), {"exhaust": 30.0}, 0.0),
        ("klipper", ("SET_FAN_SPEED FAN=other SPEED=0.3",), {}, 0.0),
        ("klipper", ("SET_FAN_SPEED FAN=exhaust",), {}, 0.0),
        ("marlin", ("M290 Z0.1", "M290 S-0.02", "M290"), {}, 0.08),
        ("reprapfirmware", ("M290 S0.1", "M290 R0 S0.05"), {}, 0.05),
        (
            "klipper",
            ("SET_GCODE_OFFSET Z=0.2", "SET_GCODE_OFFSET Z_ADJUST=-0.05"),
            {},
            0.15,
        ),
    ):
        known = after(FANS, *lines, family=family)
        assert (known.fans, known.z_offset) == (fans, offset), lines
    assert after(FANS, "M117 Hello", "G1 X5").display == "Hello"


def test_a_new_connection_keeps_what_the_bridge_keeps() -> None:
    known = replace(after(FANS, "M290 Z0.1", "M106 P1"), jog_distance=10.0)
    fresh = accessories.reconnected(known)
    assert (fresh.z_offset, fresh.fans, fresh.jog_distance) == (0.0, {}, 10.0)
