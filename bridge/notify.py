"""Telling the service manager how it goes: the protocol of ``sd_notify(3)``.

Datagrams of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names. Without a
service manager nothing happens.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

_MICRO = 1_000_000


class Notifier:
    """Speaks to the service manager that started us, if one did.

    Args:
        environ: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are read.

    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of Linux's abstract names.
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._status = ""
        self.watchdog = _patience(environ) if self._address else None
        """Seconds within which it wants a sign of life; ``None``: it wants none."""

    def ready(self) -> None:
        """Say that everything has begun, or that a reload is over."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Give the sign of life."""
        self._tell("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; :meth:`ready` ends that."""
        micro = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={micro}")

    def stopping(self) -> None:
        """Say that we end in order."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in a sentence how it goes; the same again is not sent."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # Neither a service manager that is busy nor one that is gone may stop us.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
        ):
            channel.settimeout(0)
            channel.sendto("\n".join(lines).encode(), self._address)


def _patience(environ: Mapping[str, str]) -> float | None:
    wanted = environ.get("WATCHDOG_USEC", "")
    if not wanted.isdecimal() or not int(wanted):
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(wanted) / _MICRO
