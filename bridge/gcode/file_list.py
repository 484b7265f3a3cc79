"""The entries of an SD card's list (``M20``).

What they look like (Q-30; tests/transcripts)::

    SMALL.GCO 51                                             Marlin: 8.3 name and size
    ARATHE~1.GCO 668934 A rather long file name.gc           M20 L: cut at 25 characters
    SMALL.GCO 51 0x4c6a4a00 small.gco                        M20 L T: with a FAT date
    With Space Name.gcode 17                                 Klipper: the long name only
    "part one.gcode"                                         RepRapFirmware: no size
    DIR_ENTER: /OLDGCO~1/ "Old gcodes"                       Prusa: a folder begins
    DIR_EXIT                                                 Prusa: it ends
    parts/                                                   Repetier: a folder
    NONE                                                     RepRapFirmware: no files
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.gcode.reply_types import FileEntry

ENDING = r"\.g\w{0,4}(?:\s+\d.*)?$"
"""How an entry of the file list ends: ``.gco``, ``.gcode``, ``.g``, and perhaps a size.
Such a line is not interpreted as a message of the firmware."""

_TAIL = r"\s+(?P<size>\d{1,15})(?:\s+(?P<date>0x[0-9A-F]{1,8}))?(?:\s+(?P<long>\S.*))?$"
"""What follows the path: the size, then with ``T`` the FAT date in hexadecimal, then
with ``L`` the long name (https://marlinfw.org/docs/gcode/M020.html)."""

_ENTRIES = [
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf'"(?P<path>[^"]+)"{_TAIL}',
        rf"(?P<path>.*?\.\w{{1,6}}){_TAIL}",  # blanks in the name, so up to its suffix
        rf"(?P<path>\S+){_TAIL}",
    )
]
_NAME = re.compile(r'"[^"]+"|.*\.[A-Z]\w{0,7}', re.ASCII | re.IGNORECASE)
"""A name without a size. Other lines that arrive within the list have no ending."""

_OLDEST = 2008
"""The first year of a plausible date. Most printers have no clock, and write 1980 or
another fixed early year into their files; OctoPrint uses the same year (Q-30)."""

_ENTER = re.compile(r'DIR_ENTER:\s*(?P<path>/?\S+?)/?(?:\s+".*")?$')
"""Begins the entries of a folder (Prusa: ``DIR_ENTER: /SUB/ "Long name"``)."""

_FOLDER = re.compile(r"[^.]*/|.*\.DIR(?:\s+\d+)?|\*.*|NONE", re.IGNORECASE)
"""Entries that are not files: folders with a slash at the end (Repetier), with a star
in front (old RepRapFirmware) or with ``.DIR`` in their short name, and ``NONE`` for an
empty list."""

_MAX_FILES = 5000
"""Entries that are kept: neither noise on the line nor a full card may fill the
memory."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is being received.

    Attributes:
        files: its entries so far.
        folder: the path of the folder whose entries follow, without a slash at its
            end; ``""``: the card's root.

    """

    files: tuple[FileEntry, ...] = ()
    folder: str = ""

    def add(self, line: str) -> "Listing":
        """Return the list after another line; folders are not files."""
        text = line.strip()
        if entered := _ENTER.match(text):
            return replace(self, folder=entered["path"])
        if text.upper().startswith("DIR_EXIT"):
            return replace(self, folder=self.folder.rpartition("/")[0])
        file = parse_file(text)
        if file is None or len(self.files) >= _MAX_FILES:
            return self
        if self.folder and "/" not in file.path:
            file = replace(file, path=f"{self.folder}/{file.path}")
        return replace(self, files=(*self.files, file))


def parse_file(line: str) -> FileEntry | None:
    """Return the entry in a line of the list, or ``None`` if there is none.

    The forms are ``name``, ``name size``, ``name size longname`` and ``name size 0xdate
    longname``, with names in quotes or with blanks (Q-30). Without a size, a line is a
    name if it has an ending or is in quotes. Names that could not be sent back to the
    firmware are left out.
    """
    text = line.replace("\0", "").strip()
    if not text or text.startswith(("//", "echo:")):
        return None
    if _FOLDER.fullmatch(text):
        return None
    file = _entry(text)
    if not file.path or not file.path.isascii() or not file.path.isprintable():
        return None
    display = file.display if file.display.isprintable() else ""
    last = file.path.rstrip("/").rpartition("/")[2]
    return FileEntry(file.path, file.size, display or last, file.date)


def _entry(text: str) -> FileEntry:
    for pattern in _ENTRIES:
        if match := pattern.match(text):
            path, name = match["path"], (match["long"] or "").strip().strip('"')
            return FileEntry(path, int(match["size"]), name, _date(match["date"]))
    return FileEntry(text.strip('"') if _NAME.fullmatch(text) else "")


def _date(stamp: str | None) -> str | None:
    """Return a FAT time stamp (date in the upper 16 bits) in ISO 8601."""
    if stamp is None:
        return None
    value = int(stamp, 16)
    day, clock = value >> 16, value & 0xFFFF
    try:
        date = datetime(  # noqa: DTZ001 - FAT keeps local time without its zone
            1980 + (day >> 9),
            day >> 5 & 15,
            day & 31,
            clock >> 11,
            clock >> 5 & 63,
            (clock & 31) * 2,
        )
    except ValueError:
        return None
    return date.isoformat() if date.year >= _OLDEST else None
