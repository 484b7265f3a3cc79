"""How long to wait for an answer, given what a line does and what the firmware says.

How long each line takes by itself is :meth:`bridge.gcode.dialects.Dialect.timeout_for`.
"""

from bridge.gcode.dialects import Dialect
from bridge.gcode.line import read
from bridge.gcode.reply_types import (
    Action,
    Busy,
    FileOpened,
    FileSelected,
    NotPrinting,
    PositionReport,
    PrintDone,
    PrintProgress,
    Reply,
    TemperatureReport,
)

SURPLUS_OK_TIME = 0.3
"""Seconds within which an ``ok`` arrives that acknowledges none of our lines.

Marlin answers ``M108`` and ``M876`` with two (tests/transcripts/marlin: the interrupted
command's and their own); a repeated ``M110`` gets one for each repetition. A round trip
took about 5 ms there; USB adapters and RFC 2217 servers add up to some 100 ms.
"""

WAIT_TIME = 3.0
"""Seconds after a ``wait`` in which the next one is due; it comes every second."""

BOOT_TIME = 5.0
"""Seconds after which a firmware that was reset takes lines again. Boot loaders wait up
to two seconds for a new firmware, then Marlin looks for its display and card."""

_UNSOLICITED = (TemperatureReport, PrintProgress, NotPrinting, PositionReport, Action)
"""What firmwares report by themselves, again and again: autoreports (``M155``,
``M27 S``, ``M154``) and host actions. None of it shows that a line is worked on."""

_AT_ONCE = 2.0
"""Seconds within which no long line is completed. One that has its ``ok`` sooner was
only accepted, and the firmware still carries it out. A slow adapter or network may hold
that ``ok`` back for a second."""


def extension(reply: Reply, line: str, dialect: Dialect) -> float | None:
    """Return how many seconds from now a line may take, because of this reply.

    ``None``: the reply changes nothing. A report every few seconds would hide a lost
    ``ok`` for ever (Q-14), so it extends the time of a long line only, and only if the
    firmware has no ``busy:`` to say that it works. Any other reply belongs to the line;
    but where the firmware says ``busy:``, a short line needs none.

    It does not matter whose heating a report is about: while a command from the card or
    the display waits for a heater, no line is accepted.
    """
    timeout = dialect.timeout_for(line)
    is_short = timeout == dialect.ok_timeout
    if isinstance(reply, Busy) or (
        _reports_heating(reply, dialect) and (is_short or dialect.sends_busy)
    ):
        return dialect.ok_timeout
    if dialect.sends_busy and (is_short or isinstance(reply, _UNSOLICITED)):
        return None
    if is_short and isinstance(reply, _UNSOLICITED):
        return None
    return timeout


def _reports_heating(reply: Reply, dialect: Dialect) -> bool:
    if not isinstance(reply, TemperatureReport):
        return False
    return reply.waiting or dialect.reports_while_heating


def may_print_after_reply(reply: Reply, *, before: bool) -> bool:
    """Return whether a print from the card may be running, after this reply.

    A file that is opened may be one that is started at the display, and its first line
    may home: then nobody could ask for its progress before the silence began.
    """
    if isinstance(reply, NotPrinting | PrintDone):
        return False
    return before or isinstance(reply, PrintProgress | FileOpened | FileSelected)


def starts_print(line: str, dialect: Dialect) -> bool:
    """Return whether a print from the card runs once this line is acknowledged."""
    return read(line, dialect.name).row.starts_print


def busy_until(
    line: str, dialect: Dialect, *, sent_at: float, before: float, now: float
) -> float:
    """Return until when the firmware may still carry out an acknowledged line.

    Where the ``ok`` precedes the work, that is so only for long lines that had it at
    once, or as soon as the line before them was completed; waiting behind all others
    would find a lost line late. A dwell ends by itself (Q-26), and is over where its
    ``ok`` took that long.

    Args:
        line: the line that was acknowledged.
        dialect: the firmware's.
        sent_at: when the line was sent.
        before: this function's result for the line before it.
        now: when its ``ok`` arrived.

    Returns:
        A time in seconds, on the same clock; ``now``: the line is completed.

    """
    timeout = dialect.timeout_for(line)
    if timeout <= dialect.ok_timeout:
        return now
    queued = sent_at < before
    if read(line, dialect.name).row.dwell:
        early = now < sent_at + timeout - dialect.ok_timeout
        return now + timeout if early or queued else now
    at_once = now < sent_at + _AT_ONCE or queued
    return now + timeout if dialect.ok_before_output and at_once else now
