"""From publishing a command to its first byte on the wire: the bridge and bare paho.

Both are measured in turns, so that whatever else the machine does affects both.
"""

import argparse
import json
import os
import random
import select
import socket
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import stand
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

BURST, GAP = 3, 0.002
"""Commands in a burst, and the seconds between them."""

PAUSE = 0.03
"""Seconds between two measurements: less often than the rate limit, no rhythm."""

LOST = 2.0
STALL = 0.03
"""Seconds above which a delayed TCP acknowledgement must have been involved."""

ANSWERS = {
    b"M115": b"FIRMWARE_NAME:Marlin 2.1 (Bench)\nCap:AUTOREPORT_TEMP:0\nok\n",
    b"M105": b"ok T:20.0 /0.0\n",
}


class Port:
    """A printer on a pseudo-terminal that replies ``ok`` and records arrival times."""

    def __init__(self, path: Path) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        path.symlink_to(os.ttyname(self._slave))
        self._rest = b""
        self.lines: list[bytes] = []

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
            os.write(self._master, ANSWERS[codes[0]] if codes else b"ok\n")
        return arrived

    def await_text(self, text: bytes) -> float | None:
        """Return when a line with this text arrived, or nothing if none did."""
        self.lines.clear()
        deadline = time.perf_counter() + LOST
        while (left := deadline - time.perf_counter()) > 0:
            arrived = self.serve(left)
            if any(text in line for line in self.lines):
                return arrived
        return None


class Sender:
    """Publishes from the calling thread, so that no other thread has to wake up."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.connect("127.0.0.1", port)
        while not self._client.is_connected():
            self._client.loop(0.05)
        own = self._client.socket()
        if isinstance(own, socket.socket):
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, topic: str, text: str, qos: int = 0) -> float:
        """Publish a command and return when."""
        payload = json.dumps({"command": text})
        now = time.perf_counter()
        self._client.publish(topic, payload, qos)
        return now

    def idle(self) -> None:
        """Service the connection."""
        self._client.loop(0)


@dataclass(slots=True)
class Lane:
    """One of the two: where it subscribes, where it writes, and how long it took."""

    name: str
    topic: str
    port: Port
    seconds: list[float] = field(default_factory=list)
    lost: int = 0


def measure(lanes: list[Lane], sender: Sender, count: int) -> None:
    """Send single commands to both alternately."""
    for number in range(count):
        for lane in random.sample(lanes, len(lanes)):
            begun = sender.send(lane.topic, f"M117 one{number}.")
            arrived = lane.port.await_text(b"one%d." % number)
            if arrived is None:
                lane.lost += 1
            else:
                lane.seconds.append(arrived - begun)
            rest(lanes, sender, PAUSE)


def measure_bursts(lanes: list[Lane], sender: Sender, count: int) -> None:
    """Send bursts at QoS 0 to both alternately; all but the first message count."""
    for number in range(count):
        for lane in random.sample(lanes, len(lanes)):
            begun = []
            lane.port.lines.clear()
            arrived: dict[int, float] = {}
            for place in range(BURST):
                begun.append(sender.send(lane.topic, f"M117 b{number}x{place}."))
                collect(lane.port, number, arrived, GAP)
            collect(lane.port, number, arrived, LOST)
            lane.lost += BURST - len(arrived)
            lane.seconds += [arrived[p] - begun[p] for p in arrived if p > 0]
            rest(lanes, sender, PAUSE)


def collect(port: Port, number: int, arrived: dict[int, float], within: float) -> None:
    """Record the commands of a burst that arrive within this time."""
    deadline = time.perf_counter() + within
    while (left := deadline - time.perf_counter()) > 0 and len(arrived) < BURST:
        when = port.serve(left)
        for place in range(BURST):
            wanted = b"b%dx%d." % (number, place)
            if when is not None and any(wanted in line for line in port.lines):
                arrived.setdefault(place, when)


def rest(lanes: list[Lane], sender: Sender, seconds: float) -> None:
    """Let time pass while serving both."""
    deadline = time.perf_counter() + seconds * random.uniform(0.7, 1.3)  # noqa: S311 - no secret
    while time.perf_counter() < deadline:
        sender.idle()
        for lane in lanes:
            lane.port.serve(0.001)


@contextmanager
def stage(count: int) -> Iterator[tuple[list[Lane], Sender]]:
    """Run the bridge with this many additional printers, and the baseline."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), stand.free_port()
        stack.enter_context(stand.mosquitto(folder, port))
        ours, theirs = Port(folder / "ours"), Port(folder / "theirs")
        places = {"measured": folder / "ours"}
        if count:
            stack.enter_context(stand.printers(folder, count))
            places |= {place.name: place for place in stand.ports(folder, count)}
        config = stand.configuration(
            port,
            places,
            folder,
            limits={"rate": 1000.0},
            telemetry={"interval": 1.0, "min_interval": 0.5},
        )
        stack.enter_context(stand.daemon(folder, config))
        topic = "baseline/command"
        command = (sys.executable, stand.HERE / "baseline.py", str(port), topic)
        log = folder / "baseline.log"
        stack.enter_context(stand.process(*command, folder / "theirs", log=log))
        lanes = [
            Lane("bridge", "printers/measured/command", ours),
            Lane("bare paho", topic, theirs),
        ]
        sender = Sender(port)
        rest(lanes, sender, 6 + 0.08 * count)
        yield lanes, sender


def report(what: str, lanes: list[Lane]) -> None:
    """Print the results of one part, and clear them."""
    print(f"{what} ({stand.noise()})")
    for lane in lanes:
        if lane.seconds:
            slow = sum(seconds > STALL for seconds in lane.seconds)
            print(
                f"  {lane.name:10} {stand.summary(lane.seconds)}, "
                f"{slow} of {len(lane.seconds)} over 30 ms, {lane.lost} lost"
            )
    if all(lane.seconds for lane in lanes):
        ratio = stand.median(lanes[0].seconds) / stand.median(lanes[1].seconds)
        print(f"  ratio of the medians: {ratio:.2f}", flush=True)
    for lane in lanes:
        lane.seconds.clear()
        lane.lost = 0


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="single commands")
    parser.add_argument("--bursts", type=int, default=100)
    parser.add_argument("--printers", type=int, default=100)
    chosen = parser.parse_args()
    for printers in dict.fromkeys((0, chosen.printers)):
        with stage(printers) as (lanes, sender):
            state = f"{printers} more printers that report each second"
            measure(lanes, sender, chosen.count)
            report(f"single commands, {state}", lanes)
            measure_bursts(lanes, sender, chosen.bursts)
            report(f"2nd and 3rd of bursts 2 ms apart, {state}", lanes)


if __name__ == "__main__":
    main()
