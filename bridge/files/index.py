"""The index of a printer's files: what was found out about each, in one SQLite file.

It only saves reading all files again. Whatever is wrong with it, it is built again from
the files. All calls block, and are made in threads.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bridge.files.inspection import Inspected
from bridge.files.store import OnDisk

log = logging.getLogger("bridge.printer")

NAME = ".index.sqlite3"
"""The name of the index in the printer's folder. Names with a dot are never listed."""

_VERSION = 1  # of the table below, in SQLite's user_version
_TABLE = """
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    added REAL NOT NULL,
    sha256 TEXT NOT NULL,
    rules TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT
"""
_BUSY = 5.0  # seconds to wait for a lock of SQLite

DOCUMENT: TypeAdapter[Inspected] = TypeAdapter(Inspected)
"""Converts the metadata and the report of a file to JSON and back, both for the index
and for the worker process."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the index has of a file.

    Attributes:
        on_disk: by which it is known to be the same file.
        added: when it was stored, in Unix time.
        sha256: of its content.
        rules: the digest of the rules that it was checked against.
        inspected: what was found.

    """

    on_disk: OnDisk
    added: float
    sha256: str
    rules: str
    inspected: Inspected


class Index:
    """The index of one printer; of no use, but no trouble either, if it is broken.

    The database is open only while it is read or written: a bridge may have a hundred
    printers, and files arrive rarely.

    Args:
        file: the database; it is created with the first entry.

    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def load(self) -> dict[str, IndexEntry]:
        """Return all entries by path; none if the index has to be rebuilt."""
        with self._lock:
            if not os.path.lexists(self._file):
                return {}
            try:
                with self._connected() as database:
                    return _entries(database)
            except sqlite3.Error as error:
                log.warning("the index %s is rebuilt: %s", self._file, error)
            self._remove()
            return {}

    def put(self, path: str, entry: IndexEntry) -> None:
        """Save what is known of a file."""
        found = entry.on_disk
        values = (
            path,
            found.size,
            found.changed,
            entry.added,
            entry.sha256,
            entry.rules,
            DOCUMENT.dump_json(entry.inspected).decode(),
        )
        statement = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._change(statement, [values])

    def drop(self, paths: Iterable[str]) -> None:
        """Forget files that no longer exist."""
        values = [(path,) for path in paths]
        if values and self._file.exists():
            self._change("DELETE FROM files WHERE path = ?", values)

    def _change(self, statement: str, values: Sequence[tuple[object, ...]]) -> None:
        with self._lock:
            try:
                with self._connected() as database:
                    database.executemany(statement, values)
            except sqlite3.Error as error:
                # The next start reads the file again: what it has is not up to date.
                log.warning("the index %s could not be written: %s", self._file, error)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._file, timeout=_BUSY)
        try:
            _prepare(database)
            with database:  # one transaction
                yield database
        finally:
            database.close()

    def _remove(self) -> None:
        for suffix in ("", "-journal"):
            with suppress(OSError):
                self._file.with_name(self._file.name + suffix).unlink()


def _prepare(database: sqlite3.Connection) -> None:
    # It can be built again, so a power cut may cost the last change, or all of it.
    database.execute("PRAGMA synchronous = NORMAL")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        database.execute("DROP TABLE IF EXISTS files")
        database.execute(_TABLE)
        database.execute(f"PRAGMA user_version = {_VERSION}")
    elif version != _VERSION:
        raise sqlite3.DatabaseError(f"it has version {version}")


def _entries(database: sqlite3.Connection) -> dict[str, IndexEntry]:
    (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise sqlite3.DatabaseError(state)
    found = {}
    for path, size, changed, added, sha256, rules, text in database.execute(
        "SELECT path, size, changed, added, sha256, rules, document FROM files"
    ):
        with suppress(ValidationError):  # of another version
            inspected = DOCUMENT.validate_json(text)
            found[path] = IndexEntry(
                OnDisk(size, changed), added, sha256, rules, inspected
            )
    return found
