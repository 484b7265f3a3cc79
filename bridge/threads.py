"""Blocking calls that must stop neither the event loop nor the end of the process."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(
    work: Callable[[], Result], abandon: Callable[[Result], None]
) -> Result:
    """Do a blocking call in a short thread of its own.

    The event loop's executor is no place for it: a name lookup that hangs there would
    keep the process from ending.

    Args:
        work: the blocking call; what it raises is raised here.
        abandon: gets the result when nobody waits for it any more; runs in the event
            loop, or in the thread when that has ended.

    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[Result] = loop.create_future()

    def finish(result: Result) -> None:
        if waiting.done():
            abandon(result)
        else:
            waiting.set_result(result)

    def fail(error: Exception) -> None:
        if not waiting.done():
            waiting.set_exception(error)

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(fail, error)
            return
        try:
            loop.call_soon_threadsafe(finish, result)
        except RuntimeError:
            abandon(result)

    threading.Thread(target=run, name="bridge-blocking", daemon=True).start()
    return await waiting
