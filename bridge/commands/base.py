"""What every command has in common.

A command is declared in one class: its payload, validation, JSON schema, documentation
and translation to G-code. To add one, add a class to its topic's module and name it in
that module's ``COMMANDS``.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import BeforeValidator, ConfigDict, Field

from bridge.config import Profile
from bridge.field_docs import DocumentedModel
from bridge.gcode.dialects import MARLIN, Dialect
from bridge.gcode.modal import Modal

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A JSON number; booleans, NaN and infinities are refused."""

Tier = Literal["read", "safe", "control", "raw"]
"""What a topic is a permission for, as `rights` in the configuration has it."""


def refuse_null(value: object) -> object:
    """Refuse a field that is there and says nothing: it may be left out instead.

    Raises:
        ValueError: It is ``None``.

    """
    if value is None:
        raise ValueError("must not be null; leave it out instead")
    return value


NotNull = BeforeValidator(refuse_null)
"""For a field that may be absent but not ``null``."""


class ScriptLibrary(Protocol):
    """The G-code scripts of one printer."""

    def render(self, name: str, variables: Mapping[str, object]) -> tuple[str, ...]:
        """Return a script's lines of G-code, without comments and blank lines.

        Raises:
            RejectedError: There is no such script (404), or it cannot be rendered.

        """

    def has(self, name: str) -> bool:
        """Return whether there is a script of this name."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all scripts that can be run, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a command may know about its printer when it is translated.

    Attributes:
        profile: what the machine is.
        dialect: how its firmware speaks.
        modal: the modal state to give back.
        offsets: °C by heater (``tool0``, ``bed``, ``chamber``), added to targets.
        capabilities: what the firmware says it can do (``EXTENDED_M20``, …).
        card_ready: an SD card is mounted; ``None``: not known.
        phase: what the print does (``printing``, ``paused``, …); ``idle`` without one.
        variables: returns what scripts may read beside these.
        scripts: the printer's scripts; ``None``: it has none.

    """

    profile: Profile = field(default_factory=Profile)
    dialect: Dialect = MARLIN
    modal: Modal = field(default_factory=Modal)
    offsets: Mapping[str, float] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    card_ready: bool | None = None
    phase: str = "idle"
    variables: Callable[[], Mapping[str, object]] = dict
    scripts: ScriptLibrary | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """What a command becomes.

    Attributes:
        lines: sent one by one, each after the ``ok`` of the one before; the first that
            fails ends the program.
        restore: sent after them in any case, so that the machine is left as it was.
        offsets: heater offsets to keep, in °C; nothing is sent for them.
        emergency: the line is ``M112``: it goes out bare, at once, past every queue,
            whatever the printer is doing, and is not gated.
        urgent: all lines are such as the firmware's emergency parser sees early
            (``M108``, ``M410``, ``M876``): they go out bare, at once, past the queue.

    """

    lines: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    offsets: Mapping[str, float] = field(default_factory=dict)
    emergency: bool = False
    urgent: bool = False

    @property
    def gcode(self) -> tuple[str, ...]:
        """All lines in the order in which they are sent, as the response shows them."""
        return self.lines + self.restore


class Command(DocumentedModel):
    """A payload on one of the command topics, without its envelope."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    topic: ClassVar[str]
    """What follows the printer's base topic, such as ``head`` or ``request/state``."""
    name: ClassVar[str]
    """How the payload's ``command`` and the response call it."""
    tier: ClassVar[Tier] = "control"
    """Which of the operator's rights it needs."""
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ()
    """Payloads for the documentation, without ``command``."""
    first: ClassVar[bool] = False
    """It goes before all that waits."""
    needs_operational: ClassVar[bool] = True
    """It is refused while the printer is not there."""
    needs_idle: ClassVar[bool] = False
    """It is refused while a print is under way (but not while it is paused)."""
    needs_no_print: ClassVar[bool] = False
    """It is refused while a print is under way or paused."""
    needs_bed: ClassVar[bool] = False
    """It is refused for a printer without a heated bed."""
    needs_chamber: ClassVar[bool] = False
    """It is refused for a printer without a heated chamber."""
    needs_card: ClassVar[bool] = False
    """It is refused while no SD card is mounted."""
    needs_print: ClassVar[bool] = False
    """It is refused without a print, under way or paused."""
    needs_file: ClassVar[bool] = False
    """It is refused while no file is selected."""

    @abstractmethod
    def program(self, context: Context, /) -> Program:
        """Return the G-code.

        Raises:
            RejectedError: The printer as it is cannot do this.

        """
