"""Types of values that several commands have."""

import re
from math import floor
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from bridge.commands.base import Command, Context, Finite, NotNull
from bridge.errors import RejectedError

_LARGEST = 1_000_000  # of any number; no machine has more mm, mm/min or °C
_LARGEST_FACTOR = 10  # 1000 %

Distance = Annotated[Finite, Field(ge=-_LARGEST, le=_LARGEST)]
"""Millimetres; the printer's own limits are checked later (``out_of_limits``)."""

Target = Annotated[Finite, Field(ge=0, le=_LARGEST)]
"""A heater's target temperature in °C; 0 turns the heater off."""

Offset = Annotated[Finite, Field(ge=-50, le=50)]
"""An offset that is added to a heater's targets, in °C."""

Speed = Annotated[Finite, Field(ge=0.001, le=_LARGEST)]
"""A feedrate in mm/min."""


def _no_speed(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    return 0.0 if value is False else handler(value)


SpeedOrFalse = Annotated[
    Speed,
    WrapValidator(_no_speed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0.001, "maximum": _LARGEST},
                {"const": False},
                {"type": "null"},
            ]
        }
    ),
]
"""A feedrate in mm/min; ``false``, stored as 0, means a move without a feedrate."""


def _percent(value: float) -> int:
    percent = value
    if isinstance(value, float) and value <= _LARGEST_FACTOR:
        percent = value * 100
    if not 1 <= percent <= _LARGEST_FACTOR * 100:
        raise ValueError(
            f"is {percent:.12g} %, but must be 1 to {_LARGEST_FACTOR * 100} % "
            "(both 100 and 1.0 mean 100 %)"
        )
    return floor(percent + 0.5)


Factor = Annotated[
    Annotated[int, Field(strict=True)] | Finite,
    AfterValidator(_percent),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 1000}),
]
"""A factor, stored as whole percent.

An integer is a percentage (``105``). A number with a decimal point is a factor up to
10.0 (``1.05`` is 105 %, ``1.0`` is 100 %) and a percentage above (``87.5`` is 88 %).
"""


class FactorOrPercent(Command):
    """A command with a factor, in either of its two spellings."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["factor"]}, {"required": ["percent"]}]
        }
    )

    factor: Annotated[Factor | None, NotNull] = None
    """1 to 1000 %. An integer is a percentage. A number with a decimal point is a
    factor up to 10.0 (1.05 is 105 %) and a percentage above that. Programs that write
    1.0 as `1`, such as JavaScript, should send `percent` instead."""
    percent: Annotated[Finite | None, Field(ge=1, le=1000), NotNull] = None
    """The same in percent, whichever way the number is written; either this or
    `factor` is required."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.factor is None) == (self.percent is None):
            raise ValueError(
                "exactly one of factor and percent is required; for example "
                '"percent": 80'
            )
        return self

    @property
    def whole_percent(self) -> int:
        """The factor in whole percent, as firmwares read it."""
        if self.percent is None:
            return int(self.factor or 0)
        return floor(self.percent + 0.5)


_TOOL = re.compile(r"tool(\d{1,3})", re.ASCII)


def _no_number(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if is_number:
        raise ValueError(
            f'must be a text in quotation marks, not {value}; write "tool{value}"'
        )
    return value


def _tool(value: str) -> str:
    match = _TOOL.fullmatch(value)
    if not match:
        raise ValueError(f'must be tool0, tool1, …, not "{value[:40]}"')
    return f"tool{int(match[1])}"


def _tool_or_current(value: str) -> str:
    return value if value == "tool" else _tool(value)


_TOOL_SCHEMA = {"type": "string", "pattern": r"^tool\d{1,3}$"}
_CURRENT_SCHEMA = {"type": "string", "pattern": r"^tool\d{0,3}$"}

Tool = Annotated[
    str,
    BeforeValidator(_no_number),
    AfterValidator(_tool),
    WithJsonSchema(_TOOL_SCHEMA),
]
"""A tool by its number: ``tool0``, ``tool1``, …"""

ToolOrCurrent = Annotated[
    str, AfterValidator(_tool_or_current), WithJsonSchema(_CURRENT_SCHEMA)
]
"""A tool, or ``tool`` for the one that is selected."""


def _distinct(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    result: object = handler(value)
    if (
        isinstance(value, dict)
        and isinstance(result, dict)
        and len(result) < len(value)
    ):
        raise ValueError("contains the same tool twice, as in tool1 and tool01")
    return result


Distinct = WrapValidator(_distinct)
"""For an object whose keys are tools: each may occur only once."""


def tool_number(tool: str, context: Context, field: str) -> int:
    """Return a tool's number; ``tool`` is the selected one.

    Raises:
        RejectedError: The printer has no such tool.

    """
    if tool == "tool":
        return context.modal.tool
    number = int(tool.removeprefix("tool"))
    if number >= context.profile.extruders:
        raise no_such_tool(f"{field}: ", number, context.profile.extruders)
    return number


def no_such_tool(where: str, number: int, extruders: int) -> RejectedError:
    """Return the error of a tool that the printer does not have, by its profile."""
    has = "only tool0" if extruders == 1 else f"tool0 to tool{extruders - 1}"
    return RejectedError.invalid(
        f"{where}there is no tool{number}; the printer has {has} (profile.extruders)",
        error="no_such_tool",
    )
