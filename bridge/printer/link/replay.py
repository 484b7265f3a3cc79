r"""Reads logs of serial connections in many forms, and replays them.

Each line is recognised by itself, because logs are pasted together::

    12.3456 > N1 M105*37\\n                               our own wire log
    2018-04-05 12:34:56,789 - Send: N1 M105*37            OctoPrint's serial.log
    Recv: ok T:20.1 /0.0                                  OctoPrint's terminal
    SENT: M105  /  RECV: ok T:20.1 /0.0                   Printrun (Pronterface) and its
    SENDING:M105  /  >>> M105                               console
    12:34:56.789 : N1 M105*37                             Repetier-Host
    12:34:56.789: N1 M105*37                              Repetier-Server
    Send:12:34:56.789: N1 M105*37                         a terminal with its own stamps
    | Recv: ok T:20.1 /0.0                                the end of octoprint.log
    ->N1 M105*37 [12.345]  /  <-ok T:20.1 /0.0 [12.399]   MatterControl
    … Received from printer: line: T:20.1 /0.0            Octolapse
    ok T:20.1 /0.0                                        a bare capture

A line of a bare capture was sent if it looks like a command, and else received.

Logs come from Windows (UTF-16, CRLF), from captures of a serial line (bytes that are no
text, NULs, a single CR as a line end) and from programs that pack old ones (gzip). They
can be larger than the memory, so everything here works on one piece after the other.
"""

import codecs
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain

from bridge.gcode.dialects import UNKNOWN, Dialect
from bridge.gcode.events import Done, Event, Failed, LinkFailed, Restarted
from bridge.gcode.protocol import Protocol
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import OtherText
from bridge.printer.link.wire_log import (
    Direction,
    LogFormatError,
    WireLogEntry,
    read_log,
)
from bridge.validation_errors import shown

LONGEST = 65_536
"""Bytes of a line that are read; the rest of a longer line is left out."""

_HEAD = 4096
"""Bytes from which the encoding is determined."""

_WITHOUT_END = 1_048_576
"""Bytes without a line end after which a file is not a log."""

# First bytes of files that people attach to a report instead of the log itself.
_GZIP = b"\x1f\x8b"
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ\x00": "packed with xz",
    b"BZh": "packed with bzip2",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF document",
}
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LINE_END = re.compile(rb"\r\n|\n|\r")
_MOSTLY = 0.3
"""Without a byte order mark, a file is UTF-16 if more than this share of every other
byte is NUL."""

Note = Callable[[str], None]


def read_lines(pieces: Iterable[bytes], note: Note = lambda _: None) -> Iterator[str]:
    """Yield the lines of a file, without their ends.

    A line that is not UTF-8 is read as Latin-1. NULs are dropped.

    Args:
        pieces: the bytes of the file.
        note: called with a sentence about what could not be read.

    Raises:
        LogFormatError: The file is packed in another way than with gzip, or has no
            lines.

    """
    head, pieces = _peek(pieces)
    if head.startswith(_GZIP):
        head, pieces = _peek(_unzipped(pieces, note))
    for mark, name in _PACKED.items():
        if head.startswith(mark):
            raise LogFormatError(f"this is {name}, not a log; unpack it first")
    if encoding := _utf_16(head):
        pieces = _in_utf_8(pieces, encoding)
    for line in _split(pieces):
        yield _decoded(line).replace("\0", "").removeprefix("\ufeff")


def _peek(pieces: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    rest, head = iter(pieces), b""
    while len(head) < _HEAD and (piece := next(rest, b"")):
        head += piece
    return head, chain([head], rest)


def _unzipped(pieces: Iterable[bytes], note: Note) -> Iterator[bytes]:
    """Yield what gzip has packed, also in several parts one after the other."""
    packed, began = zlib.decompressobj(zlib.MAX_WBITS | 16), False
    try:
        for piece in pieces:
            rest, full = piece, False
            while rest or full:
                began = True
                unpacked = packed.decompress(rest, LONGEST)
                yield unpacked
                rest, full = packed.unconsumed_tail, len(unpacked) == LONGEST
                if packed.eof:
                    rest, began, full = packed.unused_data, False, False
                    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    except zlib.error:
        note("the gzip data are damaged; what follows was not read")
        return
    if began:
        note("the gzip data end too early")


def _utf_16(head: bytes) -> str | None:
    for mark, encoding in _UTF_16.items():
        if head.startswith(mark):
            return encoding
    pairs = max(1, len(head) // 2)
    if head[1::2].count(0) > _MOSTLY * pairs and not head[::2].count(0):
        return "utf-16-le"
    if head[::2].count(0) > _MOSTLY * pairs and not head[1::2].count(0):
        return "utf-16-be"
    return None


def _in_utf_8(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest, dropped, seen, ended = b"", 0, 0, False
    for piece in pieces:
        seen += len(piece)
        *lines, rest = _LINE_END.split(rest + piece)
        if piece.endswith(b"\r"):  # the line feed may be in the next piece
            rest = lines.pop() + b"\r"
        for line in lines:
            if not dropped:
                yield line[:LONGEST]
            dropped, ended = 0, True
        if len(rest) > LONGEST:
            if not dropped:
                yield rest[:LONGEST]
            dropped += len(rest)
            rest = rest[-1:] if rest.endswith(b"\r") else b""
        if seen > _WITHOUT_END and not ended:
            raise LogFormatError(
                f"there is no line end in the first {_WITHOUT_END:,} bytes; this is "
                "not a log"
            )
    if rest and not dropped:
        yield rest.removesuffix(b"\r")


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


# Our own wire log, and the logs of tests/transcripts/marlin and klipper.
_OWN = re.compile(r"\s*(?:(?P<time>\d+\.\d+)\s+)?(?:#|(?:>{1,3}|<{1,3})(?: |$))")
# Python's logging writes a comma before the milliseconds (OctoPrint, Printrun), others
# a point (Repetier).
_STAMP = (
    r"(?:\[?(?P<date>\d{4}-\d\d-\d\d)[ T])?(?P<time>\d{1,2}:\d\d:\d\d)"
    r"(?:[.,](?P<part>\d{1,6}))?\]?"
)
# A word says who sent the line: OctoPrint (Send, Recv), Pronterface (SENT, RECV,
# SENDING), Repetier (READ, WRITE), Octolapse. octoprint.log puts the name of its logger
# in between ("- octoprint.util.comm - INFO -"), and "| " before the last lines that it
# repeats after an error.
_MARKED = re.compile(
    rf"\s*(?:\| |{_STAMP}\s*(?:[-:|]\s*)*(?:[\w.]+\s+-\s+[A-Z]+\s+-\s+)?)?"
    r"(?P<side>Send|Recv|SENT|RECV|SENDING|READ|WRITE|Received from printer: line)"
    r"\s*:\s?(?P<body>.*)",
)
# The time after the word: "Send:12:34:56.789: N1 M105*37".
_INNER_STAMP = re.compile(rf"{_STAMP}:\s(?P<body>.*)")
# Only a time: Repetier-Host, Repetier-Server, minicom and other terminals.
_STAMPED = re.compile(rf"\s*{_STAMP}(?:\s+|:\s+)(?:[-:|>]\s*)*(?P<body>.*)")
# The console of Pronterface.
_CONSOLE = re.compile(r"(?P<side>>>>)\s?(?P<body>.*)")
# MatterControl, with the seconds since it started.
_ARROW = re.compile(
    r"(?P<side>->|<-)\s?(?P<body>.*?)(?:\s*\[(?P<seconds>\d{1,9}\.\d{1,6})\])?\s*$"
)
# A line that a host sent, in a log without marks.
_COMMAND = re.compile(
    r"(?:N\d+\s*)?(?:[GM]\d{1,4}|T\d)(?:\s+[A-Z][-+.\d]*\S*)*(?:\s*\*\d+)?$"
    r"|N\d+ .*\*\d+$"
)
# A line as Python shows bytes: b'ok\n'
# (tests/transcripts/reports/pronterface-bytes.log).
_BYTES = re.compile(r"b?'(?P<body>.*?)(?:\\r)?(?:\\n)?'$")
# What the programs say themselves between the lines: OctoPrint's and Octolapse's log,
# Pronterface's console, Repetier-Server, miniterm ("--- "), and cuts that people made.
_REMARK = re.compile(
    r"\s*(?:\[\.\.\.\]|\.{3}|\|(?! (?:Send|Recv):)|-{3,}|\[ERROR\] "
    r"|->Communication State|[\w.]+ - [A-Z]+ - (?!Send:|Recv:)"
    r"|Changing monitoring state|Connecting(?: to|\.\.\.)|Print started at"
    r"|Printer seems to support|Telling the printer|Got a resend request"
    r"|Cancelling on request|Enabling serial logging|Serial port list|Trying baudrate"
    r"|Repetier-Server successfully connected|Mesg:|--- \w+"
    r"|(?:Recv:[\d:.]+:\s*)?(?:Connection verified by|Printer reset detected):"
    r"|Connected to|Connection closed|Unexpected error|Printer signalled|Closing down"
    r"|Starting baud"
    r"|Attempting to connect|Detecting|Trying port|Handshake|External trigger"
    r"|Your printer|Disconnected|Printer is now online|Resetting|Error:\s*timeout)",
)
_SENDS = {"send", "sent", "sending", "write", "->", ">>>"}
_DAY = 86_400.0


_UNCERTAIN = 10_000
"""Lines after which a file without a single line from a printer is not a log."""


def read_any(
    lines: Iterable[str], unread: Callable[[int, str], None] = lambda *_: None
) -> Iterator[WireLogEntry]:
    """Yield what was sent and received according to a log in any of the forms.

    Times are in seconds; where a form has dates or the time of the day, since the first
    one. A line without a time has that of the line before it. Remarks of the program
    that wrote the log are left out. At most the first 10,000 lines are kept in memory.

    Args:
        lines: of the log.
        unread: called with the number and the text of each line that is an entry, but
            cannot be read.

    Raises:
        LogFormatError: It is none of the forms, and no firmware says anything like it.

    """
    reader, first = _LogReader(unread), ""
    kept: list[WireLogEntry] | None = []
    for number, line in enumerate(lines, start=1):
        first = first or line.strip()
        entry = reader.read(line, number)
        if kept is None:
            if entry is not None:
                yield entry
            continue
        if entry is not None:
            kept.append(entry)
        if reader.certain or (entry is not None and _is_meant(entry)):
            yield from kept
            kept = None
        elif number >= _UNCERTAIN:
            break
    if kept is not None and first:
        raise LogFormatError(
            r'line 1 of the log is not an entry such as "12.3456 > M105\n", "Recv: ok" '
            f'or "ok T:20.1 /0.0": {shown(first)}'
        )


def _is_meant(entry: WireLogEntry) -> bool:
    if entry.direction is Direction.SENT:
        return False
    text = entry.data.decode("latin-1").strip()
    return not all(isinstance(said, OtherText) for said in parse_reply(text, UNKNOWN))


class _LogReader:
    def __init__(self, unread: Callable[[int, str], None]) -> None:
        self.certain = False
        """A line had a mark of a program that writes logs."""
        self._unread = unread
        self._first: float | None = None
        self._now = 0.0
        self._shift = 0.0  # of our own log's clock, which starts again with the bridge
        self._typed = ""  # at Pronterface's prompt; "SENDING:" may repeat it

    def read(self, line: str, number: int) -> WireLogEntry | None:
        """Return the entry of a line; ``None``: it has none."""
        text = line.rstrip("\r\n")
        if not text.strip() or _REMARK.match(text):
            return None
        for form in (_CONSOLE, _MARKED, _ARROW):
            if said := form.match(text):
                self.certain = True
                return self._said(said.groupdict())
        if own := _OWN.match(text):
            self.certain = True
            try:
                return next((self._at(own, entry) for entry in read_log([text])), None)
            except LogFormatError:
                self._unread(number, text)
                return None
        if stamped := _STAMPED.match(text):
            self._clock(stamped.groupdict())
            text = stamped["body"]
            if not text.strip() or _REMARK.match(text):
                return None
        return self._entry(text, sent=_COMMAND.match(text.strip()) is not None)

    def _said(self, form: Mapping[str, str | None]) -> WireLogEntry | None:
        """Return the entry of a line that says who sent it; ``None``: it is a copy."""
        side, body = form["side"] or "", form["body"] or ""
        typed, self._typed = self._typed, body.strip().upper() if side == ">>>" else ""
        if side == "SENDING" and body.strip().upper() == typed:
            return None
        self._clock(form)
        if inner := _INNER_STAMP.match(body):
            self._clock(inner.groupdict())
            body = inner["body"]
        if seconds := form.get("seconds"):
            self._advance(float(seconds))
        return self._entry(body, sent=side.lower() in _SENDS)

    def _at(self, own: re.Match[str], entry: WireLogEntry) -> WireLogEntry:
        if own["time"] is not None:
            if entry.time + self._shift < self._now:
                self._shift = self._now
            self._now = entry.time + self._shift
        return WireLogEntry(self._now, entry.direction, entry.data)

    def _entry(self, body: str, *, sent: bool) -> WireLogEntry:
        if quoted := _BYTES.match(body.strip()):
            body = quoted["body"]
        data = f"{body}\n".encode("latin-1", "replace")
        direction = Direction.SENT if sent else Direction.RECEIVED
        return WireLogEntry(self._now, direction, data)

    def _clock(self, stamp: Mapping[str, str | None]) -> None:
        time, date = stamp.get("time"), stamp.get("date")
        if not time:
            return
        hours, minutes, seconds = map(int, time.split(":"))
        moment = hours * 3600.0 + minutes * 60 + seconds
        moment += float(f"0.{stamp['part'] or 0}")
        if date:
            try:
                moment += datetime.fromisoformat(date).toordinal() * _DAY
            except ValueError:
                return
        first = moment if self._first is None else self._first
        while moment - first < self._now - _DAY / 2 and not date:
            moment += _DAY  # after midnight
        self._advance(moment)

    def _advance(self, moment: float) -> None:
        if self._first is None:
            self._first = moment
        self._now = max(self._now, moment - self._first)


_NUMBERED = re.compile(rb"\s*N(\d{1,9})\s*(.*?)\s*(?:\*\d+)?\s*")


class Replay:
    """Takes a log's entries; the lines that it has as sent count as sent."""

    def __init__(self, dialect: Dialect) -> None:
        self._protocol = Protocol(dialect)
        self._lines: dict[int, str] = {}

    @property
    def dialect(self) -> Dialect:
        """The firmware's dialect; to be set once the log has shown which it is."""
        return self._protocol.dialect

    @dialect.setter
    def dialect(self, dialect: Dialect) -> None:
        self._protocol.dialect = dialect

    def take(self, entry: WireLogEntry) -> list[str]:
        """Return as texts what an entry meant for the lines before it."""
        if entry.direction is Direction.SENT:
            events = self._send(entry.data, entry.time)
        else:
            events = self._protocol.receive_data(entry.data, entry.time)
        return list(self._told(events))

    def _send(self, data: bytes, now: float) -> list[Event]:
        found = _NUMBERED.fullmatch(data)
        number, body = (int(found[1]), found[2]) if found else (None, data)
        text = body.decode("latin-1").strip()
        if not text:
            return []
        ticket, events = self._protocol.replay_sent(number, text, now)
        if ticket is not None:
            self._lines[ticket] = text
        return events

    def _told(self, events: Iterable[Event]) -> Iterator[str]:
        for event in events:
            match event:
                case Done(ticket, errors=errors):
                    refused = f" ({'; '.join(errors)})" if errors else ""
                    yield f"done: {self._lines.pop(ticket)}{refused}"
                case Failed(ticket, message=message):
                    yield f"failed: {self._lines.pop(ticket)} ({message})"
                case Restarted():
                    yield "the printer was reset"
                case LinkFailed(reason):
                    yield f"the link is given up: {reason}"
