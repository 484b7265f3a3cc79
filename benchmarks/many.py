"""Many printers in one process: processor time and memory."""

import argparse
import tempfile
import time
from pathlib import Path

import stand
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

SETTLED = 25.0
"""Seconds after which everything is done that is done once after connecting. After 10
s, Home Assistant is told what has become known; the temperatures follow for 8 s."""


class Watcher:
    """Counts what the bridge publishes, in paho's own thread."""

    def __init__(self, port: int) -> None:
        self.temperatures = 0
        self.messages = 0
        self.online: set[str] = set()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._count
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#")
        self._client.loop_start()

    def _count(self, _client: object, _data: object, heard: paho.MQTTMessage) -> None:
        self.messages += 1
        base, _, rest = heard.topic.removeprefix("printers/").partition("/")
        self.temperatures += rest == "temperature"
        if rest == "connection" and heard.payload == b"online":
            self.online.add(base)

    def wait(self, count: int) -> float:
        """Return how long it took until this many printers were operational."""
        begun = time.monotonic()
        while len(self.online) < count:
            if time.monotonic() - begun > stand.DEADLINE:
                raise SystemExit(f"only {len(self.online)} of {count} came online")
            time.sleep(0.02)
        return time.monotonic() - begun

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def measure(count: int, seconds: float, interval: float) -> stand.Look:
    """Print what this many printers cost; return the last sample of the process."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), stand.free_port()
        places = {place.name: place for place in stand.ports(folder, count)}
        telemetry = {"interval": interval, "min_interval": interval / 2}
        config = stand.configuration(port, places, folder, telemetry=telemetry)
        with (
            stand.mosquitto(folder, port),
            stand.printers(folder, count),
            stand.daemon(folder, config) as bridge,
        ):
            watcher = Watcher(port)
            took = watcher.wait(count)
            time.sleep(SETTLED)
            before, reports = stand.look(bridge.pid), watcher.temperatures
            messages = watcher.messages
            time.sleep(seconds)
            after = stand.look(bridge.pid)
            reports = watcher.temperatures - reports
            messages = watcher.messages - messages
            watcher.close()
    lines = max(1, count * seconds / interval)
    each = 1e6 * (after.processor - before.processor) / lines
    print(
        f"{count:4} printers: {after.share(before):5.1f} % of a core, "
        f"{after.memory:6.1f} MB, {after.descriptors} descriptors, "
        f"{each:5.0f} µs for each report on the line, "
        f"{reports / seconds:.0f} temperatures and {messages / seconds:.0f} messages "
        f"a second published, all online after {took:.1f} s",
        flush=True,
    )
    return after


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--printers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--interval", type=float, default=1.0, help="of the reports")
    chosen = parser.parse_args()
    print(stand.noise())
    one = measure(1, chosen.seconds / 3, chosen.interval)
    all_of_them = measure(chosen.printers, chosen.seconds, chosen.interval)
    each = (all_of_them.memory - one.memory) / max(1, chosen.printers - 1)
    print(f"memory for each printer: {each:.2f} MB; {stand.noise()}")


if __name__ == "__main__":
    main()
