"""Reads files in a process of its own, which never takes time from a printer's line.

``python -m bridge.files.worker`` reads one task a line from standard input, and writes
one answer a line. It ends with its standard input, or with the process that started it.
"""

import base64
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from bridge.files import thumbnails
from bridge.files.check import CheckRules
from bridge.files.inspection import Inspected, Inspection

NICENESS = 15
"""The nice value of the process: the printers' lines take precedence."""

_AUTOGROUP = Path("/proc/self/autogroup")
"""The nice value of all processes of the session. With autogrouping, which is on in
most kernels, the nice value of a process counts only within its session (``man 7
sched``)."""

_BLOCK = 256 * 1024  # bytes that are read at once


class Task(BaseModel):
    """A task for the worker: what to do with a file."""

    path: str
    """The file."""
    rules: CheckRules | None = None
    """Check it against these, and read its metadata."""
    picture: tuple[int, int] | None = None
    """Decode the thumbnail between these offsets."""


class Decoded(BaseModel):
    """A thumbnail."""

    data: str
    """The file of the picture, in base64."""
    media_type: Literal["image/png", "image/jpeg"]
    """Its format."""
    width: int
    """In pixels."""
    height: int
    """In pixels."""


class WorkerResult(BaseModel):
    """What the worker found."""

    error: str = ""
    """Why the file could not be read."""
    sha256: str = ""
    """Of its content."""
    inspected: Inspected | None = None
    """Its metadata and its report."""
    picture: Decoded | None = None
    """The thumbnail; ``null``: it is damaged."""


def answer(task: Task) -> WorkerResult:
    """Execute a task."""
    try:
        if task.picture is not None:
            return WorkerResult(picture=_picture(task.path, *task.picture))
        if task.rules is not None:
            return _inspect(task.path, task.rules)
    except OSError as error:
        return WorkerResult(error=error.strerror or str(error))
    return WorkerResult(error="there is nothing to do")


def _inspect(path: str, rules: CheckRules) -> WorkerResult:
    inspection, digest = Inspection(rules), hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
        inspection.feed(block)
    return WorkerResult(sha256=digest.hexdigest(), inspected=inspection.finish())


def _blocks(path: str) -> Iterator[bytes]:
    parent = os.getppid()
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123 - of a descriptor
        while block := file.read(_BLOCK):
            if os.getppid() != parent:
                sys.exit()  # nobody waits for the answer
            yield block


def _picture(path: str, start: int, end: int) -> Decoded | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    at = os.open(path, flags)
    try:
        text = os.pread(at, max(0, min(end - start, thumbnails.MOST_TEXT)), start)
    finally:
        os.close(at)
    found = thumbnails.decode(text)
    if found is None:
        return None
    return Decoded(
        data=base64.b64encode(found.data).decode(),
        media_type=found.media_type,
        width=found.width,
        height=found.height,
    )


def main() -> None:
    """Execute tasks until standard input ends."""
    os.nice(NICENESS)
    with suppress(OSError):  # there is none in a container, or without autogroups
        _AUTOGROUP.write_text(str(NICENESS))
    for line in sys.stdin:
        print(answer(Task.model_validate_json(line)).model_dump_json(), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
