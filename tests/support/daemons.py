"""The real console script ``gcode2mqtt``, as a process of its own."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.waiting import DEADLINE, Pauses

SCRIPT = Path(sys.executable).with_name("gcode2mqtt")
"""Where it is installed."""


def run_script(
    *arguments: str | Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script until it ends by itself, where wished in another folder."""
    return subprocess.run(
        [SCRIPT, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


class Daemon:
    """``gcode2mqtt run``, with its log in a file.

    It runs on asyncio, as most users' does, unless TEST_EVENT_LOOP says otherwise.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, object],
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.config = folder / "config.yaml"
        self.write(config)
        self._log = folder / "log"
        loop = os.environ.get("TEST_EVENT_LOOP", "asyncio")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [SCRIPT, "run", "--config", self.config, "--event-loop", loop],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal that runs the tests must not reach it.
                start_new_session=True,
                env={**os.environ, **(environ or {})},
            )

    def write(self, config: Mapping[str, object]) -> None:
        """Write another configuration; it is read on reload."""
        self.config.write_text(yaml.safe_dump(dict(config)))

    @property
    def log(self) -> str:
        """Its log, including tracebacks."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def ended(self, within: float = DEADLINE) -> int:
        """Wait until it ends and return its exit code."""
        return self._process.wait(within)

    def close(self) -> None:
        """Kill it."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise


@contextmanager
def daemon(
    folder: Path,
    config: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
) -> Iterator[Daemon]:
    """Run the daemon; it ends with the block, and must not have logged a traceback."""
    process = Daemon(folder, config, environ)
    try:
        yield process
    finally:
        process.close()
    assert "Traceback" not in process.log, process.log


def wait_for(
    condition: Callable[[], object], what: str = "it", within: float = DEADLINE
) -> None:
    """Return once the condition holds; for code outside an event loop."""
    deadline = time.monotonic() + within
    pauses = Pauses()
    while not pauses.look(condition):
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(pauses.next())


@contextmanager
def none_left(process: Daemon) -> Iterator[None]:
    """Let the process open no descriptor more than it has open."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    folder = Path(f"/proc/{process.pid}/fd")
    numbers = {int(entry.name) for entry in folder.iterdir()}
    free = next(x for x in range(len(numbers) + 1) if x not in numbers)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
