"""How a line ends: each of its senders is told exactly once."""

from bridge.gcode.events import Done, Event, Failed
from bridge.gcode.window import Line


def finish(line: Line) -> list[Event]:
    """Return the event of a line that was taken, if its sender waits for one."""
    ticket, line.ticket = line.ticket, None
    if ticket is None:
        return []
    return [Done(ticket, tuple(line.output), tuple(line.errors))]


def give_up(line: Line, error: str, message: str) -> list[Event]:
    """Return the event of a line that will not be finished, if its sender waits."""
    ticket, line.ticket = line.ticket, None
    if ticket is None:
        return []
    sent = line.transmissions > 0
    return [Failed(ticket, error, message, sent, tuple(line.output))]
