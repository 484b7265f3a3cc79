"""Reports to the service manager, in the protocol of ``sd_notify(3)``.

It consists of datagrams of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET``
names. Without a service manager nothing is sent.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

_MICRO = 1_000_000


class Notifier:
    """Reports to the service manager that started the bridge, if one did.

    Args:
        environ: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are read.

    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of Linux's abstract socket names; unix(7).
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._status = ""
        self.watchdog = _watchdog_interval(environ) if self._address else None
        """Seconds within which it wants the next notification; ``None``: it wants none.

        systemd kills and restarts a service that misses it (WatchdogSec=)."""

    def ready(self) -> None:
        """Report that start-up or a reload is complete."""
        self._send("READY=1")

    def alive(self) -> None:
        """Notify the watchdog."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that a reload has started; :meth:`ready` ends it."""
        micro = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={micro}")

    def stopping(self) -> None:
        """Report that the bridge is shutting down."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Report the status in a sentence; the same one is not sent twice."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A service manager that is busy or has gone must not stop the bridge.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
        ):
            channel.settimeout(0)
            channel.sendto("\n".join(lines).encode(), self._address)


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    wanted = environ.get("WATCHDOG_USEC", "")
    if not wanted.isdecimal() or not int(wanted):
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(wanted) / _MICRO
