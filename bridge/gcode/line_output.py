"""Which of the firmware's lines are the answer to the line it is working on."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bridge.gcode import reply_types as replies
from bridge.gcode.line import code_of, read
from bridge.gcode.reply_types import Reply
from bridge.gcode.window import QueuedLine

MAX_OUTPUT = 2000
"""Lines of output that are kept for one line; the list of a full SD card has fewer."""

_UNKNOWN = re.compile(
    r"unknown |invalid [GM] code|bad (?:[GM]-code|command)", re.IGNORECASE
)
"""How a refusal begins that says that a code is not known (``Unknown command: "foo"``
of Marlin and Klipper, ``Invalid M code.`` of Prusa, ``Bad command`` of RepRapFirmware):
that answers a query of the bridge and concerns nobody else."""


# A refusal repeats the line, with the frame in which it was sent: ``N12 M999*55``.
_QUOTE = re.compile(r'Unknown (?:command|code):\s*"?(.*?)"?$', re.IGNORECASE)
_FRAME = re.compile(r"^N\d+\s*|\s*\*\d+$", re.ASCII)
_ECHO = re.compile(r"echo:\s*N-?\d+\s", re.ASCII | re.IGNORECASE)
"""Repetier's echo of a line, where its owner has switched that on (``M111``)."""


def is_query(line: str) -> bool:
    """Return whether a line is sent for the sake of its answer."""
    return read(line).row.reads


def collect(line: QueuedLine, found: Sequence[Reply], text: str) -> None:
    """Add what the firmware said to a line's output, unless it was unsolicited.

    Args:
        line: the line that the firmware works on.
        found: all replies that one line of the firmware means.
        text: that line of the firmware.

    """
    mine = [reply for reply in found if _belongs(reply, line)]
    if _ECHO.match(text):
        return
    if not text or not mine or len(line.output) >= MAX_OUTPUT:
        return
    line.output.append(text)
    for reply in mine:
        if isinstance(reply, replies.Refusal | replies.HeaterFault | replies.Fatal):
            line.errors.append(reply.text)


def mark_damaged(found: Sequence[Reply], line: QueuedLine | None) -> list[Reply]:
    """Return replies with a refusal of what noise made of a line as its damage.

    Noise in the ``N`` of a numbered line makes an unknown command of it, whose checksum
    nobody checks: ``Unknown command: "O1111 M117 hello"``. The firmware never received
    the line, and asks for it later.
    """
    if line is None or line.number < 0:
        return list(found)
    return [
        replies.TransferError(reply.text)
        if isinstance(reply, replies.Refusal) and _is_damage(reply.text, line)
        else reply
        for reply in found
    ]


def _is_damage(text: str, line: QueuedLine) -> bool:
    quote = _QUOTE.match(text)
    if quote is None:
        return False
    said = _FRAME.sub("", quote[1])
    ours = line.text in said or re.search(rf"(?<!\d){line.number}(?!\d)", said)
    code = code_of(line.text).upper()
    return bool(ours) and not said.upper().startswith(code)


def mark_unsolicited(found: Sequence[Reply], line: QueuedLine | None) -> list[Reply]:
    """Return replies with those refusals marked that no sender of a line reports.

    What our own questions find out, that a code is not known or that there is no card,
    is not marked, because it is not a problem to report.
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


def _belongs(reply: Reply, line: QueuedLine) -> bool:
    """Return whether a reply can be about a line: autoreports are about none."""
    match reply:
        case replies.TemperatureReport():
            return line.code == "M105"
        case replies.PrintProgress() | replies.NotPrinting() | replies.PrintPaused():
            return line.code == "M27"
        case replies.Busy() | replies.Action():
            return False
    return True
