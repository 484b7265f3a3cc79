"""Working until somebody says stop, or something is broken."""

import asyncio
import logging
import os
import signal
import time

import pytest

from bridge.cli.signals import run_until_signal


class Work:
    """Does one thing, and then nothing until it is cancelled."""

    def __init__(self) -> None:
        self.left = False

    async def does(self, number: signal.Signals | None = None) -> None:
        """Get a signal, or have a callback that fails."""
        loop = asyncio.get_running_loop()
        if number is None:
            loop.call_soon(_break)
        else:
            loop.call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.sleep(30)
        finally:
            self.left = True


def _break() -> None:
    raise RuntimeError("a bug")


def test_a_signal_is_a_good_end() -> None:
    work = Work()
    run_until_signal(work.does(signal.SIGTERM))
    assert work.left


def test_a_bug_in_a_callback_ends_the_work(caplog: pytest.LogCaptureFixture) -> None:
    """Else the printer would continue, and nobody would be told how it is."""
    work, begun = Work(), time.monotonic()
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="a bug"):
        run_until_signal(work.does())
    assert work.left
    assert time.monotonic() - begun < 20
    assert "_break" in caplog.text
