"""A conversation as a test writes it down: the host's lines and the firmware's."""

from bridge.gcode.dialects import Dialect
from bridge.gcode.events import Connected, Done, Event, Failed, LinkFailed
from bridge.gcode.protocol import Protocol


class Dialogue:
    """A protocol and a clock; the test is the firmware."""

    def __init__(self, dialect: Dialect, *, connect_timeout: float = 30.0) -> None:
        self.protocol = Protocol(dialect, connect_timeout=connect_timeout)
        self.now = 0.0
        self._line = ""

    def sends(self) -> str:
        """Return the line that the host sends now, without number and checksum."""
        line, self._line = self._line or self._next(), ""
        return line

    def _next(self) -> str:
        line = self.protocol.data_to_send(self.now).decode().rstrip("\n")
        if line.startswith("N"):
            line = line.partition(" ")[2].rpartition("*")[0]
        return line

    def hears(self, *lines: str) -> list[Event]:
        """Return the events of these lines of the firmware."""
        data = "".join(f"{line}\n" for line in lines).encode("latin-1")
        return self.protocol.receive_data(data, self.now)

    def waits(self, seconds: float) -> list[Event]:
        """Let time pass until the host has something to send, or this much."""
        end = self.now + seconds
        events: list[Event] = []
        while (due := self.protocol.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            events += self.protocol.handle_timeout(self.now)
            if any(isinstance(event, Done | Failed | LinkFailed) for event in events):
                return events
            self._line = self._next()
            if self._line:
                return events
        self.now = end
        return events


def connected(dialect: Dialect) -> Dialogue:
    """Return a dialogue whose handshake is complete."""
    talk = Dialogue(dialect)
    assert talk.sends().startswith("M110")
    assert talk.hears("ok") == []
    talk.waits(1)
    assert talk.sends() == "M105"
    assert Connected() in talk.hears("ok T:20.0 /0.0")
    return talk
