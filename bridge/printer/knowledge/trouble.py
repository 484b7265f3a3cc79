"""What went wrong with a printer, told over several lines or late."""

import re
from dataclasses import replace

from bridge.gcode import firmware_errors, words
from bridge.gcode.reply_types import Fatal, HeaterFault
from bridge.printer.knowledge.model import PrinterState, Problem

SHUT_DOWN = "the firmware has shut down"
"""What is said until the firmware gives its reason."""

_MAX_ERROR = 1000  # characters
_MAX_CODES = 100
_MEASURED = re.compile(r"\d+\.\d+", re.ASCII)
# Only as the bridge writes it: "m27" or "M 27" is refused where M27 is known.
_UNKNOWN = re.compile(
    r'Unknown command:\s*"?(?P<code>[GMT]\d{1,4})(?=[\s"]|$)', re.ASCII
)


def stopped(state: PrinterState, fatal: Fatal, now: float) -> PrinterState:
    """Return the state after a fatal error; its lines are joined to one."""
    before = state.problem
    if before is None or before.consequence == "disconnected":
        return _halted(state, fatal.text, fatal.reason, now)
    if before.consequence == "stopped":
        return state  # it was asked for: the kill is the answer, not the cause
    joined = firmware_errors.join_fatal(Fatal(before.error, before.reason), fatal)
    problem = replace(before, error=joined.text[:_MAX_ERROR], reason=joined.reason)
    return replace(state, problem=problem)


def readiness(state: PrinterState, word: str, now: float) -> PrinterState:
    """Return the state after a host firmware told about itself.

    ``ready`` alone makes no connection: what it was told before is gone.
    """
    state = replace(state, readiness=word)
    if word == "shutdown":
        before = state.problem
        if before is not None and before.consequence != "disconnected":
            return state
        return _halted(state, SHUT_DOWN, "shutdown", now)
    if word in {"not_ready", "disconnect"} and state.link == "operational":
        return replace(state, link="connecting")
    return state


def _halted(state: PrinterState, error: str, reason: str, now: float) -> PrinterState:
    problem = Problem(
        error=error[:_MAX_ERROR], reason=reason, consequence="halted", time=now
    )
    return replace(state, problem=problem)


def at_fault(state: PrinterState, fault: HeaterFault, now: float) -> PrinterState:
    """Return the state after a heater's fault; one that is told again changes nothing.

    The printer is not halted by it: its other heaters must still be turned off.
    """
    before = state.fault
    known = "" if before is None else before.error
    if _MEASURED.sub("", fault.text) in _MEASURED.sub("", known):
        return state
    problem = Problem(
        error=f"{known} {fault.text}".strip()[:_MAX_ERROR],
        reason=before.reason if before else fault.reason,
        consequence="heater_off",
        time=now,
    )
    return state if problem.error == known else replace(state, fault=problem)


def refused(state: PrinterState, text: str) -> PrinterState:
    """Return the state after a refusal: it may tell a code, or a late reason.

    A tool that the firmware does not have was not selected (Q-27).
    """
    if words.parse(state.line).code[:1] == "T":
        state = replace(state, modal=replace(state.modal, tool=state.tool_before))
    if unknown := _UNKNOWN.match(text):
        code = unknown["code"]
        card = True if code == "M22" else state.card
        if len(state.refused) < _MAX_CODES:
            return replace(state, refused=state.refused | {code}, card=card)
        return state
    problem = state.problem
    if problem is None or problem.error != SHUT_DOWN:
        return state
    if "due to printer shutdown" in text:  # what ended with it, not why it is
        return state
    reason = firmware_errors.fatal_reason(text) or problem.reason
    told = replace(problem, error=text[:_MAX_ERROR], reason=reason)
    return replace(state, problem=told)
