"""Half an hour of faults on both sides: memory and descriptors must stay constant."""

import argparse
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import attacks
import stand
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

PRINTERS = 5
QUIET = 90.0
"""Seconds allowed for everything to recover at the end: after a takeover of its client
id, the bridge waits for up to a minute before it connects again."""

STANDSTILL = (1.0, 12.0)
"""Seconds for which the bridge is stopped; the longest are more than twice the
keep-alive interval."""

SLOW_CLIENTS = 200

HANG = 12.0
"""Seconds that the broker hangs: longer than the bridge's keep-alive interval."""

LOOK = 5.0
"""Seconds between two samples of the process."""

WARM_UP = 60.0
"""Seconds until everything has happened once and caches are filled."""


class Crowd:
    """Clients that send requests, commands and nonsense, and count the responses."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self.chance = chance
        self._port = port
        self._number = 0
        self.asked: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.state: dict[str, str] = {}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, client_id="crowd"
        )
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_message = self._hear
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(1, 2)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def act(self) -> None:
        """Perform one random action of a client."""
        base = f"printers/printer{self.chance.randrange(PRINTERS)}"
        kinds = (
            self._jog,
            self._jog,
            self._heat,
            self._ask,
            self._burst,
            self._nonsense,
            self._forge,
            self._stop,
        )
        if self._client.is_connected():
            self.chance.choice(kinds)(base)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self, topic: str, document: dict[str, object]) -> None:
        self._number += 1
        name = f"soak-{self._number}"
        told = self._client.publish(topic, json.dumps({**document, "id": name}), 1)
        if told.rc == paho.MQTT_ERR_SUCCESS:
            self.asked.add(name)

    def _jog(self, base: str) -> None:
        step = self.chance.choice([-1, 1])
        self._send(f"{base}/head", {"command": "jog", "x": step})

    def _heat(self, base: str) -> None:
        target = self.chance.randrange(40, 60)
        self._send(f"{base}/bed", {"command": "target", "target": target})

    def _ask(self, base: str) -> None:
        self._send(f"{base}/request/state", {"history": True})

    def _burst(self, base: str) -> None:
        for _ in range(300):
            self._send(f"{base}/command", {"command": "M105"})

    def _nonsense(self, base: str) -> None:
        garbage = self.chance.randbytes(self.chance.randrange(200_000))
        self._client.publish(f"{base}/command", garbage, 0)
        self._client.publish(f"{base}/nothing", b"[1, 2", 1)
        self._client.publish(f"{base}/head", b'{"command": "home"}', 1, retain=True)

    def _forge(self, base: str) -> None:
        """Publish what only the bridge should publish."""
        other = json.dumps({"instance": self.chance.choice(["0", "f" * 32])})
        for rest, payload in (
            ("info", other),
            ("availability", "offline"),
            ("state", '{"forged": true}'),
            ("temperature/forged", "{}"),
        ):
            self._client.publish(f"{base}/{rest}", payload, 1, retain=True)
        self._client.publish("homeassistant/status", "online", 0)

    def _stop(self, base: str) -> None:
        """Stop a machine; sooner or later, somebody resets it."""
        if not self.chance.randrange(10):
            self._send(f"{base}/emergency", {})

    def _hear(self, _client: object, _data: object, heard: paho.MQTTMessage) -> None:
        rest = heard.topic.rpartition("/")[2]
        if rest == "response":
            answer = json.loads(heard.payload)
            self.answers[answer.get("error") or answer["status"]] += 1
            self.asked.discard(answer.get("id"))
        elif rest in {"availability", "connection"}:
            self.state[heard.topic] = heard.payload.decode()


class Attacker:
    """Attacks with raw packets: floods, takeovers, odd properties and slow clients."""

    def __init__(self, port: int, http: int, log: Path, chance: random.Random) -> None:
        self._port, self._http, self._log = port, http, log
        self._chance = chance
        self._held: list[socket.socket] = []
        self.count: Counter[str] = Counter()

    def act(self) -> None:
        """Attack once in a random way."""
        kinds = (self.flood, self.take_over, self.odd_properties, self.slow_clients)
        kind = self._chance.choice(kinds)
        self.count[kind.__name__] += 1
        with suppress(OSError):  # the broker may be away
            kind()

    def close(self) -> None:
        """Disconnect all slow clients."""
        for one in self._held:
            one.close()
        self._held.clear()

    def flood(self) -> None:
        """Publish at QoS 0 as fast as the broker reads."""
        names = [f"printers/printer{number}/head" for number in range(PRINTERS)]
        attacks.flood(self._port, None, names, time.monotonic() + 0.5)

    def take_over(self) -> None:
        """Connect with the client ids of the bridge, and with what they could be."""
        known = re.findall(r"connected as (\S+),", self._log.read_text())[-PRINTERS:]
        guessed = [f"gcode2mqtt-printer{number}" for number in range(PRINTERS)]
        for client_id in self._chance.sample([*known, *guessed], 3):
            with socket.create_connection(("127.0.0.1", self._port), 5) as own:
                own.sendall(attacks.connect_packet(client_id, None))
                own.recv(4)

    def odd_properties(self) -> None:
        """Send properties of MQTT 5 that nobody expects."""
        topic = attacks.text(f"printers/printer{self._chance.randrange(PRINTERS)}/head")
        with socket.create_connection(("127.0.0.1", self._port), 5) as own:
            body = attacks.text("MQTT") + b"\x05\x02\x00\x3c\x00\x00\x00"
            own.sendall(attacks.packet(0x10, body))
            own.recv(100)
            for extra in (
                b"\x26\x00\x00\x00\x00" * 50_000,
                b"\x01\x07",
                b"\x08" + attacks.text("printers/printer0/emergency"),
                b"\x09\xff\xff" + b"c" * 65_535,
            ):
                own.sendall(attacks.packet(0x30, topic + _sized(extra) + b"{}"))
            own.settimeout(1)
            own.recv(100)

    def slow_clients(self) -> None:
        """Hold connections to the metrics without asking for anything."""
        self.close()
        for _ in range(SLOW_CLIENTS):
            one = socket.create_connection(("127.0.0.1", self._http), 1)
            self._held.append(one)
            one.sendall(
                self._chance.choice([b"G", b"GET /metrics HTTP/1.1\r\n", b"\0"])
            )


def _sized(extra: bytes) -> bytes:
    """Return MQTT 5 properties with their length."""
    return attacks.packet(0, extra)[1:]


class Broker:
    """A Mosquitto that crashes, hangs and restarts."""

    def __init__(self, folder: Path, port: int) -> None:
        self._stack = ExitStack()
        self._folder, self._port = folder, port
        self._process = self._start()

    def kill(self) -> None:
        """Crash, and restart without retained messages."""
        self._process.kill()
        self._process.wait()
        time.sleep(2)
        self._stack.close()
        self._process = self._start()

    def hang(self, seconds: float) -> None:
        """Neither respond nor close anything for a while."""
        os.kill(self._process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop for good."""
        self._stack.close()

    def _start(self) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(stand.mosquitto(self._folder, self._port))


def soak(seconds: float, seed: int) -> bool:
    """Run and print; return whether all went well."""
    chance = random.Random(seed)  # noqa: S311 - a plan of faults, no secret
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), stand.free_port()
        broker = Broker(folder, port)
        stack.callback(broker.close)
        faults, http = ("--faults", "--seed", str(seed)), stand.free_port()
        stack.enter_context(stand.printers(folder, PRINTERS, *faults))
        places = {place.name: place for place in stand.ports(folder, PRINTERS)}
        config = stand.configuration(
            port, places, folder, telemetry={"interval": 1.0, "history": 1.0}
        )
        config["mqtt"] |= {"keepalive": 5, "will_delay": 1}  # type: ignore[operator]
        config["metrics"] = {"port": http}
        bridge = stack.enter_context(stand.daemon(folder, config))
        crowd = Crowd(port, chance)
        stack.callback(crowd.close)
        attacker = Attacker(port, http, folder / "bridge.log", chance)
        stack.callback(attacker.close)
        looks = suffer(bridge.pid, broker, crowd, attacker, seconds)
        attacker.close()
        print(f"attacks: {dict(attacker.count)}")
        back = comes_back(crowd)
        lost = (
            (folder / "mosquitto.log").read_text().count("messages are being dropped")
        )
        print(f"the broker said {lost} times that it drops messages")
        trouble = (folder / "bridge.log").read_text().count("Traceback")
        alive = bridge.poll() is None
    report(looks, crowd, back=back)
    print(f"tracebacks: {trouble}; the process {'lives' if alive else 'has died'}")
    return alive and back and not trouble


def suffer(
    pid: int, broker: Broker, crowd: Crowd, attacker: Attacker, seconds: float
) -> list[stand.Look]:
    """Inject faults, attack, and sample the process."""
    looks: list[stand.Look] = []
    begun = time.perf_counter()
    next_look, next_fault, next_attack = begun + LOOK, begun + 20, begun + 10
    while (now := time.perf_counter()) < begun + seconds:
        crowd.act()
        time.sleep(0.1)
        if now >= next_look:
            next_look = now + LOOK
            looks.append(stand.look(pid))
            latest = looks[-1]
            print(
                f"{now - begun:6.0f} s {latest.memory:6.1f} MB "
                f"{latest.descriptors:4} descriptors",
                flush=True,
            )
        if now >= next_attack:
            next_attack = now + crowd.chance.uniform(2, 8)
            attacker.act()
        if now >= next_fault:
            next_fault = now + crowd.chance.uniform(15, 30)
            fault(pid, broker, crowd.chance)
    return looks


def fault(pid: int, broker: Broker, chance: random.Random) -> None:
    """Let the broker or the process suffer from something."""
    match chance.randrange(4):
        case 0:
            broker.kill()
        case 1:
            broker.hang(HANG)
        case 2:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(*STANDSTILL))
            os.kill(pid, signal.SIGCONT)
        case _:
            for _ in range(20):
                os.kill(pid, signal.SIGHUP)
                time.sleep(0.02)


def comes_back(crowd: Crowd) -> bool:
    """Return whether every printer's bridge has recovered at the end."""
    deadline = time.monotonic() + QUIET
    while time.monotonic() < deadline:
        said = [value for key, value in crowd.state.items() if "availability" in key]
        if said.count("online") == PRINTERS:
            return True
        time.sleep(0.2)
    return False


def report(looks: list[stand.Look], crowd: Crowd, *, back: bool) -> None:
    """Print the results."""
    steady = [one for one in looks if one.at >= looks[0].at + WARM_UP] or looks
    third = max(1, len(steady) // 3)
    for name, part in (("first", steady[:third]), ("last", steady[-third:])):
        memory = statistics.median(one.memory for one in part)
        descriptors = statistics.median(one.descriptors for one in part)
        print(
            f"{name} third after the first minute: {memory:.1f} MB, {descriptors:.0f}"
        )
    share = looks[-1].share(looks[0])
    print(f"processor: {share:.1f} % of a core; answers: {dict(crowd.answers)}")
    print(f"asked without an answer (the broker was away): {len(crowd.asked)}")
    print(f"all bridges online in the end: {back}; {stand.noise()}")


def main() -> None:
    """Read the command line and soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if not soak(60 * chosen.minutes, chosen.seed):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
