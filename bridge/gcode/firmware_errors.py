"""What a firmware complains about: damaged lines, refusals and fatal errors."""

import re
from collections.abc import Mapping
from dataclasses import replace

from bridge.gcode.dialects import Bang, Dialect
from bridge.gcode.file_list import ENDING
from bridge.gcode.reply_types import (
    Fatal,
    HeaterFault,
    OtherText,
    Refusal,
    Reply,
    TransferError,
)

FATAL_REASONS: Mapping[str, str] = {
    "thermal runaway": "thermal_runaway",
    "thermal malfunction": "thermal_runaway",
    "temperature runaway": "thermal_runaway",
    "temperature took too long": "heating_failed",
    "mintemp": "mintemp",
    "maxtemp": "maxtemp",
    "heating failed": "heating_failed",
    "not heating at expected rate": "heating_failed",
    "watchdog": "watchdog",
    "fatal:": "fatal",
    "stopped due to errors": "stopped",
    "kill() called": "killed",
    "printer halted": "killed",
    "halt asserted": "killed",
    "kill button": "killed",
}
"""Parts of a text that mark an error after which nothing works until a reset, and the
stable word for each.

The specific ones come first: Marlin reports ``Heating failed, system stopped!
Heater_ID: E0`` and, some lines later, ``Printer halted. kill() called!``
(tests/transcripts/marlin/m21-heating-failed.txt); at times both are in one line. The
thermal protection, ``MINTEMP`` and ``MAXTEMP`` always end in ``kill()``
(https://marlinfw.org/docs/configuration/configuration.html, "Thermal Protection").
``Printer stopped due to errors`` is Marlin's ``stop()``, which ``M999`` ends
(https://marlinfw.org/docs/gcode/M999.html); the watchdog's message asks for the power
switch. ``HALT asserted`` and the kill button are Smoothieware's
(https://smoothieware.org/on_halt), and ``fatal:`` is Repetier's.
"""

FAILURES: Mapping[str, str] = {
    "probing failed": "probing_failed",
    "homing failed": "homing_failed",
    "stop called because of": "stopped",
}
"""Parts of a text about one operation that failed, such as ``G29``, and the reason for
a halt that follows it at once.

They stop nothing by themselves: Marlin says ``Error:Probing Failed`` and goes on, and
only with ``G29_HALT_ON_FAILURE`` calls ``kill()`` after it
(https://marlinfw.org/docs/gcode/G029-abl-bilinear.html).
"""

HEATER_FAULTS: Mapping[str, str] = {
    r"heating fault on heater": "heater_fault",
    r"heater \d+ fault:": "heater_fault",
    r"heater decoupled": "heater_decoupled",
    r"one heater seems decoupled": "heater_decoupled",
    r"[\w ]{0,20}:{0,2} ?temp\.? sensor defect": "sensor_defect",
    r"printer set into dry run mode": "heaters_off",
}
"""How the report of a heater's fault begins that does not stop the firmware, and the
stable word for each: RepRapFirmware turns off one heater and continues, Repetier turns
off all of them and ignores every line that would heat."""

_MARLIN = "https://github.com/MarlinFirmware/Marlin"
_MARLIN_DOCS = "https://marlinfw.org/docs/configuration/configuration.html"
_SMOOTHIE = "https://github.com/Smoothieware/Smoothieware"
_REPETIER = "https://github.com/repetier/Repetier-Firmware"
SOURCES: Mapping[str, tuple[str, str]] = {
    "thermal runaway": ("marlin marlin1 prusa", f"{_MARLIN}/issues/25941"),
    "thermal malfunction": ("marlin", f"{_MARLIN}/pull/23373"),
    "temperature runaway": ("smoothieware", f"{_SMOOTHIE}/issues/1197"),
    "temperature took too long": (
        "smoothieware",
        "https://github.com/kliment/Printrun/issues/1393",
    ),
    "mintemp": ("marlin marlin1 prusa", f"{_MARLIN}/issues/6714"),
    "maxtemp": ("marlin marlin1 prusa", _MARLIN_DOCS),
    "heating failed": (
        "marlin marlin1",
        "https://github.com/mcheah/Marlin4MPMD/issues/61",
    ),
    "not heating at expected rate": (
        "klipper",
        "https://github.com/Klipper3d/klipper/issues/630",
    ),
    "watchdog": ("marlin", f"{_MARLIN}/pull/8230"),
    "fatal:": ("repetier", "https://www.repetier.com/documentation/repetier-firmware/"),
    "stopped due to errors": ("marlin marlin1", f"{_MARLIN}/pull/16145"),
    "kill() called": ("marlin marlin1 prusa", f"{_MARLIN}/issues/12836"),
    "printer halted": ("marlin marlin1 prusa", f"{_MARLIN}/issues/12836"),
    "halt asserted": ("smoothieware", f"{_SMOOTHIE}/pull/782"),
    "kill button": ("smoothieware", "https://smoothieware.org/on_halt"),
    "probing failed": ("marlin", f"{_MARLIN}/issues/15432"),
    "homing failed": ("marlin", f"{_MARLIN}/issues/22718"),
    "stop called because of": ("marlin", f"{_MARLIN}/issues/8926"),
    r"heating fault on heater": (
        "reprapfirmware",
        "https://github.com/Duet3D/RepRapFirmware/issues/58",
    ),
    r"heater \d+ fault:": (
        "reprapfirmware",
        "https://github.com/Mellow-3D/FLY-RRF-E3/issues/4",
    ),
    r"heater decoupled": ("repetier", f"{_REPETIER}/issues/811"),
    r"one heater seems decoupled": ("repetier", f"{_REPETIER}/issues/811"),
    r"[\w ]{0,20}:{0,2} ?temp\.? sensor defect": (
        "repetier",
        f"{_REPETIER}/issues/737",
    ),
    r"printer set into dry run mode": ("repetier", f"{_REPETIER}/issues/810"),
}
"""For each mark, the families that say so, and how that is known."""

_FAULTS = [
    (re.compile(mark, re.IGNORECASE), word) for mark, word in HEATER_FAULTS.items()
]
_NAMES = re.compile(r'"[^"]*"|(?<!\S)\S*?\.g\w{0,4}(?!\w)', re.ASCII | re.IGNORECASE)
_ENTRY = re.compile(ENDING, re.ASCII | re.IGNORECASE | re.DOTALL)
_UNSPECIFIC = {"killed", "stopped", "fatal"}
"""Words that say that the firmware stopped, but not why."""

_TRANSFER = ("line number", "linenumber", "checksum", "format error", "expected line")
"""Parts of a text that says that a line arrived damaged, or not in its turn."""

_LAST = re.compile(r"last line:?\s*(-?\d{1,9})", re.ASCII)


def fatal_reason(text: str) -> str | None:
    """Return the stable word for a fatal error's text; ``None``: it is not fatal.

    The names of files do not count: ``File "watchdog.gcode" not found`` stops nothing.
    """
    text = _NAMES.sub("", text).lower()
    return next((word for mark, word in FATAL_REASONS.items() if mark in text), None)


def failure_reason(text: str) -> str | None:
    """Return the stable word for an operation that failed; ``None``: it is another."""
    lower = text.lower()
    return next((word for mark, word in FAILURES.items() if mark in lower), None)


def parse_error(text: str) -> Reply:
    """Return what follows ``Error:`` on its line.

    A fatal text goes before a damaged line, so that a kill is never taken for noise.
    """
    if reason := fatal_reason(text):
        return Fatal(text, reason)
    if found := _fault(text):
        return found
    lower = text.lower()
    if any(mark in lower for mark in _TRANSFER):
        last = _LAST.search(lower)
        return TransferError(text, int(last[1]) if last else None)
    return Refusal(text)


def parse_unmarked(text: str, dialect: Dialect) -> Reply:
    """Return what a line means that has no mark of an error; mostly nothing special.

    Without a colon it may as well be the name of a file.
    """
    if text.lower().startswith(dialect.alarm_prefixes) and not _ENTRY.search(text):
        return Fatal(text, fatal_reason(text) or "fatal")
    return (_fault(text) if ":" in text else None) or OtherText(text)


def _fault(text: str) -> HeaterFault | None:
    return next(
        (HeaterFault(text, word) for mark, word in _FAULTS if mark.match(text)), None
    )


def parse_bang(text: str, dialect: Dialect) -> Reply:
    """Return what follows ``!!`` on its line.

    A firmware that reports its own state distinguishes a refusal from a stop that way;
    its ``!!`` is always a refusal.
    """
    if dialect.reports_state:
        return Refusal(text)
    reason = fatal_reason(text)
    if reason or dialect.bang is Bang.FATAL:
        return Fatal(text, reason or "fatal")
    return Refusal(text)


def join_fatal(older: Fatal, newer: Fatal) -> Fatal:
    """Return one error for two lines about the same stop.

    The firmware reports the cause first and the kill after it, so an unspecific reason
    never replaces a specific one.
    """
    if newer.text in older.text:
        return older
    text = f"{older.text} {newer.text}"
    if older.reason in _UNSPECIFIC and newer.reason not in _UNSPECIFIC:
        return replace(newer, text=text)
    return replace(older, text=text)
