r"""The log of the wire: what went over it, line by line, for people and for replays.

The text format is that of the logs in ``tests/transcripts``::

       12.3456 > N12 G28*17\n
       12.3460 < ok
       12.3460 # port closed

Seconds, direction (``>`` is the host), one blank, the line. Bytes outside printable
ASCII and the backslash itself are escaped as in Python. What was sent shows its own
line break; what was received ended in a line feed, unless a single backslash ends the
entry: then the line continues in the next one, or was never finished.

The last lines go into error documents. A printer that is queried for its temperatures
every second says nothing else in twenty lines, so of several routine lines in a row
only the newest stay, and how many are missing stands in their place.
"""

import ast
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from bridge.errors import BridgeError
from bridge.gcode.dialects import DIALECTS

_PLAIN_OK = b"ok\n"
"""The answer to most lines."""

LONGEST = 1024
"""Received bytes that are collected until a line feed; noise has none."""


class Direction(Enum):
    """Which way something went."""

    SENT = ">"
    RECEIVED = "<"
    NOTE = "#"


class WireLogEntry(NamedTuple):
    """One line on the wire, or a note about it.

    Attributes:
        time: in seconds, on any clock.
        direction: which way it went.
        data: its bytes, with the line break where there was one; a note has none.

    """

    time: float
    direction: Direction
    data: bytes

    @property
    def console(self) -> str:
        """The entry for a person: ``>>> G28``, ``<<< ok``, ``### port closed``."""
        text = escape(self.data.rstrip(b"\r\n"))
        return f"{self.direction.value * 3} {text}"


class LogFormatError(BridgeError):
    """A log of the wire cannot be read; the message names the line."""


class WireLog:
    """Cuts what goes over the wire into lines, and remembers the last ones."""

    def __init__(
        self, on_entry: Callable[[WireLogEntry], None] | None = None, *, keep: int = 20
    ) -> None:
        """Create an empty log.

        Args:
            on_entry: gets every entry at once, in order.
            keep: how many lines of it are remembered.

        """
        self._on_entry = on_entry
        self._keep = keep
        self._last: LogTail[WireLogEntry] = LogTail(keep)
        self._routine = RoutineLines()
        self._partial = b""
        self._partial_time = 0.0

    def listen(self, on_entry: Callable[[WireLogEntry], None]) -> None:
        """Have another function get every entry from now on."""
        self._on_entry = on_entry

    @property
    def tail(self) -> list[str]:
        """The last lines, the oldest first, as :attr:`Entry.console`.

        Where some are left out, ``### 57 reports and repetitions left out`` says so.
        """
        lines = [
            f"### {entry} reports and repetitions left out"
            if isinstance(entry, int)
            else entry.console
            for entry in self._last
        ]
        return lines[-self._keep :]

    def sent(self, data: bytes, now: float) -> None:
        """Log what the host sent, one entry a line."""
        if self._partial:
            self._finish()
        if data.find(b"\n") == len(data) - 1:  # as nearly always
            routine = self._routine.sent(data)
            self._add(WireLogEntry(now, Direction.SENT, data), routine=routine)
            return
        for line in data.splitlines(keepends=True):
            routine = self._routine.sent(line)
            self._add(WireLogEntry(now, Direction.SENT, line), routine=routine)

    def received(self, data: bytes, now: float) -> None:
        """Log what the printer said; a line counts when its end is there."""
        if data == _PLAIN_OK and not self._partial:
            routine = self._routine.received_ok()
            self._add(WireLogEntry(now, Direction.RECEIVED, data), routine=routine)
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial_time = now
        for line in lines:
            routine = self._routine.received(line)
            self._add(
                WireLogEntry(now, Direction.RECEIVED, line + b"\n"), routine=routine
            )
        if len(self._partial) >= LONGEST:
            self._finish()

    def note(self, text: str, now: float) -> None:
        """Log what happened to the link, such as that it was opened."""
        self._finish()
        self._add(WireLogEntry(now, Direction.NOTE, text.encode()))

    def _finish(self) -> None:
        """Log the part of a line that was received before anything else is logged."""
        if self._partial:
            self._add(
                WireLogEntry(self._partial_time, Direction.RECEIVED, self._partial)
            )
            self._partial = b""

    def _add(self, entry: WireLogEntry, *, routine: bool = False) -> None:
        self._last.add(entry, routine=routine)
        if self._on_entry is not None:
            self._on_entry(entry)


def write_log(entry: WireLogEntry, start: float = 0.0) -> str:
    """Return an entry as a line of a log file, with its time since ``start``."""
    body = escape(entry.data)
    if entry.direction is Direction.RECEIVED:
        body = body.removesuffix("\\n") if entry.data.endswith(b"\n") else body + "\\"
    return f"{entry.time - start:10.4f} {entry.direction.value} {body}\n"


def read_log(lines: Iterable[str]) -> Iterator[WireLogEntry]:
    """Yield what was sent and received according to a log; notes are left out.

    Understood are our own files, the same with ``>>`` or ``<<`` and a Python string
    behind, and the lines of :attr:`Entry.console`, which have no time (they get that
    of the line before). Where times start again from zero, as after a restart of the
    bridge, they are counted on: they never go back.

    Raises:
        LogFormatError: A line is none of them.

    """
    time = shift = 0.0
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if not text.strip() or _NOTE.match(text):
            continue
        found = _ENTRY.match(text)
        data = None if found is None else _data(found["arrow"], found["body"])
        if found is None or data is None:
            raise LogFormatError(
                f"line {number} of the log is not an entry such as '12.3456 > M105\\n' "
                f"or '12.3460 < ok': {text[:80]!r}"
            )
        if found["time"] is not None:
            if float(found["time"]) + shift < time:
                shift = time
            time = float(found["time"]) + shift
        yield WireLogEntry(time, Direction(found["arrow"][0]), data)


# The form that :func:`escape` and the log write: a time, an arrow, the text.
_NOTE = re.compile(r"\s*(\d+\.\d+\s+)?#")
_ENTRY = re.compile(
    r"\s*(?:(?P<time>\d+\.\d+)\s+)?(?P<arrow>>{1,3}|<{1,3})(?: (?P<body>.*))?$"
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([nrt\\]))")
_SHORT = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}
_NAMES = {value[0]: f"\\{name}" for name, value in _SHORT.items()}
_FIRST_PRINTABLE, _LAST_PRINTABLE = ord(" "), ord("~")


def escape(data: bytes) -> str:
    """Return bytes as printable ASCII; see the module's docstring."""
    return "".join(map(_escaped, data))


def _escaped(byte: int) -> str:
    if byte in _NAMES:
        return _NAMES[byte]
    if _FIRST_PRINTABLE <= byte <= _LAST_PRINTABLE:
        return chr(byte)
    return f"\\x{byte:02x}"


def _data(arrow: str, body: str | None) -> bytes | None:
    """Return the bytes of an entry, or nothing where they cannot be read."""
    if len(arrow) == len(">>"):
        return _literal(body or "")
    text = body or ""
    cut = _ESCAPE.sub("", text).endswith("\\")
    data = _unescape(text[:-1] if cut else text)
    implied = arrow != ">" and not cut
    return data + b"\n" if implied else data


def _literal(body: str) -> bytes | None:
    try:
        value = ast.literal_eval(body)
    except (ValueError, SyntaxError):
        return None
    return _encode(value) if isinstance(value, str) else None


def _unescape(text: str) -> bytes:
    parts = []
    end = 0
    for found in _ESCAPE.finditer(text):
        parts.append(_encode(text[end : found.start()]))
        code, name = found.groups()
        parts.append(bytes.fromhex(code) if code else _SHORT[name])
        end = found.end()
    parts.append(_encode(text[end:]))
    return b"".join(parts)


def _encode(text: str) -> bytes:
    """Return the bytes that a log shows as characters: Latin-1, where it can be."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


RUN = 4
"""Lines of the log that a run of routine lines takes up, including the note about the
omitted ones."""

# Routine lines: the bridge's own queries, plain acknowledgements, reports.
_QUERIES = "|".join(filter(None, {known.state_query for known in DIALECTS.values()}))
_POLL = re.compile(
    rf"(?:N\d++ )?(?:M105|M114|M27(?: C)?|{_QUERIES})(?:\*\d+)?\s*".encode()
)
_OK = re.compile(rb"ok(?: N?\d+)?(?: [PB]\d+)*")
# Atomic, so that a line of noise is not matched in every possible way.
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


class RoutineLines:
    """Recognises the lines of one wire that are repeated all the time."""

    def __init__(self) -> None:
        self._commands = 0  # lines that are not queries and have no "ok" yet
        self._last = b""

    def sent(self, line: bytes) -> bool:
        """Return whether a line of the host is only a query."""
        self._last = b""
        if _POLL.fullmatch(line):
            return True
        self._commands += 1
        return False

    def received(self, line: bytes) -> bool:
        """Return whether a line is a report, a query's ``ok`` or a repetition."""
        text = line.strip()
        again, self._last = text == self._last, text
        if not _OK.fullmatch(text):
            return again or bool(_REPORT.fullmatch(text) or _ROUTINE.fullmatch(text))
        return self._answers_query()

    def received_ok(self) -> bool:
        """Return what :meth:`received` does for an ``ok`` that says nothing else."""
        self._last = b"ok"
        return self._answers_query()

    def _answers_query(self) -> bool:
        """Return whether an ``ok`` is not one that a command waits for."""
        if self._commands:
            self._commands -= 1
            return False
        return True


Item = TypeVar("Item")


class LogTail(Generic[Item]):
    """Remembers the last items, and of routine ones in a row only the newest."""

    def __init__(self, keep: int) -> None:
        """Create an empty one that remembers at most ``keep`` items."""
        self._kept: deque[Item] = deque(maxlen=keep)
        self._missing: deque[int] = deque(maxlen=keep)  # before each of these
        self._row = 0  # how many at the end are routine

    def add(self, item: Item, *, routine: bool) -> None:
        """Add an item."""
        self._kept.append(item)
        self._missing.append(0)
        if not routine:
            self._row = 0
            return
        self._row = min(self._row + 1, len(self._kept))
        if self._row > RUN or (self._row == RUN and self._missing[-RUN]):
            while self._row >= RUN:
                self._leave_out()

    def _leave_out(self) -> None:
        missing = self._missing[-self._row]
        del self._kept[-self._row], self._missing[-self._row]
        self._row -= 1
        self._missing[-self._row] += missing + 1

    def __iter__(self) -> Iterator[Item | int]:
        """Yield the items, and how many are missing in between."""
        for item, missing in zip(self._kept, self._missing, strict=True):
            if missing:
                yield missing
            yield item
