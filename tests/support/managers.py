"""A service manager that only listens; see ``sd_notify(3)``."""

import contextlib
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class Manager:
    """Receives a service's notifications.

    Args:
        folder: where its socket is.
        watchdog: seconds within which it wants a notification.

    """

    def __init__(self, folder: Path, watchdog: float | None = None) -> None:
        path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0)
        self._heard: list[dict[str, str]] = []
        self.environ: Mapping[str, str] = {"NOTIFY_SOCKET": str(path)}
        """The environment variables for the service."""
        if watchdog is not None:
            wanted = {"WATCHDOG_USEC": str(round(watchdog * 1e6))}
            self.environ = {**self.environ, **wanted}

    @property
    def heard(self) -> list[dict[str, str]]:
        """All messages, oldest first."""
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(4096).decode().splitlines()
                self._heard.append(dict(line.split("=", 1) for line in lines))
        return self._heard

    def count(self, name: str) -> int:
        """Return how many messages contain such a line."""
        return sum(name in message for message in self.heard)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@contextmanager
def manager(watchdog: float | None = None) -> Iterator[Manager]:
    """Listen for the duration of the block, on a path short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        running = Manager(Path(folder), watchdog)
        try:
            yield running
        finally:
            running.close()
