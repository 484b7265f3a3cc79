"""One message in each turn of the event loop."""

import asyncio

from bridge.app.turnstile import Turnstile


async def test_who_comes_alone_does_not_wait() -> None:
    entering = Turnstile().through()
    try:
        entering.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for the event loop")


async def test_many_go_through_one_by_one_in_the_order_of_arrival() -> None:
    turnstile = Turnstile()
    through: list[int] = []
    turn = 0

    async def enter(number: int) -> None:
        await turnstile.through()
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
    turnstile = Turnstile()
    tasks = [asyncio.create_task(turnstile.through()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[1].cancelled()
    assert not tasks[2].cancelled()
