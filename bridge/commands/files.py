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

    Nothing is replaced: if there is a file of the new name, the command is rejected
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


class Rescan(_Files):
    """Look for files that others have put into the folder, changed or removed.

    The response follows when all of them have been checked.
    """

    name: ClassVar[str] = "rescan"


FilesCommand = Delete | Move | Rescan

COMMANDS = (Delete, Move, Rescan)
