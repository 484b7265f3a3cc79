"""Which temperatures a line sets, and of which heaters."""

import re
from dataclasses import dataclass

from bridge.gcode.codes import Argument
from bridge.gcode.line import Line


@dataclass(frozen=True, slots=True)
class HeaterTarget:
    """A temperature that a line sets.

    Attributes:
        heater: ``tool``, ``bed``, ``chamber``; ``any`` where that is not clear.
        tool: the tool's number, if the line names one.
        celsius: the temperature.
        letter: the letter, or name, that it stands after.

    """

    heater: str
    tool: int | None
    celsius: float
    letter: str


def targets(line: Line) -> tuple[HeaterTarget, ...]:
    """Return the target temperatures that a line sets, one for each number."""
    row = line.row
    if not row.heats:
        return ()
    found = []
    for letter, numbers in line.parameters:
        for heater in [heater for key, heater in row.heats if key == letter]:
            found += [
                HeaterTarget(*_heater(line, heater), float(number), letter)
                for number in numbers.split(":")
                if number
            ]
    return tuple(found)


def _heater(line: Line, heater: str) -> tuple[str, int | None]:
    row, tool = line.row, None
    if row.tool and (named := line.values.get(row.tool)) is not None:
        tool = int(named)
    if row.selector is None:
        return heater, tool
    letter = row.selector.letter
    if row.argument is Argument.NAMES:
        return _named_heater(dict(line.parameters).get(letter, ""))
    if not letter:
        return row.selector.other, tool
    number = line.values.get(letter, _NOTHING)
    if number is _NOTHING:
        return heater, tool
    chosen = row.selector.heater(number or 0.0)
    return chosen, int(number or 0.0) if chosen == "tool" else None


_NOTHING = float("nan")


def _named_heater(name: str) -> tuple[str, int | None]:
    """Return which heater a Klipper name stands for.

    Only the names of tools are fixed (``extruder``, ``extruder1``); others are those of
    ``[heater_generic]`` sections (https://www.klipper3d.org/Config_Reference.html).
    """
    name = name.lower()
    if match := re.fullmatch(r"extruder(\d*)", name):
        return "tool", int(match[1] or 0)
    for part in ("bed", "chamber"):
        if part in name:
            return part, None
    return "any", None
