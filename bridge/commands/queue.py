"""The queue of prints that wait; these commands send no G-code."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands.base import Command, Context, Program

JobId = Annotated[str, Field(min_length=1, max_length=32)]
FilePath = Annotated[str, Field(min_length=1, max_length=1024)]


class _Queue(Command):
    topic: ClassVar[str] = "queue"
    needs_operational: ClassVar[bool] = False

    def program(self, _context: Context, /) -> Program:
        """Return no lines, because the bridge itself acts on these commands."""
        return Program()


class Add(_Queue):
    """Add a stored file to the end of the queue.

    It is printed when the prints before it have ended, the printer is ready, and the
    queue is released.
    """

    name: ClassVar[str] = "add"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"file": "cube.gcode"},
        {"file": "parts/hook.gcode", "copies": 3},
    )

    file: FilePath
    """The file's path, as `files/state` lists it."""
    copies: Annotated[int, Field(ge=1, le=100)] = 1
    """How often it is printed."""


class Remove(_Queue):
    """Remove a waiting print; the file is kept."""

    name: ClassVar[str] = "remove"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"job": "k3f9x2"},)

    job: JobId
    """The print's `job`, as `queue/state` lists it."""


class MoveInQueue(_Queue):
    """Move a waiting print to another place in the queue."""

    name: ClassVar[str] = "move"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"job": "k3f9x2", "to": 0},)

    job: JobId
    """The print's `job`, as `queue/state` lists it."""
    to: Annotated[int, Field(ge=0, le=1000)]
    """Its new place; 0 is the next to be printed."""


class Clear(_Queue):
    """Remove all waiting prints."""

    name: ClassVar[str] = "clear"


class HoldQueue(_Queue):
    """Start no print from the queue until `release`. A running print continues."""

    name: ClassVar[str] = "hold"


class ReleaseQueue(_Queue):
    """Report that the bed is clear, so that the next print may start.

    A release is valid for one print, unless `queue.hold` is off for this printer.
    """

    name: ClassVar[str] = "release"


QueueCommand = Add | Remove | MoveInQueue | Clear | HoldQueue | ReleaseQueue

COMMANDS = (Add, Remove, MoveInQueue, Clear, HoldQueue, ReleaseQueue)
