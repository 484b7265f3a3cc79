"""One thing in each turn of the event loop."""

import asyncio
from contextvars import ContextVar

import pytest

from bridge.app.publish_scheduler import PublishScheduler

WHO: ContextVar[str] = ContextVar("WHO")


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_others_have_their_turn_between_two() -> None:
    scheduler, done = PublishScheduler(), list[str]()
    for name in "abc":
        scheduler.schedule(lambda name=name: done.append(name))  # type: ignore[misc]
    seen = []
    for _ in range(3):
        await turns(1)
        seen.append("".join(done))
    assert seen == ["a", "ab", "abc"]


async def test_what_comes_later_waits_behind_and_is_done() -> None:
    scheduler, done = PublishScheduler(), list[int]()

    def first() -> None:
        done.append(1)
        scheduler.schedule(lambda: done.append(3))

    scheduler.schedule(first)
    scheduler.schedule(lambda: done.append(2))
    await turns(4)
    scheduler.schedule(lambda: done.append(4))
    await turns(1)
    assert done == [1, 2, 3, 4]


async def test_one_that_fails_holds_nobody_up() -> None:
    scheduler, done, failures = PublishScheduler(), list[int](), list[object]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: failures.append(what["exception"]))

    def fail() -> None:
        raise ZeroDivisionError

    scheduler.schedule(fail)
    scheduler.schedule(lambda: done.append(1))
    await turns(3)
    loop.set_exception_handler(None)
    assert done == [1]
    assert [type(failure) for failure in failures] == [ZeroDivisionError]


@pytest.mark.parametrize("name", ["one", "other"])
async def test_it_is_done_in_the_context_of_its_owner(name: str) -> None:
    scheduler, seen = PublishScheduler(), list[str]()
    for who in ("one", "other"):
        WHO.set(who)
        scheduler.schedule(lambda: seen.append(WHO.get()))
    WHO.set(name)
    await turns(3)
    assert seen == ["one", "other"]
