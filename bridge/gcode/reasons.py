"""What a firmware complains about: damaged lines, refusals and fatal errors."""

import re
from collections.abc import Mapping
from dataclasses import replace

from bridge.gcode.dialects import Bang, Dialect
from bridge.gcode.reply_types import (
    Fatal,
    Refusal,
    Reply,
    TransferError,
)

REASONS: Mapping[str, str] = {
    "thermal runaway": "thermal_runaway",
    "thermal malfunction": "thermal_runaway",
    "mintemp": "mintemp",
    "maxtemp": "maxtemp",
    "heating failed": "heating_failed",
    "not heating at expected rate": "heating_failed",
    "probing failed": "probing_failed",
    "watchdog": "watchdog",
    "fatal:": "fatal",
    "stopped due to errors": "stopped",
    "kill() called": "killed",
    "printer halted": "killed",
}
"""What marks an error after which nothing works until a reset, to its stable word.

The specific ones come first: a kill is announced after its cause, at times on one line.
"""

_UNSPECIFIC = {"killed", "stopped", "fatal"}
_TRANSFER = ("line number", "linenumber", "checksum", "format error", "expected line")
_LAST = re.compile(r"last line:?\s*(-?\d{1,9})", re.ASCII)


def reason_of(text: str) -> str | None:
    """Return the stable word of a fatal error's text; ``None``: it is not fatal."""
    text = text.lower()
    return next((word for mark, word in REASONS.items() if mark in text), None)


def error(text: str) -> Reply:
    """Return what follows ``Error:`` on its line.

    A fatal text goes before a damaged line, so that a kill is never taken for noise.
    """
    if reason := reason_of(text):
        return Fatal(text, reason)
    lower = text.lower()
    if any(mark in lower for mark in _TRANSFER):
        last = _LAST.search(lower)
        return TransferError(text, int(last[1]) if last else None)
    return Refusal(text)


def bang(text: str, dialect: Dialect) -> Reply:
    """Return what follows ``!!`` on its line.

    A firmware that reports its own state tells a refusal from a stop by that report;
    its ``!!`` is always a refusal.
    """
    if dialect.reports_state:
        return Refusal(text)
    reason = reason_of(text)
    if reason or dialect.bang is Bang.FATAL:
        return Fatal(text, reason or "fatal")
    return Refusal(text)


def join(older: Fatal, newer: Fatal) -> Fatal:
    """Return one error for two lines about the same stop.

    The cause is told first and the kill after it, so an unspecific reason never takes
    the place of a specific one.
    """
    if newer.text in older.text:
        return older
    text = f"{older.text} {newer.text}"
    if older.reason in _UNSPECIFIC and newer.reason not in _UNSPECIFIC:
        return replace(newer, text=text)
    return replace(older, text=text)
