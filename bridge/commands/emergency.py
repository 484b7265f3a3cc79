"""The emergency stop."""

from typing import ClassVar

from bridge.commands.base import Command, Context, Program, Tier
from bridge.gcode.codes import STOP


class EmergencyStop(Command):
    """Stop the machine immediately, before everything that is queued.

    The printer needs a reset afterwards. Any payload is accepted, even an empty or
    invalid one. Only its `id` is read.

    While the printer is not connected the response is `failed`, and the stop is kept:
    it is sent first when the printer is back, unless `acknowledge` on `link` has
    cancelled it.
    """

    topic: ClassVar[str] = "emergency"
    name: ClassVar[str] = "emergency"
    tier: ClassVar[Tier] = "safe"
    needs_operational: ClassVar[bool] = False

    @property
    def stops(self) -> bool:
        """It is the stop."""
        return True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M112``."""
        return Program((STOP,), emergency=True)


COMMANDS = (EmergencyStop,)
