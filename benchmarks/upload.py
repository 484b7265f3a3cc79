"""What an upload costs: memory, and a printer's line that is busy at the same time.

    upload.py memory [--megabytes N]      the daemon's memory during an upload
    upload.py cost [--megabytes N]        processor time for each megabyte
    upload.py line [--lines N] [--rate R] a file that is printed, with and without one

``memory`` runs the daemon as its users do. ``cost`` says how long the event loop is
busy with an upload while something is printed: the processor time of its thread, which
is what a printer's line waits for, and that of the whole process. ``line`` prints a
file against a firmware in C, in turns: alone; with uploads of 200 MB, one after
another, to the process that prints; and with the same uploads to another process. The
last is what the machine takes away by itself: the client, the disk and the check of the
files compete for its cores.
"""

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import printing
import stand
import streaming

from bridge.config import PrinterConfig
from bridge.files.check import CheckRules
from bridge.files.inspector import Inspector
from bridge.files.library import Library
from bridge.files.store import FileStore
from bridge.state_files import flush
from bridge.upload.access import Keys
from bridge.upload.handlers import Access, Api
from bridge.upload.server import Server
from bridge.upload.targets import Submitted

MEGA = 2**20
KEY = "0123456789abcdef0123456789abcdef"
BOUNDARY = "------------------------d74496d66958873e"

# Mostly comments, so that the check of the file takes seconds and not minutes.
BLOCK = (b"G1 X10.123 Y20.456 E0.0123\n" + b";" + b"-" * 4000 + b"\n") * 64


def send(port: int, megabytes: float, *, rate: float = 0.0, name: str = "a") -> int:
    """Upload a file of a size; return the status of the answer.

    Args:
        port: where the server listens.
        megabytes: size of the file.
        rate: megabytes per second; 0: as fast as possible.
        name: of the file.

    """
    count = max(1, round(megabytes * MEGA / len(BLOCK)))
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{name}.gcode"\r\n\r\n'
    ).encode()
    end = f"\r\n--{BOUNDARY}--\r\n".encode()

    def body() -> Iterator[bytes]:
        yield head
        begun = time.perf_counter()
        for sent in range(count):
            yield BLOCK
            if rate:
                due = begun + (sent + 1) * len(BLOCK) / MEGA / rate
                time.sleep(max(0.0, due - time.perf_counter()))
        yield end

    client = http.client.HTTPConnection("127.0.0.1", port, timeout=1200)
    length = len(head) + count * len(BLOCK) + len(end)
    client.request(
        "POST",
        "/printer0/api/files/local",
        body(),
        {
            "X-Api-Key": KEY,
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(length),
        },
    )
    answer = client.getresponse()
    answer.read()
    return answer.status


def peak(pid: int) -> float:
    """Return the largest resident memory of a process since the last reset, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) / 1024


def reset_peak(pid: int) -> None:
    """Reset the largest resident memory (``proc(5)``, clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory(arguments: argparse.Namespace) -> None:
    """Print what an upload adds to the memory of the daemon."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        broker, port = stand.free_port(), stand.free_port()
        place = folder / "printer0"
        (folder / "keys").write_text(f"{KEY}\n")
        (folder / "keys").chmod(0o600)
        upload = {"listen": f"127.0.0.1:{port}", "keys_file": str(folder / "keys")}
        config = stand.configuration(broker, {"printer0": place}, folder, upload=upload)
        simulator = (sys.executable, "-m", "bridge", "simulate", "--pty", place)
        with (
            stand.mosquitto(folder, broker),
            stand.process(*simulator, log=folder / "printer.log"),
            stand.daemon(folder, config) as bridge,
        ):
            stand.wait_for_port(port)
            send(port, 1)  # loads what is loaded only once
            time.sleep(2)
            before = stand.look(bridge.pid)
            reset_peak(bridge.pid)
            begun = time.perf_counter()
            status = send(port, arguments.megabytes)
            took, after = time.perf_counter() - begun, stand.look(bridge.pid)
            print(
                f"{arguments.megabytes} MB, status {status}, {took:.1f} s with the "
                f"check: {before.memory:.1f} MB before, "
                f"{peak(bridge.pid) - before.memory:+.1f} MB at most, "
                f"{1000 * (after.processor - before.processor):.0f} ms of processor "
                f"time; {stand.noise()}"
            )


class OnePrinter:
    """The only printer of a process, as the HTTP server sees printers."""

    name = "printer0"
    largest = 2**40

    def __init__(self, library: Library) -> None:
        self.store = library

    def names(self) -> Collection[str]:
        """Return the printer's id."""
        return [self.name]

    def target(self, _name: str) -> "OnePrinter":
        """Return the printer."""
        return self

    def prints(self) -> bool:
        """Return that it is printing, which it is."""
        return True

    async def submit(self, *_: object, **__: object) -> Submitted:
        """Do nothing else with a file."""
        return Submitted()


async def serve(lines: int, port: str, place: str) -> None:
    """Serve HTTP, and print a file if it has lines; write what the print took."""
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder, inspector = Path(name), Inspector()
        store = FileStore(folder / "files", max_upload=2**40, keep_free=0)
        library = Library(store, CheckRules.of(PrinterConfig(), "marlin"), inspector)
        await library.open()
        access = Access(Keys.parse(KEY))
        api = Api(OnePrinter(library), access, "0")  # type: ignore[arg-type] # enough
        server = Server(api.handle)
        print(await server.listen("127.0.0.1", 0), flush=True)
        took: object = None
        if lines:
            file = printing.write_file(folder / "moves.gcode", lines)
            took = await printing.printed(port, file, folder, "printer0")
        else:
            await asyncio.to_thread(sys.stdin.read)
        await server.close()
        await api.close()
        await library.close()
        await inspector.close()
        flush()
    print(json.dumps(took), flush=True)


def spent(pid: int) -> tuple[float, float]:
    """Return the processor time of the event loop's thread and of a process, in ms."""
    tick = 1000 / os.sysconf("SC_CLK_TCK")
    ticks = [
        sum(map(int, Path(path).read_text().rpartition(")")[2].split()[11:13]))
        for path in (f"/proc/{pid}/task/{pid}/stat", f"/proc/{pid}/stat")
    ]
    return tick * ticks[0], tick * ticks[1]


def cost(arguments: argparse.Namespace) -> None:
    """Print what uploads cost the process that prints, for each megabyte."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        with serving(0, folder / "port", folder) as host:
            port, costs = int(_line(host)), []
            send(port, 1)
            for _ in range(arguments.rounds):
                before, begun = spent(host.pid), time.perf_counter()
                status = send(port, arguments.megabytes, rate=arguments.rate)
                took, after = time.perf_counter() - begun, spent(host.pid)
                each = [
                    (b - a) / arguments.megabytes
                    for a, b in zip(before, after, strict=True)
                ]
                costs.append(each)
                print(
                    f"{arguments.megabytes} MB, status {status}, {took:.1f} s with the "
                    f"check: {each[0]:.2f} ms of the event loop and {each[1]:.2f} ms "
                    f"of the process for each MB; {stand.noise()}",
                    flush=True,
                )
    loop, whole = (statistics.median(column) for column in zip(*costs, strict=True))
    print(f"median: {loop:.2f} ms of the event loop, {whole:.2f} ms of the process")


def clients(port: int, arguments: argparse.Namespace, over: threading.Event) -> None:
    """Upload again and again until the print is over."""
    while not over.is_set():
        command = (sys.executable, __file__, "send", port, 200, arguments.rate)
        subprocess.run(
            [str(x) for x in command], check=False, stderr=subprocess.DEVNULL
        )


@contextmanager
def serving(lines: int, printer: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that serves HTTP; its first line of output is the port."""
    ours = (sys.executable, __file__, "serve", lines, printer, folder)
    with subprocess.Popen(
        [str(part) for part in ours],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield running
        running.communicate(timeout=stand.DEADLINE)


def print_once(arguments: argparse.Namespace, where: str) -> dict[str, float]:
    """Print the file; return what it took.

    Args:
        arguments: of the command line.
        where: where uploads go: ``nowhere``, ``here`` or ``elsewhere``.

    """
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder, over = Path(name), threading.Event()
        firmware = streaming.build(folder, "firmware")
        options = ["--baud", str(arguments.baud)]
        with (
            streaming.firmware(firmware, folder / "port", options) as end,
            serving(arguments.lines, folder / "port", folder) as host,
            serving(0, folder / "port", folder) as other,
        ):
            ports = {"here": _line(host), "elsewhere": _line(other), "nowhere": ""}
            target = (int(ports[where] or 0), arguments, over)
            count = arguments.uploads if where != "nowhere" else 0
            threads = [
                threading.Thread(target=clients, args=target) for _ in range(count)
            ]
            for thread in threads:
                thread.start()
            took: dict[str, float] = json.loads(_line(host))
            over.set()
            for thread in threads:
                thread.join()
        printing.check(json.loads(end[0]), arguments.lines)
    return took


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101 - it is piped
    return process.stdout.readline()


def line(arguments: argparse.Namespace) -> None:
    """Print the line rate of a print with uploads, compared with one without."""
    ratios = []
    for _ in range(arguments.rounds):
        speeds = {}
        for where in ("nowhere", "elsewhere", "here"):
            took = print_once(arguments, where)
            speeds[where] = arguments.lines / took["seconds"]
            print(
                f"uploads {where}: {speeds[where]:.0f} lines/s, starved "
                f"{took['starved']:.1f} s; {stand.noise()}",
                flush=True,
            )
        ratios.append(
            (speeds["here"] / speeds["elsewhere"], speeds["here"] / speeds["nowhere"])
        )
    print(
        f"{arguments.uploads} upload(s) of 200 MB at "
        f"{arguments.rate or 'any number of'} MB/s: line rate "
        f"{statistics.median(one for one, _ in ratios):.3f} of that with uploads to "
        f"another process, {statistics.median(two for _, two in ratios):.3f} of that "
        "without any"
    )


def main() -> None:
    """Read the command line and measure."""
    if sys.argv[1:2] == ["send"]:
        port, size, rate = sys.argv[2:5]
        name = f"a{os.getpid() % 4}"
        sys.exit(send(int(port), float(size), rate=float(rate), name=name) != 201)  # noqa: PLR2004 - Created
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2]), sys.argv[3], sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["memory", "cost", "line"])
    parser.add_argument("--folder", help="on which disk; by default the temporary one")
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--baud", type=int, default=250_000)
    parser.add_argument("--rate", type=float, default=10.0, help="MB/s; 0: any")
    parser.add_argument("--uploads", type=int, default=1, help="at a time")
    arguments = parser.parse_args()
    {"memory": memory, "cost": cost, "line": line}[arguments.what](arguments)


if __name__ == "__main__":
    main()
