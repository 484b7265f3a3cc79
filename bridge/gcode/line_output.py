"""Which of the firmware's lines belong to the line that it is executing."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bridge.gcode import reply_types as replies
from bridge.gcode.line import code_of, read
from bridge.gcode.reply_types import Reply
from bridge.gcode.window import QueuedLine

MAX_OUTPUT = 2000
"""Lines of output that are kept for one line; the file list of a full SD card is
shorter."""

_UNKNOWN = re.compile(
    r"unknown |invalid [GM] code|bad (?:[GM]-code|command)", re.IGNORECASE
)
"""Beginnings of a refusal of an unknown code: ``Unknown command: "foo"`` of Marlin and
Klipper (tests/transcripts), ``Invalid M code.`` of Prusa
(https://github.com/OctoPrint/OctoPrint/issues/1713), ``Bad G-code`` of Teacup
(https://github.com/Traumflug/Teacup_Firmware/issues/305) and ``Bad command`` of
RepRapFirmware. As the answer to a query of the bridge, it concerns nobody else."""

_QUOTE = re.compile(r'Unknown (?:command|code):\s*"?(.*?)"?$', re.IGNORECASE)
"""The line that a refusal quotes."""

_FRAME = re.compile(r"^N\d+\s*|\s*\*\d+$", re.ASCII)
"""The frame in which that line was sent: ``N12 M999*55``. Repetier quotes it as well
(https://github.com/luc-github/Repetier-Firmware-4-Davinci/issues/29)."""

_ECHO = re.compile(r"echo:\s*N-?\d+\s", re.ASCII | re.IGNORECASE)
"""Repetier's echo of a received line, if the owner has switched it on (``M111``)."""


def is_query(line: str) -> bool:
    """Return whether a line does nothing but query something."""
    return read(line).row.reads


def collect(line: QueuedLine, found: Sequence[Reply], text: str) -> None:
    """Add what the firmware said to a line's output, unless it was unsolicited.

    Args:
        line: the line that the firmware is executing.
        found: all replies in one line from the firmware.
        text: that line from the firmware.

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
    """Return the replies, with the refusal of a damaged line as a transfer error.

    Noise in the ``N`` of a numbered line turns it into an unknown command without a
    checksum: ``Unknown command: "O1111 M117 hello"``. The firmware has not received the
    line, and requests it later.
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
    """Return the replies, with those refusals marked that no sender reports.

    Answers to the bridge's own queries, for example that a code is unknown or that
    there is no card, are not marked, because they are not problems.
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
    """Return whether a reply can belong to a line: automatic reports belong to none."""
    match reply:
        case replies.TemperatureReport():
            return line.code == "M105"
        case replies.PrintProgress() | replies.NotPrinting() | replies.PrintPaused():
            return line.code == "M27"
        case replies.Busy() | replies.Action():
            return False
    return True
