"""A connected socket of somebody else, watched by the event loop."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

TCP = (socket.AF_INET, socket.AF_INET6)
GLANCE = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Watch:
    """Calls back when a socket can be read or written, until it is closed.

    Not closing it before its descriptor is closed would make the event loop spin on a
    dead descriptor, or watch somebody else's that got the same number.
    """

    def __init__(
        self, descriptor: int, read: Callable[[], None], write: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._write = write
        # A descriptor of our own for the same socket: TLS and WebSocket hide the
        # real one or its options.
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._tcp = self._socket.family in TCP
        if self._tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(descriptor, read)

    def want_write(self, *, wanted: bool) -> None:
        """Call back when it can be written, or stop that."""
        if self._descriptor < 0:
            return
        if wanted:
            self._loop.add_writer(self._descriptor, self._write)
        else:
            self._loop.remove_writer(self._descriptor)

    @property
    def readable(self) -> bool:
        """Whether more bytes wait in the socket."""
        if self._descriptor < 0:
            return False
        try:
            return bool(self._socket.recv(1, GLANCE))
        except OSError:
            return False

    def acknowledge_at_once(self) -> None:
        """Send the next TCP acknowledgement at once; Linux forgets this each time.

        Else the broker's Nagle waits for our delayed acknowledgement: 40 ms for the
        second of two commands that follow each other.
        """
        if self._tcp and self._descriptor >= 0 and hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        """Stop watching; safe to call again."""
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._descriptor = -1
        self._socket.close()
