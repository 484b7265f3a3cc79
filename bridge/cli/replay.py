"""``gcode2mqtt replay``."""

import argparse
import os
import re
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

from bridge.config import Profile
from bridge.errors import ConfigError, quoted
from bridge.gcode.dialects import DIALECTS, UNKNOWN, Dialect, detect
from bridge.gcode.reply_parser import parse_reply
from bridge.gcode.reply_types import FirmwareReport, OtherText, Reply
from bridge.logs import escaped
from bridge.printer.knowledge import state
from bridge.printer.knowledge.model import PrinterState
from bridge.printer.link.replay import Replay, read_any, read_lines
from bridge.printer.link.wire_log import Direction, LogFormatError, WireLogEntry
from bridge.printer.published.views import flags

_COLUMN = 60
_SHOWN = 100  # characters
_FEW = 5  # lines that cannot be read
_DIFFERENT = 10_000
"""Texts that are counted separately; noise must not fill the memory."""

_PIECE = 65_536  # bytes
_MEGABYTE = 1_000_000
_BEAT = 2.0
"""Seconds between two reports of the progress."""
_MOST = 30  # different texts
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_FRAME = re.compile(r"^N\d+ ?(.*?)\*\d+$")


def replay(chosen: argparse.Namespace) -> int:
    """Print what each line of a log means, and what has no meaning; return 0.

    Raises:
        ConfigError: The file cannot be read, or there is no such firmware.
        LogFormatError: It is not a log.

    """
    if chosen.firmware not in {"auto", *DIALECTS}:
        known = ", ".join(("auto", *DIALECTS))
        raise ConfigError(
            f"--firmware: there is no {quoted(chosen.firmware)} (known: {known})"
        )
    try:
        with _opened(chosen.file) as file:
            _replay(file, chosen)
    except BrokenPipeError:
        raise
    except LogFormatError as error:
        raise LogFormatError(f"{chosen.file}: {error}") from error
    except OSError as error:
        raise ConfigError(f"{chosen.file}: cannot be read: {error.strerror}") from error
    return 0


def _opened(path: Path) -> BinaryIO:
    """Return a log, opened; ``-`` is the standard input.

    Raises:
        ConfigError: It is a device, which may never end.
        OSError: It cannot be opened.

    """
    if str(path) == "-":
        return sys.stdin.buffer
    kind = path.stat().st_mode
    if stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not os.isatty(0)):
        raise ConfigError(f"{path}: this is a device, not a log")
    if stat.S_ISFIFO(kind):
        print(f"{path}: reading from a named pipe until it is closed", file=sys.stderr)
    return path.open("rb")


def _replay(file: BinaryIO, chosen: argparse.Namespace) -> None:
    summary = Summary()
    pieces = _Pieces(file)
    lines = read_lines(pieces, summary.note)
    entries = read_any(lines, summary.unread)
    for line in explained(entries, chosen.firmware, summary):
        if not chosen.summary:
            print(escaped(line))
    pieces.end()
    for line in summary.lines():
        print(escaped(line))


class _Pieces:
    """The bytes of a file, piece by piece; a terminal shows the progress.

    Args:
        file: to be read.

    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._shown_at = time.monotonic()
        self._shown = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield each piece."""
        read = 0
        whole = os.fstat(self._file.fileno()).st_size
        while piece := self._file.read(_PIECE):
            yield piece
            read += len(piece)
            if time.monotonic() >= self._shown_at + _BEAT and sys.stderr.isatty():
                of = f" of {whole / _MEGABYTE:.0f}" if whole else ""
                print(
                    f"\r{read / _MEGABYTE:.0f}{of} MB read ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
                self._shown_at, self._shown = time.monotonic(), True

    def end(self) -> None:
        """End the line that shows the progress."""
        if self._shown:
            print(file=sys.stderr)


class Summary:
    """Counts what a log has, and how much of it means nothing to the bridge."""

    def __init__(self) -> None:
        self.family = UNKNOWN.name
        self._sent = 0
        self._understood: Counter[str] = Counter()
        self._others: Counter[str] = Counter()
        self._more = 0
        self._unread: list[str] = []
        self._unread_count = 0
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep a sentence about what could not be read."""
        self._notes.append(text)

    def unread(self, number: int, text: str) -> None:
        """Count a line of the log that could not be read."""
        self._unread_count += 1
        if len(self._unread) < _FEW:
            self._unread.append(f"{number}: {text[:_SHOWN]}")

    def sent(self) -> None:
        """Count a line that the host sent."""
        self._sent += 1

    def received(self, replies: Iterable[Reply]) -> None:
        """Count what a line of the firmware means; numbers in texts do not matter."""
        for reply in replies:
            if isinstance(reply, OtherText):
                text = _NUMBER.sub("#", reply.text[:_SHOWN])
                if text in self._others or len(self._others) < _DIFFERENT:
                    self._others[text] += 1
                else:
                    self._more += 1
            else:
                self._understood[type(reply).__name__] += 1

    def lines(self) -> Iterator[str]:
        """Yield the summary."""
        known, others = self._understood.total(), self._others.total() + self._more
        yield ""
        yield f"family {self.family}: {self._sent} lines sent; received:"
        yield f"{known:>8} understood"
        for name, count in self._understood.most_common():
            yield f"{count:>16} {name}"
        yield f"{others:>8} without a meaning for the bridge"
        for text, count in self._others.most_common(_MOST):
            yield f"{count:>16} {text}"
        if len(self._others) > _MOST:
            over = "over " if self._more else ""
            yield f"{'':>16} and {over}{len(self._others) - _MOST} other texts"
        if self._unread_count:
            lines = "line" if self._unread_count == 1 else "lines"
            yield f"{self._unread_count:>8} {lines} of the log could not be read"
            for text in self._unread:
                yield f"{'':>16} line {text}"
        yield from self._notes


def explained(
    entries: Iterable[WireLogEntry],
    firmware: str = "auto",
    summary: Summary | None = None,
) -> Iterator[str]:
    """Yield each entry, how the bridge understands it, and what it changes.

    Args:
        entries: of the log.
        firmware: the family's name, or ``auto``.
        summary: counts what was understood.

    """
    summary = summary or Summary()
    dialect = DIALECTS.get(firmware, UNKNOWN)
    replay = Replay(dialect)
    profile = Profile()
    known = state.connected(state.initial(profile), dialect=dialect)
    for entry in entries:
        before = known
        text = entry.data.decode("ascii", "backslashreplace").rstrip("\r\n")
        line = f"{entry.time:10.3f} {entry.direction.value} {text}"
        if entry.direction is Direction.SENT:
            code = _FRAME.sub(r"\1", text)
            known = state.sent(
                known, code, now=entry.time, dialect=dialect, profile=profile
            )
            summary.sent()
        else:
            replies = parse_reply(text, dialect)
            if firmware == "auto":
                dialect = replay.dialect = _dialect(replies, dialect)
            summary.family = dialect.name
            summary.received(replies)
            for reply in replies:
                known = state.apply(
                    known, reply, now=entry.time, dialect=dialect, profile=profile
                )
            line = f"{line:<{_COLUMN}} {'; '.join(map(repr, replies))}".rstrip()
        yield line
        yield from map(_noted, replay.take(entry))
        yield from _changes(before, known)


def _dialect(replies: Iterable[object], dialect: Dialect) -> Dialect:
    names = [reply.name for reply in replies if isinstance(reply, FirmwareReport)]
    return detect(names[0]) if names else dialect


def _changes(before: PrinterState, after: PrinterState) -> Iterator[str]:
    # All that the flags depend on; building them takes longer than everything else.
    decides = attrgetter("phase", "link", "card")
    if decides(before) == decides(after):
        return
    old, new = (flags(one).model_dump() for one in (before, after))
    for name, value in new.items():
        if value != old[name]:
            yield _noted(f"{name}: {str(value).lower()}")


def _noted(text: str) -> str:
    return f"{'':>10} = {text}"
