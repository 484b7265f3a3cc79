"""Checks a file line by line, with the parser and the limits of its printer.

What must not be printed is an error: what cannot be sent, heats beyond a limit, selects
a tool that does not exist or is blocked. What a person should know is a warning: codes
that no limit covers, moves beyond ``profile.volume``. Common slicer profiles prime
outside the bed on purpose (``Y-3``), and the printer is homed and levelled by lines of
the file, of which only the printer knows where they lead.

A file is sent line by line as it is, so its lines are parsed as those of commands are,
and what is refused in a command is a finding here.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from bridge.commands import gcode_lines
from bridge.commands.base import Context
from bridge.config import BLOCKED, PrinterConfig, Profile, UnknownCodes
from bridge.errors import RejectedError, quoted
from bridge.gcode import line as lines
from bridge.gcode.codes import Argument
from bridge.gcode.dialects import DIALECTS
from bridge.gcode.file_lines import (
    card_problem,
    host_command,
    is_for_screens,
    is_host_command,
)
from bridge.gcode.line import Line
from bridge.gcode.modal import Modal
from bridge.printer.limits import safety
from bridge.printer.limits.coordinates import Coordinates
from bridge.printer.limits.safety import SafetyRules
from bridge.printer.limits.travel import InitialState, Walk

_CERTAINLY_SHORT = 60
"""Bytes of a line that is not too long, whatever number it has."""


@dataclass(frozen=True, slots=True)
class FileFinding:
    """What is wrong with a line of a file, or worth knowing about it.

    Attributes:
        line: its number, counted from 1; blank lines and comments count.
        error: a stable word for programs: ``invalid_payload`` (it cannot be parsed, is
            too long, or its echo would look like a reply), ``blocked``,
            ``unknown_code``, ``out_of_limits``, ``no_such_tool``, ``no_heated_bed``,
            ``no_heated_chamber``, ``emergency_stop``, ``position_unknown``,
            ``text_changed``.
        message: a sentence that shows the line, or the column, and names the limit.
        refuses: the line must not be sent; otherwise it is a warning.

    """

    line: int
    error: str
    message: str
    refuses: bool


class FileCheck:
    """Follows the lines of one file from its first to its last.

    Pure and bounded: it keeps the modes and the position, and no lines. A line of a
    print takes about 10 µs, so call it in slices, or in a process of its own.

    Example::

        check = FileCheck(Context(profile=profile, dialect=dialect))
        for text in file:
            line, findings = check.next(text)
            if line is not None:
                ...  # line.text is what is sent

    Args:
        context: the printer's profile and dialect, ``allowed`` and ``unknown_codes``.
        blocked: the codes that the operator blocks, each with the reason.
        handled: codes that the bridge carries out itself instead of sending them, such
            as ``M0`` in a file that it prints; they may be blocked.

    """

    def __init__(
        self,
        context: Context,
        *,
        blocked: Mapping[str, str] = BLOCKED,
        handled: Collection[str] = (),
    ) -> None:
        self._context = context
        self._family = context.dialect.name
        start = InitialState(profile=context.profile, dialect=context.dialect)
        self._rules = SafetyRules(start=start, blocked=blocked)
        self._walk = Walk(start, sums=False)
        self._handled = frozenset(handled)
        self._plain = lines.MOVES - self._rules.blocked_codes.keys()
        self._said: set[tuple[str, str]] = set()
        self._number = 0

    @property
    def number(self) -> int:
        """The number of lines so far."""
        return self._number

    @property
    def coordinates(self) -> Coordinates:
        """The position of the head after the last line, as far as it is known."""
        return self._walk.coordinates

    @property
    def modal(self) -> Modal:
        """The modes after the last line."""
        return self._walk.modal

    def next(self, text: str) -> tuple[Line | None, Sequence[FileFinding]]:
        """Return the value of the next line, and what is to say about it.

        Temperatures beyond the limits, heaters and tools that do not exist, blocked and
        dangerous codes, other amounts beyond their limits and what has no canonical
        form refuse the line. Moves beyond ``profile.volume`` and ``max_speed``, pushes
        beyond ``max_extrusion`` (each line by itself), moves from an unknown place,
        unknown codes (unless ``unknown_codes`` is ``refuse``) and changed texts are
        warnings; the latter two only once for each code.

        Args:
            text: a line of the file, with or without its line end and comment.

        Returns:
            The line; its ``text`` is what is sent. ``None`` if there is nothing to
            send: a blank line, a comment, or what cannot be parsed. A line that is
            refused is returned too.

        """
        self._number += 1
        try:
            line = lines.of_file(text, self._family)
        except lines.LineError as error:
            return None, [self._finding("invalid_payload", str(error), refuses=True)]
        if line is None:
            return None, ()
        findings: Sequence[FileFinding] = ()
        if line.code not in self._plain or len(line.text) > _CERTAINLY_SHORT:
            findings = self._findings(line)
        try:
            self._walk.step(line)
        except RejectedError as error:
            self._walk.skip(line)
            warning = self._finding(error.error, error.message, refuses=False)
            findings = (*findings, warning)
        return line, findings

    def _findings(self, line: Line) -> Sequence[FileFinding]:
        """Return what is to say about a line wherever the head is."""
        if line.row.emergency:
            stop = f"{line}: an emergency stop would end the print"
            return [self._finding("emergency_stop", stop, refuses=True)]
        if line.code in self._handled:
            return ()
        try:
            gcode_lines.check(
                line,
                self._context,
                f"line {self._number}",
                longest=self._context.dialect.longest_line,
            )
            safety.check_value(line, self._rules)
        except RejectedError as error:
            return [self._finding(error.error, error.message, refuses=True)]
        kind = "text_changed" if line.is_known else "unknown_code"
        if (kind, line.code) in self._said:
            return ()
        warnings = gcode_lines.warnings([line], self._context)
        if warnings:
            self._said.add((kind, line.code))
        return [self._finding(kind, text, refuses=False) for text in warnings]

    def _finding(self, error: str, message: str, *, refuses: bool) -> FileFinding:
        return FileFinding(self._number, error, message, refuses)


MOST_FINDINGS = 20
"""Errors, and as many warnings, that are kept for one file: a wrong slicer profile
causes one in each line."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """A finding about a line of a file.

    Attributes:
        line: its number in the file, counted from 1; 0: the file as a whole.
        code: a stable word for programs, such as ``placeholder`` or ``out_of_limits``.
        text: a sentence for people, without the number of the line.

    """

    line: int
    code: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What the check of a whole file found.

    Attributes:
        errors: why it must not be printed; the first :data:`MOST_FINDINGS`.
        warnings: what a person should know; the first :data:`MOST_FINDINGS`.
        error_count: how many errors there are in all.
        warning_count: how many warnings there are in all.
        lines: how many lines are sent to the printer or carried out by the host, which
            are all without those that are blank or have only a comment.

    """

    errors: tuple[CheckFinding, ...] = ()
    warnings: tuple[CheckFinding, ...] = ()
    error_count: int = 0
    warning_count: int = 0
    lines: int = 0

    @property
    def printable(self) -> bool:
        """Whether there is no error."""
        return not self.error_count


VERSION = 2
"""The version of the check. A file with a report of an older version is checked again.
"""

HANDLED = frozenset({"M0", "M1", "M25", "M601", "PAUSE", "M600"})
"""Codes at which the bridge itself pauses. They are not sent, or only where that is
safe (:mod:`bridge.printer.printing.feed`)."""

HOST_COMMANDS = frozenset({"@pause"})
"""Commands for the host that the bridge executes, in lower case. OctoPrint has the same
(https://docs.octoprint.org/en/master/features/atcommands.html)."""

_PLACEHOLDER = re.compile(r"\{[^{}]*[A-Za-z_][^{}]*\}|\[[A-Za-z_]\w*(?:\[\d+\])?\]")
"""A variable that the slicer did not replace, such as ``{travel_speed}`` or
``[first_layer_temperature[0]]`` (https://github.com/guysoft/OctoPi/issues/209)."""

_TWO_COMMANDS = re.compile(
    r"\s*(?P<first>[GM]\d+(?:\.\d+)?)\s(?P<between>[^\"]*?)\b(?P<second>[GMT]\d+)",
    re.ASCII | re.IGNORECASE,
)
"""Two commands in one line, such as ``G0 Z0.15 G92 E0``, of which most firmwares
execute one (https://github.com/OctoPrint/OctoPrint/issues/3448)."""

_WORDS = re.compile(r"\s*(?![GMTNXYZEF]\s*[-+.\d])[^\W\d]{2,}", re.IGNORECASE)
"""A line that begins with a word: a comment without its ``;``."""

_LONGEST_TEXT = 240  # characters of a finding, which is published


class CheckRules(BaseModel):
    """The limits and settings that a file is checked against."""

    model_config = ConfigDict(frozen=True)

    family: str
    """The name of the firmware's dialect."""
    profile: Profile
    """The machine and its limits."""
    blocked: dict[str, str]
    """Codes that the operator blocks, each with the reason."""
    allowed: tuple[str, ...] = ()
    """Codes and names that the operator allows."""
    unknown_codes: UnknownCodes = "send"
    """What becomes of codes that are not in the table."""

    @classmethod
    def of(cls, settings: PrinterConfig, family: str) -> "CheckRules":
        """Return the rules of a printer with a firmware of this family."""
        return cls(
            family=family,
            profile=settings.profile,
            blocked=settings.blocked,
            allowed=settings.allowed,
            unknown_codes=settings.unknown_codes,
        )

    @property
    def digest(self) -> str:
        """A digest of the rules; it changes when the rules or their version do."""
        text = f"{VERSION} {self.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checker:
    """Checks the lines of one file, from its first to its last.

    Args:
        rules: what they are checked against.

    """

    def __init__(self, rules: CheckRules) -> None:
        context = Context(
            profile=rules.profile,
            dialect=DIALECTS[rules.family],
            allowed=frozenset(rules.allowed),
            unknown_codes=rules.unknown_codes,
        )
        self._check = FileCheck(context, blocked=rules.blocked, handled=HANDLED)
        self._errors: list[CheckFinding] = []
        self._warnings: list[CheckFinding] = []
        self._error_count = 0
        self._warning_count = 0
        self._lines = 0
        self._said: set[str] = set()

    @property
    def report(self) -> CheckReport:
        """The findings so far."""
        return CheckReport(
            errors=tuple(self._errors),
            warnings=tuple(self._warnings),
            error_count=self._error_count,
            warning_count=self._warning_count,
            lines=self._lines,
        )

    def line(self, number: int, text: str) -> Line | None:
        """Check the next line that is sent, or that the host carries out.

        Args:
            number: its number in the file, counted from 1.
            text: what :func:`bridge.gcode.file_lines.command_of` returns of it.

        Returns:
            Its value; ``None``: it is not sent.

        """
        self._lines += 1
        if is_host_command(text):
            self._host_command(number, text)
            return None
        line, findings = self._check.next(text)
        for found in findings:
            self._add(number, text, line, found)
        if line is None:
            return None
        if problem := card_problem(line):
            self.error(number, "card_command", problem)
        if "{" in text or "[" in text:
            self._look_for_placeholders(number, line)
        return line

    def error(self, number: int, code: str, text: str) -> None:
        """Add an error, which prevents the file from being printed."""
        self._error_count += 1
        if len(self._errors) < MOST_FINDINGS:
            self._errors.append(CheckFinding(number, code, _short(text)))

    def warning(self, number: int, code: str, text: str) -> None:
        """Add a warning, which a person should know."""
        self._warning_count += 1
        if len(self._warnings) < MOST_FINDINGS:
            self._warnings.append(CheckFinding(number, code, _short(text)))

    def _host_command(self, number: int, text: str) -> None:
        word = f"@{host_command(text)}"
        if word in HOST_COMMANDS or word in self._said:
            return
        self._said.add(word)
        self.warning(
            number,
            "host_command",
            f"{word} is for another host program, and is left out; the bridge executes "
            f"only {', '.join(sorted(HOST_COMMANDS))}",
        )

    def _add(
        self, number: int, text: str, line: Line | None, found: FileFinding
    ) -> None:
        # FileCheck counts the lines that it gets, and these are not all lines.
        message = found.message.removeprefix(f"line {self._check.number}: ")
        if not found.refuses:
            if found.error != "position_unknown":  # the firmware will know it
                self.warning(number, found.error, message)
        elif line is None and is_for_screens(text):
            self.warning(
                number,
                "left_out",
                f"{text.split(maxsplit=1)[0]} is not sent: {message}",
            )
        elif line is not None and line.row.argument is Argument.DISPLAY:
            self.warning(number, "left_out", f"the text is not shown: {message}")
        elif found.error == "invalid_payload":
            self.error(number, *_explained(text, line, message))
        else:
            self.error(number, found.error, message)

    def _look_for_placeholders(self, number: int, line: Line) -> None:
        """Look for what the slicer should have replaced, where the parser takes it."""
        if line.row.argument is not Argument.NAMES and line.is_known:
            if match := _PLACEHOLDER.search(line.argument):
                self.warning(number, "placeholder", _placeholder(match[0]))
            return
        for key, value in line.parameters:
            match = _PLACEHOLDER.search(value)
            if match is not None and key in {"MSG", "NAME"}:
                self.warning(number, "placeholder", _placeholder(match[0]))
            elif match is not None:
                self.error(number, "placeholder", _placeholder(match[0]))
                return


def _placeholder(found: str) -> str:
    return (
        f"{found} was not replaced by the slicer; correct its start, end or layer "
        "G-code there"
    )


def _explained(text: str, line: Line | None, message: str) -> tuple[str, str]:
    """Return the code and the text of the finding for a line that cannot be sent."""
    if line is not None:
        return "invalid_line", message
    code = text.partition(";")[0]
    if match := _PLACEHOLDER.search(code):
        return "placeholder", _placeholder(match[0])
    if match := _TWO_COMMANDS.match(code):
        first, second = match["first"].upper(), match["second"].upper()
        problem = (
            f"{quoted(code.strip())} has two commands, {first} and {second}, of which "
            "some firmwares carry out only the first; write them in two lines"
        )
        return "two_commands", problem
    if _WORDS.match(code):
        return "stray_text", f"{quoted(code.strip())} is not G-code: {message}"
    return "invalid_line", message


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
