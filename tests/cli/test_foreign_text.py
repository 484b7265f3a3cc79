"""What others say is printed with its control characters escaped.

It must neither steer the terminal nor look like another line.
"""

import argparse
import io
import json
from datetime import datetime
from pathlib import Path

import pytest

from bridge.cli.client import shown
from bridge.cli.replay import replay
from bridge.demo.output import DemoOutput
from bridge.mqtt.messages import Message

HARMFUL = {
    "\x1b[2J": "\\x1b[2J",
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "\x00": "\\x00",
    "\x7f": "\\x7f",
    "a\rb": "a\\rb",
    "\x08": "\\x08",
}
ONLY_UTF_8 = {"\x9b31m": "\\x9b31m", "\u202e": "\\u202e", "\u2028": "\\u2028"}
"""Control characters that a firmware's bytes cannot contain: they are read as ASCII."""


@pytest.mark.parametrize("text", [*HARMFUL, *ONLY_UTF_8])
def test_messages(text: str) -> None:
    safe = {**HARMFUL, **ONLY_UTF_8}[text]
    message = Message(topic=f"printer/{text}", payload=f"<{text}>".encode())
    line = shown(message, datetime(2026, 1, 1, 12, 0, 0))  # noqa: DTZ001 - as people see it
    assert line == f"12:00:00 printer/{safe} <{safe}>"
    out = io.StringIO()
    output = DemoOutput(out)
    output.received(message)
    output.received(Message(topic="t", payload=json.dumps({"a": text}).encode()))
    first, second = out.getvalue().split("\n")[:2]
    assert first == f"  MQTT ← printer/{safe} <{safe}>"
    assert second.isprintable()


@pytest.mark.parametrize("text", HARMFUL)
def test_lines_of_the_printer(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    output = DemoOutput(out)
    output.wire("<", f"echo:{text}!\n".encode())
    output.wire(">", f"M117 {text}!\n".encode())
    for line in out.getvalue().splitlines():
        assert line.isprintable()
        assert HARMFUL[text] in line
    log = tmp_path / "wire.log"
    written = text.encode("unicode_escape").decode()
    log.write_text(f"    0.1000 > M117 {written}!\n    0.2000 < echo:{written}!\n")
    chosen = argparse.Namespace(file=log, firmware="marlin", summary=False)
    assert replay(chosen) == 0
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.split("\n"))
    assert said.count(HARMFUL[text]) >= 2
