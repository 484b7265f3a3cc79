"""Coverage-guided fuzzing of everything that reads a firmware's bytes.

Not part of the suite, since atheris is not a dependency of ours:

    pip install atheris
    python tests/fuzz/protocol.py -max_total_time=600

An input is read as bytes of the firmware with, now and then, a line of the host or some
seconds in between. It ends with an exception, or after the time that was given.
"""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
atheris = importlib.import_module("atheris")

with atheris.instrument_imports(include=["bridge.gcode"]):
    from bridge.gcode.dialects import DIALECTS
    from bridge.gcode.events import Done, Failed
    from bridge.gcode.protocol import Protocol

_LINES = ("G28", "M105", "M114", "M20", "M115", "M109 S200")


def converse(data: bytes) -> None:
    """Hold the conversation that an input describes."""
    source = atheris.FuzzedDataProvider(data)
    dialects = list(DIALECTS.values())
    protocol = Protocol(dialects[source.ConsumeIntInRange(0, len(dialects) - 1)])
    opened: set[int] = set()
    now = 0.0
    if source.ConsumeBool():
        protocol.data_to_send(now)
        protocol.receive_data(b"ok\n", now)
        protocol.handle_timeout(1.0)
        protocol.data_to_send(1.0)
        protocol.receive_data(b"ok T:20 /0\n", 1.0)
    while source.remaining_bytes():
        events = []
        match source.ConsumeIntInRange(0, 3):
            case 0:
                opened.add(protocol.send(_LINES[source.ConsumeIntInRange(0, 5)]))
            case 1:
                now += source.ConsumeIntInRange(0, 400)
                events = protocol.handle_timeout(now)
            case _:
                size = source.ConsumeIntInRange(1, 64)
                events = protocol.receive_data(source.ConsumeBytes(size), now)
        protocol.data_to_send(now)
        for event in events:
            if isinstance(event, Done | Failed):
                opened.remove(event.ticket)  # each ticket comes back once


if __name__ == "__main__":
    atheris.Setup(sys.argv, converse)
    atheris.Fuzz()
