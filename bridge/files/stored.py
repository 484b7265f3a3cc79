"""A file that is stored for a printer, and what may go wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from bridge.errors import RejectedError, quoted
from bridge.files.check import CheckFinding, CheckReport
from bridge.files.slicer_comments import Metadata

BGCODE = (
    "binary G-code cannot be sent line by line; in PrusaSlicer, switch off Use binary "
    "G-code when the printer supports it (Configuration > Preferences > Other), or "
    "Supports binary G-code (Printer Settings > General), and slice again"
)
"""The error for ``.bgcode``, with PrusaSlicer's names of the two settings."""

NO_FILES = "no files are stored (files.enabled)"
"""The error for every request about files if they are switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that is complete, on the disk and checked.

    Attributes:
        path: relative to the printer's folder, with ``/`` between folders.
        full_path: where it is.
        size: in bytes.
        added: when it was stored, in Unix time.
        sha256: of its content, in hexadecimal digits.
        metadata: what the slicer says about it.
        report: what the check found.

    """

    path: str
    full_path: PurePath
    size: int
    added: float
    sha256: str
    metadata: Metadata
    report: CheckReport

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Picture:
    """A thumbnail, as programs show it.

    Attributes:
        data: the bytes of a PNG or JPEG file.
        media_type: ``image/png`` or ``image/jpeg``.
        width: in pixels.
        height: in pixels.

    """

    data: bytes
    media_type: Literal["image/png", "image/jpeg"]
    width: int
    height: int


class FileError(RejectedError):
    """A file cannot be stored, found or changed; nothing was changed.

    Attributes:
        findings: the errors in its lines, if that is the reason.

    """

    findings: Sequence[CheckFinding] = ()

    @classmethod
    def disabled(cls) -> "FileError":
        """Return the error of a bridge that stores no files."""
        return cls(NO_FILES, error="files_disabled", code=403)

    @classmethod
    def not_found(cls, path: str) -> "FileError":
        """Return the error of a path without a file."""
        return cls(f"there is no file {quoted(path)}", error="not_found", code=404)

    @classmethod
    def in_use(cls, path: str) -> "FileError":
        """Return the error of a file that is being printed, or is about to be."""
        return cls(
            f"{quoted(path)} is being printed, or waits in the queue; change it after "
            "that, or remove it from the queue",
            error="in_use",
            code=409,
        )

    @classmethod
    def exists(cls, path: str, there: str) -> "FileError":
        """Return the error of a name that is taken.

        Args:
            path: the name that was asked for.
            there: what has it, or one that differs only in upper and lower case.

        """
        why = "is there already"
        if path != there:
            why = f"is {quoted(there)} on many disks, which is there already"
        return cls(
            f"{quoted(path)} {why}; choose another name", error="exists", code=409
        )

    @classmethod
    def invalid_name(cls, path: str, why: str) -> "FileError":
        """Return the error of a name that no file should have."""
        start = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
        return cls(f"the name {quoted(start)} {why}", error="invalid_name", code=400)

    @classmethod
    def not_empty(cls, path: str) -> "FileError":
        """Return the error of a folder that has files."""
        return cls(
            f"the folder {quoted(path)} is not empty; delete its files first",
            error="not_empty",
            code=409,
        )

    @classmethod
    def incomplete(cls, path: str, expected: int, received: int) -> "FileError":
        """Return the error of a file whose end is missing, or that is too long."""
        return cls(
            f"{quoted(path)}: {received} bytes were received, not {expected}; send it "
            "again",
            error="incomplete",
            code=400,
        )

    @classmethod
    def too_large(cls, path: str, largest: int) -> "FileError":
        """Return the error of a file beyond ``files.max_upload``, in bytes."""
        return cls(
            f"{quoted(path)} is larger than {megabytes(largest)} (files.max_upload)",
            error="too_large",
            code=413,
        )

    @classmethod
    def unsupported_type(cls, path: str, why: str) -> "FileError":
        """Return the error of a file that is not plain G-code."""
        return cls(f"{quoted(path)}: {why}", error="unsupported_type", code=415)

    @classmethod
    def no_room(cls, path: str, why: str) -> "FileError":
        """Return the error of a disk that is full, or would be."""
        return cls(
            f"there is no room for {quoted(path)}: {why}", error="no_room", code=507
        )

    @classmethod
    def unusable(cls, why: str) -> "FileError":
        """Return the error of a folder that cannot be read or written."""
        return cls(
            f"the folder of the files cannot be used: {why} (files.folder)",
            error="files_unavailable",
            code=503,
        )

    @classmethod
    def refused(cls, path: str, report: CheckReport) -> "FileError":
        """Return the error of a file that must not be printed."""
        errors = "; ".join(str(error) for error in report.errors[:_SHOWN_ERRORS])
        left = report.error_count - min(len(report.errors), _SHOWN_ERRORS)
        more = f" (and {left} more)" if left else ""
        error = cls(
            f"{quoted(path)} was not stored: {errors}{more}",
            error="refused",
            code=422,
        )
        error.findings = report.errors
        return error


_SHOWN = 80  # characters of a line that a message shows
_SHOWN_ERRORS = 3  # errors that a message names; the others are counted
_MEGA = 1024 * 1024


def megabytes(size: int) -> str:
    """Return a number of bytes for people, such as ``200 MiB``."""
    return f"{size / _MEGA:.0f} MiB" if size >= _MEGA else f"{size} bytes"
