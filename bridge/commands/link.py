"""The connection to the printer; these commands send no G-code."""

from typing import ClassVar

from bridge.commands.base import Command, Context, Program


class _Link(Command):
    topic: ClassVar[str] = "link"
    needs_operational: ClassVar[bool] = False

    def program(self, _context: Context, /) -> Program:
        """Return no lines, because the bridge itself acts on these commands."""
        return Program()


class Reconnect(_Link):
    """Close the port and open it again. This resets most printers."""

    name: ClassVar[str] = "reconnect"
    needs_no_print: ClassVar[bool] = True


class Disconnect(_Link):
    """Close the port and leave it closed until `connect`, also after a restart.

    Another program can use the port meanwhile, or the printer can be switched off
    without an error. It is rejected while a heater is on, because nothing would monitor
    the heater.
    """

    name: ClassVar[str] = "disconnect"
    needs_no_print: ClassVar[bool] = True


class Connect(_Link):
    """Open the port again after `disconnect`. If it is open, nothing happens."""

    name: ClassVar[str] = "connect"


class Acknowledge(_Link):
    """Clear the last error on `error`, because somebody has seen it.

    A printer that has stopped stays stopped until it is reset. An emergency stop that
    is kept for a printer that is not connected is cancelled.
    """

    name: ClassVar[str] = "acknowledge"


LinkCommand = Reconnect | Disconnect | Connect | Acknowledge

COMMANDS = (Reconnect, Disconnect, Connect, Acknowledge)
