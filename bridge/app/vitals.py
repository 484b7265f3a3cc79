"""Whether each printer's session makes progress."""

from collections.abc import Iterable

from bridge.app.station import Station

GRACE = 10.0
"""Seconds by which what is due may be late, on a machine with much to do."""


def hung(stations: Iterable[Station], now: float) -> str | None:
    """Return which printer's session makes no progress, or ``None``.

    A session makes progress while nothing that is due is late: an alarm goes off in its
    time, a line that waits has an alarm, a port is opened or given up within its time,
    and a link that has ended lets go of its port. A printer that is away, silent or
    halted is no hindrance: then the next attempt is what is due.

    Args:
        stations: whose sessions.
        now: the event loop's time, in seconds.

    """
    for station in stations:
        late = station.printer.link.late(now)
        if late > GRACE:
            return f"the session of {station.name} hangs since {late:.0f} s"
    return None
