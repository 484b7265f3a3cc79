"""A firmware behind a pseudo-terminal, which looks like a serial port."""

import asyncio
import contextlib
import os
import tty
from pathlib import Path

from bridge.errors import LinkError
from bridge.simulator.serve_clock import Clock

BACKLOG = 65_536  # bytes that wait for a reader; what follows is lost, as on a UART
CHUNK = 65_536


class PtyServer:
    """A pseudo-terminal with a name of its own.

    Its own end of the slave stays open, so clients may come and go. A client that does
    not read makes neither the event loop nor the firmware wait.
    """

    def __init__(self, clock: Clock, path: Path) -> None:
        self.clock = clock
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._master: int | None = None
        self._slave: int | None = None
        self._backlog = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes that nobody has taken yet."""
        return len(self._backlog)

    def plug(self) -> None:
        """Make the port appear.

        Raises:
            LinkError: There is something else at its path.

        """
        if self._master is not None:
            return
        if self.path.exists() and not self.path.is_symlink():
            raise LinkError(
                f"{self.path} exists and is no symbolic link: choose another path"
            )
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._master, self._slave = master, slave
        self._backlog.clear()
        try:
            self._link(os.ttyname(slave))
        except OSError as error:
            self._close()
            raise LinkError(f"cannot create {self.path}: {error.strerror}") from error
        self._loop.add_reader(master, self._read, master)
        self.clock.send = self._write

    def _link(self, target: str) -> None:
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(self.path)

    def unplug(self) -> None:
        """Make the port vanish, as when somebody pulls the cable; also twice."""
        if self._master is None:
            return
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        ends = (self._master, self._slave)
        for descriptor in [end for end in ends if end is not None]:
            os.close(descriptor)
        self._master = self._slave = None
        self._backlog.clear()

    def _read(self, master: int) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(master, CHUNK)
        self.clock.receive(data)

    def _write(self, data: bytes) -> None:
        if self._master is None:
            return
        waited = bool(self._backlog)
        self._backlog += data[: BACKLOG - len(self._backlog)]
        if not waited:
            self._flush(self._master)

    def _flush(self, master: int) -> None:
        written = 0
        with contextlib.suppress(BlockingIOError):
            written = os.write(master, self._backlog)
        del self._backlog[:written]
        if self._backlog:
            self._loop.add_writer(master, self._flush, master)
        else:
            self._loop.remove_writer(master)
