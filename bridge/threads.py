"""Runs blocking calls that must neither stop the event loop nor delay the exit."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
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


class SerialThread:
    """One thread for blocking calls that follow each other, such as writing a file.

    A start of a thread blocks the event loop until the thread runs: some milliseconds
    if the machine is busy, and sixteen times a second in an upload.

    Args:
        name: the thread's.

    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = False

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run a blocking call after all before it; what it raises is raised here.

        If the caller is cancelled, the call continues, and its result is dropped.

        Raises:
            RuntimeError: There are too many threads; the call is not made.

        """
        if not self._started:
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
            self._started = True
        outcome: Future[Result] = Future()
        outcome.set_running_or_notify_cancel()
        self._calls.put(partial(_run, work, outcome))
        return await asyncio.wrap_future(outcome)

    def close(self) -> None:
        """End the thread after the calls that were asked for; nobody waits for it."""
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


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
