"""A print that everything disturbs at once: how many lines a second remain.

    disturbed.py [--lines N] [--baud B] [--rounds N]

The file is a circle of 720 edges, again and again, as it is printed at twice the usual
speed: as many short moves as the line takes. It is printed in turns: alone; with the
disturbances at another daemon; and with the disturbances at the daemon that prints.
These are uploads of 200 MB one after another, questions over HTTP on two connections as
fast as they are answered, questions over MQTT (200 a second), and after a third of the
time a broker that hangs: it is stopped, and its connection stays open.

What the same disturbances cost at another daemon is what the machine takes away by
itself, because clients, broker, disk and check of the files need its cores as well. The
firmware in C checks that each move arrives once and in order, and takes the time from
the first move to the last.
"""

import argparse
import http.client
import json
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import stand
import streaming
import upload
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

EDGES = 720
QUESTIONS = ("api/job", "api/printer", "api/files", "api/settings")
TOPICS = ("state", "job", "files", "temperature")
ASKED = 200
"""Questions a second over MQTT."""


def write_file(path: Path, lines: int) -> None:
    """Write a circle of 25 mm radius, again and again."""
    with path.open("w") as file:
        for i in range(lines):
            if not i % EDGES:
                file.write(f";LAYER_CHANGE\n;Z:{i // EDGES * 0.2:.3f}\n")
            angle = 2 * math.pi * (i % EDGES) / EDGES
            x, y = 100 + 25 * math.cos(angle), 100 + 25 * math.sin(angle)
            file.write(f"G1 X{x:.3f} Y{y:.3f} E{i // 1000}.{i % 1000:03}\n")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A daemon with a printer, its broker, and its HTTP address."""

    process: subprocess.Popen[bytes]
    broker: subprocess.Popen[bytes]
    mqtt: int
    http: int

    def ask(self, path: str, body: object = None) -> tuple[int, bytes]:
        """Ask something; return the status and the answer."""
        client = http.client.HTTPConnection("127.0.0.1", self.http, timeout=60)
        headers = {"X-Api-Key": upload.KEY, "Content-Type": "application/json"}
        method = "GET" if body is None else "POST"
        data = None if body is None else json.dumps(body)
        client.request(method, f"/printer0/{path}", data, headers)
        answer = client.getresponse()
        content = answer.read()
        client.close()
        return answer.status, content

    def prints(self) -> bool:
        """Return whether it is printing."""
        state = str(json.loads(self.ask("api/job")[1])["state"])
        return state not in {"Operational", "Offline"}


@contextmanager
def bridge(folder: Path, printer: Path, lines: int) -> Iterator[Bridge]:
    """Run a daemon that has the file, if there are lines."""
    folder.mkdir()
    mqtt, port = stand.free_port(), stand.free_port()
    files = folder / "files/printer0"
    files.mkdir(parents=True)
    if lines:
        write_file(files / "circle.gcode", lines)
    (folder / "keys").write_text(f"{upload.KEY}\n")
    (folder / "keys").chmod(0o600)
    config = stand.configuration(
        mqtt,
        {"printer0": printer},
        folder,
        upload={
            "enabled": True,
            "listen": f"127.0.0.1:{port}",
            "keys_file": str(folder / "keys"),
        },
        files={"folder": str(folder / "files"), "keep_free": 0},
    )
    with (
        stand.mosquitto(folder, mqtt) as broker,
        stand.daemon(folder, config) as running,
    ):
        stand.wait_for_port(port)
        found = Bridge(running, broker, mqtt, port)
        deadline = time.monotonic() + stand.DEADLINE
        while found.ask("api/printer")[0] != 200:  # noqa: PLR2004 - OK
            if time.monotonic() > deadline:
                sys.exit("the printer is not operational")
            time.sleep(0.2)
        try:
            yield found
        finally:
            broker.send_signal(signal.SIGCONT)


def disturb(target: Bridge, over: threading.Event, third: float) -> None:
    """Disturb a daemon until the print is over; run in a process of its own."""
    work = [
        threading.Thread(target=_upload, args=(target, over)),
        *(threading.Thread(target=_ask, args=(target, over)) for _ in range(2)),
    ]
    for thread in work:
        thread.start()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", target.mqtt)
    client.loop_start()
    begun = time.monotonic()
    number = 0
    while not over.is_set() and time.monotonic() < begun + third:
        client.publish(f"printers/printer0/request/{TOPICS[number % len(TOPICS)]}")
        number += 1
        time.sleep(1 / ASKED)
    target.broker.send_signal(signal.SIGSTOP)
    over.wait()
    target.broker.send_signal(signal.SIGCONT)
    client.loop_stop()
    for thread in work:
        thread.join()


def _upload(target: Bridge, over: threading.Event) -> None:
    command = [sys.executable, upload.__file__, "send", str(target.http), "200", "10"]
    while not over.is_set():
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as sender:
            while sender.poll() is None:
                if over.wait(0.1):
                    sender.kill()


def _ask(target: Bridge, over: threading.Event) -> None:
    number = 0
    while not over.is_set():
        target.ask(QUESTIONS[number % len(QUESTIONS)])
        number += 1


def print_once(arguments: argparse.Namespace, where: str) -> tuple[float, float]:
    """Print the file; return the lines a second, and the processor time for 1000."""
    lines, over = arguments.lines, threading.Event()
    options = ["--baud", str(arguments.baud)] if arguments.baud else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = streaming.build(folder, "firmware")
        with (
            streaming.firmware(program, folder / "one", options) as said,
            streaming.firmware(program, folder / "two", options),
            bridge(folder / "a", folder / "one", lines) as printing,
            bridge(folder / "b", folder / "two", 0) as other,
        ):
            time.sleep(3)  # the file is being checked
            targets = {"here": printing, "elsewhere": other}
            third = lines / (arguments.baud / 480 if arguments.baud else 5000) / 3
            command = {"command": "select", "print": True}
            used = streaming.processor(printing.process.pid)
            status, text = printing.ask("api/files/local/circle.gcode", command)
            if status != 204:  # noqa: PLR2004 - No Content
                sys.exit(f"it does not begin: {status} {text!r}")
            worker = None
            if where in targets:
                work = (targets[where], over, third)
                worker = threading.Thread(target=disturb, args=work)
                worker.start()
            while printing.prints():
                time.sleep(0.5)
            used = streaming.processor(printing.process.pid) - used
            over.set()
            if worker is not None:
                worker.join()
    counted = json.loads(said[0])
    if counted["moves"] != lines or counted["disordered"]:
        sys.exit(f"of {lines} lines arrived {counted}")
    return lines / counted["seconds"], 1e6 * used / lines


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--baud", type=int, default=250_000, help="0: unlimited")
    arguments = parser.parse_args()
    ratios = []
    for _ in range(arguments.rounds):
        speed = {}
        for where in ("nowhere", "elsewhere", "here"):
            speed[where], used = print_once(arguments, where)
            print(
                f"disturbed {where}: {speed[where]:.1f} lines/s, {used:.0f} ms of "
                f"processor time for 1000 lines; {stand.noise()}",
                flush=True,
            )
        ratios.append(
            (speed["here"] / speed["elsewhere"], speed["here"] / speed["nowhere"])
        )
    print(
        f"line rate {statistics.median(one for one, _ in ratios):.3f} of that with the "
        f"disturbances at another daemon, "
        f"{statistics.median(two for _, two in ratios):.3f} of that without any"
    )


if __name__ == "__main__":
    main()
