"""From publishing an emergency stop to its first byte on the wire: idle and loaded.

One printer has nothing to do; the other one works on a line and 500 more wait. Both are
stopped in turns by one daemon, so that whatever else the machine does affects both.
"""

import argparse
import json
import os
import select
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import stand
from latency import ANSWERS, Port, Sender

WAITING = 500
CHUNK = 50
"""Lines per command: ten commands make 500 queued lines."""

QUIET = 0.6
"""Seconds without a line after which the set-up of a printer counts as complete."""

LOST = 5.0


class Printer(Port):
    """A printer that never finishes an ``M117``, and is reset after each stop."""

    def serve(self, seconds: float) -> float | None:
        """Acknowledge what arrives in time; return when the first byte arrived."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return None
        arrived = time.perf_counter()
        *lines, self._rest = (self._rest + os.read(self._master, 65_536)).split(b"\n")
        for line in lines:
            self.lines.append(line)
            codes = [code for code in ANSWERS if code in line]
            if b"M117" not in line and line != b"M112":
                os.write(self._master, ANSWERS[codes[0]] if codes else b"ok\n")
        return arrived

    def reset(self) -> None:
        """Reset, and acknowledge lines until the bridge has set up the printer."""
        self._rest = b""
        os.write(self._master, b"start\n")
        while self.serve(QUIET) is not None:
            pass


@dataclass(slots=True)
class Case:
    """One printer: how many lines wait for it, and how long its stops took."""

    name: str
    printer: Printer
    waiting: int
    seconds: list[float] = field(default_factory=list)

    def load(self, sender: Sender) -> None:
        """Keep it busy with one line, with others queued behind."""
        if not self.waiting:
            return
        self.printer.lines.clear()
        for _ in range(self.waiting // CHUNK + 1):
            lines = [f"M117 {number}" for number in range(CHUNK)]
            sender.publish(f"printers/{self.name}/command", {"commands": lines})
        deadline = time.perf_counter() + LOST
        while not any(b"M117" in line for line in self.printer.lines):
            self.printer.serve(0.1)
            if time.perf_counter() > deadline:
                sys.exit(f"{self.name}: the lines did not arrive")
        while self.printer.serve(QUIET) is not None:
            pass

    def stop(self, sender: Sender) -> None:
        """Send one emergency stop, and record how long it took."""
        self.printer.lines.clear()
        begun = sender.publish(f"printers/{self.name}/emergency", {})
        arrived: float | None = begun
        while b"M112" not in self.printer.lines and arrived is not None:
            arrived = self.printer.serve(LOST)  # a query may have come before it
        if arrived is None:
            sys.exit(f"{self.name}: the stop did not arrive: {self.printer.lines}")
        self.seconds.append(arrived - begun)


class Publisher(Sender):
    """Publishes any payload."""

    def publish(self, topic: str, payload: object) -> float:
        """Publish a payload as JSON and return when."""
        text = json.dumps(payload)
        now = time.perf_counter()
        self._client.publish(topic, text, 1)
        return now


@contextmanager
def stage() -> Iterator[tuple[list[Case], Publisher]]:
    """Run a broker, the daemon and two printers."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), stand.free_port()
        stack.enter_context(stand.mosquitto(folder, port))
        cases = [
            Case("idle", Printer(folder / "one"), 0),
            Case("loaded", Printer(folder / "other"), WAITING),
        ]
        places = {"idle": folder / "one", "loaded": folder / "other"}
        limits = {"queue": 10 * WAITING, "rate": 1000.0}
        config = stand.configuration(port, places, folder, limits=limits)
        for printer in config["printers"]:  # type: ignore[attr-defined]
            printer["serial"] |= {"ok_timeout": 3600, "firmware": "marlin"}
        stack.enter_context(stand.daemon(folder, config))
        sender = Publisher(port)
        for case in cases:
            while case.printer.serve(QUIET) is not None or not case.printer.lines:
                pass
        yield cases, sender


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="stops of each printer")
    count: int = parser.parse_args().count
    with stage() as (cases, sender):
        for _ in range(count):
            for case in cases:
                case.load(sender)
                sender.idle()
                case.stop(sender)
                case.printer.reset()
                sender.idle()
        for case in cases:
            print(f"{case.waiting:4} lines wait: {stand.summary(case.seconds)}")
        print(stand.noise())


if __name__ == "__main__":
    main()
