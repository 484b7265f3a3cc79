"""A host for the simulated firmware that sends lines and reads the replies."""

from bridge.gcode.framing import encode
from bridge.simulator.firmware import Firmware


class Talk:
    """A conversation with its own clock.

    Attributes:
        firmware: who answers.
        now: the time, in seconds.

    """

    def __init__(self, firmware: Firmware) -> None:
        self.firmware = firmware
        self.now = 0.0

    def send(self, line: str, number: int | None = None) -> list[str]:
        """Send a line; return the immediate replies."""
        return self.send_bytes(encode(line, number))

    def send_bytes(self, data: bytes) -> list[str]:
        """Send bytes; return the immediate replies."""
        return lines(self.firmware.receive_data(data, self.now))

    def press(self, action: str, *arguments: str | float) -> list[str]:
        """Do something at the printer; return the immediate output."""
        return lines(self.firmware.panel(action, *arguments, now=self.now))

    def wait(self, seconds: float) -> list[str]:
        """Let time pass; return the output in the meantime."""
        heard = []
        end = self.now + seconds
        while (due := self.firmware.next_event(self.now)) is not None and due <= end:
            self.now = due
            heard += lines(self.firmware.handle_time(self.now))
        self.now = end
        return heard + lines(self.firmware.handle_time(end))

    def ask(self, line: str, within: float = 1000.0) -> list[str]:
        """Send a line; return the replies up to its ``ok``, and fail without one."""
        heard = self.send(line)
        deadline = self.now + within
        while not any(reply.split(" ")[0] == "ok" for reply in heard):
            due = self.firmware.next_event(self.now)
            assert due is not None, f"{line}: no ok, and nothing will happen: {heard}"
            assert due <= deadline, f"{line}: no ok within {within} s: {heard}"
            self.now = due
            heard += lines(self.firmware.handle_time(self.now))
        return heard


def lines(data: bytes) -> list[str]:
    r"""Return the lines that a firmware sent, without their ``\n``."""
    return data.decode("latin-1").split("\n")[:-1]
