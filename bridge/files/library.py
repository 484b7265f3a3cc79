"""The files of one printer: listing, receiving, printing and deleting them."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bridge.errors import CommandError
from bridge.files import names
from bridge.files.check import CheckRules
from bridge.files.index import NAME, Index, IndexEntry
from bridge.files.inspector import Inspector
from bridge.files.store import FileStore, Incoming, OnDisk
from bridge.files.stored import FileError, Picture, StoredFile
from bridge.files.worker import WorkerResult
from bridge.threads import SerialThread, in_thread
from bridge.timeout import timeout

log = logging.getLogger("bridge.printer")

_Result = TypeVar("_Result")

_BLOCK = 256 * 1024
"""Bytes that are written at once, and thus the memory that receiving a file takes."""


ABORTED = 5.0
"""Seconds that whoever gives up a file waits until it is removed. The disk may stand
still, or be writing all of it, and a bridge that ends must not wait for that."""


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Known:
    """A file and by what it is known to be up to date."""

    file: StoredFile
    entry: IndexEntry


class Library:
    """The files of one printer.

    Nothing here blocks the event loop: the disk is used in threads, and files are read
    by the inspector's process.

    Args:
        store: the folder.
        rules: what files are checked against.
        inspector: reads files; shared by all printers.

    Attributes:
        on_change: is called after each change of the list.
        on_added: is called with each file that is new or replaced.
        on_removed: is called with the path of each file that is gone.
        problem: why the folder cannot be used; ``""``: it can.
        free: bytes that are free for files, when it was looked at last.
        checking: files that were found in the folder are being read.

    """

    def __init__(
        self, store: FileStore, rules: CheckRules, inspector: Inspector
    ) -> None:
        self._store = store
        self._rules = rules
        self._digest = rules.digest
        self._inspector = inspector
        self._index = Index(store.folder / NAME)
        self._known: dict[str, _Known] = {}
        self._names: dict[str, str] = {}
        self._held: Counter[str] = Counter()
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.on_change: Callable[[], None] = _nothing
        self.on_added: Callable[[StoredFile], None] = _nothing
        self.on_removed: Callable[[str], None] = _nothing
        self.problem = ""
        self.free = 0
        self.checking = True

    # Life

    async def open(self) -> None:
        """Remove leftovers of a crash, and list the files; new ones are read soon."""
        try:
            async with self._changing:
                await self._load()
        except FileError as error:
            self.problem = error.message
            log.warning("%s", error.message)
            self.checking = False
        else:
            self._start(self._catch_up())
        self.on_change()

    async def _load(self) -> None:
        await _in_thread(self._store.open)
        entries = await _in_thread(self._index.load)
        on_disk = await _in_thread(self._store.scan)
        for path, entry in entries.items():
            if on_disk.get(path) == entry.on_disk and self._name_is_free(path):
                self._note(path, entry)
        await _in_thread(partial(self._index.drop, entries.keys() - on_disk.keys()))
        self.free = await _in_thread(self._store.free)

    async def close(self) -> None:
        """Stop reading files; callers give up what is being received."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def change_rules(self, rules: CheckRules) -> None:
        """Check files against other rules from now on, and all that are there again."""
        if rules != self._rules:
            self._rules, self._digest = rules, rules.digest
            if not self.problem:
                self._start(self._catch_up())

    @property
    def family(self) -> str:
        """The firmware family that files are checked for."""
        return self._rules.family

    # Reading

    def get(self, path: str) -> StoredFile:
        """Return a file.

        Raises:
            FileError: ``not_found``.

        """
        found = self._known.get(path) or self._known.get(names.clean(path))
        if found is None:
            raise FileError.not_found(path)
        return found.file

    def list(self) -> Sequence[StoredFile]:
        """Return all files, by path."""
        return [self._known[path].file for path in sorted(self._known)]

    async def checked(self, path: str) -> StoredFile:
        """Return a file with a report for the rules as they are now.

        Raises:
            FileError: ``not_found``, or ``files_unavailable``.
            FailedError: It could not be checked.

        """
        file = self.get(path)
        if self._known[file.path].entry.rules != self._digest:
            await self._read(file.path)
        return self.get(path)

    async def thumbnail(self, path: str, max_bytes: int) -> Picture | None:
        """Return the largest thumbnail of at most so many bytes, as PNG or JPEG.

        Raises:
            FileError: ``not_found``, or ``files_unavailable``.
            FailedError: It could not be decoded.

        """
        file = self.get(path)
        for thumbnail in file.metadata.thumbnails:
            picture = await self._inspector.picture(Path(file.full_path), thumbnail)
            if picture is not None and len(picture.data) <= max_bytes:
                return picture
        return None

    @contextmanager
    def hold(self, path: str) -> Iterator[StoredFile]:
        """Keep a file from being replaced, moved and deleted.

        Raises:
            FileError: ``not_found``.

        """
        file = self.get(path)
        self._held[file.path] += 1
        try:
            yield file
        finally:
            self._held[file.path] -= 1

    def is_held(self, path: str) -> bool:
        """Return whether a file is in use."""
        return self._held[path] > 0

    # Changing

    async def receive(
        self,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        size: int | None = None,
        replace: bool = True,
    ) -> StoredFile:
        """Store a file; it is checked before it has its name.

        Args:
            path: the name that its sender gives it; it is cleaned.
            chunks: its content.
            size: how many bytes it has, if its sender says so.
            replace: it may take the place of another one.

        Raises:
            FileError: See its constructors. Nothing has changed then, nor if ``chunks``
                raises an error or this is cancelled.
            FailedError: It could not be checked.

        """
        path = self._admit(path, replace=replace)
        begin = partial(self._store.begin, path, size)
        incoming = await in_thread(begin, Incoming.abort)
        try:
            await _fill(incoming, chunks)
            if size is not None and incoming.size != size:
                raise FileError.incomplete(path, size, incoming.size)
            await _in_thread(incoming.complete)
            rules = self._rules
            found = await self._inspector.inspect(incoming.full_path, rules)
            entry = _entry(found, rules, OnDisk(incoming.size, 0))
            if not entry.inspected.report.printable:
                raise FileError.refused(path, entry.inspected.report)
            commit = self._commit(path, incoming.commit, entry, replace=replace)
            return await self._finished(commit)
        finally:
            await self._give_up(incoming)

    async def adopt(self, path: str, file: Path, *, replace: bool = True) -> StoredFile:
        """Take over a file that is complete, from the same disk or another one.

        It stays where it is if it is refused.

        Args:
            path: the name that it will have; it is cleaned.
            file: where it is.
            replace: it may take the place of another one.

        Raises:
            FileError: See its constructors.
            FailedError: It could not be checked.

        """
        path = self._admit(path, replace=replace)
        look = partial(self._store.check_source, path, file)
        before = await _in_thread(look)
        rules = self._rules
        found = await self._inspector.inspect(file, rules)
        after = await _in_thread(look)
        if after != before:
            raise FileError.incomplete(path, before.size, after.size)
        entry = _entry(found, rules, before)
        if not entry.inspected.report.printable:
            raise FileError.refused(path, entry.inspected.report)
        take = partial(self._store.adopt, path, file)
        return await self._finished(self._commit(path, take, entry, replace=replace))

    async def delete(self, path: str) -> None:
        """Delete a file, or an empty folder.

        Raises:
            FileError: ``not_found``, ``in_use``, ``not_empty`` or
                ``files_unavailable``.

        """
        await self._finished(self._delete(names.clean(path)))

    async def move(self, path: str, to: str) -> StoredFile:
        """Rename a file, or move it to another folder.

        Raises:
            FileError: ``not_found``, ``in_use``, ``exists``, ``invalid_name``,
                ``unsupported_type`` or ``files_unavailable``.

        """
        return await self._finished(self._move(self.get(path).path, to))

    async def rescan(self) -> None:
        """Look for files that others have put into the folder, changed or deleted.

        Raises:
            FileError: ``files_unavailable``.

        """
        if self.problem:
            raise FileError.unusable(self.problem)
        await self._catch_up()

    def _admit(self, path: str, *, replace: bool, moved: str = "") -> str:
        """Return the clean path of a file that may have this name."""
        if self.problem:
            raise FileError.unusable(self.problem)
        path = names.clean(path)
        names.check_type(path)
        there = self._names.get(names.same(path), moved)
        if there not in {moved, path}:
            raise FileError.exists(path, there)
        if path in self._known and path != moved:
            if self.is_held(path):
                raise FileError.in_use(path)
            if not replace:
                raise FileError.exists(path, path)
        return path

    async def _commit(
        self, path: str, work: Callable[[], None], entry: IndexEntry, *, replace: bool
    ) -> StoredFile:
        async with self._changing:
            self._admit(path, replace=replace)
            await _in_thread(work)
            found = await _in_thread(partial(self._store.stat, path))
            if found is None:
                raise FileError.not_found(path)
            return await self._added(path, _with(entry, found))

    async def _added(self, path: str, entry: IndexEntry) -> StoredFile:
        file = self._note(path, entry)
        await _in_thread(partial(self._index.put, path, entry))
        self.free = await _in_thread(self._store.free)
        self.on_added(file)
        self.on_change()
        return file

    async def _delete(self, path: str) -> None:
        async with self._changing:
            if self.is_held(path):
                raise FileError.in_use(path)
            if any(other.startswith(f"{path}/") for other in self._known):
                raise FileError.not_empty(path)
            await _in_thread(partial(self._store.delete, path))
            await self._removed([path])

    async def _move(self, path: str, to: str) -> StoredFile:
        async with self._changing:
            if self.is_held(path):
                raise FileError.in_use(path)
            to = self._admit(to, replace=False, moved=path)
            if path == to:
                return self.get(path)
            await _in_thread(partial(self._store.move, path, to))
            entry = self._known[path].entry
            await self._removed([path])
            return await self._added(to, entry)

    async def _removed(self, paths: Sequence[str]) -> None:
        gone = [path for path in paths if path in self._known]
        for path in gone:
            del self._known[path]
            del self._names[names.same(path)]
        await _in_thread(partial(self._index.drop, gone))
        self.free = await _in_thread(self._store.free)
        for path in gone:
            self.on_removed(path)
        if gone:
            self.on_change()

    # Keeping up with the folder

    async def _catch_up(self) -> None:
        """Read what is new or has changed, and what other rules were checked with."""
        async with self._changing:
            on_disk = await _in_thread(self._store.scan)
            # Also what is in use: a print continues with the file that it has opened.
            await self._removed([path for path in self._known if path not in on_disk])
        stale = [path for path in sorted(on_disk) if self._is_stale(path, on_disk)]
        self._now_checking(checking=bool(stale))
        for path in stale:
            try:
                await self._read(path)
            except CommandError as error:
                log.warning("%s could not be checked: %s", path, error.message)
        self._now_checking(checking=False)

    def _is_stale(self, path: str, on_disk: Mapping[str, OnDisk]) -> bool:
        known = self._known.get(path)
        if known is None:
            return True
        entry = known.entry
        return entry.on_disk != on_disk[path] or entry.rules != self._digest

    def _now_checking(self, *, checking: bool) -> None:
        if checking != self.checking:
            self.checking = checking
            self.on_change()

    async def _read(self, path: str) -> None:
        """Read a file that is in the folder; it is listed whatever is found."""
        rules = self._rules
        before = await _in_thread(partial(self._store.stat, path))
        if before is None or not self._name_is_free(path):
            return
        found = await self._inspector.inspect(self._store.full(path), rules)
        entry = _entry(found, rules, before)
        async with self._changing:
            # If it was replaced meanwhile, the new one has been read.
            if await _in_thread(partial(self._store.stat, path)) == before:
                known = self._known.get(path)
                if known is not None and known.entry.sha256 == entry.sha256:
                    entry = replace(entry, added=known.entry.added)
                    self._note(path, entry)
                    await _in_thread(partial(self._index.put, path, entry))
                    self.on_change()
                else:
                    entry = replace(entry, added=before.changed / 1e9)
                    await self._added(path, entry)

    def _name_is_free(self, path: str) -> bool:
        return self._names.get(names.same(path), path) == path

    def _note(self, path: str, entry: IndexEntry) -> StoredFile:
        file = StoredFile(
            path=path,
            full_path=self._store.full(path),
            size=entry.on_disk.size,
            added=entry.added,
            sha256=entry.sha256,
            metadata=entry.inspected.metadata,
            report=entry.inspected.report,
        )
        self._known[path] = _Known(file, entry)
        self._names[names.same(path)] = path
        return file

    # Tasks

    def _start(self, work: Coroutine[None, None, _Result]) -> asyncio.Task[_Result]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _give_up(self, incoming: Incoming) -> None:
        """Remove a file that was not committed; a disk may be too slow for that.

        Then it is removed as soon as the disk answers, or at the next start.
        """
        with suppress(TimeoutError):
            async with timeout(ABORTED):
                await self._finished(_in_thread(incoming.abort))

    async def _finished(self, work: Coroutine[None, None, _Result]) -> _Result:
        """Finish what must not be interrupted, even if the caller is cancelled."""
        task = self._start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_ignore_error)
            raise


def _ignore_error(task: "asyncio.Task[_Result]") -> None:
    if not task.cancelled():
        task.exception()


async def _fill(incoming: Incoming, chunks: AsyncIterator[bytes]) -> None:
    waiting: list[bytes] = []
    size, writer = 0, SerialThread("bridge-files")
    try:
        async for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size >= _BLOCK:
                await writer.run(partial(incoming.write, b"".join(waiting)))
                size = 0
                waiting.clear()
        await writer.run(partial(incoming.write, b"".join(waiting)))
    finally:
        writer.close()


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    return await in_thread(work, _nothing, name="bridge-files")


def _entry(found: WorkerResult, rules: CheckRules, on_disk: OnDisk) -> IndexEntry:
    if found.inspected is None:
        raise FileError.unusable("the file was not read")
    return IndexEntry(on_disk, time.time(), found.sha256, rules.digest, found.inspected)


def _with(entry: IndexEntry, on_disk: OnDisk) -> IndexEntry:
    return replace(entry, on_disk=on_disk)
