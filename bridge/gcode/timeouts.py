"""How long to wait for an answer, given what a line does and what the firmware says.

:meth:`bridge.gcode.dialects.Dialect.timeout_for` says how long each line takes by
itself.
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
"""Seconds to wait for a surplus ``ok``, one that acknowledges none of our lines.

Marlin answers ``M108`` and ``M876`` with two: the interrupted command's and their own
(tests/transcripts/marlin/m21-misc.txt). A repeated ``M110`` gets one for each
repetition. A round trip took about 5 ms there; USB adapters and RFC 2217 servers add up
to about 100 ms.
"""

WAIT_TIME = 3.0
"""Seconds after a ``wait`` within which the next one is due. It comes every second
(tests/transcripts/reports/repetier-server-states.log)."""

BOOT_TIME = 5.0
"""Seconds after a reset until the firmware accepts lines. Arduino's boot loaders wait
up to two seconds for a new firmware; then Marlin initializes its display and card."""

_UNSOLICITED = (TemperatureReport, PrintProgress, NotPrinting, PositionReport, Action)
"""Replies that also come without a request: automatic reports (``M155``, ``M27 S``,
``M154``) and host actions. None of them shows that a line is being executed."""

_AT_ONCE = 2.0
"""No long line takes less than this many seconds. If its ``ok`` comes sooner, the line
was only accepted, and the firmware is still executing it. The time includes a slow
adapter or network, which may delay the ``ok`` by a second."""


def extension(reply: Reply, line: str, dialect: Dialect) -> float | None:
    """Return how many more seconds a line may take because of this reply.

    ``None``: the reply changes nothing. A report every few seconds would hide a lost
    ``ok`` forever (Q-14), so it extends only the timeout of a long line, and only if
    the firmware has no ``busy:``. Any other reply belongs to the line; but if the
    firmware has ``busy:``, the timeout of a short line is not extended.

    It does not matter which command a heating report belongs to: while a command from
    the card or the display waits for a heater, no line is accepted.
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

    A file that is opened may have been started at the display, and its first line may
    home the printer; then its progress could not be queried before the silence began.
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
    """Return until when the firmware may still be executing an acknowledged line.

    If the firmware acknowledges before executing, this applies to long lines whose
    ``ok`` came at once, or as soon as the line before them was completed; waiting
    after every line would detect lost lines late. A dwell states its own time (Q-26),
    and is over if its ``ok`` took that long.

    Args:
        line: the line that was acknowledged.
        dialect: the firmware's.
        sent_at: when the line was sent.
        before: this function's result for the line before it.
        now: when its ``ok`` arrived.

    Returns:
        A time in seconds on the same clock; ``now`` if the line is completed.

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
