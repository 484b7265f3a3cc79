"""Prints from the SD card, and the card itself.

There is no toggle: each command names the state that it leads to. A command whose state
is reached already is not an error and sends nothing, as in OctoPrint's API (pausing a
paused print, for example).
"""

from typing import ClassVar

from bridge.commands.base import Command, Context, Program
from bridge.errors import RejectedError


class Start(Command):
    """Start printing the selected file; `job/state` shows which one it is."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "start"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True
    needs_file: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M24``."""
        return Program(("M24",))


class Pause(Command):
    """Pause the print. If it is already paused, nothing is sent."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "pause"
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no lines."""
        done = context.phase in {"pausing", "paused"}
        return Program(() if done else context.dialect.pause)


class Resume(Command):
    """Resume a paused print. If it is not paused, nothing is sent."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "resume"
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no lines."""
        done = context.phase in {"starting", "printing", "resuming", "finishing"}
        return Program(() if done else context.dialect.resume)


class Cancel(Command):
    """Cancel the print. If it is already being cancelled, nothing is sent.

    It is executed before all queued commands, and is accepted even if the queue is
    full.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "cancel"
    first: ClassVar[bool] = True
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no line.

        Raises:
            RejectedError: The firmware has no safe command for it (409).

        """
        lines = context.dialect.cancel
        if not lines:
            raise RejectedError.conflict(
                f"job cancel: {context.dialect.name} firmware has no safe command to "
                "cancel a print; cancel it at the printer, or use emergency",
                "not_supported",
            )
        return Program(() if context.phase == "cancelling" else lines)


class Init(Command):
    """Mount the card. If it is already mounted, nothing is sent."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "init"
    needs_no_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the ``M21``, or no lines."""
        return Program(() if context.card_ready else ("M21",))


class Refresh(Command):
    """Read the list of files again and publish it on `sd/files`."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "refresh"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the ``M20``, with long names and dates if the firmware has them."""
        extended = "EXTENDED_M20" in context.capabilities
        return Program(("M20 L T" if extended else "M20",))


class Release(Command):
    """Unmount the card so that it can be removed."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "release"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M22``."""
        return Program(("M22",))


COMMANDS = (Init, Refresh, Release, Start, Pause, Resume, Cancel)
