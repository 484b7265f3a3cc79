"""Keeps what is known of a printer fresh, as long as it can be used."""

import asyncio

from bridge.printer.control.idle_watch import IdleWatch
from bridge.printer.control.polls import wanted_polls
from bridge.printer.knowledge import state as knowledge
from bridge.printer.knowledge.observer import Observer
from bridge.printer.link.session import Session
from bridge.printer.link.setup import ask

POLL_INTERVAL = 0.25
"""How finely the intervals of the polls are kept, in seconds."""


async def attend(
    session: Session, observer: Observer, idle: IdleWatch, *, interval: float
) -> None:
    """Ask for what the printer does not tell, and look after its heaters.

    Args:
        session: the conversation with it.
        observer: what is known of it.
        idle: knows which heaters nobody uses.
        interval: seconds between two reports of the temperatures.

    Raises:
        FailedError: The link or the printer went away.

    """
    due: dict[str, float] = {}
    while True:
        await idle.look()  # before a question that may wait for a person
        now = observer.clock()
        for poll in wanted_polls(
            observer.state, dialect=observer.dialect, interval=interval
        ):
            if due.get(poll.line, now) <= now:
                due[poll.line] = now + poll.interval
                await _ask(session, observer, poll.line)
        await asyncio.sleep(POLL_INTERVAL)


async def _ask(session: Session, observer: Observer, line: str) -> None:
    waited = observer.state.waiting
    if await ask(session, line) and waited:
        observer.become(knowledge.answered(observer.state))
