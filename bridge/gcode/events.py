"""The events of a conversation with a firmware, besides the replies themselves."""

from dataclasses import dataclass
from typing import NamedTuple

from bridge.gcode.reply_types import Reply


@dataclass(frozen=True, slots=True)
class Connected:
    """The firmware answers; lines can be sent."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The firmware was reset: its settings are lost, and nothing is sent again."""


class Done(NamedTuple):
    """The firmware has acknowledged a line, which need not mean that it is completed.

    There is one for each line: a named tuple is made in a third of the time that a
    frozen dataclass takes.

    Attributes:
        ticket: what :meth:`~bridge.gcode.protocol.Protocol.send` returned for the line.
        output: what the firmware said between the line and its ``ok``.
        errors: those of these texts that are complaints about the line.
        offset: where the line is in its source, if it comes from a stream that says so.

    """

    ticket: int
    output: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Failed:
    """A line will not be finished any more.

    Attributes:
        ticket: what :meth:`~bridge.gcode.protocol.Protocol.send` returned for the line.
        error: ``timeout``, ``disconnected``, ``firmware_error`` or
            ``emergency_stopped``.
        message: why, as a sentence.
        sent: the line was transmitted, so it may have been carried out (once).
        output: what the firmware said about it.

    """

    ticket: int
    error: str
    message: str
    sent: bool
    output: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """The conversation cannot continue; a new one has to be opened."""

    reason: str


PrinterEvent = Connected | Restarted | Reply
"""Events that concern the whole printer."""

Event = PrinterEvent | Done | Failed | LinkFailed
"""All events; the others concern one line, or end the conversation."""
