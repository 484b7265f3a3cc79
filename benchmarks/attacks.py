"""What other clients can do to the emergency stop: floods, and takeovers of client ids.

``flood``: clients that may operate the printer send commands at QoS 0 as fast as the
broker reads them, while stops are pressed. ``takeover``: a client without any right
connects with the client ids of two printers, again and again.

The printers are pseudo-terminals of this process: a stop has arrived when ``M112`` is
read from one of them. Stops are pressed on the printers in turn.
"""

import argparse
import base64
import hashlib
import multiprocessing
import os
import re
import select
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import stand
import yaml
from latency import ANSWERS, Port
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy" / "mosquitto"
COMPOSE = ROOT / "docker-compose.yml"
FOLDER = "{folder}"
"""Stands for the folder of the files in a configuration."""

FLOODERS = 3
BLOCK = 200
"""Messages that a flooder hands to the socket at a time."""

PAUSE = 0.2
"""Seconds between two stops."""

LATE = 15.0
"""Seconds after which a stop counts as lost."""

TRUE_WITHIN = 3.0
"""Seconds within which ``availability`` must be true again."""

FLOODER = "flooder-{number}"
"""An account of its own for each, because an account has one connection."""

ENCRYPTED = "# Encrypted, for the network."
"""The beginning of the part of the configuration that needs certificates."""


@dataclass(frozen=True, slots=True)
class Door:
    """How clients reach a broker.

    Attributes:
        bridge: the port for the bridge.
        others: the port for everybody else.
        accounts: whether they need an account; the password is the name.

    """

    bridge: int
    others: int
    accounts: bool


def text(value: str) -> bytes:
    """Return a string as MQTT encodes it."""
    encoded = value.encode()
    return struct.pack("!H", len(encoded)) + encoded


def packet(kind: int, body: bytes) -> bytes:
    """Return an MQTT packet."""
    length, size = bytearray(), len(body)
    while True:
        size, digit = size >> 7, size & 0x7F
        length.append(digit | 0x80 if size else digit)
        if not size:
            return bytes([kind]) + bytes(length) + body


def connect_packet(client_id: str, account: str | None) -> bytes:
    """Return a CONNECT of MQTT 3.1.1."""
    flags = 0x02 if account is None else 0xC2
    body = text("MQTT") + bytes([4, flags]) + struct.pack("!H", 60) + text(client_id)
    if account is not None:
        body += text(account) + text(account)
    return packet(0x10, body)


def flood(port: int, account: str | None, topics: Sequence[str], ends: float) -> None:
    """Publish at QoS 0, as fast as the broker reads, until a point in time."""
    payload = b'{"command": "M117 flood"}'
    block = b"".join(packet(0x30, text(topic) + payload) for topic in topics)
    block *= max(1, BLOCK // len(topics))
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as own:
        own.sendall(connect_packet(f"flooder-{os.getpid()}", account))
        own.recv(4)
        own.settimeout(1)
        while time.monotonic() < ends:
            with suppress(TimeoutError):
                own.sendall(block)


class Wire(Port):
    """A printer that notes when it reads ``M112``, to which it gives no answer."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.stops: list[float] = []
        self.ended = False

    def serve(self, seconds: float) -> float | None:
        """Acknowledge what arrives in time; return when the first byte arrived."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return None
        arrived = time.perf_counter()
        *lines, self._rest = (self._rest + os.read(self._master, 65_536)).split(b"\n")
        for line in lines:
            if b"M112" in line:
                self.stops.append(arrived)
                continue
            codes = [code for code in ANSWERS if code in line]
            os.write(self._master, ANSWERS[codes[0]] if codes else b"ok\n")
        return arrived

    def run(self) -> None:
        """Serve until it is ended."""
        while not self.ended:
            self.serve(0.1)


@contextmanager
def wire(path: Path) -> Iterator[Wire]:
    """Run a printer in a thread."""
    printer = Wire(path)
    thread = threading.Thread(target=printer.run)
    thread.start()
    try:
        yield printer
    finally:
        printer.ended = True
        thread.join()


@dataclass(slots=True)
class Presser:
    """Presses stops, and receives what became of them."""

    door: Door
    availability: list[tuple[float, str, str]] = field(default_factory=list)
    client: paho.Client = field(init=False)

    def __post_init__(self) -> None:
        """Connect."""
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        if self.door.accounts:
            self.client.username_pw_set("homeassistant", "homeassistant")
        self.client.on_message = self._heard
        self.client.on_connect = lambda client, *_: client.subscribe(
            "printers/+/availability", 1
        )
        self.client.on_socket_open = _hurry
        self.client.connect("127.0.0.1", self.door.others)
        self.client.loop_start()

    def press(self, printer: str) -> float:
        """Publish a stop, and return when."""
        begun = time.perf_counter()
        self.client.publish(f"printers/{printer}/emergency", b"", 1)
        return begun

    def _heard(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        printer = message.topic.split("/")[1]
        said = message.payload.decode(errors="replace")
        self.availability.append((time.perf_counter(), printer, said))

    def untrue(self, printer: str, until: float) -> float:
        """Return for how long, at most, ``availability`` was not ``online``."""
        longest, since = 0.0, None
        for at, name, said in [*self.availability, (until, printer, "online")]:
            if name != printer:
                continue
            if said == "online" and since is not None:
                longest, since = max(longest, at - since), None
            elif said != "online" and since is None:
                since = at
        return longest


def _hurry(_client: object, _data: object, own: object) -> None:
    if isinstance(own, socket.socket):
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def shipped_text() -> str:
    """Return the configuration in ``deploy/mosquitto``, without TLS."""
    text = (DEPLOY / "mosquitto.conf").read_text().partition(ENCRYPTED)[0]
    return text.replace("/etc/mosquitto", FOLDER).replace("/var/lib/mosquitto", FOLDER)


def composed_text() -> str:
    """Return the broker's configuration in ``docker-compose.yml``."""
    document = yaml.safe_load(COMPOSE.read_text())
    text: str = document["configs"]["broker"]["content"]
    return text.replace("/mosquitto/config", FOLDER).replace("/mosquitto/data", FOLDER)


@contextmanager
def limited(text: str, folder: Path) -> Iterator[Door]:
    """Run Mosquitto with a configuration of ours."""
    ports = [stand.free_port(), stand.free_port()]
    for listener, port in zip(("1883", "1884"), ports, strict=True):
        ours = f"listener {port} 127.0.0.1"
        text = re.sub(rf"(?m)^listener {listener}\b.*", ours, text)
    text = text.replace(FOLDER, str(folder))
    flooders = [FLOODER.format(number=number) for number in range(FLOODERS)]
    acl = (DEPLOY / "acl").read_text()
    for name in flooders:
        acl += f"user {name}\ntopic write printers/+/head\ntopic write printers/+/bed\n"
    (folder / "acl").write_text(acl)
    others = ["homeassistant", *flooders]
    for name, accounts in (("passwords", others), ("bridge-password", ["bridge"])):
        (folder / name).write_text("".join(map(_password, accounts)))
    user = "user root\n" if os.geteuid() == 0 else ""
    with running(folder, user + text, ports):
        yield Door(bridge=ports[1], others=ports[0], accounts=True)


@contextmanager
def defaults(folder: Path) -> Iterator[Door]:
    """Run Mosquitto with its default settings."""
    port = stand.free_port()
    conf = f"listener {port} 127.0.0.1\nallow_anonymous true\n"
    with running(folder, conf, [port]):
        yield Door(bridge=port, others=port, accounts=False)


@contextmanager
def running(folder: Path, conf: str, ports: Sequence[int]) -> Iterator[None]:
    """Run Mosquitto with a configuration."""
    place = folder / "attacked.conf"
    place.write_text(conf)
    with stand.process(
        stand.mosquitto_binary(), "-c", place, log=folder / "mosquitto.log"
    ):
        for port in ports:
            stand.wait_for_port(port)
        yield


def _password(account: str) -> str:
    salt = b"twelve bytes"
    digest = hashlib.pbkdf2_hmac("sha512", account.encode(), salt, 101)
    shown = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"{account}:$7$101${shown[0]}${shown[1]}\n"


NAMES = ("one", "other")


@contextmanager
def bridge(folder: Path, door: Door) -> Iterator[tuple[Presser, Sequence[Wire], int]]:
    """Run the daemon with two printers; yield a presser, the printers and its pid."""
    with ExitStack() as stack:
        places = {name: folder / name for name in NAMES}
        wires = [stack.enter_context(wire(place)) for place in places.values()]
        config = stand.configuration(door.bridge, places, folder)
        for printer in config["printers"]:  # type: ignore[attr-defined]
            printer["serial"]["firmware"] = "marlin"
        if door.accounts:
            mqtt = config["mqtt"]
            assert isinstance(mqtt, dict)  # noqa: S101 - for the types
            mqtt |= {"username": "bridge", "password": "bridge"}
        process = stack.enter_context(stand.daemon(folder, config))
        presser = Presser(door)
        deadline = time.monotonic() + stand.DEADLINE
        log = folder / "bridge.log"
        while log.read_text().count(" connected firmware") < len(NAMES):
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.1)
        try:
            yield presser, wires, process.pid
            if process.poll() is not None:
                sys.exit(f"the bridge has ended:\n{log.read_text()[-2000:]}")
        finally:
            presser.client.loop_stop()


def press_all(
    presser: Presser, wires: Sequence[Wire], count: int
) -> tuple[list[float], int]:
    """Press stops on the printers in turn; return the times and how many were lost."""
    times, lost = [], 0
    for number in range(count):
        wire = wires[number % len(wires)]
        before = len(wire.stops)
        begun = presser.press(NAMES[number % len(wires)])
        while len(wire.stops) == before and time.perf_counter() < begun + LATE:
            time.sleep(0.001)
        if len(wire.stops) > before:
            times.append(wire.stops[before] - begun)
        else:
            lost += 1
        time.sleep(PAUSE)
    return times, lost


BROKERS = {
    "shipped configuration": lambda folder: limited(shipped_text(), folder),
    "docker-compose.yml": lambda folder: limited(composed_text(), folder),
    "Mosquitto's defaults": defaults,
}
"""Names of brokers, and what runs them."""


def floods(count: int, broker: str) -> int:
    """Print what became of stops in a flood; return how many were lost."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        door = stack.enter_context(BROKERS[broker](folder))
        presser, wires, _ = stack.enter_context(bridge(folder, door))
        ends = time.monotonic() + 60 + count * (PAUSE + 0.5)
        topics = [f"printers/{one}/{rest}" for one in NAMES for rest in ("head", "bed")]
        flooders = [
            multiprocessing.Process(
                target=flood,
                args=(
                    door.others,
                    FLOODER.format(number=number) if door.accounts else None,
                    topics,
                    ends,
                ),
                daemon=True,
            )
            for number in range(FLOODERS)
        ]
        for flooder in flooders:
            flooder.start()
        time.sleep(2)
        times, lost = press_all(presser, wires, count)
        for flooder in flooders:
            flooder.terminate()
            flooder.join()
    _print(f"flood, {broker}", times, lost, count)
    return lost


def takeovers(minutes: float) -> int:
    """Print what became of stops while client ids are taken over."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        door = stack.enter_context(defaults(folder))
        presser, wires, pid = stack.enter_context(bridge(folder, door))
        begun, log = time.perf_counter(), folder / "bridge.log"
        ends = time.monotonic() + 60 * minutes
        attack = multiprocessing.Process(
            target=take_over,
            args=(door.others, log, ends),
            daemon=True,
        )
        attack.start()
        times: list[float] = []
        lost = count = 0
        while time.monotonic() < ends:
            more, missed = press_all(presser, wires, 5)
            times, lost, count = [*times, *more], lost + missed, count + 5
        attack.join()
        now = time.perf_counter()
        untrue = max(presser.untrue(one, now) for one in NAMES)
        memory = stand.look(pid).memory
        _print(f"takeover, {minutes:g} minutes", times, lost, count)
        print(
            f"availability was untrue for {untrue:.1f} s at most; the bridge has "
            f"connected {log.read_text().count(' connected as ')} times and has "
            f"{memory:.0f} MB after {now - begun:.0f} s"
        )
    return lost + (untrue > TRUE_WITHIN)


def take_over(port: int, log: Path, ends: float) -> None:
    """Connect once a second with what could be the printers' ids, and with their own.

    Nobody should know the latter: they are read from the bridge's log, once.
    """
    known = re.findall(r"connected as (\S+),", log.read_text())[: len(NAMES)]
    guessed = [f"gcode2mqtt-{one}" for one in NAMES]
    while time.monotonic() < ends:
        for client_id in (*guessed, *known):
            with suppress(OSError):
                one = socket.create_connection(("127.0.0.1", port), 5)
                with one:
                    one.sendall(connect_packet(client_id, None))
                    one.recv(4)
        time.sleep(1)


def _print(what: str, times: Sequence[float], lost: int, count: int) -> None:
    shown = ""
    if times:
        median, worst = 1000 * statistics.median(times), 1000 * max(times)
        shown = f", median {median:.0f} ms, worst {worst:.0f} ms"
    print(f"{what}: {lost} of {count} stops lost{shown} ({stand.noise()})", flush=True)


def main() -> int:
    """Measure and print; exit code 1 if a stop was lost or availability untrue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attack", choices=("flood", "takeover"))
    parser.add_argument("--count", type=int, default=200, help="stops in each flood")
    parser.add_argument("--minutes", type=float, default=2.0, help="of takeovers")
    chosen = parser.parse_args()
    if chosen.attack == "takeover":
        return int(takeovers(chosen.minutes) > 0)
    return int(sum(floods(chosen.count, broker) for broker in BROKERS) > 0)


if __name__ == "__main__":
    sys.exit(main())
