"""A timeout that works also in a task that was once asked to cancel."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bridge.timeout import timeout, timeout_at


async def forever() -> None:
    await asyncio.Event().wait()


async def with_a_stale_request() -> None:
    """Leave the running task with a request to cancel that is over."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    assert task.cancelling() == 1


async def with_a_failed_task_group() -> None:
    """Do what leaves such a request on some Pythons."""

    async def fail() -> None:
        raise ValueError

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(forever())
            tasks.create_task(fail())

    with pytest.raises(ExceptionGroup):
        await group()


async def with_nothing() -> None:
    pass


BEFORE = (with_nothing, with_a_stale_request, with_a_failed_task_group)


@pytest.mark.parametrize("before", BEFORE)
async def test_a_block_that_takes_too_long_is_a_timeout(
    before: Callable[[], Awaitable[None]],
) -> None:
    await before()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with timeout(0.001) as limit:
                await forever()
        assert limit.expired


@pytest.mark.parametrize("before", BEFORE)
async def test_a_block_that_ends_in_time_is_no_timeout(
    before: Callable[[], Awaitable[None]],
) -> None:
    await before()
    task = asyncio.current_task()
    assert task is not None
    requests = task.cancelling()
    async with timeout(30) as limit:
        await asyncio.sleep(0)
    assert not limit.expired
    assert task.cancelling() == requests


@pytest.mark.parametrize("before", BEFORE)
async def test_a_cancellation_stays_one(before: Callable[[], Awaitable[None]]) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        await before()
        async with timeout(30):
            entered.set()
            await forever()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_in_the_same_moment_as_the_end_wins() -> None:
    """Otherwise whoever cancels would wait for a task that continues."""

    async def work() -> None:
        async with timeout(0):
            await forever()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)  # it has entered its block
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_is_not_hidden_by_the_end() -> None:
    async def slow_to_end() -> None:
        try:
            await forever()
        finally:
            raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        async with timeout(0.001):
            await slow_to_end()


async def test_timeouts_within_each_other_are_told_apart() -> None:
    outer, inner = timeout(0.001), timeout(30)
    with pytest.raises(TimeoutError):
        async with outer, inner:
            await forever()
    assert (outer.expired, inner.expired) == (True, False)
    outer, inner = timeout(30), timeout(0.001)
    with pytest.raises(TimeoutError):
        async with outer, inner:
            await forever()
    assert (outer.expired, inner.expired) == (False, True)


async def test_the_end_can_be_moved() -> None:
    now = asyncio.get_running_loop().time
    async with timeout_at(now() - 1) as limit:
        limit.reschedule(now() + 30)
        await asyncio.sleep(0)
        limit.reschedule(None)
    limit = timeout_at(None)

    async def moved() -> None:
        async with limit:
            limit.reschedule(now() + 0.001)
            await forever()

    with pytest.raises(TimeoutError):
        await moved()
    limit.reschedule(now() + 30)
    assert limit.expired


async def test_none_never_ends() -> None:
    async with timeout(None) as limit:
        await asyncio.sleep(0)
    assert not limit.expired


async def test_it_needs_a_task() -> None:
    raised: asyncio.Future[RuntimeError] = asyncio.get_running_loop().create_future()

    def outside() -> None:
        try:
            timeout(1).__aenter__().send(None)
        except RuntimeError as error:
            raised.set_result(error)

    asyncio.get_running_loop().call_soon(outside)
    assert "needs a task" in str(await raised)
