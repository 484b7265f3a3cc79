"""The file that is being printed: what is known of it, and reading ahead."""

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path, PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintFile:
    """A file to be printed.

    Attributes:
        job: the id of the print, short and unique.
        path: where it is on the disk.
        name: its path as people know it, such as ``parts/cube.gcode``.
        size: in bytes.
        lines: how many lines are sent; ``None``: not known.
        seconds: how long the print takes, as the slicer says; ``None``: not known.
        layers: how many layers it has; likewise.
        filament: mm of filament that it needs; likewise.
        objects: the names of the objects that can be excluded, as far as known.

    """

    job: str
    path: PurePath
    name: str
    size: int
    lines: int | None = None
    seconds: float | None = None
    layers: int | None = None
    filament: float | None = None
    objects: tuple[str, ...] = ()


BLOCK = 32 * 1024
"""Bytes that are read at a time, which are about a thousand lines."""

AHEAD = 16
"""Blocks that are read ahead. At 250,000 baud, sending them takes 20 seconds, and
without a limit of the baud rate more than one."""


class FileReader:
    """The bytes of a file from an offset on, in blocks that are ready when needed.

    :meth:`take` never blocks. When it had nothing, ``on_ready`` is called from the
    thread as soon as there are bytes again.

    Args:
        path: the file.
        start: the offset of the first byte that is read.
        on_ready: is called from the thread, and must not block.

    """

    def __init__(
        self, path: Path, *, start: int = 0, on_ready: Callable[[], None]
    ) -> None:
        self._path = path
        self._start = start
        self._on_ready = on_ready
        self._blocks: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._hungry = False
        self._closed = False
        self._over = False
        self.error: OSError | None = None
        """Why the rest of the file cannot be read."""
        self._thread = threading.Thread(
            target=copy_context().run,
            args=(self._run,),
            name="print file",
            daemon=True,  # a disk may take minutes to fail
        )
        self._thread.start()

    def take(self) -> bytes | None:
        """Return the next bytes; ``b""`` at the end, ``None`` if there are none yet.

        An error ends the file as well; it is then in :attr:`error`.
        """
        with self._changed:
            if self._blocks:
                block = self._blocks.popleft()
                self._changed.notify_all()
                return block
            if self._over:
                return b""
            self._hungry = True
            return None

    def close(self) -> None:
        """End the thread as soon as the disk allows it."""
        with self._changed:
            self._closed = True
            self._blocks.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            with self._path.open("rb", buffering=0) as file:
                if self._start:
                    file.seek(self._start)
                while block := file.read(BLOCK):
                    if not self._add(block):
                        return
        except OSError as error:
            self.error = error
        with self._changed:
            self._over = True
            hungry, self._hungry = self._hungry, False
            closed = self._closed
        if hungry and not closed:
            self._on_ready()

    def _add(self, block: bytes) -> bool:
        """Add a block when there is room; return whether to continue."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._blocks) < AHEAD)
            if self._closed:
                return False
            self._blocks.append(block)
            hungry, self._hungry = self._hungry, False
        if hungry:
            self._on_ready()
        return True
