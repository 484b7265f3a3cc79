"""What a firmware line means: one line of text to typed replies.

A dialect decides where firmwares differ. The wire facts come from logs of real firmware
(``tests/transcripts``) and from the sources named in ``docs/adr``. The rules are found
by a line's first letter, since every line of the wire comes through here.
"""

import re

from bridge.gcode.card_types import (
    CardState,
    CurrentFile,
    File,
    FileListBegin,
    FileListEnd,
    FileOpened,
    FileSelected,
    NotPrinting,
    PrintDone,
    PrintPaused,
    PrintProgress,
    Progress,
)
from bridge.gcode.dialects import MARLIN, Dialect
from bridge.gcode.files import parse_file
from bridge.gcode.reasons import remark
from bridge.gcode.reply_types import (
    Action,
    ActiveTool,
    Busy,
    Capability,
    Fatal,
    Fault,
    Firmware,
    FlowFactor,
    Info,
    Ok,
    Position,
    Readiness,
    Reading,
    Refusal,
    Reply,
    Resend,
    SpeedFactor,
    Started,
    Targets,
    Temperatures,
    TransferError,
    Wait,
)
from bridge.gcode.rules import RULES, reported

__all__ = [
    "Action",
    "ActiveTool",
    "Busy",
    "Capability",
    "CardState",
    "CurrentFile",
    "Fatal",
    "Fault",
    "File",
    "FileListBegin",
    "FileListEnd",
    "FileOpened",
    "FileSelected",
    "Firmware",
    "FlowFactor",
    "Info",
    "NotPrinting",
    "Ok",
    "Position",
    "PrintDone",
    "PrintPaused",
    "PrintProgress",
    "Progress",
    "Readiness",
    "Reading",
    "Refusal",
    "Reply",
    "Resend",
    "SpeedFactor",
    "Started",
    "Targets",
    "Temperatures",
    "TransferError",
    "Wait",
    "hints_at_start",
    "parse",
    "parse_file",
]

_HINT = re.compile(
    r".+start|.*(?:PowerUp|(?:External|Brown out|Watchdog|Software) Reset)", re.DOTALL
)


def parse(line: str, dialect: Dialect = MARLIN) -> list[Reply]:
    """Return what a line says, without its line end; any text is understood somehow.

    ``ok T:20.1 /0.0`` says two things: reports come first, the :class:`Ok` last. A
    blank line says nothing. What no rule knows is an :class:`Info`, unless it
    tells of trouble.
    """
    text = line.replace("\0", "").strip()
    for pattern, build in RULES.get(text[:1].lower(), ()):
        if match := pattern.match(text):
            return build(match, dialect)
    if not text:
        return []
    return reported(text, dialect) or [remark(text, dialect)]


def hints_at_start(text: str) -> bool:
    """Tell whether a line may be a boot whose ``start`` arrived damaged.

    ``PID Autotune start`` looks the same, so this is reason enough to ask, not more.
    """
    return _HINT.fullmatch(text) is not None
