"""Prints from the SD card, and the card itself.

There is no toggle: each command names the state that it leads to. A command whose state
is reached already is not an error and sends nothing, as in OctoPrint's API (pausing a
paused print, for example).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from bridge.commands import gcode_lines
from bridge.commands.base import Command, Context, Finite, NotNull, Program, Question
from bridge.commands.heaters import target_lines
from bridge.errors import RejectedError, quoted
from bridge.gcode.reply_types import FileEntry
from bridge.validation_errors import likeliest

OLDER_CANCEL = ("M25", "M26 S0")
"""Pauses a print from the card and rewinds its file, which works where ``M524`` is not
known (Marlin before 2.0, https://marlinfw.org/docs/gcode/M524.html)."""

FileName = Annotated[str, Field(min_length=1, max_length=300)]
"""A file's path or long name."""

CONTINUE = ("continue", "resume")
"""The button of Marlin's dialogs that ends a wait, in lower case. While filament is
purged there is another one before it."""


Origin = Literal["card", "local"]
"""Where a file is that a command names; `origin` in `job/state` uses the same words."""


class _CardFile(Command):
    """A command that names a file on the SD card."""

    topic: ClassVar[str] = "job"
    needs_no_print: ClassVar[bool] = True
    needs_card: ClassVar[bool] = True


class Select(_CardFile):
    """Select a file; `start` prints it."""

    name: ClassVar[str] = "select"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"file": "CUBE~1.GCO", "origin": "card"},
    )

    file: FileName
    """The path of a file that the bridge has stored (`files`), or a `path` in
    `sd/files` or its long name (`display`)."""
    origin: Annotated[Origin | None, NotNull] = None
    """As for `start`."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M23``; of a stored file the printer knows nothing.

        Raises:
            RejectedError: There is no such file (``no_such_file``, 404).

        """
        if self.origin == "local":
            raise _not_stored("job select", self.file)
        return Program((select_line(self.file, context, "job select"),))


class Start(_CardFile):
    """Print a file; without `file`, the selected one, which `job/state` shows."""

    name: ClassVar[str] = "start"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"file": "parts/cube.gcode"},
        {"file": "CUBE~1.GCO", "origin": "card"},
    )

    file: Annotated[FileName | None, NotNull] = None
    """The path of a file that the bridge has stored (`files`), or a `path` in
    `sd/files` or its long name (`display`). If it is left out and no file is selected,
    the command is rejected."""
    origin: Annotated[Origin | None, NotNull] = None
    """Where the file is: stored by the bridge (`local`), or on the SD `card`. By
    default, a stored file is looked for first."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M24``, behind the ``M23`` of a file that is named.

        Raises:
            RejectedError: There is no such file (``no_such_file``, 404), or none is
                selected (``no_file``, 409).

        """
        if self.origin == "local" and self.file is not None:
            raise _not_stored("job start", self.file)
        if self.file is not None:
            return Program((select_line(self.file, context, "job start"), "M24"))
        if context.file is None:
            raise RejectedError.conflict(
                "job start: no file is selected; name one, or select one with "
                "job select or at the printer",
                "no_file",
            )
        return Program(("M24",))


class Reprint(_CardFile):
    """Print the file of the last print again; `job/result` shows which one it is."""

    name: ClassVar[str] = "reprint"

    def program(self, context: Context, /) -> Program:
        """Return the ``M23`` and the ``M24``.

        Raises:
            RejectedError: Nothing was printed yet (``no_file``, 409), its file is gone
                (``no_such_file``, 404), or it was not on the card (``not_supported``).

        """
        if context.last_print is None:
            raise RejectedError.conflict(
                "job reprint: the bridge knows of no print that has ended", "no_file"
            )
        origin, file = context.last_print
        if origin != "card":
            raise RejectedError.conflict(
                f"job reprint: {file} was not printed from the card; start it by name",
                "not_supported",
            )
        return Program((select_line(file, context, "job reprint"), "M24"))


def _not_stored(what: str, file: str) -> RejectedError:
    return RejectedError(
        f'{what}: the bridge has stored no file "{file}"',
        error="no_such_file",
        code=404,
    )


def select_line(name: str, context: Context, what: str) -> str:
    """Return the ``M23`` that selects a file on the card.

    Args:
        name: its path, in either case, or its long name.
        context: the printer; if its list of files is known, the file must be in it.
        what: the command, for the error.

    Raises:
        RejectedError: The file is not in the list (404), or no line can name it (400).

    """
    path = name
    if context.files is not None:
        found = find_file(name, context.files)
        if found is None:
            names = [file.display or file.path for file in context.files]
            close = likeliest(name, names)
            hint = f'did you mean "{close}"? ' if close else ""
            raise RejectedError(
                f'{what}: there is no file "{name}" on the card; {hint}sd/files lists '
                "them, and sd refresh reads the list again",
                error="no_such_file",
                code=404,
            )
        path = found.path
    if context.dialect.lower_case_names:
        path = path.lower()
    return gcode_lines.clean(f"M23 {path}", context, what).text


def find_file(name: str, files: Sequence[FileEntry]) -> FileEntry | None:
    """Return the file with this path, in either case, or else with this long name.

    Firmwares mind neither the case nor a leading slash.
    """
    wanted = name.lstrip("/").lower()
    for file in files:
        if file.path.lstrip("/").lower() == wanted:
            return file
    return next((file for file in files if file.display == name), None)


class Restart(Command):
    """Restart a paused print from its first line."""

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "restart"
    needs_print: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the lines that rewind the file and print it.

        Raises:
            RejectedError: The print is not paused (409).

        """
        if context.phase not in {"idle", "paused"}:
            raise RejectedError.conflict(
                "job restart: only a paused print can be restarted; pause it first",
                "printing",
            )
        return Program(("M26 S0", "M24"))


class Pause(Command):
    """Pause the print. If it is already paused, nothing is sent.

    A print from the bridge's files finishes its moves, and the head stands where it is
    unless the script `afterPrintPaused` moves it.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "pause"
    needs_print: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({}, {"at": "layer"})

    at: Literal["now", "layer"] = "now"
    """When: `now`, or when the next `layer` begins, which is possible only for a print
    from the bridge's files."""

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no lines.

        Raises:
            RejectedError: The bridge does not know the layers of the print (409).

        """
        if self.at == "layer":
            return _of_card(context, "job pause: the layers are not known")
        done = context.phase in {"pausing", "paused"}
        return Program(() if done else context.dialect.pause)


class Resume(Command):
    """Resume a paused print. If it is not paused, nothing is sent.

    If the printer waits for somebody to press its button, as during a filament change,
    that wait is ended instead.

    Heaters that went off during the pause are heated first, and waited for, even if
    somebody turned them off.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "resume"
    needs_print: ClassVar[bool] = True
    ends_wait: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return the firmware's lines for it, or no lines.

        Raises:
            RejectedError: The printer waits for a person, and cannot be released (409).

        """
        if released := releasing(context, "job resume"):
            return Program(released, urgent=True, warnings=_not_sure(context))
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
        return Program(lines, release=releasing(context, "job cancel"))


class Recover(Command):
    """Continue an interrupted print of one of the bridge's files.

    The print continues with the last layer that had certainly started. The bridge
    heats, raises the nozzle, homes X and Y, restores what the file and people have set
    (accelerations, pressure advance, speed and flow factors, fans), purges away from
    the part, and continues. Z is not homed, because the part is in the way. A mesh that
    the file has measured (`G29`) is therefore lost, unless the file loads it
    (`M420 S1`). With `dry_run`, the response has the lines that would be sent. The
    command is rejected if it is not safe; the message says why.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "recover"
    needs_no_print: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {},
        {"layer": 41, "z": 8.2},
        {"planned": True},
    )

    layer: Annotated[int | None, Field(ge=1, le=1_000_000), NotNull] = None
    """The layer to begin with, counted from 1. An earlier one than by default is only
    for a part whose last layers are missing: the nozzle goes down to its height."""
    z: Annotated[Finite | None, Field(ge=0, le=10_000), NotNull] = None
    """The nozzle's height above the bed in mm, if it was measured. It is needed if the
    nozzle moved up or down just before the print was interrupted, or has been moved
    since."""
    planned: bool = False
    """Execute exactly the plan in `recovery` of `state`. It is rejected if the plan was
    made more than 15 minutes ago, or would be different now."""

    @model_validator(mode="after")
    def _plan_has_all(self) -> "Recover":
        if self.planned and not (self.layer is None and self.z is None):
            raise ValueError("planned goes with neither layer nor z: the plan has them")
        return self

    def program(self, _context: Context, /) -> Program:
        """Return no lines, because the bridge itself acts on it."""
        return Program()


class PlanRecovery(Command):
    """Plan how an interrupted print could continue; nothing is sent to the printer.

    `recovery` in `state` then has the layer, the height at which the nozzle must be,
    and the lines that would be sent, or it says why the print cannot continue. Before
    you send `recover` with `planned`, check at the printer that the part still sticks
    to the bed, that nothing is in the way, and that nobody has turned the Z axis.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "plan_recovery"
    needs_no_print: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({}, {"layer": 41, "z": 8.2})

    layer: Annotated[int | None, Field(ge=1, le=1_000_000), NotNull] = None
    """As for `recover`."""
    z: Annotated[Finite | None, Field(ge=0, le=10_000), NotNull] = None
    """As for `recover`."""

    def program(self, _context: Context, /) -> Program:
        """Return no lines, because the bridge itself acts on it."""
        return Program()


class Exclude(Command):
    """Stop printing one object of the print; the others are still printed.

    This works for prints from the bridge's files in which the slicer has labelled the
    objects; `job/state` lists them.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "exclude"
    needs_print: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"object": "cube.stl id:0 copy 0"},
    )

    object: Annotated[str, Field(min_length=1, max_length=300)]
    """The object's name."""

    def program(self, context: Context, /) -> Program:
        """Return no lines, because the bridge itself acts on it.

        Raises:
            RejectedError: The print comes from the card (409).

        """
        return _of_card(context, "job exclude: the objects are not known")


def _of_card(context: Context, problem: str) -> Program:
    """Refuse what needs a print that the bridge itself sends.

    Raises:
        RejectedError: A print from the card is under way.

    """
    if context.phase == "idle":
        return Program()
    raise RejectedError.conflict(
        f"{problem}, because it is printed from the card", "not_supported"
    )


class Answer(Command):
    """Press a button of the dialog that the printer shows; `state` has its `prompt`.

    It is executed before all queued commands. If the printer has reported no buttons,
    its own button is pressed.
    """

    topic: ClassVar[str] = "job"
    name: ClassVar[str] = "answer"
    first: ClassVar[bool] = True
    needs_question: ClassVar[bool] = True
    ends_wait: ClassVar[bool] = True
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
            where = f"the button {quoted(asked.buttons[self.choice])}"
            pressed = gcode_lines.clean(asked.commands[self.choice], context, where)
            return gcode_lines.program([pressed], context)
        line = f"M876 S{self.choice}" if asked.buttons else "M108"
        if asked.blocks:
            _check_parser(context, asked, "job answer")
            return Program((line,), urgent=True, warnings=_not_sure(context))
        return Program((line,))


def releasing(context: Context, what: str) -> tuple[str, ...]:
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


def _not_sure(context: Context) -> tuple[str, ...]:
    if context.introduced:
        return ()
    warning = (
        "the printer has not said yet whether it reads anything while it waits; if it "
        "keeps waiting, press its button"
    )
    return (warning,)


def _check_parser(context: Context, asked: Question, what: str) -> None:
    if context.introduced and "EMERGENCY_PARSER" not in context.capabilities:
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


COMMANDS = (
    *(Init, Refresh, Release),
    *(Select, Start, Reprint, Restart, Recover, PlanRecovery),
    *(Pause, Resume, Cancel, Exclude, Answer),
)
