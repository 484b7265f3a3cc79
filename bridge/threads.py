"""Runs blocking calls that must neither stop the event loop nor delay the exit."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(
    work: Callable[[], Result],
    abandon: Callable[[Result], None],
    *,
    name: str = "bridge-blocking",
) -> Result:
    """Run a blocking call in a thread of its own, which ends with it.

    The event loop's executor is not used, because the process waits for its threads at
    exit, and a name lookup can block for minutes.

    Args:
        work: the blocking call; what it raises is raised here.
        abandon: gets the result, exactly once, if the caller was cancelled. It runs in
            the thread, or here if the call ends at the same moment.
        name: the thread's name, by which :func:`is_stuck` finds the call.

    """
    outcome: Future[Result] = Future()
    outcome.set_running_or_notify_cancel()  # from now on only the thread may end it
    thread = threading.Thread(target=_run, args=(work, outcome), name=name, daemon=True)
    thread.start()
    try:
        return await asyncio.wrap_future(outcome)
    except asyncio.CancelledError:
        thread.name = _abandoned(name)
        outcome.add_done_callback(lambda done: _clean_up(done, abandon))
        raise


def is_stuck(name: str) -> bool:
    """Return whether an abandoned call of that name has not returned yet."""
    return any(thread.name == _abandoned(name) for thread in threading.enumerate())


def _abandoned(name: str) -> str:
    return f"{name} (abandoned)"


def _run(work: Callable[[], Result], outcome: "Future[Result]") -> None:
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - raised again where it is awaited
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


def _clean_up(done: "Future[Result]", abandon: Callable[[Result], None]) -> None:
    if done.exception() is None:
        abandon(done.result())
