"""What the benchmarks share: a broker, the daemon, printers and samples from /proc."""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
DEADLINE = 60.0
EVENT_LOOP = os.environ.get("TEST_EVENT_LOOP", "asyncio")
"""The event loop of the bridge; ``uvloop`` has to be installed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a process has used.

    Attributes:
        at: when, in seconds.
        processor: processor time, in seconds.
        memory: resident memory, in MB of 2**20 bytes, as `ps` counts.
        descriptors: how many are open.

    """

    at: float
    processor: float
    memory: float
    descriptors: int

    def share(self, earlier: "Look") -> float:
        """Return the share of a core since an earlier sample, in percent."""
        return 100 * (self.processor - earlier.processor) / (self.at - earlier.at)


def look(pid: int) -> Look:
    """Sample a process."""
    place = Path("/proc", str(pid))
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    pages = int((place / "statm").read_text().split()[1])
    return Look(
        time.perf_counter(),
        (int(fields[11]) + int(fields[12])) / TICKS,
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(list((place / "fd").iterdir())),
    )


def free_port() -> int:
    """Return an unused TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """Return the environment of what is measured: with compiled bytecode, as installed.

    ``pip`` compiles what it installs. If a variable forbids keeping bytecode, each
    start compiles everything, which takes most of the time, and about 8 MB.
    """
    kept = Path(tempfile.gettempdir(), f"gcode2mqtt-bytecode-{os.getuid()}")
    without = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return without | {"PYTHONPYCACHEPREFIX": str(kept)}


@contextmanager
def process(*arguments: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the duration of the block."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    try:
        yield running
    finally:
        running.terminate()
        running.wait(DEADLINE)


def mosquitto_binary() -> str:
    """Return where Mosquitto is installed."""
    binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        sys.exit("mosquitto is not installed: apt-get install mosquitto")
    return binary


@contextmanager
def mosquitto(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run Mosquitto with its default settings."""
    binary = mosquitto_binary()
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with process(binary, "-c", conf, log=folder / "mosquitto.log") as running:
        wait_for_port(port)
        yield running


def wait_for_port(port: int) -> None:
    """Wait until the port accepts connections."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"nobody listens at port {port}")


@contextmanager
def daemon(
    folder: Path, config: Mapping[str, object]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the bridge as its users do."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(dict(config)))
    loop = ("--event-loop", EVENT_LOOP)
    command = (sys.executable, "-m", "bridge", "run", "--config", file, *loop)
    with process(*command, log=folder / "bridge.log") as running:
        yield running


def ports(folder: Path, count: int) -> list[Path]:
    """Return where :mod:`benchmarks.printers` puts its printers."""
    return [folder / f"printer{number}" for number in range(count)]


@contextmanager
def printers(
    folder: Path, count: int, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run simulated printers in their own process."""
    command: tuple[str | Path, ...] = (
        sys.executable,
        HERE / "printers.py",
        folder,
        str(count),
        *options,
    )
    with process(*command, log=folder / "printers.log") as running:
        deadline = time.monotonic() + DEADLINE
        while not all(port.exists() for port in ports(folder, count)):
            if time.monotonic() > deadline or running.poll() is not None:
                sys.exit((folder / "printers.log").read_text())
            time.sleep(0.05)
        yield running


def configuration(
    port: int, serial: Mapping[str, Path], folder: Path, **sections: object
) -> dict[str, object]:
    """Return a configuration of printers by their ids and ports."""
    ones = [
        {
            "id": name,
            "topic": f"printers/{name}",
            "serial": {"port": str(place), "baudrate": 115_200},
        }
        for name, place in serial.items()
    ]
    mqtt = {"host": "127.0.0.1", "port": port, "state_folder": str(folder / "state")}
    # Home Assistant's discovery is on, as it is unless somebody switches it off.
    return {"mqtt": mqtt, "printers": ones} | sections


def summary(seconds: Sequence[float]) -> str:
    """Return median, 99th percentile and maximum, in µs."""
    return (
        f"median {median(seconds):6.0f} µs, 99th percentile {p99(seconds):6.0f} µs, "
        f"most {1e6 * max(seconds):6.0f} µs"
    )


def median(seconds: Sequence[float]) -> float:
    """Return the median, in µs."""
    return 1e6 * statistics.median(seconds)


def p99(seconds: Sequence[float]) -> float:
    """Return the 99th percentile, in µs."""
    return 1e6 * statistics.quantiles(seconds, n=100)[98]


def noise() -> str:
    """Return the load average, in words."""
    one = os.getloadavg()[0]
    return f"load average {one:.1f} on {os.cpu_count()} cores"
