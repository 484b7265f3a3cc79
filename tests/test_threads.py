"""Blocking calls that are waited for, and that are not."""

import asyncio
import threading

import pytest

from bridge.threads import SerialThread, in_thread, is_stuck
from tests.support.waiting import DEADLINE

NAME = "open the door"


class Door:
    """A blocking call that ends when it is let go; what it returns must not be lost."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.free = threading.Event()
        self.cleaned = threading.Event()
        self.rubbish: list[str] = []

    def call(self) -> str:
        self.entered.set()
        assert self.free.wait(DEADLINE)
        return "result"

    def abandon(self, result: str) -> None:
        self.rubbish.append(result)
        self.cleaned.set()

    async def open(self) -> str:
        return await in_thread(self.call, self.abandon, name=NAME)

    async def cleaned_up(self) -> None:
        assert await asyncio.to_thread(self.cleaned.wait, DEADLINE)
        assert self.rubbish == ["result"]


async def test_the_result_is_returned_and_kept() -> None:
    door = Door()
    door.free.set()
    assert await door.open() == "result"
    assert door.rubbish == []
    assert not is_stuck(NAME)


async def test_an_error_is_raised_where_it_is_awaited() -> None:
    def fail() -> str:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await in_thread(fail, Door().abandon)


async def test_a_call_that_hangs_is_abandoned_and_its_result_cleaned_up() -> None:
    door = Door()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await door.open()
    assert is_stuck(NAME)
    assert not is_stuck("something else")
    assert door.rubbish == []
    door.free.set()
    await door.cleaned_up()


async def test_a_result_that_comes_with_the_cancellation_is_cleaned_up() -> None:
    door = Door()
    opening = asyncio.create_task(door.open())
    await asyncio.sleep(0)
    assert door.entered.wait(DEADLINE)
    door.free.set()
    for thread in threading.enumerate():
        if thread.name == NAME:
            thread.join(DEADLINE)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert door.rubbish == ["result"]


async def test_a_failure_that_comes_too_late_concerns_nobody() -> None:
    door = Door()

    def fail() -> str:
        door.free.wait(DEADLINE)
        raise OSError("too late")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await in_thread(fail, door.abandon)
    door.free.set()
    assert door.rubbish == []


def test_a_call_that_outlives_the_event_loop_is_cleaned_up() -> None:
    door = Door()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await door.open()

    asyncio.run(give_up())
    door.free.set()
    assert door.cleaned.wait(DEADLINE)
    assert door.rubbish == ["result"]


async def test_calls_of_one_thread_follow_each_other() -> None:
    thread, order, door = SerialThread("in a row"), list[int](), Door()
    first = asyncio.create_task(thread.run(door.call))
    more = [
        asyncio.create_task(thread.run(lambda n=n: order.append(n)))  # type: ignore[misc]
        for n in range(3)
    ]
    assert await asyncio.to_thread(door.entered.wait, DEADLINE)
    names = [one.name for one in threading.enumerate()]
    assert (order, names.count("in a row")) == ([], 1)
    more[1].cancel()  # it is done nevertheless
    door.free.set()
    assert await first == "result"
    await more[2]
    assert order == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    thread.close()


async def test_a_thread_that_cannot_start_is_tried_again() -> None:
    """Nobody waits for a thread that there is not."""
    thread, calls = SerialThread("late"), list[int]()
    usual = threading.stack_size(2**46)  # more than there are addresses
    try:
        for number in range(2):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await thread.run(lambda n=number: calls.append(n))  # type: ignore[misc]
    finally:
        threading.stack_size(usual)
    await thread.run(lambda: calls.append(2))
    assert calls == [2]
    thread.close()
