"""Replays a wire log through the protocol: what became of each line of the host."""

import re
from collections.abc import Iterable, Iterator

from bridge.gcode.dialects import Dialect
from bridge.gcode.events import Done, Event, Failed, LinkFailed, Restarted
from bridge.gcode.protocol import Protocol
from bridge.printer.link.wire_log import Direction, WireLogEntry

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
