"""What the demo shows of long texts."""

import io
import json

from bridge.demo.output import DemoOutput
from bridge.mqtt.messages import Message


def test_what_is_long_is_cut_and_says_so() -> None:
    out = io.StringIO()
    output = DemoOutput(out)
    output.wire("<", b"FIRMWARE_NAME:" + b"x" * 1000 + b"\n")
    for lines in (["short"], ["y" * 100] * 10):
        payload = json.dumps({"output": lines}).encode()
        output.received(Message(topic="printer/response", payload=payload))
    wire, short, long = out.getvalue().splitlines()
    assert wire.startswith("  wire ← FIRMWARE_NAME:xxx")
    assert wire.endswith("x…")
    assert short == '  MQTT ← printer/response {"output": ["short"]}'
    assert long.endswith("y…")
    assert max(len(wire), len(long)) < 450
