"""Heater targets in lines of G-code, wherever they come from, and their limits."""

import re
from collections.abc import Mapping, Sequence

from bridge.commands.values import no_such_tool
from bridge.config import Profile
from bridge.errors import RejectedError
from bridge.gcode import words
from bridge.gcode.words import format_number

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
_PRESETS = "M145"
_PRESET = {"H": "tool", "B": "bed", "C": "chamber"}
_UNIT, _CELSIUS = "M149", [("C", "")]
# Klipper's extended commands that heat (https://www.klipper3d.org/G-Codes.html).
_MACROS = {"SET_HEATER_TEMPERATURE", "PID_CALIBRATE", "MPC_CALIBRATE"}

_OF_A_TOOL = {"M104", "M105", "M109", "M221"}
"""Codes with a tool after ``T``; for a tool that is missing, some firmwares never
answer."""

CODES = frozenset({*_HEATERS, *_OF_A_TOOL, _TUNING, _TOOL_TABLE, _PRESETS})
"""Codes whose parameters must be nothing but letters with numbers."""

_ABSOLUTE_ZERO = -273.15
_ARGUMENT = re.compile(r'\s+(\w+)=([\w.+-]+|"[\w .+-]*")', re.ASCII)


def check(line: str, parameters: Pairs, profile: Profile) -> None:
    """Refuse a line that heats beyond a limit, or a heater that is not there.

    Raises:
        RejectedError: ``out_of_limits``, ``no_such_tool``, ``no_heated_bed`` or
            ``no_heated_chamber``; ``blocked``: it changes the unit of all that follows.

    """
    code = words.parse(line).code
    if code == _UNIT and parameters != _CELSIUS:
        raise RejectedError.forbidden(
            f"{line}: another unit would change the meaning of every later target, "
            "limit and report; the bridge uses degrees Celsius"
        )
    _check_tool(line, code, parameters, profile)
    if code in _MACROS:
        _check_macro(line, profile)
        return
    for letter, text in parameters:
        heater = _heater(code, letter, parameters)
        if heater is not None and text:
            _check_target(line, heater, float(text), profile)
    if code in _HEATERS and any(letter == "I" for letter, _ in parameters):
        raise RejectedError.invalid(
            f"{line}: the temperature of the preset after I is not known here, so the "
            "limits cannot be checked; give the temperature with S"
        )


def _heater(code: str, letter: str, parameters: Pairs) -> str | None:
    """Return the heater whose target follows this letter, if one does."""
    if code == _PRESETS:
        return _PRESET.get(letter)
    heater = _HEATERS.get(code)
    if code == _TUNING:
        heater = _tuned(dict(parameters))
    elif code == _TOOL_TABLE:
        heater = "tool"
    # S and R are targets. In M109 and M104 with autotemp, B is the highest target, and
    # the hotend follows the flow (https://marlinfw.org/docs/gcode/M104.html).
    letters = "SRB" if heater == "tool" else "SR"
    return heater if letter in letters else None


def _tuned(letters: Mapping[str, str]) -> str:
    """Return what M303 heats: with E the bed is -1 (Marlin), with H it is 0 (RRF)."""
    if float(letters.get("H") or 1) == 0:
        return "bed"
    which = float(letters.get("E") or 0)
    return {-1.0: "bed", -2.0: "chamber"}.get(which, "tool")


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
    name, blank, rest = line.partition(" ")
    arguments = _ARGUMENT.findall(blank + rest)
    given = {key.upper(): value.strip('"') for key, value in arguments}
    if _ARGUMENT.sub("", blank + rest) or len(given) < len(arguments):
        raise RejectedError.invalid(
            f"{line}: after {name} there must be only names with values, each once, "
            "or the limits cannot be checked"
        )
    which = given.get("HEATER", "").lower()
    heater = next((part for part in ("bed", "chamber") if part in which), "tool")
    try:
        target = float(given.get("TARGET", "0"))
    except ValueError:
        raise RejectedError.invalid(f"{line}: TARGET must be a number") from None
    _check_target(line, heater, target, profile)


def _check_target(line: str, heater: str, target: float, profile: Profile) -> None:
    highest: float = getattr(profile.max_temperature, heater)
    if not _ABSOLUTE_ZERO <= target <= highest:
        raise RejectedError.invalid(
            f"{line}: {format_number(target)} °C is beyond the {heater}'s limit of "
            f"{format_number(highest)} °C (profile.max_temperature.{heater})",
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
