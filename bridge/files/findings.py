"""What the check of a file found, line by line."""

from dataclasses import dataclass

MOST_FINDINGS = 20
"""Errors, and warnings, that are kept of one file: a wrong profile of the slicer makes
one in each line."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """Something about a line of a file.

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
