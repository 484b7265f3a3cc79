"""The documented examples of OctoPrint's printer API, and the G-code they become."""

import pytest

from tests.support.printers import SimulatedPrinter
from tests.support.stages import Json, Stage, reset

PRINTER = "simulator://marlin?extruders=2&chamber=1&speed=1000"
SETTINGS = {"profile": {"extruders": 2, "heated_chamber": True}}

LISTING = "M20 L T"
"""What the bridge asks by itself when a card was mounted."""

RESTORED = {"jog", "extrude"}
"""After the first of these the next gives its feedrate back: they begin afresh."""

EXAMPLES: list[tuple[str, Json, list[str]]] = [
    # printhead
    (
        "head",
        {"command": "jog", "x": 10, "y": -5, "z": 0.02},
        ["G91", "G0 X10 Y-5 Z0.02 F200", "G90"],
    ),
    ("head", {"command": "jog", "x": 10}, ["G91", "G0 X10 F6000", "G90"]),
    ("head", {"command": "jog", "z": 10.0, "x": 1}, ["G91", "G0 X1 Z10 F200", "G90"]),
    ("head", {"command": "jog", "y": 1e-5}, ["G91", "G0 Y0.00001 F6000", "G90"]),
    (
        "head",
        {"command": "jog", "x": 50, "y": 40, "absolute": True, "speed": 3000},
        ["G90", "G0 X50 Y40 F3000"],
    ),
    ("head", {"command": "jog", "x": 5, "speed": False}, ["G91", "G0 X5", "G90"]),
    ("head", {"command": "home", "axes": ["x", "y"]}, ["G91", "G28 X0 Y0", "G90"]),
    ("head", {"command": "home", "axes": ["z", "x"]}, ["G91", "G28 Z0 X0", "G90"]),
    ("head", {"command": "home", "axes": "xy"}, ["G91", "G28 X0 Y0", "G90"]),
    ("head", {"command": "home", "axes": []}, ["G91", "G28", "G90"]),
    ("head", {"command": "feedrate", "factor": 105}, ["M220 S105"]),
    ("head", {"command": "feedrate", "factor": 1.05}, ["M220 S105"]),
    ("head", {"command": "feedrate", "factor": 0.57}, ["M220 S57"]),
    # tool
    (
        "tool",
        {"command": "target", "targets": {"tool0": 220, "tool1": 205}},
        ["M104 T0 S220", "M104 T1 S205"],
    ),
    (
        "tool",
        {"command": "target", "targets": {"tool1": 0, "tool": 0}},
        ["M104 T1 S0", "M104 S0"],
    ),
    ("tool", {"command": "target", "targets": {"tool01": 50.5}}, ["M104 T1 S50.5"]),
    ("tool", {"command": "offset", "offsets": {"tool0": 10, "tool1": -5}}, []),
    ("tool", {"command": "select", "tool": "tool1"}, ["T1"]),
    ("tool", {"command": "select", "tool": "tool0"}, ["T0"]),
    (
        "tool",
        {"command": "extrude", "amount": 5},
        ["G91", "M83", "G1 E5 F300", "M82", "G90"],
    ),
    (
        "tool",
        {"command": "extrude", "amount": -3, "speed": 200},
        ["G91", "M83", "G1 E-3 F200", "M82", "G90"],
    ),
    (
        "tool",
        {"command": "extrude", "amount": 5, "speed": 10_000},
        ["G91", "M83", "G1 E5 F300", "M82", "G90"],
    ),
    ("tool", {"command": "flowrate", "factor": 95}, ["M221 S95"]),
    ("tool", {"command": "flowrate", "factor": 0.95}, ["M221 S95"]),
    # bed and chamber
    ("bed", {"command": "target", "target": 75}, ["M140 S75"]),
    ("bed", {"command": "offset", "offset": -5}, []),
    ("chamber", {"command": "target", "target": 50}, ["M141 S50"]),
    ("chamber", {"command": "offset", "offset": -5}, []),
    # the card: init is nothing to do while it is mounted
    ("sd", {"command": "init"}, []),
    ("sd", {"command": "refresh"}, ["M20 L T"]),
    ("sd", {"command": "release"}, ["M22"]),
    ("sd", {"command": "init"}, ["M21"]),
    # G-code as it is
    ("command", {"command": "M106"}, ["M106"]),
    ("command", {"commands": ["M18", "M106 S0"]}, ["M18", "M106 S0"]),
    ("command", {"command": "M117 50%"}, ["M117 50%"]),
    (
        "command",
        {"command": "M117 %(text)s", "parameters": {"text": "Hello"}},
        ["M117 Hello"],
    ),
    (
        "command",
        {
            "commands": ["M104 S{hot}", "M140 S{bed:d}"],
            "parameters": {"hot": 0, "bed": 0},
        },
        ["M104 S0", "M140 S0"],
    ),
    ("command", {"command": "g28 x y ; home"}, ["G28 X Y"]),
]


async def fresh(bridge: Stage[SimulatedPrinter]) -> None:
    """Forget what earlier moves have left, and heat the nozzle."""
    await reset(bridge)
    answer = await bridge.call("command", {"command": "M109 S200"})
    assert answer["status"] == "finished", answer


@pytest.mark.parametrize(
    ("topic", "payload", "gcode"),
    [
        pytest.param(*example, id=f"{example[0]}-{index}")
        for index, example in enumerate(EXAMPLES)
    ],
)
async def test_example(
    bridge: Stage[SimulatedPrinter], topic: str, payload: Json, gcode: list[str]
) -> None:
    if payload.get("command") in RESTORED:
        await fresh(bridge)
    if topic == "sd":  # the card is mounted, except for the example that mounts it
        for before in ("init", "release") if gcode == ["M21"] else ("init",):
            answer = await bridge.call("sd", {"command": before})
            assert answer["status"] == "finished", answer
    begun = len(bridge.printer.wire.chunks)
    answer = await bridge.call(topic, payload)
    assert answer["status"] == "finished", answer
    assert (answer["code"], answer["topic"]) == (200, topic)
    fence = await bridge.fence()
    assert answer["gcode"] == gcode
    own = {LISTING} - {*gcode}  # it may come before the command or after it
    sent = [line for line in bridge.printer.wire.sent(begun) if line not in own]
    assert sent[: len(gcode)] == gcode
    assert set(sent[len(gcode) :]) <= {fence, LISTING}
    assert bridge.printer.wire.most_in_flight(begun) == 1
