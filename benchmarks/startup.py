"""From the start to online: time, processor time, memory, and each import's share."""

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

WALL, PROCESSOR, MEMORY = 0.4, 0.7, 45.0
"""The limits: seconds until the broker has ``online``, seconds of processor time until
the printer is operational, and MB then."""

MOMENTS = ("availability", "connection")

SHOWN = 12
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")


def start() -> tuple[float, float, stand.Look]:
    """Return the seconds to two moments, and the daemon's usage at the second.

    The moments are ``availability`` and ``connection`` becoming ``online``: the broker
    knows the bridge, and the bridge its printer.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), stand.free_port()
        places = {place.name: place for place in stand.ports(folder, 1)}
        config = stand.configuration(port, places, folder)
        with stand.mosquitto(folder, port), stand.printers(folder, 1):
            at: dict[str, float] = {}
            client = paho.Client(CallbackAPIVersion.VERSION2)

            def note(_client: object, _data: object, heard: paho.MQTTMessage) -> None:
                if heard.payload == b"online":
                    at.setdefault(heard.topic.rpartition("/")[2], time.perf_counter())

            client.on_message = note
            client.connect("127.0.0.1", port)
            client.subscribe("+/+/+")
            client.loop_start()
            begun = time.perf_counter()
            with stand.daemon(folder, config) as bridge:
                deadline = time.monotonic() + stand.DEADLINE
                while len(at) < len(MOMENTS) and time.monotonic() < deadline:
                    time.sleep(0.002)
                look = stand.look(bridge.pid)
            client.disconnect()
            client.loop_stop()
    known, operational = (at[name] - begun for name in MOMENTS)
    return known, operational, look


def imports() -> Counter[str]:
    """Return the microseconds that each package takes to be imported, by itself."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import bridge.cli.run"],
        capture_output=True,
        text=True,
        check=True,
        env=stand.environment(),
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
    start()  # its bytecode may have to be compiled
    starts = [start() for _ in range(rounds)]
    known, operational = (statistics.median(x[i] for x in starts) for i in (0, 1))
    looks = [look for _, _, look in starts]
    processor = statistics.median(look.processor for look in looks)
    memory = statistics.median(look.memory for look in looks)
    print(f"the broker has online after {known:.2f} s (wanted: {WALL})")
    print(f"the printer is operational after {operational:.2f} s")
    print(f"by then {processor:.2f} s of processor time (wanted: {PROCESSOR})")
    print(f"resident memory {memory:.1f} MB (wanted: {MEMORY:g})")
    shares = imports()
    whole = shares.total()
    print(f"imports: {whole / 1e6:.2f} s with the measuring, of which")
    for name, microseconds in shares.most_common(SHOWN):
        print(f"  {name:24} {100 * microseconds / whole:5.1f} %")


if __name__ == "__main__":
    main()
