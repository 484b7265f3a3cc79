"""How a dialect is detected, and how long its lines may take."""

import pytest

from bridge.gcode.codes import tables
from bridge.gcode.dialects import DIALECTS, KLIPPER, MARLIN, REPRAPFIRMWARE, detect
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import FirmwareReport
from bridge.simulator.personalities import PERSONALITIES

NAMES = {
    "Marlin bugfix-2.1.x (Nov 22 2026 18:19:05)": "marlin",
    "Marlin 1.1.9 (Github)": "marlin",
    "Marlin 1.0.2": "marlin1",
    "Marlin V1; Sprinter/grbl mashup for gen6": "marlin1",
    "Prusa-Firmware 3.13.3 based on Marlin": "prusa",
    "Klipper": "klipper",
    "RepRapFirmware for Duet 2 WiFi/Ethernet": "reprapfirmware",
    "Repetier_0.92.9": "repetier",
    "ANET_A8_20160728": "repetier",
    "Smoothieware": "smoothieware",
    "Malyan VER: 3.5": "malyan",
    "Teacup": "teacup",
    "Sailfish": "unknown",
    "": "unknown",
}


@pytest.mark.parametrize(("name", "dialect"), NAMES.items())
def test_a_firmware_is_known_by_its_name(name: str, dialect: str) -> None:
    assert detect(name).name == dialect


@pytest.mark.parametrize("personality", PERSONALITIES.values(), ids=lambda p: p.name)
def test_each_simulated_firmware_is_known_by_its_own_m115(personality: object) -> None:
    identity: str = getattr(personality, "identity", "")
    name: str = getattr(personality, "name", "")
    found = [
        reply for reply in parse_reply(identity) if isinstance(reply, FirmwareReport)
    ]
    assert (detect(found[0].name).name if found else "unknown") == name


def test_each_dialect_is_found_under_its_own_name() -> None:
    assert all(dialect.name == name for name, dialect in DIALECTS.items())
    assert list(DIALECTS) != sorted(DIALECTS), "the particular comes before the general"


@pytest.mark.parametrize(
    "code",
    sorted(
        name
        for name, row in tables()["marlin"].items()
        if row.long and name[1:].isdigit() and name not in {"G4", "M303"}
    ),
)
def test_long_lines_are_given_time(code: str) -> None:
    assert MARLIN.timeout_for(f"{code} S1") == MARLIN.long_timeout


@pytest.mark.parametrize(
    ("line", "is_long"),
    [
        ("PRINT_START BED=60", True),
        ("SET_PIN PIN=a VALUE=1", True),
        ("T1", True),
        ("STATUS", False),
        ("M900 K0.1", False),
    ],
)
def test_macros_are_given_time(line: str, *, is_long: bool) -> None:
    expected = KLIPPER.long_timeout if is_long else KLIPPER.ok_timeout
    assert KLIPPER.timeout_for(line) == expected


def test_a_macro_file_is_given_time() -> None:
    assert REPRAPFIRMWARE.timeout_for('M98 P"a.g"') == REPRAPFIRMWARE.long_timeout


@pytest.mark.parametrize(
    ("line", "seconds"), [("G4 S600", 610), ("G4 P1500", 11.5), ("G4", 10), ("G1", 10)]
)
def test_others_only_as_much_as_they_say(line: str, seconds: float) -> None:
    assert MARLIN.timeout_for(line) == seconds


def test_what_protects_a_printer_without_the_bridge_is_named() -> None:
    words = {
        "marlin": ("M86", "M85"),
        "marlin1": ("M85",),
        "prusa": ("safety timer",),
        "klipper": ("[idle_timeout]",),
        "repetier": ("M85",),
    }
    for name, dialect in DIALECTS.items():
        named = dialect.heater_timeout
        assert bool(named) == (name in words), name
        assert all(word in named for word in words.get(name, ())), name
