"""Heater targets in lines of G-code, wherever they come from, and their limits."""

import re
from collections.abc import Sequence

from bridge.commands.values import no_such_tool
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode import words
from bridge.gcode.codec import number

Pairs = Sequence[tuple[str, str]]

_HEATERS = {
    "M104": "tool",
    "M109": "tool",
    "M140": "bed",
    "M190": "bed",
    "M141": "chamber",
    "M191": "chamber",
    "M568": "tool",
}
_TUNING = "M303"
_TOOL_TABLE = "G10"
_MACRO = "SET_HEATER_TEMPERATURE"

_OF_A_TOOL = {"M104", "M105", "M109", "M221"}  # for a missing tool some never answer

CODES = frozenset({*_HEATERS, *_OF_A_TOOL, _TUNING})
"""Codes whose parameters must be nothing but letters with numbers."""

_ABSOLUTE_ZERO = -273.15
_ARGUMENT = re.compile(r"\b(HEATER|TARGET)\s*=\s*(\S+)", re.ASCII | re.IGNORECASE)


def check(line: str, parameters: Pairs, profile: Profile) -> None:
    """Refuse a line that heats more than the profile allows, or what is not there.

    Raises:
        RejectedError: ``out_of_limits``, ``no_such_tool``, ``no_heated_bed`` or
            ``no_heated_chamber``.

    """
    code = words.parse(line).code
    _check_tool(line, code, parameters, profile)
    if code == _MACRO:
        _check_macro(line, profile)
        return
    heater = _heater(code, parameters)
    if heater is None:
        return
    # S and R are targets; B is the highest one where the hotend follows the flow.
    letters = "SRB" if heater == "tool" else "SR"
    for letter, text in parameters:
        if letter in letters and text:
            _check_target(line, heater, float(text), profile)


def _heater(code: str, parameters: Pairs) -> str | None:
    letters = dict(parameters)
    if code == _TUNING:
        which = float(letters.get("E") or 0)
        return {-1.0: "bed", -2.0: "chamber"}.get(which, "tool")
    if code == _TOOL_TABLE:
        return "tool" if "P" in letters else None
    return _HEATERS.get(code)


def _check_tool(line: str, code: str, parameters: Pairs, profile: Profile) -> None:
    wanted = [text for letter, text in parameters if letter == "T" and text]
    if code[:1] == "T" and code[1:].isdigit():
        wanted = [code[1:]]
    elif code not in _OF_A_TOOL:
        return
    for text in wanted:
        if not 0 <= float(text) < profile.extruders:
            raise no_such_tool(f"{line}: ", int(float(text)), profile.extruders)


def _check_macro(line: str, profile: Profile) -> None:
    arguments = {key.upper(): text for key, text in _ARGUMENT.findall(line)}
    name = arguments.get("HEATER", "").lower()
    heater = next((part for part in ("bed", "chamber") if part in name), "tool")
    try:
        target = float(arguments.get("TARGET", "0"))
    except ValueError:
        raise RejectedError.invalid(f"{line}: TARGET must be a number") from None
    _check_target(line, heater, target, profile)


def _check_target(line: str, heater: str, target: float, profile: Profile) -> None:
    highest: float = getattr(profile.max_temperature, heater)
    if not _ABSOLUTE_ZERO <= target <= highest:
        raise RejectedError.invalid(
            f"{line}: {number(target)} °C is beyond the {heater}'s limit of "
            f"{number(highest)} °C (profile.max_temperature.{heater})",
            error="out_of_limits",
        )
    if target > 0:
        check_heater(heater, profile)


def check_heater(heater: str, profile: Profile) -> None:
    """Refuse the bed or the chamber where the profile has none.

    Raises:
        RejectedError: ``no_heated_bed`` or ``no_heated_chamber``.

    """
    if heater == "bed" and not profile.heated_bed:
        raise RejectedError.conflict(
            "this printer has no heated bed (profile.heated_bed)", "no_heated_bed"
        )
    if heater == "chamber" and not profile.heated_chamber:
        raise RejectedError.conflict(
            "this printer has no heated chamber (profile.heated_chamber)",
            "no_heated_chamber",
        )
