"""The modal state that a line leaves for the next one."""

from functools import reduce

import pytest

from bridge.gcode.modal import Modal, track


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["G28", "M105"], Modal()),
        (["G91"], Modal(relative=True, relative_e=True)),
        (["G91", "G90"], Modal()),
        (["M83"], Modal(relative_e=True, own_relative_e=True)),
        (["M83", "G90"], Modal(own_relative_e=True)),
        (["M83", "M82"], Modal()),
        (["G1 X5 F3000", "G1 X9", "G0 F0"], Modal(feedrate=3000)),
        (["T1"], Modal(tool=1)),
        (["T?"], Modal()),
        (["M106"], Modal(fan=100)),
        (["M106 S127"], Modal(fan=49.8)),
        (["M106 S999"], Modal(fan=100)),
        (["M106 S255", "M107"], Modal(fan=0)),
        (["M106 P1 S255"], Modal()),
        (["M220 S80", "M221 S105"], Modal(speed_factor=80, flow_factor=105)),
        (["M220"], Modal()),
    ],
)
def test_modes_last(lines: list[str], left: Modal) -> None:
    assert reduce(track, lines, Modal()) == left


def test_the_extruder_keeps_its_own_mode_where_the_firmware_does() -> None:
    modal = track(Modal(relative_e=True), "G90", g90_sets_extruder=False)
    assert modal == Modal(relative_e=True)
