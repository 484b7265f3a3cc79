"""Runs a task until a signal asks it to stop."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signal(
    work: Coroutine[None, None, None],
    on_hangup: Callable[[], None] | None = None,
    *,
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run a coroutine; SIGINT and SIGTERM cancel it, which is no error.

    A second signal ends the process at once: something hangs, and the broker will
    publish the last will. SIGHUP calls ``on_hangup``, or else ends the process.

    Args:
        work: the coroutine.
        on_hangup: called for SIGHUP.
        make_loop: returns the event loop; by default asyncio's.

    Raises:
        Exception: What the work raised, or a callback of the event loop: without that
            callback the work would continue and report what is no longer true.

    """
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(_stoppable(work, on_hangup))


async def _stoppable(
    work: Coroutine[None, None, None], on_hangup: Callable[[], None] | None
) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    asked = False
    bugs: list[BaseException] = []

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        if "handle" in context:
            bugs.append(context["exception"])
            task.cancel()

    def stop() -> None:
        nonlocal asked
        asked = True
        task.cancel()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    loop.set_exception_handler(failed)
    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    if on_hangup is not None:
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        await task
    except asyncio.CancelledError:
        if bugs:
            raise bugs[0] from None
        if not asked:
            raise
