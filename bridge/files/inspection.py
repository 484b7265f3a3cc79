"""Reads a file once from its first byte to its last: its metadata and its report."""

from dataclasses import dataclass, replace

from bridge.files.check import Checker, CheckReport, CheckRules
from bridge.files.slicer_comments import CommentReader, Metadata
from bridge.gcode import heating
from bridge.gcode.codes import PrintAction
from bridge.gcode.file_lines import LONGEST_LINE, bare, command_of, object_name
from bridge.gcode.line import Line

_COMMENT = ord(";")
_SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Inspected:
    """What is known of a file after it was read.

    Attributes:
        metadata: what it says about itself.
        report: what the check found.

    """

    metadata: Metadata
    report: CheckReport


class Inspection:
    """Reads one file in blocks of any size; it keeps at most one line.

    Args:
        rules: what its lines are checked against.

    """

    def __init__(self, rules: CheckRules) -> None:
        self._checker = Checker(rules)
        self._comments = CommentReader()
        self._rest = b""
        self._offset = 0
        self._number = 0
        self._skips = False
        self._targets: dict[str, float] = {}
        self._minutes: float | None = None

    def feed(self, block: bytes) -> None:
        """Read the next bytes of the file."""
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        for raw in lines:
            self._next(raw, len(raw) + 1)
        if len(self._rest) > LONGEST_LINE:
            self._too_long()

    def finish(self) -> Inspected:
        """Return the result, after the last block."""
        if self._rest:
            self._next(self._rest, len(self._rest))
        report = self._checker.report
        if not report.lines:
            self._checker.error(0, "empty", "the file has no G-code")
            report = self._checker.report
        return Inspected(self._metadata(), report)

    def _too_long(self) -> None:
        if not self._skips:
            self._number += 1
            self._report_length()
        self._skips = True
        self._offset += len(self._rest)
        self._rest = b""

    def _report_length(self) -> None:
        text = f"is longer than {LONGEST_LINE} bytes"
        self._checker.error(self._number, "invalid_line", text)

    def _next(self, raw: bytes, size: int) -> None:
        start = self._offset
        self._offset += size
        if self._skips:  # the end of a line that was too long
            self._skips = False
            return
        self._number += 1
        if size > LONGEST_LINE + 1:
            self._report_length()
            return
        text = bare(raw)
        if not text:
            return
        if text[0] == _COMMENT:
            at = start + raw.index(b";")
            self._comments.comment(text.decode("utf-8", "replace"), at, start + size)
            return
        command = command_of(text)
        if command:
            line = self._checker.line(self._number, command)
            self._note(command, line)

    def _note(self, text: str, line: Line | None) -> None:
        """Note what commands say that comments do not say, or not as reliably."""
        if line is None:
            self._comments.defined(object_name(text))
            return
        row = line.row
        if row.heats:
            for target in heating.targets(line):
                if target.celsius > 0:
                    self._targets.setdefault(target.heater, target.celsius)
        elif row.job is PrintAction.PROGRESS:
            minutes = line.number("R")
            if self._minutes is None and not line.number("P"):
                self._minutes = minutes
        elif line.code == "EXCLUDE_OBJECT_DEFINE":
            self._comments.defined(dict(line.parameters).get("NAME", ""))
        elif line.code == "M486":
            self._comments.defined(dict(line.quoted).get("A", ""))

    def _metadata(self) -> Metadata:
        found = self._comments.metadata()
        targets = self._targets
        if targets:  # otherwise a macro heats, to what the settings say
            found = replace(
                found,
                tool_temperature=targets.get("tool"),
                bed_temperature=targets.get("bed"),
                chamber_temperature=targets.get("chamber"),
            )
        seconds = found.seconds
        if seconds is None and self._minutes:
            seconds = self._minutes * _SECONDS_PER_MINUTE
        return replace(found, seconds=seconds)
