"""Which of the firmware's lines are the answer to the line it is working on."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bridge.gcode import reply_types as replies
from bridge.gcode import words
from bridge.gcode.reply_types import Reply
from bridge.gcode.window import Line

_UNKNOWN = re.compile(
    r"unknown |invalid [GM] code|bad (?:[GM]-code|command)", re.IGNORECASE
)
MAX_OUTPUT = 2000  # lines; a full SD card lists fewer
_QUERIES = {"M20", "M27", "M31", "M105", "M114", "M115", "M119", "M503"}


def is_query(line: str) -> bool:
    """Tell whether a line is sent for the sake of its answer."""
    return words.parse(line).code in _QUERIES


def collect(line: Line, found: Sequence[Reply], text: str) -> None:
    """Add what the firmware said to a line's output, unless it came unasked.

    ``found`` is all that one line of the firmware, ``text``, means.
    """
    mine = [reply for reply in found if _belongs(reply, line)]
    if not text or not mine or len(line.output) >= MAX_OUTPUT:
        return
    line.output.append(text)
    for reply in mine:
        if isinstance(reply, replies.Refusal | replies.Fault | replies.Fatal):
            line.errors.append(reply.text)


def marked(found: Sequence[Reply], line: Line | None) -> list[Reply]:
    """Return what one line of the firmware means, with its unsolicited refusals marked.

    That it does not know a code, or has no card, is what our own questions find out.
    """
    if line is not None and line.report_errors:
        return list(found)
    if any(isinstance(reply, replies.CardState) for reply in found):
        return list(found)
    return [
        replace(reply, unsolicited=True)
        if isinstance(reply, replies.Refusal)
        and (line is None or not _UNKNOWN.match(reply.text))
        else reply
        for reply in found
    ]


def _belongs(reply: Reply, line: Line) -> bool:
    match reply:
        case replies.Temperatures():
            return words.parse(line.text).code == "M105"
        case replies.PrintProgress() | replies.NotPrinting() | replies.PrintPaused():
            return words.parse(line.text).code == "M27"
        case replies.Busy() | replies.Action():
            return False
    return True
