"""How long a line may go on unanswered once the firmware has said something else."""

from bridge.gcode.dialects import Dialect
from bridge.gcode.replies import Busy, Reply, Temperatures


def renewed(reply: Reply, line: str, dialect: Dialect) -> float | None:
    """Return for how many seconds a reply renews the patience with a line.

    ``None``: not at all. Where the firmware says ``busy:`` nothing else counts. Where
    it never does, any word is a sign of life; but for a short line a temperature report
    is none, since one every few seconds would hide a lost ``ok`` for ever (Q-14).
    """
    if isinstance(reply, Busy):
        return dialect.ok_timeout
    patience = dialect.patience(line)
    is_short = patience == dialect.ok_timeout
    if dialect.busy or (is_short and isinstance(reply, Temperatures)):
        return None
    return patience
