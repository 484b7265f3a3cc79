"""A simulated printer as one line of text."""

import pytest

from bridge.simulator.firmware import Firmware


def test_all_options_have_a_place() -> None:
    firmware = Firmware.from_url(
        "simulator://marlin?extruders=2&speed=10&bed=0&chamber=1&card=no&boot=1.5"
        "&room=128&emergency_parser=off&advanced_ok=true&park=yes&resend_ok=0"
        "&filament_change=0"
    )
    assert list(firmware.heaters) == ["tool0", "tool1", "chamber"]
    assert firmware.machine.options == {
        "extruders": 2,
        "speed": 10.0,
        "bed": False,
        "chamber": True,
        "card": False,
        "boot": 1.5,
        "room": 128,
        "emergency_parser": False,
        "advanced_ok": True,
        "park": True,
        "resend_ok": False,
        "filament_change": False,
    }


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("simulator://", "marlin"),
        ("simulator:", "marlin"),
        ("simulator:klipper", "klipper"),
        ("simulator://klipper?ready=0", "klipper"),
        ("simulator://repetier/", "repetier"),
    ],
)
def test_the_name_may_be_left_out(url: str, name: str) -> None:
    assert Firmware.from_url(url).personality.name == name


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("socket://x", "begins with simulator://"),
        ("simulator://sprinter", r'no firmware "sprinter" \(known: marlin, '),
        ("simulator://marlin?colour=red", r'no option "colour" \(known: extruders'),
        ("simulator://marlin?bed=maybe", 'option bed must be 1 or 0, not "maybe"'),
        ("simulator://marlin?extruders=two", 'extruders must be a number, not "two"'),
        ("simulator://marlin?extruders=0", "extruders must be 1 to 8"),
        ("simulator://marlin?extruders=9", "extruders must be 1 to 8"),
        ("simulator://marlin?speed=nan", "speed must be above 0"),
        ("simulator://marlin?speed=0", "speed must be above 0"),
        ("simulator://marlin?speed=inf", "speed must be above 0"),
        ("simulator://marlin?boot=-1", "boot must be 0 or more"),
        ("simulator://marlin?swing=-1", "swing must be 0 or more"),
        ("simulator://marlin?boot=nan", "boot must be 0 or more"),
        ("simulator://marlin?room=0", "room must be 1 or more"),
        ("simulator://marlin?bed=", 'option bed must be 1 or 0, not ""'),
    ],
)
def test_what_makes_no_sense_is_named(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Firmware.from_url(url)
