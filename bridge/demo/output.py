"""Prints MQTT messages and serial lines readably in a terminal."""

import json
import re
import sys
from typing import TextIO

from bridge.logs import escaped
from bridge.mqtt.messages import Message

_ARROWS = {">": "→", "<": "←"}
_BOLD, _DIM, _RED, _GREEN, _PLAIN = (f"\033[{n}m" for n in (1, 2, 31, 32, 0))
_FRAME = re.compile(r"^N\d+ (?P<code>.*)\*\d+$")
# Periodic reports, and the commands that request them, would hide everything else.
_NOISE = re.compile(
    r"^(?:ok )?(?:T\d?:| ?B:)|^(?:M105|M155|M27|wait|ok|SD printing|Not SD)\b"
)
LEFT_OUT = "(not shown: ok, temperatures on the serial line, empty fields and times)"
_WIDTH = 100
_MESSAGE = 400
"""Characters of a message that are shown; of a serial line it is ``_WIDTH``."""
_LONG = 4
"""Lines of one reply of the printer that are shown."""


class DemoOutput:
    """Prints to the terminal, and records the lines sent to the printer.

    Attributes:
        sent: the G-code sent to the printer, without line numbers and checksums.

    """

    def __init__(self, out: TextIO | None = None) -> None:
        """Print to standard output, or to another stream."""
        self.sent: list[str] = []
        self._out = sys.stdout if out is None else out
        self._colour = self._out.isatty()
        self._rest = {">": b"", "<": b""}
        self._answer = 0

    def text(self, text: str = "") -> None:
        """Print a line unchanged."""
        print(text, file=self._out, flush=True)

    def title(self, text: str) -> None:
        """Print a heading."""
        self.text()
        self.text(self._paint(_BOLD, text))

    def result(self, text: str, *, good: bool) -> None:
        """Print whether something succeeded."""
        mark = "✓" if good else "✗"
        self.text(self._paint(_GREEN if good else _RED, f"{mark} {text}"))

    def wire(self, direction: str, data: bytes) -> None:
        """Print serial data: ``>`` was sent to the printer, ``<`` came from it."""
        *lines, self._rest[direction] = (self._rest[direction] + data).split(b"\n")
        for line in lines:
            text = line.decode("ascii", "backslashreplace").strip()
            frame = _FRAME.match(text)
            code = frame["code"] if frame else text
            if direction == ">" and code:
                self.sent.append(code)
            if text and not _NOISE.match(code):
                self._wire_line(direction, text)

    def published(self, topic: str, payload: bytes) -> None:
        """Print a message that the demo's client publishes."""
        self._line("MQTT", ">", f"{topic} {payload.decode()}")

    def received(self, message: Message) -> None:
        """Print a message that the bridge publishes."""
        text = message.payload.decode("utf-8", "backslashreplace")
        self._line("MQTT", "<", f"{message.topic} {_cut(_compact(text), _MESSAGE)}")

    def _wire_line(self, direction: str, text: str) -> None:
        self._answer = self._answer + 1 if direction == "<" else 0
        if self._answer <= _LONG:
            self._line("wire", direction, _cut(text, _WIDTH))
        elif self._answer == _LONG + 1:
            self._line("wire", direction, "… and more")

    def _line(self, side: str, direction: str, text: str) -> None:
        arrow = _ARROWS[direction]
        line = f"  {side} {arrow} {escaped(text)}"
        self.text(self._paint(_DIM, line) if side == "wire" else line)

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _compact(text: str) -> str:
    """Return a document without empty fields and times."""
    document = document_of(text)
    if not document:
        return text
    bare = {
        key: value
        for key, value in document.items()
        if value not in (None, [], {}, "") and key not in {"time", "duration"}
    }
    return json.dumps(bare, ensure_ascii=False)


def document_of(text: str | bytes) -> dict[str, object]:
    """Return a JSON object, or an empty one if the text is not an object."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
