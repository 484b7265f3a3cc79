"""The link to one printer: finds the port, opens it, sets it up, and reconnects."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from dataclasses import replace
from typing import Literal

from bridge.backoff import Backoff
from bridge.config import Serial
from bridge.errors import FailedError, LinkError
from bridge.gcode.counters import Counters
from bridge.gcode.dialects import UNKNOWN, Dialect
from bridge.gcode.events import Connected, PrinterEvent, Restarted
from bridge.gcode.protocol import Protocol
from bridge.gcode.window import next_first_number
from bridge.log_dedupe import LogDedupe
from bridge.printer.link.events import Closed, LinkEvent, Opened, PortAddress, Ready
from bridge.printer.link.identity import configured_dialect
from bridge.printer.link.session import Session
from bridge.printer.link.setup import set_up
from bridge.printer.link.wire_log import WireLog
from bridge.printer.port import ports
from bridge.printer.port.transport import open_transport
from bridge.timeout import timeout

TRIAL = 7.0
"""Seconds that a port has to answer if there are other ports to try. Boards that are
reset when their port is opened need a few seconds to start."""

OPENING = 30.0
"""Seconds after which an attempt to open a port counts as late, for the watchdog."""

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
"""Bounds of the back-off between two attempts to connect, in seconds."""

CLOSING = 15.0
"""Seconds until the port must be closed. If it is just being opened, that takes up to
ten seconds."""

RELEASED = "the port is released until it is connected again (link connect)"

NOISY = 200
"""If more noise than this was received, in bytes and lines, and no answer, the baud
rate is wrong."""


def with_timeouts(dialect: Dialect, config: Serial) -> Dialect:
    """Return a dialect with the operator's own timeouts."""
    return replace(
        dialect,
        ok_timeout=config.ok_timeout or dialect.ok_timeout,
        long_timeout=config.long_timeout or dialect.long_timeout,
        long_codes=dialect.long_codes | {code.upper() for code in config.long_codes},
    )


class Link:
    """Keeps one printer connected.

    Args:
        config: the printer's serial settings.
        interval: seconds between two temperature reports.
        on_event: called with each event, in order, from the event loop.
        attend: runs while the printer can be used; restarted after each reset.
        on_failure: called with the session before a bug in ``attend`` closes the port.
        wire: logs what is sent and received.
        taken: returns the ports of other printers, which are not tried.
        found: where the printer was the last time.
        released: the port is left to others until :meth:`connect`.
        candidates: returns the ports to try, without those that are taken.
        trial: seconds that a port has to answer if there are others to try.

    """

    def __init__(  # noqa: PLR0913 - what a link needs is what its owner decides
        self,
        config: Serial,
        *,
        interval: float,
        on_event: Callable[[LinkEvent], None],
        attend: Callable[[Session], Awaitable[None]],
        on_failure: Callable[[Session], None] = lambda _: None,
        wire: WireLog,
        taken: Callable[[], Collection[str]] = tuple,
        found: PortAddress | None = None,
        released: bool = False,
        candidates: Callable[[Collection[str]], list[str]] = ports.candidates,
        trial: float = TRIAL,
    ) -> None:
        self._config = config
        self._candidates = candidates
        self._trial = trial
        self.interval = interval
        """Seconds between two temperature reports, from the next connection on."""
        self._on_event, self._on_failure = on_event, on_failure
        self._attend = attend
        self._wire = wire
        self._taken, self._found = taken, found
        self._port = ports.FixedPort(config.port)
        self._next_number = 0
        self._log = logging.getLogger("bridge.printer")
        self._dedupe = LogDedupe()
        self._backoff = Backoff(FIRST_DELAY, LONGEST_DELAY)
        self._attend_task: asyncio.Task[None] | None = None
        self._attended_until: float | None = None
        self._again = asyncio.Event()
        self._released, self._free = released, asyncio.Event()
        self._requested: Literal["connection", "reconnect"] = "connection"
        self._leaving = False
        self._open_by: float | None = None
        self._ended_at: float | None = None
        self.session: Session | None = None
        """The session, while a port is open."""
        self.connects = 0
        """How many times the printer was connected and set up."""
        self.counters = Counters()
        """Counters of all sessions together."""

    async def run(self) -> None:
        """Connect, and reconnect whenever the link is lost, until cancelled."""
        try:
            await self._keep_connected()
        finally:
            if not self._leaving:
                self._ended_at = asyncio.get_running_loop().time()

    async def _keep_connected(self) -> None:
        while not self._leaving:
            if self._released:
                await self._stay_away()
                continue
            reason = "no serial port was found; is the printer plugged in and on?"
            try:
                places = list(self._places())
            except OSError as error:  # a device that vanishes while it is looked at
                places, reason = [], f"the serial ports cannot be listed: {error}"
            for place in places:
                connects = self.connects
                conversation = self._run_session(place, alone=len(places) == 1)
                reason = await _in_own_task(conversation)
                if self._leaving or self._released or self.connects > connects:
                    break  # it was here, and will be here again
            if self._leaving:
                return
            if self._released:
                continue
            word, self._requested = self._requested, "connection"
            self._on_event(Closed(reason, word))
            now = asyncio.get_running_loop().time()
            if text := self._dedupe.filter(reason, now):
                self._log.warning("%s", text)
            await self._wait_before_retry()

    async def _stay_away(self) -> None:
        """Leave the port to other programs until it is wanted back."""
        self._requested = "connection"
        self._on_event(Closed(RELEASED, "released"))
        self._free.set()
        while self._released and not self._leaving:
            self._again.clear()
            await self._again.wait()
        self._free.clear()
        self._again.clear()

    async def release(self) -> None:
        """Close the port and keep it closed until :meth:`connect`.

        Raises:
            FailedError: The port could not be closed in time, or :meth:`run` has ended.

        """
        self._released = True
        self.reconnect()
        try:
            async with timeout(CLOSING):
                await self._free.wait()
        except TimeoutError:
            raise FailedError.timeout(
                "link disconnect: the port is not closed yet; it stays released"
            ) from None

    def connect(self) -> None:
        """Open the port again after :meth:`release`; nothing happens without one."""
        if self._released:
            self._released = False
            self._again.set()

    def leave(self) -> None:
        """Never connect again; cancel :meth:`run` after this.

        A cancellation by itself can get lost: a task group whose parent is cancelled at
        the moment at which the link is lost reports only the link (before Python 3.13).
        """
        self._leaving = True

    def reconnect(self) -> None:
        """Close the port and open it again at once.

        Raises:
            FailedError: :meth:`run` has ended, so that nothing would open it again.

        """
        if self._ended_at is not None:
            error = FailedError.disconnected(
                "the task that connects the printer has ended: restart the bridge"
            )
            error.sent = False
            raise error
        self._again.set()
        if self.session is not None:
            self._requested = "reconnect"
            self.session.close()

    def is_its_port(self, place: PortAddress) -> bool:
        """Return whether what is at a place is this printer, before it has answered.

        While the port is being searched, it may be any device.
        """
        return self._config.port != "auto" or place == self._found

    def late(self, now: float) -> float:
        """Return by how many seconds something that is due is late; 0: nothing is.

        If :meth:`run` has ended although :meth:`leave` was not called, the next attempt
        to connect has been due since then. If ``attend`` has ended although the session
        continues, the next poll has been due since then; a halted firmware is not
        polled.
        """
        due = self._ended_at
        if due is None and self.session is not None:
            if self._attended_until is not None and not self._is_over(self.session):
                due = self._attended_until
            else:
                return self.session.late(now)
        elif due is None:
            due = self._open_by
        return 0.0 if due is None else max(0.0, now - due)

    @staticmethod
    def _is_over(session: Session) -> bool:
        return session.closed or session.protocol.halted

    async def _wait_before_retry(self) -> None:
        pause = self._backoff.next_delay(random.random())  # noqa: S311 - no secret
        with contextlib.suppress(TimeoutError):
            async with timeout(pause):
                await self._again.wait()
        self._again.clear()

    def _places(self) -> Iterator[PortAddress]:
        """Yield the places to try: where the printer was last, then by likelihood."""
        config = self._config
        if self._found is not None:
            yield self._found
        found = [self._port.name]
        if config.port == "auto":
            found = self._candidates(self._taken())
        rates = ports.baudrates() if config.baudrate == "auto" else (config.baudrate,)
        if len(found) > 1 and config.baudrate == "auto":
            rates = rates[:2]  # every rate on every port would take minutes
        if "://" in config.port:
            rates = rates[:1]
        for rate in rates:
            for port in found:
                if PortAddress(port, rate) != self._found:
                    yield PortAddress(port, rate)

    async def _run_session(self, place: PortAddress, *, alone: bool) -> str:
        """Run a session with what is at a place; return why it ended."""
        config = self._config
        connects = self.connects
        self._open_by = asyncio.get_running_loop().time() + OPENING
        try:
            transport = await open_transport(place.port, place.baudrate, dtr=config.dtr)
        except LinkError as error:
            return str(error)
        finally:
            self._open_by = None
        if self._released:
            transport.close()
            return RELEASED
        protocol = self._protocol(trusted=alone or place == self._found)
        session = Session(
            transport,
            protocol,
            on_event=lambda event: self._on_session_event(event, place, tasks),
            wire=self._wire,
        )
        self.session = session
        self._on_event(Opened(place))
        reason = ""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.run())
        except* LinkError as group:
            reason = str(group.exceptions[0])
        finally:
            session.close()
            self.session = None
            self._attend_task = self._attended_until = None
            self._next_number = protocol.next_number
        if protocol.noise > NOISY and self.connects == connects:
            reason = f"only noise comes from {place.port}: wrong baud rate?"
        return reason

    def _protocol(self, *, trusted: bool) -> Protocol:
        config = self._config
        return Protocol(
            with_timeouts(configured_dialect(config) or UNKNOWN, config),
            first_number=next_first_number(self._next_number),
            connect_timeout=config.connect_timeout if trusted else self._trial,
            lines_in_flight=config.lines_in_flight,
            counters=self.counters,
        )

    def _on_session_event(
        self, event: PrinterEvent, place: PortAddress, tasks: asyncio.TaskGroup
    ) -> None:
        if isinstance(event, Connected | Restarted) and self._attend_task is not None:
            self._attend_task.cancel()
            self._attend_task = None
            self._attended_until = None
        self._on_event(event)
        if isinstance(event, Connected) and self.session is not None:
            task = tasks.create_task(self._set_up_and_attend(self.session, place))
            self._attend_task = task
            task.add_done_callback(self._on_attend_end)

    def _on_attend_end(self, task: asyncio.Task[None]) -> None:
        if task is self._attend_task:
            self._attended_until = asyncio.get_running_loop().time()

    async def _set_up_and_attend(self, session: Session, place: PortAddress) -> None:
        config = self._config
        try:
            identity = await set_up(session, configured_dialect(config), self.interval)
            dialect = with_timeouts(identity.dialect, config)
            session.protocol.dialect = dialect
            self._found = place
            self.connects += 1
            self._backoff.reset()
            self._dedupe.forget()
            self._on_event(Ready(replace(identity, dialect=dialect), place))
            await self._attend(session)
        except FailedError:
            return  # the link ends as well, or the printer was stopped or reset
        except Exception:
            # It ends the session, whose task closes the port as soon as it runs.
            self._on_failure(session)
            raise


async def _in_own_task(work: Coroutine[object, object, str]) -> str:
    """Await work in its own task, and return its result.

    A TaskGroup that fails leaves its task with a request to cancel (CPython before
    3.11.4, gh-102780), which must not reach a task that continues. And a TaskGroup that
    is cancelled at the moment at which it fails reports only the failure (before 3.13);
    here the cancellation does not get lost.

    Raises:
        asyncio.CancelledError: The caller was cancelled, whatever became of the work.

    """
    caller = asyncio.current_task()
    before = caller.cancelling() if caller is not None else 0
    result = await asyncio.create_task(work)
    if caller is not None and caller.cancelling() > before:
        raise asyncio.CancelledError
    return result
