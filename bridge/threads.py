"""Blocking calls that must stop neither the event loop nor the end of the process."""

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
    """Do a blocking call in a short thread of its own.

    The event loop's executor is no place for it: a name lookup that hangs there would
    keep the process from ending.

    Args:
        work: the blocking call; what it raises is raised here.
        abandon: gets the result when nobody waits for it any more, exactly once; runs
            in the thread, or here when the end and the cancellation come together.
        name: the thread's name, by which :func:`hangs` finds the call.

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


def hangs(name: str) -> bool:
    """Whether an abandoned call of that name still has not returned."""
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
