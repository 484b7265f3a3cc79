"""How long a command of 1,000 lines keeps others waiting, and what refusing it costs.

Another printer's command and its emergency stop are measured from publishing to the
first byte on the wire, in turns with nothing and with a long command that was published
just before. Then long commands are refused at the rate that the default limit allows.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import stand
from emergency import LOST, QUIET, Printer, Publisher

LINES = 1000
RATE = 45
"""Commands a second that are refused; the default of ``limits.rate`` is 50."""

PAUSES = (0.0, 0.002, 0.005, 0.01)
"""Seconds between the long command and the measured one, in turns, so that it meets the
payload's validation as well as the planning."""

MOVES = [
    "G92 E0",
    *(
        f"G1 X{n % 200}.{n % 10} Y{n % 190} E{n % 50} F{1000 + n}"
        for n in range(LINES - 1)
    ),
]


@dataclass(slots=True)
class Result:
    """Seconds from publishing to the wire, with nothing and with a long command."""

    what: str
    target: float
    alone: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)

    def report(self) -> None:
        """Print the medians, and their difference."""
        delay = statistics.median(self.behind) - statistics.median(self.alone)
        print(f"{self.what}, nothing else:      {stand.summary(self.alone)}")
        print(f"{self.what}, {LINES} lines before: {stand.summary(self.behind)}")
        print(f"  delayed by {1e3 * delay:.1f} ms; target {1e3 * self.target:g} ms")


@dataclass(slots=True)
class Stage:
    """A daemon with the printer of the long commands, and the one that is measured."""

    long: Printer
    other: Printer
    sender: Publisher

    def begin(self, pause: float) -> None:
        """Publish a long command, and let this much time pass."""
        self.long.lines.clear()
        self.sender.publish("printers/long/command", {"commands": MOVES})
        if pause:
            time.sleep(pause)

    def end(self) -> None:
        """Acknowledge all lines of the long command."""
        deadline = time.perf_counter() + 60
        while sum(b"G1 " in line for line in self.long.lines) < LINES - 1:
            self.long.serve(0.1)
            self.sender.idle()
            if time.perf_counter() > deadline:
                sys.exit("the long command did not end")
        while self.long.serve(QUIET / 4) is not None:
            pass

    def measured(self, topic: str, payload: Mapping[str, str], text: bytes) -> float:
        """Return the seconds until a line with this text arrives."""
        self.other.lines.clear()
        begun = self.sender.publish(f"printers/other/{topic}", payload)
        while not any(text in line for line in self.other.lines):
            arrived = self.other.serve(LOST)
            if arrived is None:
                sys.exit(f"{text.decode()} did not arrive")
        return arrived - begun


@contextmanager
def stage(limits: Mapping[str, float]) -> Iterator[tuple[Stage, int]]:
    """Run a broker, the daemon and two printers."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), stand.free_port()
        stack.enter_context(stand.mosquitto(folder, port))
        long, other = Printer(folder / "long"), Printer(folder / "other")
        places = {"long": folder / "long", "other": folder / "other"}
        config = stand.configuration(port, places, folder, limits=dict(limits))
        for printer in config["printers"]:  # type: ignore[attr-defined]
            printer["serial"] |= {"ok_timeout": 3600, "firmware": "marlin"}
        daemon = stack.enter_context(stand.daemon(folder, config))
        sender = Publisher(port)
        for one in (long, other):
            while one.serve(QUIET) is not None or not one.lines:
                pass
        yield Stage(long, other, sender), daemon.pid


def measure(on: Stage, count: int) -> tuple[Result, Result]:
    """Measure commands and stops, in turns with nothing and with a long command."""
    command = Result("a command", 0.005)
    stop = Result("a stop", 0.003)
    for number in range(count):
        for result in (command, stop):
            for busy in (False, True):
                if busy:
                    on.begin(PAUSES[number % len(PAUSES)])
                if result is stop:
                    took = on.measured("emergency", {}, b"M112")
                else:
                    text = f"M118 E1 n{number}.{busy:d}"
                    took = on.measured("command", {"command": text}, text.encode())
                (result.behind if busy else result.alone).append(took)
                if busy:
                    on.end()
                if result is stop:
                    on.other.reset()
                on.sender.idle()
    return command, stop


def refuse(on: Stage, pid: int, seconds: float) -> None:
    """Print what long commands cost that are refused at the permitted rate."""
    idle = stand.look(pid)
    time.sleep(seconds / 2)
    before = stand.look(pid)
    for number in range(round(seconds * RATE)):
        on.sender.publish("printers/long/command", {"commands": MOVES})
        on.sender.idle()
        time.sleep(max(0.0, before.at + (number + 1) / RATE - time.perf_counter()))
    after = stand.look(pid)
    if any(b"G1 " in line for line in on.long.lines):
        sys.exit("a long command was not refused")
    busy, quiet = after.share(before), before.share(idle)
    shares = f"{busy:.1f} % of a core, with nothing {quiet:.1f} %"
    print(f"{RATE} commands of {LINES} lines a second refused: {shares}; target 10 %")


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30, help="rounds")
    parser.add_argument("--seconds", type=float, default=10, help="of refusals")
    chosen = parser.parse_args()
    with stage({"queue": 2 * LINES, "rate": 10_000.0}) as (on, _):
        for result in measure(on, chosen.count):
            result.report()
    with stage({}) as (on, pid):
        refuse(on, pid, chosen.seconds)
    print(stand.noise())


if __name__ == "__main__":
    main()
