"""The firmware's error messages: damaged lines, refusals and fatal errors."""

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
"""Parts of a text that mark an error after which nothing works until a reset, each with
the word that is published for it. :data:`SOURCES` says which firmware says them.

The specific ones come first: Marlin reports ``Heating failed, system stopped!
Heater_ID: E0`` and, some lines later, ``Printer halted. kill() called!``
(tests/transcripts/marlin/m21-heating-failed.txt); sometimes both are in one line. The
thermal protection, ``MINTEMP`` and ``MAXTEMP`` always end in ``kill()``
(https://marlinfw.org/docs/configuration/configuration.html, "Thermal Protection").
``Printer stopped due to errors`` comes from Marlin's ``stop()``, after which ``M999``
restarts the printer (https://marlinfw.org/docs/gcode/M999.html); the watchdog's message
asks for the printer to be switched off and on.
"""

FAILURES: Mapping[str, str] = {
    "probing failed": "probing_failed",
    "homing failed": "homing_failed",
    "stop called because of": "stopped",
}
"""Parts of a text about one operation that failed, such as ``G29``. If a halt follows
at once, this is its reason.

They stop nothing by themselves: Marlin says ``Error:Probing Failed`` and continues;
only a build with ``G29_HALT_ON_FAILURE`` calls ``kill()`` afterwards
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
"""Beginnings of reports of a heater fault that does not stop the firmware, each with
the word that is published for it. RepRapFirmware turns off the one heater and
continues; Repetier turns off all heaters and ignores every line that would heat. The
sources are in :data:`SOURCES`."""

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
"""For each of these texts, the firmware families that say it, and where that was found.
docs/gcode.md is generated from this."""

_FAULTS = [
    (re.compile(mark, re.IGNORECASE), word) for mark, word in HEATER_FAULTS.items()
]
_NAMES = re.compile(r'"[^"]*"|(?<!\S)\S*?\.g\w{0,4}(?!\w)', re.ASCII | re.IGNORECASE)
"""File names: in quotes, or ending in ``.gcode``, ``.gco``, ``.g`` and the like."""

_ENTRY = re.compile(ENDING, re.ASCII | re.IGNORECASE | re.DOTALL)
"""A line that ends like an entry of the card's file list, such as ``alarm: 7.gco 51``.
"""

_UNSPECIFIC = {"killed", "stopped", "fatal"}
"""Reasons that say that the firmware stopped, but not why."""

_TRANSFER = ("line number", "linenumber", "checksum", "format error", "expected line")
"""Parts of a text that says that a line arrived damaged or out of sequence.

Marlin: ``checksum mismatch``, ``Line Number is not Last Line Number+1``, ``No Checksum
with line number`` (tests/transcripts/marlin/m21-lines.txt). The others are those that
OctoPrint knows of other firmwares, such as Repetier's ``Format error`` (Q-12)."""

_LAST = re.compile(r"last line:?\s*(-?\d{1,9})", re.ASCII)
"""``Last Line: 2``, behind each of Marlin's complaints
(tests/transcripts/marlin/m21-lines.txt). The number can be negative after noise."""


def fatal_reason(text: str) -> str | None:
    """Return the reason that a fatal error's text gives; ``None``: it is not fatal.

    File names are disregarded: ``File "watchdog.gcode" not found`` stops nothing.
    """
    text = _NAMES.sub("", text).lower()
    return next((word for mark, word in FATAL_REASONS.items() if mark in text), None)


def failure_reason(text: str) -> str | None:
    """Return the reason if a text reports a failed operation, and ``None`` if not."""
    lower = text.lower()
    return next((word for mark, word in FAILURES.items() if mark in lower), None)


def parse_error(text: str) -> Reply:
    """Return the meaning of what follows ``Error:``.

    A fatal text takes precedence over a damaged line, so that ``kill()`` is never
    mistaken for noise.
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
    """Return the meaning of a line that does not begin like an error.

    Without a colon, it could just as well be the name of a file.
    """
    if text.lower().startswith(dialect.alarm_prefixes) and not _ENTRY.search(text):
        return Fatal(text, fatal_reason(text) or "fatal")
    return (_fault(text) if ":" in text else None) or OtherText(text)


def _fault(text: str) -> HeaterFault | None:
    return next(
        (HeaterFault(text, word) for mark, word in _FAULTS if mark.match(text)), None
    )


def parse_bang(text: str, dialect: Dialect) -> Reply:
    """Return the meaning of what follows ``!!``.

    A firmware that reports its state (Klipper) reports a stop that way, so its ``!!``
    is always a refusal.
    """
    if dialect.reports_state:
        return Refusal(text)
    reason = fatal_reason(text)
    if reason or dialect.bang is Bang.FATAL:
        return Fatal(text, reason or "fatal")
    return Refusal(text)


def join_fatal(older: Fatal, newer: Fatal) -> Fatal:
    """Return one error for two lines about the same stop (Q-35).

    The firmware reports the cause first and the ``kill()`` after it, so an unspecific
    reason never replaces a specific one.
    """
    if newer.text in older.text:
        return older
    text = f"{older.text} {newer.text}"
    if older.reason in _UNSPECIFIC and newer.reason not in _UNSPECIFIC:
        return replace(newer, text=text)
    return replace(older, text=text)
