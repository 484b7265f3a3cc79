"""Problems of a printer: errors that come in parts, late or repeatedly."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bridge.gcode import firmware_errors
from bridge.gcode.codes import PrintAction
from bridge.gcode.line import read
from bridge.gcode.reply_types import Fatal, HeaterFault
from bridge.printer.knowledge import print_job
from bridge.printer.knowledge.model import Failure, PrinterState, Problem
from bridge.printer.knowledge.print_table import PrintResult

SHUT_DOWN = "the firmware has shut down"
"""The error until the firmware gives its reason. Klipper reports its state first
(tests/transcripts/klipper/06_M112_firmware_restart.txt)."""

NOT_READY = "the firmware is not ready"
"""The same for a Klipper that has not started yet."""

NO_READING = "no_reading"
"""The published reason for a heater that should heat and has no temperature."""

CAUSE = 5.0
"""Seconds after a failed operation in which a halt counts as its consequence."""

EVERY = 600.0
"""Seconds until the same unsolicited error is reported again."""

MOST = 20
"""Different unsolicited errors that are reported in this time. Noise on the line can
cause any number of them."""

_MAX_ERROR = 1000  # characters of an error, which is published
_MAX_CODES = 100  # unknown codes that are remembered
_MAX_NOTES = 12  # lines of Klipper's explanation ("// …") of an error
_TEMPERATURE = re.compile(r"\d+\.\d+", re.ASCII)
# Texts that differ only in their numbers count as the same error.
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
# Exactly as the bridge writes codes: even a firmware that has M27 refuses "m27" and
# "M 27".
_UNKNOWN = re.compile(
    r'Unknown command:\s*"?(?P<code>[GMT]\d{1,4})(?=[\s"]|$)', re.ASCII
)


_NO_REASON = "the firmware stopped, and did not say why"
"""For Smoothieware, which answers each line with ``!!`` alone when it has stopped
(https://smoothieware.org/stopping-smoothie)."""


def stopped(state: PrinterState, fatal: Fatal, now: float) -> PrinterState:
    """Return the state after a fatal error; its lines are joined to one."""
    before, failure = state.problem, state.failure
    if before is None or before.consequence == "disconnected":
        if failure is not None and now - failure.time < CAUSE:
            cause = Fatal(failure.error, failure.reason)
            fatal = firmware_errors.join_fatal(cause, fatal)
        return _halted(state, fatal.text or _NO_REASON, fatal.reason, now)
    if before.consequence == "stopped":
        return state  # requested: the firmware's kill message is only the effect
    joined = firmware_errors.join_fatal(Fatal(before.error, before.reason), fatal)
    problem = replace(before, error=joined.text[:_MAX_ERROR], reason=joined.reason)
    return replace(state, problem=problem)


def readiness(state: PrinterState, word: str, now: float) -> PrinterState:
    """Return the state after a host firmware reported its own.

    ``ready`` alone does not make it operational: it has to be set up again. Until it is
    ready nothing but a restart is of use, so the printer counts as stopped, with the
    firmware's own text as the reason.
    """
    notes, came_from = state.notes, state.readiness
    state = replace(state, readiness=word, notes=())
    if word == "disconnect" and state.link == "operational":
        return replace(state, link="connecting")
    if word not in {"shutdown", "not_ready"}:
        return state
    text = _reason(notes)
    restarted = came_from == "disconnect" and bool(text)
    if not (restarted or _leaves_room(state.problem, text)):
        return state
    if not text:
        text = NOT_READY if word == "not_ready" else SHUT_DOWN
    return _halted(state, text, _word(text, word), now)


def _leaves_room(problem: Problem | None, text: str) -> bool:
    """Return whether a reason, or the absence of one, adds to what is known."""
    if problem is None or problem.consequence == "disconnected":
        return True
    return bool(text) and problem.error in {SHUT_DOWN, NOT_READY}


def note(state: PrinterState, text: str) -> PrinterState:
    """Return the state after a line in which Klipper explains why it has stopped.

    Klipper sends its reason, what to do and its state, each behind ``//``, then the
    first line again behind ``!!``
    (tests/transcripts/klipper/09_not_ready_config_error.txt).
    """
    line = text.removeprefix("//").strip()
    return replace(state, notes=(*state.notes, line)[-_MAX_NOTES:])


def _reason(notes: Sequence[str]) -> str:
    """Return the text of these lines: the reason, and what to do about it."""
    reason, *rest = [line for line in notes if line] or [""]
    return (f"{reason}. {' '.join(rest)}" if rest else reason)[:_MAX_ERROR]


def _word(text: str, state: str) -> str:
    """Return the published reason for which a Klipper is not ready."""
    if reason := firmware_errors.fatal_reason(text):
        return reason
    if state == "shutdown" or text == NOT_READY or "attempting to connect" in text:
        return state
    return "config_error" if '"RESTART"' in text else "mcu_error"


def _halted(state: PrinterState, error: str, reason: str, now: float) -> PrinterState:
    problem = Problem(
        error=error[:_MAX_ERROR], reason=reason, consequence="halted", time=now
    )
    return replace(state, problem=problem)


def at_fault(state: PrinterState, fault: HeaterFault, now: float) -> PrinterState:
    """Return the state after a heater's fault; a repeated message changes nothing.

    The printer does not count as halted: its other heaters must still be turned off.
    """
    before = state.fault
    known = "" if before is None else before.error
    if _TEMPERATURE.sub("", fault.text) in _TEMPERATURE.sub("", known):
        return state
    problem = Problem(
        error=f"{known} {fault.text}".strip()[:_MAX_ERROR],
        reason=before.reason if before else fault.reason,
        consequence="unmeasured" if fault.reason == NO_READING else "heater_off",
        time=now,
    )
    return state if problem.error == known else replace(state, fault=problem)


def unmeasured(state: PrinterState, heaters: Sequence[str], now: float) -> PrinterState:
    """Return the state if heaters should heat and have no temperature.

    A firmware that keeps heating without one, or has turned the heater off without
    saying so, needs a person at once.
    """
    for name in heaters:
        text = f"{name} should be heating, but its temperature cannot be measured"
        state = at_fault(state, HeaterFault(text, NO_READING), now)
    return state


def refused(state: PrinterState, text: str, now: float) -> PrinterState:
    """Return the state after a refusal: of an unknown code, or with a late reason.

    A tool that the firmware refuses is not selected (Q-27), a print whose cancellation
    it refuses continues, and a question that it refuses to have answered still stands.
    """
    state = _undone(replace(state, notes=()), now)
    if reason := firmware_errors.failure_reason(text):
        failure = Failure(text, reason, now)
        state = replace(state, failure=failure)
    if unknown := _UNKNOWN.match(text):
        code = unknown["code"]
        released = read(code).row.job is PrintAction.RELEASE
        card = True if released else state.card
        if len(state.refused) < _MAX_CODES:
            return replace(state, refused=state.refused | {code}, card=card)
        return state
    problem = state.problem
    if problem is None or problem.error not in {SHUT_DOWN, NOT_READY}:
        return state
    if (
        "due to printer shutdown" in text
    ):  # a consequence of the shutdown, not its reason
        return state
    reason = firmware_errors.fatal_reason(text) or problem.reason
    told = replace(problem, error=text[:_MAX_ERROR], reason=reason)
    return replace(state, problem=told)


def with_print_failure(before: PrinterState, after: PrinterState) -> PrinterState:
    """Return the later state, with the failure of a print that it brought about.

    It is kept until somebody acknowledges it or the next print begins, because nobody
    may have been there; not after an emergency stop, which somebody has asked for.
    """
    result = after.job.result
    if result is before.job.result:
        begins = after.job.active and not before.job.active
        return _without_print_failure(after) if begins else after
    wanted = result is not None and result.reason == "emergency_stop"
    if result is None or result.outcome != "failed" or wanted:
        return replace(after, print_failure=None)
    known = after.problem
    here = after.link != "offline"
    gone = here and known is not None and known.consequence == "disconnected"
    return replace(
        after,
        print_failure=print_failure(result),
        problem=None if gone else after.problem,
    )


def _without_print_failure(state: PrinterState) -> PrinterState:
    return state if state.print_failure is None else replace(state, print_failure=None)


def print_failure(result: PrintResult) -> Problem:
    """Return the problem that a failed print causes."""
    what = f"the print of {result.file}" if result.file else "the print"
    return Problem(
        error=f"{what} failed: {result.detail or _why(result.reason)}",
        reason=result.reason,
        consequence="print_failed",
        time=result.time,
    )


def _why(reason: str) -> str:
    return _WHY_FAILED.get(reason, reason)


_WHY_FAILED = {
    "connection_lost": "the connection was lost, and the printer no longer prints; was "
    "it switched off?",
    "printer_reset": "the printer was reset",
    "card_removed": "the SD card was removed",
    "not_started": "the printer did not start the print",
    "file_error": "the printer refused a line of the file",
    "interrupted": "the bridge ended during the print",
    "bridge_stopped": "the bridge was stopped; it paused the print first",
    "no_answer": "the printer did not acknowledge a line of the print",
}
"""The reasons of a failed print in words; those of a halted firmware come with its own
error."""


def _undone(state: PrinterState, now: float) -> PrinterState:
    """Return the state without the effects of the line that was refused."""
    if state.line[:1] == "T":
        return replace(state, modal=replace(state.modal, tool=state.tool_before))
    row = read(state.line).row
    if row.job is PrintAction.CANCEL:
        return replace(state, job=print_job.cancel_refused(state.job, now))
    if row.answers:
        return replace(state, line="")
    return state


class UnsolicitedErrors:
    """Decides which errors that belong to no command are reported.

    Errors that differ only in numbers count as the same.
    """

    def __init__(self) -> None:
        self._reported: dict[str, float] = {}
        self._left_out = 0

    def admit(self, text: str, now: float) -> int | None:
        """Return whether to report an error.

        Returns:
            How many were left out since the last report; ``None``: leave this one out.

        """
        same = _NUMBER.sub("#", text)
        self._reported = {
            key: at for key, at in self._reported.items() if now - at < EVERY
        }
        if same in self._reported or len(self._reported) >= MOST:
            self._left_out += 1
            return None
        self._reported[same] = now
        left_out, self._left_out = self._left_out, 0
        return left_out
