"""The logs of real firmware under ``tests/transcripts``, read as dialogues."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent / "transcripts"

_LINE = re.compile(r" *(\d+\.\d+) (>>|<<|##|>|<|#) ?(.*)")
_EVENT = re.compile(r"-* ?(reset\b.*|card pulled.*|card put back.*)")
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


@dataclass(slots=True)
class Exchange:
    """What the host sent, and what arrived before it sent again.

    Attributes:
        at: seconds from the beginning of the log.
        sent: the bytes of the host; none before the first, and none where somebody
            pressed reset or pulled the card, as the remark says.
        replies: the printer's lines, without their ``\\n``.
        remark: the log's last remark before it.

    """

    at: float
    sent: bytes
    replies: list[str] = field(default_factory=list)
    remark: str = ""


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        mark = match[1]
        return chr(int(mark[1:], 16)) if mark[0] == "x" else _ESCAPES[mark]

    return _ESCAPE.sub(replace, text)


def read(firmware: str, name: str) -> list[Exchange]:
    """Return the exchanges of a log such as ``marlin``, ``m21-lines``."""
    exchanges = [Exchange(0.0, b"")]
    remark = ""
    for line in (ROOT / firmware / f"{name}.txt").read_text().splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        at, kind, text = float(match[1]), match[2], match[3]
        if kind in {">", "<"}:
            text = _unescape(text)
        elif kind in {">>", "<<"}:
            text = str(ast.literal_eval(text))
        if kind in {"#", "##"}:
            remark = text
            if _EVENT.match(text):
                exchanges.append(Exchange(at, b"", [], remark))
        elif kind in {">", ">>"}:
            exchanges.append(Exchange(at, text.encode("latin-1"), [], remark))
        else:
            exchanges[-1].replies.append(text.removesuffix("\n"))
    return exchanges
