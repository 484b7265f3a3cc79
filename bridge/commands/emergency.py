"""The emergency stop."""

from typing import ClassVar

from bridge.commands.base import Command, Context, Program, Tier


class EmergencyStop(Command):
    """Stop the machine now, past every queue; it needs a reset afterwards.

    Any payload will do, also an empty or a broken one: only its `id` is read.
    """

    topic: ClassVar[str] = "emergency"
    name: ClassVar[str] = "emergency"
    tier: ClassVar[Tier] = "safe"
    needs_operational: ClassVar[bool] = False

    def program(self, _context: Context, /) -> Program:
        """Return the ``M112``."""
        return Program(("M112",), emergency=True)


COMMANDS = (EmergencyStop,)
