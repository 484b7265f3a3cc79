"""What all commands have in common.

A command is one class that holds its payload, validation, JSON schema, documentation
and translation to G-code. To add one, add a class to the module of its topic and list
it in that module's ``COMMANDS``.
"""

from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Protocol, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field

from bridge.commands.accessories import Accessories
from bridge.config import Preset, Profile, UnknownCodes
from bridge.field_docs import DocumentedModel
from bridge.gcode.dialects import MARLIN, Dialect
from bridge.gcode.modal import Modal
from bridge.gcode.reply_types import FileEntry

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A JSON number; booleans, NaN and infinities are rejected."""

Tier = Literal["read", "safe", "control", "raw"]
"""The right that a topic needs: a key of `rights` in the configuration."""


def refuse_null(value: object) -> object:
    """Reject a field that is present but null.

    Raises:
        ValueError: The value is ``None``.

    """
    if value is None:
        raise ValueError("must not be null; leave it out instead")
    return value


NotNull = BeforeValidator(refuse_null)
"""For a field that may be absent, but not ``null``."""

Result = TypeVar("Result")

BETWEEN = 8
"""Lines between two interruptions; interrupting after each would cost a tenth more."""

Steps = Generator[None, None, Result]
"""A computation that may be interrupted at each ``yield``, and returns its result.

In this way, pure code plans a command of a thousand lines in slices, and the event loop
does its other work between them (docs/adr/0027).
"""


def completed(steps: Steps[Result]) -> Result:
    """Return the result of a computation, which is not interrupted."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


class ScriptLibrary(Protocol):
    """The G-code scripts of one printer."""

    def render(self, name: str, variables: Mapping[str, object]) -> tuple[str, ...]:
        """Return a script's lines of G-code, without blank lines and mere comments.

        Raises:
            RejectedError: The script does not exist (404) or cannot be rendered.

        """

    def has(self, name: str) -> bool:
        """Return whether there is a script of this name."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all scripts that can be run, sorted."""

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of those that need no right to send raw G-code."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the printer asks a person, or waits for.

    Attributes:
        text: the question, or ``""``.
        buttons: what is written on the buttons.
        commands: what each of them sends, where the buttons are commands.
        blocks: the printer executes nothing until it is answered.

    """

    text: str = ""
    buttons: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    blocks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a command can read about its printer when it is translated to G-code.

    Attributes:
        profile: the machine's size, heaters and limits.
        dialect: the firmware's command set and habits.
        modal: the modal state that the command has to restore.
        offsets: °C by heater (``tool0``, ``bed``, ``chamber``), added to targets.
        capabilities: the firmware's own report (``EXTENDED_M20``, …).
        card_ready: an SD card is mounted; ``None`` if that is unknown.
        refused: codes that the firmware has called unknown, such as ``M524``.
        question: what the printer asks a person, or waits for; ``None``: nothing.
        phase: the print's phase (``printing``, ``paused``, …); ``idle`` without one.
        file: the selected file on the card; ``None``: not known.
        last_print: origin and file of the last print; ``None``: there was none.
        files: the files on the card; ``None``: its list was not read.
        accessories: the fans, the light and the babysteps as they were set last.
        presets: the operator's presets of temperatures, by name.
        reheat: °C of the heaters that went off during the pause of a print, by name.
        variables: returns further variables for scripts.
        scripts: the printer's scripts; ``None`` if it has none.
        allowed: codes and names that are sent without a warning, although they are
            not in the table of codes or are refused otherwise.
        unknown_codes: what becomes of codes that are not in the table.
        introduced: the firmware has said what it is and what it can do. One that was
            busy when the port was opened has not said so yet.

    """

    profile: Profile = field(default_factory=Profile)
    dialect: Dialect = MARLIN
    modal: Modal = field(default_factory=Modal)
    offsets: Mapping[str, float] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    card_ready: bool | None = None
    refused: frozenset[str] = frozenset()
    question: Question | None = None
    phase: str = "idle"
    file: str | None = None
    last_print: tuple[str, str] | None = None
    files: tuple[FileEntry, ...] | None = None
    accessories: Accessories = field(default_factory=Accessories)
    presets: Mapping[str, Preset] = field(default_factory=dict)
    reheat: Mapping[str, float] = field(default_factory=dict)
    variables: Callable[[], Mapping[str, object]] = dict
    scripts: ScriptLibrary | None = None
    allowed: frozenset[str] = frozenset()
    unknown_codes: UnknownCodes = "send"
    introduced: bool = True


@dataclass(frozen=True, slots=True)
class Program:
    """The G-code of a command.

    Attributes:
        lines: sent one by one, each after the ``ok`` of the previous one; the first
            that fails ends the program.
        restore: always sent after the lines, to restore the machine's modal state.
        offsets: new heater offsets in °C; nothing is sent for them.
        choices: new values of what the bridge keeps for later commands, by the names of
            :class:`~bridge.commands.accessories.Accessories`; likewise.
        emergency: the line is ``M112``: it is sent at once, without a line number,
            before everything that is queued, and in every state of the printer.
        release: sent at once like an urgent line, before the others get their turn, to
            end the wait for a person that holds them up.
        urgent: the firmware's emergency parser acts on all of these lines while another
            command runs (``M108``, ``M410``, ``M876``): they are sent at once, without
            line numbers, before everything that is queued.
        warnings: what its sender should know although it did no harm.

    """

    lines: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    offsets: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, float] = field(default_factory=dict)
    emergency: bool = False
    urgent: bool = False
    warnings: tuple[str, ...] = ()
    release: tuple[str, ...] = ()

    @property
    def gcode(self) -> tuple[str, ...]:
        """All lines in the order in which they are sent; the response's ``gcode``."""
        return self.lines + self.restore


class Command(DocumentedModel):
    """A payload on one of the command topics, without its envelope."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    topic: ClassVar[str]
    """What follows the printer's base topic, such as ``head`` or ``request/state``."""
    name: ClassVar[str]
    """The value of ``command`` in the payload and in the response."""
    tier: ClassVar[Tier] = "control"
    """The right that it needs."""
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ()
    """Payloads for the documentation, without ``command``."""
    first: ClassVar[bool] = False
    """It is executed before all queued commands."""
    needs_operational: ClassVar[bool] = True
    """It is rejected while the printer is not connected."""
    needs_idle: ClassVar[bool] = False
    """It is rejected during a print, but not while the print is paused."""
    needs_no_print: ClassVar[bool] = False
    """It is rejected during a print, also while the print is paused."""
    needs_bed: ClassVar[bool] = False
    """It is rejected if the printer has no heated bed."""
    needs_chamber: ClassVar[bool] = False
    """It is rejected if the printer has no heated chamber."""
    needs_card: ClassVar[bool] = False
    """It is rejected while no SD card is mounted."""
    needs_print: ClassVar[bool] = False
    """It is rejected unless a print is running or paused."""
    needs_question: ClassVar[bool] = False
    """It is rejected unless the printer asks something, or waits for a person."""
    ends_wait: ClassVar[bool] = False
    """It is accepted whenever the printer waits for a person, even while the printer
    has not answered yet because of that, and without a print."""

    @property
    def line_count(self) -> int:
        """How many lines the payload lists; 1 for one that lists none."""
        return 1

    @property
    def stops(self) -> bool:
        """It is an emergency stop, as far as its payload shows; a script may be too."""
        return False

    @abstractmethod
    def program(self, context: Context, /) -> Program:
        """Return the G-code.

        Raises:
            RejectedError: The printer cannot do this, or not in its current state.

        """

    def steps(self, context: Context, /) -> Steps[Program]:
        """Return the G-code, as :meth:`program` does, with interruptions if it is long.

        Raises:
            RejectedError: As :meth:`program`.

        """
        yield from ()
        return self.program(context)
