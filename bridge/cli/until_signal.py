"""Working until somebody says stop."""

import asyncio
import signal
from collections.abc import Callable, Coroutine

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signal(
    work: Coroutine[None, None, None], on_hangup: Callable[[], None] | None = None
) -> None:
    """Run a coroutine; SIGINT and SIGTERM cancel it, and that is a good end.

    A second signal ends the process at once: something hangs, and the broker will
    publish the last will. SIGHUP calls ``on_hangup``; without that it ends us, too.
    """
    asyncio.run(_stoppable(work, on_hangup))


async def _stoppable(
    work: Coroutine[None, None, None], on_hangup: Callable[[], None] | None
) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        task.cancel()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    if on_hangup is not None:
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise
