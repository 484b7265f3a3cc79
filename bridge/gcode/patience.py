"""How long a line may go on unanswered once the firmware has said something else."""

from bridge.gcode.dialects import Dialect
from bridge.gcode.replies import (
    Action,
    Busy,
    NotPrinting,
    Position,
    PrintProgress,
    Reply,
    Temperatures,
)

_UNASKED = (Temperatures, PrintProgress, NotPrinting, Position, Action)
"""What firmwares report by themselves, again and again."""


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
