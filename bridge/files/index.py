"""The index of a printer's files: what was found out about each, in one SQLite file.

It only saves reading all files again. Whatever is wrong with it, it is built again from
the files. All calls block, and are made in threads.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bridge.files.inspection import Inspected
from bridge.files.store import OnDisk

log = logging.getLogger("bridge.printer")

NAME = ".index.sqlite3"
"""Its file in the printer's folder, hidden as all that is no G-code."""

_VERSION = 1
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
_BUSY = 5.0

DOCUMENT: TypeAdapter[Inspected] = TypeAdapter(Inspected)
"""How what is known of a file is kept, and how the worker answers."""


@dataclass(frozen=True, slots=True)
class Entry:
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

    Args:
        file: the database.

    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def open(self) -> dict[str, Entry]:
        """Return all entries by path; none if the index has to be built again."""
        with self._lock:
            try:
                self._database = self._connect()
                return self._read(self._database)
            except sqlite3.Error as error:
                log.warning("the index %s is built again: %s", self._file, error)
            self._remove()
            try:
                self._database = self._connect()
            except sqlite3.Error as error:
                log.warning("there is no index of files: %s", error)
            return {}

    def put(self, path: str, entry: Entry) -> None:
        """Note what is known of a file."""
        found = entry.on_disk
        self._change(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                path,
                found.size,
                found.changed,
                entry.added,
                entry.sha256,
                entry.rules,
                DOCUMENT.dump_json(entry.inspected).decode(),
            ),
        )

    def drop(self, paths: Iterable[str]) -> None:
        """Forget files that are gone."""
        for path in paths:
            self._change("DELETE FROM files WHERE path = ?", (path,))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._close()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self._file, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    @staticmethod
    def _prepare(database: sqlite3.Connection) -> None:
        # It can be built again, so a power cut may cost the last change, or it all.
        database.execute("PRAGMA synchronous = NORMAL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.execute("DROP TABLE IF EXISTS files")
            database.execute(_TABLE)
            database.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"it has version {version}")
        (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)

    @staticmethod
    def _read(database: sqlite3.Connection) -> dict[str, Entry]:
        found = {}
        for path, size, changed, added, sha256, rules, text in database.execute(
            "SELECT path, size, changed, added, sha256, rules, document FROM files"
        ):
            with suppress(ValidationError):  # of another version
                inspected = DOCUMENT.validate_json(text)
                on_disk = OnDisk(size, changed)
                found[path] = Entry(on_disk, added, sha256, rules, inspected)
        return found

    def _change(self, statement: str, values: tuple[object, ...]) -> None:
        with self._lock:
            if self._database is None:
                return
            try:
                self._database.execute(statement, values)
            except sqlite3.Error as error:
                # The next start reads the file again: what it has is not up to date.
                log.warning("the index %s could not be written: %s", self._file, error)

    def _remove(self) -> None:
        self._close()
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                self._file.with_name(self._file.name + suffix).unlink()

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
