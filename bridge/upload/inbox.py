"""The watched folder: files that are copied into it are stored for a printer.

There is nothing to tell when a copy is complete, whether it comes by Samba, NFS, scp or
from another program. So a file counts as complete when it has not changed for a while.
"""

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bridge.errors import CommandError
from bridge.threads import in_thread

log = logging.getLogger("bridge.upload")

LOOK_INTERVAL = 3.0
"""Seconds between two scans of the folder."""

SETTLED = 6.0
"""Seconds for which a file must be unchanged before it is taken. While a file is being
copied over a bad WLAN, it can stay the same for a second or two."""

RETRY_INTERVAL = 60.0
"""Seconds until another attempt to store a file, for example if the disk was full or
the file of this name was being printed."""

MOST_FILES = 1000
"""Files per scan; the others follow in later scans."""

REFUSED, REASON = ".refused", ".refused.txt"
"""Endings that are added to the name of a refused file: that of the file itself, and
that of a text file with the reason."""

_UNFINISHED = (
    *(".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download"),
    *("~", REFUSED, REASON),
)
"""Endings of files that browsers, WinSCP or editors have not finished yet, and of those
that were refused before."""

_LATER = {409, 503, 507}
"""Codes of errors that may go away: the name is in use, the bridge is busy, or the disk
is full."""

_MAX_DEPTH = 8  # folders within each other that are scanned


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file in the folder.

    Attributes:
        parts: its path below the folder.
        identity: by which a change is noticed: inode, size and time of the change.

    """

    parts: tuple[str, ...]
    identity: tuple[int, int, int]


@dataclass(slots=True)
class _Seen:
    identity: tuple[int, int, int]
    due: float


Adopt = Callable[[str, str, Path], Awaitable[None]]
"""Stores a file: the printer's id, the path that it will have, and where it is.

It raises :class:`~bridge.errors.CommandError` if it cannot.
"""


class Inbox:
    """Watches a folder.

    Args:
        folder: the folder; it has one folder for each printer, of its id.
        printers: returns the ids of the printers. With only one, files need not be in
            its folder.
        adopt: stores a file.

    """

    def __init__(
        self, folder: Path, printers: Callable[[], Collection[str]], adopt: Adopt
    ) -> None:
        self._folder = folder
        self._printers = printers
        self._adopt = adopt
        self._seen: dict[tuple[str, ...], _Seen] = {}
        self._problem = ""

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                for file in self._due(await self._look()):
                    await self._store(file)
            except Exception:
                # It must end neither the watching nor the printers.
                log.exception("an unexpected error while the inbox was scanned")
                await asyncio.sleep(RETRY_INTERVAL)
            await asyncio.sleep(LOOK_INTERVAL)

    async def _look(self) -> list[FoundFile]:
        work = partial(scan, self._folder, sorted(self._printers()))
        try:
            found = await in_thread(work, _forget, name="upload-inbox")
        except OSError as error:
            self._report(f"{error.strerror or error}")
            return []
        self._report("")
        return found

    def _report(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.warning("the inbox %s cannot be used: %s", self._folder, problem)
        self._problem = problem

    def _due(self, found: list[FoundFile]) -> list[FoundFile]:
        """Return the files that have not changed for long enough."""
        now = asyncio.get_running_loop().time()
        known, self._seen = self._seen, {}
        for file in found:
            seen = known.get(file.parts)
            if seen is None or seen.identity != file.identity:
                seen = _Seen(file.identity, now + SETTLED)
            self._seen[file.parts] = seen
        return [file for file in found if self._seen[file.parts].due <= now]

    async def _store(self, file: FoundFile) -> None:
        source = self._folder.joinpath(*file.parts)
        printers = self._printers()
        printer, *path = file.parts
        if printer not in printers or not path:
            if len(printers) != 1:
                folders = ", ".join(sorted(printers)[:5])
                await self._refuse(source, f"put it into a printer's folder: {folders}")
                return
            (printer,), path = printers, [*file.parts]
        try:
            await self._adopt(printer, "/".join(path), source)
        except CommandError as error:
            if error.code in _LATER:
                log.warning("%s waits in the inbox: %s", source, error.message)
                later = asyncio.get_running_loop().time() + RETRY_INTERVAL
                self._seen[file.parts].due = later
            else:
                await self._refuse(source, error.message)
        else:
            log.info("%s was stored from the inbox, for %s", "/".join(path), printer)

    async def _refuse(self, source: Path, why: str) -> None:
        """Rename a file, so that its sender sees that it was refused, and why."""
        log.warning("%s was refused: %s", source, why)
        work = partial(_set_aside, source, why)
        with suppress(OSError):  # it is tried, and logged, again when it has settled
            await in_thread(work, _forget, name="upload-inbox")


def scan(folder: Path, printers: Collection[str]) -> list[FoundFile]:
    """Return the files that may be complete; make the folder and those of the printers.

    Links and files that are hidden are left alone.

    Raises:
        OSError: The folder cannot be read or made.

    """
    folder.mkdir(parents=True, exist_ok=True)
    for printer in printers if len(printers) > 1 else ():
        (folder / printer).mkdir(exist_ok=True)
    found: list[FoundFile] = []
    waiting: list[tuple[str, ...]] = [()]
    while waiting and len(found) < MOST_FILES:
        above = waiting.pop()
        with os.scandir(folder.joinpath(*above)) as entries:
            for entry in entries:
                parts = (*above, entry.name)
                if entry.name.startswith((".", "~")):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if len(parts) <= _MAX_DEPTH:
                        waiting.append(parts)
                elif not entry.name.lower().endswith(_UNFINISHED):
                    found += _file(entry, parts)
    return found[:MOST_FILES]


def _file(entry: "os.DirEntry[str]", parts: tuple[str, ...]) -> list[FoundFile]:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # it was removed meanwhile
        return []
    if not stat.S_ISREG(status.st_mode):
        return []
    return [FoundFile(parts, (status.st_ino, status.st_size, status.st_mtime_ns))]


def _set_aside(source: Path, why: str) -> None:
    source.with_name(source.name + REASON).write_text(f"{why}\n", encoding="utf-8")
    source.rename(source.with_name(source.name + REFUSED))


def _forget(_result: object) -> None:
    """Discard a result that arrives too late."""
