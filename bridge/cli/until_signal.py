"""Working until somebody says stop."""

import asyncio
import signal
from collections.abc import Coroutine

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signal(work: Coroutine[None, None, None]) -> None:
    """Run a coroutine; SIGINT and SIGTERM cancel it, and that is a good end.

    A second signal ends the process at once: something hangs, and the broker will
    publish the last will.
    """
    asyncio.run(_stoppable(work))


async def _stoppable(work: Coroutine[None, None, None]) -> None:
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
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise
