"""Keeps the state of a connected printer current: queries, and the age of readings."""

import asyncio
from contextlib import suppress

from bridge.backoff import next_turn
from bridge.printer.control.heater_control import HeaterControl
from bridge.printer.control.polling import PollSchedule, max_ages
from bridge.printer.knowledge import age
from bridge.printer.knowledge import state as knowledge
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.session import Session
from bridge.printer.link.setup import ask
from bridge.timeout import timeout

POLL_PAUSE = 0.25
"""Minimum seconds between two checks of which queries are due; polling is as precise as
this."""

LOOK = 2.0
"""Maximum seconds between two such checks."""

_LATER = 0.01
"""Seconds that are added to the time at which a value expires, so that it has certainly
expired when the timer fires."""


class StatusPoller:
    """Sends queries when they are due, and forgets what was read too long ago.

    Args:
        observer: what is known of the printer.
        heat: decides which heaters are turned off, and when it has to check.
        touched: set after each change of the state.
        interval: seconds between two temperature reports.
        name: the printer's id; spreads the checks of several printers over time.

    """

    def __init__(
        self,
        observer: Observer,
        heat: HeaterControl,
        touched: asyncio.Event,
        *,
        interval: float,
        name: str,
    ) -> None:
        self._observer = observer
        self._heat = heat
        self._touched = touched
        self._interval = interval
        self._name = name
        self._expiry: asyncio.TimerHandle | None = None
        self._expected = observer.state.expected_since
        """What was expected when the timer was started."""

    def configure(self, interval: float) -> None:
        """Use another interval from now on."""
        self._interval = interval
        self.leave()
        self.watch_age()
        self._touched.set()

    def leave(self) -> None:
        """Cancel the timer; the printer is no longer used."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def watch_age(self) -> None:
        """Start the timer that forgets old values, unless it is right already."""
        state = self._observer.state
        if self._expiry is not None and state.expected_since is self._expected:
            return
        self.leave()
        self._expected = state.expected_since
        due = age.next_expiry(state, max_ages(state, self._interval))
        if due is not None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_at(due + _LATER, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self._observer.expire(max_ages(self._observer.state, self._interval))
        self.watch_age()

    async def run(self, session: Session) -> None:
        """Poll what the printer does not report, and turn off heaters nobody uses.

        Runs from each successful set-up to the end of the link or a reset.

        Raises:
            FailedError: The link or the printer went away.

        """
        observer, polls = self._observer, PollSchedule(self._interval)
        self._heat.connected()
        while True:
            self._touched.clear()
            if polls.interval != self._interval:  # the settings have changed
                polls.interval = self._interval
                await self._report_again(session)
            # Heaters come first: a query below may wait until somebody acts.
            await self._heat.check(session)
            for line in polls.due(observer.state, observer.dialect, observer.clock()):
                await self._query(session, line)
            now = observer.clock()
            due = polls.next_due(observer.state, observer.dialect, now)
            await self._until_due(min(due, self._heat.next_due()))

    async def _query(self, session: Session, line: str) -> None:
        observer, before = self._observer, self._observer.state
        answered = await ask(session, line)
        if answered and before.waiting:
            observer.set_state(knowledge.answered(observer.state))
        if answered and line == "M27" and "M27" in before.autoreports:
            observer.answered_in_turn(before.job)

    async def _report_again(self, session: Session) -> None:
        """Have the firmware report at the present interval, if it does so by itself."""
        if "M155" in self._observer.state.autoreports:
            line = f"M155 S{max(1, round(self._interval))}"
            await ask(session, line)
            self._observer.line_sent(line)

    async def _until_due(self, due: float) -> None:
        """Wait until this time, or a moment after a change of the state.

        Not longer than until the printer's next turn: reports may stop coming.
        """
        begun = self._observer.clock()
        end = min(due, next_turn(begun, LOOK, self._name))
        with suppress(TimeoutError):
            async with timeout(max(POLL_PAUSE, end - begun)):
                await self._touched.wait()
        # Many changes in a short time lead to one check.
        await asyncio.sleep(max(0.0, begun + POLL_PAUSE - self._observer.clock()))
