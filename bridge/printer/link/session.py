"""One open link: a transport, a protocol, and the only clock they know."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bridge.errors import FailedError, LinkError
from bridge.gcode.events import Done, Event, Failed, LinkFailed, PrinterEvent
from bridge.gcode.protocol import Protocol
from bridge.gcode.window import QueuedLine, SourceItem, Stream
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


class Streaming:
    """A stream of lines that a session sends, from :meth:`Session.start_stream`."""

    def __init__(
        self,
        session: "Session",
        stream: Stream,
        on_sent: Callable[[str, int], None],
        on_done: Callable[[Done], None],
    ) -> None:
        self.stream = stream
        self.on_sent = on_sent
        self.on_done = on_done
        self.acknowledged = 0
        """How many lines the firmware has acknowledged."""
        self.unacknowledged: deque[int] = deque()
        """The offsets of the lines that were sent and have no acknowledgement, oldest
        first; after a failure, those that may have been carried out."""
        self._session = session
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: FailedError | None = None

    @property
    def starved(self) -> float:
        """Seconds during which nothing was in flight because the source had no line.

        Pauses do not count.
        """
        return self.stream.starved(self._session.time())

    def pause(self) -> None:
        """Pull no more lines until :meth:`resume`; those that were sent continue.

        Lines of :meth:`Session.send` and of other streams are sent meanwhile.
        """
        self.stream.pause(self._session.time())

    def resume(self) -> None:
        """Pull lines again: after a pause, or because the source has some again."""
        self.stream.resume(self._session.time())
        self._session.resume()

    def end(self) -> None:
        """Pull no more lines; :meth:`finished` returns after those that were sent."""
        self.stream.end()
        self._session.resume()

    async def finished(self) -> None:
        """Wait until the last line has its outcome.

        If the caller is cancelled, no more lines are pulled.

        Raises:
            FailedError: A line was not answered, or the link or the printer went away.
            ValueError: The source yielded a line that cannot be sent.
            Exception: What the source has raised.

        """
        try:
            await self._over
        except asyncio.CancelledError:
            self.stream.end()
            raise

    def line_sent(self, line: QueuedLine) -> None:
        """Count a line whose bytes were written."""
        self.unacknowledged.append(line.offset)
        self.on_sent(line.text, line.offset)

    def line_done(self, event: Done) -> None:
        """Count an acknowledged line."""
        self.stream.open -= 1
        self.acknowledged += 1
        self.unacknowledged.popleft()
        self.on_done(event)

    def line_failed(self, event: Failed) -> None:
        """End the stream because of a line that will not be finished."""
        self.stream.open -= 1
        self.stream.end()
        self._error = self._error or _error(event)

    def settle(self) -> None:
        """Make :meth:`finished` return, or raise what ended the stream."""
        stream = self.stream
        error = self._error or stream.refused
        if error is None and stream.failure is not None:
            error = _error(Failed(stream.ticket, *stream.failure, sent=False))
        if self._over.done():
            return  # the caller was cancelled
        if error is None:
            self._over.set_result(None)
            return
        self._over.set_exception(error)
        self._over.exception()  # nobody may be waiting


class Session:
    """A conversation with a printer, from open to the first :class:`LinkError`.

    ``on_event`` is called for everything but the outcome of single lines, in order,
    from the event loop; it must not block.
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
        self._streams: dict[int, Streaming] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None  # that runs the session
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._failed = False
        self._over = False
        self._touched = self._loop.time()
        self._failure = "the connection to the printer was lost"

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closed or self._failed

    def late(self, now: float) -> float:
        """Return by how many seconds something that is due is late; 0: nothing is."""
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
        """Whether a line was sent, or could be sent, that has no outcome yet."""
        return bool(self._waiting) or any(
            streaming.stream.open for streaming in self._streams.values()
        )

    async def run(self) -> None:
        """Serve the link until it is lost; always ends in an exception."""
        try:
            self._task = asyncio.current_task()
            self._transmit()
            await self._transport.deliver(self._receive)
            raise LinkError(self._failure)
        finally:
            self._over = True
            self.close()

    def _receive(self, data: bytes) -> None:
        """Process some received bytes, and send the lines that may follow."""
        if self.closed or (self._task is not None and self._task.cancelling()):
            return  # the owner is about to end, and can start nothing
        now = self._loop.time()
        self._wire.received(data, now)
        # A listener may stop the conversation after one line, before the next one: a
        # reset that follows in the same chunk must not be stopped as well.
        single = data.find(b"\n") == len(data) - 1
        for line in (data,) if single else data.splitlines(keepends=True):
            if events := self.protocol.receive_data(line, now):
                self._dispatch(events)
        self._transmit()

    async def line(
        self, text: str, *, ahead: bool = False, report_errors: bool = True
    ) -> Done:
        """Send one line and wait until the firmware has acknowledged it.

        Raises:
            As :meth:`send` and :meth:`acknowledged`.

        """
        ticket, done = self._send(text, ahead=ahead, report_errors=report_errors)
        try:
            return await done
        except asyncio.CancelledError:
            self._withdraw(ticket)
            raise

    def send(
        self, text: str, *, ahead: bool = False, report_errors: bool = True
    ) -> Sent:
        """Send one line, usually at once.

        See :meth:`Protocol.send`.

        Raises:
            FailedError: The link is gone, and nothing was sent.
            ValueError: It is not a line that can be sent.

        """
        return Sent(*self._send(text, ahead=ahead, report_errors=report_errors))

    def _send(
        self, text: str, *, ahead: bool, report_errors: bool
    ) -> tuple[int, asyncio.Future[Done]]:
        if self._closed:
            error = FailedError.disconnected(self._failure)
            error.sent = False
            raise error
        ticket = self.protocol.send(text, ahead=ahead, report_errors=report_errors)
        done = self._waiting[ticket] = self._loop.create_future()
        self._transmit()
        return ticket, done

    def _withdraw(self, ticket: int) -> None:
        if self.protocol.withdraw(ticket):
            del self._waiting[ticket]

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
            self._withdraw(sent.ticket)
            raise

    def start_stream(
        self,
        source: Iterator[SourceItem],
        *,
        on_sent: Callable[[str, int], None],
        on_done: Callable[[Done], None],
        behind: bool = False,
    ) -> Streaming:
        """Begin to send lines as fast as the firmware accepts them.

        Each line is pulled when it can be sent, in the callback that read the ``ok`` of
        the one before: no task, future or place in a queue is needed for it. Lines of
        :meth:`send` and urgent ones go in between. A line that is not a move, such as
        one that waits for a heater, is in flight alone, for as long as the dialect
        allows it.

        Args:
            source: yields a line, a line and its offset in the source, or ``None``:
                there is no line now, and :meth:`Streaming.resume` will be called. It
                may end at any time. It is called from the event loop and must not
                block.
            on_sent: called with each line and its offset after its bytes were written;
                a line that is sent again is not reported again.
            on_done: called with the outcome of each line, in the same order.
            behind: as for a print: the lines of other streams go first.

        Raises:
            FailedError: The link is gone, and nothing was sent.

        """
        if self._closed:
            error = FailedError.disconnected(self._failure)
            error.sent = False
            raise error
        stream = self.protocol.stream(source, behind=behind)
        streaming = Streaming(self, stream, on_sent, on_done)
        self._streams[stream.ticket] = streaming
        self._transmit()
        return streaming

    def resume(self) -> None:
        """Send what may be sent now; a stream has lines again, or has ended."""
        self._transmit()

    def time(self) -> float:
        """Return the time in seconds, on the clock of the conversation."""
        return self._loop.time()

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
            return  # a needless alarm does no harm
        if self._timer is not None:
            if self._timer.when() <= when:
                return  # it comes early, and then sets the next one
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._alarm)

    def _settle_streams(self) -> None:
        """Report what was sent of each stream, and its end."""
        for ticket, streaming in tuple(self._streams.items()):
            stream = streaming.stream
            if stream.pulled:
                pulled, stream.pulled = stream.pulled, []
                for line in pulled:
                    streaming.line_sent(line)
            if stream.over and not stream.open:
                self._streams.pop(ticket, None)  # a callback may have ended it
                streaming.settle()

    def _dispatch(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Done):  # as nearly always; a pattern takes a µs more
                self._done(event.ticket, event)
                continue
            match event:
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
            self._streams[ticket].line_done(event)
        elif not future.done():  # the caller may have been cancelled
            future.set_result(event)

    def _fail(self, ticket: int, event: Failed) -> None:
        future = self._waiting.pop(ticket, None)
        if future is None:
            self._streams[ticket].line_failed(event)
        elif not future.done():
            future.set_exception(_error(event))

    def _alarm(self) -> None:
        self._timer = None
        self._pump(self.protocol.handle_timeout(self._loop.time()))


def _error(event: Failed) -> FailedError:
    error = _ERRORS[event.error](event.message)
    error.sent, error.output = event.sent, event.output
    return error
