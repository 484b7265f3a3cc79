"""How often an idle printer wakes the bridge up, and what that costs."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import stand
from many import SETTLED, Watcher


def wakeups(pid: int) -> int:
    """Return how often the process has gone to sleep since it was started."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("voluntary")).split()[1])


def processor(pid: int) -> float:
    """Return the processor time of a process, in seconds to the nanosecond."""
    tasks = Path("/proc", str(pid), "task")
    return (
        sum(
            int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()
        )
        / 1e9
    )


def measure(seconds: float) -> None:
    """Print the figures of one cold printer that reports every two seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), stand.free_port()
        place = folder / "printer0"
        simulator = (sys.executable, "-m", "bridge", "simulate", "--pty", place)
        config = stand.configuration(port, {"printer0": place}, folder)
        with (
            stand.mosquitto(folder, port),
            stand.process(*simulator, log=folder / "printer.log"),
            stand.daemon(folder, config) as bridge,
        ):
            watcher = Watcher(port)
            took = watcher.wait(1)
            time.sleep(SETTLED)
            before, used = wakeups(bridge.pid), processor(bridge.pid)
            time.sleep(seconds)
            woken = (wakeups(bridge.pid) - before) / seconds
            share = 100 * (processor(bridge.pid) - used) / seconds
            watcher.close()
    print(
        f"{woken:.2f} wake-ups a second, {share:.3f} % of a core, "
        f"online after {took:.1f} s; {stand.noise()}"
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    measure(parser.parse_args().seconds)


if __name__ == "__main__":
    main()
