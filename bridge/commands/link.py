"""The line to the printer, and what went wrong with it; no G-code is sent."""

from typing import ClassVar

from bridge.commands.base import Command, Context, Program


class _Link(Command):
    topic: ClassVar[str] = "link"
    needs_operational: ClassVar[bool] = False

    def program(self, _context: Context, /) -> Program:
        """Return no line: it concerns the bridge."""
        return Program()


class Reconnect(_Link):
    """Close the port and open it again; that resets most printers."""

    name: ClassVar[str] = "reconnect"
    needs_no_print: ClassVar[bool] = True


class Acknowledge(_Link):
    """Take the last error away from `error`: a person has seen it.

    A printer that has stopped stays stopped until it is reset.
    """

    name: ClassVar[str] = "acknowledge"


COMMANDS = (Reconnect, Acknowledge)
