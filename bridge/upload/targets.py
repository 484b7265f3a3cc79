"""What the HTTP server, the inbox and downloads need of a printer; from ``app``."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from bridge.files.stored import StoredFile

Source = Literal["upload", "inbox", "fetch"]
"""How a file arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What happened to a file after it was stored.

    Attributes:
        state: it was only stored, is printed now, or waits in the queue.
        job: the id of the print; "" if it was only stored.
        position: its place in the queue, counted from 1.
        reason: why it is not printed at once, for people.

    """

    state: Literal["stored", "printing", "queued"] = "stored"
    job: str = ""
    position: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The response to a command, as on MQTT.

    Attributes:
        code: with HTTP's meaning.
        message: an explanation for people, if it was not carried out.

    """

    code: int
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What a printer has."""

    extruders: int
    bed: bool
    chamber: bool


class UploadStore(Protocol):
    """The files of a printer; :class:`bridge.files.library.Library` is one."""

    @property
    def free(self) -> int:
        """Bytes that are free for files."""
        ...

    async def receive(
        self,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        size: int | None = None,
        replace: bool = True,
    ) -> StoredFile:
        """Store a file whose bytes arrive meanwhile; a failure leaves nothing."""
        ...

    async def adopt(self, path: str, file: Path, *, replace: bool = True) -> StoredFile:
        """Take over a complete file; it stays where it is if it is refused."""
        ...

    def get(self, path: str) -> StoredFile:
        """Return a file, or raise :class:`~bridge.files.stored.FileError`."""
        ...

    def list(self) -> Sequence[StoredFile]:
        """Return all files."""
        ...

    async def delete(self, path: str) -> None:
        """Delete a file that is not in use."""
        ...


class UploadTarget(Protocol):
    """One printer."""

    @property
    def name(self) -> str:
        """Its display name."""
        ...

    @property
    def store(self) -> UploadStore:
        """Its files."""
        ...

    @property
    def largest(self) -> int:
        """Bytes of the largest file that is accepted."""
        ...

    @property
    def equipment(self) -> Equipment:
        """Its equipment."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return the content of the topic ``state``."""
        ...

    def job(self) -> Mapping[str, Any]:
        """Return the content of the topic ``job/state``."""
        ...

    def temperatures(self) -> Mapping[str, Any]:
        """Return the content of the topic ``temperature``."""
        ...

    async def submit(
        self, file: StoredFile, *, start: bool, source: Source
    ) -> Submitted:
        """Print a stored file if its sender wants that.

        Args:
            file: the file.
            start: print it, at once or later.
            source: how it came.

        Raises:
            CommandError: It cannot be printed, neither now nor later.

        """
        ...

    async def command(self, topic: str, payload: bytes) -> CommandResult:
        """Execute a command as if it had arrived on an MQTT topic of the printer."""
        ...
