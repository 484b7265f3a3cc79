"""Tools, bed and chamber: targets, offsets, tool selection, extrusion, flow factor."""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bridge.commands.base import Command, Context, Finite, NotNull, Program
from bridge.commands.head import restoring_modes
from bridge.commands.values import (
    Distance,
    Distinct,
    FactorOrPercent,
    Offset,
    Speed,
    Target,
    Tool,
    ToolOrCurrent,
    tool_number,
)
from bridge.errors import RejectedError
from bridge.gcode import modal
from bridge.gcode.codes import Argument
from bridge.gcode.heating import HeaterTarget, targets
from bridge.gcode.line import Line, format_number, parse
from bridge.validation_errors import nearest

_MOST_TOOLS = 17  # targets in one command: 16 tools, as `profile.extruders`, and `tool`
_LONGEST_HOLD = 604_800  # seconds; a week

_Hold = Annotated[Finite, Field(gt=0, le=_LONGEST_HOLD)]

# The code that sets a target, and the one that sets it and waits.
_SET = {"bed": "M140", "chamber": "M141"}
_WAIT = {"M104": "M109", "M140": "M190", "M141": "M191"}


def target_lines(
    targets: Mapping[str, float], context: Context, *, wait: bool = False
) -> tuple[str, ...]:
    """Return the lines that set targets as they are, without offsets.

    Args:
        targets: °C by heater.
        context: the printer.
        wait: also wait until the heaters are that hot, the slowest ones first.

    Raises:
        RejectedError: The printer has no such tool.

    """
    lines = []
    for heater in sorted(targets):  # the bed and the chamber, then the tools
        value = f"S{format_number(targets[heater])}"
        code = _SET.get(heater, "M104")
        if code == "M104":
            index = tool_number(heater, context, f"targets.{heater}")
            profile = context.profile
            alone = profile.extruders == 1 or profile.shared_nozzle
            value = value if alone else f"T{index} {value}"
        if f"{code} {value}" not in lines:
            lines.append(f"{code} {value}")
    return (*lines, *(_WAIT[x[:4]] + x[4:] for x in lines if wait))


class OwnTargets(Command):
    """Set targets on the bridge's own initiative; no client can send this."""

    topic: ClassVar[str] = "heaters"
    name: ClassVar[str] = "target"

    targets: dict[str, float]
    """°C by heater, as they are: offsets are part of them."""

    def program(self, context: Context, /) -> Program:
        """Return one line for each heater."""
        return Program(target_lines(self.targets, context))


class ToolTarget(Command):
    """Set the target temperatures of hotends, without waiting for them."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "target"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"targets": {"tool0": 220, "tool1": 205}},
        {"targets": {"tool": 0}},
        {"targets": {"tool0": 200}, "hold": 1800},
    )

    targets: Annotated[
        dict[ToolOrCurrent, Target],
        Field(
            min_length=1,
            max_length=_MOST_TOOLS,
            json_schema_extra={"additionalProperties": False},
        ),
        Distinct,
    ]
    """°C by tool: `tool0`, `tool1`, …, or `tool` for the selected one; 0 turns the
    heater off."""
    hold: Annotated[_Hold | None, NotNull] = None
    """Seconds after which the bridge turns these heaters off, unless a later command
    renews it; also after a restart. A print that is under way by then takes over."""

    def program(self, context: Context, /) -> Program:
        """Return one ``M104`` for each tool, in the order of the payload."""
        return Program(
            tuple(
                self._line(context, tool, self.targets[tool]) for tool in self.targets
            )
        )

    def _line(self, context: Context, tool: str, target: float) -> str:
        where = f"targets.{tool}"
        index = tool_number(tool, context, where)
        value = adjusted(context, f"tool{index}", target, where)
        profile = context.profile
        if tool == "tool" or profile.extruders == 1 or profile.shared_nozzle:
            return f"M104 S{format_number(value)}"
        return f"M104 T{index} S{format_number(value)}"


class ToolOffset(Command):
    """Set the offsets of the hotends' targets. Nothing is sent to the printer."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "offset"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"offsets": {"tool0": 10, "tool1": -5}},
    )

    offsets: Annotated[
        dict[Tool, Offset],
        Field(
            min_length=1,
            max_length=_MOST_TOOLS,
            json_schema_extra={"additionalProperties": False},
        ),
        Distinct,
    ]
    """°C by tool, -50 to 50; the offsets of other heaters do not change."""

    def program(self, context: Context, /) -> Program:
        """Return the new offsets, and no lines."""
        for tool in self.offsets:
            tool_number(tool, context, f"offsets.{tool}")
        return Program(offsets=self.offsets)


class SelectTool(Command):
    """Select a tool."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "select"
    needs_idle: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"tool": "tool1"},)

    tool: Tool
    """`tool0`, `tool1`, …"""

    def program(self, context: Context, /) -> Program:
        """Return the ``T``."""
        return Program((f"T{tool_number(self.tool, context, 'tool')}",))


class Extrude(Command):
    """Extrude filament with the selected tool, or retract it."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "extrude"
    needs_idle: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"amount": 5},
        {"amount": -3, "speed": 200},
    )

    amount: Distance
    """Length in mm; a negative length retracts."""
    speed: Speed | None = None
    """Feedrate in mm/min; the profile's `speeds.e` is both the default and the
    maximum."""

    def program(self, context: Context, /) -> Program:
        """Return ``G91``, ``M83``, the ``G1``, and what restores the modes."""
        slowest = context.profile.speeds.e
        speed = slowest if self.speed is None else min(self.speed, slowest)
        move = f"G1 E{format_number(self.amount)} F{format_number(speed)}"
        return restoring_modes(context, ("G91", "M83", move), "G1")


class ExtrudeStep(Command):
    """Extrude or retract the length that `extrude_length` has set. For buttons."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "extrude_step"
    needs_idle: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"direction": 1},)

    direction: Literal[-1, 1]
    """1 extrudes, -1 retracts."""

    def program(self, context: Context, /) -> Program:
        """Return what `extrude` does."""
        amount = self.direction * context.accessories.extrude_length
        return Extrude(amount=amount).program(context)


class ExtrudeLength(Command):
    """Set how much `extrude_step` extrudes. Nothing is sent to the printer."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "extrude_length"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"length": 10},)

    length: Annotated[Finite, Field(gt=0, le=1000)]
    """In mm; 5 when the bridge starts."""

    def program(self, _context: Context, /) -> Program:
        """Return the choice, and no lines."""
        return Program(choices={"extrude_length": self.length})


class UsePreset(Command):
    """Set the temperatures of a preset, without waiting for them."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "preset"
    needs_idle: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"preset": "PLA"},)

    preset: Annotated[str, Field(min_length=1, max_length=40)]
    """Its name in `printers.presets`."""

    def program(self, context: Context, /) -> Program:
        """Return one line for each heater that the preset names.

        Raises:
            RejectedError: There is no such preset (404).

        """
        preset = context.presets.get(self.preset)
        if preset is None:
            raise RejectedError(
                f'tool preset: there is no preset "{self.preset}"'
                f"{nearest(self.preset, context.presets)}; printers.presets lists them",
                error="unknown_preset",
                code=404,
            )
        tool = 0 if context.profile.shared_nozzle else context.modal.tool
        given = {
            f"tool{tool}": preset.tool,
            "bed": preset.bed,
            "chamber": preset.chamber,
        }
        targets = {
            heater: adjusted(context, heater, target, f"{self.preset}.{heater}")
            for heater, target in given.items()
            if target is not None
        }
        return Program(target_lines(targets, context))


class Flowrate(FactorOrPercent):
    """Set the flow factor of the selected tool, including that of a running print."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "flowrate"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"factor": 95},
        {"factor": 0.95},
        {"percent": 95},
    )

    def program(self, _context: Context, /) -> Program:
        """Return the ``M221``."""
        return Program((f"M221 S{self.whole_percent}",))


class CoolDown(Command):
    """Turn off all heaters: hotends, bed and chamber."""

    topic: ClassVar[str] = "tool"
    name: ClassVar[str] = "cool_down"
    needs_idle: ClassVar[bool] = True

    def program(self, context: Context, /) -> Program:
        """Return an ``M104`` for each hotend, and the ``M140`` and ``M141``."""
        profile = context.profile
        if profile.extruders == 1 or profile.shared_nozzle:
            lines = ["M104 S0"]
        else:
            lines = [f"M104 T{index} S0" for index in range(profile.extruders)]
        lines += ["M140 S0"] if profile.heated_bed else []
        lines += ["M141 S0"] if profile.heated_chamber else []
        return Program(tuple(lines))


class BedTarget(Command):
    """Set the bed's target temperature, without waiting for it."""

    topic: ClassVar[str] = "bed"
    name: ClassVar[str] = "target"
    needs_bed: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"target": 75},
        {"target": 60, "hold": 600},
    )

    target: Target
    """°C; 0 turns the heater off."""
    hold: Annotated[_Hold | None, NotNull] = None
    """Seconds after which the bridge turns the bed off, unless a later command
    renews it; also after a restart. A print that is under way by then takes over."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M140``."""
        value = adjusted(context, "bed", self.target, "target")
        return Program((f"M140 S{format_number(value)}",))


class BedOffset(Command):
    """Set the offset of the bed's targets. Nothing is sent to the printer."""

    topic: ClassVar[str] = "bed"
    name: ClassVar[str] = "offset"
    needs_bed: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"offset": -5},)

    offset: Offset
    """Offset in °C."""

    def program(self, _context: Context, /) -> Program:
        """Return the new offset, and no lines."""
        return Program(offsets={"bed": self.offset})


class ChamberTarget(Command):
    """Set the chamber's target temperature, without waiting for it."""

    topic: ClassVar[str] = "chamber"
    name: ClassVar[str] = "target"
    needs_chamber: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"target": 50},)

    target: Target
    """°C; 0 turns the heater off."""
    hold: Annotated[_Hold | None, NotNull] = None
    """Seconds after which the bridge turns the chamber off, unless a later command
    renews it; also after a restart. A print that is under way by then takes over."""

    def program(self, context: Context, /) -> Program:
        """Return the ``M141``."""
        value = adjusted(context, "chamber", self.target, "target")
        return Program((f"M141 S{format_number(value)}",))


class ChamberOffset(Command):
    """Set the offset of the chamber's targets. Nothing is sent to the printer."""

    topic: ClassVar[str] = "chamber"
    name: ClassVar[str] = "offset"
    needs_chamber: ClassVar[bool] = True
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ({"offset": 5},)

    offset: Offset
    """Offset in °C."""

    def program(self, _context: Context, /) -> Program:
        """Return the new offset, and no lines."""
        return Program(offsets={"chamber": self.offset})


COMMANDS = (
    ToolTarget,
    ToolOffset,
    SelectTool,
    Extrude,
    ExtrudeStep,
    ExtrudeLength,
    UsePreset,
    Flowrate,
    CoolDown,
    BedTarget,
    BedOffset,
    ChamberTarget,
    ChamberOffset,
)


_OFFSET_LETTERS = "SR"


def adjusted(context: Context, heater: str, target: float, field: str) -> float:
    """Return a target plus its heater's offset, in °C; 0 and below (off) do not change.

    Raises:
        RejectedError: The sum is below 0.

    """
    if target <= 0 or context.profile.apply_offsets != "always":
        return target
    offset = context.offsets.get(heater, 0.0)
    if target + offset < 0:
        raise RejectedError.invalid(
            f"{field}: {format_number(target)} °C plus the offset of {heater}, "
            f"{format_number(offset)} °C, is below 0; use 0 to turn the heater off",
            error="out_of_limits",
        )
    return target + offset


def with_offsets(
    lines: Iterable[Line], context: Context, where: str
) -> tuple[Line, ...]:
    """Return clean lines with offsets added in M104, M109, M140, M190, M141 and M191.

    Args:
        lines: the lines without offsets.
        context: the offsets, and the tool that is selected before the first line.
        where: the origin of the lines, for error messages.

    Raises:
        RejectedError: A target plus its offset is below 0.

    """
    result: list[Line] = []
    state = context.modal
    for line in lines:
        result.append(_with_offset(line, context, state.tool, where))
        state = modal.track(state, line)
    return tuple(result)


def _with_offset(line: Line, context: Context, selected: int, where: str) -> Line:
    row = line.row
    if not row.target or row.lists or row.argument is Argument.NAMES:
        return line
    field = f"{where}, {line}"
    offset = {
        target.letter: adjusted(
            context, _heater(target, selected), target.celsius, field
        )
        for target in targets(line)
        if target.letter in _OFFSET_LETTERS
    }
    words = [
        letter + (format_number(offset[letter]) if letter in offset else number)
        for letter, number in line.parameters
    ]
    return parse(" ".join([line.code, *words]), context.dialect.name)


def _heater(target: HeaterTarget, selected: int) -> str:
    if target.heater != "tool":
        return target.heater
    return f"tool{selected if target.tool is None else target.tool}"
