"""Files of one printer on the disk: written so that there is never half a file.

A file is written under another name in the folder where it will be, forced onto the
disk, and renamed. All calls block, and are made in threads.
"""

import errno
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import quoted
from bridge.files import names
from bridge.files.stored import FileError, megabytes

_LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.upload")
"""The name of an incomplete file. It is hidden, and never listed."""

_HEAD = 4096  # bytes that show whether a file is G-code
_ROOM_EVERY = 16 * 1024 * 1024
"""Bytes after which the free space on the disk is checked again."""

# Errors of a disk or quota that is full, or of a file larger than allowed.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_COPIED = 1024 * 1024  # bytes at a time


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A file as the folder has it.

    Attributes:
        size: in bytes.
        changed: the time of its last change, in ns since 1970.

    """

    size: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> "OnDisk":
        """Return the values that show whether a file has changed."""
        return cls(found.st_size, found.st_mtime_ns)


class FileStore:
    """The folder of one printer, which is created with its first file.

    Args:
        folder: where it is.
        max_upload: bytes that a file may have.
        keep_free: bytes that must stay free on the disk.

    """

    def __init__(self, folder: Path, *, max_upload: int, keep_free: int) -> None:
        self.folder = folder
        self.max_upload = max_upload
        self.keep_free = keep_free
        # A folder that one thread has just found or made must not be removed as an
        # empty one by another, until there is something in it.
        self._folders = threading.Lock()

    def open(self) -> None:
        """Remove the incomplete files that a crash has left.

        Raises:
            FileError: ``files_unavailable``.

        """
        with _explained(str(self.folder)):
            for folder, _, files in os.walk(self.folder):
                for name in files:
                    if _LEFTOVER.fullmatch(name):
                        Path(folder, name).unlink(missing_ok=True)

    def free(self) -> int:
        """Return how many bytes are free on the disk for files; at least 0."""
        folder = self.folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with _explained(str(self.folder)):
            disk = os.statvfs(folder)
        return max(0, disk.f_bavail * disk.f_frsize - self.keep_free)

    def scan(self) -> Mapping[str, OnDisk]:
        """Return all files that could be printed, by path.

        Links, hidden files, and names that are not clean are left out.

        Raises:
            FileError: ``files_unavailable``.

        """
        found: dict[str, OnDisk] = {}
        with _explained(str(self.folder)):
            if os.path.lexists(self.folder):
                self._scan(self.folder, "", found, names.MOST_PARTS)
        return found

    def _scan(
        self, folder: Path, before: str, found: dict[str, OnDisk], depth: int
    ) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = before + entry.name
                if not _is_clean(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if depth > 1:
                        self._scan(Path(entry.path), f"{path}/", found, depth - 1)
                elif entry.is_file(follow_symlinks=False) and _has_type(path):
                    found[path] = OnDisk.of(entry.stat(follow_symlinks=False))

    def stat(self, path: str) -> OnDisk | None:
        """Return a file as it is now, or ``None``."""
        try:
            found = self.full(path).lstat()
        except OSError:
            return None
        return OnDisk.of(found) if stat.S_ISREG(found.st_mode) else None

    def full(self, path: str) -> Path:
        """Return where a file is."""
        return self.folder / path

    def begin(self, path: str, size: int | None) -> "Incoming":
        """Create the file that will be renamed to ``path``, and its folders.

        Args:
            path: a clean path.
            size: how many bytes it will have, if that is known.

        Raises:
            FileError: ``too_large``, ``no_room``, ``invalid_name`` (there is a link or
                a file where a folder would be) or ``files_unavailable``.

        """
        if size is not None and size > self.max_upload:
            raise FileError.too_large(path, self.max_upload)
        self.check_room(path, size or 0)
        with _explained(path), self._folders:
            return Incoming(self, path, self._folder_of(path))

    def check_room(self, path: str, more: int) -> None:
        """Refuse to write so many bytes if the disk would be too full then.

        Raises:
            FileError: ``no_room``.

        """
        free = self.free()
        if more >= free:
            raise FileError.no_room(
                path,
                f"{megabytes(free)} are free beyond the {megabytes(self.keep_free)} "
                "that stay free (files.keep_free)",
            )

    def _folder_of(self, path: str) -> int:
        """Return a descriptor of the folder of a file, which is created.

        No link is followed, so that nothing is written outside the printer's folder.
        """
        *folders, _ = path.split("/")
        self.folder.mkdir(parents=True, exist_ok=True)
        at = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in folders:
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=at)
                    os.fsync(at)
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(name, flags, dir_fd=at)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                    raise FileError.invalid_name(
                        path, f"leads through {quoted(name)}, which is not a folder"
                    ) from None
                raise
            finally:
                os.close(at)
            at = inner
        return at

    def adopt(self, path: str, source: Path) -> None:
        """Take over a complete file, which may be on another disk.

        Raises:
            FileError: See :meth:`begin`; ``unsupported_type`` too.

        """
        size = self.check_source(path, source).size
        self.check_room(path, 0)
        with _explained(path), self._folders:
            folder = self._folder_of(path)
            try:
                os.rename(source, path.rpartition("/")[2], dst_dir_fd=folder)
                os.fsync(folder)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                return
            finally:
                os.close(folder)
        self._copy(path, source, size)

    def check_source(self, path: str, source: Path) -> OnDisk:
        """Refuse a file that cannot be taken over, before its lines are checked.

        Returns:
            What tells whether it is still the same later.

        Raises:
            FileError: ``not_found``, ``too_large``, ``unsupported_type`` or
                ``files_unavailable``.

        """
        with _explained(str(source)):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            at = os.open(source, flags)
            try:
                found = os.fstat(at)
                if not stat.S_ISREG(found.st_mode):
                    raise FileError.unsupported_type(path, "this is not a regular file")
                if found.st_size > self.max_upload:
                    raise FileError.too_large(path, self.max_upload)
                names.check_beginning(path, os.read(at, _HEAD))
                os.fsync(at)
            finally:
                os.close(at)
        return OnDisk.of(found)

    def _copy(self, path: str, source: Path, size: int) -> None:
        incoming = self.begin(path, size)
        try:
            with _explained(str(source)), source.open("rb") as file:
                while block := file.read(_COPIED):
                    incoming.write(block)
            incoming.complete()
            incoming.commit()
        finally:
            incoming.abort()
        with _explained(str(source)):
            source.unlink()

    def delete(self, path: str) -> None:
        """Delete a file or an empty folder, and the folders around it if empty.

        Raises:
            FileError: ``not_found`` or ``files_unavailable``.

        """
        full = self.full(path)
        with _explained(path):
            if full.is_dir() and not full.is_symlink():
                full.rmdir()
            else:
                full.unlink()
            self._sync(full.parent)
        self.prune(path)

    def move(self, path: str, to: str) -> None:
        """Rename a file that is not there under the new name; it may change folders.

        Raises:
            FileError: ``not_found``, ``invalid_name`` or ``files_unavailable``.

        """
        with _explained(path), self._folders:
            folder = self._folder_of(to)
            try:
                name = to.rpartition("/")[2]
                os.rename(self.full(path), name, dst_dir_fd=folder)
                os.fsync(folder)
            finally:
                os.close(folder)
            self._sync(self.full(path).parent)
        self.prune(path)

    def prune(self, path: str) -> None:
        """Remove the folders around a file that are empty now."""
        with self._folders, suppress(OSError):
            for parent in self.full(path).parents:
                if parent == self.folder:
                    return
                parent.rmdir()

    @staticmethod
    def _sync(folder: Path) -> None:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(at)
        finally:
            os.close(at)


class Incoming:
    """A file that is being written.

    It may be aborted from another thread than that which writes.

    Args:
        store: where it will be.
        path: its path.
        folder: a descriptor of its folder, which is closed at the end.

    """

    def __init__(self, store: FileStore, path: str, folder: int) -> None:
        self._store = store
        self._path = path
        self._folder = folder
        self._lock = threading.Lock()
        self._name = f".{secrets.token_hex(8)}.upload"
        self.size = 0
        self._looked = 0
        self._file = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(self._name, flags, 0o644, dir_fd=folder)
        except OSError:
            os.close(folder)
            raise

    @property
    def full_path(self) -> Path:
        """Where it is until it is renamed."""
        return self._store.full(self._path).parent / self._name

    def write(self, block: bytes) -> None:
        """Write the next bytes.

        Raises:
            FileError: ``too_large``, ``no_room``, ``unsupported_type`` or
                ``files_unavailable``.

        """
        with self._lock, _explained(self._path):
            if self._file < 0:
                return  # it was aborted
            if not self.size:
                names.check_beginning(self._path, block[:_HEAD])
            if self.size + len(block) > self._store.max_upload:
                raise FileError.too_large(self._path, self._store.max_upload)
            if self.size + len(block) - self._looked >= _ROOM_EVERY:
                self._looked = self.size
                self._store.check_room(self._path, len(block))
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self.size += len(block)

    def complete(self) -> None:
        """Force what was written onto the disk.

        Raises:
            FileError: ``no_room`` or ``files_unavailable``.

        """
        with self._lock, _explained(self._path):
            if self._file >= 0:
                os.fsync(self._file)

    def commit(self) -> None:
        """Give the file its name. Whatever had the name before is gone.

        Raises:
            FileError: ``files_unavailable``; also if it was aborted.

        """
        with self._lock, _explained(self._path):
            if self._file < 0:
                raise FileError.unusable(f"{self._path}: writing was aborted")
            name = self._path.rpartition("/")[2]
            os.rename(
                self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder
            )
            os.fsync(self._folder)
            self._close()

    def abort(self) -> None:
        """Remove the file, unless it has been committed."""
        with self._lock:
            if self._file < 0:
                return
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder)
            self._close()
        self._store.prune(self._path)

    def _close(self) -> None:
        os.close(self._file)
        os.close(self._folder)
        self._file = -1


def _is_clean(path: str) -> bool:
    try:
        return names.clean(path) == path
    except FileError:
        return False


def _has_type(path: str) -> bool:
    try:
        names.check_type(path)
    except FileError:
        return False
    return True


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Convert errors of the disk into errors of a file."""
    try:
        yield
    except FileNotFoundError:
        raise FileError.not_found(path) from None
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise FileError.no_room(path, why) from None
        raise FileError.unusable(f"{path}: {why}") from None
