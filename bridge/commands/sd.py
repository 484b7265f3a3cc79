"""The printer's SD card."""

from typing import ClassVar

from bridge.commands.base import Command, Context, Program


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


COMMANDS = (Init, Refresh, Release)
