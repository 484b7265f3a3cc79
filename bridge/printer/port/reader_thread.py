"""A link that pyserial offers without a descriptor: one thread reads, one writes."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

import serial.rfc2217

from bridge.printer.port.inbox import Inbox
from bridge.printer.port.outgoing import Outgoing

_CHUNK = 1024
_FAILURES = (OSError, AttributeError)
"""What pyserial raises on a lost link, and on one that is closed during a call."""


class ThreadTransport:
    """Reads and writes an open pyserial object from two daemon threads.

    They end with the link. Of what is written, one chunk may already be on its way when
    an emergency comes; all others are passed.
    """

    def __init__(self, device: serial.rfc2217.Serial) -> None:
        """Take over an open ``device``; must be called within the event loop."""
        self._device = device
        self._inbox = Inbox()
        self._outgoing = Outgoing()
        self._changed = threading.Condition()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        for work in (self._keep_reading, self._keep_writing):
            threading.Thread(
                target=work, name=f"link {device.port}", daemon=True
            ).start()

    @property
    def pending(self) -> int:
        """Bytes that were accepted and not yet handed to pyserial."""
        with self._changed:
            return len(self._outgoing)

    async def read(self) -> bytes:
        """Wait for bytes; return none at all once the link is gone or closed."""
        return await self._inbox.get()

    def write(self, data: bytes) -> None:
        """Send bytes after all others, without waiting; nothing once closed."""
        with self._changed:
            if not self._closed:
                self._outgoing.append(data)
                self._changed.notify()

    def write_now(self, data: bytes) -> None:
        """Send whole lines before everything that waits, which is dropped."""
        with self._changed:
            if not self._closed:
                self._outgoing.urge(data)
                self._changed.notify()

    def close(self) -> None:
        """Free the link; a waiting :meth:`read` returns no bytes."""
        self._inbox.close()
        self._release()

    def _release(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._outgoing.clear()
            self._changed.notify()
        # pyserial waits for its own thread and 0.3 s more
        threading.Thread(target=self._device.close, daemon=True).start()

    def _lose(self) -> None:
        self._inbox.end()
        self._release()

    def _take(self, data: bytes) -> None:
        """Keep what was read; give the link up where nobody reads what it says."""
        if self._inbox.full:
            self._lose()
        else:
            self._inbox.put(data)

    def _keep_reading(self) -> None:
        with contextlib.suppress(*_FAILURES):
            while data := self._device.read(1):
                more = min(self._device.in_waiting, _CHUNK)
                rest = self._device.read(more)
                self._tell(self._take, data + rest)
                if len(rest) < more:  # pyserial's only word of the end; it comes once
                    break
        self._tell(self._lose)

    def _keep_writing(self) -> None:
        with contextlib.suppress(*_FAILURES):
            while data := self._next_chunk():
                self._device.write(data)
        self._tell(self._lose)

    def _next_chunk(self) -> bytes:
        """Wait for bytes to write; return none once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._outgoing)
            data = self._outgoing.head(_CHUNK)
            self._outgoing.taken(len(data))
            return data

    def _tell(self, what: Callable[..., None], *arguments: bytes) -> None:
        """Run something in the event loop, if that still runs."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *arguments)
