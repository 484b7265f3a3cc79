"""Half an hour of faults on both sides: memory and descriptors must stay constant."""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import stand
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

PRINTERS = 5
QUIET = 30.0
"""Seconds allowed for everything to recover at the end."""

HANG = 12.0
"""Seconds that the broker hangs: longer than the bridge's keep-alive interval."""

LOOK = 5.0
"""Seconds between two samples of the process."""

WARM_UP = 60.0
"""Seconds until everything has happened once and caches are filled."""


class Crowd:
    """Clients that send requests, commands and nonsense, and count the responses."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self._chance = chance
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
        base = f"printers/printer{self._chance.randrange(PRINTERS)}"
        kinds = (
            self._jog,
            self._jog,
            self._heat,
            self._ask,
            self._burst,
            self._nonsense,
        )
        if self._client.is_connected():
            self._chance.choice(kinds)(base)

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
        step = self._chance.choice([-1, 1])
        self._send(f"{base}/head", {"command": "jog", "x": step})

    def _heat(self, base: str) -> None:
        target = self._chance.randrange(40, 60)
        self._send(f"{base}/bed", {"command": "target", "target": target})

    def _ask(self, base: str) -> None:
        self._send(f"{base}/request/state", {"history": True})

    def _burst(self, base: str) -> None:
        for _ in range(300):
            self._send(f"{base}/command", {"command": "M105"})

    def _nonsense(self, base: str) -> None:
        garbage = self._chance.randbytes(self._chance.randrange(200_000))
        self._client.publish(f"{base}/command", garbage, 0)
        self._client.publish(f"{base}/nothing", b"[1, 2", 1)
        self._client.publish(f"{base}/head", b'{"command": "home"}', 1, retain=True)

    def _hear(self, _client: object, _data: object, heard: paho.MQTTMessage) -> None:
        rest = heard.topic.rpartition("/")[2]
        if rest == "response":
            answer = json.loads(heard.payload)
            self.answers[answer.get("error") or answer["status"]] += 1
            self.asked.discard(answer.get("id"))
        elif rest in {"availability", "connection"}:
            self.state[heard.topic] = heard.payload.decode()


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
        faults = ("--faults", "--seed", str(seed))
        stack.enter_context(stand.printers(folder, PRINTERS, *faults))
        places = {place.name: place for place in stand.ports(folder, PRINTERS)}
        config = stand.configuration(
            port, places, folder, telemetry={"interval": 1.0, "history": 1.0}
        )
        config["mqtt"] |= {"keepalive": 5, "will_delay": 1}  # type: ignore[operator]
        bridge = stack.enter_context(stand.daemon(folder, config))
        crowd = Crowd(port, chance)
        stack.callback(crowd.close)
        looks = suffer(bridge.pid, broker, crowd, chance, seconds)
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
    pid: int, broker: Broker, crowd: Crowd, chance: random.Random, seconds: float
) -> list[stand.Look]:
    """Inject faults, and sample the process."""
    looks: list[stand.Look] = []
    begun = time.perf_counter()
    next_look, next_fault = begun + LOOK, begun + 20
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
        if now >= next_fault:
            next_fault = now + chance.uniform(15, 30)
            if chance.choice([True, False]):
                broker.kill()
            else:
                broker.hang(HANG)
    return looks


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
