"""Motion leaves no trace: the simulated firmware is asked, not our own bookkeeping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands import parse
from bridge.commands.base import Context
from bridge.gcode.dialects import DIALECTS
from bridge.gcode.modal import Modal, track
from bridge.simulator.firmware import Firmware

BEFORE = st.lists(
    st.sampled_from(
        [
            "G90",
            "G91",
            "M82",
            "M83",
            "G1 F1200",
            "G1 X5 F3000",
            "G0 Y1",
            "M106 S128",
            "M220 S90",
            "T0",
        ]
    ),
    max_size=8,
)
MOTION = st.sampled_from(
    [
        ("head", b'{"command": "jog", "x": 2, "speed": 600}'),
        ("head", b'{"command": "jog", "y": 1, "z": 1}'),
        ("head", b'{"command": "jog", "x": 1, "absolute": true}'),
        ("head", b'{"command": "jog", "x": 1, "speed": false}'),
        ("head", b'{"command": "home", "axes": ["x"]}'),
        ("tool", b'{"command": "extrude", "amount": 1}'),
        ("tool", b'{"command": "extrude", "amount": -1, "speed": 120}'),
    ]
)


def tell(firmware: Firmware, line: str, now: float) -> float:
    """Send a line and let the time pass that it takes."""
    said = firmware.receive_data(line.encode() + b"\n", now)
    while b"ok" not in said:
        when = firmware.next_event(now)
        assert when is not None, f"{line} is never answered"
        now = max(now, when)
        said += firmware.handle_time(now)
    return now


FAMILIES = ["marlin", "klipper", "repetier", "smoothieware", "reprapfirmware"]


@pytest.mark.parametrize(
    ("family", "taken_for"),
    [
        *((family, family) for family in [*FAMILIES, "marlin1"]),
        ("marlin1", "marlin"),  # versions 1.1 and 2 call themselves alike
    ],
)
@given(before=BEFORE, motion=MOTION)
def test_motion_gives_the_machine_back_as_it_was(
    family: str, taken_for: str, before: list[str], motion: tuple[str, bytes]
) -> None:
    dialect = DIALECTS[taken_for]
    firmware, modal, now = Firmware(family, speed=1000), Modal(), 0.0
    firmware.reset(now)
    while (when := firmware.next_event(now)) is not None and when < 10:
        now = max(now + 0.01, when)
        firmware.handle_time(now)
    for line in ["M302 S0", "G28", *before]:
        now = tell(firmware, line, now)
        modal = track(modal, line, g90_sets_extruder=dialect.g90_sets_extruder)
    was = dict(firmware.modal)
    program = parse(*motion).command.program(Context(dialect=dialect, modal=modal))
    for line in program.gcode:
        now = tell(firmware, line, now)
    is_ = dict(firmware.modal)
    if modal.feedrate is None:  # nobody chose one, so there is none to give back
        was.pop("feedrate")
        is_.pop("feedrate")
    assert is_ == was
