"""Checks a file of G-code, line by line, against the limits of the printer's profile.

A file is sent line by line as it is, so its lines are parsed as those of commands are,
and what is refused in a command is a finding here. Findings that would do harm refuse
the file; where the head would go is only a warning, because the printer is homed and
levelled by lines of the file, and what that leads to is only known to the printer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bridge.commands import gcode_lines
from bridge.commands.base import Context
from bridge.config import BLOCKED
from bridge.errors import RejectedError
from bridge.gcode import line as lines
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
    print takes some 10 µs, so call it in slices, or in a process of its own.

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
        """How many lines there were so far."""
        return self._number

    @property
    def coordinates(self) -> Coordinates:
        """Where the head is after the last line, as far as that is known."""
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
