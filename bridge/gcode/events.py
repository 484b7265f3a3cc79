"""What a conversation with a firmware brings about, beside the replies themselves."""

from dataclasses import dataclass

from bridge.gcode.reply_types import Reply


@dataclass(frozen=True, slots=True)
class Connected:
    """The firmware answers; lines can be sent."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The firmware was reset: what it was told is gone; nothing is repeated."""


@dataclass(frozen=True, slots=True)
class Done:
    """The firmware took a line.

    Attributes:
        ticket: the line's.
        output: what the firmware said between the line and its ``ok``.
        errors: what of that was said against the line.

    """

    ticket: int
    output: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A line will not be finished any more.

    Attributes:
        ticket: the line's.
        error: ``timeout``, ``disconnected``, ``firmware_error`` or
            ``emergency_stopped``.
        message: why, as a sentence.
        sent: the line was transmitted, so it may have been carried out (once).
        output: what the firmware said to it.

    """

    ticket: int
    error: str
    message: str
    sent: bool
    output: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """The conversation cannot go on; a new one has to be opened."""

    reason: str


PrinterEvent = Connected | Restarted | Reply
"""What concerns the whole printer."""

Event = PrinterEvent | Done | Failed | LinkFailed
"""Everything; the others concern one line, or end the conversation."""
