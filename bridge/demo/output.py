"""What both sides say, readable in a terminal."""

import json
import re
import sys
from typing import TextIO

from bridge.mqtt.messages import Message

_ARROWS = {">": "→", "<": "←"}
_BOLD, _DIM, _RED, _GREEN, _PLAIN = (f"\033[{n}m" for n in (1, 2, 31, 32, 0))
_FRAME = re.compile(r"^N\d+ (?P<code>.*)\*\d+$")
# Reports that come all the time, and what asks for them, would drown the rest.
_NOISE = re.compile(
    r"^(?:ok )?(?:T\d?:| ?B:)|^(?:M105|M155|M27|wait|ok|SD printing|Not SD)\b"
)
LEFT_OUT = "(left out: ok, temperatures on the wire, and what is empty or only a time)"
_WIDTH = 100
_MESSAGE = 400
"""Characters that are shown of a line on the wire, and of a message."""
_LONG = 4
"""Lines of one answer of the printer that are shown."""


class Screen:
    """Prints; remembers the lines that went to the printer.

    Attributes:
        sent: the G-code that the printer got, without numbers and checksums.

    """

    def __init__(self, out: TextIO | None = None) -> None:
        """Print to standard output, or elsewhere."""
        self.sent: list[str] = []
        self._out = sys.stdout if out is None else out
        self._colour = self._out.isatty()
        self._rest = {">": b"", "<": b""}
        self._answer = 0

    def text(self, text: str = "") -> None:
        """Print a line as it is."""
        print(text, file=self._out, flush=True)

    def title(self, text: str) -> None:
        """Print what comes next."""
        self.text()
        self.text(self._paint(_BOLD, text))

    def verdict(self, text: str, *, good: bool) -> None:
        """Print how something went."""
        mark = "✓" if good else "✗"
        self.text(self._paint(_GREEN if good else _RED, f"{mark} {text}"))

    def wire(self, direction: str, data: bytes) -> None:
        """Print what went over the wire: ``>`` to the printer, ``<`` from it."""
        *lines, self._rest[direction] = (self._rest[direction] + data).split(b"\n")
        for line in lines:
            text = line.decode("ascii", "backslashreplace").strip()
            frame = _FRAME.match(text)
            code = frame["code"] if frame else text
            if direction == ">" and code:
                self.sent.append(code)
            if text and not _NOISE.match(code):
                self._wire_line(direction, text)

    def sent_to_broker(self, topic: str, payload: bytes) -> None:
        """Print what a client publishes."""
        self._line("MQTT", ">", f"{topic} {payload.decode()}")

    def came_from_broker(self, message: Message) -> None:
        """Print what the bridge publishes."""
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
        line = f"  {side} {arrow} {text}"
        self.text(self._paint(_DIM, line) if side == "wire" else line)

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _compact(text: str) -> str:
    """Return a document without what is empty or only a time."""
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
    """Return a JSON object, or an empty one where the text is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
