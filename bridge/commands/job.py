"""The print from the SD card: start, pause, resume, cancel; never a toggle.

What is already so is no error, as with OctoPrint: pausing a paused print sends nothing.
"""

from typing import ClassVar

from bridge.commands.base import Command, Context, Program
from bridge.errors import RejectedError


class Start(Command):
    """Start to print the file that is selected (`job/state` tells which)."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "start"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True
    needs_file: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M24``."""
        return Program(("M24",))


class Pause(Command):
    """Pause the print; nothing to do where it is paused already."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "pause"
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's line for it, or no line."""
        done = context.phase in {"pausing", "paused"}
        return Program(() if done else context.dialect.pause)


class Resume(Command):
    """Go on with a paused print; nothing to do where it is not paused."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "resume"
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's line for it, or no line."""
        done = context.phase in {"starting", "printing", "resuming", "finishing"}
        return Program(() if done else context.dialect.resume)


class Cancel(Command):
    """End the print before it is done; nothing to do where it is ending already.

    It goes before all commands that wait, and is not refused because they are many.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "cancel"
    first: ClassVar[bool] = True
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no line.

        Raises:
            RejectedError: The firmware has none (409).

        """
        lines = context.dialect.cancel
        if not lines:
            raise RejectedError.conflict(
                f"job cancel: {context.dialect.name} firmware has no command for it "
                "that is safe; cancel at the printer, or use emergency",
                "not_supported",
            )
        return Program(() if context.phase == "cancelling" else lines)


class Init(Command):
    """Mount the card; nothing to do where it is mounted already."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "init"
    needs_no_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the ``M21``, or no line."""
        return Program(() if context.card_ready else ("M21",))


class Refresh(Command):
    """Read the list of files again; it is published on `sd/files`."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "refresh"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the ``M20``, with long names and dates where the firmware has them."""
        extended = "EXTENDED_M20" in context.capabilities
        return Program(("M20 L T" if extended else "M20",))


class Release(Command):
    """Unmount the card, so that it can be taken out."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "release"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M22``."""
        return Program(("M22",))


COMMANDS = (Init, Refresh, Release, Start, Pause, Resume, Cancel)
