"""What every command has in common.

A command is declared in one class: its payload, validation, JSON schema, documentation
and translation to G-code. To add one, add a class to its topic's module.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from bridge.config import Profile
from bridge.gcode.dialects import MARLIN, Dialect
from bridge.gcode.modal import Modal

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A JSON number; booleans, NaN and infinities are refused."""


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
        variables: what scripts may read beside these.

    """

    profile: Profile = field(default_factory=Profile)
    dialect: Dialect = MARLIN
    modal: Modal = field(default_factory=Modal)
    offsets: Mapping[str, float] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    card_ready: bool | None = None
    variables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """What a command becomes.

    Attributes:
        lines: sent one by one, each after the ``ok`` of the one before; the first that
            fails ends the program.
        restore: sent after them in any case, so that the machine is left as it was.
        offsets: heater offsets to keep, in °C; nothing is sent for them.

    """

    lines: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    offsets: Mapping[str, float] = field(default_factory=dict)


class Command(BaseModel):
    """A payload on one of the command topics, without its envelope."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    topic: ClassVar[str]
    """The last level of the topic it arrives on."""
    needs_idle: ClassVar[bool] = False
    """It is refused while a print is under way (but not while it is paused)."""
    needs_bed: ClassVar[bool] = False
    """It is refused for a printer without a heated bed."""
    needs_chamber: ClassVar[bool] = False
    """It is refused for a printer without a heated chamber."""

    @abstractmethod
    def program(self, context: Context) -> Program:
        """Return the G-code.

        Raises:
            RejectedError: The printer as it is cannot do this.

        """
