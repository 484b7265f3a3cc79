"""A link on a file descriptor: a serial port, a pseudo-terminal or a TCP socket."""

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
import threading
from collections.abc import Callable

from bridge.printer.port.read_buffer import CHUNK, ReadBuffer
from bridge.printer.port.write_buffer import WriteBuffer

_READ_SIZE = 65_536  # bytes at once
_WRITE_SIZE = 16_384  # bytes at once, so that an emergency stop is not far behind


class DescriptorTransport:
    """Reads and writes a descriptor without ever blocking the event loop.

    Each wake-up reads once and writes once, so that a printer that never stops sending
    cannot hold up the others. End of file, ``EIO`` (a pseudo-terminal whose other end
    is closed, an unplugged adapter) and every other error are the end of the link.
    """

    def __init__(self, descriptor: int) -> None:
        """Take over ``descriptor``; must be called within the event loop."""
        self._descriptor: int | None = descriptor
        self._terminal = os.isatty(descriptor)
        self._unread = ReadBuffer()
        self._unsent = WriteBuffer()
        self._paused = False
        self._read_size = _READ_SIZE
        self._waits_to_write = False
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._readable)

    @property
    def pending(self) -> int:
        """Bytes that were accepted and not yet handed to the kernel."""
        return len(self._unsent)

    async def read(self) -> bytes:
        """Wait for bytes; return none at all once the link is gone or closed."""
        data = await self._unread.get()
        if self._paused and self._descriptor is not None:
            self._paused = False
            self._loop.add_reader(self._descriptor, self._readable)
        return data

    async def deliver(self, callback: Callable[[bytes], None]) -> None:
        """Call back with bytes as they arrive; return once the link is gone."""
        self._read_size = CHUNK
        if self._paused and self._descriptor is not None:
            self._paused = False
            self._loop.add_reader(self._descriptor, self._readable)
        await self._unread.deliver(callback)

    def write(self, data: bytes) -> None:
        """Send bytes after all others, without waiting; nothing once closed."""
        if self._descriptor is None:
            return
        if self._unsent:
            self._unsent.append(data)
            return
        try:
            count = os.write(self._descriptor, data[:_WRITE_SIZE])
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError:
            self._lose()
            return
        self._unsent.written_at_once(data, count)
        if count < len(data):
            self._wait_to_write(self._descriptor)

    def write_now(self, data: bytes) -> None:
        """Send whole lines before everything that has not left yet, which is dropped.

        They begin with a line break if dropping cut a line in half. While the port
        accepts nothing, they wait before all others.
        """
        if self._descriptor is None:
            return
        self._unsent.put_first(data, flushed=self._flush_kernel(self._descriptor))
        self._writable()

    def close(self) -> None:
        """Free the descriptor; a waiting :meth:`read` returns no bytes."""
        self._unread.close()
        self._release()

    def _readable(self) -> None:
        if self._descriptor is None:
            return
        try:
            data = os.read(self._descriptor, self._read_size)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        self._unread.put(data)
        if self._unread.full:
            self._paused = True
            self._loop.remove_reader(self._descriptor)

    def _writable(self) -> None:
        if self._descriptor is None:
            return
        try:
            head = self._unsent.head(_WRITE_SIZE)
            self._unsent.written(os.write(self._descriptor, head))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._lose()
            return
        if self._unsent:
            self._wait_to_write(self._descriptor)
        elif self._waits_to_write:
            self._waits_to_write = False
            self._loop.remove_writer(self._descriptor)

    def _wait_to_write(self, descriptor: int) -> None:
        if not self._waits_to_write:
            self._waits_to_write = True
            self._loop.add_writer(descriptor, self._writable)

    def _flush_kernel(self, descriptor: int) -> bool:
        """Throw away what the kernel has not transmitted; return whether it did.

        A pseudo-terminal does not report what it holds, so it is flushed only when it
        is full; otherwise it holds at most the few lines in flight.
        """
        if not self._terminal or self._unsent.last_was_urgent:
            return False
        if not self._unsent and not _untransmitted(descriptor):
            return False
        try:
            termios.tcflush(descriptor, termios.TCOFLUSH)
        except termios.error:
            return False  # unplugged at this moment: the next write fails
        return True

    def _lose(self) -> None:
        """End the link; what was received before can still be read."""
        self._unread.end()
        self._release()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        self._unsent.clear()
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)
        if self._terminal and _untransmitted(descriptor):
            # Linux lets close() wait up to 30 s for a serial port to transmit what it
            # was given (closing_wait); an emergency stop may be among it.
            threading.Thread(target=_close, args=(descriptor,), daemon=True).start()
        else:
            _close(descriptor)


def _untransmitted(descriptor: int) -> int:
    """Return how many bytes of a terminal's output the kernel still holds."""
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # EIO of a device that is gone; it is closed
        os.close(descriptor)
