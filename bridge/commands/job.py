"""Prints from the SD card, and the card itself.

There is no toggle: each command names the state that it leads to. A command whose state
is reached already is not an error and sends nothing, as in OctoPrint's API (pausing a
paused print, for example).
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from bridge.commands import gcode_lines
from bridge.commands.base import Command, Context, Program, Question
from bridge.commands.heaters import target_lines
from bridge.errors import RejectedError

OLDER_CANCEL = ("M25", "M26 S0")
"""Pauses a print from the card and rewinds its file, which works where ``M524`` is not
known (Marlin before 2.0, https://marlinfw.org/docs/gcode/M524.html)."""

CONTINUE = ("continue", "resume")
"""The button of Marlin's dialogs that ends a wait, in lower case. While filament is
purged there is another one before it."""


class Start(Command):
    """Start printing the selected file; `job/state` shows which one it is."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "start"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True
    needs_file: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M24``."""
        return Program(("M24",))


class Pause(Command):
    """Pause the print. If it is already paused, nothing is sent."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "pause"
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no lines."""
        done = context.phase in {"pausing", "paused"}
        return Program(() if done else context.dialect.pause)


class Resume(Command):
    """Resume a paused print. If it is not paused, nothing is sent.

    If the printer waits for somebody to press its button, as during a filament change,
    that wait is ended instead.

    Heaters that went off during the pause are heated first, and waited for.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "resume"
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no lines.

        Raises:
            RejectedError: The printer waits for a person, and cannot be released (409).

        """
        if released := _released(context, "job resume"):
            return Program(released, urgent=True)
        done = context.phase in {"starting", "printing", "resuming", "finishing"}
        if done:
            return Program()
        warm_up = target_lines(context.reheat, context, wait=True)
        return Program((*warm_up, *context.dialect.resume))


class Cancel(Command):
    """Cancel the print. If it is already being cancelled, nothing is sent.

    It is executed before all queued commands, and is accepted even if the queue is
    full. If the printer waits for somebody to press its button, that wait is ended
    first.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "cancel"
    first: ClassVar[bool] = True
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no line.

        Raises:
            RejectedError: The firmware has no safe command for it, or the printer waits
                for a person and cannot be released (409).

        """
        lines = context.dialect.cancel
        if not lines:
            raise RejectedError.conflict(
                f"job cancel: {context.dialect.name} firmware has no safe command to "
                "cancel a print; cancel it at the printer, or use emergency",
                "not_supported",
            )
        if context.phase == "cancelling":
            return Program()
        if context.refused.intersection(lines):
            lines = OLDER_CANCEL
        return Program(lines, release=_released(context, "job cancel"))


class Answer(Command):
    """Press a button of the dialog that the printer shows; `state` has its `prompt`.

    It is executed before all queued commands. Where no buttons are reported, the
    printer's own button is pressed.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "answer"
    first: ClassVar[bool] = True
    needs_question: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"choice": 0},)

    choice: Annotated[int, Field(ge=0, le=99)] = 0
    """The number of the button, counted from 0."""

    def program(self, context: Context, /) -> Program:
        """Return the line that presses it.

        Raises:
            RejectedError: There is no such button (400), or it can only be pressed at
                the printer (409).

        """
        asked = context.question or Question()
        if asked.buttons and self.choice >= len(asked.buttons):
            known = ", ".join(f"{n}: {text}" for n, text in enumerate(asked.buttons))
            raise RejectedError.invalid(
                f"job answer: there is no button {self.choice}; there are {known}"
            )
        if context.dialect.buttons_are_commands and asked.commands:
            where = f"the button {asked.buttons[self.choice]!r}"
            pressed = gcode_lines.clean(asked.commands[self.choice], context, where)
            return gcode_lines.program([pressed], context)
        line = f"M876 S{self.choice}" if asked.buttons else "M108"
        if asked.blocks:
            _check_parser(context, asked, "job answer")
            return Program((line,), urgent=True)
        return Program((line,))


def _released(context: Context, what: str) -> tuple[str, ...]:
    """Return the line that ends the printer's wait for a person; none if it has none.

    Raises:
        RejectedError: Nothing gets through to the firmware while it waits (409).

    """
    asked = context.question
    if asked is None or not asked.blocks:
        return ()
    _check_parser(context, asked, what)
    texts = [text.strip().lower() for text in asked.buttons]
    number = next((n for n, text in enumerate(texts) if text in CONTINUE), None)
    return ("M108",) if number is None else (f"M876 S{number}",)


def _check_parser(context: Context, asked: Question, what: str) -> None:
    if "EMERGENCY_PARSER" not in context.capabilities:
        text = f": {asked.text}" if asked.text else ""
        raise RejectedError.conflict(
            f"{what}: the printer waits for a person{text}; its firmware reads nothing "
            "meanwhile, so press its button",
            "waiting_for_user",
        )


class Init(Command):
    """Mount the card. If it is already mounted, nothing is sent."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "init"
    needs_no_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the ``M21``, or no lines."""
        return Program(() if context.card_ready else ("M21",))


class Refresh(Command):
    """Read the list of files again and publish it on `sd/files`."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "refresh"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the ``M20``, with long names and dates if the firmware has them."""
        extended = "EXTENDED_M20" in context.capabilities
        return Program(("M20 L T" if extended else "M20",))


class Release(Command):
    """Unmount the card so that it can be removed."""

    topic: ClassVar[str] = "sd"
    name: ClassVar[str] = "release"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True

    def program(self, _context: Context, /) -> Program:
        """Return the ``M22``."""
        return Program(("M22",))


COMMANDS = (Init, Refresh, Release, Start, Pause, Resume, Cancel, Answer)
