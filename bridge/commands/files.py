"""The files that the bridge stores for a printer; nothing is sent to the printer."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands.base import Command, Context, Program

FilePath = Annotated[str, Field(min_length=1, max_length=1000)]
"""A path below the printer's folder, with `/` between folders."""


class _Files(Command):
    topic: ClassVar[str] = "files"
    needs_operational: ClassVar[bool] = False

    def program(self, _context: Context, /) -> Program:
        """Return no lines, because the bridge itself acts on these commands."""
        return Program()


class Delete(_Files):
    """Delete a file, or a folder that is empty.

    A file that is being printed is not deleted (`in_use`).
    """

    name: ClassVar[str] = "delete"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"path": "parts/cube.gcode"},
    )

    path: FilePath
    """The file's `path` in `files/state`."""


class Move(_Files):
    """Give a file another name, or move it to another folder, which is created.

    Nothing is replaced: if there is a file with the new name, the command is rejected
    (`exists`).
    """

    name: ClassVar[str] = "move"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"path": "cube.gcode", "to": "parts/cube.gcode"},
    )

    path: FilePath
    """The file's `path` in `files/state`."""
    to: FilePath
    """Its new path."""


class Fetch(_Files):
    """Download a file over HTTPS from a server in `files.fetch_hosts`.

    The response follows when the file is stored, however long the download takes. A
    file with this path is replaced. Redirects are followed on the same server only.
    """

    name: ClassVar[str] = "fetch"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {
            "url": "https://files.lan/parts/cube.gcode",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015"
            "a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    )

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    """Where the file is."""
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]
    """The SHA-256 of its content, in hexadecimal digits; other content is refused."""
    path: Annotated[str, Field(max_length=1000)] = ""
    """Its path; by default the last part of the URL's."""
    print: bool = False
    """Print it, or let it wait in the queue, as after an upload."""


class Rescan(_Files):
    """Look for files that others have put into the folder, changed or removed.

    The response follows when all of them have been checked.
    """

    name: ClassVar[str] = "rescan"


FilesCommand = Delete | Fetch | Move | Rescan

COMMANDS = (Delete, Fetch, Move, Rescan)
