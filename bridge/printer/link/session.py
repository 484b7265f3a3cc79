"""One open link: a transport, a protocol, and the only clock they know."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bridge.errors import FailedError, LinkError
from bridge.gcode.events import Done, Event, Failed, LinkFailed, PrinterEvent
from bridge.gcode.protocol import Protocol
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port.transport import Transport

CHUNK = 1024
"""Bytes that are processed before other tasks run; a port at 115,200 baud receives them
in 0.09 s."""

_ERRORS = {
    "timeout": FailedError.timeout,
    "disconnected": FailedError.disconnected,
    "emergency_stopped": FailedError.stopped,
    "firmware_error": FailedError.firmware,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A line that was given to a session.

    Attributes:
        ticket: its number there.
        done: its outcome; for :meth:`Session.acknowledged`.

    """

    ticket: int
    done: asyncio.Future[Done]


class Session:
    """A conversation with a printer, from open to the first :class:`LinkError`.

    ``on_event`` is called for everything but the fate of single lines, in order, from
    the event loop; it must not block.
    """

    def __init__(
        self,
        transport: Transport,
        protocol: Protocol,
        *,
        on_event: Callable[[PrinterEvent], None],
        wire: WireLog,
    ) -> None:
        self.protocol = protocol
        self._transport = transport
        self._on_event = on_event
        self._wire = wire
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._failed = False
        self._over = False
        self._touched = self._loop.time()
        self._failure = "the link to the printer broke"

    @property
    def closed(self) -> bool:
        """Nothing can be sent over it any more."""
        return self._closed or self._failed

    def late(self, now: float) -> float:
        """Return by how many seconds something is late that is due; 0: nothing is."""
        if self._over:
            return 0.0
        due = self.protocol.next_timeout()
        if self._closed:
            due = self._touched
        elif due is None and self._waiting and not self.protocol.halted:
            due = self._touched  # lines that wait must have an alarm
        return 0.0 if due is None else max(0.0, now - due)

    async def run(self) -> None:
        """Serve the link until it breaks; always ends in an exception."""
        try:
            self._transmit()
            while data := await self._transport.read():
                await self._process(data)
            raise LinkError(self._failure)
        finally:
            self._over = True
            self.close()

    async def _process(self, data: bytes) -> None:
        """Process received bytes in chunks, so that a flood does not delay a stop."""
        for begin in range(0, len(data), CHUNK):
            if begin:
                await asyncio.sleep(0)
            if self.closed:
                return
            chunk, now = data[begin : begin + CHUNK], self._loop.time()
            self._wire.received(chunk, now)
            # A listener may stop the conversation after one line, before the next one:
            # a reset that follows in the same chunk must not be stopped as well.
            for line in chunk.splitlines(keepends=True):
                self._dispatch(self.protocol.receive_data(line, now))
            self._transmit()

    async def line(
        self, text: str, *, ahead: bool = False, report_errors: bool = True
    ) -> Done:
        """Send one line and wait until the firmware has acknowledged it.

        Raises:
            As :meth:`send` and :meth:`acknowledged`.

        """
        return await self.acknowledged(
            self.send(text, ahead=ahead, report_errors=report_errors)
        )

    def send(
        self, text: str, *, ahead: bool = False, report_errors: bool = True
    ) -> Sent:
        """Send one line, usually at once.

        See :meth:`Protocol.send`.

        Raises:
            FailedError: The link is gone, and nothing was sent.
            ValueError: It is no line that can be sent.

        """
        if self._closed:
            error = FailedError.disconnected(self._failure)
            error.sent = False
            raise error
        ticket = self.protocol.send(text, ahead=ahead, report_errors=report_errors)
        sent = Sent(ticket, self._loop.create_future())
        self._waiting[ticket] = sent.done
        self._transmit()
        return sent

    async def acknowledged(self, sent: Sent) -> Done:
        """Wait until the firmware has acknowledged a line that was sent.

        If the caller is cancelled before it was transmitted, it is withdrawn.

        Raises:
            FailedError: The line was not answered, or the link or the printer went away
                meanwhile; its ``sent`` attribute says whether it was transmitted.

        """
        try:
            return await sent.done
        except asyncio.CancelledError:
            if self.protocol.withdraw(sent.ticket):
                del self._waiting[sent.ticket]
            raise

    def urgent(self, *lines: str) -> None:
        """Send lines at once and without number, before everything that waits."""
        if self._closed:
            return
        for text in lines:
            self.protocol.send_now(text)
        now = self._loop.time()
        if data := self.protocol.urgent_data(now):
            self._transport.write_now(data)
            self._wire.sent(data, now)
        self._transmit()

    def halt(self, error: str, message: str) -> None:
        """Fail everything that waits; send nothing more until a reset."""
        self._pump(self.protocol.halt(error, message))

    def restart(self) -> None:
        """Start again with a firmware that was reset."""
        if not self._closed:
            self._pump(self.protocol.restart())

    def close(self) -> None:
        """Free the port; what waits fails. :meth:`run` ends with a LinkError."""
        if self._closed:
            return
        self._closed = True
        self._touched = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        self._dispatch(self.protocol.halt("disconnected", self._failure))

    def _pump(self, events: Iterable[Event]) -> None:
        """Act on events, then send what is due."""
        self._dispatch(events)
        self._transmit()

    def _transmit(self) -> None:
        """Send what may be sent now, and set the next alarm."""
        if self._closed:
            return
        now = self._touched = self._loop.time()
        if data := self.protocol.data_to_send(now):
            self._transport.write(data)
            self._wire.sent(data, now)
        if self._timer is not None:
            self._timer.cancel()
        when = self.protocol.next_timeout()
        self._timer = None if when is None else self._loop.call_at(when, self._alarm)

    def _dispatch(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Done(ticket):
                    future = self._waiting.pop(ticket)
                    if not future.done():  # whoever waited may have been cancelled
                        future.set_result(event)
                case Failed(ticket):
                    self._fail(self._waiting.pop(ticket), event)
                case LinkFailed(reason):
                    self._failed = True
                    self._failure = reason
                    self._touched = self._loop.time()
                    self._transport.close()  # run() reads the end and raises
                case _:
                    self._on_event(event)

    @staticmethod
    def _fail(future: asyncio.Future[Done], event: Failed) -> None:
        if not future.done():
            error = _ERRORS[event.error](event.message)
            error.sent, error.output = event.sent, event.output
            future.set_exception(error)

    def _alarm(self) -> None:
        self._timer = None
        self._pump(self.protocol.handle_timeout(self._loop.time()))
