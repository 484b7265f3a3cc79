"""How long a line may go on unanswered once the firmware has said something else."""

from bridge.gcode import words
from bridge.gcode.dialects import Dialect
from bridge.gcode.replies import (
    Action,
    Busy,
    FileOpened,
    FileSelected,
    NotPrinting,
    Position,
    PrintDone,
    PrintProgress,
    Reply,
    Temperatures,
)

_UNASKED = (Temperatures, PrintProgress, NotPrinting, Position, Action)
"""What firmwares report by themselves, again and again."""

_STARTS = {"M24", "M32"}
_EARLY = 1.0  # seconds in which no long line is done, but some have their "ok"


def renewed(reply: Reply, line: str, dialect: Dialect) -> float | None:
    """Return for how many seconds a reply renews the patience with a line.

    ``None``: not at all. A report every few seconds would hide a lost ``ok`` for ever
    (Q-14), so for a short line it is no sign of life; for a long one it is, where the
    firmware has no ``busy:`` to tell that it works. Any other word belongs to the line,
    but where ``busy:`` is said a short line needs none.

    Whose heating a report tells of does not matter: while a command of the card or of
    the display waits for a heater, no line is taken.
    """
    patience = dialect.patience(line)
    is_short = patience == dialect.ok_timeout
    if isinstance(reply, Busy) or (
        _tells_of_heating(reply, dialect) and (is_short or dialect.busy)
    ):
        return dialect.ok_timeout
    if dialect.busy and (is_short or isinstance(reply, _UNASKED)):
        return None
    if is_short and isinstance(reply, _UNASKED):
        return None
    return patience


def _tells_of_heating(reply: Reply, dialect: Dialect) -> bool:
    return isinstance(reply, Temperatures) and (reply.waiting or dialect.heats_aloud)


def still_prints(reply: Reply, *, was: bool) -> bool:
    """Return whether the card may be printed from, after a reply.

    A print may home before anybody could ask how far it is: a file that is opened may
    be one that is started at the display.
    """
    if isinstance(reply, NotPrinting | PrintDone):
        return False
    return was or isinstance(reply, PrintProgress | FileOpened | FileSelected)


def starts_print(line: str, dialect: Dialect) -> bool:
    """Tell whether the card is printed from once a line is taken."""
    return words.parse(line).code in {*_STARTS, *dialect.resume}


def free_by(
    line: str, dialect: Dialect, *, sent_at: float, before: float, now: float
) -> float:
    """Return until when a line that has its ``ok`` may still be worked on.

    Where the ``ok`` comes first, it says so only of long lines that had it at once, or
    as soon as the one before them was done; behind others a lost line would be found
    late. A dwell ends by itself (Q-26), and is over where the ``ok`` took as long.

    Args:
        line: what was taken.
        dialect: the firmware's.
        sent_at: when it was sent.
        before: until when the line before it may have been worked on.
        now: when its ``ok`` came.

    """
    patience = dialect.patience(line)
    if patience <= dialect.ok_timeout:
        return now
    behind = sent_at < before
    if words.parse(line).code == "G4":
        early = now < sent_at + patience - dialect.ok_timeout
        return now + patience if early or behind else now
    first = now < sent_at + _EARLY or behind
    return now + patience if dialect.ok_before_output and first else now
