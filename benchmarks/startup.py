"""From the start to online: processor time, memory, and each import's share."""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import stand
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

PROCESSOR, MEMORY = 0.7, 45.0
"""The limits: seconds and MB."""

SHOWN = 12
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")


def start() -> stand.Look:
    """Return the daemon's usage at the moment its printer is operational."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), stand.free_port()
        places = {place.name: place for place in stand.ports(folder, 1)}
        config = stand.configuration(port, places, folder)
        with stand.mosquitto(folder, port), stand.printers(folder, 1):
            online: list[bytes] = []
            client = paho.Client(CallbackAPIVersion.VERSION2)
            client.on_message = lambda _client, _data, heard: online.append(heard.topic)
            client.connect("127.0.0.1", port)
            client.subscribe("+/+/availability")
            client.loop_start()
            with stand.daemon(folder, config) as bridge:
                deadline = time.monotonic() + stand.DEADLINE
                while not online and time.monotonic() < deadline:
                    time.sleep(0.005)
                look = stand.look(bridge.pid)
            client.disconnect()
            client.loop_stop()
    return look


def imports() -> Counter[str]:
    """Return the microseconds that each package takes to be imported, by itself."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import bridge.cli.run"],
        capture_output=True,
        text=True,
        check=True,
    )
    shares: Counter[str] = Counter()
    for microseconds, module in _IMPORT.findall(done.stderr):
        parts = module.split(".")
        name = ".".join(parts[:2]) if parts[0] == "bridge" else parts[0]
        shares[name] += int(microseconds)
    return shares


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(stand.noise())
    # The unit and the image set variables too, and reading them takes time.
    os.environ["BRIDGE_MQTT__HOST"] = "127.0.0.1"
    looks = [start() for _ in range(rounds)]
    processor = statistics.median(look.processor for look in looks)
    memory = statistics.median(look.memory for look in looks)
    print(f"online after {processor:.2f} s of processor time (wanted: {PROCESSOR})")
    print(f"resident memory {memory:.1f} MB (wanted: {MEMORY:g})")
    shares = imports()
    whole = shares.total()
    print(f"imports: {whole / 1e6:.2f} s with the measuring, of which")
    for name, microseconds in shares.most_common(SHOWN):
        print(f"  {name:24} {100 * microseconds / whole:5.1f} %")


if __name__ == "__main__":
    main()
