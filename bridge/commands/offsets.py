"""Temperature offsets, which are added to all targets above 0 that the bridge sets."""

from collections.abc import Iterable

from bridge.commands.base import Context
from bridge.errors import RejectedError
from bridge.gcode import modal
from bridge.gcode.codes import Argument
from bridge.gcode.heating import HeaterTarget, targets
from bridge.gcode.line import Line, format_number, parse

_TARGETS = "SR"


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
        result.append(_adjusted(line, context, state.tool, where))
        state = modal.track(state, line)
    return tuple(result)


def _adjusted(line: Line, context: Context, selected: int, where: str) -> Line:
    row = line.row
    if not row.target or row.lists or row.argument is Argument.NAMES:
        return line
    field = f"{where}, {line}"
    offset = {
        target.letter: adjusted(context, _name(target, selected), target.celsius, field)
        for target in targets(line)
        if target.letter in _TARGETS
    }
    words = [
        letter + (format_number(offset[letter]) if letter in offset else number)
        for letter, number in line.parameters
    ]
    return parse(" ".join([line.code, *words]), context.dialect.name)


def _name(target: HeaterTarget, selected: int) -> str:
    if target.heater != "tool":
        return target.heater
    return f"tool{selected if target.tool is None else target.tool}"
