"""A simulated printer in this very process: ``simulator://marlin?option=value``."""

import asyncio
from collections.abc import Callable

from bridge.errors import LinkError, quoted
from bridge.printer.port.read_buffer import ReadBuffer
from bridge.simulator.firmware import Firmware


class SimulatedTransport:
    """A link to a simulated firmware that runs on the event loop's clock."""

    def __init__(self, firmware: Firmware) -> None:
        """Switch the firmware on; must be called within the event loop."""
        self.firmware = firmware
        self._unread = ReadBuffer()
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._say(firmware.reset(self._loop.time()))

    @property
    def pending(self) -> int:
        """Always 0: a simulated printer accepts everything at once."""
        return 0

    async def read(self) -> bytes:
        """Wait for bytes; return none at all once the link is closed."""
        return await self._unread.get()

    async def deliver(self, callback: Callable[[bytes], None]) -> None:
        """Call back with bytes as they arrive; return once the link is closed."""
        await self._unread.deliver(callback)

    def write(self, data: bytes) -> None:
        """Send bytes; nothing once closed."""
        if not self._closed:
            self._say(self.firmware.receive_data(data, self._loop.time()))

    def write_now(self, data: bytes) -> None:
        """Send bytes; nothing waits that they could overtake."""
        self.write(data)

    def close(self) -> None:
        """Switch the printer off; a waiting :meth:`read` returns no bytes."""
        self._closed = True
        self._unread.close()
        if self._timer is not None:
            self._timer.cancel()

    def _say(self, data: bytes) -> None:
        """Pass on what the firmware says and wake it when it has something to do."""
        if data:
            # Not at once: whoever writes is not ready for the answer yet.
            self._loop.call_soon(self._hear, data)
        if self._timer is not None:
            self._timer.cancel()
        when = self.firmware.next_event(self._loop.time())
        self._timer = None if when is None else self._loop.call_at(when, self._wake)

    def _hear(self, data: bytes) -> None:
        """Keep what the firmware says; as on a real line, what nobody reads is lost."""
        if not self._unread.full:
            self._unread.put(data)

    def _wake(self) -> None:
        self._say(self.firmware.handle_time(self._loop.time()))


def open_simulated(url: str) -> SimulatedTransport:
    """Start a simulated printer.

    Raises:
        LinkError: There is no such personality or option.

    """
    try:
        return SimulatedTransport(Firmware.from_url(url))
    except ValueError as error:
        raise LinkError(f"serial.port {quoted(url)}: {error}") from error
