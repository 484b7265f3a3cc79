"""A file that takes the log of the wire, and never stops the printer."""

import contextlib
import errno
import io
import itertools
import logging
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from bridge.printer.link.wire_log import Direction, WireLogEntry, write_log

_logger = logging.getLogger("bridge.wire")


class WireFile:
    """A log file that is rotated: ``wire.log``, ``wire.log.1``, …; the oldest goes.

    A full disk or a file that cannot be written costs one warning; it is tried again
    after a minute, and a note in the file says how many entries are missing. A named
    pipe, or a terminal that takes nothing, counts as a file that cannot be written.
    """

    RETRY = 60.0
    """Seconds until a file that failed is tried again."""

    def __init__(self, path: Path, *, largest: int = 5_000_000, keep: int = 3) -> None:
        """Prepare a log; the first entry opens the file.

        Args:
            path: the file; its directory must exist.
            largest: bytes after which a new file is started.
            keep: how many old files stay.

        """
        self._path = path
        self._largest = largest
        self._keep = keep
        self._file: io.FileIO | None = None
        self._start = 0.0
        self._failed: float | None = None
        self._missing = 0

    def write(self, entry: WireLogEntry) -> None:
        """Append an entry; its time must never go back."""
        waits = self._failed is not None and entry.time < self._failed + self.RETRY
        if waits:
            self._missing += 1
            return
        try:
            self._append(entry)
        except OSError as error:
            self._missing += 1
            self._give_up(entry.time, error)

    def close(self) -> None:
        """Close the file; another entry opens it again."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _append(self, entry: WireLogEntry) -> None:
        if self._file is not None and self._file.tell() >= self._largest:
            self.close()
            self._rotate()
        if self._file is None:
            self._open(entry.time)
        if self._missing:
            note = f"{self._missing} entries are missing: the file could not be written"
            self._put(WireLogEntry(entry.time, Direction.NOTE, note.encode()))
            self._missing = 0
        self._put(entry)
        self._failed = None

    def _open(self, now: float) -> None:
        self._file = io.FileIO(self._path, "a", opener=_open)
        self._start = now
        clock = datetime.now(UTC).isoformat(timespec="seconds")
        self._put(WireLogEntry(now, Direction.NOTE, clock.encode()))

    def _put(self, entry: WireLogEntry) -> None:
        """Write a whole line or none of it.

        Raises:
            OSError: The disk is full or the file cannot be written.

        """
        if self._file is None:
            return
        text = write_log(entry, self._start).encode()
        before = self._file.tell()
        if (written := self._file.write(text)) != len(text):
            if written is None:  # a device that takes nothing now
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self._file.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _rotate(self) -> None:
        names = [self._path, *map(self._old, range(1, self._keep + 1))]
        for newer, older in reversed(list(itertools.pairwise(names))):
            if newer.exists():
                newer.replace(older)

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _give_up(self, now: float, error: OSError) -> None:
        self.close()
        if self._failed is None:
            _logger.warning(
                "%s cannot be written (%s): everything continues without this log; "
                "free disk space or fix its permissions; it is tried again every "
                "minute",
                self._path,
                error.strerror,
            )
        self._failed = now


def _open(path: str, flags: int) -> int:
    """Open a file for writing, without waiting for a reader of a pipe.

    Raises:
        OSError: It cannot be opened, or is a pipe.

    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ESPIPE, "it is a pipe")
    return descriptor
