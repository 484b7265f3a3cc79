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


COMMANDS = (Start, Pause, Resume, Cancel)
