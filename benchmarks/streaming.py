"""Streaming moves: the bridge, a host in C, and others, against one firmware in C.

Each round measures all hosts in turns against the same firmware behind a
pseudo-terminal, so that whatever else the machine does affects all. The figures
are the median over the rounds: lines a second, its ratio to the host in C with one line
in flight in the same round, and processor time.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import stand

BATCH = 200
"""Lines in one command, where lines are sent as commands."""

HOSTS = stand.HERE / "streaming_hosts.py"


@dataclass(slots=True)
class Host:
    """What streams, and what was measured.

    Attributes:
        name: for the table.
        run: streams a number of lines to a port; returns the elapsed and the processor
            time in seconds.
        speed: lines a second, by round.
        processor: milliseconds of processor time for 1000 lines, by round.

    """

    name: str
    run: Callable[[Path, int], tuple[float, float]]
    speed: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def build(folder: Path, name: str) -> Path:
    """Compile a program that is beside this file."""
    made = folder / name
    command = ["cc", "-O2", "-o", str(made), str(stand.HERE / f"{name}.c")]
    subprocess.run(command, check=True)
    return made


@contextmanager
def firmware(program: Path, port: Path, options: list[str]) -> Iterator[list[str]]:
    """Run the firmware; the list gets what it says at the end."""
    said: list[str] = []
    command = [str(program), str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        while not port.is_symlink():
            time.sleep(0.01)
        try:
            yield said
        finally:
            running.send_signal(signal.SIGTERM)
            said.append(running.communicate(timeout=stand.DEADLINE)[0])


def child(*command: str | Path) -> Callable[[Path, int], tuple[float, float]]:
    """Return what runs a program with a port and a number of lines."""

    def run(port: Path, lines: int) -> tuple[float, float]:
        given = [str(port) if x == "PORT" else str(x) for x in command]
        given = [str(lines) if x == "LINES" else x for x in given]
        done = subprocess.run(
            given, check=True, stdout=subprocess.PIPE, env=stand.environment()
        )
        said = json.loads(done.stdout.splitlines()[-1])
        if isinstance(said, list):  # of several printers
            (said,) = said
        return said["seconds"], said["processor"]

    return run


def over_mqtt(window: str) -> Callable[[Path, int], tuple[float, float]]:
    """Return what sends commands of :data:`BATCH` lines to the daemon."""

    def run(port: Path, lines: int) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as name:
            folder, broker = Path(name), stand.free_port()
            config = stand.configuration(
                broker,
                {"one": port},
                folder,
                limits={"queue": 100_000, "rate": 10_000},
            )
            for printer in config["printers"]:  # type: ignore[attr-defined] # a list
                printer["serial"]["lines_in_flight"] = window
                if window == "":
                    del printer["serial"]["lines_in_flight"]
            with (
                stand.mosquitto(folder, broker),
                stand.daemon(folder, config) as bridge,
            ):
                sender = (sys.executable, HOSTS, "publish", str(broker), str(lines))
                with subprocess.Popen(
                    [str(part) for part in sender], stdout=subprocess.PIPE, text=True
                ) as publisher:
                    assert publisher.stdout is not None  # noqa: S101 - it is piped
                    publisher.stdout.readline()  # connected, and the printer is online
                    before = processor(bridge.pid)
                    said = json.loads(publisher.stdout.readline())
                    used = processor(bridge.pid) - before
                return said["seconds"], used

    return run


def processor(pid: int) -> float:
    """Return the processor time of a process, in seconds to the nanosecond."""
    tasks = Path("/proc", str(pid), "task")
    return (
        sum(
            int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()
        )
        / 1e9
    )


def chosen_hosts(host: Path, arguments: argparse.Namespace) -> list[Host]:
    """Return what is to be measured; the host in C with one in flight is first."""
    ours = (sys.executable, HOSTS)
    hosts = [Host("C, one in flight", child(host, "PORT", "LINES", "1"))]
    if arguments.windows:
        hosts += [
            Host(f"C, {count} in flight", child(host, "PORT", "LINES", str(count)))
            for count in (2, 4)
        ]
    lanes = {
        "asyncio": "asyncio, a reader with a callback",
        "session": "bridge, Session.line",
        "execute": "bridge, Printer.execute in batches",
        "stream": "bridge, Session.start_stream",
    }
    loops = {"": ""} | ({"+uvloop": ", on uvloop"} if arguments.uvloop else {})
    hosts += [
        Host(name + on, child(*ours, lane + loop, "PORT", "LINES"))
        for loop, on in loops.items()
        for lane, name in lanes.items()
        if arguments.only is None or lane in arguments.only
    ]
    if arguments.only is None or "print" in arguments.only:
        lane = child(
            sys.executable, stand.HERE / "printing.py", "print", "LINES", "PORT"
        )
        hosts.append(Host("bridge, printing a file", lane))
    if arguments.only is None or "mqtt" in arguments.only:
        hosts.append(Host("bridge, over MQTT in batches", over_mqtt("")))
    if arguments.windows:
        window = child(*ours, "stream4", "PORT", "LINES")
        hosts.append(Host("bridge, Session.start_stream, 4 in flight", window))
        hosts.append(Host("bridge, over MQTT, 4 in flight", over_mqtt("4")))
    for name, interpreter in (
        ("octoprint", arguments.octoprint),
        ("printrun", arguments.printrun),
    ):
        if interpreter:
            lane = child(interpreter, stand.HERE / "peers.py", name, "PORT", "LINES")
            hosts.append(Host(f"{name}, streaming a file", lane))
    return hosts


def measure(arguments: argparse.Namespace) -> None:
    """Measure all hosts in turns, and print the table."""
    options = [
        *(["--baud", str(arguments.baud)] if arguments.baud else []),
        *(["--delay", str(arguments.delay)] if arguments.delay else []),
        *(["--noise", str(arguments.noise)] if arguments.noise else []),
        *(["--advanced"] if arguments.windows else []),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, host = build(folder, "firmware"), build(folder, "host")
        hosts = chosen_hosts(host, arguments)
        for turn in range(arguments.rounds):
            for each in hosts:
                with firmware(program, folder / "port", options) as said:
                    seconds, used = each.run(folder / "port", arguments.lines)
                check(each.name, json.loads(said[0]), arguments)
                each.speed.append(arguments.lines / seconds)
                each.processor.append(1e6 * used / arguments.lines)
            print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr)
        report(hosts, options)


def check(name: str, said: Mapping[str, int], arguments: argparse.Namespace) -> None:
    """End the program if the moves did not arrive once and in order."""
    if said["moves"] != arguments.lines or said["disordered"]:
        sys.exit(f"{name}: of {arguments.lines} lines arrived {dict(said)}")


def report(hosts: list[Host], options: list[str]) -> None:
    """Print the table."""
    print(f"firmware {' '.join(options) or 'unlimited'}; {stand.noise()}")
    print("| | lines a second | ratio to C, one in flight | ms for 1000 lines |")
    print("|---|---|---|---|")
    for each in hosts:
        ratios = [a / b for a, b in zip(each.speed, hosts[0].speed, strict=True)]
        print(
            f"| {each.name} | {statistics.median(each.speed):.0f} "
            f"| {statistics.median(ratios):.2f} "
            f"| {statistics.median(each.processor):.0f} |",
            flush=True,
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--baud", type=int, default=0, help="0: as fast as it can")
    parser.add_argument("--delay", type=int, default=0, help="ms, each way")
    parser.add_argument("--noise", type=int, default=0, help="damaged lines a million")
    parser.add_argument("--windows", action="store_true", help="several in flight too")
    parser.add_argument("--uvloop", action="store_true", help="sessions on it too")
    parser.add_argument(
        "--only", nargs="*", help="asyncio session execute stream print mqtt"
    )
    parser.add_argument("--octoprint", help="the Python that has OctoPrint installed")
    parser.add_argument("--printrun", help="the Python that has Printrun installed")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
