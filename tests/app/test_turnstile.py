"""One message in each turn of the event loop."""

import asyncio

import pytest

from bridge.app.turnstile import Turnstile
from bridge.errors import RejectedError

ANY = "command"


def crowd(turnstile: Turnstile, *kinds: str) -> list[asyncio.Task[None]]:
    """Have one of each kind ask for a turn."""
    return [asyncio.create_task(turnstile.through(kind)) for kind in kinds]


def errors(outcomes: list[BaseException | None]) -> list[str | None]:
    return [one.error if isinstance(one, RejectedError) else None for one in outcomes]


async def test_who_comes_alone_does_not_wait() -> None:
    entering = Turnstile(1).through(ANY)
    try:
        entering.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for the event loop")


async def test_many_go_through_one_by_one_in_the_order_of_arrival() -> None:
    turnstile = Turnstile(50)
    through: list[int] = []
    turn = 0

    async def enter(number: int) -> None:
        await turnstile.through(ANY)
        through.append(number)
        turns.append(turn)

    turns: list[int] = []
    tasks = [asyncio.create_task(enter(number)) for number in range(50)]
    while len(through) < len(tasks):
        turn += 1
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert through == list(range(50))
    assert len(set(turns)) == 50


async def test_one_that_gives_up_holds_nobody_up() -> None:
    turnstile = Turnstile(50)
    tasks = crowd(turnstile, ANY, ANY, ANY)
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[1].cancelled()
    assert not tasks[2].cancelled()


async def test_too_many_of_one_kind_are_refused_and_no_others() -> None:
    turnstile = Turnstile(2)
    tasks = crowd(turnstile, ANY, ANY, ANY, ANY, "job")
    outcomes = errors(await asyncio.gather(*tasks, return_exceptions=True))
    assert outcomes == [None, None, None, "queue_full", None]


async def test_there_is_room_again_after_a_flood_and_one_that_gave_up() -> None:
    turnstile = Turnstile(1)
    first, second = crowd(turnstile, ANY, ANY)
    await first
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    for _ in range(3):
        await turnstile.through(ANY)


async def test_what_waits_when_it_is_closed_is_refused() -> None:
    turnstile = Turnstile(50)
    tasks = crowd(turnstile, *[ANY] * 50)
    await tasks[0]
    turnstile.close()
    outcomes = errors(await asyncio.gather(*tasks[1:], return_exceptions=True))
    assert outcomes == ["shutting_down"] * 49
    with pytest.raises(RejectedError, match="shutting down"):
        await turnstile.through(ANY)
