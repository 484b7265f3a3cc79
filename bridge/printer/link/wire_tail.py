"""The last lines of the wire, without the reports that would fill them.

A printer that is asked for its temperatures every second says nothing else in twenty
lines. So of several lines in a row that anybody would skip only the newest stay, and
how many are missing stands in their place; all other lines stay.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from bridge.gcode.dialects import DIALECTS

RUN = 4
"""Lines that a row of routine ones may take, that about the missing ones included."""

_QUERIES = "|".join(filter(None, {known.state_query for known in DIALECTS.values()}))
_POLL = re.compile(rf"(?:N\d+ )?(?:M105|M114|M27(?: C)?|{_QUERIES})(?:\*\d+)?".encode())
_OK = re.compile(rb"ok(?: N?\d+)?(?: [PB]\d+)*")
# Atomic, so that no line of noise is tried in all the ways it can be cut.
_REPORT = re.compile(
    rb"""(?x) (?:ok\ )? \s*+ (?: (?>
        (?: [A-Z]{1,2}+ \d{0,3}+ : | [A-Z]?@ (?: \d{0,3}+ : )? )
            \s? -? [\d.?]++ (?: \s*+ / \s*+ -? [\d.]++ )?
        | Count
    ) \s*+ )++"""
)
_ROUTINE = re.compile(
    rb"(?:echo:)?busy:.*|wait|SD printing byte \d+/\d+|Not SD printing\.?"
    rb"|// \w+ state: Ready|"
)


class Routine:
    """Tells the lines of one wire that are said again and again."""

    def __init__(self) -> None:
        self._asked = 0  # lines that are none, and whose "ok" is to come
        self._last = b""

    def sent(self, line: bytes) -> bool:
        """Tell whether a line of the host is no more than a question."""
        self._last = b""
        if _POLL.fullmatch(line.strip()):
            return True
        self._asked += 1
        return False

    def received(self, line: bytes) -> bool:
        """Tell whether a line is a report, the ``ok`` of a question, or said again."""
        text = line.strip()
        again, self._last = text == self._last, text
        if not _OK.fullmatch(text):
            return again or bool(_REPORT.fullmatch(text) or _ROUTINE.fullmatch(text))
        if self._asked:
            self._asked -= 1
            return False
        return True


Item = TypeVar("Item")


@dataclass(slots=True)
class _Kept(Generic[Item]):
    item: Item
    missing: int = 0  # before it


class Tail(Generic[Item]):
    """Remembers the last things, and of a row of routine ones the newest."""

    def __init__(self, keep: int) -> None:
        """Create an empty one that remembers no more than so many."""
        self._kept: deque[_Kept[Item]] = deque(maxlen=keep)
        self._row = 0  # how many at the end are routine

    def add(self, item: Item, *, routine: bool) -> None:
        """Remember one more."""
        kept = self._kept
        kept.append(_Kept(item))
        self._row = min(self._row + 1, len(kept)) if routine else 0
        if self._row > RUN or (self._row == RUN and kept[-RUN].missing):
            while self._row >= RUN:
                self._leave_out()

    def _leave_out(self) -> None:
        oldest = self._kept[-self._row]
        del self._kept[-self._row]
        self._row -= 1
        self._kept[-self._row].missing += oldest.missing + 1

    def __iter__(self) -> Iterator[Item | int]:
        """Yield what is remembered, and how many are missing in between."""
        for kept in self._kept:
            if kept.missing:
                yield kept.missing
            yield kept.item
