"""A serial port that a server offers by RFC 2217: ``rfc2217://host:port``.

pyserial speaks the protocol, and its object has no descriptor that an event loop could
wait for: so one thread reads and one writes.
"""

import asyncio
import contextlib
import threading
import warnings
from collections.abc import Callable
from functools import partial

import serial.rfc2217

from bridge.errors import LinkError
from bridge.printer.port.errors import host_and_port, late, network_error, rfc2217_error
from bridge.printer.port.read_buffer import ReadBuffer
from bridge.printer.port.write_buffer import WriteBuffer
from bridge.threads import in_thread, is_stuck
from bridge.timeout import timeout

_CHUNK = 1024  # bytes that a thread reads or writes in one call
_FAILURES = (OSError, AttributeError)
"""What pyserial raises when the link is lost, and when it is closed during a call."""


class ThreadTransport:
    """Reads and writes an open pyserial object from two daemon threads.

    They end with the link. Of what is written, one chunk may already be on its way when
    an emergency comes; all others are passed.
    """

    def __init__(self, device: serial.rfc2217.Serial) -> None:
        """Take over an open ``device``; must be called within the event loop."""
        self._device = device
        self._unread = ReadBuffer()
        self._unsent = WriteBuffer()
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
            return len(self._unsent)

    async def read(self) -> bytes:
        """Wait for bytes; return none at all once the link is gone or closed."""
        return await self._unread.get()

    async def deliver(self, callback: Callable[[bytes], None]) -> None:
        """Call back with bytes as they arrive; return once the link is gone."""
        await self._unread.deliver(callback)

    def write(self, data: bytes) -> None:
        """Send bytes after all others, without waiting; nothing once closed."""
        with self._changed:
            if not self._closed:
                self._unsent.append(data)
                self._changed.notify()

    def write_now(self, data: bytes) -> None:
        """Send whole lines before everything that waits, which is dropped."""
        with self._changed:
            if not self._closed:
                self._unsent.put_first(data)
                self._changed.notify()

    def close(self) -> None:
        """Free the link; a waiting :meth:`read` returns no bytes."""
        self._unread.close()
        self._release()

    def _release(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._unsent.clear()
            self._changed.notify()
        # pyserial waits for its own thread and 0.3 s more
        threading.Thread(target=self._device.close, daemon=True).start()

    def _lose(self) -> None:
        self._unread.end()
        self._release()

    def _take(self, data: bytes) -> None:
        """Keep what was read; close the link if nobody reads it."""
        if self._unread.full:
            self._lose()
        else:
            self._unread.put(data)

    def _keep_reading(self) -> None:
        with contextlib.suppress(*_FAILURES):
            while data := self._device.read(1):
                more = min(self._device.in_waiting, _CHUNK)
                rest = self._device.read(more)
                self._tell(self._take, data + rest)
                if len(rest) < more:  # pyserial's only sign of the end, given once
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
            self._changed.wait_for(lambda: self._closed or self._unsent)
            data = self._unsent.head(_CHUNK)
            self._unsent.written(len(data))
            return data

    def _tell(self, what: Callable[..., None], *arguments: bytes) -> None:
        """Call something in the event loop, if that still runs."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *arguments)


async def open_rfc2217(
    url: str, baudrate: int, *, dtr: bool, within: float
) -> ThreadTransport:
    """Connect to a serial server and let it set its port up.

    Raises:
        LinkError: It cannot be reached, or it does not speak RFC 2217; the message says
            what to do about it.

    """
    host_and_port(url)
    name = f"open {url}"
    if is_stuck(name):
        raise late(url)
    try:
        async with timeout(within):
            opening = partial(_open, url, baudrate, dtr=dtr)
            device = await in_thread(opening, _close, name=name)
    except TimeoutError as error:
        raise late(url) from error
    except serial.SerialException as error:
        raise _explain(url, baudrate, error) from error
    except (OSError, ValueError) as error:
        raise rfc2217_error(url, baudrate) from error
    return ThreadTransport(device)


def _open(url: str, baudrate: int, *, dtr: bool) -> serial.rfc2217.Serial:
    # pyserial 3.5 starts its thread in a way that newer Pythons advise against
    warnings.filterwarnings("ignore", "set(Daemon|Name)", DeprecationWarning)
    return serial.rfc2217.Serial(url, baudrate, dsrdtr=not dtr)


def _explain(url: str, baudrate: int, error: serial.SerialException) -> LinkError:
    """Distinguish a server that is not there from one without RFC 2217."""
    cause = error.__context__
    if isinstance(cause, serial.SerialException):
        return rfc2217_error(url, baudrate)
    if isinstance(cause, OSError | UnicodeError):
        return network_error(url, cause)
    return rfc2217_error(url, baudrate)


def _close(device: serial.rfc2217.Serial) -> None:
    # pyserial waits for its own thread and 0.3 s more, wherever this runs
    threading.Thread(target=device.close, daemon=True).start()
