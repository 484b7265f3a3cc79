"""A line of G-code and its words: the code and its parameters.

"Word" is the term of the G-code standard (RS-274, NIST 6556): a letter with a number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_CODE = re.compile(r"\s*(?P<letter>[GMT])\s*0*(?P<number>\d+)(?:\.\d+)?", re.IGNORECASE)
_WORD = re.compile(
    r"(?P<letter>[A-Z])\s*(?P<value>[-+]?(?:\d+\.?\d*|\.\d+))?", re.IGNORECASE
)
_NAME = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)")
_TEXT_CODES = {"M117", "M118", "M23", "M28", "M30", "M32", "M33", "M928", "M16", "M36"}
"""Codes whose argument is a text, not parameters: messages (``M117``, ``M118``), names
of files (``M23``, ``M28``, ``M30``, ``M32``, ``M33``, ``M928``; ``M36`` of
RepRapFirmware) and of the printer (``M16``)."""

_MAX_PARSED = 1024
"""Parsed lines that are kept. A line is looked at several times on its way: checked,
tracked, timed; and those that repeat are few."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a line.

    Attributes:
        code: ``G28``, ``M104``, ``T1`` (leading zeros and sub-codes dropped, upper
            case), or the first word of a macro such as ``FIRMWARE_RESTART``; ``""`` for
            an empty line.
        values: a parameter's letter to its number, or ``None`` for a bare letter; empty
            for macros and for codes whose argument is a text (``M117``, ``M23``, …).

    """

    code: str
    values: Mapping[str, float | None]


def strip_comment(line: str) -> str:
    r"""Return a line without its ``;`` comment (``\;`` is none) and outer blanks."""
    return (re.sub(r"(?<!\\);.*", "", line) if ";" in line else line).strip()


@lru_cache(maxsize=_MAX_PARSED)
def parse(line: str) -> Words:
    """Return the words of one line, without its comment."""
    line = strip_comment(line)
    if match := _CODE.match(line):
        code = f"{match['letter'].upper()}{int(match['number'])}"
        if code in _TEXT_CODES:
            return Words(code, {})
        return Words(code, _values(line[match.end() :]))
    if match := _NAME.match(line):
        return Words(match["name"].upper(), {})
    return Words(line.split(maxsplit=1)[0].upper() if line else "", {})


def _values(text: str) -> dict[str, float | None]:
    return {
        match["letter"].upper(): float(match["value"]) if match["value"] else None
        for match in _WORD.finditer(text)
    }


def format_number(value: float) -> str:
    """Return a number as firmwares read it: fixed point, no exponent, no ``-0``.

    Marlin reads ``E`` in ``1e-3`` as the next word, the extruder's. There are at most
    six decimals, which is finer than any machine moves.
    """
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
