"""The logs of real firmware: who sent what, and when."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.gcode.dialects import DIALECTS, Dialect

FOLDER = Path(__file__).parent.parent / "transcripts"
_LINE = re.compile(r"\s*(?P<time>[\d.]+) (?P<mark>>>?|<<?) ?(?P<text>.*)")
_ESCAPE = re.compile(r"\\(?:x(?P<hex>[0-9a-f]{2})|(?P<letter>[rnt]))")
_LETTERS = {"r": "\r", "n": "\n", "t": "\t"}


@dataclass(frozen=True)
class Line:
    """One line of a log, without its line feed.

    Attributes:
        time: seconds since the log began.
        by_host: the host said it, else the firmware.
        text: what was said.

    """

    time: float
    by_host: bool
    text: str


def logs() -> list[Path]:
    """Return every log."""
    return sorted(FOLDER.glob("*/*.txt"))


def dialect_of(log: Path) -> Dialect:
    """Return the dialect of the firmware that wrote a log."""
    return DIALECTS[log.parent.name]


def read(log: Path) -> Iterator[Line]:
    """Yield the lines of a log, without comments."""
    for written in log.read_text(encoding="utf-8").splitlines():
        match = _LINE.fullmatch(written)
        if match is None:
            continue
        text = match["text"]
        quoted = len(match["mark"]) == 2
        said = ast.literal_eval(text) if quoted else _ESCAPE.sub(_unescape, text)
        yield Line(float(match["time"]), match["mark"][0] == ">", said.rstrip("\n"))


def heard(log: Path) -> list[str]:
    """Return what the firmware sent, line by line."""
    return [line.text for line in read(log) if not line.by_host]


def _unescape(match: re.Match[str]) -> str:
    if match["hex"]:
        return chr(int(match["hex"], 16))
    return _LETTERS[match["letter"]]
