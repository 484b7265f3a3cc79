"""One open link: a transport, a protocol, and the only clock they know."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bridge.errors import FailedError, LinkError
from bridge.gcode.events import Done, Event, Failed, LinkFailed, PrinterEvent
from bridge.gcode.protocol import Protocol
from bridge.gcode.window import Stream
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port.transport import Transport

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


@dataclass(slots=True, eq=False)
class _Streaming:
    """A stream of lines, and who is told about it."""

    stream: Stream
    on_sent: Callable[[str], None]
    on_done: Callable[[Done], None]
    over: asyncio.Future[None]
    error: FailedError | None = None


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
        self._streams: dict[int, _Streaming] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None  # that runs the session
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
        elif due is None and self._unanswered and not self.protocol.halted:
            due = self._touched  # lines that wait must have an alarm
        return 0.0 if due is None else max(0.0, now - due)

    @property
    def _unanswered(self) -> bool:
        """Whether a line was sent, or could be, that has no outcome yet."""
        return bool(self._waiting) or any(
            streaming.stream.open for streaming in self._streams.values()
        )

    async def run(self) -> None:
        """Serve the link until it breaks; always ends in an exception."""
        try:
            self._task = asyncio.current_task()
            self._transmit()
            await self._transport.deliver(self._receive)
            raise LinkError(self._failure)
        finally:
            self._over = True
            self.close()

    def _receive(self, data: bytes) -> None:
        """Process some received bytes, and send what they make room for."""
        if self.closed or (self._task is not None and self._task.cancelling()):
            return  # whoever listens is about to end, and can begin nothing
        now = self._loop.time()
        self._wire.received(data, now)
        # A listener may stop the conversation after one line, before the next one: a
        # reset that follows in the same chunk must not be stopped as well.
        for line in data.splitlines(keepends=True):
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

    async def stream(
        self,
        source: Iterator[str | None],
        *,
        on_sent: Callable[[str], None],
        on_done: Callable[[Done], None],
    ) -> None:
        """Send lines as fast as the firmware accepts them; return after the last one.

        Each line is pulled when it can be sent, in the callback that read the ``ok`` of
        the one before: no task, future or place in a queue is needed for it. Lines of
        :meth:`send` and urgent ones go in between. If the caller is cancelled, no more
        lines are pulled.

        Args:
            source: see :class:`~bridge.gcode.window.Stream`; it may end at any time,
                and after a ``None`` :meth:`resume` has to be called.
            on_sent: called with each line after its bytes were written.
            on_done: called with the outcome of each line, in the same order.

        Raises:
            FailedError: A line was not answered, or the link or the printer went away.
            ValueError: The source yielded a line that cannot be sent.

        """
        if self._closed:
            error = FailedError.disconnected(self._failure)
            error.sent = False
            raise error
        over: asyncio.Future[None] = self._loop.create_future()
        stream = self.protocol.stream(source)
        self._streams[stream.ticket] = _Streaming(stream, on_sent, on_done, over)
        self._transmit()
        try:
            await over
        except asyncio.CancelledError:
            stream.end()
            raise

    def resume(self) -> None:
        """Ask the sources of lines again; one of them had none for a while."""
        self._transmit()

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
        self._settle_streams()

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
        if self._streams:
            self._settle_streams()
        when = self.protocol.next_timeout()
        if when is None:
            return  # an alarm that comes needlessly does no harm
        if self._timer is not None:
            if self._timer.when() <= when:
                return  # it comes early enough, and then finds out when the next is due
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._alarm)

    def _settle_streams(self) -> None:
        """Report what was sent of each stream, and its end."""
        for ticket, streaming in list(self._streams.items()):
            stream = streaming.stream
            if stream.pulled:
                pulled, stream.pulled = stream.pulled, []
                for text in pulled:
                    streaming.on_sent(text)
            if not stream.over or stream.open:
                continue
            self._streams.pop(ticket, None)  # a callback above may have ended it
            self._end_stream(ticket, streaming)

    @staticmethod
    def _end_stream(ticket: int, streaming: _Streaming) -> None:
        stream = streaming.stream
        error = streaming.error or stream.refused
        if error is None and stream.failure is not None:
            error = _error(Failed(ticket, *stream.failure, sent=False))
        if streaming.over.done():
            return  # whoever waited was cancelled
        if error is None:
            streaming.over.set_result(None)
        else:
            streaming.over.set_exception(error)

    def _dispatch(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Done(ticket):
                    self._done(ticket, event)
                case Failed(ticket):
                    self._fail(ticket, event)
                case LinkFailed(reason):
                    self._failed = True
                    self._failure = reason
                    self._touched = self._loop.time()
                    self._transport.close()  # run() reads the end and raises
                case _:
                    self._on_event(event)

    def _done(self, ticket: int, event: Done) -> None:
        future = self._waiting.pop(ticket, None)
        if future is None:
            streaming = self._streams[ticket]
            streaming.stream.open -= 1
            streaming.on_done(event)
        elif not future.done():  # whoever waited may have been cancelled
            future.set_result(event)

    def _fail(self, ticket: int, event: Failed) -> None:
        future = self._waiting.pop(ticket, None)
        if future is None:
            streaming = self._streams[ticket]
            streaming.stream.open -= 1
            streaming.stream.end()
            streaming.error = streaming.error or _error(event)
        elif not future.done():
            future.set_exception(_error(event))

    def _alarm(self) -> None:
        self._timer = None
        self._pump(self.protocol.handle_timeout(self._loop.time()))


def _error(event: Failed) -> FailedError:
    error = _ERRORS[event.error](event.message)
    error.sent, error.output = event.sent, event.output
    return error
