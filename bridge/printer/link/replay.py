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
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

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

_OWN = re.compile(r"\s*(?:\d+\.\d+\s+)?(?:#|(?:>{1,3}|<{1,3})(?: |$))")
_STAMP = (
    r"(?:\[?(?P<date>\d{4}-\d\d-\d\d)[ T])?(?P<time>\d{1,2}:\d\d:\d\d)"
    r"(?:[.,](?P<part>\d{1,6}))?\]?"
)
_MARKED = re.compile(
    rf"\s*(?:\| |{_STAMP}\s*(?:[-:|]\s*)*(?:[\w.]+\s+-\s+[A-Z]+\s+-\s+)?)?"
    r"(?P<side>Send|Recv|SENT|RECV|SENDING|READ|WRITE|Received from printer: line)"
    r"\s*:\s?(?P<body>.*)",
)
_INNER_STAMP = re.compile(rf"{_STAMP}:\s(?P<body>.*)")
_STAMPED = re.compile(rf"\s*{_STAMP}(?:\s+|:\s+)(?:[-:|>]\s*)*(?P<body>.*)")
_CONSOLE = re.compile(r"(?P<side>>>>)\s?(?P<body>.*)")
_ARROW = re.compile(
    r"(?P<side>->|<-)\s?(?P<body>.*?)(?:\s*\[(?P<seconds>\d{1,9}\.\d{1,6})\])?\s*$"
)
_COMMAND = re.compile(
    r"(?:N\d+\s*)?(?:[GM]\d{1,4}|T\d)(?:\s+[A-Z][-+.\d]*\S*)*(?:\s*\*\d+)?$"
    r"|N\d+ .*\*\d+$"
)
_BYTES = re.compile(r"b?'(?P<body>.*?)(?:\\r)?(?:\\n)?'$")
_REMARK = re.compile(
    r"\s*(?:\[\.\.\.\]|\.{3}|\|(?! (?:Send|Recv):)|-{3,}|\[ERROR\] "
    r"|->Communication State|[\w.]+ - [A-Z]+ - (?!Send:|Recv:)"
    r"|Changing monitoring state|Connecting(?: to|\.\.\.)|Print started at"
    r"|Printer seems to support|Telling the printer|Got a resend request"
    r"|Cancelling on request|Enabling serial logging|Serial port list|Trying baudrate"
    r"|Repetier-Server successfully connected"
    r"|Connected to|Connection closed|Unexpected error|Printer signalled|Closing down"
    r"|Starting baud"
    r"|Attempting to connect|Detecting|Trying port|Handshake|External trigger"
    r"|Your printer|Disconnected|Printer is now online|Resetting|Error:\s*timeout)",
)
_SENDS = {"send", "sent", "sending", "write", "->", ">>>"}
_DAY = 86_400.0


def read_any(lines: Iterable[str]) -> Iterator[WireLogEntry]:
    """Yield what was sent and received according to a log in any of the forms.

    Times are in seconds since the first one; a line without one has that of the line
    before it. Remarks of the program that wrote the log are left out.

    Raises:
        LogFormatError: It is none of the forms, and no firmware says anything like it.

    """
    found = list(lines)
    if found and all(_OWN.match(line) for line in found if line.strip()):
        yield from read_log(found)
    else:
        yield from _read_other(found)


def _read_other(found: Sequence[str]) -> Sequence[WireLogEntry]:
    """Return the entries of a log that another program wrote."""
    reader = _LogReader()
    entries = [entry for line in found if (entry := reader.read(line)) is not None]
    first = next((line for line in found if line.strip()), "")
    if first and not reader.certain and not any(map(_is_meant, entries)):
        raise LogFormatError(
            "line 1 of the log is no entry such as '12.3456 > M105\\n', 'Recv: ok' or "
            f"'ok T:20.1 /0.0': {first.strip()[:80]!r}"
        )
    return entries


def _is_meant(entry: WireLogEntry) -> bool:
    if entry.direction is Direction.SENT:
        return False
    text = entry.data.decode("latin-1").strip()
    return not all(isinstance(said, OtherText) for said in parse_reply(text, UNKNOWN))


class _LogReader:
    def __init__(self) -> None:
        self.certain = False
        """A line had a mark of a program that writes logs."""
        self._first: float | None = None
        self._now = 0.0
        self._typed = ""  # at Pronterface's prompt; "SENDING:" may repeat it

    def read(self, line: str) -> WireLogEntry | None:
        """Return the entry of a line; ``None``: it has none."""
        text = line.rstrip("\r\n")
        if not text.strip() or _REMARK.match(text):
            return None
        for form in (_CONSOLE, _MARKED, _ARROW):
            if said := form.match(text):
                self.certain = True
                return self._said(said.groupdict())
        if _OWN.match(text):
            self.certain = True
            return next((self._at(entry) for entry in read_log([text])), None)
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

    def _at(self, entry: WireLogEntry) -> WireLogEntry:
        return WireLogEntry(max(self._now, entry.time), entry.direction, entry.data)

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
