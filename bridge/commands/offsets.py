"""Temperature offsets, which are added to all targets above 0 that the bridge sets."""

from collections.abc import Iterable

from bridge.commands.base import Context
from bridge.commands.gcode_lines import pairs
from bridge.errors import RejectedError
from bridge.gcode import modal, words
from bridge.gcode.words import format_number

_HEATERS = {
    "M104": "tool",
    "M109": "tool",
    "M140": "bed",
    "M190": "bed",
    "M141": "chamber",
    "M191": "chamber",
}
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


def with_offsets(lines: Iterable[str], context: Context, where: str) -> tuple[str, ...]:
    """Return clean lines with offsets added in M104, M109, M140, M190, M141 and M191.

    Args:
        lines: the lines without offsets.
        context: the offsets, and the tool that is selected before the first line.
        where: the origin of the lines, for error messages.

    Raises:
        RejectedError: A target plus its offset is below 0.

    """
    result: list[str] = []
    state = context.modal
    for line in lines:
        result.append(_adjusted(line, context, state.tool, where))
        state = modal.track(state, line)
    return tuple(result)


def _adjusted(line: str, context: Context, selected: int, where: str) -> str:
    code = words.parse(line).code
    parameters = pairs(line)
    if code not in _HEATERS or parameters is None:
        return line
    heater = _HEATERS[code]
    if heater == "tool":
        named = dict(parameters).get("T")
        heater += str(int(float(named)) if named else selected)
    said = [code]
    for letter, text in parameters:
        value = text
        if letter in _TARGETS and text:
            field = f"{where}, {line}"
            value = format_number(adjusted(context, heater, float(text), field))
        said.append(letter + value)
    return " ".join(said)
