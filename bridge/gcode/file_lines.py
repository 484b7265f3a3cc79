"""The lines of a G-code file: which are sent, and which are only for people.

Whoever checks a file and whoever prints it must read the same lines from it.
"""

import re

from bridge.gcode.codes import PrintAction
from bridge.gcode.line import Line

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line, without its end. Some slicers write a whole picture into one
comment; a longer line is that of no G-code, and would only cost memory."""

_BOM = b"\xef\xbb\xbf"
"""Windows editors write it before the first line of a text in UTF-8, and some once more
with each program that a file goes through."""

_BLANKS = b" \t\r\n\f\v"


def bare(raw: bytes) -> bytes:
    """Return a line of a file without what surrounds it and nobody sees.

    Args:
        raw: the bytes of the line; its end may still be there.

    """
    text = raw.strip(_BLANKS)
    while text[:3] == _BOM:
        text = text[3:].lstrip(_BLANKS)
    return text


def command_of(raw: bytes) -> str:
    r"""Return what a line of a file says to the printer or its host.

    Args:
        raw: the bytes of the line; its ``\n`` or ``\r\n`` may still be there.

    Returns:
        The line without the blanks around it, and with a comment that follows a
        command: where that begins, the parser of the family decides, because there may
        be a ``;`` between quotes. ``""``: there is nothing to send, because the line is
        blank, has only a comment (after ``;``, or all of it between brackets), or is
        the ``%`` with which programs of CNC machines begin and end.

        What is not UTF-8, such as a name in Latin-1, becomes U+FFFD; the parser refuses
        it in a command, and replaces it in a text for the display.

    """
    text = bare(raw)
    if text[:1] in {b";", b""}:
        return ""
    if text == b"%" or (text[:1] == b"(" and text.find(b")") == len(text) - 1):
        return ""
    return text.decode("utf-8", "replace")


def object_name(text: str) -> str:
    """Return the name of an object that a line is about, where the parser fails.

    Slicers write it without quotes (``M486 ACube.stl id:0``), in which letters repeat.
    ``""``: the line names none.
    """
    match = _OBJECT_NAME.match(text)
    return "" if match is None else match["name"].strip()


def is_host_command(text: str) -> bool:
    """Return whether a line is for the host, as ``@pause``: it is never sent."""
    return text[:1] == "@"


def host_command(text: str) -> str:
    """Return the word of a line for the host in lower case, such as ``pause``."""
    words = text[1:].partition(";")[0].split(maxsplit=1)
    return words[0].lower() if words else ""


_OF_FILES = frozenset({PrintAction.NOTHING, PrintAction.PROGRESS, PrintAction.PAUSE})


def card_problem(line: Line) -> str:
    """Return why a line must not be in a file that the bridge prints; ``""``: it may.

    ``M24``, ``M32`` or ``M524`` would start a print from the card in the middle of this
    one, or end one that does not exist.
    """
    if line.row.job in _OF_FILES:
        return ""
    return f"{line.code} would {line.row.does}, and this print is not from the card"


_FOR_SCREENS = re.compile(
    # Pictures for the screens of some vendors; Prusa's checks of the model (M862) and
    # of the firmware's version (M115 U); the name of an object (M486 A).
    r"(?:W22[0-2]|M4010|M10086|M99123|M862(?:\.\d)?)(?!\d)|M486\s*A|M115\s*U",
    re.ASCII | re.IGNORECASE,
)


_OBJECT_NAME = re.compile(r"M486\s*A(?P<name>[^;]*)", re.ASCII | re.IGNORECASE)
"""``M486 AName``: the name of the object that ``M486 S`` selected before
(https://marlinfw.org/docs/gcode/M486.html; PrusaSlicer writes it)."""


def is_for_screens(text: str) -> bool:
    """Return whether a line may be left out where the parser does not take it.

    These are pictures for the screens of some vendors (``W220`` to ``W222``, ``M4010``,
    ``M10086`` behind ``;gimage:``), the names of objects (``M486 A``), and what a file
    expects of its printer (``M115 U3.13.3``, ``M862.3 P``, ``M99123``). Slicers write
    them with texts that have no canonical form, and nothing moves or heats otherwise
    without them.
    """
    return _FOR_SCREENS.match(text) is not None
