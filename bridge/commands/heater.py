"""The bed and the chamber: targets and offsets."""

from collections.abc import Mapping
from typing import ClassVar

from bridge.commands.base import Command, Context, Program
from bridge.commands.offsets import adjusted
from bridge.commands.values import Offset, Target
from bridge.gcode.words import format_number


class BedTarget(Command):
    """Set the bed's target; nothing waits for it."""

    topic: ClassVar[str] = "bed"
    name: ClassVar[str] = "target"
    needs_bed: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"target": 75},)

    target: Target
    """°C; 0 turns it off."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M140``."""
        value = adjusted(context, "bed", self.target, "target")
        return Program((f"M140 S{format_number(value)}",))


class BedOffset(Command):
    """Set what is added to the bed's targets; nothing is sent to the printer."""

    topic: ClassVar[str] = "bed"
    name: ClassVar[str] = "offset"
    needs_bed: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"offset": -5},)

    offset: Offset
    """°C, -50 to 50."""

    def program(self, _context: Context, /) -> Program:
        """Return the offset to keep, and no line."""
        return Program(offsets={"bed": self.offset})


class ChamberTarget(Command):
    """Set the chamber's target; nothing waits for it."""

    topic: ClassVar[str] = "chamber"
    name: ClassVar[str] = "target"
    needs_chamber: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"target": 50},)

    target: Target
    """°C; 0 turns it off."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M141``."""
        value = adjusted(context, "chamber", self.target, "target")
        return Program((f"M141 S{format_number(value)}",))


class ChamberOffset(Command):
    """Set what is added to the chamber's targets; nothing is sent to the printer."""

    topic: ClassVar[str] = "chamber"
    name: ClassVar[str] = "offset"
    needs_chamber: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"offset": 5},)

    offset: Offset
    """°C, -50 to 50."""

    def program(self, _context: Context, /) -> Program:
        """Return the offset to keep, and no line."""
        return Program(offsets={"chamber": self.offset})


COMMANDS = (BedTarget, BedOffset, ChamberTarget, ChamberOffset)
